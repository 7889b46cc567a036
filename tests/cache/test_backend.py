"""CacheBackend without a server, and with servers that fail: settings, classes, outages."""

from __future__ import annotations

import asyncio
import logging
import pickle
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import redis
import redis.asyncio
from django.core.cache.backends.base import InvalidCacheKey
from django.core.exceptions import ImproperlyConfigured
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import LockError

from cacheapp.cache import CacheBackend, CacheClient, LocationError, SentinelCacheClient
from cacheapp.cache.outage import BREAKER_FAILURES, CircuitOpenError
from cacheapp.clients.client import EngineRedis
from cacheapp.clients.lean import LeanRedis
from tests.cache.aliases import MakeCache
from tests.redis_server import HOST, RedisServer, free_port


@pytest.fixture
def dead_url() -> str:
    return f"redis://{HOST}:{free_port()}/0"


NO_RETRY = {"CONNECTION_POOL_KWARGS": {"retry": None}}
DEGRADE = {"IGNORE_EXCEPTIONS": True, **NO_RETRY}

#: What each method gives while no server answers: its own type, never an exception.
DEGRADED: list[tuple[str, tuple[Any, ...], Any]] = [
    ("get", ("key",), None),
    ("get", ("key", "default"), "default"),
    ("set", ("key", 1), False),
    ("set", ("key", 1, 0), False),
    ("add", ("key", 1), False),
    ("add", ("key", 1, 0), False),
    ("get_or_set", ("key", "default"), "default"),
    ("get_or_set_many", (["a"], dict.fromkeys), {"a": None}),
    ("invalidate_tags", (["tag"],), False),
    ("invalidate_prefix", ("user:",), 0),
    ("invalidate_version", (), 0),
    ("has_key", ("key",), False),
    ("delete", ("key",), False),
    ("touch", ("key",), False),
    ("touch", ("key", None), False),
    ("get_many", (["a", "b"],), {}),
    ("set_many", ({"a": 1, "b": 2},), ["a", "b"]),
    ("delete_many", (["a"],), None),
    ("incr", ("key",), 1),
    ("incr", ("key", 2.5), 2.5),
    ("decr", ("key", 2), -2),
    ("incr_version", ("key",), 2),
    ("decr_version", ("key", 1, 5), 4),
    ("clear", (), False),
    ("ttl", ("key",), 0),
    ("pttl", ("key",), 0),
    ("persist", ("key",), False),
    ("expire", ("key", 1), False),
    ("pexpire", ("key", 1), False),
    ("expire_at", ("key", 1), False),
    ("pexpire_at", ("key", 1), False),
    ("keys", ("*",), []),
    ("delete_pattern", ("*",), 0),
    ("sadd", ("key", 1), 0),
    ("scard", ("key",), 0),
    ("sdiff", ("a", "b"), set()),
    ("sdiffstore", ("a", "b"), 0),
    ("sinter", ("a", "b"), set()),
    ("sinterstore", ("a", "b"), 0),
    ("sismember", ("a", 1), False),
    ("smembers", ("a",), set()),
    ("smismember", ("a", 1, 2), [False, False]),
    ("smove", ("a", "b", 1), False),
    ("spop", ("a",), None),
    ("spop", ("a", 2), set()),
    ("srandmember", ("a",), None),
    ("srandmember", ("a", 2), []),
    ("srem", ("a", 1), 0),
    ("sscan", ("a",), set()),
    ("sunion", ("a", "b"), set()),
    ("sunionstore", ("a", "b"), 0),
    ("hset", ("a", "f", 1), 0),
    ("hget", ("a", "f"), None),
    ("hgetall", ("a",), {}),
    ("hdel", ("a", "f"), 0),
    ("hlen", ("a",), 0),
    ("hkeys", ("a",), []),
    ("hexists", ("a", "f"), False),
    ("zadd", ("a", {"m": 1}), 0),
    ("zcard", ("a",), 0),
    ("zcount", ("a", 0, 1), 0),
    ("zincrby", ("a", 2, "m"), 2.0),
    ("zpopmax", ("a",), None),
    ("zpopmin", ("a", 2), []),
    ("zrange", ("a", 0, 1), []),
    ("zrangebyscore", ("a", 0, 1), []),
    ("zrank", ("a", "m"), None),
    ("zrem", ("a", "m"), 0),
    ("zremrangebyscore", ("a", 0, 1), 0),
    ("zrevrange", ("a", 0, 1), []),
    ("zrevrangebyscore", ("a", 1, 0), []),
    ("zscore", ("a", "m"), None),
]
#: Public methods that send nothing themselves, or are driven in tests of their own.
OTHERS = {
    *("aclose", "close", "iter_keys", "aiter_keys", "lock", "alock", "sscan_iter", "asscan_iter"),
    *("scan", "sscan_page", "storage_key", "storage_keys", "reverse_key", "search_pattern"),
    *("key_shape", "ttl_ms", "get_backend_timeout", "make_key", "make_and_validate_key"),
    *("validate_key", "client", "scan_count", "server_errors", "write", "fetch_many", "token_lock"),
    *("write_through", "awrite_through", "write_computed"),
}


