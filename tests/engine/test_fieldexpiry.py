"""The expiry of hash fields by the cycle: it reclaims, is bounded, and forgets what is gone."""

from __future__ import annotations

import math

import pytest

from cacheapp.engine.clock import ManualClock
from cacheapp.engine.engine import Engine
from cacheapp.engine.expiry import expire_cycle
from cacheapp.engine.fieldexpiry import FieldDeadlines, build_hash, expect_fields
from cacheapp.engine.structures.expiringhash import ExpiringHash
from cacheapp.engine.structures.hash import Hash
from tests.engine.conftest import Run
from tests.engine.events import Events
from tests.engine.test_expiry import RunningClock


def subexpiry(run: Run) -> int:
    """What INFO says of hashes with deadlines."""
    line = next(
        (line for line in bytes(run("INFO", "keyspace")).splitlines() if b"db0" in line), b""
    )
    return int(line.partition(b"subexpiry=")[2] or 0)


def test_ticks_take_due_fields_away(engine: Engine, clock: ManualClock, run: Run) -> None:
    run("HSET", "gone", "a", 1, "b", 2)
    run("HSET", "left", "a", 1, "b", 2)
    run("HPEXPIRE", "gone", 100, "FIELDS", 2, "a", "b")
    run("HPEXPIRE", "left", 100, "FIELDS", 1, "a")
    run("HPEXPIRE", "left", 9000, "FIELDS", 1, "b")
    assert subexpiry(run) == 2
    events = Events(engine)
    clock.advance(1)
    engine.tick()
    assert events.seen() == ["hexpired gone", "del gone", "hexpired left"]
    assert (run("EXISTS", "gone"), run("HLEN", "left"), subexpiry(run)) == (0, 1, 1)
    assert engine.stats.expired_subkeys == 3
    assert b"expired_subkeys:3" in bytes(run("INFO", "stats"))
    clock.advance(10)
    engine.tick()
    assert (run("DBSIZE"), subexpiry(run)) == (0, 0)


def test_commands_tick_without_a_thread(clock: ManualClock, run: Run) -> None:
    run("HSET", "h", "a", 1)
    run("HPEXPIRE", "h", 100, "FIELDS", 1, "a")
    clock.advance(1)
    assert run("DBSIZE") == 0


def test_a_cycle_ends_when_its_time_is_used_up() -> None:
    clock = RunningClock()
    engine = Engine(clock=clock)
    session = engine.connect(lambda reply: None)
    fields = [b"f%d" % number for number in range(2000)]
    engine.execute(session, [b"HSET", b"h", *(part for field in fields for part in (field, b"v"))])
    engine.execute(session, [b"HPEXPIRE", b"h", b"100", b"FIELDS", b"2000", *fields])
    clock.advance(60)
    engine._read_clock()
    clock.cost_s = 0.0006
    assert expire_cycle(engine) == 0, "many fields are due: the next command should go on"
    assert 0 < engine.stats.expired_subkeys < 1000
    while expire_cycle(engine) < math.inf:
        pass
    assert engine.stats.expired_subkeys == 2000
    assert len(engine.databases[0]) == 0


@pytest.mark.parametrize(
    "command",
    [["DEL", "h"], ["SET", "h", 1], ["FLUSHALL"], ["HDEL", "h", "a"], ["RENAME", "h", "other"]],
)
def test_what_is_gone_is_forgotten(run: Run, engine: Engine, command: list[str]) -> None:
    run("HSET", "h", "a", 1)
    run("HEXPIRE", "h", 1000, "FIELDS", 1, "a")
    run(*command)
    waiting = engine.databases[0].field_deadlines
    assert len(waiting or ()) == (command[0] == "RENAME")


def test_a_deadline_that_was_taken_back_is_no_event(
    engine: Engine, clock: ManualClock, run: Run
) -> None:
    run("HSET", "h", "a", 1, "b", 2)
    run("HPEXPIRE", "h", 100, "FIELDS", 2, "a", "b")
    run("HPERSIST", "h", "FIELDS", 1, "a")
    run("HDEL", "h", "b")
    assert subexpiry(run) == 1
    events = Events(engine)
    clock.advance(1)
    engine.tick()
    assert (events.seen(), subexpiry(run)) == ([], 0)


def test_the_heap_does_not_grow_with_what_is_old() -> None:
    waiting = FieldDeadlines()
    for number in range(1000):
        waiting.expect(b"key", 2000 - number)
        waiting.forget(b"key")
    waiting.expect(b"key", 5)
    assert len(waiting._order) < 200
    assert (waiting.first_due(5), waiting.first_due(6)) == (None, b"key")


def test_a_hash_is_built_from_its_entries(engine: Engine, clock: ManualClock, run: Run) -> None:
    made = build_hash([(b"a", b"1", 0), (b"b", b"2", int(clock.time() * 1000) + 50)], 512, 64)
    assert type(build_hash([(b"a", b"1", 0)], 512, 64)) is Hash
    assert isinstance(made, ExpiringHash)
    database = engine.databases[0]
    database.put(b"h", made)
    expect_fields(database, b"h", made)
    assert list(build_hash(made.entries(), 512, 64).entries()) == list(made.entries())
    clock.advance(1)
    engine.tick()
    assert run("HGETALL", "h") == {b"a": b"1"}
