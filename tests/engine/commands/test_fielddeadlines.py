"""HEXPIRE and its relatives. On the engine only: redis-server 7.0 does not have them.

What they should do is Redis 7.4's documentation, and what its own tests show.
"""

from __future__ import annotations

from typing import Any

import pytest

from cacheapp.engine.clock import ManualClock
from cacheapp.engine.engine import Engine
from cacheapp.engine.errors import CommandError
from cacheapp.engine.replies import NULL_ARRAY
from tests.engine.conftest import Run
from tests.engine.events import Events

SETTERS = ["HEXPIRE", "HPEXPIRE", "HEXPIREAT", "HPEXPIREAT"]


@pytest.fixture
def now_ms(clock: ManualClock) -> int:
    return int(clock.time() * 1000)


@pytest.fixture
def lazy(run: Run) -> None:
    """No expiry cycle, so that due fields stay until somebody asks for them."""
    run("DEBUG", "SET-ACTIVE-EXPIRE", 0)


def three(run: Run) -> None:
    run("HSET", "h", "a", 1, "b", 2, "c", 3)


def test_deadlines_are_set_and_told_in_every_unit(run: Run, clock: ManualClock) -> None:
    clock.set(1_000_000.5)
    three(run)
    assert run("HEXPIRE", "h", 10, "FIELDS", 2, "a", "x") == [1, -2]
    assert run("HPTTL", "h", "FIELDS", 3, "a", "b", "x") == [10_000, -1, -2]
    assert run("HTTL", "h", "FIELDS", 1, "a") == [10]
    assert run("HPEXPIRETIME", "h", "FIELDS", 1, "a") == [1_000_010_500]
    assert run("HEXPIRETIME", "h", "FIELDS", 1, "a") == [1_000_011]
    assert run("HPEXPIRE", "h", 1500, "FIELDS", 1, "b") == [1]
    assert run("HTTL", "h", "FIELDS", 1, "b") == [2], "rounded up"
    assert run("HEXPIREAT", "h", 1_000_100, "FIELDS", 1, "c") == [1]
    assert run("HPTTL", "h", "FIELDS", 1, "c") == [99_500]
    assert run("HPEXPIREAT", "h", 1_000_200_000, "fields", 1, "c") == [1]
    assert run("HPTTL", "h", "FIELDS", 1, "c") == [199_500]


@pytest.mark.parametrize("name", [*SETTERS, "HTTL", "HPTTL", "HEXPIRETIME", "HPERSIST"])
def test_a_missing_key_has_no_field(run: Run, name: str) -> None:
    amount = [1] if name in SETTERS else []
    assert run(name, "h", *amount, "FIELDS", 2, "a", "b") == [-2, -2]
    assert run("EXISTS", "h") == 0


@pytest.mark.parametrize(
    ("condition", "without", "at_1000", "at_3000"),
    [("NX", 1, 0, 0), ("XX", 0, 1, 1), ("GT", 0, 1, 0), ("LT", 1, 0, 1), ("gt", 0, 1, 0)],
)
def test_conditions(
    run: Run, condition: str, without: int, at_1000: int, at_3000: int
) -> None:  # fmt: skip
    three(run)
    run("HPEXPIRE", "h", 1000, "FIELDS", 1, "b")
    run("HPEXPIRE", "h", 3000, "FIELDS", 1, "c")
    reply = run("HPEXPIRE", "h", 2000, condition, "FIELDS", 4, "a", "b", "c", "x")
    assert reply == [without, at_1000, at_3000, -2]
    for field, done in (("a", without), ("b", at_1000), ("c", at_3000)):
        assert (run("HPTTL", "h", "FIELDS", 1, field) == [2000]) is bool(done)


