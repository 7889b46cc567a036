"""Each algorithm's Lua script and its native form: the same replies and the same data, always."""

from __future__ import annotations

from struct import pack
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cacheapp.ratelimit.algorithms import ACQUIRE, ALGORITHMS
from tests.native_forms import BothForms

BOTH = BothForms()

RATES = st.lists(
    st.tuples(st.integers(1, 12), st.sampled_from([1, 3, 7, 60, 3600])),
    min_size=1,
    max_size=3,
    unique_by=lambda rate: rate[1],
)
STEPS = st.lists(
    st.tuples(
        st.one_of(
            st.sampled_from([0.0, 0.000001, 0.5, 1.0, 3.0, 59.9999, 60.0, 7200.0]),
            st.floats(0, 100, allow_nan=False),
        ),
        st.integers(-3, 14),
        st.booleans(),
    ),
    min_size=1,
    max_size=25,
)


@pytest.mark.parametrize("name", ALGORITHMS)
@settings(max_examples=40)
@given(rates=RATES, steps=STEPS)
def test_the_forms_agree(
    name: str, rates: list[tuple[int, int]], steps: list[tuple[float, int, bool]]
) -> None:
    both = BOTH.begin()
    numbers = [number for limit, period_s in rates for number in (limit, period_s * 1_000_000)]
    for seconds, cost, forced in steps:
        both.advance(seconds)
        forced = forced or cost < 0
        reply = both.run(ALGORITHMS[name].script, [b"k"], [cost, int(forced), *numbers])
        assert len(reply[2]) == ALGORITHMS[name].doubles.size * len(rates)


CHARGES = st.lists(
    st.one_of(st.sampled_from([0.0, 0.000001, 0.5, 3.0, 30.0, 60.0]), st.floats(0, 200)),
    min_size=2,
    max_size=25,
)


@settings(max_examples=60)
@given(limit=st.integers(1, 9), period_s=st.sampled_from([1, 7, 60]), steps=CHARGES)
def test_the_written_out_charge_of_a_window_agrees(
    limit: int, period_s: int, steps: list[float]
) -> None:
    both = BOTH.begin()
    lua, native = both.sides
    script, period_us = ALGORITHMS["sliding-window"].script, period_s * 1_000_000
    arguments = [1, 0, limit, period_us]
    for seconds in steps:
        both.advance(seconds)
        native.client.ping()  # an engine whose tick is due does nothing out of turn
        reply = native.client.count_window(b"k", limit, period_us)
        if reply is None:
            both.run(script, [b"k"], arguments)
            continue
        admitted, now_us, state, left, elapsed_us = reply
        assert lua.run(script, [b"k"], arguments) == [admitted, now_us, state]
        assert native.data() == lua.data()
        # What it adds is what others compute from the state.
        remaining, back_us, _ = ALGORITHMS["sliding-window"].report(
            ALGORITHMS["sliding-window"].doubles.unpack(state), now_us, limit, period_us, 1
        )
        assert (int(left + 1e-6), 2 * period_us - elapsed_us) == (
            int(remaining + 1e-6), back_us
        )  # fmt: skip


def test_the_second_charge_of_a_window_is_the_written_out_one() -> None:
    client = BOTH.begin().sides[1].client
    assert client.count_window(b"k", 5, 60_000_000) is None
    ALGORITHMS["sliding-window"].script.run(client, [b"k"], [1, 0, 5, 60_000_000])
    assert client.count_window(b"k", 5, 60_000_000)[0]


@pytest.mark.parametrize("name", ALGORITHMS)
def test_a_key_with_other_content_is_begun_anew_or_refused(name: str) -> None:
    both = BOTH.begin()
    both.command("SET", "k", "what another wrote")
    reply = both.run(ALGORITHMS[name].script, [b"k"], [1, 0, 5, 1_000_000])
    if name == "sliding-log":
        assert reply.startswith("error: WRONGTYPE")
    else:
        assert reply[0] == 1
    both.command("DEL", "k")
    both.command("HSET", "k", "a", "b")
    reply = both.run(ALGORITHMS[name].script, [b"k"], [1, 0, 5, 1_000_000])
    assert reply.startswith("error: WRONGTYPE")


@pytest.mark.parametrize("name", ["sliding-window", "fixed-window"])
def test_counts_of_a_day_to_come_are_over(name: str) -> None:
    both = BOTH.begin()
    script = ALGORITHMS[name].script
    assert [both.run(script, [b"k"], [1, 0, 1, 60_000_000])[0] for _ in range(2)] == [1, 0]
    for side in both.sides:
        side.clock.set(side.clock.time() - 86_400)
    assert [both.run(script, [b"k"], [1, 0, 1, 60_000_000])[0] for _ in range(2)] == [1, 0]


@pytest.mark.parametrize("index", [float("nan"), float("inf"), -1e300, 1e300])
@pytest.mark.parametrize("rates", [[5, 1_000_000], [5, 1_000_000, 9, 60_000_000]])
def test_a_window_of_nonsense_is_begun_anew(index: float, rates: list[int]) -> None:
    both = BOTH.begin()
    both.command("SET", "k", pack("<ddd", index, 9, 9) * (len(rates) // 2))
    assert both.run(ALGORITHMS["sliding-window"].script, [b"k"], [1, 0, *rates])[0] == 1


@pytest.mark.parametrize("name", ALGORITHMS)
def test_every_key_has_a_deadline(name: str) -> None:
    both = BOTH.begin()
    script = ALGORITHMS[name].script
    for forced in (0, 1):
        for cost in (1, 5, 9, -20):
            both.run(script, [b"k"], [cost, forced, 5, 60_000_000, 20, 3600_000_000])
            client = both.sides[0].client
            assert client.exists("k") == 0 or 0 < client.pttl("k") <= 2 * 3_600_000 + 1
    both.advance(2 * 3600 + 1)
    assert both.sides[0].client.exists("k") == 0


LEASES = st.lists(
    st.tuples(st.floats(0, 30, allow_nan=False), st.sampled_from([b"a", b"b", b"c", b"d"])),
    min_size=1,
    max_size=20,
)


@settings(max_examples=40)
@given(steps=LEASES, limit=st.integers(0, 3))
def test_leases_agree(steps: list[tuple[float, Any]], limit: int) -> None:
    both = BOTH.begin()
    for seconds, name in steps:
        both.advance(seconds)
        taken, left, _wait_us = both.run(ACQUIRE, [b"k"], [limit, 10_000, name])
        assert 0 <= left <= limit
        assert taken in (0, 1)
