"""The patterns on both servers, ended in the middle: cancelled, killed, without a reply, reentrant.

A course is driven by hand up to the moment in question, where the server has done what it was asked
and the caller never hears of it. What must not stay is a lease that nobody holds: all others would
wait for it.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from redis.exceptions import TimeoutError as RedisTimeoutError

from cacheapp.cache import entries
from cacheapp.cache import tags as tagging
from cacheapp.cache.aside import NOT_FOUND, look, make_plan, obtain
from cacheapp.cache.asidemany import _course
from cacheapp.cache.singleflight import Flight
from tests.cache.aliases import maker
from tests.contract.conftest import Server

WAIT_S = 600.0
ENDS = [asyncio.CancelledError(), SystemExit(1), RedisTimeoutError("no reply")]


@pytest.fixture
def cache(server: Server, settings: Any) -> Any:
    return maker(settings)(server.url, KEY_PREFIX="p")


def break_off(cache: Any, course: Any, after: int, error: BaseException) -> None:
    """Run a course, and have it hear `error` in place of what its effect number `after` gave."""
    effect = next(course)
    for number in range(100):
        given = effect.wait(cache)
        try:
            effect = course.throw(error) if number == after else course.send(given)
        except type(error):
            assert number >= after
            return
    raise AssertionError("it did not end")


@pytest.mark.parametrize("error", ENDS, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("after", range(4), ids=["take", "tags", "compute", "fill"])
def test_get_or_set_leaves_no_lease(cache: Any, after: int, error: BaseException) -> None:
    course = obtain(cache, b"p:1:key", make_plan(lambda: 1, 60, tags=["t"]), NOT_FOUND)
    break_off(cache, course, after, error)
    is_stored = after == 3
    assert cache.get_or_set("key", lambda: 2, 60, tags=["t"], wait=WAIT_S) == (
        1 if is_stored else 2
    )
    assert len(cache.state.flights) == 0


@pytest.mark.parametrize("error", ENDS, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("after", range(4), ids=["get", "take", "compute", "fill"])
def test_get_or_set_many_leaves_no_lease(cache: Any, after: int, error: BaseException) -> None:
    def load(keys: list[str]) -> dict[str, int]:
        return dict.fromkeys(keys, 1)

    course = _course(cache, ["a", "b"], load, None, make_plan(None, 60))
    break_off(cache, course, after, error)
    found = cache.get_or_set_many(["a", "b"], lambda keys: dict.fromkeys(keys, 2), wait=WAIT_S)
    assert found == dict.fromkeys(["a", "b"], 1 if after == 3 else 2)
    assert len(cache.state.flights) == 0


@pytest.mark.parametrize("error", ENDS, ids=lambda error: type(error).__name__)
def test_acquiring_leaves_no_lock(cache: Any, error: BaseException) -> None:
    lock = cache.token_lock("job")
    break_off(cache, lock._acquire(None), 0, error)
    assert cache.token_lock("job").acquire(wait=0)


@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit(1)])
def test_a_function_that_ends_its_thread_ends_its_lease(cache: Any, error: BaseException) -> None:
    def end() -> None:
        raise error

    for call in (
        lambda: cache.get_or_set("key", end),
        lambda: cache.get_or_set_many(["key"], lambda keys: end()),
    ):
        with pytest.raises(type(error)):
            call()
        assert cache.client.get_client().exists("p:1:key") == 0
        assert len(cache.state.flights) == 0


def test_a_write_that_cannot_open_leaves_no_lease(
    cache: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> Any:
        raise RedisTimeoutError
        yield

    monkeypatch.setattr(tagging, "versions", fail)
    with pytest.raises(RedisTimeoutError):
        cache.write_through("key", lambda: pytest.fail("it began"), tags=["t"])
    assert cache.client.get_client().exists("p:1:key") == 0


def test_a_value_that_went_between_two_questions_is_missing(cache: Any) -> None:
    raw = entries.Wrapped(cache.codec.encode("old", b"key"), stale_ms=60_000).pack()
    steps = look(cache, b"key", make_plan(None))
    next(steps)
    with pytest.raises(StopIteration) as end:
        steps.send([raw, -2])
    assert end.value.value is NOT_FOUND


# Who would wait for itself


async def test_a_task_started_by_the_function_does_not_wait_for_it(cache: Any) -> None:
    async def inner() -> str:
        return "inner"

    async def load() -> str:
        task = asyncio.create_task(cache.aget_or_set("key", inner, wait=WAIT_S))
        (value,) = await asyncio.gather(task)
        return str(value)

    assert await cache.aget_or_set("key", load) == "inner"
    await cache.aclose()


async def test_a_call_that_blocks_the_loop_does_not_wait_for_its_tasks(cache: Any) -> None:
    begun, go = asyncio.Event(), asyncio.Event()

    async def load() -> str:
        begun.set()
        await go.wait()
        return "task"

    leader = asyncio.ensure_future(cache.aget_or_set("key", load))
    await begun.wait()
    assert cache.get_or_set("key", lambda: "own", wait=WAIT_S) == "own"
    go.set()
    assert await leader == "task"
    await cache.aclose()


def test_a_loader_of_many_may_ask_for_its_own_keys(cache: Any) -> None:
    def load(keys: list[str]) -> dict[str, str]:
        one = {key: cache.get_or_set(key, key.upper, wait=WAIT_S) for key in keys}
        many = cache.get_or_set_many(
            keys, lambda keys: {key: key.upper() for key in keys}, wait=WAIT_S
        )
        assert one == many
        return one

    assert cache.get_or_set_many(["a", "b"], load) == {"a": "A", "b": "B"}
    assert cache.get_many(["a", "b"]) == {"a": "A", "b": "B"}


async def test_who_was_cancelled_leaves_nothing_with_the_flight(cache: Any) -> None:
    begun, go = asyncio.Event(), asyncio.Event()

    async def load() -> int:
        begun.set()
        await go.wait()
        return 1

    leader = asyncio.ensure_future(cache.aget_or_set("key", load))
    await begun.wait()
    flight, leads = cache.state.flights.join(b"p:1:key")
    assert not leads
    followers = [asyncio.ensure_future(cache.aget_or_set("key", load)) for _ in range(5)]
    async with asyncio.timeout(20):
        while len(flight._futures) < 5:  # noqa: ASYNC110 - the flight tells nobody
            await asyncio.sleep(0)
    for follower in followers:
        follower.cancel()
    assert len(await asyncio.gather(*followers, return_exceptions=True)) == 5
    assert not flight._futures
    go.set()
    assert await leader == 1
    await cache.aclose()


# What followers get


class Followers:
    """Calls in threads of their own, all of which wait for one flight before it may end."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.waiting = threading.Semaphore(0)
        self.begun, self.go = threading.Event(), threading.Event()
        self.calls = 0
        wait = Flight.wait

        def counted(flight: Flight, seconds: float) -> Any:
            self.waiting.release()
            return wait(flight, seconds)

        monkeypatch.setattr(Flight, "wait", counted)

    def load(self, *_: Any) -> str:
        self.calls += 1
        self.begun.set()
        assert self.go.wait(20)
        return "value"

    def run(self, lead: Callable[[], Any], follow: Callable[[], Any], count: int = 4) -> list[Any]:
        """What the leader's call and the others' give: values, or errors."""
        with ThreadPoolExecutor(count + 1) as pool:
            calls = [pool.submit(lead)]
            assert self.begun.wait(10)
            calls += [pool.submit(follow) for _ in range(count)]
            for _ in range(count):
                assert self.waiting.acquire(timeout=10)
            self.go.set()
            return [call.exception(20) or call.result() for call in calls]


