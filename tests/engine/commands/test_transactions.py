"""MULTI and WATCH as state of the session, and time, which a test can move here."""

from __future__ import annotations

from cacheapp.engine.clock import ManualClock
from cacheapp.engine.engine import Engine
from cacheapp.engine.replies import NULL_ARRAY, QUEUED
from cacheapp.engine.session import Session


def connect(engine: Engine) -> Session:
    return engine.connect(lambda reply: None, protocol=3)


def test_a_session_is_special_inside_multi_only(engine: Engine) -> None:
    session = connect(engine)
    for ending in ([b"EXEC"], [b"DISCARD"]):
        engine.execute(session, [b"MULTI"])
        assert session.special
        assert engine.execute(session, [b"GET", b"k"]) is QUEUED
        engine.execute(session, ending)
        assert not session.special
        assert session.queue is None


def test_an_aborted_exec_is_a_null_array(engine: Engine) -> None:
    session, other = connect(engine), connect(engine)
    engine.execute(session, [b"WATCH", b"k"])
    engine.execute(other, [b"SET", b"k", b"v"])
    engine.execute(session, [b"MULTI"])
    assert engine.execute(session, [b"EXEC"]) is NULL_ARRAY


def test_a_watched_key_that_becomes_due_is_a_change(engine: Engine, clock: ManualClock) -> None:
    session = connect(engine)
    engine.active_expire = False
    engine.execute(session, [b"SET", b"k", b"v", b"PX", b"100"])
    engine.execute(session, [b"WATCH", b"k"])
    clock.advance(1)
    engine.execute(session, [b"MULTI"])
    assert engine.execute(session, [b"EXEC"]) is NULL_ARRAY


def test_a_key_that_was_due_when_it_was_watched(engine: Engine, clock: ManualClock) -> None:
    session, other = connect(engine), connect(engine)
    engine.active_expire = False
    engine.execute(session, [b"SET", b"k", b"v", b"PX", b"100"])
    clock.advance(1)
    engine.execute(session, [b"WATCH", b"k"])
    engine.execute(other, [b"GET", b"k"])
    engine.execute(session, [b"MULTI"])
    assert engine.execute(session, [b"EXEC"]) == []
    engine.execute(session, [b"WATCH", b"k"])
    engine.execute(other, [b"SET", b"k", b"v"])
    engine.execute(session, [b"MULTI"])
    assert engine.execute(session, [b"EXEC"]) is NULL_ARRAY


def test_nothing_is_left_of_watches(engine: Engine) -> None:
    session = connect(engine)
    for ending in ([b"UNWATCH"], [b"RESET"]):
        engine.execute(session, [b"WATCH", b"a", b"b", b"a"])
        assert len(session.watched) == 2
        engine.execute(session, ending)
        assert not engine.databases[0].watchers
    engine.execute(session, [b"WATCH", b"a"])
    engine.disconnect(session)
    assert not engine.databases[0].watchers


def test_time_stands_still_inside_exec(engine: Engine, clock: ManualClock) -> None:
    session = connect(engine)
    engine.execute(session, [b"SET", b"k", b"v", b"PX", b"100"])
    engine.execute(session, [b"MULTI"])
    engine.execute(session, [b"PTTL", b"k"])
    engine.execute(session, [b"GET", b"k"])
    clock.advance(0.05)
    assert engine.execute(session, [b"EXEC"]) == [50, b"v"]
