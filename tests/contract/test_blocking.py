"""Clients that wait for elements of lists and sorted sets, on both servers."""

from __future__ import annotations

from typing import Any

import pytest

from tests.contract.conftest import Server
from tests.contract.waiting import blocked, until_blocked, waiting
from tests.raw import ReplyError

SYNTAX = "ERR syntax error"
WRONG_TYPE = "WRONGTYPE Operation against a key holding the wrong kind of value"
NOT_A_FLOAT = "ERR timeout is not a float or out of range"
NEGATIVE = "ERR timeout is negative"
UNBLOCKED = "UNBLOCKED client unblocked via CLIENT UNBLOCK"
WAITS = [
    "BLPOP k 0", "BRPOP other k 0", "BLMOVE k to LEFT RIGHT 0", "BRPOPLPUSH k to 0",
    "BLMPOP 0 2 other k LEFT", "BZPOPMIN k 0", "BZPOPMAX other k 0", "BZMPOP 0 1 k MAX COUNT 2",
    "WAIT 1 0",
]  # fmt: skip


def run(server: Server, *lines: str) -> Any:
    """Run each line; the last reply."""
    reply = None
    for line in lines:
        reply = server.execute(*line.split())
    return reply


@pytest.fixture
def filled(server: Server) -> Server:
    """The server with a list `l` of a to f, a sorted set `z` of a to c, and a string `s`."""
    run(server, "RPUSH l a b c d e f", "ZADD z 1 a 2.5 b 3 c", "SET s x")
    return server


@pytest.mark.parametrize(
    ("line", "reply"),
    [
        ("BLPOP none l z 0", [b"l", b"a"]),
        ("BRPOP l l 0", [b"l", b"f"]),
        ("BLMOVE l to LEFT RIGHT 0", b"a"),
        ("BLMOVE l l right left 0", b"f"),
        ("BRPOPLPUSH l to 0", b"f"),
        ("BLMPOP 0 2 none l right COUNT 2", [b"l", [b"f", b"e"]]),
        ("BLMPOP 0 1 l LEFT count 100", [b"l", [b"a", b"b", b"c", b"d", b"e", b"f"]]),
        ("BZPOPMIN none z s 0", [b"z", b"a", 1.0]),
        ("BZPOPMAX z 0", [b"z", b"c", 3.0]),
        ("BZMPOP 0 2 none z min COUNT 2", [b"z", [[b"a", 1.0], [b"b", 2.5]]]),
        ("WAIT 0 0", 0),
        ("WAIT -1 0", 0),
    ],
)
def test_what_is_there_is_not_waited_for(filled: Server, line: str, reply: Any) -> None:
    assert filled.raw(3).execute(*line.split()) == reply


def test_scores_in_resp2(filled: Server) -> None:
    assert run(filled, "BZPOPMIN z 0") == [b"z", b"a", b"1"]
    assert run(filled, "BZMPOP 0 1 z MIN") == [b"z", [[b"b", b"2.5"]]]


@pytest.mark.parametrize(
    ("line", "error"),
    [
        ("BLPOP l", "ERR wrong number of arguments for 'blpop' command"),
        ("BLPOP none s l 0", WRONG_TYPE),
        ("BRPOP z 0", WRONG_TYPE),
        ("BZPOPMAX none l z 0", WRONG_TYPE),
        ("BZMPOP 0 1 s MIN", WRONG_TYPE),
        ("BLMOVE s l LEFT LEFT 0", WRONG_TYPE),
        ("BLMOVE l s LEFT LEFT 0", WRONG_TYPE),
        ("BRPOPLPUSH l s 0", WRONG_TYPE),
        ("BLPOP s x", NOT_A_FLOAT),
        ("BLPOP s nan", NOT_A_FLOAT),
        ("BLPOP s 1_0", NOT_A_FLOAT),
        ("BLPOP s 1e5000", NOT_A_FLOAT),
        ("BZPOPMIN s -1", NEGATIVE),
        ("BZPOPMIN s 1e400", NEGATIVE),
        ("BZPOPMIN s inf", NEGATIVE),
        ("BZPOPMIN s 9223372036854776", NEGATIVE),
        ("BRPOPLPUSH s l x", NOT_A_FLOAT),
        ("BLMOVE s l UP LEFT x", SYNTAX),
        ("BLMOVE s l LEFT UP x", SYNTAX),
        ("BLMOVE s l LEFT LEFT x", NOT_A_FLOAT),
        ("BLMPOP x 0 s LEFT", "ERR numkeys should be greater than 0"),
        ("BLMPOP x 1 s UP", SYNTAX),
        ("BLMPOP x 2 s LEFT", SYNTAX),
        ("BLMPOP x 1 s LEFT COUNT 0", "ERR count should be greater than 0"),
        ("BLMPOP x 1 s LEFT COUNT 1 COUNT 1", SYNTAX),
        ("BLMPOP x 1 s LEFT", NOT_A_FLOAT),
        ("BZMPOP x 1 s LEFT", SYNTAX),
        ("BZMPOP x z s MIN", "ERR numkeys should be greater than 0"),
        ("BZMPOP -1 1 s MIN COUNT 1", NEGATIVE),
        ("WAIT x x", "ERR value is not an integer or out of range"),
        ("WAIT 0 0.5", "ERR timeout is not an integer or out of range"),
        ("WAIT 0 -1", NEGATIVE),
    ],
)
def test_errors_in_their_order(filled: Server, line: str, error: str) -> None:
    with pytest.raises(ReplyError) as caught:
        run(filled, line)
    assert str(caught.value) == error