@pytest.fixture
def followers(monkeypatch: pytest.MonkeyPatch) -> Followers:
    return Followers(monkeypatch)


def test_what_is_not_kept_is_shared_all_the_same(cache: Any, followers: Followers) -> None:
    def call() -> Any:
        return cache.get_or_set("key", followers.load, 0)

    assert followers.run(call, call) == ["value"] * 5
    assert followers.calls == 1
    assert not cache.has_key("key")


def test_followers_of_many_get_what_was_loaded(cache: Any, followers: Followers) -> None:
    def load(keys: list[str]) -> dict[str, str]:
        return dict.fromkeys(keys, followers.load())

    def many() -> Any:
        return cache.get_or_set_many(["a", "b"], load)

    found = followers.run(many, lambda: cache.get_or_set("b", followers.load))
    assert found == [{"a": "value", "b": "value"}, *["value"] * 4]
    assert followers.calls == 1


def test_what_a_loader_leaves_out_is_nobody_else_s_error(cache: Any, followers: Followers) -> None:
    def load(keys: list[str]) -> dict[str, str]:
        followers.load()
        return {}

    def one() -> Any:
        return cache.get_or_set("a", lambda: "own")

    assert followers.run(lambda: cache.get_or_set_many(["a"], load), one) == [{}, *["own"] * 4]


def test_without_a_server_an_error_is_everybody_s(settings: Any, followers: Followers) -> None:
    options = {
        "IGNORE_EXCEPTIONS": True,
        "BREAKER": 3600,
        "CONNECTION_POOL_KWARGS": {"retry": None},
    }
    # Port 1 of the loopback address: nobody listens there.
    cache = maker(settings)("redis://127.0.0.1:1/0", "dead", options=options)

    def fail() -> None:
        followers.load()
        raise LookupError

    found = followers.run(
        lambda: cache.get_or_set("key", fail), lambda: cache.get_or_set("key", fail)
    )
    assert [type(error) for error in found] == [LookupError] * 5
    assert followers.calls == 1
