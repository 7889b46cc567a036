"""Consumer groups, replies and error texts to the letter, on both servers."""

from __future__ import annotations

from typing import Any

import pytest

from tests.contract.conftest import Server
from tests.raw import ReplyError

INVALID_ID = "ERR Invalid stream ID specified as stream command argument"
SYNTAX = "ERR syntax error"
WRONG_TYPE = "WRONGTYPE Operation against a key holding the wrong kind of value"
NO_GROUP = "NOGROUP No such key 'log' or consumer group 'none'"
NO_KEY = (
    "ERR The XGROUP subcommand requires the key to exist. Note that for CREATE you may want to use "
    "the MKSTREAM option to create an empty stream automatically."
)


@pytest.fixture
def log(server: Server) -> Server:
    """The server with a stream `log` of 1-1 to 5-1 and a group `g` that has read nothing."""
    for number in range(1, 6):
        server.execute("XADD", "log", f"{number}-1", "f", number)
    server.execute("XGROUP", "CREATE", "log", "g", "0")
    server.execute("SET", "text", "x")
    return server


def run(server: Server, line: str) -> Any:
    return server.execute(*line.split())


def refused(server: Server, line: str) -> str:
    with pytest.raises(ReplyError) as caught:
        run(server, line)
    return str(caught.value)


def row(number: int) -> list[Any]:
    return [b"%d-1" % number, [b"f", b"%d" % number]]


def read(server: Server, rest: str = "STREAMS log >", consumer: str = "ann") -> Any:
    """The rows that XREADGROUP gives from the one stream that it is asked for."""
    reply = run(server, f"XREADGROUP GROUP g {consumer} {rest}")
    return reply if reply is None else reply[0][1]


def pending(server: Server) -> list[tuple[str, str, int]]:
    """Id, consumer and deliveries of what is pending in the group."""
    return [
        (name.decode(), consumer.decode(), deliveries)
        for name, consumer, _, deliveries in run(server, "XPENDING log g - + 100")
    ]


def group(server: Server, name: str = "g") -> dict[bytes, Any]:
    groups = [
        dict(zip(reply[::2], reply[1::2], strict=True)) for reply in run(server, "XINFO GROUPS log")
    ]
    return next(found for found in groups if found[b"name"] == name.encode())


def consumers(server: Server) -> dict[bytes, int]:
    """What is pending for each consumer of the group."""
    return {reply[1]: reply[3] for reply in run(server, "XINFO CONSUMERS log g")}


def test_making_groups(server: Server) -> None:
    assert refused(server, "XGROUP CREATE log g $") == NO_KEY
    assert run(server, "XGROUP CREATE log g $ MKSTREAM") == b"OK"
    assert run(server, "XLEN log") == 0
    assert refused(server, "XGROUP CREATE log g 0") == (
        "BUSYGROUP Consumer Group name already exists"
    )
    run(server, "XADD log 5-1 a 1")
    assert run(server, "XGROUP CREATE log late $ ENTRIESREAD 7") == b"OK"
    assert group(server, "late")[b"last-delivered-id"] == b"5-1"
    assert group(server, "late")[b"entries-read"] == 7
    odd = "ERR unknown subcommand or wrong number of arguments for 'CREATE'. Try XGROUP HELP."
    assert refused(server, "XGROUP CREATE log x 0 OOPS") == odd
    assert refused(server, "XGROUP CREATE log x 0 ENTRIESREAD") == odd
    assert refused(server, "XGROUP CREATE log x 0 ENTRIESREAD -2") == (
        "ERR value for ENTRIESREAD must be positive or -1"
    )
    assert refused(server, "XGROUP CREATE log x y") == INVALID_ID
    assert refused(server, "XGROUP CREATE log x +") == INVALID_ID
    server.execute("SET", "text", "x")
    assert refused(server, "XGROUP CREATE text x 0 MKSTREAM") == WRONG_TYPE
    assert refused(server, "XGROUP NONE log") == ("ERR unknown subcommand 'NONE'. Try XGROUP HELP.")


def test_moving_and_ending_groups(log: Server) -> None:
    assert run(log, "XGROUP SETID log g 3-1 ENTRIESREAD 3") == b"OK"
    assert (group(log)[b"last-delivered-id"], group(log)[b"lag"]) == (b"3-1", 2)
    assert read(log) == [row(4), row(5)]
    assert run(log, "XGROUP SETID log g -") == b"OK"
    assert group(log)[b"entries-read"] is None
    missing = "NOGROUP No such consumer group 'none' for key name 'log'"
    assert refused(log, "XGROUP SETID log none 0") == missing
    assert refused(log, "XGROUP SETID missing g 0") == NO_KEY
    assert refused(log, "XGROUP DESTROY missing g") == NO_KEY
    assert run(log, "XGROUP DESTROY log none") == 0
    assert run(log, "XGROUP DESTROY log g") == 1
    assert run(log, "XINFO GROUPS log") == []
    assert run(log, "XLEN log") == 5


