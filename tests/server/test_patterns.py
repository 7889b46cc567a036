"""The patterns over the TCP front: leases, tags, prefixes and locks by scripts that it is sent."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from cacheapp.cache.writebehind import Item, WriteBehind, queues
from cacheapp.cache.writeworker import Worker
from tests.cache.aliases import maker
from tests.redis_server import HOST
from tests.server.running import RunningServer

THREADS = 20


@pytest.fixture
def cache(running: RunningServer, settings: Any) -> Iterator[Any]:
    options = {"PREFIXES": ["", "user:*:"]}
    cache = maker(settings)(f"redis://{HOST}:{running.port}/0", options=options)
    yield cache
    cache.client.do_close_clients()


def test_one_computation_and_what_ends_its_value(cache: Any) -> None:
    begun, go, calls = threading.Event(), threading.Event(), []

    def load() -> int:
        calls.append(1)
        begun.set()
        assert go.wait(20)
        return len(calls)

    with ThreadPoolExecutor(THREADS) as pool:
        running = [pool.submit(cache.get_or_set, "user:1:a", load, 60) for _ in range(THREADS)]
        assert begun.wait(20)
        go.set()
        assert [call.result(20) for call in running] == [1] * THREADS
    assert cache.get("user:1:a") == 1
    assert cache.invalidate_prefix("user:1:") is True
    assert cache.get("user:1:a") is None
    cache.set("key", 1, tags=["t"])
    cache.invalidate_tags(["t"])
    assert cache.get("key") is None
    assert cache.get_or_set_many(["a", "b"], lambda keys: dict.fromkeys(keys, 1), stale_ttl=5)
    assert cache.get_many(["a", "b"]) == {"a": 1, "b": 1}
    assert cache.invalidate_version() is True
    assert cache.get_many(["a", "b"]) == {}


async def test_natively(cache: Any) -> None:
    async def load() -> int:
        return 1

    assert await cache.aget_or_set("key", load, 60, stale_ttl=5, early=1e12) == 1
    assert await cache.aget_or_set("key", load, 60, stale_ttl=5, early=1e12) == 1
    assert await cache.awrite_through("key", load, 60) == 1
    assert await cache.aget("key") == 1
    async with cache.token_lock("job") as lock:
        assert await lock.aextend(60)
        assert not await cache.token_lock("job").aacquire(wait=0)
    await cache.aclose()


@pytest.mark.django_db
@pytest.mark.usefixtures("cache")
def test_write_behind() -> None:
    handled: list[Item] = []
    queue = WriteBehind("over the front", handled.extend)
    try:
        queue.append({"page": 1}, id="one")
        worker = Worker(queue, threading.Event())
        assert worker.step(waits=False) + worker.step(waits=False) == 1
        assert [(item.id, item.payload) for item in handled] == [("one", {"page": 1})]
        assert queue.counts() == {"waiting": 0, "dead": 0}
    finally:
        del queues["over the front"]