def test_a_deadline_in_the_past_takes_the_field_away(run: Run, engine: Engine) -> None:
    three(run)
    run("HEXPIRE", "h", 1000, "FIELDS", 1, "c")
    events = Events(engine)
    assert run("HPEXPIREAT", "h", 1, "NX", "FIELDS", 3, "a", "x", "c") == [2, -2, 0]
    assert run("HEXPIRE", "h", 0, "FIELDS", 2, "b", "b") == [2, -2]
    assert run("HEXPIREAT", "h", 0, "FIELDS", 1, "c") == [2]
    assert run("EXISTS", "h") == 0
    assert events.seen() == ["hdel h", "hdel h", "hdel h", "del h"]
    assert engine.stats.expired_subkeys == 3


@pytest.mark.parametrize("name", SETTERS)
def test_amounts_out_of_range(run: Run, name: str) -> None:
    three(run)
    errors = {
        "-1": "ERR invalid expire time, must be >= 0",
        "-9223372036854775808": "ERR invalid expire time, must be >= 0",
        "9223372036854775807": f"ERR invalid expire time in '{name.lower()}' command",
        str(2**46): f"ERR invalid expire time in '{name.lower()}' command",
        "1.5": "ERR value is not an integer or out of range",
        "9223372036854775808": "ERR value is not an integer or out of range",
    }
    for amount, text in errors.items():
        with pytest.raises(CommandError) as caught:
            run(name, "h", amount, "FIELDS", 1, "a")
        assert str(caught.value) == text
    assert run("HTTL", "h", "FIELDS", 1, "a") == [-1]


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["FIELD", 1, "a"], "Mandatory argument FIELDS is missing or not at the right position"),
        (["NX", "XX", "FIELDS", 1, "a"], "Mandatory argument FIELDS is missing"),
        (["FIELDS", 0, "a"], "Parameter `numFields` should be greater than 0"),
        (["FIELDS", "x", "a"], "Parameter `numFields` should be greater than 0"),
        (["FIELDS", 2, "a"], "The `numfields` parameter must match the number of arguments"),
        (["FIELDS", 1, "a", "b"], "The `numfields` parameter must match the number"),
        (["NX", "FIELDS", 1], "The `numfields` parameter must match the number of arguments"),
        (["x", "NX", "FIELDS"], "Mandatory argument FIELDS is missing"),
    ],
)
def test_arguments_that_are_refused(run: Run, arguments: list[Any], text: str) -> None:
    with pytest.raises(CommandError, match=f"ERR {text}"):
        run("HEXPIRE", "h", 10, *arguments)


@pytest.mark.parametrize("name", ["HTTL", "HPTTL", "HEXPIRETIME", "HPEXPIRETIME", "HPERSIST"])
def test_arguments_of_the_others_that_are_refused(run: Run, name: str) -> None:
    for arguments, text in (
        (["FIELD", 1, "a"], "Mandatory argument FIELDS is missing"),
        (["FIELDS", 0, "a"], "Number of fields must be a positive integer"),
        (["FIELDS", 2, "a"], "The `numfields` parameter must match"),
    ):
        with pytest.raises(CommandError, match=f"ERR {text}"):
            run(name, "h", *arguments)
    with pytest.raises(CommandError, match="wrong number of arguments"):
        run(name, "h", "FIELDS", 1)


@pytest.mark.parametrize("name", [*SETTERS, "HTTL", "HPERSIST"])
def test_another_type_is_refused(run: Run, name: str) -> None:
    run("SET", "h", 1)
    amount = ["x"] if name in SETTERS else []
    with pytest.raises(CommandError, match="WRONGTYPE"):
        run(name, "h", *amount, "FIELDS", 1, "a")


def test_hpersist(run: Run, engine: Engine, clock: ManualClock) -> None:
    three(run)
    assert run("HPERSIST", "h", "FIELDS", 2, "a", "x") == [-1, -2]
    run("HPEXPIRE", "h", 100, "FIELDS", 2, "a", "b")
    events = Events(engine)
    assert run("HPERSIST", "h", "FIELDS", 3, "a", "c", "x") == [1, -1, -2]
    assert events.seen() == ["hpersist h"]
    clock.advance(1)
    assert run("HPERSIST", "h", "FIELDS", 1, "b") == [-2]
    assert run("HGETALL", "h") == {b"a": b"1", b"c": b"3"}


