"""Streams as logs, replies and error texts to the letter, on both servers."""

from __future__ import annotations

from typing import Any

import pytest

from tests.contract.conftest import Server
from tests.raw import Argument, ReplyError

INVALID_ID = "ERR Invalid stream ID specified as stream command argument"
NOT_AN_INTEGER = "ERR value is not an integer or out of range"
SYNTAX = "ERR syntax error"
WRONG_TYPE = "WRONGTYPE Operation against a key holding the wrong kind of value"
TOP = 2**64 - 1


def refused(server: Server, *args: Argument) -> str:
    with pytest.raises(ReplyError) as caught:
        server.execute(*args)
    return str(caught.value)


def fill(server: Server, *ids: str, key: str = "log") -> None:
    for name in ids:
        server.execute("XADD", key, name, "f", name)


def row(name: str) -> list[Any]:
    """An entry as `fill` leaves it."""
    return [name.encode(), [b"f", name.encode()]]


def ids(server: Server, *args: Argument) -> list[str]:
    """The ids of the entries that a range holds, all by default."""
    reply = server.execute(*(args or ("XRANGE", "log", "-", "+")))
    return [name.decode() for name, _ in reply]


def info(server: Server, key: str = "log") -> dict[bytes, Any]:
    reply = server.execute("XINFO", "STREAM", key)
    return dict(zip(reply[::2], reply[1::2], strict=True))


def test_adding_with_ids(server: Server) -> None:
    assert server.execute("XADD", "log", "1-1", "a", "1", "b", "2") == b"1-1"
    assert server.execute("XADD", "log", "1-*", "a", "3") == b"1-2"
    assert server.execute("XADD", "log", "5", "a", "4") == b"5-0"
    assert server.execute("XADD", "log", "7-*", "a", "5") == b"7-0"
    assert server.execute("XADD", "log", " +8-01", "a", "6") == b"8-1"
    assert server.execute("XLEN", "log") == 5
    assert server.execute("XRANGE", "log", "-", "1-2") == [
        [b"1-1", [b"a", b"1", b"b", b"2"]],
        [b"1-2", [b"a", b"3"]],
    ]
    assert server.execute("TYPE", "log") == b"stream"
    assert server.execute("OBJECT", "ENCODING", "log") == b"stream"
    assert server.execute("XADD", "new", "0-*", "a", "1") == b"0-1"


def test_adding_with_ids_of_the_time(server: Server) -> None:
    first = server.execute("XADD", "log", "*", "a", "1")
    second = server.execute("XADD", "log", "*", "a", "2")
    ms = int(server.execute("TIME")[0]) * 1000
    assert abs(int(first.partition(b"-")[0]) - ms) < 60_000
    assert tuple(map(int, first.split(b"-"))) < tuple(map(int, second.split(b"-")))
    server.execute("XADD", "log", "99999999999999-7", "a", "3")
    assert server.execute("XADD", "log", "*", "a", "4") == b"99999999999999-8"


def test_adding_only_to_what_is_there(server: Server) -> None:
    assert server.execute("XADD", "log", "NOMKSTREAM", "*", "a", "1") is None
    assert server.execute("EXISTS", "log") == 0
    fill(server, "1-1")
    assert server.execute("XADD", "log", "nomkstream", "2-1", "a", "1") == b"2-1"


def test_adding_is_refused(server: Server) -> None:
    too_low = "ERR The ID specified in XADD is equal or smaller than the target stream top item"
    fill(server, "5-5")
    server.execute("SET", "text", "x")
    for name in ("5-5", "5-4", "4", "4-*"):
        assert refused(server, "XADD", "log", name, "a", "1") == too_low
    zero = "ERR The ID specified in XADD must be greater than 0-0"
    assert refused(server, "XADD", "log", "0-0", "a", "1") == zero
    assert refused(server, "XADD", "text", "0", "a", "1") == zero
    for name in ("x", "1-x", "", "-", "+", "(1", "1--1", f"{TOP + 1}-0", "1" * 128):
        assert refused(server, "XADD", "log", name, "a", "1") == INVALID_ID
    arity = "ERR wrong number of arguments for 'xadd' command"
    assert refused(server, "XADD", "log", "*", "a") == arity
    assert refused(server, "XADD", "log", "*", "a", "1", "b") == arity
    assert refused(server, "XADD", "log", "MAXLEN", "1", "*") == arity
    assert refused(server, "XADD", "text", "*", "a", "1") == WRONG_TYPE
    assert server.execute("XLEN", "log") == 1
    assert server.execute("EXISTS", "new") == 0


