"""DUMP and RESTORE, and that what one server dumps the other restores."""

from __future__ import annotations

import struct
from typing import Any

import pytest

from cacheapp.engine.engine import Engine
from cacheapp.engine.persistence.crc64 import crc64
from tests.contract.conftest import Server
from tests.engine_raw import EngineRaw
from tests.raw import Raw, ReplyError

Commands = list[tuple[Any, ...]]

LONG = "x" * 100
VALUES: dict[str, Commands] = {
    "empty string": [("SET", "k", "")],
    "text": [("SET", "k", "text")],
    "small integer": [("SET", "k", "-128")],
    "integer of two bytes": [("SET", "k", "-32768")],
    "integer of four bytes": [("SET", "k", "2147483647")],
    "integer of eight bytes": [("SET", "k", "-9223372036854775808")],
    "nearly an integer": [("SET", "k", "007")],
    "compressible": [("SET", "k", LONG)],
    "compressible with a period": [("SET", "k", "abcdefg" * 40)],
    "raw": [("SET", "k", "12"), ("APPEND", "k", "3")],
    "list": [("RPUSH", "k", "a", "7", "-4097", "b" * 70, "c" * 5000)],
    "list of several nodes": [("RPUSH", "k", *(f"{n}{LONG}" for n in range(200)))],
    "intset of two bytes": [("SADD", "k", 3, -1, 2)],
    "intset of four bytes": [("SADD", "k", 3, 70000)],
    "intset of eight bytes": [("SADD", "k", 3, 2**40)],
    "set": [("SADD", "k", "one")],
    "hash": [("HSET", "k", "f", "v", "number", 12, "negative", -70000)],
    "large hash": [("HSET", "k", "f", LONG)],
    "sorted set": [("ZADD", "k", 1, "a", 1.5, "b", "inf", "c", "-inf", "d", 1e300, "e", "-0", "f")],
    "large sorted set": [("ZADD", "k", 1, "a", 0.1, LONG, "inf", "b")],
    "stream": [
        ("XADD", "k", "5-1", "f", "v", "g", "1"),
        ("XADD", "k", "5-2", "f", "w", "g", "2"),
        ("XADD", "k", "7-0", "other", "field"),
        ("XADD", "k", "8-0", "f", "x", "g", "3"),
        ("XDEL", "k", "5-2"),
    ],
    "stream with a group": [
        ("XADD", "k", "1-0", "f", "v"),
        ("XGROUP", "CREATE", "k", "g", "0"),
        ("XGROUP", "CREATE", "k", "h", "$", "ENTRIESREAD", "1"),
    ],
    "stream without entries": [("XGROUP", "CREATE", "k", "g", "$", "MKSTREAM")],
    "stream of several nodes": [("XADD", "k", f"{n}-0", "field", LONG) for n in range(1, 120)],
}
# These have an order of their own on each server.
UNORDERED: dict[str, Commands] = {
    "set of many": [("SADD", "k", *(f"member:{n}" for n in range(50)))],
    "large hash of many": [("HSET", "k", *(part for n in range(600) for part in (f"f{n}", n)))],
    "sorted set of many": [("ZADD", "k", *(part for n in range(200) for part in (n / 7, n)))],
    "stream with pending entries": [
        ("XADD", "k", "1-0", "f", "v"),
        ("XADD", "k", "2-0", "f", "v"),
        ("XGROUP", "CREATE", "k", "g", "0"),
        ("XREADGROUP", "GROUP", "g", "alice", "COUNT", 1, "STREAMS", "k", ">"),
        ("XREADGROUP", "GROUP", "g", "bob", "STREAMS", "k", ">"),
    ],
}


@pytest.fixture
def other() -> Raw:
    """An engine beside the server of the test."""
    return EngineRaw(Engine({"enable-debug-command": "yes"}))


def refused(server: Server, *args: str | int | bytes) -> str:
    with pytest.raises(ReplyError) as caught:
        server.execute(*args)
    return str(caught.value)


def payload(body: bytes, version: int = 10) -> bytes:
    framed = body + struct.pack("<H", version)
    return framed + struct.pack("<Q", crc64(framed))