def test_consumers(log: Server) -> None:
    assert run(log, "XGROUP CREATECONSUMER log g bob") == 1
    assert run(log, "XGROUP CREATECONSUMER log g bob") == 0
    read(log, "COUNT 2 STREAMS log >")
    assert consumers(log) == {b"ann": 2, b"bob": 0}
    assert run(log, "XGROUP DELCONSUMER log g ann") == 2
    assert run(log, "XGROUP DELCONSUMER log g ann") == 0
    assert consumers(log) == {b"bob": 0}
    assert pending(log) == []
    missing = "NOGROUP No such consumer group 'none' for key name 'log'"
    assert refused(log, "XGROUP CREATECONSUMER log none x") == missing
    assert refused(log, "XGROUP DELCONSUMER log none x") == missing
    assert refused(log, "XINFO CONSUMERS log none") == missing


def test_reading_what_is_new(log: Server) -> None:
    assert read(log, "COUNT 2 STREAMS log >") == [row(1), row(2)]
    assert read(log, "STREAMS log >", "bob") == [row(3), row(4), row(5)]
    assert read(log) is None
    assert pending(log) == [
        ("1-1", "ann", 1), ("2-1", "ann", 1), ("3-1", "bob", 1), ("4-1", "bob", 1),
        ("5-1", "bob", 1),
    ]  # fmt: skip
    assert (group(log)[b"entries-read"], group(log)[b"lag"]) == (5, 0)
    run(log, "XADD log 6-1 f 6")
    assert read(log, "NOACK STREAMS log >") == [row(6)]
    assert len(pending(log)) == 5


def test_reading_ones_history(log: Server) -> None:
    read(log, "COUNT 3 STREAMS log >")
    assert read(log, "STREAMS log 0") == [row(1), row(2), row(3)]
    assert read(log, "COUNT 1 STREAMS log 1-1") == [row(2)]
    assert read(log, "STREAMS log 0", "bob") == []
    assert pending(log) == [("1-1", "ann", 2), ("2-1", "ann", 3), ("3-1", "ann", 2)]
    run(log, "XDEL log 2-1")
    assert read(log, "STREAMS log 1-1") == [[b"2-1", None], row(3)]
    assert b"bob" in consumers(log)


def test_an_entry_changes_hands_when_a_group_is_set_back(log: Server) -> None:
    read(log, "COUNT 2 STREAMS log >")
    run(log, "XGROUP SETID log g 0")
    assert read(log, "COUNT 1 STREAMS log >", "bob") == [row(1)]
    assert pending(log) == [("1-1", "bob", 1), ("2-1", "ann", 1)]
    assert consumers(log) == {b"ann": 1, b"bob": 1}


def test_reading_in_a_group_is_refused(log: Server) -> None:
    where = " in XREADGROUP with GROUP option"
    assert refused(log, "XREADGROUP GROUP none c STREAMS log >") == NO_GROUP + where
    assert refused(log, "XREADGROUP GROUP g c STREAMS nolog >") == (
        "NOGROUP No such key 'nolog' or consumer group 'g'" + where
    )
    assert refused(log, "XREADGROUP GROUP g c STREAMS text >") == WRONG_TYPE
    assert refused(log, "XREADGROUP GROUP g c STREAMS log x") == INVALID_ID
    assert refused(log, "XREADGROUP GROUP g c STREAMS log $").startswith(
        "ERR The $ ID is meaningless in the context of XREADGROUP"
    )
    assert refused(log, "XREADGROUP COUNT 1 NOACK STREAMS log >") == (
        "ERR Missing GROUP option for XREADGROUP"
    )
    assert consumers(log) == {}


def test_acknowledging(log: Server) -> None:
    read(log)
    assert run(log, "XACK log g 2-1 2-1 9-9 4-1") == 2
    assert [name for name, _, _ in pending(log)] == ["1-1", "3-1", "5-1"]
    assert refused(log, "XACK log g 1-1 x") == INVALID_ID
    assert len(pending(log)) == 3
    assert run(log, "XACK log none x") == 0
    assert run(log, "XACK missing g 1-1") == 0
    assert refused(log, "XACK text g 1-1") == WRONG_TYPE


