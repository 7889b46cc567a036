"""What the clock, the shortcuts and clients in this process have to do with server commands."""

from __future__ import annotations

from typing import Any

import pytest

from cacheapp.clients.factory import get_client
from cacheapp.engine.clock import ManualClock
from cacheapp.engine.engine import Engine
from cacheapp.engine.errors import CommandError
from cacheapp.engine.replies import BLOCKED, NO_REPLY, OK
from cacheapp.engine.session import Session
from cacheapp.engine.shortcuts import getter, setter
from tests.engine.conftest import Run
from tests.raw import encode


def client_of(engine: Engine) -> tuple[Session, list[Any]]:
    """A session, and what is delivered to it."""
    delivered: list[Any] = []
    return engine.connect(delivered.append), delivered


def execute(engine: Engine, session: Session, *args: str | int) -> Any:
    return engine.execute(session, [encode(arg) for arg in args])


def test_a_pause_ends_by_the_clock(engine: Engine, run: Run, clock: ManualClock) -> None:
    session, delivered = client_of(engine)
    run("CLIENT", "PAUSE", 1000, "WRITE")
    assert execute(engine, session, "SET", "key", 1) is BLOCKED
    assert execute(engine, session, "INCR", "key") is BLOCKED
    assert engine.waiters.next_deadline_ms() == engine.now_ms + 1000
    clock.advance(0.5)
    engine.tick()
    assert delivered == []
    clock.advance(0.5)
    engine.tick()
    assert delivered == [OK, 2]
    assert engine.waiters.next_deadline_ms() == 0
    assert execute(engine, session, "INCR", "key") == 3


def test_what_follows_a_kept_command_is_kept(engine: Engine, run: Run) -> None:
    session, delivered = client_of(engine)
    run("CLIENT", "PAUSE", 1000, "WRITE")
    assert execute(engine, session, "GET", "key") is None
    assert execute(engine, session, "LPUSH", "key", 1) is BLOCKED
    assert execute(engine, session, "GET", "key") is BLOCKED
    run("CLIENT", "UNPAUSE")
    assert delivered[0] == 1
    assert isinstance(delivered[1], CommandError)


def test_a_client_that_is_gone_writes_nothing(engine: Engine, run: Run) -> None:
    session, delivered = client_of(engine)
    run("CLIENT", "PAUSE", 1000, "WRITE")
    execute(engine, session, "SET", "key", 1)
    engine.disconnect(session)
    run("CLIENT", "UNPAUSE")
    assert delivered == []
    assert run("EXISTS", "key") == 0


def test_shortcuts_are_paused_too(engine: Engine, run: Run) -> None:
    session, delivered = client_of(engine)
    store = setter(session)
    assert store(b"key", b"1", 0) == OK
    run("CLIENT", "PAUSE", 1000, "WRITE")
    assert store(b"key", b"2", 0) is BLOCKED
    run("CLIENT", "UNPAUSE")
    assert delivered == [OK]
    assert store(b"key", b"3", 0) == OK


def test_calls_that_cannot_wait_are_not_paused() -> None:
    client = get_client("memory://not-paused/0")
    assert client.ping()
    engine = Engine.shared("not-paused")
    session, _ = client_of(engine)
    execute(engine, session, "CLIENT", "PAUSE", 60_000, "ALL")
    assert client.set("key", "value")
    assert client.get("key") == b"value"
    client.close()
    Engine.discard("not-paused")


def test_monitors_and_the_slow_log_see_shortcuts(engine: Engine, run: Run) -> None:
    monitor, delivered = client_of(engine)
    execute(engine, monitor, "MONITOR")
    session, _ = client_of(engine)
    get = getter(session)
    run("SET", "key", 1)
    get(b"key")
    assert [line.partition(b"] ")[2] for line in delivered] == [b'"SET" "key" "1"', b'"GET" "key"']
    engine.disconnect(monitor)
    get(b"key")
    assert len(delivered) == 2
    assert not engine.monitors
    run("CONFIG", "SET", "slowlog-log-slower-than", 0)
    get(b"key")
    assert run("SLOWLOG", "GET", 1)[0][3] == [b"GET", b"key"]


