"""get_client and get_async_client: the class for a URL, and clients that live as long as loops."""

from __future__ import annotations

import asyncio
import gc
import sys
import threading
import weakref
from pathlib import Path
from typing import Any

import pytest
import redis
import redis.asyncio
from asgiref.sync import async_to_sync

from cacheapp.clients import UnknownSchemeError, URLOptionError, get_async_client, get_client
from cacheapp.clients.aclient import AsyncEngineRedis
from cacheapp.clients.alean import LeanAsyncRedis
from cacheapp.clients.client import EngineRedis
from cacheapp.clients.lean import LeanRedis
from cacheapp.engine.engine import Engine
from tests.redis_server import RedisServer

CLASSES = [
    ("memory://", EngineRedis, AsyncEngineRedis),
    ("redis://localhost:1/0", LeanRedis, LeanAsyncRedis),
    ("rediss://localhost:1/0", LeanRedis, LeanAsyncRedis),
    ("unix:///nowhere/redis.sock", LeanRedis, LeanAsyncRedis),
]


@pytest.mark.parametrize(("url", "class_", "_async"), CLASSES)
def test_the_class_for_a_url(name: str, url: str, class_: type, _async: type) -> None:
    client = get_client(url + name if url == "memory://" else url, decode_responses=True)
    assert type(client) is class_
    assert isinstance(client, redis.Redis)
    assert client.connection_pool.connection_kwargs["decode_responses"] is True


@pytest.mark.parametrize(("url", "_sync", "class_"), CLASSES)
async def test_the_asyncio_class_for_a_url(name: str, url: str, _sync: type, class_: type) -> None:
    client = get_async_client(url + name if url == "memory://" else url)
    assert type(client) is class_
    assert isinstance(client, redis.asyncio.Redis)


def test_what_cannot_be_used_is_said_at_once(name: str) -> None:
    with pytest.raises(UnknownSchemeError):
        get_client("http://host")
    with pytest.raises(URLOptionError, match="'maxmemry'"):
        get_client(f"memory://{name}?maxmemry=1mb")
    get_client(f"memory://{name}?maxmemory=1mb")
    get_client(f"memory://{name}")
    get_client(f"memory://{name}?maxmemory=1024kb")
    with pytest.raises(URLOptionError, match="already runs in this process with another"):
        get_client(f"memory://{name}?maxmemory=2mb")


def test_clients_have_pools_of_their_own_and_share_engines_by_name(name: str) -> None:
    first, second = get_client(f"memory://{name}"), get_client(f"memory://{name}")
    other = get_client(f"memory://{name}-other")
    assert first.connection_pool is not second.connection_pool
    first.set("a", 1)
    assert (second.get("a"), other.get("a")) == (b"1", None)
    Engine.discard(f"{name}-other")


def test_no_asyncio_client_without_a_loop(url: str) -> None:
    with pytest.raises(RuntimeError, match="no running event loop"):
        get_async_client(url)


async def test_a_loop_has_one_client_for_the_same_arguments(url: str) -> None:
    client = get_async_client(url)
    assert get_async_client(url) is client
    assert get_async_client(url, decode_responses=True) is not client
    assert get_async_client(url, retry=None) is get_async_client(url, retry=None)
    errors: list[Any] = [redis.TimeoutError]
    assert get_async_client(url, retry_on_error=errors) is get_async_client(
        url, retry_on_error=errors
    )


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


@pytest.mark.skipif(sys.platform != "linux", reason="counts open files by /proc")
def test_loops_come_and_go_without_a_trace(redis_server: RedisServer) -> None:
    url = redis_server.url()

    async def use() -> Any:
        client = get_async_client(url)
        await client.set("a", 1)
        # A connection in use, one idle, and a subscription.
        await asyncio.gather(client.get("a"), client.get("a"))
        return weakref.ref(client)

    use_synchronously = async_to_sync(use)
    use_synchronously()
    before = open_files()
    references = [use_synchronously() for _ in range(20)]
    assert open_files() == before
    gc.collect()
    assert not [reference for reference in references if reference() is not None]


def test_loops_leave_no_sessions_in_an_engine(url: str, name: str) -> None:
    async def use() -> None:
        client = get_async_client(url)
        await client.set("a", 1)
        pubsub = client.pubsub()
        await pubsub.subscribe("news")
        assert len(Engine.shared(name).sessions) == 2
        await pubsub.aclose()

    for _ in range(20):
        async_to_sync(use)()
        asyncio.run(use())
    assert not Engine.shared(name).sessions


def test_each_thread_s_loop_has_its_own_client(url: str) -> None:
    clients: list[redis.asyncio.Redis] = []

    async def use() -> None:
        client = get_async_client(url)
        clients.append(client)
        await client.incr("n")

    threads = [threading.Thread(target=asyncio.run, args=(use(),)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(map(id, clients))) == 4
    assert get_client(url).get("n") == b"4"


def test_a_loop_that_was_closed_without_ceremony_is_forgotten(url: str, name: str) -> None:
    async def use() -> None:
        await get_async_client(url).set("a", 1)

    loop = asyncio.new_event_loop()
    loop.run_until_complete(use())
    loop.close()
    assert len(Engine.shared(name).sessions) == 1
    asyncio.run(use())
    gc.collect()
    assert not Engine.shared(name).sessions
