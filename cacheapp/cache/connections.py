"""What the backends of one alias share in a process: clients with their pools, codec, outages.

Django makes a backend a thread (a task, in async code), so nothing that is costly or that counts
may live in one. ``state_of`` gives all backends of one alias the same ``AliasState``; aliases
never share one, even with one URL, since their OPTIONS differ. An alias whose settings changed
(in a test) gets a new one.

Asyncio clients are not kept here: ``get_async_client`` keeps them by event loop.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Mapping
from math import inf
from typing import Any

import redis
from django.core.exceptions import ImproperlyConfigured
from django_redis.pool import ConnectionFactory as DjangoRedisConnectionFactory
from django_redis.pool import get_connection_factory

from cacheapp import conf
from cacheapp.cache.errors import LocationError
from cacheapp.cache.keys import KeyNames
from cacheapp.cache.near import KEEPS_NOTHING, Near, NearOptions, announces
from cacheapp.cache.outage import BREAKER_SECONDS, Outages
from cacheapp.cache.prefixes import Prefixes
from cacheapp.cache.serializers import Codec
from cacheapp.cache.singleflight import Flights
from cacheapp.clients import URLError, get_async_client, get_client
from cacheapp.clients.arguments import what_is_unknown
from cacheapp.clients.bytelevel import ByteCommands
from cacheapp.clients.forks import renews
from cacheapp.clients.url import ENGINE_SCHEME, is_engine_url

#: OPTIONS that name classes of redis-py, with which a client has to be put together as written.
CLASS_OPTIONS = (
    "CONNECTION_POOL_CLASS",
    "PARSER_CLASS",
    "REDIS_CLIENT_CLASS",
    "REDIS_CLIENT_KWARGS",
)
#: Arguments of redis-py's BlockingConnectionPool alone.
BLOCKING_POOL_ARGUMENTS = frozenset({"timeout", "queue_class"})


class ConnectionFactory(DjangoRedisConnectionFactory):
    """django-redis's factory, over our clients unless OPTIONS names classes of its own."""

    def __init__(self, options: dict[str, Any]) -> None:
        super().__init__(options)
        self.uses_own_classes = any(options.get(name) for name in CLASS_OPTIONS)
        if not isinstance(self.pool_cls_kwargs, Mapping):
            raise ImproperlyConfigured(
                f"OPTIONS['CONNECTION_POOL_KWARGS'] must be a dict, not {self.pool_cls_kwargs!r}"
            )
        unknown = what_is_unknown(self.pool_cls_kwargs)
        if unknown and not self.uses_own_classes:
            raise ImproperlyConfigured(f"OPTIONS['CONNECTION_POOL_KWARGS']: {unknown}")

    def connect(self, url: str) -> redis.Redis:
        """Return a client, with a pool of its own, for the server that ``url`` names.

        Raises LocationError for a URL that cannot be.
        """
        if not self.uses_own_classes:
            try:
                return get_client(url, **self.client_options(url))
            except URLError as error:
                raise LocationError(f"LOCATION: {error}") from error
        client: redis.Redis = super().connect(url)
        return client

    def client_options(self, url: str) -> dict[str, Any]:
        """Return redis-py's arguments that OPTIONS asks for. Raises ImproperlyConfigured."""
        options = self.make_connection_params(url)
        del options["url"], options["parser_class"]
        return {**options, **self.pool_cls_kwargs}

    def get_connection_pool(self, params: dict[str, Any]) -> redis.ConnectionPool:
        """Return a new pool; for a memory:// URL the engine's.

        Raises ImproperlyConfigured where OPTIONS names a pool that cannot reach an engine.
        """
        if is_engine_url(params["url"]):
            from cacheapp.clients.pool import EngineConnectionPool

            if not self.options.get("CONNECTION_POOL_CLASS"):
                self.pool_cls = EngineConnectionPool
            elif not issubclass(self.pool_cls, EngineConnectionPool):
                raise ImproperlyConfigured(
                    "OPTIONS['CONNECTION_POOL_CLASS'] cannot reach an engine: for a memory:// URL "
                    "leave it out, or name cacheapp.clients.pool.EngineConnectionPool"
                )
        return super().get_connection_pool(params)


def make_factory(options: dict[str, Any]) -> Any:
    """Return the connection factory that OPTIONS or DJANGO_REDIS_CONNECTION_FACTORY names."""
    path = options.get("CONNECTION_FACTORY") or conf.django_redis_setting(
        "CONNECTION_FACTORY", f"{__name__}.ConnectionFactory"
    )
    if path == "django_redis.pool.ConnectionFactory":
        path = f"{__name__}.ConnectionFactory"
    # As a mapping of its own, since django-redis's Sentinel factory writes into what it is given.
    factory = get_connection_factory({**options, "CONNECTION_FACTORY": path})
    # django-redis keeps pools on the class, by URL alone: a second alias would get the first
    # one's OPTIONS. On the instance they are this alias's.
    factory._pools = {}
    return factory


