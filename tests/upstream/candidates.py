"""The cache backends that are tested, and for each the tests that cannot apply to it.

Ours must pass everything. The peers prove the runner: Django's own backends pass what Django
ships, so a failure of theirs in mode sync is a fault of the runner. On our engine (by naming our
pool class) a peer must pass what it passes on a real server: what it fails beyond that is ours.
A table below gives the reason for each test that does not apply.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import Any

OURS = "cacheapp"
PEERS = ("locmem", "django", "django-redis")
LOCMEM_PATH = "django.core.cache.backends.locmem.LocMemCache"
ENGINE_POOL = "cacheapp.clients.pool.EngineConnectionPool"
CULL_ALIASES = frozenset({"cull", "zero_cull"})
ENGINE_URL = "memory://upstream"


@dataclass(frozen=True)
class Candidate:
    """A backend under test.

    `servers` are the stores that it runs on: "engine" (memory://), "redis" (redis://) or
    "process" (it is its own store). `aliases_left_out` are those of Django's seven test aliases
    whose options it does not take. `incr_errors` may be raised by incr() of what is no number.
    """

    label: str
    backend: str
    servers: tuple[str, ...]
    package: str
    options: Mapping[str, Any] = field(default_factory=dict)
    engine_options: Mapping[str, Any] = field(default_factory=dict)
    aliases_left_out: frozenset[str] = frozenset()
    incr_errors: tuple[str, ...] = ("builtins.TypeError",)
    not_applicable: Mapping[str, str] = field(default_factory=dict)
    not_applicable_on_engine: Mapping[str, str] = field(default_factory=dict)

    @property
    def ours(self) -> bool:
        """Whether every failure of this backend is a failure of the whole."""
        return self.label == OURS

    @property
    def installed(self) -> bool:
        """Whether its package can be imported here."""
        return find_spec(self.package) is not None

    def reasons(self, server: str) -> dict[str, str]:
        """Why each test that does not apply on this server does not, by its name."""
        engine = self.not_applicable_on_engine if server == "engine" else {}
        return {**NOT_FOR_ANY, **self.not_applicable, **engine}

    def params(self, server: str, url: str) -> dict[str, Any]:
        """One entry of CACHES for this backend, on the store at `url`, which names no database."""
        options = {**self.options, **(self.engine_options if server == "engine" else {})}
        params: dict[str, Any] = {"BACKEND": self.backend}
        if server != "process":
            params["LOCATION"] = url
        if options:
            params["OPTIONS"] = options
        return params


_MAXMEMORY = "MAX_ENTRIES counts entries; a Redis store is bounded by maxmemory"
_CLIENT_PRIVATE = "reads private attributes of Django's RedisCacheClient"
_LOCMEM_PRIVATE = "reads LocMemCache's private dict of deadlines"
_OTHER_OPTIONS = "replaces OPTIONS, and in them the class of our connection pool"
_NO_ROW = "reads the session's database row, and this session engine has none"

# By test, for a backend on Redis that is not Django's own.
_NOT_FOR_REDIS: dict[str, str] = {
    "BackendTests.test_cull": _MAXMEMORY,
    "BackendTests.test_zero_cull": _MAXMEMORY,
    "DefaultNonExpiringCacheKeyTests.test_caches_with_unset_timeout_set_expiring_key": (
        _LOCMEM_PRIVATE
    ),
    "DefaultNonExpiringCacheKeyTests.test_caches_set_with_timeout_as_none_set_non_expiring_key": (
        _LOCMEM_PRIVATE
    ),
    "RedisCacheTests.test_incr_write_connection": _CLIENT_PRIVATE,
    "RedisCacheTests.test_cache_client_class": _CLIENT_PRIVATE,
    "RedisCacheTests.test_get_connection_pool_index": _CLIENT_PRIVATE,
    "RedisCacheTests.test_get_connection_pool": _CLIENT_PRIVATE,
    "RedisCacheTests.test_get_client": _CLIENT_PRIVATE,
    "RedisCacheTests.test_serializer_dumps": _CLIENT_PRIVATE,
    "RedisCacheTests.test_redis_pool_options": _CLIENT_PRIVATE,
    "RedisCacheTests.test_client_driver_info": _CLIENT_PRIVATE,
}
# Of every candidate, since the test asks for what no cache gives.
NOT_FOR_ANY: dict[str, str] = {
    "CacheEngineMiddlewareTests.test_empty_session_saved": _NO_ROW,
    "OwnEngineMiddlewareTests.test_empty_session_saved": _NO_ROW,
    "OwnMiddlewareTests.test_empty_session_saved": _NO_ROW,
}

CANDIDATES: dict[str, Candidate] = {
    candidate.label: candidate
    for candidate in (
        Candidate(
            label=OURS,
            backend="cacheapp.cache.CacheBackend",
            servers=("engine", "redis"),
            package="cacheapp",
            incr_errors=("builtins.TypeError", "redis.ResponseError"),
            not_applicable=_NOT_FOR_REDIS,
        ),
        Candidate(
            label="locmem",
            backend=LOCMEM_PATH,
            servers=("process",),
            package="django",
        ),
        Candidate(
            label="django",
            backend="django.core.cache.backends.redis.RedisCache",
            servers=("redis", "engine"),
            package="redis",
            engine_options={"pool_class": ENGINE_POOL},
            not_applicable_on_engine={"RedisCacheTests.test_redis_pool_options": _OTHER_OPTIONS},
            aliases_left_out=CULL_ALIASES,
            incr_errors=("redis.ResponseError",),
            not_applicable={
                name: reason
                for name, reason in _NOT_FOR_REDIS.items()
                if name.startswith("DefaultNonExpiring")
            },
        ),
        Candidate(
            label="django-redis",
            backend="django_redis.cache.RedisCache",
            servers=("redis", "engine"),
            package="django_redis",
            engine_options={"CONNECTION_POOL_CLASS": ENGINE_POOL},
            incr_errors=("builtins.TypeError", "redis.ResponseError"),
            not_applicable=_NOT_FOR_REDIS,
        ),
    )
}