def test_the_table_knows_every_method() -> None:
    public = {name for name in dir(CacheBackend) if not name.startswith("_")} - OTHERS
    synchronous = {name for name in public if not (name[0] == "a" and name[1:] in public | OTHERS)}
    assert synchronous == {name for name, _, _ in DEGRADED}
    for name in synchronous:
        assert asyncio.iscoroutinefunction(getattr(CacheBackend, f"a{name}"))


@pytest.mark.parametrize(("name", "args", "expected"), DEGRADED)
def test_every_method_degrades(
    make_cache: MakeCache, dead_url: str, name: str, args: tuple[Any, ...], expected: Any
) -> None:
    cache = make_cache(dead_url, options=DEGRADE)
    found = getattr(cache, name)(*args)
    assert (type(found), found) == (type(expected), expected)
    found = asyncio.run(getattr(cache, f"a{name}")(*args))
    assert (type(found), found) == (type(expected), expected)
    assert cache.state.outages.failures >= 2


@pytest.mark.parametrize(("name", "args", "expected"), DEGRADED)
def test_every_method_raises_redis_s_own_error(
    make_cache: MakeCache, dead_url: str, name: str, args: tuple[Any, ...], expected: Any
) -> None:
    cache = make_cache(dead_url, options=NO_RETRY)
    with pytest.raises(RedisConnectionError):
        getattr(cache, name)(*args)
    with pytest.raises(RedisConnectionError):
        asyncio.run(getattr(cache, f"a{name}")(*args))
    assert cache.state.outages.failures == 2


def test_iterators_and_locks_degrade(make_cache: MakeCache, dead_url: str) -> None:
    cache = make_cache(dead_url, options=DEGRADE)
    assert list(cache.iter_keys("*")) == list(cache.sscan_iter("key")) == []
    lock = cache.lock("job")
    assert [lock.acquire(), lock.locked(), lock.owned()] == [False] * 3
    with pytest.raises(LockError), lock:
        pytest.fail("acquired without a server")

    async def native() -> None:
        assert [key async for key in cache.aiter_keys("*")] == []
        assert [member async for member in cache.asscan_iter("key")] == []
        alock = cache.alock("job")
        assert [await alock.acquire(), await alock.locked(), await alock.owned()] == [False] * 3

    asyncio.run(native())


def test_the_breaker_spares_locks_the_wait(make_cache: MakeCache, dead_url: str) -> None:
    cache = make_cache(dead_url, options={"BREAKER": 3600, **NO_RETRY})
    for _ in range(BREAKER_FAILURES):
        with pytest.raises(RedisConnectionError):
            cache.lock("job").acquire()
    for call in (lambda: cache.lock("job").acquire(), lambda: cache.get("key")):
        with pytest.raises(CircuitOpenError):
            call()

    async def asynchronously() -> None:
        with pytest.raises(CircuitOpenError):
            await cache.alock("job").acquire()
        with pytest.raises(CircuitOpenError):
            await cache.token_lock("job").aacquire()
        await cache.aclose()

    asyncio.run(asynchronously())


def test_iterators_and_locks_raise(make_cache: MakeCache, dead_url: str) -> None:
    cache = make_cache(dead_url, options=NO_RETRY)
    calls: list[Callable[[], Any]] = [
        lambda: list(cache.iter_keys("*")),
        lambda: list(cache.sscan_iter("key")),
        lambda: cache.lock("job").acquire(),
    ]
    for call in calls:
        with pytest.raises(RedisConnectionError):
            call()
    with pytest.raises(RedisConnectionError):
        asyncio.run(_acquire(cache))


