"""The patterns while no server answers, and where it stops to answer in the middle."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection, transaction
from redis.exceptions import ConnectionError as RedisConnectionError

from cacheapp.cache import LockLostError, LockTimeoutError
from tests.cache.aliases import maker

#: Nobody listens there.
DEAD = "redis://127.0.0.1:1/0"
NO_RETRY = {"CONNECTION_POOL_KWARGS": {"retry": None}}


@pytest.fixture
def degraded(settings: Any) -> Any:
    return maker(settings)(DEAD, "degraded", {"IGNORE_EXCEPTIONS": True, **NO_RETRY})


@pytest.fixture
def strict(settings: Any) -> Any:
    return maker(settings)(DEAD, "strict", NO_RETRY)


class Deaf:
    """A client of a server that has just gone."""

    def __getattr__(self, name: str) -> Callable[..., Any]:
        def fail(*_: Any, **__: Any) -> Any:
            raise RedisConnectionError("gone")

        return fail


@pytest.fixture
def cut(settings: Any, monkeypatch: pytest.MonkeyPatch) -> tuple[Any, Callable[[], None]]:
    """A strict alias on an engine, and what cuts it off."""
    cache = maker(settings)("memory://cut/0", "cut", {"BREAKER": 0})
    cache.client.get_client().flushall()

    def go() -> None:
        monkeypatch.setattr(cache.client, "get_client", lambda *_, **__: Deaf())

    return cache, go


async def awrite() -> int:
    return 1


def test_a_write_without_a_server(degraded: Any, strict: Any) -> None:
    async def asynchronously() -> None:
        assert await degraded.awrite_through("key", awrite) == 1
        assert await degraded.awrite_through("key", awrite, tags=["t"]) == 1
        written = []

        async def write() -> None:
            written.append(1)

        with pytest.raises(RedisConnectionError):
            await strict.awrite_through("key", write)
        assert not written
        await degraded.aclose()
        await strict.aclose()

    asyncio.run(asynchronously())


def test_a_row_that_is_written_is_no_error(
    cut: tuple[Any, Callable[[], None]], caplog: pytest.LogCaptureFixture
) -> None:
    cache, go = cut

    async def write() -> int:
        go()
        return 1

    with caplog.at_level(logging.ERROR, "cacheapp.cache"):
        assert asyncio.run(cache.awrite_through("key", write)) == 1
    assert "not to cache 'cut'" in caplog.text


@pytest.mark.django_db(transaction=True)
def test_nor_after_a_commit(
    cut: tuple[Any, Callable[[], None]], caplog: pytest.LogCaptureFixture
) -> None:
    cache, go = cut

    def write() -> int:
        assert connection.in_atomic_block
        go()
        return 1

    assert cache.write_through("key", write) == 1
    assert "on_commit" in caplog.text
    with transaction.atomic(), pytest.raises(RedisConnectionError):
        cache.write_through("key", write)


def test_a_lock_without_a_server(degraded: Any, strict: Any) -> None:
    lock = degraded.token_lock("job", wait=0)
    assert [lock.acquire(), lock.extend(), lock.release(), lock.owned()] == [False] * 4
    with pytest.raises(LockTimeoutError, match="does not answer"), lock:
        pytest.fail("it was given")
    for name in ("acquire", "extend", "release", "owned"):
        with pytest.raises(RedisConnectionError):
            getattr(strict.token_lock("job"), name)()

    async def asynchronously() -> None:
        lock = degraded.token_lock("job", wait=0)
        assert await lock.aacquire() is False
        assert await lock.aextend() is False
        assert await lock.arelease() is False
        assert await lock.aowned() is False
        with pytest.raises(LockTimeoutError):
            async with lock:
                pytest.fail("it was given")
        for name in ("aacquire", "aextend", "arelease", "aowned"):
            with pytest.raises(RedisConnectionError):
                await getattr(strict.token_lock("job"), name)()
        await degraded.aclose()
        await strict.aclose()

    asyncio.run(asynchronously())


@pytest.mark.parametrize("error", [LookupError(), None])
def test_a_server_that_goes_while_a_lock_is_held(
    cut: tuple[Any, Callable[[], None]], error: Exception | None
) -> None:
    cache, go = cut
    reached = []

    def work() -> None:
        with cache.token_lock("job"):
            reached.append(1)
            go()
            if error is not None:
                raise error

    # What went wrong inside, and not what releasing met with.
    with pytest.raises(RedisConnectionError if error is None else LookupError):
        work()
    assert reached


def test_what_releasing_finds_out_is_said(degraded: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    lock = degraded.token_lock("job")
    monkeypatch.setattr(lock, "acquire", lambda: True)
    with pytest.raises(LockLostError), lock:
        pass


def test_stale_values_and_many_keys_without_a_server(degraded: Any) -> None:
    calls: list[Any] = []

    def load(keys: list[str]) -> dict[str, int]:
        calls.append(keys)
        return {key: len(calls) for key in keys if key != "none"}

    for options in ({}, {"stale_ttl": 5}, {"early": 1.0, "tags": ["t"]}):
        found = degraded.get_or_set_many(["a", "none", "b"], load, 60, **options)
        assert found == dict.fromkeys("ab", len(calls))
        assert degraded.get_or_set("key", lambda: 5, 60, **options) == 5
    assert calls == [["a", "none", "b"]] * 3
    failures = degraded.state.outages.failures
    degraded.get_or_set("key", lambda: 5, 60, stale_ttl=5)
    assert degraded.state.outages.failures > failures
    assert degraded.invalidate_prefix("user:") == 0
    assert degraded.invalidate_version() == 0