def test_what_writes_a_field(run: Run) -> None:
    for field in "abcd":
        run("HSET", "h", field, 1)
    run("HEXPIRE", "h", 10, "FIELDS", 4, "a", "b", "c", "d")
    run("HSET", "h", "a", 2)
    run("HINCRBY", "h", "b", 2)
    run("HINCRBYFLOAT", "h", "c", 2)
    run("HSETNX", "h", "d", 2)
    assert run("HTTL", "h", "FIELDS", 4, "a", "b", "c", "d") == [-1, 10, 10, 10]
    run("HDEL", "h", "d")
    run("HSET", "h", "d", 3)
    assert run("HTTL", "h", "FIELDS", 1, "d") == [-1]


def test_the_encoding_has_a_name_of_its_own(run: Run) -> None:
    three(run)
    assert run("OBJECT", "ENCODING", "h") == b"listpack"
    run("HEXPIRE", "h", 10, "FIELDS", 1, "a")
    assert run("OBJECT", "ENCODING", "h") == b"listpackex"
    run("HPERSIST", "h", "FIELDS", 1, "a")
    assert run("OBJECT", "ENCODING", "h") == b"listpackex"
    run("HSET", "h", "long", "v" * 65)
    assert run("OBJECT", "ENCODING", "h") == b"hashtable"
    assert run("TYPE", "h") == b"hash"


@pytest.mark.usefixtures("lazy")
def test_commands_that_ask_for_a_due_field_take_it_away(
    run: Run, engine: Engine, clock: ManualClock
) -> None:
    for field in "abcdefg":
        run("HSET", "h", field, 5)
    run("HPEXPIRE", "h", 10, "FIELDS", 6, "a", "b", "c", "d", "e", "f")
    clock.advance(0.02)
    events = Events(engine)
    assert run("HLEN", "h") == 7, "they count until they are taken away"
    assert run("HGET", "h", "a") is None
    assert run("HEXISTS", "h", "b") == 0
    assert run("HSTRLEN", "h", "c") == 0
    assert run("HMGET", "h", "d", "g") == [None, b"5"]
    assert run("HLEN", "h") == 3
    assert engine.stats.expired_subkeys == 4
    assert events.seen() == ["hexpired h"] * 4
    assert run("HINCRBY", "h", "e", 1) == 1
    assert run("HTTL", "h", "FIELDS", 1, "e") == [-1]
    assert run("HSETNX", "h", "f", 1) == 1
    assert engine.stats.expired_subkeys == 6


@pytest.mark.usefixtures("lazy")
def test_commands_that_list_fields_hide_due_ones(
    run: Run, engine: Engine, clock: ManualClock
) -> None:
    three(run)
    run("HPEXPIRE", "h", 10, "FIELDS", 2, "a", "c")
    clock.advance(0.02)
    assert run("HGETALL", "h") == {b"b": b"2"}
    assert run("HKEYS", "h") == [b"b"]
    assert run("HVALS", "h") == [b"2"]
    assert run("HSCAN", "h", 0) == [b"0", [b"b", b"2"]]
    assert run("HPTTL", "h", "FIELDS", 2, "a", "b") == [-2, -1]
    assert (run("HLEN", "h"), engine.stats.expired_subkeys) == (3, 0)
    assert run("HDEL", "h", "a") == 1
    run("HSET", "h", "c", 4)
    assert run("HGET", "h", "c") == b"4"


@pytest.mark.usefixtures("lazy")
@pytest.mark.parametrize("command", ["HPEXPIRE h 9", "HPERSIST h"])
def test_commands_that_set_deadlines_take_due_ones_away(
    run: Run, engine: Engine, clock: ManualClock, command: str
) -> None:
    three(run)
    run("HPEXPIRE", "h", 10, "FIELDS", 2, "a", "c")
    clock.advance(0.02)
    assert run(*command.split(), "FIELDS", 2, "a", "b")[0] == -2
    assert (run("HLEN", "h"), engine.stats.expired_subkeys) == (2, 1)
    run("HPEXPIRE", "h", 1, "FIELDS", 1, "b")
    clock.advance(0.02)
    assert run(*command.split(), "FIELDS", 2, "b", "c") == [-2, -2]
    assert run("EXISTS", "h") == 0


