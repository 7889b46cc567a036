"""Leases on both servers: places, their end, and giving them back."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured

from cacheapp.cache.servers import server_of
from cacheapp.ratelimit.concurrency import ConcurrencyLimiter
from tests.cache.aliases import maker
from tests.contract.conftest import Server


@pytest.fixture(autouse=True)
def alias(server: Server, settings: Any) -> None:
    maker(settings)(server.url)


def test_places_are_taken_and_given_back() -> None:
    limiter = ConcurrencyLimiter("jobs", 2, 60)
    first, second, third = (limiter.acquire("a") for _ in range(3))
    assert [bool(slot) for slot in (first, second, third)] == [True, True, False]
    assert [slot.remaining for slot in (first, second, third)] == [1, 0, 0]
    assert 50 < third.retry_after_s <= 60
    assert limiter.acquire("b")
    assert limiter.release("a", first)
    assert not limiter.release("a", first)
    assert not limiter.release("a", third)
    assert limiter.acquire("a")


def test_a_place_can_be_kept() -> None:
    limiter = ConcurrencyLimiter("jobs", 1, 60)
    slot = limiter.acquire("a")
    assert limiter.acquire("a", slot.name)
    assert not limiter.acquire("a")


def test_a_lease_ends_by_itself() -> None:
    limiter = ConcurrencyLimiter("jobs", 1, 0.05)
    assert limiter.acquire("a")
    while not limiter.acquire("a"):
        pass
    assert 0 < server_of("default").client().pttl(limiter.key("a")) <= 51


def test_a_block_gives_its_place_back_whatever_happens() -> None:
    limiter = ConcurrencyLimiter("jobs", 1, 60)
    found = []

    def fail() -> None:
        with limiter.slot("a") as slot, limiter.slot("a") as other:
            found.extend([bool(slot), bool(other)])
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert found == [True, False]
    with limiter.slot("a") as slot:
        assert slot


async def test_async_blocks() -> None:
    limiter = ConcurrencyLimiter("jobs", 1, 60)
    async with limiter.aslot("a") as slot:
        assert slot
        async with limiter.aslot("a") as other:
            assert not other
    assert await limiter.aacquire("a")


def test_threads_never_hold_more_than_the_limit() -> None:
    limiter = ConcurrencyLimiter("jobs", 3, 60)
    inside, most, lock = 0, 0, threading.Lock()

    def work(_number: int) -> None:
        nonlocal inside, most
        for _ in range(20):
            with limiter.slot("a") as slot:
                if slot:
                    with lock:
                        inside += 1
                        most = max(most, inside)
                    with lock:
                        inside -= 1

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8)))
    assert 1 <= most <= 3
    assert limiter.acquire("a").remaining == 2


@pytest.mark.parametrize(("policy", "given"), [("open", True), ("closed", False)])
async def test_without_a_server(settings: Any, policy: str, given: bool) -> None:
    options = {"CONNECTION_POOL_KWARGS": {"retry": None}, "BREAKER": 60}
    maker(settings)("redis://127.0.0.1:1/0", alias="away", options=options)
    limiter = ConcurrencyLimiter("jobs", 1, alias="away", on_failure=policy)
    with limiter.slot("a") as slot:
        assert bool(slot) is given
    async with limiter.aslot("a") as slot:
        assert bool(slot) is given


@pytest.mark.parametrize(
    "arguments", [{"limit": -1}, {"limit": 1.5}, {"lease_s": 0}, {"on_failure": "local"}]
)
def test_wrong_arguments(arguments: dict[str, Any]) -> None:
    with pytest.raises(ImproperlyConfigured):
        ConcurrencyLimiter("jobs", **{"limit": 1, **arguments})