def test_the_last_possible_ids(server: Server) -> None:
    fill(server, f"5-{TOP}")
    assert refused(server, "XADD", "log", "5-*", "a", "1") == (
        "ERR Elements are too large to be stored"
    )
    fill(server, f"{TOP}-{TOP}")
    exhausted = "ERR The stream has exhausted the last possible ID, unable to add more items"
    assert refused(server, "XADD", "log", "*", "a", "1") == exhausted
    assert refused(server, "XADD", "log", "6", "a", "1") == exhausted
    assert ids(server, "XRANGE", "log", f"{TOP}", "+") == [f"{TOP}-{TOP}"]


def test_ranges(server: Server) -> None:
    fill(server, "1-1", "1-2", "2-0", "3-7")
    assert server.execute("XRANGE", "log", "-", "+")[0] == row("1-1")
    assert ids(server, "XRANGE", "log", "1", "1") == ["1-1", "1-2"]
    assert ids(server, "XRANGE", "log", "1-2", "3") == ["1-2", "2-0", "3-7"]
    assert ids(server, "XRANGE", "log", "(1-1", "(3-7") == ["1-2", "2-0"]
    assert ids(server, "XRANGE", "log", "(1", "+") == ["1-1", "1-2", "2-0", "3-7"]
    assert ids(server, "XRANGE", "log", "-", "(3") == ["1-1", "1-2", "2-0", "3-7"]
    assert ids(server, "XRANGE", "log", "-", "+", "COUNT", 2) == ["1-1", "1-2"]
    assert ids(server, "XRANGE", "log", "+", "-") == []
    assert ids(server, "XREVRANGE", "log", "+", "-") == ["3-7", "2-0", "1-2", "1-1"]
    assert ids(server, "XREVRANGE", "log", "(3-7", "1-2", "COUNT", 9) == ["2-0", "1-2"]
    assert server.execute("XRANGE", "log", "-", "+", "COUNT", 0) is None
    assert server.execute("XRANGE", "log", "-", "+", "COUNT", -5) is None
    assert server.execute("XRANGE", "missing", "-", "+", "COUNT", 0) == []


def test_ranges_are_refused(server: Server) -> None:
    server.execute("SET", "text", "x")
    assert refused(server, "XRANGE", "text", "(+", "+") == INVALID_ID
    assert refused(server, "XRANGE", "text", f"({TOP}-{TOP}", "+") == (
        "ERR invalid start ID for the interval"
    )
    assert refused(server, "XREVRANGE", "text", "(0-0", "-") == (
        "ERR invalid end ID for the interval"
    )
    assert refused(server, "XRANGE", "text", "-", "+", "COUNT") == SYNTAX
    assert refused(server, "XRANGE", "text", "-", "+", "COUNT", "x") == NOT_AN_INTEGER
    assert refused(server, "XRANGE", "text", "-", "+", "LIMIT", 1) == SYNTAX
    assert refused(server, "XRANGE", "text", "-", "+") == WRONG_TYPE
    assert refused(server, "XLEN", "text") == WRONG_TYPE


def test_deleting(server: Server) -> None:
    fill(server, "1-1", "2-1", "3-1")
    assert server.execute("XDEL", "log", "2-1", "2-1", "9") == 1
    assert ids(server) == ["1-1", "3-1"]
    assert info(server)[b"max-deleted-entry-id"] == b"2-1"
    assert refused(server, "XDEL", "log", "1-1", "x") == INVALID_ID
    assert ids(server) == ["1-1", "3-1"]
    assert server.execute("XDEL", "log", "1-1", "3-1") == 2
    assert server.execute("XLEN", "log") == 0
    assert server.execute("EXISTS", "log") == 1
    assert info(server)[b"recorded-first-entry-id"] == b"0-0"
    assert info(server)[b"first-entry"] is None
    assert server.execute("XDEL", "missing", "x") == 0
    assert server.execute("XADD", "log", "3-*", "a", "1") == b"3-2"