@pytest.mark.usefixtures("lazy")
def test_hrandfield_takes_all_due_fields_away(run: Run, clock: ManualClock) -> None:
    three(run)
    run("HPEXPIRE", "h", 10, "FIELDS", 2, "a", "c")
    clock.advance(0.02)
    assert run("HRANDFIELD", "h") == b"b"
    assert run("HLEN", "h") == 1
    run("HPEXPIRE", "h", 10, "FIELDS", 1, "b")
    clock.advance(0.02)
    assert run("HRANDFIELD", "h", 5, "WITHVALUES") == []
    assert run("EXISTS", "h") == 0


@pytest.mark.usefixtures("lazy")
def test_the_key_goes_with_its_last_field(run: Run, engine: Engine, clock: ManualClock) -> None:
    run("HSET", "h", "a", 1)
    run("HPEXPIRE", "h", 10, "FIELDS", 1, "a")
    clock.advance(0.02)
    assert run("EXISTS", "h") == 1
    events = Events(engine)
    assert run("HGET", "h", "a") is None
    assert events.seen() == ["hexpired h", "del h"]
    assert run("EXISTS", "h") == 0


def test_a_field_is_there_until_its_deadline_has_passed(
    run: Run, now_ms: int, clock: ManualClock
) -> None:
    three(run)
    run("HPEXPIREAT", "h", now_ms + 50, "FIELDS", 1, "a")
    clock.advance(0.05)
    assert run("HGET", "h", "a") == b"1"
    clock.advance(0.001)
    assert run("HGET", "h", "a") is None


def test_sort_does_not_see_due_fields(run: Run, clock: ManualClock) -> None:
    run("DEBUG", "SET-ACTIVE-EXPIRE", 0)
    run("RPUSH", "l", 1)
    run("HSET", "h1", "f", "seen")
    run("HPEXPIRE", "h1", 10, "FIELDS", 1, "f")
    assert run("SORT", "l", "GET", "h*->f") == [b"seen"]
    clock.advance(0.02)
    assert run("SORT", "l", "GET", "h*->f") == [None]


@pytest.mark.parametrize(
    "move",
    [
        ["RENAME", "h", "other"],
        ["RENAMENX", "h", "other"],
        ["COPY", "h", "other"],
        ["MOVE", "h", 1],
        ["SWAPDB", 0, 1],
    ],
)
def test_deadlines_go_where_the_hash_goes(
    run: Run, engine: Engine, clock: ManualClock, move: list[Any]
) -> None:
    three(run)
    run("HPEXPIRE", "h", 100, "FIELDS", 2, "a", "b")
    run(*move)
    if move[0] in ("MOVE", "SWAPDB"):
        run("SELECT", 1)
    key = move[2] if move[2] == "other" else "h"
    assert run("HPTTL", key, "FIELDS", 2, "a", "c") == [100, -1]
    clock.advance(0.2)
    engine.tick()
    assert run("HLEN", key) == 1


def test_a_transaction_is_spoiled_by_a_field_that_expires(
    run: Run, engine: Engine, clock: ManualClock
) -> None:
    three(run)
    run("HPEXPIRE", "h", 10, "FIELDS", 1, "a")
    run("WATCH", "h")
    clock.advance(1)
    engine.tick()
    run("MULTI")
    run("PING")
    assert run("EXEC") is NULL_ARRAY


def test_deadlines_are_in_the_digest(run: Run) -> None:
    three(run)
    before = run("DEBUG", "DIGEST-VALUE", "h")
    run("HEXPIRE", "h", 10, "FIELDS", 1, "a")
    assert run("DEBUG", "DIGEST-VALUE", "h") != before
    run("HPERSIST", "h", "FIELDS", 1, "a")
    assert run("DEBUG", "DIGEST-VALUE", "h") == before
