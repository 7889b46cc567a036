"""get_or_set on both servers: one computation, leases that any write ends, stale and early values.

Threads and tasks meet on events, never on a clock. Where time has to pass, the lease or the
timeout is short and the test waits for the key itself.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from cacheapp.cache.aside import Found, draw, make_plan
from tests.cache.aliases import maker
from tests.contract.conftest import Server

THREADS = 50


@pytest.fixture
def cache(server: Server, settings: Any) -> Any:
    return maker(settings)(server.url, KEY_PREFIX="p")


class Loader:
    """A function to compute with that counts its calls, and can be held up."""

    def __init__(self, value: Any = "value", *, held: bool = False) -> None:
        self.value = value
        self.calls = 0
        self.begun = threading.Event()
        self.go = threading.Event()
        if not held:
            self.go.set()

    def __call__(self) -> Any:
        self.calls += 1
        self.begun.set()
        assert self.go.wait(20)
        if isinstance(self.value, BaseException):
            raise self.value
        return self.value


def until(condition: Callable[[], Any]) -> None:
    """Wait for something that a server does by its own clock."""
    deadline = time.monotonic() + 10
    pause = threading.Event()
    while not condition():
        assert time.monotonic() < deadline
        pause.wait(0.005)


def test_the_signature_of_django(cache: Any) -> None:
    assert cache.get_or_set("a", 1, 20) == 1
    assert cache.get_or_set("a", 2) == 1
    assert cache.ttl("a") in (19, 20)
    assert cache.get_or_set("a", lambda: 3, version=2) == 3
    assert cache.get_or_set("none", lambda: None) is None
    load = Loader()
    assert cache.get_or_set("none", load) is None
    assert load.calls == 0
    assert cache.get_or_set("gone", "x", 0) == "x"
    assert not cache.has_key("gone")
    assert cache.get_or_set("ever", "x", None) == "x"
    assert cache.ttl("ever") is None
    assert cache.get_or_set("long", "abc", lambda value: len(value) * 10) == "abc"
    assert cache.ttl("long") in (29, 30)


@pytest.mark.parametrize("options", [{}, {"tags": ["t"]}, {"stale_ttl": 5, "early": 1.0}])
def test_fifty_threads_compute_once(server: Server, cache: Any, options: dict[str, Any]) -> None:
    load = Loader([1, 2], held=True)
    with ThreadPoolExecutor(THREADS) as pool:
        calls = [pool.submit(cache.get_or_set, "key", load, **options) for _ in range(THREADS)]
        assert load.begun.wait(10)
        load.go.set()
        values = [call.result(20) for call in calls]
    assert load.calls == 1
    assert values == [[1, 2]] * THREADS
    assert len({id(value) for value in values}) == THREADS
    assert len(cache.state.flights) == 0
    assert cache.get("key") == [1, 2]


async def test_fifty_tasks_compute_once(cache: Any) -> None:
    begun, go, calls = asyncio.Event(), asyncio.Event(), 0

    async def load() -> list[int]:
        nonlocal calls
        calls += 1
        begun.set()
        await go.wait()
        return [1]

    tasks = [asyncio.ensure_future(cache.aget_or_set("key", load)) for _ in range(THREADS)]
    await begun.wait()
    for _ in range(20):
        await asyncio.sleep(0)
    go.set()
    assert await asyncio.gather(*tasks) == [[1]] * THREADS
    assert calls == 1
    assert await cache.aget_or_set("key", load, tags=["t"]) == [1]
    await cache.aclose()


async def test_a_thread_leads_and_tasks_follow(cache: Any) -> None:
    load = Loader(held=True)
    leader = asyncio.get_running_loop().run_in_executor(None, cache.get_or_set, "key", load)
    while not load.begun.is_set():  # noqa: ASYNC110 - a thread sets it
        await asyncio.sleep(0)
    follower = asyncio.ensure_future(cache.aget_or_set("key", load))
    await asyncio.sleep(0)
    load.go.set()
    assert await follower == await leader == "value"
    assert load.calls == 1
    await cache.aclose()


def test_one_s_error_is_everybody_s_and_the_next_call_tries_again(cache: Any) -> None:
    load = Loader(LookupError("no such row"), held=True)
    with ThreadPoolExecutor(5) as pool:
        calls = [pool.submit(cache.get_or_set, "key", load) for _ in range(5)]
        assert load.begun.wait(10)
        until(lambda: len(cache.state.flights) == 1)
        load.go.set()
        errors = [call.exception(20) for call in calls]
    assert {type(error) for error in errors} == {LookupError}
    assert not cache.has_key("key")
    assert cache.get_or_set("key", "mended") == "mended"


async def test_a_cancelled_leader_leaves_the_work_to_the_next(cache: Any) -> None:
    begun = asyncio.Event()

    async def never() -> None:
        begun.set()
        await asyncio.Event().wait()

    leader = asyncio.ensure_future(cache.aget_or_set("key", never))
    await begun.wait()
    follower = asyncio.ensure_future(cache.aget_or_set("key", lambda: "second"))
    impatient = asyncio.ensure_future(cache.aget_or_set("key", lambda: "third"))
    for _ in range(5):
        await asyncio.sleep(0)
    impatient.cancel()
    leader.cancel()
    with pytest.raises(asyncio.CancelledError):
        await leader
    assert await follower == "second"
    assert await cache.aget("key") == "second"
    await cache.aclose()


@pytest.mark.parametrize(
    "meanwhile",
    [
        lambda cache: cache.set("key", "newer"),
        lambda cache: cache.add("key", "newer"),
        lambda cache: cache.set_many({"key": "newer"}),
        lambda cache: cache.delete("key"),
        lambda cache: cache.clear(),
        lambda cache: cache.invalidate_prefix("k"),
        lambda cache: cache.client.get_client().flushall(),
    ],
    ids=["set", "add", "set_many", "delete", "clear", "prefix", "flushall"],
)
def test_a_slow_loser_s_value_is_refused(cache: Any, meanwhile: Callable[[Any], Any]) -> None:
    load = Loader("older", held=True)
    with ThreadPoolExecutor(1) as pool:
        call = pool.submit(cache.get_or_set, "key", load)
        assert load.begun.wait(10)
        assert cache.get("key") is None
        assert not cache.has_key("key")
        meanwhile(cache)
        expected = cache.get("key")
        load.go.set()
        assert call.result(20) == (expected or "older")
    assert cache.get("key") == expected


def test_a_tag_invalidated_while_computing(cache: Any) -> None:
    load = Loader("older", held=True)
    with ThreadPoolExecutor(2) as pool:
        call = pool.submit(cache.get_or_set, "key", load, tags=["t"])
        assert load.begun.wait(10)
        cache.invalidate_tags(["t"])
        load.go.set()
        call.result(20)
    assert cache.get("key") is None
    assert cache.get_or_set("key", "newer", tags=["t"]) == "newer"
    assert cache.get_or_set("key", "newest", tags=["t", "u"]) == "newer"


def test_a_lease_that_runs_out_passes_on(cache: Any, caplog: pytest.LogCaptureFixture) -> None:
    load = Loader("slow", held=True)
    with ThreadPoolExecutor(1) as pool:
        call = pool.submit(cache.get_or_set, "key", load, lease=0.05)
        assert load.begun.wait(10)
        until(lambda: not cache.client.get_client().exists("p:1:key"))
        # As another process would: it has no flight to wait for.
        cache.state.flights.forget_all()
        assert cache.get_or_set("key", "quick") == "quick"
        load.go.set()
        assert call.result(20) == "quick"
    assert cache.get("key") == "quick"
    assert "longer lease" in caplog.text


def test_who_waited_long_enough_computes_for_itself(cache: Any) -> None:
    load = Loader(held=True)
    with ThreadPoolExecutor(1) as pool:
        call = pool.submit(cache.get_or_set, "key", load)
        assert load.begun.wait(10)
        assert cache.get_or_set("key", "own", wait=0.02) == "own"
        cache.state.flights.forget_all()
        assert cache.get_or_set("key", "own", wait=0.02) == "own"
        load.go.set()
        assert call.result(20) == "value"


def test_a_loader_that_asks_for_its_own_key_does_not_wait_for_itself(cache: Any) -> None:
    assert cache.get_or_set("key", lambda: cache.get_or_set("key", "inner")) == "inner"


def stale(cache: Any, **options: Any) -> None:
    """Leave a value in its stale time at "key"."""
    cache.get_or_set("key", "old", 0.03, stale_ttl=30, **options)
    until(lambda: cache.get("key") is None)


def test_a_stale_value_is_served_to_all_but_one(cache: Any) -> None:
    stale(cache)
    assert not cache.has_key("key")
    load = Loader("new", held=True)
    with ThreadPoolExecutor(2) as pool:
        call = pool.submit(cache.get_or_set, "key", load, stale_ttl=30)
        assert load.begun.wait(10)
        assert cache.get_or_set("key", Loader, stale_ttl=30) == "old"
        cache.state.flights.forget_all()
        assert cache.get_or_set("key", Loader, stale_ttl=30) == "old"
        load.go.set()
        assert call.result(20) == "new"
    assert cache.get("key") == "new"


def test_a_stale_value_is_served_when_computing_fails(
    cache: Any, caplog: pytest.LogCaptureFixture
) -> None:
    stale(cache)
    load = Loader(LookupError("database is down"))
    for _ in range(2):
        with caplog.at_level(logging.WARNING, "cacheapp.cache"):
            assert cache.get_or_set("key", load, stale_ttl=30) == "old"
    assert load.calls == 2
    assert "database is down" in caplog.text
    assert cache.get_or_set("key", "new", stale_ttl=30) == "new"


def test_nothing_stale_that_was_invalidated(cache: Any) -> None:
    stale(cache, tags=["t"])
    cache.invalidate_tags(["t"])
    with pytest.raises(LookupError):
        cache.get_or_set("key", Loader(LookupError()), stale_ttl=30, tags=["t"])
    stale(cache)
    cache.delete("key")
    with pytest.raises(LookupError):
        cache.get_or_set("key", Loader(LookupError()), stale_ttl=30)


def test_early_recomputing_keeps_the_value_for_the_others(cache: Any) -> None:
    cache.get_or_set("key", "old", 30, early=1.0)
    load = Loader("new", held=True)
    with ThreadPoolExecutor(1) as pool:
        call = pool.submit(cache.get_or_set, "key", load, 30, early=1e12)
        assert load.begun.wait(10)
        assert cache.get("key") == "old"
        assert cache.get_many(["key"]) == {"key": "old"}
        cache.state.flights.forget_all()
        assert cache.get_or_set("key", Loader, 30, early=1e12) == "old"
        load.go.set()
        assert call.result(20) == "new"
    assert cache.get("key") == "new"


def test_xfetch_is_likelier_the_nearer_the_end_and_the_dearer_the_value() -> None:
    plan = make_plan(None, early=1.0)

    def chance(fresh_ms: int | None, cost_s: float) -> float:
        found = Found("value", is_fresh=True, fresh_ms=fresh_ms, cost_s=cost_s)
        return sum(plan.is_early(found, draw()) for _ in range(2000)) / 2000

    assert chance(None, 1.0) == chance(60_000, 0.1) == 0
    assert 0.25 < chance(1000, 1.0) < 0.5  # exp(-1)
    assert 0.55 < chance(500, 1.0) < 0.66  # exp(-1/2)
    assert chance(1, 1.0) > 0.95


def test_jitter_cuts_only(cache: Any) -> None:
    plan = make_plan(None, 100, jitter=0.2)
    drawn = [plan.ttl_ms(cache, None) for _ in range(200)]
    assert all(80_000 <= (ttl_ms or 0) <= 100_000 for ttl_ms in drawn)
    assert len(set(drawn)) > 100
    assert make_plan(None, None, jitter=0.2).ttl_ms(cache, None) is None


@pytest.mark.parametrize(
    "wrong", [{"jitter": 2}, {"early": -1}, {"stale_ttl": -1}, {"lease": 0}, {"wait": -1}]
)
def test_wrong_arguments_are_named(cache: Any, wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        cache.get_or_set("key", 1, **wrong)
    with pytest.raises(TypeError):
        cache.get_or_set("key", 1, no_such_option=1)


# Many keys


def test_many_load_what_is_missing_in_one_call(cache: Any) -> None:
    calls = []

    def load(keys: list[str]) -> dict[str, Any]:
        calls.append(keys)
        return {key: key.upper() for key in keys if key != "none"} | {"unasked": 1}

    cache.set("b", "there")
    found = cache.get_or_set_many(["a", "b", "none", "c", "a"], load, 20)
    assert found == {"a": "A", "b": "there", "c": "C"}
    assert list(found) == ["a", "b", "c"]
    assert calls == [["a", "none", "c"]]
    assert cache.ttl("c") in (19, 20)
    assert cache.client.get_client().keys("*none*") == []
    assert cache.get_or_set_many(["a", "c"], load) == {"a": "A", "c": "C"}
    assert cache.get_or_set_many([], load) == {}
    assert len(calls) == 1
    assert cache.get_or_set_many(["a", "d"], load, tags=["t"], jitter=0.5) == {"a": "A", "d": "D"}
    cache.invalidate_tags(["t"])
    assert cache.get_many(["a", "d"]) == {"a": "A"}
    assert cache.get_or_set_many(["a", "d"], load, tags=["t"]) == {"a": "A", "d": "D"}
    assert cache.get("d") == "D"
    assert cache.get_or_set_many(["e"], load, 0) == {"e": "E"}
    assert not cache.has_key("e")


def test_many_wait_for_another_s_key(cache: Any) -> None:
    one = Loader("one", held=True)
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(cache.get_or_set, "a", one)
        assert one.begun.wait(10)
        many = pool.submit(cache.get_or_set_many, ["a", "b"], lambda keys: dict.fromkeys(keys, 2))
        until(lambda: cache.get("b") == 2)
        one.go.set()
        assert many.result(20) == {"a": "one", "b": 2}
        assert first.result(20) == "one"
    assert one.calls == 1


def test_many_give_their_leases_back_when_loading_fails(cache: Any) -> None:
    def load(keys: list[str]) -> dict[str, Any]:
        raise LookupError

    with pytest.raises(LookupError):
        cache.get_or_set_many(["a", "b"], load)
    assert cache.client.get_client().dbsize() == 0


def test_many_with_stale_values(cache: Any, caplog: pytest.LogCaptureFixture) -> None:
    calls: list[list[str]] = []

    def load(keys: list[str], value: Any = "new") -> dict[str, Any]:
        calls.append(keys)
        if isinstance(value, Exception):
            raise value
        return {key: value for key in keys if key != "left"}

    def ask(keys: list[str], value: Any = "new", timeout: float = 30) -> dict[str, Any]:
        return dict(
            cache.get_or_set_many(keys, lambda keys: load(keys, value), timeout, stale_ttl=30)
        )

    keys = ["a", "b"]
    ask(keys, "old", 0.03)
    cache.set("c", "fresh")
    cache.get_or_set("left", "old", 0.03, stale_ttl=30)
    until(lambda: cache.get_many([*keys, "left"]) == {})
    # Computing fails: all are served stale, or it is an error for the one that has nothing.
    with caplog.at_level(logging.WARNING, "cacheapp.cache"):
        assert ask(keys, LookupError("down")) == dict.fromkeys(keys, "old")
    assert "down" in caplog.text
    with pytest.raises(LookupError):
        ask([*keys, "none"], LookupError("down"))
    calls.clear()
    assert ask([*keys, "c", "left"]) == {"a": "new", "b": "new", "c": "fresh"}
    assert calls == [["a", "b", "left"]]
    assert cache.client.get_client().exists("p:1:left out") == 0
    assert ask(keys) == dict.fromkeys(keys, "new")
    assert len(calls) == 1
    assert 59 < cache.ttl("a") <= 60


def test_many_serve_what_is_stale_while_another_loads(cache: Any) -> None:
    stale(cache)
    one = Loader("new", held=True)
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(cache.get_or_set, "key", one, stale_ttl=30)
        assert one.begun.wait(10)
        for _ in range(2):
            found = cache.get_or_set_many(
                ["key", "b"], lambda keys: dict.fromkeys(keys, 2), stale_ttl=30
            )
            assert found == {"key": "old", "b": 2}
            cache.state.flights.forget_all()  # as another process, which has no flight to see
        one.go.set()
        assert first.result(20) == "new"


def test_many_early_and_with_a_jitter_of_their_own(cache: Any) -> None:
    keys = [f"key{number}" for number in range(20)]
    calls: list[list[str]] = []

    def load(keys: list[str]) -> dict[str, int]:
        calls.append(keys)
        return dict.fromkeys(keys, len(calls))

    assert set(cache.get_or_set_many(keys, load, 1000, early=1.0, jitter=0.5).values()) == {1}
    assert cache.get_or_set_many(keys, load, 1000, early=1e-9) == dict.fromkeys(keys, 1)
    assert cache.get_or_set_many(keys, load, 1000, early=1e12) == dict.fromkeys(keys, 2)
    assert calls == [keys, keys]
    cache.delete_many(keys)
    cache.get_or_set_many(keys, load, lambda value: 1000, jitter=0.5)
    lives = {cache.ttl(key) for key in keys}
    assert len(lives) > 5
    assert all(499 <= life <= 1000 for life in lives)


async def test_many_natively(cache: Any) -> None:
    async def load(keys: list[str]) -> dict[str, Any]:
        await asyncio.sleep(0)
        return {key: [1] for key in keys}

    assert await cache.aget_or_set_many(["a", "b"], load) == {"a": [1], "b": [1]}
    await cache.aset("c", 1, tags=["t"])
    await cache.ainvalidate_tags(["t"])
    assert await cache.aget_or_set_many(["a", "c"], load) == {"a": [1], "c": [1]}
    found = await cache.aget_or_set_many(["a", "d"], load, 30, stale_ttl=5, early=1e12, jitter=0.1)
    assert found == {"a": [1], "d": [1]}
    with pytest.raises(TypeError):
        await cache.aget_or_set_many(["a"], load, no_such_option=1)
    await cache.aclose()


def test_a_server_that_refuses_writes_is_one_outage(
    server: Server, settings: Any, caplog: pytest.LogCaptureFixture
) -> None:
    cache = maker(settings)(server.url, "degrading", options={"IGNORE_EXCEPTIONS": True})
    client = server.client()
    client.set("ballast", "x")
    client.config_set("maxmemory", "1")
    with caplog.at_level(logging.INFO, "cacheapp.cache"):
        for number in range(5):
            assert cache.get_or_set("key", lambda number=number: number) == number
            assert cache.get_or_set("key", number, stale_ttl=5) == number
        assert [record.levelname for record in caplog.records] == ["ERROR"]
        assert client.dbsize() == 1
        client.config_set("maxmemory", "0")
        assert cache.get_or_set("key", "kept") == "kept"
    assert [record.levelname for record in caplog.records] == ["ERROR", "WARNING"]
    assert cache.get("key") == "kept"


@pytest.mark.parametrize("options", [{}, {"IGNORE_EXCEPTIONS": True}])
def test_a_server_that_runs_out_of_memory_keeps_no_lease(
    server: Server, settings: Any, options: dict[str, Any]
) -> None:
    cache = maker(settings)(server.url, "full", options=options)
    client = server.client()
    client.set("ballast", "x")

    def load() -> str:
        client.config_set("maxmemory", "1")
        return "value"

    if options:
        assert cache.get_or_set("key", load) == "value"
    else:
        with pytest.raises(cache.server_errors):
            cache.get_or_set("key", load)
    assert client.keys() == [b"ballast"]
    client.config_set("maxmemory", "0")
    with pytest.raises(cache.server_errors) if not options else contextlib.nullcontext():
        cache.get_or_set_many(["a", "b"], lambda keys: dict.fromkeys(keys, load()))
    assert client.keys() == [b"ballast"]
