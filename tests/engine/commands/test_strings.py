"""Strings where time and representation matter; the replies are the contract tests'."""

from __future__ import annotations

import pytest

from cacheapp.engine.clock import ManualClock
from cacheapp.engine.commands.lcs import _rows
from cacheapp.engine.engine import Engine
from cacheapp.engine.errors import CommandError
from tests.engine.conftest import Run


def stored(engine: Engine, key: bytes) -> object:
    return engine.databases[0].peek(key)


@pytest.mark.parametrize(
    "command",
    [
        ("SET", "key", "v", "EX", 10),
        ("SET", "key", "v", "PX", 10_000),
        ("SETEX", "key", 10, "v"),
        ("PSETEX", "key", 10_000, "v"),
    ],
)
def test_deadlines_pass_with_the_clock(clock: ManualClock, run: Run, command: tuple[str]) -> None:
    run(*command)
    clock.advance(9.999)
    assert run("GET", "key") == b"v"
    clock.advance(0.002)
    assert run("GET", "key") is None
    assert run("SET", "key", "w", "NX") == b"OK"
    assert run("TTL", "key") == -1


def test_getex_moves_the_deadline(clock: ManualClock, run: Run) -> None:
    run("SET", "key", "v", "EX", 10)
    clock.advance(9)
    run("GETEX", "key", "EX", 10)
    clock.advance(9)
    assert run("GETEX", "key", "PERSIST") == b"v"
    clock.advance(1000)
    assert run("GET", "key") == b"v"


def test_a_due_counter_starts_again_without_its_deadline(clock: ManualClock, run: Run) -> None:
    run("SET", "n", 41, "EX", 10)
    assert run("INCR", "n") == 42
    clock.advance(11)
    assert run("INCR", "n") == 1
    assert run("TTL", "n") == -1


def test_strings_are_changed_in_place(engine: Engine, run: Run) -> None:
    run("SET", "key", "abc")
    run("APPEND", "key", "d")
    buffer = stored(engine, b"key")
    assert isinstance(buffer, bytearray)
    run("APPEND", "key", "e")
    run("SETRANGE", "key", 0, "X")
    run("SETBIT", "key", 7, 1)
    assert stored(engine, b"key") is buffer
    assert run("GET", "key") == b"Ybcde"


def test_what_get_answered_does_not_change_later(run: Run) -> None:
    run("APPEND", "key", "abc")
    run("APPEND", "key", "d")
    answers = [run("GET", "key"), run("GETRANGE", "key", 0, -1), run("MGET", "key")[0]]
    run("SETRANGE", "key", 0, "XXXX")
    assert answers == [b"abcd"] * 3
    assert all(type(answer) is bytes for answer in answers)


def test_counters_are_kept_as_integers(engine: Engine, run: Run) -> None:
    run("INCRBY", "n", 300)
    assert stored(engine, b"n") == 300
    assert run("MGET", "n") == [b"300"]
    assert run("COPY", "n", "m") == 1
    run("INCR", "n")
    assert run("GET", "m") == b"300"


def test_a_refused_change_leaves_the_value(run: Run) -> None:
    run("SET", "key", "abc", "EX", 100)
    for command in (
        ("INCR", "key"),
        ("INCRBYFLOAT", "key", "inf"),
        ("SETRANGE", "key", 2**40, "x"),
        ("SET", "key", "w", "EX", 0),
        ("GETEX", "key", "PX", -1),
    ):
        with pytest.raises(CommandError):
            run(*command)
    assert run("GET", "key") == b"abc"
    assert run("TTL", "key") == 100


def test_each_change_is_announced_once(engine: Engine, run: Run) -> None:
    received: list[list[bytes]] = []
    listener = engine.connect(received.append, protocol=3)
    run("CONFIG", "SET", "notify-keyspace-events", "K$gn")
    engine.execute(listener, [b"PSUBSCRIBE", b"__key*__:*"])
    received.clear()
    run("SET", "a", 1, "EX", 100)
    run("MSET", "b", 1, "c", 2)
    run("INCR", "b")
    run("INCRBYFLOAT", "b", 1)
    run("APPEND", "c", "x")
    run("SETRANGE", "c", 0, "")
    run("SETRANGE", "c", 0, "y")
    run("GETEX", "c", "EX", 100)
    run("GETEX", "c", "PERSIST")
    run("GETDEL", "c")
    run("SET", "a", 2, "NX")
    assert [push[3] for push in received] == [
        *[b"new", b"set", b"expire", b"new", b"set", b"new", b"set", b"incrby", b"incrbyfloat"],
        *[b"append", b"setrange", b"expire", b"persist", b"del"],
    ]


def test_the_bits_of_lcs_rows_are_its_lengths() -> None:
    first, second = b"xmjyauz", b"mzjawxu"
    lengths = [[0] * (len(second) + 1) for _ in range(len(first) + 1)]
    for i, one in enumerate(first):
        for j, other in enumerate(second):
            lengths[i + 1][j + 1] = (
                lengths[i][j] + 1 if one == other else max(lengths[i][j + 1], lengths[i + 1][j])
            )
    counted = [
        [(row & (1 << j) - 1).bit_count() for j in range(len(second) + 1)]
        for row in _rows(first, second)
    ]
    assert counted == lengths
