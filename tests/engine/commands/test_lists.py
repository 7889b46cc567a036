"""Lists against Python's own, and what the events of a move are."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cacheapp.engine.engine import Engine
from cacheapp.engine.errors import CommandError
from tests.engine.conftest import Run

ENGINE = Engine()
SESSION = ENGINE.connect(lambda reply: None, protocol=3)
ELEMENTS = st.lists(st.sampled_from([b"a", b"b", b"c"]), min_size=1, max_size=30)
INDEX = st.integers(-35, 35)


def execute(*args: bytes | str | int) -> object:
    encoded = [arg if isinstance(arg, bytes) else str(arg).encode() for arg in args]
    return ENGINE.execute(SESSION, encoded)


def fill(elements: list[bytes]) -> None:
    execute("DEL", "list")
    execute("RPUSH", "list", *elements)


def inclusive(elements: list[bytes], start: int, stop: int) -> list[bytes]:
    size = len(elements)
    first = max(0, start + size) if start < 0 else start
    last = stop + size if stop < 0 else stop
    return elements[first : last + 1] if last >= 0 else []


@given(ELEMENTS, INDEX, INDEX)
def test_ranges_are_slices(elements: list[bytes], start: int, stop: int) -> None:
    fill(elements)
    expected = inclusive(elements, start, stop)
    assert execute("LRANGE", "list", start, stop) == expected
    execute("LTRIM", "list", start, stop)
    assert execute("LRANGE", "list", 0, -1) == expected


@given(ELEMENTS, st.integers(-5, 5))
def test_lrem_takes_the_first_or_the_last(elements: list[bytes], count: int) -> None:
    fill(elements)
    expected = elements[::-1] if count < 0 else list(elements)
    removed = 0
    while b"a" in expected and (not count or removed < abs(count)):
        expected.remove(b"a")
        removed += 1
    assert execute("LREM", "list", count, "a") == removed
    assert execute("LRANGE", "list", 0, -1) == (expected[::-1] if count < 0 else expected)


@given(ELEMENTS, st.integers(1, 4), st.booleans(), st.integers(0, 4), st.integers(0, 8))
def test_lpos_counts_from_either_end(
    elements: list[bytes], rank: int, from_end: bool, count: int, length_max: int
) -> None:
    fill(elements)
    places = [at for at, element in enumerate(elements) if element == b"b"]
    if length_max:
        seen = range(len(elements) - length_max, len(elements)) if from_end else range(length_max)
        places = [at for at in places if at in seen]
    places = (places[::-1] if from_end else places)[rank - 1 :]
    options = ("RANK", -rank if from_end else rank, "MAXLEN", length_max)
    assert execute("LPOS", "list", "b", *options) == (places[0] if places else None)
    expected = places[:count] if count else places
    assert execute("LPOS", "list", "b", *options, "COUNT", count) == expected


def test_a_move_pushes_before_it_pops(engine: Engine, run: Run) -> None:
    run("CONFIG", "SET", "notify-keyspace-events", "Klg")
    received: list[list[bytes]] = []
    listener = engine.connect(received.append, protocol=3)
    run("RPUSH", "list", "a")
    engine.execute(listener, [b"PSUBSCRIBE", b"__key*__:*"])
    received.clear()
    run("LMOVE", "list", "other", "RIGHT", "LEFT")
    run("LPOP", "other", 5)
    heard = [(push[2].rpartition(b":")[2], push[3]) for push in received]
    assert heard == [
        (b"other", b"lpush"),
        (b"list", b"rpop"),
        (b"list", b"del"),
        (b"other", b"lpop"),
        (b"other", b"del"),
    ]


def test_a_refused_move_leaves_both_ends(run: Run) -> None:
    run("RPUSH", "list", "a", "b")
    run("SET", "string", "s")
    with pytest.raises(CommandError, match="WRONGTYPE"):
        run("RPOPLPUSH", "list", "string")
    assert run("LRANGE", "list", 0, -1) == [b"a", b"b"]


def test_the_lowest_rank_is_refused_rather_than_negated(run: Run) -> None:
    with pytest.raises(CommandError, match="value must between -9223372036854775807 and"):
        run("LPOS", "list", "a", "RANK", -(2**63))
