"""The engine itself: sharing by name, sessions, the order of checks, time, forks."""

from __future__ import annotations

import contextlib
import os
import threading

import pytest

from cacheapp.engine.clock import ManualClock
from cacheapp.engine.engine import Engine
from cacheapp.engine.errors import CommandError, ConfigError
from cacheapp.engine.replies import BLOCKED, QUEUED
from tests.engine.conftest import Run


@pytest.fixture
def named() -> str:
    name = "test-engine"
    Engine.discard(name)
    return name


def test_engines_are_shared_by_name_and_isolated_between_names(named: str) -> None:
    one = Engine.shared(named)
    assert Engine.shared(named) is one
    assert Engine.shared(named + "-other") is not one
    Engine.discard(named)
    Engine.discard(named + "-other")
    assert Engine.shared(named) is not one


def test_a_name_has_one_set_of_options(named: str) -> None:
    one = Engine.shared(named, {"maxmemory": "1mb"})
    assert Engine.shared(named, {"maxmemory": "1048576"}) is one
    assert Engine.shared(named) is one
    with pytest.raises(ConfigError, match="already runs in this process with another 'maxmemory'"):
        Engine.shared(named, {"maxmemory": "2mb"})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"maxmemmory": "1mb"}, "no parameter 'maxmemmory'; did you mean 'maxmemory'"),
        ({"maxmemory": "lots"}, "'maxmemory' cannot be 'lots': argument must be a memory value"),
        ({"databases": "0"}, "'databases' cannot be '0'"),
    ],
)
def test_wrong_options_are_named(options: dict[str, str], message: str) -> None:
    with pytest.raises(ConfigError, match=message.replace("?", r"\?")):
        Engine(options)


def test_the_number_of_databases_is_an_option() -> None:
    engine = Engine({"databases": "2"})
    session = engine.connect(lambda reply: None)
    engine.execute(session, [b"SELECT", b"1"])
    with pytest.raises(CommandError, match="DB index is out of range"):
        engine.execute(session, [b"SELECT", b"2"])


def test_arity_wins_over_authentication_and_authentication_over_the_queue(engine: Engine) -> None:
    engine.config.update({"requirepass": "secret"})
    session = engine.connect(lambda reply: None)
    for args, message in (
        ([b"GET"], "ERR wrong number of arguments for 'get' command"),
        ([b"NONSENSE"], "ERR unknown command 'NONSENSE', with args beginning with: "),
        ([b"GET", b"key"], "NOAUTH Authentication required."),
        ([b"MULTI"], "NOAUTH Authentication required."),
    ):
        with pytest.raises(CommandError) as caught:
            engine.execute(session, args)
        assert str(caught.value) == message


def test_an_error_while_queueing_spoils_the_transaction(engine: Engine, run: Run) -> None:
    run("MULTI")
    assert run("SET", "key", 1) is QUEUED
    with pytest.raises(CommandError):
        run("GET")
    assert run("SET", "key", 2) is QUEUED
    with pytest.raises(CommandError, match="EXECABORT"):
        run("EXEC")
    assert run("EXISTS", "key") == 0


def test_a_gone_session_leaves_nothing_behind(engine: Engine, run: Run) -> None:
    session = engine.connect(lambda reply: None)
    engine.execute(session, [b"WATCH", b"key"])
    engine.execute(session, [b"SUBSCRIBE", b"news"])
    engine.execute(session, [b"PSUBSCRIBE", b"n*"])
    engine.disconnect(session)
    engine.disconnect(session)
    assert run("PUBLISH", "news", "x") == 0
    assert engine.databases[0].watchers == {}
    assert session.id not in engine.sessions
    assert engine.pubsub.channels == engine.pubsub.patterns == {}


def test_time_stands_still_within_a_transaction(clock: ManualClock, run: Run) -> None:
    run("SET", "key", 1, "PX", 10)
    run("MULTI")
    run("DEBUG", "SLEEP", 1)
    run("GET", "key")
    assert run("EXEC")[1] == b"1"
    assert run("GET", "key") is None


def test_deadlines_follow_the_clock(clock: ManualClock, run: Run) -> None:
    run("SET", "key", 1, "EX", 10)
    clock.advance(9.4)
    assert run("TTL", "key") == 1
    clock.advance(0.6)
    assert run("GET", "key") == b"1"
    clock.advance(0.001)
    assert run("TTL", "key") == -2
    clock.advance(-5)
    assert run("EXISTS", "key") == 0, "an expired key came back with the clock"


def test_object_idletime_follows_the_clock(clock: ManualClock, run: Run) -> None:
    run("SET", "key", 1)
    clock.advance(30)
    assert run("OBJECT", "IDLETIME", "key") == 30
    run("TTL", "key")
    run("EXISTS", "key")
    assert run("OBJECT", "IDLETIME", "key") == 30
    run("TOUCH", "key")
    assert run("OBJECT", "IDLETIME", "key") == 0