def test_trimming(server: Server) -> None:
    fill(server, *(f"{number}-1" for number in range(1, 9)))
    assert server.execute("XTRIM", "log", "MAXLEN", 6) == 2
    assert server.execute("XTRIM", "log", "MAXLEN", "=", 6) == 0
    assert server.execute("XTRIM", "log", "MINID", "4-2") == 2
    assert ids(server) == ["5-1", "6-1", "7-1", "8-1"]
    assert info(server)[b"recorded-first-entry-id"] == b"5-1"
    assert server.execute("XADD", "log", "MAXLEN", 2, "9-1", "a", "1") == b"9-1"
    assert ids(server) == ["8-1", "9-1"]
    assert server.execute("XADD", "log", "MINID", "=", "9", "10-1", "a", "1") == b"10-1"
    assert ids(server) == ["9-1", "10-1"]
    assert server.execute("XTRIM", "log", "MAXLEN", 0) == 2
    assert server.execute("XTRIM", "missing", "MAXLEN", 0) == 0


def test_trimming_whole_nodes(server: Server) -> None:
    server.execute("CONFIG", "SET", "stream-node-max-entries", 10)
    fill(server, *(f"{number}-1" for number in range(1, 46)))
    assert info(server)[b"radix-tree-keys"] == 5
    assert server.execute("XTRIM", "log", "MAXLEN", "~", 36) == 0
    assert server.execute("XTRIM", "log", "MAXLEN", "~", 20, "LIMIT", 15) == 10
    assert server.execute("XTRIM", "log", "MINID", "~", "29", "LIMIT", 0) == 10
    assert ids(server)[0] == "21-1"
    assert server.execute("XTRIM", "log", "MAXLEN", 12) == 13
    assert info(server)[b"radix-tree-keys"] == 2
    assert server.execute("XADD", "log", "MAXLEN", "~", 3, "99-1", "a", "1") == b"99-1"
    assert ids(server)[0] == "41-1"
    server.execute("CONFIG", "SET", "stream-node-max-entries", 100)


def test_nodes_end_by_their_bytes(server: Server) -> None:
    server.execute("CONFIG", "SET", "stream-node-max-bytes", 200)
    for number in range(1, 41):
        server.execute("XADD", "log", f"{number}-1", "name", "x" * number, "other", number)
    assert info(server)[b"radix-tree-keys"] == 9
    assert info(server)[b"radix-tree-nodes"] == 20
    server.execute("CONFIG", "SET", "stream-node-max-bytes", 4096)


def test_trimming_is_refused(server: Server) -> None:
    server.execute("SET", "text", "x")
    both = "ERR syntax error, MAXLEN and MINID options at the same time are not compatible"
    assert refused(server, "XTRIM", "text", "MAXLEN", 1, "MINID", 1) == both
    assert refused(server, "XTRIM", "text", "MAXLEN", 1, "MAXLEN", 1) == both
    assert refused(server, "XTRIM", "text", "MAXLEN", -1) == (
        "ERR The MAXLEN argument must be >= 0."
    )
    assert refused(server, "XTRIM", "text", "MAXLEN", "x") == NOT_AN_INTEGER
    assert refused(server, "XTRIM", "text", "MINID", "x") == INVALID_ID
    assert refused(server, "XTRIM", "text", "MAXLEN", "~", 1, "LIMIT", -1) == (
        "ERR The LIMIT argument must be >= 0."
    )
    assert refused(server, "XTRIM", "text", "LIMIT", 0) == (
        "ERR syntax error, XTRIM must be called with a trimming strategy"
    )
    alone = "ERR syntax error, LIMIT cannot be used without specifying a trimming strategy"
    assert refused(server, "XTRIM", "text", "LIMIT", 5) == alone
    exact = "ERR syntax error, LIMIT cannot be used without the special ~ option"
    assert refused(server, "XTRIM", "text", "MAXLEN", 1, "LIMIT", 0) == exact
    assert refused(server, "XADD", "text", "LIMIT", 0, "*", "a", "1") == exact
    assert refused(server, "XTRIM", "text", "LENGTH", 1) == SYNTAX
    assert refused(server, "XTRIM", "text", "MAXLEN", 1) == WRONG_TYPE


