"""redis-py's client-side cache, on the engine: in the process and over TCP, its clients and ours.

redis-py asks for version 7.4, so on the redis-server of these tests (7.0) it refuses, which is all
that can be tested there.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import redis
from redis.backoff import NoBackoff
from redis.cache import CacheConfig, CacheInterface
from redis.retry import Retry

from cacheapp.clients import get_client
from cacheapp.clients.pool import EngineConnectionPool
from cacheapp.engine.engine import Engine
from tests.contract.conftest import Server
from tests.server.running import RunningServer

Make = Callable[..., redis.Redis]


class Servers:
    """One empty engine, and clients of it that cache."""

    def __init__(self, url: str, make: Make) -> None:
        self.url, self._make = url, make
        self._clients: list[redis.Redis] = []

    def caching(self, **settings: Any) -> redis.Redis:
        """A client with a cache of its own."""
        settings.setdefault("cache_config", CacheConfig())
        return self._kept(self._make(self.url, protocol=3, **settings))

    def plain(self) -> redis.Redis:
        """A client without one."""
        return self._kept(get_client(self.url))

    def _kept(self, client: redis.Redis) -> redis.Redis:
        self._clients.append(client)
        return client

    def close(self) -> None:
        """Close all of them."""
        for client in self._clients:
            client.close()
            client.connection_pool.disconnect()


def over_our_pool(url: str, **settings: Any) -> redis.Redis:
    """redis-py's own client over our pool."""
    single = settings.pop("single_connection_client", False)
    pool = EngineConnectionPool.from_url(url, **settings)
    return redis.Redis(connection_pool=pool, single_connection_client=single)


@pytest.fixture(params=["our pool", "our client", "redis-py over TCP", "our client over TCP"])
def servers(request: pytest.FixtureRequest) -> Iterator[Servers]:
    if "TCP" not in request.param:
        url = "memory://client-caching/0"
        servers = Servers(url, over_our_pool if request.param == "our pool" else get_client)
        yield servers
        servers.close()
        Engine.discard("client-caching")
        return
    with RunningServer() as server:
        make: Make = get_client if "our" in request.param else redis.Redis.from_url
        servers = Servers(f"redis://127.0.0.1:{server.port}/0", make)
        yield servers
        servers.close()


@pytest.fixture
def caching(servers: Servers) -> redis.Redis:
    return servers.caching()


@pytest.fixture
def plain(servers: Servers) -> redis.Redis:
    return servers.plain()


def cache_of(client: redis.Redis) -> CacheInterface:
    cache = client.get_cache()
    assert cache is not None
    return cache


def gets(plain: redis.Redis) -> int:
    """How many GETs the server has run."""
    counters: dict[str, Any] = plain.info("commandstats").get("cmdstat_get", {})
    calls: int = counters.get("calls", 0)
    return calls


def test_what_was_read_is_not_asked_for_again(caching: redis.Redis, plain: redis.Redis) -> None:
    plain.set("k", "1")
    assert [caching.get("k") for _ in range(5)] == [b"1"] * 5
    assert gets(plain) == 1
    assert cache_of(caching).size == 1


def test_what_another_client_changes_is_asked_for_again(
    caching: redis.Redis, plain: redis.Redis
) -> None:
    plain.set("k", "1")
    for number in range(20):
        plain.set("k", number)
        assert caching.get("k") == b"%d" % number
        assert caching.get("k") == b"%d" % number
    plain.delete("k")
    assert caching.get("k") is None
    assert gets(plain) == 21


def test_what_the_client_itself_changes_too(caching: redis.Redis) -> None:
    for number in range(20):
        caching.set("k", number)
        assert caching.get("k") == b"%d" % number
        assert caching.incr("k") == number + 1
        assert caching.get("k") == b"%d" % (number + 1)


def test_collections_and_several_keys(caching: redis.Redis, plain: redis.Redis) -> None:
    plain.hset("h", mapping={"a": "1"})
    plain.mset({"k": "1", "l": "2"})
    for _ in range(2):
        assert caching.hgetall("h") == {b"a": b"1"}
        assert caching.mget("k", "l") == [b"1", b"2"]
    plain.hset("h", "b", "2")
    plain.set("l", "3")
    assert caching.hgetall("h") == {b"a": b"1", b"b": b"2"}
    assert caching.mget("k", "l") == [b"1", b"3"]


def test_a_flush_empties_the_cache(caching: redis.Redis, plain: redis.Redis) -> None:
    plain.set("k", "1")
    caching.get("k")
    plain.flushall()
    assert caching.get("k") is None
    assert cache_of(caching).size == 0


