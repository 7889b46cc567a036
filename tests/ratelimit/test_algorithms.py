"""Each algorithm against a plain model, and against what it promises for any window of time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cacheapp.clients.factory import get_client
from cacheapp.engine.clock import ManualClock
from cacheapp.engine.engine import Engine
from cacheapp.ratelimit.algorithms import ALGORITHMS, Algorithm

SECOND = 1_000_000
START_S = 1_000_000
CLOCK = Engine.shared("algorithms").clock = ManualClock(START_S)
CLIENT = get_client("memory://algorithms")
CLIENT.ping()
Engine.discard("algorithms")


class Bench:
    """One algorithm with one rate on an engine whose clock is moved by hand."""

    def __init__(self, name: str, limit: int, period_s: int) -> None:
        self.algorithm: Algorithm = ALGORITHMS[name]
        CLIENT.flushall()
        CLOCK.set(START_S)
        self.limit, self.period_us = limit, period_s * SECOND

    def at(self, now_us: int) -> None:
        """Set the clock, in microseconds since the start."""
        CLOCK.set(START_S + now_us / SECOND)

    def ask(self, cost: int = 1, forced: int = 0) -> tuple[bool, int, float, float]:
        """Whether it is admitted, what remains, and the seconds until all is back and to wait."""
        admitted, now_us, state = self.algorithm.script.run(
            CLIENT, [b"k"], [cost, forced, self.limit, self.period_us]
        )
        values = self.algorithm.doubles.unpack(state)
        remaining, back_us, wait_us = self.algorithm.report(
            values, now_us, self.limit, self.period_us, cost
        )
        wait_s = 0.0 if admitted else wait_us / SECOND
        return bool(admitted), remaining, back_us / SECOND, wait_s


# The models: a function from the requests so far, as (us, cost) that were admitted, to whether the
# next one is. Times are whole milliseconds here, so that a double holds them exactly.


def log_model(
    admitted: list[tuple[int, int]], now: int, cost: int, limit: int, period: int
) -> bool:
    return sum(c for at, c in admitted if at > now - period) + cost <= limit


def fixed_model(
    admitted: list[tuple[int, int]], now: int, cost: int, limit: int, period: int
) -> bool:
    start = START_S * SECOND
    window = (start + now) // period
    return sum(c for at, c in admitted if (start + at) // period == window) + cost <= limit


def window_model(
    admitted: list[tuple[int, int]], now: int, cost: int, limit: int, period: int
) -> bool:
    start = START_S * SECOND
    window, elapsed = divmod(start + now, period)
    counts = {
        index: sum(c for at, c in admitted if (start + at) // period == index)
        for index in (window - 1, window)
    }
    # In whole numbers: previous * (period - elapsed) + (current + cost - limit) * period <= 0
    return counts[window - 1] * (period - elapsed) + (counts[window] + cost - limit) * period <= 0


def bucket_model(
    admitted: list[tuple[int, int]], now: int, cost: int, limit: int, period: int
) -> bool:
    # The bucket in units of 1/period tokens, so that nothing is rounded.
    tokens, at = limit * period, 0
    for moment, spent in [*admitted, (now, 0)]:
        tokens, at = min(limit * period, tokens + (moment - at) * limit), moment
        tokens -= spent * period
    return tokens >= cost * period


MODELS: dict[str, Callable[..., bool]] = {
    "sliding-log": log_model,
    "fixed-window": fixed_model,
    "sliding-window": window_model,
    "token-bucket": bucket_model,
    "gcra": bucket_model,
}

REQUESTS = st.lists(
    st.tuples(st.one_of(st.integers(0, 300), st.sampled_from([0, 1000, 5000])), st.integers(1, 4)),
    min_size=1,
    max_size=60,
)


def test_every_algorithm_has_a_model() -> None:
    assert set(MODELS) == set(ALGORITHMS)


@pytest.mark.parametrize("name", ALGORITHMS)
@settings(max_examples=60)
@given(limit=st.sampled_from([1, 2, 4, 5, 8, 10]), requests=REQUESTS)
def test_it_admits_what_the_model_admits(
    name: str, limit: int, requests: list[tuple[int, int]]
) -> None:
    bench, admitted, now_us = Bench(name, limit, 1), [], 0
    for pause_ms, cost in requests:
        now_us += pause_ms * 1000
        bench.at(now_us)
        expected = MODELS[name](admitted, now_us, cost, limit, SECOND)
        allowed, remaining, back_s, wait_s = bench.ask(cost)
        assert allowed == expected
        assert 0 <= remaining <= limit
        assert 0 <= back_s <= 2
        assert (wait_s > 0) == (not allowed)
        if allowed:
            admitted.append((now_us, cost))


BOUNDS = {"sliding-log": 1, "sliding-window": 2, "gcra": 2, "token-bucket": 2, "fixed-window": 2}


@pytest.mark.parametrize("name", ALGORITHMS)
@settings(max_examples=60)
@given(limit=st.sampled_from([1, 3, 10]), pauses=st.lists(st.integers(0, 400), max_size=150))
def test_no_window_holds_more_than_is_stated(name: str, limit: int, pauses: list[int]) -> None:
    bench, admitted, now_us = Bench(name, limit, 1), [], 0
    for pause_ms in pauses:
        now_us += pause_ms * 1000
        bench.at(now_us)
        if bench.ask()[0]:
            admitted.append(now_us)
    for first in admitted:
        assert sum(first <= at < first + SECOND for at in admitted) <= BOUNDS[name] * limit


@pytest.mark.parametrize("name", ALGORITHMS)
@pytest.mark.parametrize("cost", [1, 3])
def test_waiting_as_long_as_told_is_enough_and_no_less(name: str, cost: int) -> None:
    bench = Bench(name, 5, 10)
    bench.at(4_300_000)
    for _ in range(4):
        bench.ask()
    bench.at(6_100_000)
    while bench.ask(cost)[0]:
        pass
    _, _, _, wait_s = bench.ask(cost)
    bench.at(6_100_000 + int(wait_s * SECOND) - 2000)
    assert not bench.ask(cost)[0]
    bench.at(6_100_000 + int(wait_s * SECOND) + 2000)
    assert bench.ask(cost)[0]


@pytest.mark.parametrize("name", ALGORITHMS)
def test_all_is_back_when_it_says(name: str) -> None:
    bench = Bench(name, 5, 10)
    for _ in range(5):
        bench.ask()
    _, remaining, back_s, _ = bench.ask(0)
    assert remaining == 0
    bench.at(int(back_s * SECOND) + 1000)
    assert [bench.ask()[0] for _ in range(6)] == [True] * 5 + [False]


@pytest.mark.parametrize("name", ALGORITHMS)
def test_giving_back_and_charging_beyond(name: str) -> None:
    bench = Bench(name, 3, 10)
    assert [bench.ask()[0] for _ in range(4)] == [True, True, True, False]
    bench.ask(-1, forced=1)
    assert [bench.ask()[0] for _ in range(2)] == [True, False]
    bench.ask(2, forced=1)
    bench.ask(-100, forced=1)
    assert [bench.ask()[0] for _ in range(4)] == [True, True, True, False]


@pytest.mark.parametrize("name", ALGORITHMS)
def test_a_clock_that_goes_back_admits_no_more(name: str) -> None:
    bench = Bench(name, 3, 10)
    bench.at(15_000_000)
    assert [bench.ask()[0] for _ in range(4)] == [True, True, True, False]
    bench.at(14_000_000)
    assert not bench.ask()[0]
    bench.at(4_000_000)
    assert not bench.ask()[0]


@pytest.mark.parametrize("name", ALGORITHMS)
def test_more_than_the_limit_is_never_admitted(name: str) -> None:
    bench: Any = Bench(name, 3, 10)
    allowed, remaining, _, wait_s = bench.ask(4)
    assert (allowed, remaining) == (False, 3)
    assert wait_s > 0