def test_lfu_counters_decay(clock: ManualClock, run: Run) -> None:
    run("CONFIG", "SET", "maxmemory-policy", "allkeys-lfu", "lfu-log-factor", 0)
    run("SET", "key", 1)
    for _ in range(20):
        run("GET", "key")
    assert run("OBJECT", "FREQ", "key") == 25
    clock.advance(60 * 10)
    assert run("OBJECT", "FREQ", "key") == 15
    clock.advance(60 * 100)
    assert run("OBJECT", "FREQ", "key") == 0


def test_epoch_is_even_at_rest_also_after_errors(engine: Engine, run: Run) -> None:
    for args in (("PING",), ("NONSENSE",), ("SET", "a", "b"), ("INCR", "a")):
        with contextlib.suppress(CommandError):
            run(*args)
        assert engine.epoch % 2 == 0
    engine.tick()
    assert engine.epoch % 2 == 0


def test_threads_lose_no_increment() -> None:
    engine = Engine()

    def work() -> None:
        session = engine.connect(lambda reply: None)
        for _ in range(500):
            engine.execute(session, [b"INCRBY", b"counter", b"1"])

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    session = engine.connect(lambda reply: None)
    assert engine.execute(session, [b"GET", b"counter"]) == b"4000"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this platform")
def test_a_child_has_the_data_but_its_own_lock_and_sessions() -> None:
    engine = Engine()
    session = engine.connect(lambda reply: None)
    engine.execute(session, [b"SET", b"key", b"before"])
    engine.execute(session, [b"SUBSCRIBE", b"news"])
    run_id = engine.run_id
    holding, release = threading.Event(), threading.Event()

    def hold_the_lock_for_a_moment() -> None:
        with engine.lock:
            holding.set()
            release.wait(0.2)

    # The fork waits for the holder, so that no child inherits a half-done command.
    holder = threading.Thread(target=hold_the_lock_for_a_moment)
    holder.start()
    holding.wait()
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        answer = b"failed"
        try:
            own = engine.connect(lambda reply: None)
            value = engine.execute(own, [b"GET", b"key"])
            engine.execute(own, [b"SET", b"key", b"child"])
            alone = list(engine.sessions) == [own.id] and not engine.pubsub.channels
            if value == b"before" and alone and engine.run_id != run_id:
                answer = b"passed"
        finally:
            os.write(writing, answer)
            os._exit(0)
    release.set()
    holder.join()
    os.waitpid(pid, 0)
    assert os.read(reading, 10) == b"passed"
    os.close(reading)
    os.close(writing)
    assert session.id in engine.sessions
    other = engine.connect(lambda reply: None)
    assert engine.execute(other, [b"GET", b"key"]) == b"before"


def test_a_fault_in_a_tick_leaves_an_engine_at_rest(engine: Engine, clock: ManualClock) -> None:
    def closed(_reply: object) -> None:
        raise RuntimeError("nobody is there any more")

    waiting = engine.connect(closed, protocol=3)
    assert engine.execute(waiting, [b"BLPOP", b"list", b"1"]) is BLOCKED
    clock.advance(2)
    with pytest.raises(RuntimeError, match="nobody"):
        engine.tick()
    assert engine.epoch % 2 == 0


def test_a_session_is_abandoned_in_the_middle_of_a_command(engine: Engine) -> None:
    abandoned = engine.connect(lambda reply: None, protocol=3)
    engine.execute(abandoned, [b"SUBSCRIBE", b"news"])
    counts: list[int] = []

    def finalise(_reply: object) -> None:
        engine.abandon(abandoned)
        counts.append(len(engine.sessions))

    listener = engine.connect(finalise, protocol=3)
    engine.execute(listener, [b"SUBSCRIBE", b"news"])
    counts.clear()
    assert engine.execute(listener, [b"PUBLISH", b"news", b"m"]) == 2
    assert counts == [2]
    engine.tick()
    assert list(engine.sessions) == [listener.id]
    assert engine.execute(listener, [b"PUBLISH", b"news", b"m"]) == 1


def test_a_session_is_abandoned_while_another_thread_holds_the_lock(engine: Engine) -> None:
    session = engine.connect(lambda reply: None)
    with engine.lock:
        thread = threading.Thread(target=engine.abandon, args=(session,))
        thread.start()
        thread.join(10)
        assert not thread.is_alive()
        assert session.id in engine.sessions
    engine.tick()
    assert session.id not in engine.sessions
    other = engine.connect(lambda reply: None)
    engine.abandon(other)
    assert not engine.sessions
