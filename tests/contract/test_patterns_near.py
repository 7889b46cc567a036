"""The patterns in front of a near cache: a hit asks nobody, and nothing is served past its time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from math import inf
from typing import Any

import pytest

from tests.contract.nearcaches import two_processes, until
from tests.redis_server import RedisServer

Patch = pytest.MonkeyPatch


@pytest.fixture
def cache(redis_server: RedisServer, settings: Any) -> Iterator[Any]:
    with two_processes(redis_server, settings) as (one, _):
        yield one


class Unplugged:
    """A client by which nobody is reached."""

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"the server was asked for {name}")


def nothing() -> Any:
    raise AssertionError("it was computed")


WAYS: dict[str, dict[str, Any]] = {
    "plain": {},
    "stale": {"stale_ttl": 60},
    "tags": {"tags": ["a", "b"]},
    "early": {"early": 1e-9},
    "all": {"stale_ttl": 60, "tags": ["a"], "early": 1e-9, "jitter": 0.1},
}
READS: dict[str, Callable[[Any, dict[str, Any]], Any]] = {
    "get": lambda cache, options: cache.get("key"),
    "get_many": lambda cache, options: cache.get_many(["key"])["key"],
    "get_or_set": lambda cache, options: cache.get_or_set("key", nothing, 60, **options),
}


def read_many(cache: Any, options: dict[str, Any]) -> Any:
    return cache.get_or_set_many(["key"], lambda keys: nothing(), 60, **options)["key"]


@pytest.mark.parametrize("way", WAYS)
def test_a_hit_asks_nobody(cache: Any, monkeypatch: Patch, way: str) -> None:
    options = WAYS[way]
    reads = {**READS, **({} if "early" in options else {"many": read_many})}
    assert cache.get_or_set("key", lambda: "value", 60, **options) == "value"

    def is_copied() -> bool:
        assert cache.get_or_set("key", nothing, 60, **options) == "value"
        return cache.near.copies.peek(b"p:1:key") is not None

    until(is_copied)
    assert all(read(cache, options) == "value" for read in reads.values())
    # Without a listener, and with a lease that does not end: a slow machine renews it too late.
    thread = cache.near.listener._thread
    cache.near.listener.stop()
    thread.join(20)
    cache.near.copies.renew(inf)
    until(is_copied)
    monkeypatch.setattr(cache.client, "get_client", lambda *_, **__: Unplugged())
    monkeypatch.setattr(cache.client, "get_async_client", lambda *_, **__: Unplugged())
    assert [read(cache, options) for read in reads.values()] == ["value"] * len(reads)

    async def asynchronously() -> list[Any]:
        return [
            await cache.aget("key"),
            (await cache.aget_many(["key"]))["key"],
            await cache.aget_or_set("key", nothing, 60, **options),
        ]

    assert asyncio.run(asynchronously()) == ["value"] * 3


def test_a_copy_ends_when_its_value_is_stale(cache: Any) -> None:
    cache.get_or_set("key", lambda: "old", 0.5, stale_ttl=60)
    cache.get("key")
    until(lambda: cache.get("key") is None)
    assert cache.get_many(["key"]) == {}
    assert cache.near.copies.peek(b"p:1:key") is None
    assert cache.get_or_set("key", lambda: "new", 60, stale_ttl=60) == "new"
    assert cache.get("key") == "new"


def test_who_is_early_asks_the_server(cache: Any) -> None:
    cache.get_or_set("key", lambda: "old", 60, early=1e-9)
    until(lambda: cache.get("key") and cache.near.copies.peek(b"p:1:key"))
    assert cache.get_or_set("key", nothing, 60, early=1e-9) == "old"
    assert cache.get_or_set("key", lambda: "new", 60, early=1e12) == "new"
    assert cache.get("key") == "new"


def test_a_value_for_ever_is_never_early(cache: Any) -> None:
    cache.get_or_set("key", lambda: "old", None, early=1e-9)
    until(lambda: cache.get("key") and cache.near.copies.peek(b"p:1:key"))
    assert cache.get_or_set("key", nothing, None, early=1e12) == "old"