def test_pending(log: Server) -> None:
    assert run(log, "XPENDING log g") == [0, None, None, None]
    read(log, "COUNT 2 STREAMS log >", "zoe")
    read(log, "COUNT 3 STREAMS log >")
    run(log, "XCLAIM log g ann 0 4-1 IDLE 900000 RETRYCOUNT 7")
    assert run(log, "XPENDING log g") == [5, b"1-1", b"5-1", [[b"ann", b"3"], [b"zoe", b"2"]]]
    name, consumer, idle_ms, deliveries = run(log, "XPENDING log g 4-1 4-1 1")[0]
    assert (name, consumer, deliveries) == (b"4-1", b"ann", 7)
    assert 900_000 <= idle_ms < 960_000
    assert len(run(log, "XPENDING log g (1-1 (5-1 10")) == 3
    assert len(run(log, "XPENDING log g - + 2 ann")) == 2
    assert [entry[0] for entry in run(log, "XPENDING log g IDLE 800000 - + 10")] == [b"4-1"]
    assert run(log, "XPENDING log g IDLE 800000 - + 10 zoe") == []
    assert run(log, "XPENDING log g - + 10 nobody") == []
    assert run(log, "XPENDING log g - + 0") == []
    assert run(log, "XPENDING log g - + -1") == []


def test_pending_is_refused(log: Server) -> None:
    not_an_integer = "ERR value is not an integer or out of range"
    assert refused(log, "XPENDING log none") == NO_GROUP
    assert refused(log, "XPENDING log g - +") == SYNTAX
    assert refused(log, "XPENDING log g IDLE 1 - +") == SYNTAX
    assert refused(log, "XPENDING log g IDLE x - + 10") == not_an_integer
    assert refused(log, "XPENDING log g - + x") == not_an_integer
    assert refused(log, "XPENDING log g y + 1") == INVALID_ID
    assert refused(log, "XPENDING log g - + 1 c extra more and") == SYNTAX
    assert run(log, "XPENDING log g - + 1 nobody and more") == []
    assert refused(log, "XPENDING text g") == WRONG_TYPE


def test_claiming(log: Server) -> None:
    read(log, "COUNT 3 STREAMS log >")
    assert run(log, "XCLAIM log g bob 900000 1-1") == []
    assert b"bob" not in consumers(log)
    assert run(log, "XCLAIM log g bob 0 1-1 4-1 9-9") == [row(1)]
    assert run(log, "XCLAIM log g bob 0 2-1 JUSTID") == [b"2-1"]
    assert run(log, "XCLAIM log g bob 0 4-1 FORCE") == [row(4)]
    assert run(log, "XCLAIM log g bob 0 5-1 FORCE JUSTID RETRYCOUNT 9 LASTID 5-1") == [b"5-1"]
    assert group(log)[b"last-delivered-id"] == b"5-1"
    assert pending(log) == [
        ("1-1", "bob", 2), ("2-1", "bob", 1), ("3-1", "ann", 1), ("4-1", "bob", 2),
        ("5-1", "bob", 9),
    ]  # fmt: skip
    run(log, "XDEL log 1-1")
    assert run(log, "XCLAIM log g ann 0 1-1 2-1") == [row(2)]
    assert [name for name, _, _ in pending(log)] == ["2-1", "3-1", "4-1", "5-1"]


def test_claiming_with_times(log: Server) -> None:
    read(log, "COUNT 2 STREAMS log >")

    def idle_ms() -> int:
        return int(run(log, "XPENDING log g 1-1 1-1 1")[0][2])

    run(log, "XCLAIM log g bob 0 1-1 IDLE 500000")
    assert 500_000 <= idle_ms() < 560_000
    assert run(log, "XCLAIM log g bob 400000 1-1 2-1 TIME 9000000000000") == [row(1)]
    assert idle_ms() < 60_000
    run(log, "XCLAIM log g bob 0 1-1 TIME -5")
    assert idle_ms() < 60_000


def test_claiming_is_refused(log: Server) -> None:
    assert refused(log, "XCLAIM log none c 0 1-1") == NO_GROUP
    assert refused(log, "XCLAIM text g c 0 1-1") == WRONG_TYPE
    assert refused(log, "XCLAIM log g c x 1-1") == ("ERR Invalid min-idle-time argument for XCLAIM")
    for option in ("IDLE", "TIME", "RETRYCOUNT"):
        assert refused(log, f"XCLAIM log g c 0 1-1 {option} x") == (
            f"ERR Invalid {option} option argument for XCLAIM"
        )
    assert refused(log, "XCLAIM log g c 0 1-1 LASTID x") == INVALID_ID
    assert refused(log, "XCLAIM log g c 0 1-1 oops") == ("ERR Unrecognized XCLAIM option 'oops'")
    assert refused(log, "XCLAIM log g c 0 1-1 IDLE") == ("ERR Unrecognized XCLAIM option 'IDLE'")


