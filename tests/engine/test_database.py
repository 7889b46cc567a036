"""Slots, the scan cursor over them, and the account of memory."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cacheapp.engine.clock import ManualClock
from cacheapp.engine.database import Database
from cacheapp.engine.engine import Engine
from cacheapp.engine.sampling import random_key
from tests.engine.conftest import Run


def scan(database: Database, count: int = 10) -> list[bytes]:
    """All that a whole scan returns, repetitions included."""
    cursor, found = database.scan(0, count)
    while cursor:
        cursor, more = database.scan(cursor, count)
        found += more
    return found


@given(
    first=st.sets(st.integers(0, 3000), max_size=300),
    steps=st.lists(st.tuples(st.booleans(), st.integers(0, 3000)), max_size=300),
    count=st.integers(1, 50),
)
def test_a_scan_returns_what_is_there_throughout(
    first: set[int], steps: list[tuple[bool, int]], count: int
) -> None:
    database = Engine(clock=ManualClock()).databases[0]
    for number in first:
        database.put(b"%d" % number, b"")
    throughout = set(first)
    pending = list(steps)
    cursor, found = database.scan(0, count)
    while cursor:
        for is_new, number in pending[:5]:
            key = b"%d" % number
            if is_new:
                database.put(key, b"")
            elif database.delete(key):
                throughout.discard(number)
        del pending[:5]
        cursor, more = database.scan(cursor, count)
        found += more
    assert {b"%d" % number for number in throughout} <= set(found)


def test_a_scan_takes_about_count_keys_a_call(engine: Engine) -> None:
    database = engine.databases[0]
    for number in range(5000):
        database.put(b"%d" % number, b"")
    sizes = []
    cursor, found = database.scan(0, 100)
    sizes.append(len(found))
    while cursor:
        cursor, found = database.scan(cursor, 100)
        sizes.append(len(found))
    assert sum(sizes) == 5000
    assert max(sizes) == 100


def test_a_call_over_free_slots_is_bounded(engine: Engine) -> None:
    database = engine.databases[0]
    for number in range(20_000):
        database.put(b"%d" % number, b"")
    for number in range(19_999):
        database.delete(b"%d" % number)
    cursor, found = database.scan(0, 10)
    assert cursor
    assert found == []
    assert scan(database) == [b"19999"]


def test_rebuilding_the_columns_starts_a_scan_again_and_misses_nothing(engine: Engine) -> None:
    database = engine.databases[0]
    for number in range(50_000):
        database.put(b"%d" % number, b"")
    cursor, found = database.scan(0, 10)
    for number in range(49_900):
        database.delete(b"%d" % number)
    slots = len(database.keys)
    database.compact_if_sparse()
    assert len(database.keys) < slots
    while cursor:
        cursor, more = database.scan(cursor, 10)
        found += more
    assert {b"%d" % number for number in range(49_900, 50_000)} <= set(found)
    assert all(database.peek(b"%d" % number) == b"" for number in range(49_900, 50_000))


def test_slots_are_used_again(engine: Engine) -> None:
    database = engine.databases[0]
    for number in range(1000):
        database.put(b"key", b"%d" % number)
        database.set_deadline(b"key", 2**62)
        database.delete(b"key")
    assert len(database.keys) == 1
    database.put(b"other", b"")
    assert database.deadline(b"other") == 0
    assert database.volatile == 0


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 4)), max_size=60))
def test_deadlines_are_counted(steps: list[tuple[int, int]]) -> None:
    engine = Engine(clock=ManualClock())
    database = engine.databases[0]
    for number, action in steps:
        key = b"%d" % number
        if action == 0:
            database.put(key, b"")
        elif action == 1:
            database.put(key, b"", keep_deadline=True)
        elif action == 2:
            database.delete(key)
        elif key in database:
            database.set_deadline(key, engine.now_ms + 1000 if action == 3 else 0)
    assert database.volatile == sum(map(bool, database.deadlines))
    assert len(database) == len(database.slots) == len(database.keys) - len(database.free)


def test_a_due_key_is_gone_for_every_look(engine: Engine, clock: ManualClock, run: Run) -> None:
    database = engine.databases[0]
    for look in (database.get, database.peek, database.look, database.__contains__):
        run("SET", "key", "v", "PX", 10)
        clock.advance(0.012)
        run("PING")
        assert not look(b"key")
        assert len(database) == 0


def test_a_random_key_is_never_due_and_each_comes(engine: Engine, clock: ManualClock) -> None:
    database = engine.databases[0]
    assert random_key(database) is None
    for number in range(200):
        database.put(b"%d" % number, b"")
        if number >= 5:
            database.set_deadline(b"%d" % number, engine.now_ms)
    clock.advance(1)
    engine._read_clock()
    random.seed(1)
    assert {random_key(database) for _ in range(200)} == {b"0", b"1", b"2", b"3", b"4"}


def test_swapping_moves_everything_but_the_sessions(engine: Engine, run: Run) -> None:
    run("SET", "a", 1, "EX", 100)
    cursor = engine.databases[0].scan(0, 1)[0]
    run("SWAPDB", 0, 5)
    assert run("GET", "a") is None
    run("SELECT", 5)
    assert run("TTL", "a") == 100
    assert engine.databases[5].volatile == 1
    assert engine.databases[0].volatile == 0
    assert scan(engine.databases[5]) == [b"a"]
    assert cursor == 0


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 5)), max_size=80))
def test_the_account_is_what_weighing_anew_gives(steps: list[tuple[int, int]]) -> None:
    engine = Engine({"maxmemory": "1gb"}, clock=ManualClock())
    session = engine.connect(lambda reply: None, protocol=3)
    for number, action in steps:
        key = b"%d" % number
        command = [
            [b"SET", key, b"x" * 100],
            [b"APPEND", key, b"y" * 300],
            [b"DEL", key],
            [b"GETSET", key, b""],
            [b"SETRANGE", key, b"500", b"z"],
            [b"RENAME", key, b"0"],
        ][action]
        if action != 5 or key in engine.databases[0]:
            engine.execute(session, command)
    kept = engine.used_bytes
    engine.databases[0].keep_account(False)
    engine.used_bytes = 0
    engine.databases[0].keep_account(True)
    assert kept == engine.used_bytes


@pytest.mark.parametrize("state", ["at rest", "limited", "notified", "lfu", "waited for"])
def test_several_strings_are_put_as_one_by_one(state: str) -> None:
    outcomes = []
    options = {
        "limited": {"maxmemory": "100mb"},
        "notified": {"notify-keyspace-events": "KEA"},
        "lfu": {"maxmemory-policy": "allkeys-lfu"},
    }
    for at_once in (True, False):
        clock = ManualClock(1_000_000.0)
        engine = Engine(options.get(state), clock=clock)
        session, watching = (engine.connect(lambda _reply: None) for _ in range(2))
        if state == "waited for":
            engine.execute(engine.connect(lambda _reply: None), [b"BLPOP", b"new", b"0"])
        for line in (b"SET a 1", b"SET due x PX 5", b"SET ttl x PX 5000", b"RPUSH list x"):
            engine.execute(session, line.split())
        for key in (b"a", b"new", b"list"):
            engine.execute(watching, [b"WATCH", key])
        clock.advance(0.05)
        engine.execute(session, [b"PING"])
        database = engine.databases[0]
        pairs = [
            part for key in (b"a", b"due", b"ttl", b"list", b"new", b"a") for part in (key, key)
        ]
        if at_once:
            database.put_strings(pairs)
        else:
            for at in range(0, len(pairs), 2):
                database.put(pairs[at], pairs[at + 1])
                database.changed(pairs[at], b"set")
        contents = {key: (database.peek(key), database.deadline(key)) for key in database}
        outcomes.append(
            (contents, engine.dirty, database.volatile, watching.touched, engine.used_bytes,
             engine.stats.expired_keys)
        )  # fmt: skip
    assert outcomes[0] == outcomes[1]
    assert outcomes[0][3]