def state(raw: Any, key: str) -> list[Any]:
    found = [
        raw.execute("DEBUG", "DIGEST-VALUE", key),
        raw.execute("OBJECT", "ENCODING", key),
    ]
    if raw.execute("TYPE", key) == b"stream":
        found += [raw.execute("XINFO", "STREAM", key), raw.execute("XINFO", "GROUPS", key)]
    return found


@pytest.mark.parametrize("name", VALUES)
def test_the_bytes_of_a_value(server: Server, other: Raw, name: str) -> None:
    for command in VALUES[name]:
        server.execute(*command)
        other.execute(*command)
    assert server.execute("DUMP", "k") == other.execute("DUMP", "k")


@pytest.mark.parametrize("name", [*VALUES, *UNORDERED])
def test_each_restores_what_the_other_dumps(server: Server, other: Raw, name: str) -> None:
    commands = {**VALUES, **UNORDERED}[name]
    for command in commands:
        server.execute(*command)
        other.execute(*command)
    assert server.execute("RESTORE", "copy", 0, other.execute("DUMP", "k")) == b"OK"
    assert other.execute("RESTORE", "copy", 0, server.execute("DUMP", "k")) == b"OK"
    assert state(server, "copy") == state(other, "copy")
    assert state(server, "copy")[0] == state(server, "k")[0]


def test_pending_entries_survive(server: Server) -> None:
    for command in UNORDERED["stream with pending entries"]:
        server.execute(*command)
    server.execute("RESTORE", "copy", 0, server.execute("DUMP", "k"))
    assert server.execute("XPENDING", "copy", "g") == server.execute("XPENDING", "k", "g")
    assert server.execute("XACK", "copy", "g", "2-0") == 1
    assert server.execute("XPENDING", "copy", "g") == [1, b"1-0", b"1-0", [[b"alice", b"1"]]]
    assert server.execute("XADD", "copy", "3-0", "f", "v") == b"3-0"


@pytest.mark.parametrize("name", VALUES)
def test_debug_object_knows_the_length(server: Server, other: Raw, name: str) -> None:
    for command in VALUES[name]:
        server.execute(*command)
        other.execute(*command)
    length = len(other.execute("DUMP", "k")) - 11
    assert b"serializedlength:%d " % length in server.execute("DEBUG", "OBJECT", "k")


def test_order_and_cursors_survive(server: Server) -> None:
    server.execute("HSET", "h", "z", 1, "a", 2, "m", 3)
    server.execute("ZADD", "z", 2, "b", 1, "c", 2, "a")
    server.execute("SADD", "t", 30, -5, 7)
    for key in "hzt":
        server.execute("RESTORE", key, 0, server.execute("DUMP", key), "REPLACE")
    assert server.execute("HSCAN", "h", 0) == [b"0", [b"z", b"1", b"a", b"2", b"m", b"3"]]
    assert server.execute("ZSCAN", "z", 0) == [b"0", [b"c", b"1", b"a", b"2", b"b", b"2"]]
    assert server.execute("SSCAN", "t", 0) == [b"0", [b"-5", b"7", b"30"]]
    assert server.execute("SORT", "z", "BY", "nosort") == [b"c", b"a", b"b"]
    assert server.execute("SORT", "t") == [b"-5", b"7", b"30"]


def test_a_missing_key_has_no_dump(server: Server) -> None:
    assert server.execute("DUMP", "missing") is None


def test_restore_refuses_a_key_that_is_there(server: Server) -> None:
    server.execute("SET", "k", "v")
    dump = server.execute("DUMP", "k")
    assert refused(server, "RESTORE", "k", 0, dump) == "BUSYKEY Target key name already exists."
    server.execute("RPUSH", "k2", "v")
    assert server.execute("RESTORE", "k2", 0, dump, "replace") == b"OK"
    assert server.execute("GET", "k2") == b"v"


