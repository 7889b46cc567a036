"""CacheBackend's asynchronous methods on both servers: native, atomic, and the same answers."""

from __future__ import annotations

import asyncio
import inspect
from typing import Any

import asgiref.sync
import pytest
from asgiref.sync import async_to_sync
from django.contrib.contenttypes.models import ContentType
from django.core.cache import caches
from django.core.cache.backends.base import BaseCache

from cacheapp.cache import SerializationError
from tests.cache.aliases import maker
from tests.contract.conftest import Server


@pytest.fixture
def cache(server: Server, settings: Any) -> Any:
    return maker(settings)(server.url, KEY_PREFIX="p")


@pytest.fixture
def _no_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fail on any hop to another thread."""

    async def refuse(*args: Any, **kwargs: Any) -> None:
        pytest.fail("a thread hop")

    monkeypatch.setattr(asgiref.sync.SyncToAsync, "__call__", refuse)
    monkeypatch.setattr(asyncio.BaseEventLoop, "run_in_executor", refuse)


def test_every_method_of_django_has_a_native_twin(cache: Any) -> None:
    names = {name for name in vars(BaseCache) if name.startswith("a") and name != "add"}
    twins = {name for name in names if inspect.iscoroutinefunction(getattr(cache, name))}
    inherited = {name for name in twins if name not in vars(type(cache))}
    assert len(twins) > 15
    assert inherited == set()


@pytest.mark.usefixtures("_no_threads")
async def test_all_of_it_without_a_thread(cache: Any) -> None:
    assert await cache.aset("key", [1], 20) is True
    assert await cache.aget("key") == [1]
    assert await cache.aget("none", "missing") == "missing"
    assert await cache.aadd("key", 2) is False
    assert await cache.aadd("new", 2) is True
    assert await cache.ahas_key("new") is True
    assert await cache.aset_many({"a": 1, "b": "x", "c": [2]}, 0.5) == []
    assert 0 < await cache.apttl("b") <= 500
    assert await cache.aget_many(["a", "b", "c", "none"]) == {"a": 1, "b": "x", "c": [2]}
    assert await cache.adelete_many(["a", "b"]) is None
    assert await cache.adelete("c") is True
    assert await cache.atouch("key", 40) is True
    assert await cache.attl("key") in (39, 40)
    assert await cache.aincr_version("key") == 2
    assert await cache.aget("key", version=2) == [1]
    assert await cache.adecr_version("key", version=2) == 1
    assert await cache.aexpire("key", 60) is True
    assert await cache.apersist("key") is True
    assert await cache.attl("key") is None
    assert sorted(await cache.akeys()) == ["key", "new"]
    assert sorted([key async for key in cache.aiter_keys("*e*")]) == ["key", "new"]
    assert await cache.adelete_pattern("n*") == 1
    assert await cache.asadd("set", 1, "x", (2,)) == 3
    assert await cache.asmembers("set") == {1, "x", (2,)}
    assert {member async for member in cache.asscan_iter("set")} == {1, "x", (2,)}
    assert await cache.aset("gone", 1, 0) is False
    assert await cache.aclear() is True
    assert await cache.akeys() == []
    await cache.aclose()
    assert await cache.aget("key") is None


@pytest.mark.parametrize("start", [0, 0.5])
async def test_100_concurrent_aincr_give_100(cache: Any, start: Any) -> None:
    await cache.aset("key", start, 10)
    totals = await asyncio.gather(*[cache.aincr("key") for _ in range(100)])
    assert sorted(totals) == [start + number for number in range(1, 101)]
    assert await cache.aget("key") == start + 100
    assert 5 < await cache.attl("key") <= 10
    assert await cache.adecr("key", 100) == start
    with pytest.raises(ValueError, match="'none' not found"):
        await cache.aincr("none")


async def test_aget_or_set(cache: Any) -> None:
    async def slow() -> str:
        await asyncio.sleep(0)
        return "made"

    assert await cache.aget_or_set("key", slow, 10) == "made"
    assert await cache.aget_or_set("key", "other") == "made"
    assert await cache.aget_or_set("none", None) is None
    assert await cache.ahas_key("none")
    assert await cache.aget_or_set("plain", lambda: 5) == 5


async def test_alock(cache: Any) -> None:
    async with cache.alock("job", timeout=10) as lock:
        assert await cache.alock("job", blocking=False).acquire() is False
        assert await lock.owned()
    assert not await lock.locked()


async def test_a_lazy_queryset_is_refused_with_the_remedy(cache: Any) -> None:
    for call in (
        lambda: cache.aset("key", ContentType.objects.all()),
        lambda: cache.aset("key", {"rows": ContentType.objects.all()}),
        lambda: cache.aset_many({"fine": 1, "key": ContentType.objects.all()}),
    ):
        with pytest.raises(SerializationError, match="async for row in queryset"):
            await call()
    assert await cache.aget_many(["fine", "key"]) == {}


def test_many_loops_one_after_the_other(cache: Any) -> None:
    cache.set("key", 0)
    for _ in range(20):
        async_to_sync(cache.aincr)("key")
    assert async_to_sync(cache.aget)("key") == 20

    async def twice() -> list[Any]:
        return [await caches["default"].aget("key"), await cache.aget("key")]

    assert asyncio.run(twice()) == [20, 20]


async def test_sync_and_async_share_what_they_store(cache: Any) -> None:
    for value in ([1], "text", 5):
        cache.set("key", value)
        assert await cache.aget("key") == value
        await cache.aset("key", value)
        assert cache.get("key") == value
