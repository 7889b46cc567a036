"""The commands on hashes, on both servers: replies in both protocols, refusals, encodings."""

from __future__ import annotations

import pytest

from tests.contract.conftest import Server
from tests.raw import Argument, ReplyError

LONG_MAX = 2**63 - 1
WRONG_TYPE = "WRONGTYPE Operation against a key holding the wrong kind of value"


def refused(server: Server, *args: Argument) -> str:
    with pytest.raises(ReplyError) as caught:
        server.execute(*args)
    return str(caught.value)


def walk(server: Server, key: str, *options: Argument) -> list[list[bytes]]:
    pages, cursor = [], b"0"
    while not pages or cursor != b"0":
        cursor, page = server.execute("HSCAN", key, cursor, *options)
        pages.append(page)
    return pages


def test_set_and_read(server: Server) -> None:
    assert server.execute("HSET", "h", "a", 1, "b", 2, "a", 3) == 2
    assert server.execute("HSET", "h", "b", 4, "c", "") == 1
    assert server.execute("HMSET", "h", "d", 5) == b"OK"
    assert server.execute("HGET", "h", "a") == b"3"
    assert server.execute("HGET", "h", "x") is None
    assert server.execute("HMGET", "h", "x", "c", "b") == [None, b"", b"4"]
    assert server.execute("HKEYS", "h") == [b"a", b"b", b"c", b"d"]
    assert server.execute("HVALS", "h") == [b"3", b"4", b"", b"5"]
    assert server.execute("HGETALL", "h") == [b"a", b"3", b"b", b"4", b"c", b"", b"d", b"5"]
    assert server.execute("HLEN", "h") == 4
    assert server.execute("HSTRLEN", "h", "a") == 1
    assert server.execute("HSTRLEN", "h", "x") == 0
    assert server.execute("HEXISTS", "h", "c") == 1
    assert server.execute("HEXISTS", "h", "x") == 0


def test_shapes_of_resp3(server: Server) -> None:
    raw = server.raw(protocol=3)
    raw.execute("HSET", "h", "a", 1, "b", 2)
    assert raw.execute("HGETALL", "h") == {b"a": b"1", b"b": b"2"}
    assert raw.execute("HGETALL", "missing") == {}
    picked = raw.execute("HRANDFIELD", "h", 5, "WITHVALUES")
    assert sorted(picked) == [[b"a", b"1"], [b"b", b"2"]]
    assert raw.execute("HSCAN", "h", 0) == [b"0", [b"a", b"1", b"b", b"2"]]


def test_a_missing_hash(server: Server) -> None:
    for name, expected in (("HLEN", 0), ("HKEYS", []), ("HVALS", []), ("HGETALL", [])):
        assert server.execute(name, "h") == expected
    assert server.execute("HGET", "h", "a") is None
    assert server.execute("HMGET", "h", "a", "b") == [None, None]
    assert server.execute("HSTRLEN", "h", "a") == 0
    assert server.execute("HDEL", "h", "a") == 0
    assert server.execute("HRANDFIELD", "h") is None
    assert server.execute("HRANDFIELD", "h", 3) == []
    assert server.execute("HSCAN", "h", 5, "NONSENSE") == [b"0", []]


def test_hsetnx(server: Server) -> None:
    assert server.execute("HSETNX", "h", "a", 1) == 1
    assert server.execute("HSETNX", "h", "a", 2) == 0
    assert server.execute("HGET", "h", "a") == b"1"


def test_the_last_field_takes_the_key_along(server: Server) -> None:
    server.execute("HSET", "h", "a", 1, "b", 2)
    assert server.execute("HDEL", "h", "a", "x", "a") == 1
    assert server.execute("EXISTS", "h") == 1
    assert server.execute("HDEL", "h", "b", "c") == 1
    assert server.execute("EXISTS", "h") == 0


def test_hincrby(server: Server) -> None:
    assert server.execute("HINCRBY", "h", "n", 5) == 5
    assert server.execute("HINCRBY", "h", "n", -7) == -2
    server.execute("HSET", "h", "max", 2**63 - 1, "text", "x", "spaced", " 1")
    overflow = "ERR increment or decrement would overflow"
    assert refused(server, "HINCRBY", "h", "max", 1) == overflow
    assert refused(server, "HINCRBY", "h", "text", 1) == "ERR hash value is not an integer"
    assert refused(server, "HINCRBY", "h", "spaced", 1) == "ERR hash value is not an integer"
    assert server.execute("HGET", "h", "max") == b"%d" % (2**63 - 1)


def test_hincrbyfloat(server: Server) -> None:
    assert server.execute("HINCRBYFLOAT", "h", "f", "0.1") == b"0.1"
    assert server.execute("HINCRBYFLOAT", "h", "f", "0.2") == b"0.3"
    assert server.execute("HINCRBYFLOAT", "h", "f", "-3.0e2") == b"-299.70000000000000001"
    assert server.execute("HGET", "h", "f") == b"-299.70000000000000001"
    server.execute("HSET", "h", "text", "x")
    assert refused(server, "HINCRBYFLOAT", "h", "text", 1) == "ERR hash value is not a float"
    assert refused(server, "HINCRBYFLOAT", "h", "f", "x") == "ERR value is not a valid float"
    assert refused(server, "HINCRBYFLOAT", "h", "f", "inf") == "ERR value is NaN or Infinity"