def test_which_error_of_restore_wins(server: Server) -> None:
    server.execute("SET", "k", "v")
    bad = "rubbish"
    assert refused(server, "RESTORE", "k", "x", bad, "NONSENSE") == "ERR syntax error"
    assert refused(server, "RESTORE", "k", "x", bad).startswith("BUSYKEY")
    assert refused(server, "RESTORE", "k", "x", bad, "REPLACE") == (
        "ERR value is not an integer or out of range"
    )
    assert refused(server, "RESTORE", "n", -1, bad) == "ERR Invalid TTL value, must be >= 0"
    wrong = "ERR DUMP payload version or checksum are wrong"
    assert refused(server, "RESTORE", "n", 0, bad) == wrong
    assert refused(server, "RESTORE", "n", 0, "a payload without a checksum") == wrong
    assert refused(server, "RESTORE", "n", 0, payload(b"\0\1x", version=99)) == wrong
    assert refused(server, "RESTORE", "n", 0, payload(b"\x08\1x")) == "ERR Bad data format"
    assert server.execute("EXISTS", "n") == 0


@pytest.mark.parametrize(
    ("options", "error"),
    [
        (["IDLETIME", "x"], "ERR value is not an integer or out of range"),
        (["IDLETIME", "-1"], "ERR Invalid IDLETIME value, must be >= 0"),
        (["FREQ", "-1"], "ERR Invalid FREQ value, must be >= 0 and <= 255"),
        (["FREQ", "256"], "ERR Invalid FREQ value, must be >= 0 and <= 255"),
        (["FREQ"], "ERR syntax error"),
        (["IDLETIME"], "ERR syntax error"),
        (["FREQ", "1", "IDLETIME", "1"], "ERR syntax error"),
        (["IDLETIME", "1", "FREQ", "1"], "ERR syntax error"),
    ],
)
def test_bad_options_of_restore(server: Server, options: list[str], error: str) -> None:
    assert refused(server, "RESTORE", "k", 0, payload(b"\0\1x"), *options) == error


def test_restore_with_a_deadline(server: Server) -> None:
    dump = payload(b"\0\1x")
    assert server.execute("RESTORE", "k", 100_000, dump) == b"OK"
    assert 90_000 < server.execute("PTTL", "k") <= 100_000
    assert server.execute("RESTORE", "abs", 4_102_444_800_000, dump, "ABSTTL") == b"OK"
    assert server.execute("PEXPIRETIME", "abs") == 4_102_444_800_000
    assert server.execute("RESTORE", "k", 0, dump, "REPLACE") == b"OK"
    assert server.execute("TTL", "k") == -1


@pytest.mark.parametrize(("ttl", "options"), [(1, ["ABSTTL"]), (2**63 - 1, [])])
def test_a_deadline_that_has_passed(server: Server, ttl: int, options: list[str]) -> None:
    dump = payload(b"\0\1x")
    server.execute("SET", "k", "v")
    assert server.execute("RESTORE", "k", ttl, dump, "REPLACE", *options) == b"OK"
    assert server.execute("EXISTS", "k") == 0


def test_restore_sets_idleness_or_frequency(server: Server) -> None:
    dump = payload(b"\0\1x")
    server.execute("RESTORE", "k", 0, dump, "IDLETIME", 1000)
    assert 1000 <= server.execute("OBJECT", "IDLETIME", "k") <= 1010
    server.execute("RESTORE", "k", 0, dump, "REPLACE", "FREQ", 100)
    assert server.execute("OBJECT", "IDLETIME", "k") <= 10
    server.execute("CONFIG", "SET", "maxmemory-policy", "allkeys-lfu")
    server.execute("RESTORE", "k", 0, dump, "REPLACE", "FREQ", 100)
    assert server.execute("OBJECT", "FREQ", "k") == 100


def test_events_of_restore(server: Server) -> None:
    server.execute("CONFIG", "SET", "notify-keyspace-events", "KEA")
    listener = server.raw()
    listener.execute("SUBSCRIBE", "__keyspace@0__:k")
    executor = server.raw()
    dump = payload(b"\0\1x")
    executor.execute("RESTORE", "k", 0, dump)
    executor.execute("RESTORE", "k", 0, dump, "REPLACE")
    executor.execute("RESTORE", "k", 1, dump, "REPLACE", "ABSTTL")
    heard = [listener.receive()[2] for _ in range(3)]
    assert heard == [b"restore", b"restore", b"del"]


