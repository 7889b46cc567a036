"""The commands on lists, replies and error texts to the letter, on both servers."""

from __future__ import annotations

from typing import Any

import pytest

from tests.contract.conftest import Server
from tests.raw import Argument, ReplyError

NOT_AN_INTEGER = "ERR value is not an integer or out of range"
NOT_POSITIVE = "ERR value is out of range, must be positive"
SYNTAX = "ERR syntax error"


def refused(server: Server, *args: Argument) -> str:
    with pytest.raises(ReplyError) as caught:
        server.execute(*args)
    return str(caught.value)


def items(server: Server, key: str = "list") -> bytes:
    """The elements of a list, joined."""
    return b"".join(server.execute("LRANGE", key, 0, -1))


def fill(server: Server, text: str = "abcdef", key: str = "list") -> None:
    server.execute("RPUSH", key, *text)


def test_pushing(server: Server) -> None:
    assert server.execute("LPUSH", "list", "a", "b") == 2
    assert server.execute("RPUSH", "list", "c", "d") == 4
    assert items(server) == b"bacd"
    assert server.execute("LPUSHX", "list", "x", "y") == 6
    assert server.execute("RPUSHX", "list", "z") == 7
    assert items(server) == b"yxbacdz"
    assert server.execute("LPUSHX", "missing", "x") == 0
    assert server.execute("RPUSHX", "missing", "x") == 0
    assert server.execute("EXISTS", "missing") == 0
    assert server.execute("LLEN", "list") == 7
    assert server.execute("LLEN", "missing") == 0
    assert server.execute("OBJECT", "ENCODING", "list") == b"quicklist"


def test_popping(server: Server) -> None:
    fill(server)
    assert server.execute("LPOP", "list") == b"a"
    assert server.execute("RPOP", "list") == b"f"
    assert server.execute("LPOP", "list", 2) == [b"b", b"c"]
    assert server.execute("RPOP", "list", 0) == []
    assert server.execute("RPOP", "list", 10) == [b"e", b"d"]
    assert server.execute("EXISTS", "list") == 0
    assert server.execute("LPOP", "list") is None
    assert server.execute("LPOP", "list", 1) is None
    assert server.execute("LPOP", "list", 0) is None
    assert refused(server, "LPOP", "list", -1) == NOT_POSITIVE
    assert refused(server, "RPOP", "list", "x") == NOT_POSITIVE
    assert refused(server, "LPOP", "list", 1, 2) == (
        "ERR wrong number of arguments for 'lpop' command"
    )


@pytest.mark.parametrize(
    ("start", "stop", "expected"),
    [
        (0, -1, b"abcdef"),
        (1, 3, b"bcd"),
        (-3, -2, b"de"),
        (-100, 1, b"ab"),
        (4, 100, b"ef"),
        (3, 1, b""),
        (10, 20, b""),
        (0, -100, b""),
        (5, 5, b"f"),
    ],
)
def test_ranges_and_trims(server: Server, start: int, stop: int, expected: bytes) -> None:
    fill(server)
    assert b"".join(server.execute("LRANGE", "list", start, stop)) == expected
    assert server.execute("LTRIM", "list", start, stop) == b"OK"
    assert items(server) == expected
    assert server.execute("EXISTS", "list") == bool(expected)


def test_ranges_of_a_long_list(server: Server) -> None:
    numbers = [b"%d" % number for number in range(1000)]
    server.execute("RPUSH", "list", *numbers)
    for start, stop in ((0, 9), (490, 510), (-10, -1), (990, 2000), (500, 500)):
        end = stop + 1 if stop >= 0 else stop + 1001
        first = start if start >= 0 else start + 1000
        assert server.execute("LRANGE", "list", start, stop) == numbers[first:end]


def test_index_and_set(server: Server) -> None:
    fill(server)
    assert server.execute("LINDEX", "list", 0) == b"a"
    assert server.execute("LINDEX", "list", -1) == b"f"
    assert server.execute("LINDEX", "list", 6) is None
    assert server.execute("LINDEX", "list", -7) is None
    assert server.execute("LINDEX", "missing", "not looked at") is None
    assert server.execute("LSET", "list", -1, "z") == b"OK"
    assert items(server) == b"abcdez"
    assert refused(server, "LSET", "list", 6, "z") == "ERR index out of range"
    assert refused(server, "LSET", "missing", 0, "z") == "ERR no such key"
    assert refused(server, "LSET", "list", "x", "z") == NOT_AN_INTEGER


def test_inserting(server: Server) -> None:
    fill(server, "abca")
    assert server.execute("LINSERT", "list", "before", "a", "x") == 5
    assert server.execute("LINSERT", "list", "AFTER", "c", "y") == 6
    assert items(server) == b"xabcya"
    assert server.execute("LINSERT", "list", "AFTER", "nope", "y") == -1
    assert server.execute("LINSERT", "missing", "AFTER", "a", "y") == 0
    assert refused(server, "LINSERT", "list", "NEAR", "a", "y") == SYNTAX


@pytest.mark.parametrize(
    ("count", "removed", "left"),
    [(0, 3, b"bc"), (2, 2, b"bca"), (-2, 2, b"abc"), (-1, 1, b"abac"), (100, 3, b"bc")],
)
def test_removing(server: Server, count: int, removed: int, left: bytes) -> None:
    fill(server, "abaca")
    assert server.execute("LREM", "list", count, "a") == removed
    assert items(server) == left
    assert server.execute("LREM", "list", 0, "nope") == 0
    assert server.execute("LREM", "missing", 0, "a") == 0