def test_hrandfield(server: Server) -> None:
    server.execute("HSET", "h", "a", 1, "b", 2, "c", 3)
    assert server.execute("HRANDFIELD", "h") in (b"a", b"b", b"c")
    assert server.execute("HRANDFIELD", "h", 0) == []
    assert len(set(server.execute("HRANDFIELD", "h", 2))) == 2
    assert sorted(server.execute("HRANDFIELD", "h", 10)) == [b"a", b"b", b"c"]
    assert len(server.execute("HRANDFIELD", "h", -10)) == 10
    flat = server.execute("HRANDFIELD", "h", -4, "WITHVALUES")
    assert all((field, value) in {(b"a", b"1"), (b"b", b"2"), (b"c", b"3")}
               for field, value in zip(flat[::2], flat[1::2], strict=True))  # fmt: skip


@pytest.mark.parametrize(
    ("setting", "value", "fields"),
    [
        ("hash-max-listpack-entries", 2, ["a", 1, "b", 2, "c", 3]),
        ("hash-max-listpack-value", 4, ["a", "12345"]),
        ("hash-max-listpack-value", 4, ["12345", "a"]),
    ],
)
def test_encodings_follow_the_limits_and_stick(
    server: Server, setting: str, value: int, fields: list[Argument]
) -> None:
    server.execute("HSET", "h", "field", "value", "other", "value")
    assert server.execute("OBJECT", "ENCODING", "h") == b"listpack"
    server.execute("DEL", "h")
    server.execute("CONFIG", "SET", setting, value)
    server.execute("HSET", "h", *fields)
    assert server.execute("OBJECT", "ENCODING", "h") == b"hashtable"
    server.execute("HSET", "h", "x", 1)
    server.execute("HDEL", "h", *fields[::2])
    assert server.execute("OBJECT", "ENCODING", "h") == b"hashtable"
    server.execute("COPY", "h", "copy")
    assert server.execute("OBJECT", "ENCODING", "copy") == b"hashtable"


def test_a_small_hash_is_scanned_in_one_piece(server: Server) -> None:
    server.execute("HSET", "h", "a", 1, "b", 2, "ab", 3)
    assert walk(server, "h", "COUNT", 1) == [[b"a", b"1", b"b", b"2", b"ab", b"3"]]
    assert walk(server, "h", "MATCH", "a*") == [[b"a", b"1", b"ab", b"3"]]


def test_a_large_hash_is_scanned_in_pages(server: Server) -> None:
    expected = {b"f%d" % number: b"%d" % number for number in range(1000)}
    server.execute("HSET", "h", *(part for pair in expected.items() for part in pair))
    pages = walk(server, "h", "COUNT", 50)
    assert len(pages) > 5
    flat = [part for page in pages for part in page]
    assert dict(zip(flat[::2], flat[1::2], strict=True)) == expected


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("HSET", "h", "a", 1, "b"), "ERR wrong number of arguments for 'hset' command"),
        (("HMSET", "h", "a", 1, "b"), "ERR wrong number of arguments for 'hmset' command"),
        (("HSET", "text", "a", 1, "b"), "ERR wrong number of arguments for 'hset' command"),
        (("HINCRBY", "text", "a", "x"), "ERR value is not an integer or out of range"),
        (("HRANDFIELD", "text", "x"), "ERR value is not an integer or out of range"),
        (("HRANDFIELD", "text", 1, "NONSENSE"), "ERR syntax error"),
        (("HRANDFIELD", "text", 1, "WITHVALUES", "x"), "ERR syntax error"),
        (("HRANDFIELD", "text", 2**62, "WITHVALUES"), "ERR value is out of range"),
        (
            ("HRANDFIELD", "text", -(2**63)),
            f"ERR value is out of range, value must between {-LONG_MAX} and {LONG_MAX}",
        ),
        (("HSCAN", "text", "x"), "ERR invalid cursor"),
        (("HSCAN", "h", 0, "COUNT", 0), "ERR syntax error"),
        (("HSCAN", "h", 0, "COUNT", "x"), "ERR value is not an integer or out of range"),
        (("HSCAN", "h", 0, "TYPE", "hash"), "ERR syntax error"),
        (("HSCAN", "h", 0, "MATCH"), "ERR syntax error"),
    ],
)
def test_refused(server: Server, args: tuple[Argument, ...], message: str) -> None:
    server.execute("SET", "text", "x")
    server.execute("HSET", "h", "f", "v")
    assert refused(server, *args) == message


@pytest.mark.parametrize(
    "args",
    [
        ("HSET", "a", 1), ("HMSET", "a", 1), ("HSETNX", "a", 1), ("HGET", "a"), ("HMGET", "a"),
        ("HGETALL",), ("HKEYS",), ("HVALS",), ("HLEN",), ("HEXISTS", "a"), ("HSTRLEN", "a"),
        ("HDEL", "a"), ("HINCRBY", "a", 1), ("HINCRBYFLOAT", "a", 1), ("HRANDFIELD",),
        ("HRANDFIELD", 1), ("HSCAN", 0, "NONSENSE"),
    ],
)  # fmt: skip
def test_another_type(server: Server, args: tuple[Argument, ...]) -> None:
    server.execute("SET", "text", "x")
    assert refused(server, args[0], "text", *args[1:]) == WRONG_TYPE