def test_restore_decides_encodings_by_the_limits_in_force(server: Server) -> None:
    server.execute("HSET", "h", "f", "v", "g", "w")
    server.execute("ZADD", "z", 1, "a", 2, "b")
    server.execute("SADD", "t", 1, 2)
    dumps = {key: server.execute("DUMP", key) for key in "hzt"}
    for name in ("hash-max-listpack-entries", "zset-max-listpack-entries"):
        server.execute("CONFIG", "SET", name, 1)
    server.execute("CONFIG", "SET", "set-max-intset-entries", 1)
    for key, dump in dumps.items():
        server.execute("RESTORE", key, 0, dump, "REPLACE")
    found = [server.execute("OBJECT", "ENCODING", key) for key in "hzt"]
    assert found == [b"hashtable", b"skiplist", b"hashtable"]


def test_compression_can_be_switched_off(server: Server, other: Raw) -> None:
    server.execute("SET", "k", LONG)
    assert len(server.execute("DUMP", "k")) < len(LONG)
    server.execute("CONFIG", "SET", "rdbcompression", "no")
    assert server.execute("DUMP", "k") == payload(b"\0\x40\x64" + LONG.encode())


OLDER = {
    "list": (b"\x01\x02\x01a\xc0\x07", ["LRANGE", "k", 0, -1], [b"a", b"7"]),
    "set": (b"\x02\x02\x01a\xc0\x07", ["SISMEMBER", "k", "7"], 1),
    "sorted set with texts": (b"\x03\x02\x01a\x031.5\x01b\xfe", ["ZSCORE", "k", "b"], b"inf"),
    "hash": (b"\x04\x01\x01f\x01v", ["HGETALL", "k"], [b"f", b"v"]),
    "zipmap": (
        b"\x09\x0d\x02\x01f\x01\x00v\x01g\x01\x01w!\xff",
        ["HGETALL", "k"],
        [b"f", b"v", b"g", b"w"],
    ),
    "list as ziplist": (
        b"\x0a\x1c" + struct.pack("<IIH", 28, 22, 5) + b"\x00\x01a\x03\xf8\x02\xfe\x80\x03\xc0"
        + b"\x00\x80\x04\xf0\x00\x00\x80\xff",
        ["LRANGE", "k", 0, -1],
        [b"a", b"7", b"-128", b"-32768", b"-8388608"],
    ),
    "quicklist": (
        b"\x0e\x01\x0f" + struct.pack("<IIH", 15, 10, 1) + b"\x00\x02ab\xff",
        ["LRANGE", "k", 0, -1],
        [b"ab"],
    ),
    "hash as ziplist": (
        b"\x0d\x11" + struct.pack("<IIH", 17, 13, 2) + b"\x00\x01f\x03\x01v\xff",
        ["HGETALL", "k"],
        [b"f", b"v"],
    ),
    "sorted set as ziplist": (
        b"\x0c\x10" + struct.pack("<IIH", 16, 13, 2) + b"\x00\x01m\x03\xf3\xff",
        ["ZSCORE", "k", "m"],
        b"2",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", OLDER)
def test_what_older_versions_wrote(server: Server, name: str) -> None:
    body, question, answer = OLDER[name]
    assert server.execute("RESTORE", "k", 0, payload(body, version=6)) == b"OK"
    assert server.execute(*question) == answer


@pytest.mark.parametrize(
    "body",
    [
        b"\x00",
        b"\x00\x20abc",
        b"\x00\xc4abc",
        b"\x00\x81" + b"\xff" * 8,
        b"\x00\xc3\x03\x40\x64\x00a\xff",
        b"\x01\x00",
        b"\x01\x81" + b"\xff" * 8 + b"\x01a",
        b"\x02\x02\x01a\x01a",
        b"\x04\x02\x01f\x01v\x01f\x01w",
        b"\x05\x01\x01a" + struct.pack("<d", float("nan")),
        b"\x0b\x08" + struct.pack("<II", 2, 0),
        b"\x10\x07\x07\x00\x00\x00\x00\x00\xff",
        b"\x12\x01\x03\x01a",
        b"\x0f\x00\x01\x00\x00",
        b"\x08\x01a",
        b"\x3f\x01a",
    ],
)
def test_what_no_redis_wrote_is_refused(server: Server, body: bytes) -> None:
    # The engine always looks at all of it, Redis when it is told to.
    server.execute("CONFIG", "SET", "sanitize-dump-payload", "yes")
    assert refused(server, "RESTORE", "k", 0, payload(body)) == "ERR Bad data format"