@pytest.mark.parametrize("protocol", [2, 3])
@pytest.mark.parametrize("line", WAITS)
def test_timeouts(server: Server, line: str, protocol: int) -> None:
    words = ["0.002" if word == "0" else word for word in line.split()]
    if line.startswith("WAIT"):
        words[-1] = "2"
    reply = server.raw(protocol).execute(*words)
    assert reply == (0 if line.startswith("WAIT") else None)
    assert blocked(server) == 0


@pytest.mark.parametrize("timeout", ["-0.0001", "-0", "0x0", "1e9", "9223372036854775"])
def test_timeouts_for_ever_and_nearly(server: Server, timeout: str) -> None:
    client = waiting(server, f"BLPOP k {timeout}")
    run(server, "RPUSH k a")
    assert client.receive() == [b"k", b"a"]


def test_first_come_first_served(server: Server) -> None:
    first = waiting(server, "BLPOP other k 0")
    second = waiting(server, "BRPOP k 0", protocol=3)
    third = waiting(server, "BLMPOP 0 1 k LEFT COUNT 5")
    late = waiting(server, "BLPOP k 0")
    assert run(server, "RPUSH k a b c d") == 4
    assert first.receive() == [b"k", b"a"]
    assert second.receive() == [b"k", b"d"]
    assert third.receive() == [b"k", [b"b", b"c"]]
    assert blocked(server) == 1
    run(server, "LPUSH k x")
    assert late.receive() == [b"k", b"x"]
    assert run(server, "EXISTS k") == 0


def test_the_key_that_is_made_first_counts(server: Server) -> None:
    client = waiting(server, "BLPOP a b 0")
    run(server, "MULTI", "RPUSH b 1", "RPUSH a 2", "EXEC")
    assert client.receive() == [b"b", b"1"]
    run(server, "DEL a")
    client = waiting(server, "BZPOPMIN a b 0", protocol=3)
    run(server, "MULTI", "ZADD b 1 m", "DEL a", "ZADD a 2 m", "ZADD b 0 n", "EXEC")
    assert client.receive() == [b"b", b"n", 0.0]


def test_a_key_that_is_gone_again(server: Server) -> None:
    client = waiting(server, "BLPOP k 0")
    run(server, "MULTI", "RPUSH k a", "DEL k", "EXEC")
    run(server, "MULTI", "RPUSH k a", "DEL k", "SET k x", "EXEC")
    assert blocked(server) == 1
    run(server, "MULTI", "DEL k", "RPUSH k a", "DEL k", "RPUSH k b", "EXEC")
    assert client.receive() == [b"k", b"b"]


def test_other_types_do_not_count(server: Server) -> None:
    pops, mins = waiting(server, "BLPOP k 0"), waiting(server, "BZPOPMIN k 0")
    run(server, "SADD k m", "DEL k", "ZADD k 1 m")
    assert mins.receive() == [b"k", b"m", b"1"]
    assert blocked(server) == 1
    run(server, "RPUSH k a")
    assert pops.receive() == [b"k", b"a"]


def test_a_chain_of_moves(server: Server) -> None:
    last = waiting(server, "BLPOP c 0")
    second = waiting(server, "BLMOVE b c LEFT LEFT 0")
    first = waiting(server, "BRPOPLPUSH a b 0")
    run(server, "RPUSH a x")
    assert first.receive() == second.receive() == b"x"
    assert last.receive() == [b"c", b"x"]
    assert run(server, "DBSIZE") == 0


def test_a_target_of_another_type(server: Server) -> None:
    run(server, "SET s x")
    mover, taker = waiting(server, "BLMOVE k s LEFT LEFT 0"), waiting(server, "BLPOP k 0")
    run(server, "RPUSH k a")
    assert mover.receive() == ReplyError(WRONG_TYPE)
    assert taker.receive() == [b"k", b"a"]
    assert b"errorstat_WRONGTYPE:count=1" in run(server, "INFO errorstats")
    assert (
        b"failed_calls=1" in run(server, "INFO commandstats").partition(b"_blmove:")[2].split()[0]
    )


@pytest.mark.parametrize(
    "line",
    ["RENAME from k", "RENAMENX from k", "COPY from k", "SORT from ALPHA STORE k", "SWAPDB 0 1",
     "LMOVE from k LEFT RIGHT", "EVAL return(redis.call('lpush','k','a')) 0"],
)  # fmt: skip
def test_ways_to_make_a_list(server: Server, line: str) -> None:
    run(server, "RPUSH from a", "COPY from k DB 1")
    client = waiting(server, "BLPOP k 0")
    run(server, line)
    assert client.receive() == [b"k", b"a"]