def test_setting_the_last_id(server: Server) -> None:
    fill(server, "1-1", "2-2")
    assert server.execute("XSETID", "log", "5-5") == b"OK"
    assert info(server)[b"last-generated-id"] == b"5-5"
    assert server.execute("XSETID", "log", "2-2", "ENTRIESADDED", 9, "MAXDELETEDID", "2-1")
    assert info(server)[b"entries-added"] == 9
    assert info(server)[b"max-deleted-entry-id"] == b"2-1"
    assert refused(server, "XSETID", "log", "2-1") == (
        "ERR The ID specified in XSETID is smaller than the target stream top item"
    )
    server.execute("XSETID", "log", "5-5", "MAXDELETEDID", "4-4")
    assert server.execute("XSETID", "log", "3-3") == b"OK"
    assert refused(server, "XSETID", "log", "3", "MAXDELETEDID", "4") == (
        "ERR The ID specified in XSETID is smaller than the provided max_deleted_entry_id"
    )
    assert refused(server, "XSETID", "log", "3", "ENTRIESADDED", 1) == (
        "ERR The entries_added specified in XSETID is smaller than the target stream length"
    )
    assert refused(server, "XSETID", "log", "3", "ENTRIESADDED", -1) == (
        "ERR entries_added must be positive"
    )
    assert refused(server, "XSETID", "log", "3", "MAXDELETEDID") == SYNTAX
    assert refused(server, "XSETID", "log", "x") == INVALID_ID
    assert refused(server, "XSETID", "missing", "1") == "ERR no such key"


@pytest.mark.parametrize("protocol", [2, 3])
def test_reading_on(server: Server, protocol: int) -> None:
    fill(server, "1-1", "2-1", "3-1")
    fill(server, "7-7", key="other")
    raw = server.raw(protocol)

    def shaped(*pairs: tuple[bytes, list[Any]]) -> Any:
        return dict(pairs) if protocol == 3 else [list(pair) for pair in pairs]

    assert raw.execute("XREAD", "STREAMS", "log", "1-1") == shaped(
        (b"log", [row("2-1"), row("3-1")])
    )
    assert raw.execute("XREAD", "COUNT", 1, "STREAMS", "other", "missing", "log", 0, 0, 1) == (
        shaped((b"other", [row("7-7")]), (b"log", [row("1-1")]))
    )
    assert raw.execute("XREAD", "STREAMS", "log", "other", "3-1", "$") is None
    assert raw.execute("XREAD", "STREAMS", "missing", "0") is None


def test_reading_is_refused(server: Server) -> None:
    fill(server, "1-1")
    server.execute("SET", "text", "x")
    unbalanced = (
        "ERR Unbalanced XREAD list of streams: for each stream key an ID or '$' must be specified."
    )
    assert refused(server, "XREAD", "STREAMS", "log", "other", "0") == unbalanced
    assert refused(server, "XREAD", "COUNT", "x", "STREAMS", "log", "0") == NOT_AN_INTEGER
    assert refused(server, "XREAD", "COUNT", 1, "log", "0") == SYNTAX
    assert refused(server, "XREAD", "STREAMS", "log", "x") == INVALID_ID
    assert refused(server, "XREAD", "STREAMS", "log", "text", "0", "0") == WRONG_TYPE
    assert refused(server, "XREAD", "STREAMS", "log", ">").startswith("ERR The > ID can be spec")
    assert refused(server, "XREAD", "GROUP", "g", "c", "STREAMS", "log", "0") == (
        "ERR The GROUP option is only supported by XREADGROUP. You called XREAD instead."
    )
    assert refused(server, "XREAD", "NOACK", "STREAMS", "log", "0") == (
        "ERR The NOACK option is only supported by XREADGROUP. You called XREAD instead."
    )


def test_what_a_stream_says_of_itself(server: Server) -> None:
    fill(server, "1-1", "2-1", "3-1")
    server.execute("XDEL", "log", "2-1")
    server.execute("XGROUP", "CREATE", "log", "readers", "0")
    assert info(server) == {
        b"length": 2,
        b"radix-tree-keys": 1,
        b"radix-tree-nodes": 2,
        b"last-generated-id": b"3-1",
        b"max-deleted-entry-id": b"2-1",
        b"entries-added": 3,
        b"recorded-first-entry-id": b"1-1",
        b"groups": 1,
        b"first-entry": row("1-1"),
        b"last-entry": row("3-1"),
    }
    assert server.raw(3).execute("XINFO", "STREAM", "log") == info(server)
    assert refused(server, "XINFO", "STREAM", "missing") == "ERR no such key"
    odd = "ERR unknown subcommand or wrong number of arguments for 'STREAM'. Try XINFO HELP."
    assert refused(server, "XINFO", "STREAM", "log", "HALF") == odd
    assert refused(server, "XINFO", "STREAM", "log", "FULL", "COUNT") == odd
    assert refused(server, "XINFO", "STREAM", "log", "FULL", "LIMIT", "1") == odd


