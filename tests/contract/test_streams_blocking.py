"""Clients that wait for entries of a stream, on both servers."""

from __future__ import annotations

from typing import Any

import pytest

from tests.contract.conftest import Server
from tests.contract.waiting import blocked, waiting
from tests.raw import ReplyError

NEW = "XREAD BLOCK 0 STREAMS log $"
NEW_IN_GROUP = "XREADGROUP GROUP g ann BLOCK 0 STREAMS log >"
KEY_GONE = "UNBLOCKED the stream key no longer exists"
GROUP_GONE = "NOGROUP the consumer group this client was blocked on no longer exists"
# Round trips after which a client that is not blocked never will be.
LOOKS_MAX = 10_000


def run(server: Server, *lines: str) -> Any:
    """Run each line; the last reply."""
    reply = None
    for line in lines:
        reply = server.execute(*line.split())
    return reply


@pytest.fixture
def log(server: Server) -> Server:
    """The server with a stream `log` of 1-1, and a group `g` that has read it."""
    run(server, "XADD log 1-1 f v", "XGROUP CREATE log g $")
    return server


def entries(*ids: str) -> list[Any]:
    return [[name.encode(), [b"f", b"v"]] for name in ids]


def test_reading_what_comes(log: Server) -> None:
    run(log, "XADD other 5-5 f v")
    first = waiting(log, "XREAD BLOCK 0 STREAMS other log $ 1-1")
    second = waiting(log, NEW, protocol=3)
    assert run(log, "XADD log 2-1 f v") == b"2-1"
    assert first.receive() == [[b"log", entries("2-1")]]
    assert second.receive() == {b"log": entries("2-1")}
    assert blocked(log) == 0
    assert first.execute("PING") == b"PONG"


def test_what_is_there_already_is_not_waited_for(log: Server) -> None:
    assert run(log, "XREAD BLOCK 0 STREAMS log 0") == [[b"log", entries("1-1")]]
    assert run(log, "XREADGROUP GROUP g ann BLOCK 0 STREAMS log 0") == [[b"log", []]]


def test_a_transaction_is_served_at_its_end(log: Server) -> None:
    reader = waiting(log, NEW)
    run(log, "MULTI", "XADD log 2-1 f v", "XADD log 3-1 f v", "XDEL log 2-1", "EXEC")
    assert reader.receive() == [[b"log", entries("3-1")]]
    reader = waiting(log, NEW)
    run(log, "MULTI", "XADD log 4-1 f v", "XDEL log 4-1", "EXEC")
    assert reader.receive() == [[b"log", []]]


def test_a_key_that_appears(server: Server) -> None:
    added = waiting(server, "XREAD BLOCK 0 STREAMS log $")
    run(server, "XGROUP CREATE log g 0 MKSTREAM", "XADD log 1-1 f v")
    assert added.receive() == [[b"log", entries("1-1")]]
    moved = waiting(server, "XREAD BLOCK 0 STREAMS new 0")
    run(server, "RENAME log new")
    assert moved.receive() == [[b"new", entries("1-1")]]
    swapped = waiting(server, "XREAD BLOCK 0 STREAMS log 0")
    server.raw().execute("COPY", "new", "log", "DB", "1")
    run(server, "SWAPDB 0 1")
    assert swapped.receive() == [[b"log", entries("1-1")]]


@pytest.mark.parametrize(
    "line",
    [
        "XDEL log 1-1",
        "XTRIM log MAXLEN 0",
        "XSETID log 9-9",
        "XGROUP SETID log g 0",
        "XGROUP CREATE log other 0",
        "EXPIRE log 100",
        "XADD other 9-9 f v",
    ],
)
@pytest.mark.parametrize("waits", [NEW, NEW_IN_GROUP])
def test_what_does_not_count_as_news(log: Server, waits: str, line: str) -> None:
    reader = waiting(log, waits)
    run(log, line)
    assert blocked(log) == 1
    run(log, "XADD log 10-1 f v")
    assert reader.receive()[0][1][-1:] == entries("10-1")


@pytest.mark.parametrize("line", ["DEL log", "SET log x", "FLUSHALL"])
def test_a_reader_without_a_group_waits_on_without_its_key(log: Server, line: str) -> None:
    reader = waiting(log, NEW)
    run(log, line)
    assert blocked(log) == 1
    run(log, "DEL log", "XADD log 0-5 f v", "XADD log 2-2 f v")
    assert reader.receive() == [[b"log", entries("2-2")]]


def test_a_group_shares_what_comes(log: Server) -> None:
    first = waiting(log, NEW_IN_GROUP)
    second = waiting(log, NEW_IN_GROUP.replace("ann", "bob"))
    run(log, "XADD log 2-1 f v")
    assert first.receive() == [[b"log", entries("2-1")]]
    assert blocked(log) == 1
    run(log, "XADD log 3-1 f v")
    assert second.receive() == [[b"log", entries("3-1")]]
    assert run(log, "XPENDING log g") == [2, b"2-1", b"3-1", [[b"ann", b"1"], [b"bob", b"1"]]]