async def _acquire(cache: Any) -> None:
    await cache.alock("job").acquire()


@pytest.fixture
def own_server(request: pytest.FixtureRequest) -> Iterator[RedisServer]:
    request.getfixturevalue("redis_process")  # which skips where there is no redis-server
    with RedisServer() as server:
        yield server


@pytest.mark.parametrize("operation", ["set", "touch"])
def test_an_outage_is_logged_once_at_each_end(
    make_cache: MakeCache,
    own_server: RedisServer,
    caplog: pytest.LogCaptureFixture,
    operation: str,
) -> None:
    cache = make_cache(own_server.url(), options=DEGRADE)
    control = redis.Redis.from_url(own_server.url())
    cache.set("other", "value")
    with caplog.at_level(logging.INFO, "cacheapp.cache"):
        for _ in range(2):
            cache.set("key", "value")
            control.config_set("min-replicas-to-write", 1)  # now it refuses every write
            assert [cache.set("key", "x"), cache.add("key", "x"), cache.touch("key")] == [False] * 3
            assert cache.get("key") == "value"
            control.config_set("min-replicas-to-write", 0)
            key, argument = ("key", "value") if operation == "set" else ("other", 50)
            assert getattr(cache, operation)(key, argument) is True
    assert [record.levelname for record in caplog.records] == ["ERROR", "WARNING"] * 2
    assert cache.state.outages.failures == 6
    control.close()


def test_a_server_that_stops_under_way(
    make_cache: MakeCache, request: pytest.FixtureRequest
) -> None:
    request.getfixturevalue("redis_process")
    with RedisServer() as server:
        url = server.url()
        cache = make_cache(url, options=DEGRADE)
        cache.set("key", "value")
        assert cache.get("key") == "value"
    assert cache.get("key", "default") == "default"
    assert cache.state.outages.is_open


def test_retrying_elsewhere_converts_the_timeout_once(
    make_cache: MakeCache, own_server: RedisServer, dead_url: str
) -> None:
    options = {"REPLICA_READ_ONLY": False, **NO_RETRY}
    cache = make_cache([dead_url, own_server.url()], options=options)
    assert cache.set("key", "value", timeout=10) is True
    assert cache.get("key") == "value"  # reads go to the replicas
    assert 0 < cache.ttl("key") <= 10
    assert asyncio.run(cache.aset("other", "value", timeout=10)) is True
    assert 0 < cache.ttl("other") <= 10
    with pytest.raises(RedisConnectionError):
        cache.touch("key")
    read_only = make_cache(f"{dead_url},{own_server.url()}", "other", options=NO_RETRY)
    with pytest.raises(RedisConnectionError):
        read_only.set("key", "value")


def test_aliases_with_one_url_have_their_own_pools(make_cache: MakeCache, dead_url: str) -> None:
    for extra in ({}, {"CONNECTION_POOL_CLASS": "redis.BlockingConnectionPool"}):
        one, two = (
            make_cache(
                dead_url, alias, options={"CONNECTION_POOL_KWARGS": {"max_connections": n}, **extra}
            )
            for alias, n in (("one", 3), ("two", 7))
        )
        pools = [cache.client.get_client().connection_pool for cache in (one, two)]
        assert [pool.max_connections for pool in pools] == [3, 7]


def test_options_reach_the_connection(make_cache: MakeCache, dead_url: str) -> None:
    options = {
        "PASSWORD": "secret",
        "USERNAME": "someone",
        "SOCKET_TIMEOUT": 2.5,
        "SOCKET_CONNECT_TIMEOUT": 1,
        "CONNECTION_POOL_KWARGS": {"client_name": "me"},
    }
    expected = {
        "password": "secret",
        "username": "someone",
        "socket_timeout": 2.5,
        "socket_connect_timeout": 1,
        "client_name": "me",
    }
    cache = make_cache(dead_url, options=options)
    client = cache.client.get_client()
    assert isinstance(client, LeanRedis)
    assert expected.items() <= client.connection_pool.connection_kwargs.items()

    async def native() -> dict[str, Any]:
        found: dict[str, Any] = cache.client.get_async_client().connection_pool.connection_kwargs
        return found

    assert expected.items() <= asyncio.run(native()).items()