def test_streams_among_other_keys(server: Server) -> None:
    fill(server, "1-1", "2-1")
    server.execute("XGROUP", "CREATE", "log", "readers", "0")
    server.execute("XREADGROUP", "GROUP", "readers", "ann", "COUNT", 1, "STREAMS", "log", ">")
    assert server.execute("COPY", "log", "twin") == 1
    server.execute("XACK", "log", "readers", "1-1")
    fill(server, "3-1")
    assert ids(server, "XRANGE", "twin", "-", "+") == ["1-1", "2-1"]
    assert server.execute("XPENDING", "twin", "readers") == [1, b"1-1", b"1-1", [[b"ann", b"1"]]]
    assert server.execute("XPENDING", "log", "readers")[0] == 0
    assert server.execute("RENAME", "log", "moved") == b"OK"
    assert server.execute("XLEN", "moved") == 3
    assert server.execute("MEMORY", "USAGE", "moved") > 0
    assert server.execute("DEBUG", "DIGEST-VALUE", "twin") == [
        b"cae0c99f0125604b0442ad64ccc9f730e3dd257f"
    ]


def test_events(server: Server) -> None:
    server.execute("CONFIG", "SET", "notify-keyspace-events", "Kt")
    listener = server.raw()
    listener.execute("SUBSCRIBE", "__keyspace@0__:log")
    for line in (
        "XADD log 1-1 a 1", "XADD log MAXLEN 1 2-1 a 1", "XTRIM log MAXLEN 5", "XSETID log 9-9",
        "XGROUP CREATE log g 0", "XGROUP SETID log g 0", "XGROUP CREATECONSUMER log g c",
        "XGROUP CREATECONSUMER log g c", "XREADGROUP GROUP g d STREAMS log >", "XACK log g 2-1",
        "XGROUP DELCONSUMER log g c", "XGROUP DESTROY log g", "XDEL log 2-1", "XDEL log 2-1",
    ):  # fmt: skip
        server.execute(*line.split())
    server.execute("PUBLISH", "__keyspace@0__:log", "end")
    events = []
    while (event := listener.receive()[2]) != b"end":
        events.append(event.decode())
    assert events == [
        "xadd", "xadd", "xtrim", "xsetid", "xgroup-create", "xgroup-setid",
        "xgroup-createconsumer", "xgroup-createconsumer", "xgroup-delconsumer", "xgroup-destroy",
        "xdel",
    ]  # fmt: skip
    server.execute("CONFIG", "SET", "notify-keyspace-events", "")


@pytest.mark.parametrize(
    ("line", "seen"),
    [
        ("XADD log 9-9 a 1", True),
        ("XDEL log 1-1", True),
        ("XTRIM log MAXLEN 1", True),
        ("XTRIM log MAXLEN 5", False),
        ("XSETID log 9-9", False),
        ("XGROUP CREATE log other 0", False),
        ("XREADGROUP GROUP g c STREAMS log >", False),
        ("XGROUP DESTROY log g", False),
        ("XGROUP CREATE new g 0 MKSTREAM", True),
    ],
)
def test_what_watch_sees(server: Server, line: str, seen: bool) -> None:
    fill(server, "1-1", "2-1")
    server.execute("XGROUP", "CREATE", "log", "g", "0")
    watcher = server.raw()
    watcher.execute("WATCH", "log", "new")
    server.execute(*line.split())
    watcher.execute("MULTI")
    watcher.execute("PING")
    assert watcher.execute("EXEC") == (None if seen else [b"PONG"])


def test_where_the_keys_are(server: Server) -> None:
    def keys(line: str) -> list[bytes]:
        return server.execute("COMMAND", "GETKEYS", *line.split())

    assert keys("XADD log * a 1") == [b"log"]
    assert keys("XREAD COUNT 1 STREAMS a b 0 0") == [b"a", b"b"]
    assert keys("XREADGROUP GROUP STREAMS c STREAMS a b 0 0") == [b"a", b"b"]
    assert keys("XGROUP CREATE log g 0") == [b"log"]
    assert refused(server, "COMMAND", "GETKEYS", "XREAD", "COUNT", "1", "0") == (
        "ERR Invalid arguments specified for command"
    )