def test_waiting_without_acknowledging(log: Server) -> None:
    reader = waiting(log, NEW_IN_GROUP.replace("BLOCK", "NOACK COUNT 1 BLOCK"))
    run(log, "XGROUP DELCONSUMER log g ann", "XADD log 2-1 f v")
    assert reader.receive() == [[b"log", entries("2-1")]]
    assert run(log, "XPENDING log g")[0] == 0
    assert run(log, "XINFO CONSUMERS log g")[0][1] == b"ann"


@pytest.mark.parametrize(
    "line",
    ["DEL log", "UNLINK log", "SET log x", "RENAME log new", "MOVE log 1", "FLUSHALL", "FLUSHDB",
     "SWAPDB 0 1", "PEXPIRE log -1"],
)  # fmt: skip
def test_a_group_whose_key_goes(log: Server, line: str) -> None:
    reader = waiting(log, NEW_IN_GROUP)
    run(log, line)
    assert reader.receive() == ReplyError(KEY_GONE)
    assert blocked(log) == 0


def test_a_group_whose_key_expires(log: Server) -> None:
    reader = waiting(log, NEW_IN_GROUP)
    run(log, "PEXPIRE log 1")
    for _ in range(LOOKS_MAX):
        if not run(log, "EXISTS log"):
            break
    assert reader.receive() == ReplyError(KEY_GONE)


def test_a_group_that_goes(log: Server) -> None:
    reader = waiting(log, NEW_IN_GROUP)
    run(log, "XGROUP DESTROY log g")
    assert reader.receive() == ReplyError(GROUP_GONE)
    run(log, "XGROUP CREATE log g $")
    reader = waiting(log, NEW_IN_GROUP)
    run(log, "MULTI", "DEL log", "XADD log 1-1 f v", "EXEC")
    assert reader.receive() == ReplyError(GROUP_GONE)
    run(log, "XGROUP CREATE log g $")
    reader = waiting(log, NEW_IN_GROUP)
    run(log, "MULTI", "DEL log", "XGROUP CREATE log g 0 MKSTREAM", "XADD log 3-3 f v", "EXEC")
    assert reader.receive() == [[b"log", entries("3-3")]]


def test_the_end_of_a_group_is_shown_to_all(log: Server) -> None:
    reader = waiting(log, NEW)
    run(log, "XSETID log 9-9", "XGROUP DESTROY log g")
    assert reader.receive() == [[b"log", []]]


def test_timeouts(log: Server) -> None:
    assert run(log, "XREAD BLOCK 5 STREAMS log $") is None
    assert run(log, "XREADGROUP GROUP g ann BLOCK 5 STREAMS log >") is None
    assert log.raw(3).execute("XREAD", "BLOCK", 5, "STREAMS", "none", "$") is None
    for timeout, error in (
        ("x", "ERR timeout is not an integer or out of range"),
        ("0.5", "ERR timeout is not an integer or out of range"),
        ("-1", "ERR timeout is negative"),
        ("9223372036854775808", "ERR timeout is not an integer or out of range"),
    ):
        with pytest.raises(ReplyError, match=f"^{error}$"):
            run(log, f"XREAD BLOCK {timeout} STREAMS log $")


def test_the_longest_timeout(log: Server) -> None:
    reader = waiting(log, NEW.replace("BLOCK 0", "BLOCK 9223372036854775807"))
    run(log, "XADD log 2-1 f v")
    assert reader.receive() == [[b"log", entries("2-1")]]


def test_where_nobody_waits(log: Server) -> None:
    run(log, "MULTI", "XREAD BLOCK 0 STREAMS log $", "XREADGROUP GROUP g ann BLOCK 0 STREAMS log >")
    assert run(log, "EXEC") == [None, None]
    with pytest.raises(ReplyError, match="xread command is not allowed with BLOCK option from scr"):
        log.execute("EVAL", "return redis.call('xread','BLOCK','0','STREAMS','log','$')", 0)
    script = "return redis.call('xread','STREAMS',KEYS[1],'0')"
    assert log.execute("EVAL", script, 1, "log") == [[b"log", entries("1-1")]]


def test_unblocking(log: Server) -> None:
    reader = log.raw()
    number = reader.execute("CLIENT", "ID")
    for line, reason, reply in (
        (NEW, (), None),
        (NEW, ("ERROR",), ReplyError("UNBLOCKED client unblocked via CLIENT UNBLOCK")),
        (NEW_IN_GROUP, ("TIMEOUT",), None),
    ):
        reader.send(*line.split())
        for _ in range(LOOKS_MAX):
            if blocked(log):
                break
        assert log.execute("CLIENT", "UNBLOCK", number, *reason) == 1
        assert reader.receive() == reply
    assert log.execute("CLIENT", "UNBLOCK", number) == 0


def test_who_hangs_up_is_forgotten(log: Server) -> None:
    reader = waiting(log, NEW_IN_GROUP)
    reader.close()
    for _ in range(LOOKS_MAX):
        if not blocked(log):
            break
    run(log, "XADD log 2-1 f v")
    assert run(log, "XPENDING log g")[0] == 0
