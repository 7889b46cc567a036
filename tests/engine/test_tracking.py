"""What tracking costs, forgets and delivers; what clients see is in the contract tests."""

from __future__ import annotations

import math
from typing import Any

import pytest

from cacheapp.engine.clock import ManualClock
from cacheapp.engine.engine import Engine
from cacheapp.engine.errors import CommandError
from cacheapp.engine.native import NOT_NATIVE, runner
from cacheapp.engine.replies import NO_REPLY
from cacheapp.engine.session import Session
from cacheapp.engine.shortcuts import getter, setter

INVALIDATED = [b"invalidate", [b"k"]]


@pytest.fixture
def engine() -> Engine:
    return Engine(clock=ManualClock(1_000_000.0))


class Client:
    """A session, and what was delivered to it."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.inbox: list[Any] = []
        self.session: Session = engine.connect(self.inbox.append, protocol=3)

    def execute(self, *args: bytes) -> Any:
        return self.engine.execute(self.session, list(args))

    def track(self, *options: bytes) -> None:
        self.execute(b"CLIENT", b"TRACKING", b"ON", *options)


@pytest.fixture
def tracker(engine: Engine) -> Client:
    return Client(engine)


@pytest.fixture
def other(engine: Engine) -> Client:
    return Client(engine)


def flags(engine: Engine) -> tuple[Any, ...]:
    """What the hot paths test."""
    return engine.event_flags, engine._guarded, engine.notable_seconds, engine.fast_until


def test_only_while_a_client_tracks_commands_look(
    engine: Engine, tracker: Client, other: Client
) -> None:
    other.execute(b"PING")
    before = flags(engine)
    tracker.track()
    other.track(b"BCAST")
    assert engine.fast_until == 0
    assert engine.notable_seconds == -math.inf
    tracker.execute(b"CLIENT", b"TRACKING", b"OFF")
    assert engine.tracking.active
    engine.disconnect(other.session)
    assert flags(engine) == before


def test_the_last_to_leave_takes_the_table_along(engine: Engine, tracker: Client) -> None:
    tracker.track()
    tracker.execute(b"MGET", b"k", b"l")
    assert (len(engine.tracking.keys), engine.tracking.items) == (2, 2)
    tracker.execute(b"RESET")
    assert (len(engine.tracking.keys), engine.tracking.items) == (0, 0)


def test_shortcuts_are_taken_neither_to_read_nor_to_write(tracker: Client, other: Client) -> None:
    get, set_ = getter(tracker.session), setter(other.session)
    set_(b"k", b"1", 0)
    tracker.track()
    assert get(b"k") == b"1"
    set_(b"k", b"2", 0)
    assert tracker.inbox == [INVALIDATED]


def test_no_script_runs_in_its_native_form(tracker: Client, other: Client) -> None:
    run = runner(other.session)
    assert run(lambda call, *_: call(b"SET", b"k", b"1"), [b"k"], []) == b"OK"
    tracker.track()
    assert run(lambda call, *_: call(b"SET", b"k", b"1"), [b"k"], []) is NOT_NATIVE


def test_a_reply_is_delivered_only_where_a_message_has_to_follow_it(tracker: Client) -> None:
    tracker.track()
    assert tracker.execute(b"SET", b"k", b"1") == b"OK"
    tracker.execute(b"GET", b"k")
    assert tracker.execute(b"INCR", b"k") is NO_REPLY
    assert tracker.inbox == [2, INVALIDATED]


def test_an_error_is_delivered_before_the_message_too(tracker: Client) -> None:
    tracker.track()
    tracker.execute(b"GET", b"k")
    script = b"redis.call('set', KEYS[1], 1); return redis.call('lpush', KEYS[1], 1)"
    assert tracker.execute(b"EVAL", script, b"1", b"k") is NO_REPLY
    error, message = tracker.inbox
    assert isinstance(error, CommandError)
    assert message == INVALIDATED


def test_who_cannot_read_messages_gets_replies_alone(tracker: Client, other: Client) -> None:
    tracker.session.direct = True
    tracker.track()
    tracker.execute(b"GET", b"k")
    assert tracker.execute(b"SET", b"k", b"1") == b"OK"
    tracker.execute(b"GET", b"k")
    other.execute(b"SET", b"k", b"1")
    assert tracker.inbox == []


def test_expired_keys_are_told_by_the_tick(engine: Engine, tracker: Client, other: Client) -> None:
    broadcasts = Client(engine)
    broadcasts.track(b"BCAST", b"NOLOOP")
    tracker.track()
    broadcasts.execute(b"SET", b"k", b"1", b"PX", b"10")
    tracker.execute(b"GET", b"k")
    assert isinstance(engine.clock, ManualClock)
    engine.clock.advance(1)
    engine.tick()
    assert tracker.inbox == broadcasts.inbox == [INVALIDATED]


def test_a_broken_command_leaves_nothing_behind(
    engine: Engine, tracker: Client, other: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_args: object) -> None:
        raise KeyboardInterrupt

    tracker.track()
    tracker.execute(b"GET", b"k")
    with monkeypatch.context() as patch:
        patch.setattr(engine, "call", interrupted)
        with pytest.raises(KeyboardInterrupt):
            other.execute(b"SET", b"k", b"1")
    assert engine.tracking.current is None
    tracker.execute(b"SET", b"k", b"1")
    assert tracker.inbox == [b"OK", INVALIDATED]


def test_the_limit_is_reached_in_growing_steps(engine: Engine, tracker: Client) -> None:
    tracker.track()
    tracker.execute(b"MGET", *(b"%d" % number for number in range(601)))
    engine.config.update({"tracking-table-max-keys": 1})
    counts = []
    for _ in range(3):
        engine.tracking.limit()
        counts.append(len(engine.tracking.keys))
    assert counts == [501, 301, 1]
    assert list(engine.tracking.keys) == [b"600"]
    assert len(tracker.inbox) == 600


def test_who_does_not_track_reads_by_the_shortcuts_all_the_same(
    engine: Engine, tracker: Client
) -> None:
    other = Client(engine)
    other.execute(b"SET", b"k", b"v")
    tracker.track()
    tracker.execute(b"PING")
    gets = getter(other.session), getter(tracker.session)
    assert [get(b"k") for get in gets] == [b"v", b"v"]
    assert engine.stats.fast_gets == 1
    other.execute(b"SET", b"k", b"w")
    assert tracker.inbox == [INVALIDATED]
    # A pause is for everybody, and so is what is written.
    setter(other.session)(b"k", b"x", 0)
    assert engine.stats.fast_sets == 0
    engine.execute(other.session, [b"CLIENT", b"PAUSE", b"1000"])
    assert engine.fast_reads_until == engine.rest_reads_until == 0.0


def test_a_session_is_at_rest_again_when_it_tracks_no_more(engine: Engine, tracker: Client) -> None:
    tracker.track()
    assert tracker.session.special
    tracker.execute(b"CLIENT", b"TRACKING", b"OFF")
    assert not tracker.session.special
