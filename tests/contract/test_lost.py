"""An outage that a process rode out: what it could not delete is gone when the server answers."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any

import pytest
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import ReadOnlyError, RedisError

from cacheapp.cache import lost
from tests.cache.aliases import maker
from tests.contract.conftest import Server


class Deaf:
    """A client that reaches nobody, or somebody who refuses."""

    def __init__(self, error: RedisError) -> None:
        self._error = error

    def __getattr__(self, name: str) -> Callable[..., Any]:
        def fail(*_: Any, **__: Any) -> Any:
            raise self._error

        return fail


class Outage:
    """An alias, and the line to its server that can be cut."""

    def __init__(self, cache: Any) -> None:
        self.cache = cache
        self._get, self._aget = cache.client.get_client, cache.client.get_async_client

    def cut(self, error: RedisError | None = None) -> None:
        deaf = Deaf(error or RedisConnectionError("gone"))
        self.cache.client.get_client = lambda write=True: deaf
        self.cache.client.get_async_client = lambda write=True: deaf

    def mend(self) -> None:
        self.cache.client.get_client = self._get
        self.cache.client.get_async_client = self._aget


@pytest.fixture
def outage(server: Server, settings: Any) -> Outage:
    options = {"IGNORE_EXCEPTIONS": True, "BREAKER": 0, "PREFIXES": ["user:*:"]}
    return Outage(maker(settings)(server.url, options=options, KEY_PREFIX="p"))


CHANGES: dict[str, Callable[[Any], Any]] = {
    "delete": lambda cache: cache.delete("key"),
    "delete_many": lambda cache: cache.delete_many(["other", "key"]),
    "set": lambda cache: cache.set("key", "new"),
    "set with tags": lambda cache: cache.set("key", "new", tags=["u"]),
    "set_many": lambda cache: cache.set_many({"key": "new"}),
    "incr": lambda cache: cache.incr("key"),
    "decr": lambda cache: cache.decr("key", 2),
    "tags": lambda cache: cache.invalidate_tags(["t"]),
    "adelete": lambda cache: asyncio.run(cache.adelete("key")),
    "aset": lambda cache: asyncio.run(cache.aset("key", "new")),
    "awrite_through": lambda cache: asyncio.run(cache.awrite_through("key", write)),
}


async def write() -> str:
    return "new"


@pytest.mark.parametrize("change", CHANGES)
def test_what_could_not_be_said_is_made_up_for(outage: Outage, change: str) -> None:
    cache = outage.cache
    cache.set("key", 5, None, tags=["t"])
    cache.set("kept", 5, None)
    outage.cut()
    CHANGES[change](cache)
    assert cache.get("key") is None
    outage.mend()
    assert cache.get("key") is None
    assert cache.get("kept") == 5
    assert not cache.state.outages.lost


READS: dict[str, Callable[[Any], Any]] = {
    "get": lambda cache: cache.get("user:1:a"),
    "get_many": lambda cache: cache.get_many(["user:1:a"]).get("user:1:a"),
    "get_or_set": lambda cache: cache.get_or_set("user:1:a", lambda: None),
    "add": lambda cache: None if cache.add("user:1:a", "new") else "there",
    "aget": lambda cache: asyncio.run(cache.aget("user:1:a")),
    "has_key": lambda cache: cache.has_key("user:1:a") or None,
}


@pytest.mark.parametrize("read", READS)
def test_before_anything_else(outage: Outage, read: str) -> None:
    cache = outage.cache
    cache.set("user:1:a", "old")
    outage.cut()
    assert cache.invalidate_prefix("user:1:") == 0
    outage.mend()
    assert READS[read](cache) is None


def test_a_server_that_refuses_writes_is_read(outage: Outage) -> None:
    cache = outage.cache
    cache.set("key", "old")
    client = outage._get()

    class Replica(Deaf):
        def get(self, name: Any) -> Any:
            return client.get(name)

        def mget(self, *names: Any) -> Any:
            return client.mget(*names)

    outage.cut()
    cache.delete("key")
    replica = Replica(ReadOnlyError("read only"))
    cache.client.get_client = lambda write=True: replica
    assert cache.get("key") == "old"
    assert len(cache.state.outages.lost) == 1
    outage.mend()
    assert cache.get("key") is None


def test_the_memory_is_bounded(
    outage: Outage, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(lost, "NAMES_MAX", 3)
    cache = outage.cache
    for number in range(5):
        cache.set(str(number), "old")
    outage.cut()
    with caplog.at_level(logging.ERROR, "cacheapp.cache"):
        for number in range(5):
            cache.delete(str(number))
    assert sum("more than 3 keys" in record.getMessage() for record in caplog.records) == 1
    outage.mend()
    assert cache.get_many([str(number) for number in range(5)]) == {"3": "old", "4": "old"}


def test_who_got_an_exception_knows(server: Server, settings: Any) -> None:
    outage = Outage(maker(settings)(server.url, options={"BREAKER": 0}))
    outage.cache.set("key", "old")
    outage.cut()
    with pytest.raises(RedisConnectionError):
        outage.cache.delete("key")
    outage.mend()
    assert outage.cache.get("key") == "old"
