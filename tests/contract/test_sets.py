"""The commands on sets, on both servers: replies in both protocols, algebra, refusals."""

from __future__ import annotations

import pytest

from tests.contract.conftest import Server
from tests.raw import Argument, ReplyError

WRONG_TYPE = "WRONGTYPE Operation against a key holding the wrong kind of value"


def refused(server: Server, *args: Argument) -> str:
    with pytest.raises(ReplyError) as caught:
        server.execute(*args)
    return str(caught.value)


def walk(server: Server, key: str, *options: Argument) -> list[list[bytes]]:
    pages, cursor = [], b"0"
    while not pages or cursor != b"0":
        cursor, page = server.execute("SSCAN", key, cursor, *options)
        pages.append(page)
    return pages


@pytest.fixture
def three(server: Server) -> Server:
    server.execute("SADD", "one", "a", "b", "c", "d")
    server.execute("SADD", "two", "b", "c", "x")
    server.execute("SADD", "three", "c", "d", "x")
    return server


def test_add_and_read(server: Server) -> None:
    assert server.execute("SADD", "s", "b", "a", "b") == 2
    assert server.execute("SADD", "s", "a") == 0
    assert server.execute("SCARD", "s") == 2
    assert sorted(server.execute("SMEMBERS", "s")) == [b"a", b"b"]
    assert server.execute("SISMEMBER", "s", "a") == 1
    assert server.execute("SISMEMBER", "s", "x") == 0
    assert server.execute("SMISMEMBER", "s", "a", "x", "b") == [1, 0, 1]


def test_a_missing_set(server: Server) -> None:
    assert server.execute("SCARD", "s") == 0
    assert server.execute("SMEMBERS", "s") == []
    assert server.execute("SISMEMBER", "s", "a") == 0
    assert server.execute("SMISMEMBER", "s", "a", "b") == [0, 0]
    assert server.execute("SREM", "s", "a") == 0
    assert server.execute("SPOP", "s") is None
    assert server.execute("SPOP", "s", 2) == []
    assert server.execute("SRANDMEMBER", "s") is None
    assert server.execute("SRANDMEMBER", "s", 2) == []
    assert server.execute("SSCAN", "s", 3, "NONSENSE") == [b"0", []]
    assert server.execute("SMOVE", "s", "t", "a") == 0


def test_shapes_of_resp3(server: Server) -> None:
    raw = server.raw(protocol=3)
    raw.execute("SADD", "s", 2, 1)
    assert list(raw.execute("SMEMBERS", "s")) == [b"1", b"2"]
    assert list(raw.execute("SUNION", "s", "missing")) == [b"1", b"2"]
    assert sorted(raw.execute("SPOP", "s", 2)) == [b"1", b"2"]


def test_the_last_member_takes_the_key_along(server: Server) -> None:
    server.execute("SADD", "s", "a", "b", "c")
    assert server.execute("SREM", "s", "a", "x", "a") == 1
    assert server.execute("SREM", "s", "b", "c") == 2
    assert server.execute("EXISTS", "s") == 0


def test_smove(server: Server) -> None:
    server.execute("SADD", "s", "a", "b")
    assert server.execute("SMOVE", "s", "t", "x") == 0
    assert server.execute("SMOVE", "s", "s", "a") == 1
    assert server.execute("SMOVE", "s", "t", "a") == 1
    assert server.execute("SADD", "s", "a") == 1
    assert server.execute("SMOVE", "s", "t", "a") == 1
    assert server.execute("SMOVE", "s", "t", "b") == 1
    assert server.execute("EXISTS", "s") == 0
    assert sorted(server.execute("SMEMBERS", "t")) == [b"a", b"b"]
    server.execute("SET", "text", "x")
    assert server.execute("SMOVE", "missing", "text", "a") == 0
    assert refused(server, "SMOVE", "t", "text", "a") == WRONG_TYPE
    assert refused(server, "SMOVE", "text", "t", "a") == WRONG_TYPE


def test_srandmember(server: Server) -> None:
    server.execute("SADD", "s", "a", "b", "c")
    assert server.execute("SRANDMEMBER", "s") in (b"a", b"b", b"c")
    assert server.execute("SRANDMEMBER", "s", 0) == []
    assert len(set(server.execute("SRANDMEMBER", "s", 2))) == 2
    assert sorted(server.execute("SRANDMEMBER", "s", 9)) == [b"a", b"b", b"c"]
    assert len(server.execute("SRANDMEMBER", "s", -9)) == 9


@pytest.mark.parametrize("count", [1, 30, 95, 100, 200])
def test_spop(server: Server, count: int) -> None:
    everything = {b"%d" % number for number in range(100)}
    server.execute("SADD", "s", *everything)
    server.execute("EXPIRE", "s", 1000)
    popped = server.execute("SPOP", "s", count)
    assert len(set(popped)) == len(popped) == min(count, 100)
    assert set(server.execute("SMEMBERS", "s")) == everything - set(popped)
    assert server.execute("TTL", "s") == (1000 if count < 100 else -2)
    assert server.execute("SPOP", "s", 0) == []


def test_spop_of_nearly_everything_leaves_a_fresh_set(server: Server) -> None:
    server.execute("SADD", "s", *range(600))
    assert server.execute("OBJECT", "ENCODING", "s") == b"hashtable"
    server.execute("SPOP", "s", 590)
    assert server.execute("OBJECT", "ENCODING", "s") == b"intset"


def test_inter(three: Server) -> None:
    assert three.execute("SINTER", "one", "two", "three") == [b"c"]
    assert three.execute("SINTER", "one", "missing") == []
    assert three.execute("SINTERSTORE", "to", "one", "two") == 2
    assert sorted(three.execute("SMEMBERS", "to")) == [b"b", b"c"]
    assert three.execute("SINTERSTORE", "to", "one", "missing") == 0
    assert three.execute("EXISTS", "to") == 0