def test_claiming_by_itself(log: Server) -> None:
    read(log)
    assert run(log, "XAUTOCLAIM log g bob 900000 -") == [b"0-0", [], []]
    assert run(log, "XAUTOCLAIM log g bob 0 0 COUNT 2") == [b"3-1", [row(1), row(2)], []]
    run(log, "XDEL log 4-1")
    assert run(log, "XAUTOCLAIM log g bob 0 3-1 COUNT 2 JUSTID") == [b"5-1", [b"3-1"], [b"4-1"]]
    assert run(log, "XAUTOCLAIM log g bob 0 (3-1") == [b"0-0", [row(5)], []]
    assert pending(log) == [
        ("1-1", "bob", 2), ("2-1", "bob", 2), ("3-1", "bob", 1), ("5-1", "bob", 2),
    ]  # fmt: skip


def test_claiming_by_itself_is_refused(log: Server) -> None:
    assert refused(log, "XAUTOCLAIM log none c 0 0") == NO_GROUP
    assert refused(log, "XAUTOCLAIM text g c x 0") == (
        "ERR Invalid min-idle-time argument for XAUTOCLAIM"
    )
    assert refused(log, "XAUTOCLAIM text g c 0 x") == INVALID_ID
    for count in ("0", "x", "922337203685477581"):
        assert refused(log, f"XAUTOCLAIM text g c 0 0 COUNT {count}") == ("ERR COUNT must be > 0")
    assert refused(log, "XAUTOCLAIM text g c 0 0 COUNT") == SYNTAX
    assert refused(log, "XAUTOCLAIM text g c 0 0") == WRONG_TYPE
    assert refused(log, "XAUTOCLAIM log g c 0 0 COUNT 576460752303423487") == (
        "ERR Insufficient memory, failed allocating transient memory, COUNT too high."
    )


def test_lag(log: Server) -> None:
    assert (group(log)[b"entries-read"], group(log)[b"lag"]) == (None, 5)
    read(log, "COUNT 1 STREAMS log >")
    assert (group(log)[b"entries-read"], group(log)[b"lag"]) == (1, 4)
    run(log, "XDEL log 3-1")
    assert (group(log)[b"entries-read"], group(log)[b"lag"]) == (1, None)
    read(log, "COUNT 1 STREAMS log >")
    assert group(log)[b"lag"] is None
    read(log)
    assert (group(log)[b"entries-read"], group(log)[b"lag"]) == (5, 0)
    run(log, "XTRIM log MAXLEN 0")
    assert group(log)[b"lag"] == 0


def test_the_whole_of_a_stream(log: Server) -> None:
    read(log, "COUNT 3 STREAMS log >")
    now_ms = int(run(log, "TIME")[0]) * 1000
    raw = log.raw(3)
    reply = raw.execute("XINFO", "STREAM", "log", "FULL", "COUNT", 2)
    assert reply[b"entries"] == [row(1), row(2)]
    (found,) = reply[b"groups"]
    (consumer,) = found.pop(b"consumers")
    waiting = found.pop(b"pending")
    assert found == {
        b"name": b"g",
        b"last-delivered-id": b"3-1",
        b"entries-read": 3,
        b"lag": 2,
        b"pel-count": 3,
    }
    assert [(name, who, times) for name, who, _, times in waiting] == [
        (b"1-1", b"ann", 1),
        (b"2-1", b"ann", 1),
    ]
    assert abs(waiting[0][2] - now_ms) < 60_000
    assert abs(consumer.pop(b"seen-time") - now_ms) < 60_000
    assert [(name, times) for name, _, times in consumer.pop(b"pending")] == [
        (b"1-1", 1),
        (b"2-1", 1),
    ]
    # Only the engine tells it: it is Redis 7.2's.
    consumer.pop(b"active-time", None)
    assert consumer == {b"name": b"ann", b"pel-count": 3}
    whole = raw.execute("XINFO", "STREAM", "log", "FULL", "COUNT", 0)
    assert len(whole[b"entries"]) == 5
    assert len(whole[b"groups"][0][b"pending"]) == 3
    assert raw.execute("XINFO", "GROUPS", "log")[0][b"lag"] == 2
    fields = set(raw.execute("XINFO", "CONSUMERS", "log", "g")[0])
    assert fields - {b"inactive"} == {b"name", b"pending", b"idle"}


def test_help(server: Server) -> None:
    assert run(server, "XGROUP HELP")[1] == b"CREATE <key> <groupname> <id|$> [option]"
    assert run(server, "XINFO HELP")[-1] == b"    Prints this help."
