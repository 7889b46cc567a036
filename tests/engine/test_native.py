"""Native forms of scripts: run as one, seen by whoever sees commands, refused where they show."""

from __future__ import annotations

import pytest

from cacheapp.clients.scripts import Script
from cacheapp.engine.clock import ManualClock
from cacheapp.engine.database import Database
from cacheapp.engine.engine import Engine
from cacheapp.engine.errors import CommandError
from cacheapp.engine.native import NOT_NATIVE, runner, update_slowly, updater
from cacheapp.engine.replies import OK


def add_twice(call, now_us, keys, arguments):  # type: ignore[no-untyped-def]
    call(b"INCRBY", keys[0], b"%d" % arguments[0])
    return call(b"INCRBY", keys[0], b"%d" % arguments[0]), now_us


def wrong(call, _now_us, keys, _arguments):  # type: ignore[no-untyped-def]
    call(b"SET", keys[0], b"1")
    call(b"LPUSH", keys[0], b"2")


def engine_with(**options: str) -> Engine:
    named = {name.replace("_", "-"): value for name, value in options.items()}
    return Engine(named, ManualClock(1_000.5))


def test_it_runs_commands_and_knows_the_time() -> None:
    engine = engine_with()
    session = engine.connect(lambda reply: None)
    assert runner(session)(add_twice, [b"n"], [2]) == (4, 1_000_500_000)
    assert engine.execute(session, [b"GET", b"n"]) == b"4"
    engine.stats.settle()
    assert engine.stats.commands["evalsha"].calls == 1


def test_an_error_leaves_what_was_done_and_an_engine_at_rest() -> None:
    engine = engine_with()
    session = engine.connect(lambda reply: None)
    with pytest.raises(CommandError, match="WRONGTYPE"):
        runner(session)(wrong, [b"k"], [])
    assert engine.execute(session, [b"GET", b"k"]) == b"1"
    assert engine.epoch % 2 == 0


def test_readers_without_the_lock_stay_out_while_due_keys_go() -> None:
    engine = engine_with(notify_keyspace_events="Kx")
    running: list[bool] = []
    listener = engine.connect(lambda reply: running.append(engine.epoch % 2 == 1), protocol=3)
    engine.execute(listener, [b"PSUBSCRIBE", b"__keyspace*"])
    session = engine.connect(lambda reply: None)
    for run in (
        lambda: runner(session)(add_twice, [b"n"], [1]),
        lambda: update_slowly(session, lambda held, now_us, arguments: (None, None, 0), b"u", []),
    ):
        engine.execute(session, [b"SET", b"due", b"1", b"PX", b"1"])
        running.clear()
        assert isinstance(engine.clock, ManualClock)
        engine.clock.advance(10)
        run()
        assert running == [True]
    assert engine.epoch % 2 == 0


def test_a_fault_in_the_middle_of_an_update_leaves_an_engine_at_rest(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    engine = engine_with()
    session = engine.connect(lambda reply: None)
    script = Script("return 1", update=lambda held, now_us, arguments: (1, b"new", 1000))
    update = updater(session, lambda *args: pytest.fail("not at rest"))
    engine.execute(session, [b"PING"])

    def out_of_memory(*_args: object) -> int:
        raise MemoryError

    with monkeypatch.context() as patch:
        patch.setattr(Database, "insert", out_of_memory)
        with pytest.raises(MemoryError):
            update(script, b"k", ())
    assert engine.epoch % 2 == 0
    assert update(script, b"k", ()) == 1


def test_they_are_told_to_clients_that_track() -> None:
    engine = engine_with()
    messages: list[object] = []
    tracking = engine.connect(messages.append, protocol=3)
    engine.execute(tracking, [b"CLIENT", b"TRACKING", b"on", b"BCAST"])
    session = engine.connect(lambda reply: None)
    assert runner(session)(add_twice, [b"n"], [1]) is NOT_NATIVE
    engine.execute(session, [b"INCR", b"n"])
    assert messages == [[b"invalidate", [b"n"]]]


def test_events_watches_and_waiting_clients_see_it() -> None:
    engine = engine_with(notify_keyspace_events="KA")
    messages: list[object] = []
    listener = engine.connect(messages.append, protocol=3)
    engine.execute(listener, [b"PSUBSCRIBE", b"__keyspace*"])
    messages.clear()
    watching = engine.connect(lambda reply: None)
    engine.execute(watching, [b"WATCH", b"n"])
    session = engine.connect(lambda reply: None)
    runner(session)(add_twice, [b"n"], [1])
    assert len(messages) == 2
    engine.execute(watching, [b"MULTI"])
    assert engine.execute(watching, [b"EXEC"]) is not OK
    assert watching.watched == {}

    blocked: list[object] = []
    waiter = engine.connect(blocked.append)
    engine.execute(waiter, [b"BLPOP", b"list", b"0"])
    runner(session)(lambda call, *_: call(b"RPUSH", b"list", b"x"), [], [])
    assert blocked == [[b"list", b"x"]]


@pytest.mark.parametrize("state", ["multi", "monitor", "slowlog", "memory"])
def test_it_is_refused_where_it_could_be_told_from_the_script(state: str) -> None:
    engine = engine_with(maxmemory="2mb") if state == "memory" else engine_with()
    session = engine.connect(lambda reply: None)
    if state == "multi":
        engine.execute(session, [b"MULTI"])
    elif state == "monitor":
        engine.execute(engine.connect(lambda reply: None), [b"MONITOR"])
    elif state == "slowlog":
        engine.execute(session, [b"CONFIG", b"SET", b"slowlog-log-slower-than", b"0"])
    else:
        engine.execute(session, [b"SET", b"big", b"x" * 3_000_000])
    assert runner(session)(add_twice, [b"n"], [1]) is NOT_NATIVE
    assert b"n" not in session.db


def test_memory_is_made_where_the_policy_can() -> None:
    engine = engine_with(maxmemory="2mb", maxmemory_policy="allkeys-lru")
    session = engine.connect(lambda reply: None)
    engine.execute(session, [b"SET", b"big", b"x" * 3_000_000])
    assert runner(session)(add_twice, [b"n"], [1])[0] == 2
    assert b"big" not in session.db


def test_due_keys_are_gone_for_it() -> None:
    engine = engine_with()
    session = engine.connect(lambda reply: None)
    engine.execute(session, [b"SET", b"n", b"5", b"PX", b"10"])
    assert isinstance(engine.clock, ManualClock)
    engine.clock.advance(1)
    assert runner(session)(add_twice, [b"n"], [1])[0] == 2