class StockBytes:
    """The two hot methods of our clients (``cacheapp.clients.bytelevel``) for any other."""

    def __init__(self, client: Any) -> None:
        self._client = client

    def fetch(self, key: bytes) -> Any:
        """GET."""
        return self._client.get(key)

    def store(self, key: bytes, value: bytes, ttl_ms: int) -> Any:
        """SET, due in ``ttl_ms`` milliseconds; 0 is never."""
        return self._client.set(key, value, px=ttl_ms or None)


class Probe:
    """The two hot methods of a client while an outage lasts: they report each answer."""

    def __init__(self, client: Any, outages: Outages) -> None:
        self._client = client
        self._outages = outages

    def fetch(self, key: bytes) -> Any:
        """GET."""
        reply = self._client.fetch(key)
        self._outages.succeeded(writes=False)
        return reply

    def store(self, key: bytes, value: bytes, ttl_ms: int) -> Any:
        """SET, due in ``ttl_ms`` milliseconds; 0 is never."""
        reply = self._client.store(key, value, ttl_ms)
        self._outages.succeeded(writes=True)
        return reply


def byte_client(client: Any) -> Any:
    """Return ``client`` if it has the hot methods, or else what lends them to it."""
    return client if isinstance(client, ByteCommands) else StockBytes(client)


def async_options(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return redis.asyncio's arguments for those of the synchronous client."""
    return {name: value for name, value in options.items() if name not in BLOCKING_POOL_ARGUMENTS}


def breaker_seconds(options: Mapping[str, Any]) -> float:
    """Return OPTIONS["BREAKER"], the seconds without an attempt. Raises ImproperlyConfigured."""
    stated = options.get("BREAKER", BREAKER_SECONDS)
    if isinstance(stated, bool) or not isinstance(stated, (int, float)) or not 0 <= stated < inf:
        raise ImproperlyConfigured(
            f"OPTIONS['BREAKER'] is {stated!r}: give the seconds that a failing server is left "
            "alone, or 0 to try it each time"
        )
    return float(stated)


def _servers_of(location: Any) -> list[str]:
    return location.split(",") if isinstance(location, str) else list(location)


class AliasState:
    """What all backends of one alias share. ``clients`` has a place for each server."""

    def __init__(self, alias: str, location: Any, params: Mapping[str, Any]) -> None:
        options = params.get("OPTIONS", {})
        self.alias = alias
        self.location = location
        self.params = params
        self.codec = Codec(alias, options)
        self._names = KeyNames("")
        #: Values being computed in this process.
        self.flights = Flights()
        self.outages = Outages(
            alias,
            degrades=bool(
                options.get(
                    "IGNORE_EXCEPTIONS", conf.django_redis_setting("IGNORE_EXCEPTIONS", False)
                )
            ),
            breaker_seconds=breaker_seconds(options),
        )
        self.factory = make_factory(options)
        #: The prefixes that are invalidated by one command, where OPTIONS declares any.
        self.prefixes = Prefixes.of(options)
        near, is_announcing = NearOptions.of(options), announces(options)
        #: The near cache in front of the alias, where OPTIONS asks for one.
        self.near: Near | None = None
        #: What announces the alias's writes, and knows who watches them: the near cache, or one
        #: that keeps nothing and that no read goes through.
        self.source: Near | None = None
        names = (params.get("KEY_PREFIX", ""), params.get("KEY_FUNCTION"))
        if near is not None and not self.runs_in_process(_servers_of(location)):
            self.source = self.near = Near(near, *names)
        elif is_announcing:
            self.source = Near(KEEPS_NOTHING, *names)
        self.bus = None if self.source is None else self.source.bus
        self.clients: list[redis.Redis | None] = []

    def runs_in_process(self, servers: list[str]) -> bool:
        """Say whether a command never waits: all servers are engines, called directly."""
        return (
            isinstance(self.factory, ConnectionFactory)
            and not self.factory.uses_own_classes
            and all(url.startswith(f"{ENGINE_SCHEME}://") for url in servers)
        )

    def key_names(self, head: str) -> KeyNames:
        """Return the names under ``head``; all backends of the alias share them."""
        if self._names.head != head:
            self._names = KeyNames(head)
        return self._names

    def async_client(self, url: str) -> Any:
        """Return the running loop's client for ``url``, with this alias's OPTIONS."""
        options = {}
        if isinstance(self.factory, DjangoRedisConnectionFactory):
            options = self.factory.make_connection_params(url)
            del options["url"], options["parser_class"]
            options.update(async_options(self.factory.pool_cls_kwargs))
        try:
            return get_async_client(url, **options)
        except URLError as error:
            raise LocationError(f"LOCATION: {error}") from error


_states: dict[str, AliasState] = {}
_lock = threading.Lock()
renews(sys.modules[__name__], "_lock")


def state_of(location: Any, params: Mapping[str, Any]) -> AliasState:
    """Return the state of the alias with these settings, new for settings that CACHES lacks.

    Raises ImproperlyConfigured for OPTIONS that cannot be.
    """
    alias = conf.alias_of(location, params)
    if not alias:
        return AliasState(alias, location, params)
    with _lock:
        state = _states.get(alias)
        if state is None or state.location != location or state.params != params:
            state = _states[alias] = AliasState(alias, location, params)
        return state