class OwnRedis(redis.Redis):
    pass


def test_own_classes_are_used_as_written(make_cache: MakeCache, dead_url: str) -> None:
    path = f"{__name__}.OwnRedis"
    pool = "redis.connection.BlockingConnectionPool"
    options = {"REDIS_CLIENT_CLASS": path, "CONNECTION_POOL_CLASS": pool, **NO_RETRY}
    client = make_cache(dead_url, options=options).client.get_client()
    assert type(client).__name__ == "OwnRedis"
    assert isinstance(client.connection_pool, redis.BlockingConnectionPool)
    cache = make_cache("memory://own-classes", options={"REDIS_CLIENT_CLASS": path})
    assert cache.set("key", "value") is True
    assert cache.get("key") == "value"
    assert not cache.client.runs_in_process


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (None, CacheClient),
        ("django_redis.client.DefaultClient", CacheClient),
        ("django_redis.client.default.DefaultClient", CacheClient),
        ("cacheapp.cache.SentinelCacheClient", SentinelCacheClient),
        (CacheClient, CacheClient),
    ],
)
def test_client_classes(make_cache: MakeCache, path: Any, expected: type) -> None:
    cache = make_cache("memory://classes", options={"CLIENT_CLASS": path})
    if expected is CacheClient:
        assert type(cache.client) is expected
    else:
        assert cache._client_cls is expected


def test_sentinel(make_cache: MakeCache) -> None:
    options = {
        "CLIENT_CLASS": "django_redis.client.SentinelClient",
        "CONNECTION_FACTORY": "django_redis.pool.SentinelConnectionFactory",
        "SENTINELS": [(HOST, free_port())],
        "SENTINEL_KWARGS": {"retry": None},
        **NO_RETRY,
    }
    cache = make_cache("redis://service/3", options=options)
    assert cache.client.server_count == 2
    pool = cache.client.get_client().connection_pool
    assert (pool.service_name, pool.is_master) == ("service", True)
    assert cache.client.get_client(write=False).connection_pool.is_master is False
    with pytest.raises(redis.sentinel.MasterNotFoundError):
        cache.set("key", 1)

    async def native() -> None:
        pool = cache.client.get_async_client().connection_pool
        assert (pool.service_name, pool.is_master) == ("service", True)
        assert pool.connection_kwargs["db"] == 3
        assert not cache.client.get_async_client(write=False).connection_pool.is_master
        with pytest.raises(redis.asyncio.sentinel.MasterNotFoundError):
            await cache.aset("key", 1)
        await cache.aclose()

    asyncio.run(native())


@pytest.mark.parametrize(
    ("location", "options", "text"),
    [
        ("redi://host", {}, "LOCATION.*did you mean redis://"),
        ("memory://x?maxmemori=1", {}, "LOCATION.*did you mean 'maxmemory'"),
        ("memory://x?maxmemory=1zb", {}, "LOCATION.*maxmemory"),
        ("memory://x", {"SERIALIZER": "yaml"}, "OPTIONS.'SERIALIZER'.*one of default"),
        ("memory://x", {"COMPRESSOR": "zip"}, "OPTIONS.'COMPRESSOR'.*one of gzip"),
        ("memory://x", {"CLIENT_CLASS": "django_redis.client.HerdClient"}, "CLIENT_CLASS"),
        ("memory://x", {"CLIENT_CLASS": "no.such.Class"}, "CLIENT_CLASS"),
        ("memory://x", {"CONNECTION_FACTORY": "no.such.Class"}, "no"),
        ("memory://x", ["SERIALIZER"], "OPTIONS must be a dict"),
        ("", {}, "LOCATION is empty"),
    ],
)
def test_wrong_settings_say_what_is_wrong_at_the_first_use(
    make_cache: MakeCache, location: str, options: Any, text: str
) -> None:
    cache = make_cache(location, options=options)
    calls = [cache.clear, lambda: cache.get("key"), lambda: cache.set("key", "x")]
    calls += [lambda: asyncio.run(cache.aget("key")), lambda: cache.get_many(["key"])]
    for call in calls:
        with pytest.raises((ImproperlyConfigured, ImportError), match=text):
            call()


def test_a_location_error_is_a_value_error() -> None:
    assert issubclass(LocationError, ValueError)