def test_sintercard(three: Server) -> None:
    assert three.execute("SINTERCARD", 2, "one", "two") == 2
    assert three.execute("SINTERCARD", 2, "one", "two", "LIMIT", 1) == 1
    assert three.execute("SINTERCARD", 2, "one", "two", "limit", 0) == 2
    assert three.execute("SINTERCARD", 2, "one", "missing") == 0


def test_union_and_difference(three: Server) -> None:
    assert sorted(three.execute("SUNION", "one", "missing", "two")) == [
        b"a", b"b", b"c", b"d", b"x",
    ]  # fmt: skip
    assert three.execute("SUNIONSTORE", "two", "two", "three") == 4
    assert sorted(three.execute("SDIFF", "one", "three", "missing")) == [b"a", b"b"]
    assert three.execute("SDIFF", "missing", "one") == []
    assert three.execute("SDIFFSTORE", "one", "one", "three") == 2
    assert three.execute("SDIFFSTORE", "one", "one", "one") == 0
    assert three.execute("EXISTS", "one") == 0


def test_a_store_replaces_any_value_and_its_deadline(three: Server) -> None:
    three.execute("SET", "to", "text", "EX", 100)
    assert three.execute("SUNIONSTORE", "to", "one") == 4
    assert three.execute("TYPE", "to") == b"set"
    assert three.execute("TTL", "to") == -1


def test_a_wrong_type_wins_over_a_missing_key(three: Server) -> None:
    three.execute("SET", "text", "x")
    for name in ("SINTER", "SUNION", "SDIFF"):
        assert refused(three, name, "missing", "text") == WRONG_TYPE
        assert refused(three, f"{name}STORE", "one", "missing", "text") == WRONG_TYPE
    assert refused(three, "SINTERCARD", 2, "missing", "text") == WRONG_TYPE
    assert three.execute("SCARD", "one") == 4


def test_encodings(server: Server) -> None:
    server.execute("SADD", "s", 10, 9, -5)
    assert server.execute("OBJECT", "ENCODING", "s") == b"intset"
    assert server.execute("SMEMBERS", "s") == [b"-5", b"9", b"10"]
    server.execute("SADD", "s", "x")
    server.execute("SREM", "s", "x")
    assert server.execute("OBJECT", "ENCODING", "s") == b"hashtable"
    server.execute("SUNIONSTORE", "t", "s")
    assert server.execute("OBJECT", "ENCODING", "t") == b"intset"
    server.execute("CONFIG", "SET", "set-max-intset-entries", 3)
    server.execute("SADD", "t", 11)
    assert server.execute("OBJECT", "ENCODING", "t") == b"hashtable"


@pytest.mark.parametrize("member", ["01", "-0", "+1", "1.0", "9223372036854775808", ""])
def test_no_integer_for_an_intset(server: Server, member: str) -> None:
    server.execute("SADD", "s", member)
    assert server.execute("OBJECT", "ENCODING", "s") == b"hashtable"


def test_scan(server: Server) -> None:
    server.execute("SADD", "ints", 3, 1, 2)
    assert walk(server, "ints", "COUNT", 1) == [[b"1", b"2", b"3"]]
    assert walk(server, "ints", "MATCH", "[12]") == [[b"1", b"2"]]
    expected = {b"m%d" % number for number in range(1000)}
    server.execute("SADD", "s", *expected)
    pages = walk(server, "s", "COUNT", 50)
    assert len(pages) > 5
    assert {member for page in pages for member in page} == expected


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("SPOP", "text", -1), "ERR value is out of range, must be positive"),
        (("SPOP", "text", "x"), "ERR value is out of range, must be positive"),
        (("SPOP", "text", 1, 2), "ERR syntax error"),
        (("SRANDMEMBER", "text", "x"), "ERR value is not an integer or out of range"),
        (("SRANDMEMBER", "text", 1, 2), "ERR syntax error"),
        (("SINTERCARD", 0, "s"), "ERR numkeys should be greater than 0"),
        (("SINTERCARD", "x", "s"), "ERR numkeys should be greater than 0"),
        (("SINTERCARD", 2, "s"), "ERR Number of keys can't be greater than number of args"),
        (("SINTERCARD", 1, "s", "LIMIT", -1), "ERR LIMIT can't be negative"),
        (("SINTERCARD", 1, "s", "LIMIT"), "ERR syntax error"),
        (("SINTERCARD", 1, "s", "NONSENSE", 1), "ERR syntax error"),
        (("SSCAN", "text", "x"), "ERR invalid cursor"),
        (("SSCAN", "s", 0, "NONSENSE", 1), "ERR syntax error"),
    ],
)
def test_refused(server: Server, args: tuple[Argument, ...], message: str) -> None:
    server.execute("SET", "text", "x")
    server.execute("SADD", "s", "m")
    assert refused(server, *args) == message


@pytest.mark.parametrize(
    "args",
    [
        ("SADD", "a"), ("SREM", "a"), ("SCARD",), ("SMEMBERS",), ("SISMEMBER", "a"),
        ("SMISMEMBER", "a"), ("SPOP",), ("SPOP", 1), ("SRANDMEMBER",), ("SRANDMEMBER", 1),
        ("SSCAN", 0), ("SINTER",), ("SUNION",), ("SDIFF",),
    ],
)  # fmt: skip
def test_another_type(server: Server, args: tuple[Argument, ...]) -> None:
    server.execute("SET", "text", "x")
    assert refused(server, args[0], "text", *args[1:]) == WRONG_TYPE