def test_a_script_in_a_transaction_is_shown(engine: Engine, run: Run) -> None:
    monitor, delivered = client_of(engine)
    execute(engine, monitor, "MONITOR")
    run("MULTI")
    run("EVAL", "return 1", 0)
    run("EXEC")
    shown = [line.partition(b"] ")[2] for line in delivered]
    assert shown == [b'"MULTI"', b'"EVAL" "return 1" "0"', b'"EXEC"']


def test_latency_samples_and_their_graph(engine: Engine, run: Run, clock: ManualClock) -> None:
    run("CONFIG", "SET", "latency-monitor-threshold", 100)
    run("DEBUG", "SLEEP", 0.05)
    assert run("LATENCY", "LATEST") == []
    for seconds in (0.3, 0.4, 0.5):
        run("DEBUG", "SLEEP", seconds)
        clock.advance(1)
    samples = run("LATENCY", "HISTORY", "command")
    assert [latency_ms for _, latency_ms in samples] == pytest.approx([300, 400, 500], abs=1)
    ((name, _, latest, highest),) = run("LATENCY", "LATEST")
    assert (name, latest) == (b"command", highest)
    lines = run("LATENCY", "GRAPH", "command").decode().split("\n")
    assert lines[2:6] == ["  #", " _|", " ||", "_||"]


def test_no_touch_leaves_no_trace(engine: Engine, run: Run, clock: ManualClock) -> None:
    run("SET", "key", "value")
    session, _ = client_of(engine)
    assert execute(engine, session, "CLIENT", "NO-TOUCH", "ON") == OK
    clock.advance(60)
    assert execute(engine, session, "GET", "key") == b"value"
    assert getter(session)(b"key") == b"value"
    assert b"flags=T " in run("CLIENT", "LIST")
    assert run("OBJECT", "IDLETIME", "key") == 60
    assert execute(engine, session, "CLIENT", "NO-TOUCH", "off") == OK
    execute(engine, session, "GET", "key")
    assert run("OBJECT", "IDLETIME", "key") == 0


def test_killing_by_age(engine: Engine, run: Run, clock: ManualClock) -> None:
    old, _ = client_of(engine)
    clock.advance(100)
    young, _ = client_of(engine)
    assert run("CLIENT", "KILL", "MAXAGE", 101) == 0
    assert run("CLIENT", "KILL", "MAXAGE", 100) == 1
    assert old.id not in engine.sessions
    assert young.id in engine.sessions
    for wrong in ("0", "x"):
        with pytest.raises(CommandError):
            run("CLIENT", "KILL", "MAXAGE", wrong)


def test_a_killed_client_waits_no_more(engine: Engine, run: Run) -> None:
    session, delivered = client_of(engine)
    assert execute(engine, session, "BLPOP", "list", 0) is BLOCKED
    assert run("CLIENT", "KILL", "ID", session.id) == 1
    assert isinstance(delivered[0], CommandError)
    assert session.closing


def test_muted_clients_still_get_messages(engine: Engine, run: Run) -> None:
    session, delivered = client_of(engine)
    execute(engine, session, "CLIENT", "REPLY", "OFF")
    execute(engine, session, "SUBSCRIBE", "news")
    run("PUBLISH", "news", "x")
    assert delivered[-1] == [b"message", b"news", b"x"]


def test_errors_are_muted_before_a_command_runs(engine: Engine) -> None:
    session, _ = client_of(engine)
    assert execute(engine, session, "CLIENT", "REPLY", "SKIP") is NO_REPLY
    assert execute(engine, session, "NOPE") is NO_REPLY
    with pytest.raises(CommandError):
        execute(engine, session, "NOPE")