def test_removing_the_last_element_removes_the_key(server: Server) -> None:
    fill(server, "aa")
    assert server.execute("LREM", "list", 0, "a") == 2
    assert server.execute("EXISTS", "list") == 0


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ([], 0),
        (["RANK", 2], 2),
        (["RANK", -1], 5),
        (["rank", 4], None),
        (["COUNT", 0], [0, 2, 5]),
        (["COUNT", 2], [0, 2]),
        (["COUNT", 2, "RANK", -1], [5, 2]),
        (["COUNT", 0, "RANK", 2], [2, 5]),
        (["COUNT", 0, "MAXLEN", 3], [0, 2]),
        (["RANK", -1, "MAXLEN", 1], 5),
        (["COUNT", 1, "RANK", 9], []),
    ],
)
def test_finding(server: Server, options: list[Argument], expected: Any) -> None:
    fill(server, "abacda")
    assert server.execute("LPOS", "list", "a", *options) == expected


def test_finding_refusals(server: Server) -> None:
    assert server.execute("LPOS", "missing", "a") is None
    assert server.execute("LPOS", "missing", "a", "COUNT", 1) == []
    assert refused(server, "LPOS", "list", "a", "RANK", 0) == (
        "ERR RANK can't be zero: use 1 to start from the first match, 2 from the second ... or use "
        "negative to start from the end of the list"
    )
    assert refused(server, "LPOS", "list", "a", "COUNT", -1) == "ERR COUNT can't be negative"
    assert refused(server, "LPOS", "list", "a", "MAXLEN", "x") == "ERR MAXLEN can't be negative"
    assert refused(server, "LPOS", "list", "a", "RANK") == SYNTAX
    assert refused(server, "LPOS", "list", "a", "NOPE", 1) == SYNTAX


@pytest.mark.parametrize(
    ("origin", "end", "moved", "source", "target"),
    [
        ("LEFT", "LEFT", b"a", b"bc", b"axy"),
        ("LEFT", "RIGHT", b"a", b"bc", b"xya"),
        ("right", "left", b"c", b"ab", b"cxy"),
        ("RIGHT", "RIGHT", b"c", b"ab", b"xyc"),
    ],
)
def test_moving(
    server: Server, origin: str, end: str, moved: bytes, source: bytes, target: bytes
) -> None:
    fill(server, "abc")
    fill(server, "xy", "other")
    assert server.execute("LMOVE", "list", "other", origin, end) == moved
    assert items(server) == source
    assert items(server, "other") == target


def test_moving_onto_itself_rotates(server: Server) -> None:
    fill(server, "abc")
    assert server.execute("RPOPLPUSH", "list", "list") == b"c"
    assert items(server) == b"cab"
    fill(server, "x", "single")
    assert server.execute("LMOVE", "single", "single", "LEFT", "RIGHT") == b"x"
    assert items(server, "single") == b"x"


def test_moving_the_last_element_and_nothing(server: Server) -> None:
    fill(server, "a")
    assert server.execute("RPOPLPUSH", "list", "new") == b"a"
    assert server.execute("EXISTS", "list") == 0
    assert items(server, "new") == b"a"
    assert server.execute("RPOPLPUSH", "missing", "new") is None
    server.execute("SET", "string", "s")
    assert refused(server, "RPOPLPUSH", "new", "string").startswith("WRONGTYPE ")
    assert items(server, "new") == b"a"
    assert server.execute("RPOPLPUSH", "missing", "string") is None
    assert refused(server, "LMOVE", "new", "list", "UP", "LEFT") == SYNTAX


def test_lmpop(server: Server) -> None:
    fill(server)
    assert server.execute("LMPOP", 2, "missing", "list", "LEFT") == [b"list", [b"a"]]
    assert server.execute("LMPOP", 1, "list", "right", "count", 2) == [b"list", [b"f", b"e"]]
    assert server.execute("LMPOP", 1, "list", "LEFT", "COUNT", 100) == [b"list", [b"b", b"c", b"d"]]
    assert server.execute("LMPOP", 1, "list", "LEFT") is None
    assert refused(server, "LMPOP", 0, "list", "LEFT") == "ERR numkeys should be greater than 0"
    assert refused(server, "LMPOP", "x", "list", "LEFT") == "ERR numkeys should be greater than 0"
    assert refused(server, "LMPOP", 2, "list", "LEFT") == SYNTAX
    assert refused(server, "LMPOP", 1, "list", "MIDDLE") == SYNTAX
    assert refused(server, "LMPOP", 1, "list", "LEFT", "COUNT") == SYNTAX
    assert refused(server, "LMPOP", 1, "list", "LEFT", "COUNT", 0) == (
        "ERR count should be greater than 0"
    )
    assert server.execute("COMMAND", "GETKEYS", "LMPOP", 2, "a", "b", "LEFT") == [b"a", b"b"]


@pytest.mark.parametrize(
    "command",
    [
        ("LPUSH", "x"),
        ("RPUSHX", "x"),
        ("LPOP",),
        ("LPOP", 0),
        ("LLEN",),
        ("LINDEX", "x"),
        ("LSET", "x", "y"),
        ("LINSERT", "BEFORE", "a", "b"),
        ("LRANGE", 0, -1),
        ("LTRIM", 0, -1),
        ("LREM", 0, "x"),
        ("LPOS", "x"),
        ("LMOVE", "list", "LEFT", "LEFT"),
    ],
)
def test_other_types_are_refused(server: Server, command: tuple[Argument, ...]) -> None:
    server.execute("SET", "string", "a")
    assert refused(server, command[0], "string", *command[1:]).startswith("WRONGTYPE ")


def test_changes_keep_the_deadline(server: Server) -> None:
    fill(server)
    server.execute("EXPIRE", "list", 100)
    server.execute("RPUSH", "list", "x")
    server.execute("LREM", "list", 0, "a")
    server.execute("LSET", "list", 0, "y")
    assert server.execute("TTL", "list") == 100
