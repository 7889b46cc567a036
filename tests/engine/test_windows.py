"""The written-out charge of a window: what it does, and that it does nothing where it may not."""

from __future__ import annotations

from struct import pack

import pytest

from cacheapp.engine.clock import ManualClock
from cacheapp.engine.engine import Engine
from cacheapp.engine.session import Session
from cacheapp.engine.windows import window_counter

SECOND = 1_000_000
# 30 seconds of the minute have passed.
NOW_S = 60_030.0


@pytest.fixture
def engine() -> Engine:
    return Engine({}, ManualClock(NOW_S))


@pytest.fixture
def session(engine: Engine) -> Session:
    return engine.connect(lambda reply: None)


def hold(
    session: Session, index: int, current: float, previous: float, ttl_ms: int = 90_000
) -> None:
    state = pack("<ddd", index, current, previous)
    session.engine.execute(session, [b"SET", b"k", state, b"PX", b"%d" % ttl_ms])


def test_it_charges_one(engine: Engine, session: Session) -> None:
    hold(session, 1000, 3, 4)
    dirty = engine.dirty
    reply = window_counter(session)(b"k", 10, 60 * SECOND)
    state = pack("<ddd", 1000, 4, 4)
    assert reply == (True, int(NOW_S * SECOND), state, 10 - 4 - 2, 30 * SECOND)
    assert engine.execute(session, [b"GET", b"k"]) == state
    assert engine.execute(session, [b"PTTL", b"k"]) == 90_000
    assert engine.dirty == dirty + 1
    engine.stats.settle()
    assert engine.stats.commands["evalsha"].calls == 1


@pytest.mark.parametrize(
    ("index", "current", "previous", "limit"),
    [
        (1000, 10, 0, 10),
        (1000, 5, 10, 10),
        (999, 1, 0, 10),
        (1001, 1, 0, 10),
        (float("nan"), 1, 0, 9),
    ],
)
def test_it_leaves_what_is_not_that_simple(
    session: Session, index: int, current: int, previous: int, limit: int
) -> None:
    hold(session, index, current, previous)
    assert window_counter(session)(b"k", limit, 60 * SECOND) is None
    held = session.engine.execute(session, [b"GET", b"k"])
    assert held == pack("<ddd", index, current, previous)


@pytest.mark.parametrize(
    "command",
    [
        [b"DEL", b"k"],
        [b"PEXPIRE", b"k", b"1"],
        [b"PERSIST", b"k"],
        [b"SET", b"k", b"what another wrote"],
        [b"SET", b"k", b"12", b"PX", b"1000"],
        [b"COPY", b"list", b"k", b"REPLACE"],
        [b"COPY", b"hash", b"k", b"REPLACE"],
        [b"WATCH", b"k"],
        [b"MULTI"],
        [b"MONITOR"],
        [b"CONFIG", b"SET", b"maxmemory", b"100mb"],
        [b"CONFIG", b"SET", b"notify-keyspace-events", b"KA"],
        [b"CONFIG", b"SET", b"slowlog-log-slower-than", b"0"],
    ],
)
def test_it_does_nothing_in_another_state(
    engine: Engine, session: Session, command: list[bytes]
) -> None:
    engine.execute(session, [b"RPUSH", b"list", b"x"])
    engine.execute(session, [b"HSET", b"hash", b"f", b"v"])
    hold(session, 1000, 1, 0)
    # Whether it is its own session that is in that state, or another.
    other = engine.connect(lambda reply: None)
    engine.execute(session if command == [b"MULTI"] else other, command)
    if command[0] == b"PEXPIRE":
        assert isinstance(engine.clock, ManualClock)
        engine.clock.advance(0.01)
    dirty = engine.dirty
    assert window_counter(session)(b"k", 10, 60 * SECOND) is None
    assert engine.dirty == dirty
    assert engine.lock.acquire(blocking=False)
    engine.lock.release()