@pytest.mark.parametrize(
    ("location", "options", "text"),
    [
        ("", {}, "LOCATION is empty"),
        ("redis://:hush/x@host", {}, "percent-encoded"),
        ("redis://host?sokcet_timeout=1", {}, "'socket_timeout'"),
        ("redis://host", {"CONNECTION_POOL_KWARGS": {"retri": 1}}, "'retry'"),
        ("redis://host", {"CONNECTION_POOL_KWARGS": 7}, "must be a dict"),
    ],
)
def test_a_wrong_location_or_argument_is_named_at_the_first_use(
    make_cache: MakeCache, location: str, options: dict[str, Any], text: str
) -> None:
    cache = make_cache(location, "wrong", options)
    for use in (lambda: cache.get("key"), lambda: asyncio.run(cache.aset("key", 1))):
        with pytest.raises(ImproperlyConfigured, match=text) as caught:
            use()
        assert "hush" not in str(caught.value)


def test_a_pool_that_cannot_reach_an_engine_is_named(make_cache: MakeCache) -> None:
    cache = make_cache("memory://x", options={"CONNECTION_POOL_CLASS": "redis.ConnectionPool"})
    with pytest.raises(ImproperlyConfigured, match=r"EngineConnectionPool$"):
        cache.get("key")


def test_backend_timeouts(make_cache: MakeCache) -> None:
    cache = make_cache("memory://timeouts", TIMEOUT=50)
    assert cache.get_backend_timeout() == 50
    assert cache.get_backend_timeout(10) == 10
    assert cache.get_backend_timeout(0.5) == 0.5
    assert cache.get_backend_timeout(-5) == 0
    assert cache.get_backend_timeout(None) is None


def test_key_settings_changed_on_the_object_hold(make_cache: MakeCache) -> None:
    cache = make_cache("memory://changed", KEY_PREFIX="a")
    for name, value in (("key_prefix", "b"), ("version", 2), ("key_func", lambda *parts: "own")):
        cache.set("key", name)
        setattr(cache, name, value)
        assert cache.get("key") is None
        cache.set("key", name)
        assert cache.get("key") == name


class StrictBackend(CacheBackend):
    """Makes and validates keys in its own way, as Django's documentation shows."""

    def make_key(self, key: Any, version: Any = None) -> str:
        return f"strict/{super().make_key(key, version)}"

    def validate_key(self, key: str) -> None:
        if "bad" in key:
            raise InvalidCacheKey(key)


def test_a_subclass_makes_and_validates_keys(make_cache: MakeCache) -> None:
    cache = make_cache("memory://strict", BACKEND=f"{__name__}.StrictBackend")
    for key in ("key", cache.client.make_key("key")):
        cache.set(key, 1)
        assert cache.get(key) == 1
    assert sorted(cache.client.get_client().keys()) == [b":1:key", b"strict/:1:key"]
    for call in (cache.get, cache.incr, lambda key: cache.get_many(["fine", key])):
        with pytest.raises(InvalidCacheKey):
            call("bad")


def test_memory_aliases_run_without_waiting(make_cache: MakeCache) -> None:
    cache = make_cache("memory://in-process")
    assert isinstance(cache.client.get_client(), EngineRedis)
    assert cache.client.runs_in_process
    step = cache.aget("key", "missing").send
    with pytest.raises(StopIteration) as caught:
        step(None)  # done at the first step: nothing was waited for
    assert caught.value.value == "missing"


def test_a_signed_value_is_not_loaded_under_another_alias(make_cache: MakeCache) -> None:
    one = make_cache("memory://aliases", "one")
    two = make_cache("memory://aliases", "two", TIMEOUT=60)
    one.set("key", [1])
    one.set("text", "plain")
    assert two.get("key", "missing") == "missing"
    assert two.get("text") == "plain"
    same = make_cache("memory://aliases", "three", TIMEOUT=60)
    two.set("key", [2])
    assert same.get("key") == [2]  # settings equal in everything: one cache under two names


def test_what_raises_while_pickling_is_raised(make_cache: MakeCache) -> None:
    class Unpicklable:
        def __getstate__(self) -> Any:
            raise pickle.PickleError("not this one")

    with pytest.raises(pickle.PickleError, match="not this one"):
        make_cache("memory://unpicklable").set("key", Unpicklable())
    with pytest.raises(TypeError):
        make_cache("memory://unpicklable").set("key", threading.Lock())