def test_an_expired_key_is_not_served(caching: redis.Redis, plain: redis.Redis) -> None:
    plain.set("k", "1", px=20)
    caching.get("k")
    while plain.exists("k"):
        pass
    assert caching.get("k") is None


def test_what_is_not_there_is_not_kept(caching: redis.Redis, plain: redis.Redis) -> None:
    assert caching.get("k") is None
    assert cache_of(caching).size == 0
    plain.set("k", "1")
    assert caching.get("k") == b"1"


def test_pipelines_and_transactions_go_past_the_cache(
    caching: redis.Redis, plain: redis.Redis
) -> None:
    plain.set("k", "1")
    assert caching.get("k") == b"1"
    for transaction in (False, True):
        pipeline = caching.pipeline(transaction=transaction)
        assert pipeline.get("k").incr("k").get("k").execute()[0::2] in (
            [b"1", b"2"], [b"2", b"3"],
        )  # fmt: skip
    assert caching.get("k") == b"3"


def test_replies_are_decoded(servers: Servers, plain: redis.Redis) -> None:
    caching = servers.caching(decode_responses=True)
    plain.set("k", "é")
    assert [caching.get("k") for _ in range(2)] == ["é", "é"]
    plain.set("k", "x")
    assert caching.get("k") == "x"


def test_a_small_cache_forgets(servers: Servers, plain: redis.Redis) -> None:
    caching = servers.caching(cache_config=CacheConfig(max_size=3))
    for number in range(10):
        plain.set(f"k{number}", number)
        caching.get(f"k{number}")
    assert cache_of(caching).size == 3
    plain.set("k0", "new")
    plain.set("k9", "new")
    assert caching.mget("k0", "k9") == [b"new", b"new"]
    assert caching.get("k9") == b"new"


def test_connections_of_a_pool_share_the_cache(servers: Servers, plain: redis.Redis) -> None:
    caching = servers.caching()
    plain.set("k", "1")
    one = caching.connection_pool.get_connection()
    caching.get("k")
    caching.connection_pool.release(one)
    # Read by one connection and changed; asked for by another.
    busy = caching.connection_pool.get_connection()
    plain.set("k", "2")
    assert caching.get("k") == b"2"
    caching.connection_pool.release(busy)
    assert caching.get("k") == b"2"


def test_a_lost_connection_takes_the_cache_along(caching: redis.Redis, plain: redis.Redis) -> None:
    plain.set("k", "1")
    caching.get("k")
    caching.connection_pool.disconnect()
    assert cache_of(caching).size == 0
    plain.set("k", "2")
    assert caching.get("k") == b"2"


def test_a_client_that_another_one_kills(servers: Servers, plain: redis.Redis) -> None:
    # Where nothing is tried again, redis-py raises for what it has found to be closed.
    caching = servers.caching(retry=Retry(NoBackoff(), 1))
    plain.set("k", "1")
    number = caching.client_id()
    caching.get("k")
    assert plain.client_kill_filter(_id=number) == 1
    plain.set("k", "2")
    # Not before redis-py notices the loss, which comes over the socket in its own time.
    assert any(caching.get("k") == b"2" for _ in range(1000))


def test_a_single_connection_client(servers: Servers, plain: redis.Redis) -> None:
    caching = servers.caching(single_connection_client=True)
    plain.set("k", "1")
    assert [caching.get("k") for _ in range(2)] == [b"1", b"1"]
    plain.set("k", "2")
    assert caching.get("k") == b"2"


def test_each_thread_sees_its_own_writes(servers: Servers) -> None:
    """Each with a client: redis-py's connections drain one another's, which is not for threads."""
    seen: dict[int, bytes | None] = {}

    def work(number: int) -> None:
        client = servers.caching()
        for turn in range(50):
            client.set(f"k{number}", turn)
            client.get("shared")
            seen[number] = client.get(f"k{number}")
            client.set("shared", turn)
            if seen[number] != b"%d" % turn:
                return

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == dict.fromkeys(range(4), b"49")


def test_redis_py_refuses_an_older_server(server: Server) -> None:
    client = redis.Redis.from_url if server.kind == "redis" else over_our_pool
    caching = client(server.url, protocol=3, cache_config=CacheConfig())
    if server.kind == "redis":
        with pytest.raises(redis.ConnectionError, match=r"supported by Redis 7\.4 or later"):
            caching.get("k")
    else:
        assert caching.get("k") is None
    caching.close()
