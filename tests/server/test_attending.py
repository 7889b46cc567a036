"""A script past lua-time-limit: what others are told, on both servers, and how it ends."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress

import pytest

from tests.raw import ReplyError, SocketRaw
from tests.redis_server import HOST, RedisServer
from tests.server.running import RunningServer

BUSY = "BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE."
BUSY_FUNCTION = BUSY.replace("SCRIPT KILL", "FUNCTION KILL")
KILLED = "ERR Script killed by user with SCRIPT KILL... script: "
FOR_EVER = "while true do end"
LIBRARY = f"""#!lua name=lib
redis.register_function('for_ever', function(keys, args) {FOR_EVER} end)"""
LOOKS_MAX, PAUSE_S = 5_000, 0.001

Connect = Callable[[], SocketRaw]


@pytest.fixture(params=["cacheapp", "redis"])
def connect(request: pytest.FixtureRequest) -> Iterator[Connect]:
    """Opens a connection to a server of the test's own, where a script is late after 1 ms."""
    opened: list[SocketRaw] = []
    with ExitStack() as stack:
        if request.param == "redis":
            request.getfixturevalue("redis_server")
            port = stack.enter_context(RedisServer(lua_time_limit="1")).port
        else:
            port = stack.enter_context(RunningServer(lua_time_limit="1")).port

        def connected() -> SocketRaw:
            opened.append(SocketRaw(HOST, port))
            return opened[-1]

        def kill() -> None:
            with suppress(ReplyError):
                connected().execute("SCRIPT", "KILL")

        # So that a test that fails can end.
        stack.callback(kill)

        yield connected
    for raw in opened:
        raw.close()


def refused(raw: SocketRaw, *args: str | int) -> str:
    with pytest.raises(ReplyError) as caught:
        raw.execute(*args)
    return str(caught.value)


def begun(raw: SocketRaw, other: SocketRaw, *args: str | int) -> None:
    """Send a script that does not end; return when `other` is refused because of it."""
    pause = threading.Event()
    other.execute("PING")
    raw.send(*args)
    for _ in range(LOOKS_MAX):
        try:
            other.execute("PING")
        except ReplyError:
            return
        pause.wait(PAUSE_S)
    raise AssertionError("nobody was refused")


def until_waiting(raw: SocketRaw) -> None:
    """Return when a client waits for a list."""
    pause = threading.Event()
    for _ in range(LOOKS_MAX):
        if b"blocked_clients:1" in raw.execute("INFO", "clients"):
            return
        pause.wait(PAUSE_S)
    raise AssertionError("nobody waits")


def test_others_are_refused_until_the_script_is_killed(connect: Connect) -> None:
    raw, other, third = connect(), connect(), connect()
    third.execute("PING")
    begun(raw, other, "EVAL", FOR_EVER, 0)
    assert refused(other, "GET", "k") == BUSY
    assert refused(third, "SET", "k", 1) == BUSY
    assert refused(third, "NOSUCH").startswith("ERR unknown command")
    assert refused(third, "GET") == "ERR wrong number of arguments for 'get' command"
    assert refused(other, "FUNCTION", "KILL") == BUSY
    assert refused(other, "FUNCTION", "STATS") == BUSY
    assert other.execute("SCRIPT", "KILL") == b"OK"
    assert str(raw.receive()).startswith(KILLED)
    assert refused(other, "SCRIPT", "KILL") == "NOTBUSY No scripts in execution right now."
    assert other.execute("SET", "k", 1) == b"OK"
    assert raw.execute("EVAL", "return 1", 0) == 1


def test_a_script_cannot_catch_that_it_is_killed(connect: Connect) -> None:
    raw, other = connect(), connect()
    catching = "local f = function() while true do redis.call('PING') end end "
    begun(raw, other, "EVAL", catching + "while true do pcall(f) end", 0)
    assert other.execute("SCRIPT", "KILL") == b"OK"
    assert str(raw.receive()).startswith(KILLED)


def test_who_comes_while_a_script_runs_is_served_too(connect: Connect) -> None:
    raw, other = connect(), connect()
    begun(raw, other, "EVAL", FOR_EVER, 0)
    guest, leaving = connect(), connect()
    assert refused(guest, "PING") == BUSY
    assert refused(leaving, "PING") == BUSY
    leaving.close()
    assert guest.execute("MULTI") == b"OK"
    assert refused(guest, "GET", "k") == BUSY
    assert refused(guest, "EXEC").startswith("EXECABORT Transaction discarded because of: BUSY")
    assert guest.execute("SCRIPT", "KILL") == b"OK"
    assert str(raw.receive()).startswith(KILLED)
    assert guest.execute("PING") == b"PONG"
    assert guest.execute("SET", "k", "x" * 100_000) == b"OK"
    assert len(guest.execute("GET", "k")) == 100_000


def test_what_was_queued_before_is_not_executed_meanwhile(connect: Connect) -> None:
    raw, other, third = connect(), connect(), connect()
    other.execute("MULTI")
    other.execute("INCR", "n")
    begun(raw, third, "EVAL", FOR_EVER, 0)
    assert refused(other, "EXEC") == f"EXECABORT Transaction discarded because of: {BUSY}"
    third.execute("SCRIPT", "KILL")
    assert str(raw.receive()).startswith(KILLED)
    assert third.execute("GET", "n") is None


def test_a_function_is_killed_by_its_own_command(connect: Connect) -> None:
    raw, other = connect(), connect()
    raw.execute("FUNCTION", "LOAD", LIBRARY)
    begun(raw, other, "FCALL", "for_ever", 1, "k", "a")
    assert refused(other, "GET", "k") == BUSY_FUNCTION
    assert refused(other, "SCRIPT", "KILL") == BUSY_FUNCTION
    running = other.execute("FUNCTION", "STATS")[1]
    assert running[:2] == [b"name", b"for_ever"]
    assert [word.lower() for word in running[3]] == [b"fcall", b"for_ever", b"1", b"k", b"a"]
    assert running[4] == b"duration_ms"
    assert running[5] >= 1
    assert other.execute("FUNCTION", "KILL") == b"OK"
    assert str(raw.receive()).startswith(KILLED)
    assert other.execute("FUNCTION", "STATS")[1] is None


def test_blocked_clients_wait_for_the_end_of_the_script(connect: Connect) -> None:
    raw, other, waiting = connect(), connect(), connect()
    waiting.send("BLPOP", "l", 0)
    until_waiting(other)
    script = "redis.call('RPUSH', 'l', 'x'); for i = 1, 3e7 do end; return redis.call('LLEN', 'l')"
    begun(raw, other, "EVAL", script, 0)
    assert refused(other, "SCRIPT", "KILL").startswith("UNKILLABLE Sorry the script already ")
    assert raw.receive() == 1
    assert waiting.receive() == [b"l", b"x"]


def test_a_script_that_ends_by_itself_is_answered(connect: Connect) -> None:
    raw, other = connect(), connect()
    begun(raw, other, "EVAL", "for i = 1, 3e7 do end; return 'done'", 0)
    assert raw.receive() == b"done"
    assert other.execute("PING") == b"PONG"


def test_a_server_that_stops_gives_up_its_place() -> None:
    with RunningServer() as server:
        assert len(server.engine.overtime.fronts) == 1
        engine = server.engine
    assert engine.overtime.fronts == []
