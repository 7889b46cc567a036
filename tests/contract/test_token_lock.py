"""cache.token_lock on both servers: one holder, its number, and what a lost lock says."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from cacheapp.cache import LockLostError, LockTimeoutError
from cacheapp.cache.tokenlock import EXTEND, LOCK, UNLOCK
from tests.cache.aliases import maker
from tests.contract.conftest import Server
from tests.native_forms import BothForms


@pytest.fixture
def cache(server: Server, settings: Any) -> Any:
    return maker(settings)(server.url, KEY_PREFIX="p")


def lose(cache: Any, key: str = "job") -> None:
    assert cache.client.get_client().delete(f"p:lock:{{{key}}}")


def test_one_holder_at_a_time(cache: Any) -> None:
    lock, other = cache.token_lock("job"), cache.token_lock("job", wait=0)
    assert lock.fence is None
    with lock as held:
        assert held is lock
        assert lock.owned()
        assert not other.owned()
        assert other.acquire() is False
        assert other.release() is False
        assert other.extend() is False
        first = lock.fence
        assert lock.extend(100) is True
        assert 90_000 < cache.client.get_client().pttl("p:lock:{job}") <= 100_000
        cache.clear()
        assert lock.owned()
        with pytest.raises(LockTimeoutError, match="job"), other:
            pytest.fail("two holders")
    assert lock.fence is None
    assert other.acquire() is True
    assert other.fence > first > 1_000_000_000_000_000
    assert other.release() is True
    assert other.release() is False


def test_numbers_grow_whatever_is_lost(cache: Any) -> None:
    numbers = []
    for _ in range(5):
        with cache.token_lock("job") as lock:
            numbers.append(lock.fence)
        cache.client.get_client().flushall()
    assert numbers == sorted(set(numbers))


def test_a_lost_lock_is_not_hidden(cache: Any) -> None:
    def work(timeout: float, error: Exception | None = None) -> None:
        with cache.token_lock("job", timeout) as lock:
            if timeout > 1:
                lose(cache)
            while lock.owned():
                pass
            assert lock.extend() is False
            if error is not None:
                raise error

    with pytest.raises(LockLostError, match="extend"):
        work(30)
    with pytest.raises(LockLostError, match="extend"):
        work(0.001)
    with pytest.raises(ZeroDivisionError):
        work(30, ZeroDivisionError())


def test_a_waiter_gets_its_turn(cache: Any) -> None:
    turns: list[int] = []
    barrier = threading.Barrier(8)

    def work(_: int) -> None:
        barrier.wait(10)
        with cache.token_lock("job", wait=20) as lock:
            turns.append(lock.fence)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8)))
    assert turns == sorted(set(turns))
    assert len(turns) == 8


async def test_natively(cache: Any) -> None:
    async with cache.token_lock("job") as lock:
        assert await lock.aowned()
        assert await lock.aextend(5)
        waiter = asyncio.ensure_future(cache.token_lock("job").aacquire())
        await asyncio.sleep(0)
        waiter.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiter
        assert await cache.token_lock("job").aacquire(wait=0) is False
    other = cache.token_lock("job")
    assert await other.aacquire(wait=0)
    assert await other.arelease()
    with pytest.raises(LockLostError):
        async with cache.token_lock("job"):
            lose(cache)
    await cache.aclose()


@pytest.mark.parametrize("wrong", [{"timeout": 0}, {"timeout": None}, {"wait": -1}])
def test_wrong_times(cache: Any, wrong: dict[str, Any]) -> None:
    with pytest.raises((ValueError, TypeError)):
        cache.token_lock("job", **wrong)


def test_the_native_forms() -> None:
    both = BothForms(1_700_000_000.25)
    keys = [b"lock", b"fence"]
    assert both.run(LOCK, keys, [b"one", 500]) == 1_700_000_000_250_000
    both.advance(0.1)
    assert both.run(LOCK, keys, [b"two", 500]) == -400
    assert both.run(EXTEND, keys[:1], [b"two", 500]) == 0
    assert both.run(EXTEND, keys[:1], [b"one", 900]) == 1
    assert both.run(UNLOCK, keys[:1], [b"two"]) == 0
    assert both.run(UNLOCK, keys[:1], [b"one"]) == 1
    both.command("SET", "fence", "1800000000000000")
    assert both.run(LOCK, keys, [b"two", 500]) == 1_800_000_000_000_001
    # Asked again by a client that lost the reply.
    assert both.run(LOCK, keys, [b"two", 500]) == 1_800_000_000_000_002
    both.command("PERSIST", "lock")
    assert both.run(LOCK, keys, [b"one", 500]) == 0