@pytest.mark.parametrize(
    "line", ["ZUNIONSTORE k 1 from", "ZRANGESTORE k from 0 -1", "ZINCRBY k 1 a", "RENAME from k"]
)
def test_ways_to_make_a_sorted_set(server: Server, line: str) -> None:
    run(server, "ZADD from 1 a")
    client = waiting(server, "BZMPOP 0 1 k MIN")
    run(server, line)
    assert client.receive() == [b"k", [[b"a", b"1"]]]


def test_a_list_in_place_of_something_else_wakes_nobody(server: Server) -> None:
    client = waiting(server, "BLPOP k 0")
    run(server, "SADD k 1 2", "SORT k STORE k")
    assert blocked(server) == 1
    assert run(server, "TYPE k") == b"list"
    run(server, "DEL k", "RPUSH k a")
    assert client.receive() == [b"k", b"a"]


def test_databases(server: Server) -> None:
    client = waiting(server, "BLMOVE k to LEFT LEFT 0", db=1)
    run(server, "RPUSH k a")
    assert blocked(server) == 1
    assert run(server, "MOVE k 1") == 1
    assert client.receive() == b"a"
    assert run(server, "DBSIZE") == 0
    assert client.execute("LRANGE", "to", 0, -1) == [b"a"]


def test_where_nobody_waits(server: Server) -> None:
    run(server, "MULTI", *WAITS)
    assert run(server, "EXEC") == [None] * 8 + [0]
    for line in ("'BLMPOP','0','1','k','LEFT'", "'BZMPOP','0','1','k','MIN'"):
        assert server.execute("EVAL", f"return redis.call({line})", 0) is None
    for name in ("BLPOP", "BZPOPMIN", "BLMOVE", "WAIT"):
        arguments = {"BLMOVE": "'k','k','LEFT','LEFT','0'"}.get(name, "'1','0'")
        with pytest.raises(ReplyError, match="not allowed from script"):
            server.execute("EVAL", f"return redis.call('{name}',{arguments})", 0)


@pytest.mark.parametrize("line", WAITS)
def test_unblocking(server: Server, line: str) -> None:
    client = waiting(server, "BLPOP first 0")
    run(server, "RPUSH first x")
    client.receive()
    number = client.execute("CLIENT", "ID")
    assert server.execute("CLIENT", "UNBLOCK", number) == 0
    for reason in ((), ("timeout",), ("error",)):
        client.send(*line.split())
        until_blocked(server, 1)
        assert server.execute("CLIENT", "UNBLOCK", number, *reason) == 1
        ended = 0 if line.startswith("WAIT") else None
        assert client.receive() == (ReplyError(UNBLOCKED) if reason == ("error",) else ended)
    assert blocked(server) == 0
    assert client.execute("PING") == b"PONG"


def test_unblocking_by_mistake(server: Server) -> None:
    assert run(server, "CLIENT UNBLOCK 123456") == 0
    with pytest.raises(ReplyError, match="ERR value is not an integer or out of range"):
        run(server, "CLIENT UNBLOCK x")
    with pytest.raises(ReplyError, match="ERR CLIENT UNBLOCK reason should be TIMEOUT"):
        run(server, "CLIENT UNBLOCK 1 x")


def test_who_hangs_up_is_forgotten(server: Server) -> None:
    gone, stays = waiting(server, "BLPOP k 0"), waiting(server, "BLPOP k 0")
    gone.close()
    until_blocked(server, 1)
    run(server, "RPUSH k a")
    assert stays.receive() == [b"k", b"a"]


def test_what_is_shown_of_a_client_that_waits(server: Server) -> None:
    waiting(server, "BZPOPMIN k 0")
    lines = [line for line in run(server, "CLIENT LIST").decode().splitlines() if "=b " in line]
    assert len(lines) == 1
    assert " flags=b " in lines[0]
    assert " cmd=bzpopmin " in lines[0]


def test_the_order_of_events(server: Server) -> None:
    run(server, "CONFIG SET notify-keyspace-events AE")
    listener = server.raw()
    listener.execute("PSUBSCRIBE", "__keyevent@0__:*")
    waiting(server, "BLMOVE k to LEFT LEFT 0")
    waiting(server, "BZPOPMAX z 0")
    run(server, "RPUSH k a", "ZADD z 1 m")
    heard = [listener.receive() for _ in range(7)]
    shown = [f"{push[2].decode().rpartition(':')[2]} {push[3].decode()}" for push in heard]
    assert shown == ["rpush k", "lpush to", "lpop k", "del k", "zadd z", "zpopmax z", "del z"]


def test_what_falls_due_within_a_transaction_is_not_given(server: Server) -> None:
    run(server, "DEBUG SET-ACTIVE-EXPIRE 0")
    raw = waiting(server, "BRPOP l 0")
    run(server, "MULTI", "RPUSH l x", "PEXPIRE l 1", "DEBUG SLEEP 0.01", "EXEC")
    assert blocked(server) == 1
    run(server, "RPUSH l y")
    assert raw.receive() == [b"l", b"y"]
