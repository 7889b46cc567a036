"""The commands on strings, replies and error texts to the letter, on both servers."""

from __future__ import annotations

import time
from typing import Any

import pytest

from tests.contract.conftest import Server
from tests.raw import Argument, ReplyError

WRONG_TYPE = "WRONGTYPE Operation against a key holding the wrong kind of value"
NOT_AN_INTEGER = "ERR value is not an integer or out of range"
SYNTAX = "ERR syntax error"
FUTURE = 4_102_444_800  # 2100-01-01


def refused(server: Server, *args: Argument) -> str:
    with pytest.raises(ReplyError) as caught:
        server.execute(*args)
    return str(caught.value)


def encoding(server: Server, key: str) -> bytes:
    word: bytes = server.execute("OBJECT", "ENCODING", key)
    return word


def test_set_and_get(server: Server) -> None:
    assert server.execute("GET", "key") is None
    assert server.execute("SET", "key", b"\x00\r\nvalue") == b"OK"
    assert server.execute("GET", "key") == b"\x00\r\nvalue"
    assert server.execute("STRLEN", "key") == 8
    assert server.execute("STRLEN", "missing") == 0


def test_set_replaces_any_type_and_drops_the_deadline(server: Server) -> None:
    server.execute("RPUSH", "key", "a")
    server.execute("EXPIRE", "key", 100)
    assert server.execute("SET", "key", "v") == b"OK"
    assert server.execute("TTL", "key") == -1
    assert server.execute("TYPE", "key") == b"string"


@pytest.mark.parametrize(
    ("options", "reply", "value"),
    [
        (["NX"], None, b"old"),
        (["XX"], b"OK", b"new"),
        (["GET"], b"old", b"new"),
        (["NX", "GET"], b"old", b"old"),
        (["get", "xx"], b"old", b"new"),
        (["KEEPTTL"], b"OK", b"new"),
    ],
)
def test_set_options_on_a_key_that_is_there(
    server: Server, options: list[str], reply: Any, value: bytes
) -> None:
    server.execute("SET", "key", "old")
    assert server.execute("SET", "key", "new", *options) == reply
    assert server.execute("GET", "key") == value


@pytest.mark.parametrize(
    ("options", "reply", "value"),
    [(["NX"], b"OK", b"new"), (["XX"], None, None), (["GET"], None, b"new")],
)
def test_set_options_on_a_missing_key(
    server: Server, options: list[str], reply: Any, value: bytes | None
) -> None:
    assert server.execute("SET", "key", "new", *options) == reply
    assert server.execute("GET", "key") == value


def test_set_deadlines(server: Server) -> None:
    server.execute("SET", "key", "v", "EX", 100)
    assert server.execute("TTL", "key") == 100
    server.execute("SET", "key", "w", "KEEPTTL")
    assert server.execute("TTL", "key") == 100
    server.execute("SET", "key", "v", "PX", 100_500)
    assert 100_000 < server.execute("PTTL", "key") <= 100_500
    server.execute("SET", "key", "v", "EXAT", FUTURE)
    assert server.execute("EXPIRETIME", "key") == FUTURE
    server.execute("SET", "key", "v", "PXAT", FUTURE * 1000 + 7)
    assert server.execute("PEXPIRETIME", "key") == FUTURE * 1000 + 7
    assert server.execute("SET", "key", "v", "PXAT", 1) == b"OK"
    assert server.execute("EXISTS", "key") == 0


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (["EX"], SYNTAX),
        (["EX", "x"], NOT_AN_INTEGER),
        (["EX", 0], "ERR invalid expire time in 'set' command"),
        (["PX", -1], "ERR invalid expire time in 'set' command"),
        (["EX", 2**63 - 1], "ERR invalid expire time in 'set' command"),
        (["PX", 2**63 - 1], "ERR invalid expire time in 'set' command"),
        (["NX", "XX"], SYNTAX),
        (["EX", 1, "PX", 1], SYNTAX),
        (["EX", 1, "KEEPTTL"], SYNTAX),
        (["KEEPTTL", "EX", 1], SYNTAX),
        (["PERSIST"], SYNTAX),
        (["NOPE"], SYNTAX),
    ],
)
def test_set_refusals(server: Server, options: list[Argument], text: str) -> None:
    assert refused(server, "SET", "key", "v", *options) == text
    assert server.execute("EXISTS", "key") == 0


def test_the_same_deadline_option_twice_counts_the_last(server: Server) -> None:
    assert server.execute("SET", "key", "v", "EX", 100, "EX", 200) == b"OK"
    assert server.execute("TTL", "key") == 200


def test_set_get_of_another_type(server: Server) -> None:
    server.execute("RPUSH", "key", "a")
    assert refused(server, "SET", "key", "v", "GET") == WRONG_TYPE
    assert server.execute("TYPE", "key") == b"list"


def test_setex_psetex_setnx(server: Server) -> None:
    assert server.execute("SETEX", "key", 100, "v") == b"OK"
    assert server.execute("TTL", "key") == 100
    assert server.execute("PSETEX", "key", 5000, "v") == b"OK"
    assert server.execute("TTL", "key") == 5
    assert server.execute("SETNX", "key", "w") == 0
    assert server.execute("SETNX", "other", "w") == 1
    assert refused(server, "SETEX", "key", 0, "v") == "ERR invalid expire time in 'setex' command"
    assert (
        refused(server, "PSETEX", "key", -1, "v") == "ERR invalid expire time in 'psetex' command"
    )


def test_getset_getdel(server: Server) -> None:
    assert server.execute("GETSET", "key", "a") is None
    server.execute("EXPIRE", "key", 100)
    assert server.execute("GETSET", "key", "b") == b"a"
    assert server.execute("TTL", "key") == -1
    assert server.execute("GETDEL", "key") == b"b"
    assert server.execute("GETDEL", "key") is None
    server.execute("RPUSH", "list", "a")
    assert refused(server, "GETDEL", "list") == WRONG_TYPE
    assert refused(server, "GETSET", "list", "a") == WRONG_TYPE


def test_getex(server: Server) -> None:
    assert server.execute("GETEX", "missing", "EX", "not looked at") is None
    server.execute("SET", "key", "v")
    assert server.execute("GETEX", "key") == b"v"
    assert server.execute("TTL", "key") == -1
    assert server.execute("GETEX", "key", "EX", 100) == b"v"
    assert server.execute("TTL", "key") == 100
    assert server.execute("GETEX", "key", "persist") == b"v"
    assert server.execute("TTL", "key") == -1
    assert server.execute("GETEX", "key", "PXAT", FUTURE * 1000) == b"v"
    assert server.execute("PEXPIRETIME", "key") == FUTURE * 1000
    assert refused(server, "GETEX", "key", "EX", 0) == "ERR invalid expire time in 'getex' command"
    assert refused(server, "GETEX", "key", "PERSIST", "EX", 1) == SYNTAX
    assert refused(server, "GETEX", "key", "KEEPTTL") == SYNTAX
    assert server.execute("GETEX", "key", "EXAT", 1) == b"v"
    assert server.execute("EXISTS", "key") == 0


def test_mget_mset_msetnx(server: Server) -> None:
    assert server.execute("MSET", "a", 1, "b", 2, "a", 3) == b"OK"
    server.execute("RPUSH", "list", "x")
    server.execute("INCR", "b")
    assert server.execute("MGET", "a", "missing", "list", "b") == [b"3", None, None, b"3"]
    assert server.execute("MSETNX", "a", 9, "c", 9) == 0
    assert server.execute("EXISTS", "c") == 0
    assert server.execute("MSETNX", "c", 9, "d", 9) == 1
    assert (
        refused(server, "MSET", "a", 1, "b") == "ERR wrong number of arguments for 'mset' command"
    )
    assert (
        refused(server, "MSETNX", "a", 1, "b")
        == "ERR wrong number of arguments for 'msetnx' command"
    )


def test_counters(server: Server) -> None:
    assert server.execute("INCR", "n") == 1
    assert server.execute("INCRBY", "n", 41) == 42
    assert server.execute("DECR", "n") == 41
    assert server.execute("DECRBY", "n", -9) == 50
    assert server.execute("GET", "n") == b"50"
    assert server.execute("APPEND", "n", "0") == 3
    assert server.execute("INCR", "n") == 501
    server.execute("EXPIRE", "n", 100)
    server.execute("INCR", "n")
    assert server.execute("TTL", "n") == 100


@pytest.mark.parametrize("value", ["", "a", "1.0", " 1", "01", "+1", "9223372036854775808"])
def test_what_is_no_counter(server: Server, value: str) -> None:
    server.execute("SET", "n", value)
    assert refused(server, "INCR", "n") == NOT_AN_INTEGER
    assert refused(server, "INCRBY", "n", value) == NOT_AN_INTEGER


def test_counters_end_at_64_bits(server: Server) -> None:
    server.execute("SET", "n", 2**63 - 1)
    assert refused(server, "INCR", "n") == "ERR increment or decrement would overflow"
    assert server.execute("GET", "n") == b"9223372036854775807"
    assert refused(server, "DECRBY", "n", -(2**63)) == "ERR decrement would overflow"
    assert server.execute("DECRBY", "n", 2**63 - 1) == 0


@pytest.mark.parametrize(
    ("start", "amount", "expected"),
    [
        ("10.50", "0.1", b"10.6"),
        ("5.0e3", "2.0e2", b"5200"),
        ("0", "1e-17", b"0.00000000000000001"),
        ("0", "1e-18", b"0"),
        ("3", "-3.0", b"0"),
        ("0.1", "0.2", b"0.3"),
        ("1", "0x1p-2", b"1.25"),
        ("9007199254740993", "1", b"9007199254740994"),
        ("18446744073709551615", "1", b"18446744073709551616"),
        ("1e20", "1", b"100000000000000000000"),
        ("-0.5", "0.25", b"-0.25"),
        ("1.7", "3.3333333333333333333", b"5.03333333333333333"),
    ],
)
def test_incrbyfloat(server: Server, start: str, amount: str, expected: bytes) -> None:
    server.execute("SET", "n", start)
    assert server.execute("INCRBYFLOAT", "n", amount) == expected
    assert server.execute("GET", "n") == expected


def test_incrbyfloat_refusals(server: Server) -> None:
    server.execute("SET", "text", "a")
    server.execute("SET", "n", "1")
    for amount in ("a", "", " 1", "1 ", "nan", "1e5000", "1e-5000", "0x"):
        assert refused(server, "INCRBYFLOAT", "n", amount) == "ERR value is not a valid float"
    assert refused(server, "INCRBYFLOAT", "text", 1) == "ERR value is not a valid float"
    for amount in ("inf", "-INFINITY"):
        assert (
            refused(server, "INCRBYFLOAT", "n", amount)
            == "ERR increment would produce NaN or Infinity"
        )
    server.execute("SET", "n", "1e4932")
    assert (
        refused(server, "INCRBYFLOAT", "n", "1e4932")
        == "ERR increment would produce NaN or Infinity"
    )


def test_append_and_ranges(server: Server) -> None:
    assert server.execute("APPEND", "key", "Hello") == 5
    assert server.execute("APPEND", "key", " World") == 11
    assert server.execute("SETRANGE", "key", 6, "Redis") == 11
    assert server.execute("GET", "key") == b"Hello Redis"
    for name in ("GETRANGE", "SUBSTR"):
        assert server.execute(name, "key", 0, 4) == b"Hello"
        assert server.execute(name, "key", -5, -1) == b"Redis"
        assert server.execute(name, "key", -100, 100) == b"Hello Redis"
        assert server.execute(name, "key", 5, 3) == b""
        assert server.execute(name, "key", -1, -5) == b""
        assert server.execute(name, "missing", 0, -1) == b""
    assert server.execute("SETRANGE", "padded", 3, "x") == 4
    assert server.execute("GET", "padded") == b"\0\0\0x"
    assert server.execute("SETRANGE", "missing", 100, "") == 0
    assert server.execute("EXISTS", "missing") == 0


def test_ranges_of_a_counter(server: Server) -> None:
    server.execute("INCRBY", "n", 12345)
    assert server.execute("GETRANGE", "n", 1, 2) == b"23"
    assert server.execute("STRLEN", "n") == 5
    assert server.execute("SETRANGE", "n", 1, "x") == 5
    assert server.execute("GET", "n") == b"1x345"


def test_strings_have_a_greatest_length(server: Server) -> None:
    too_long = "ERR string exceeds maximum allowed size (proto-max-bulk-len)"
    assert refused(server, "SETRANGE", "key", 2**29, "x") == too_long
    assert refused(server, "SETRANGE", "key", 2**62, "x") == too_long
    assert refused(server, "SETRANGE", "key", -1, "x") == "ERR offset is out of range"
    server.execute("CONFIG", "SET", "proto-max-bulk-len", "1mb")
    server.execute("SETRANGE", "key", 2**20 - 1, "x")
    assert refused(server, "APPEND", "key", "y") == too_long
    assert server.execute("STRLEN", "key") == 2**20


def test_encodings(server: Server) -> None:
    server.execute("MSET", "int", 123, "embstr", "x" * 44, "raw", "x" * 45, "a", "b")
    assert [encoding(server, key) for key in ("int", "embstr", "raw")] == [
        b"int",
        b"embstr",
        b"raw",
    ]
    server.execute("APPEND", "a", "b")
    server.execute("SETRANGE", "s", 0, "b")
    server.execute("SETBIT", "bit", 0, 1)
    server.execute("BITOP", "NOT", "not", "a")
    assert {encoding(server, key) for key in ("a", "s", "bit", "not")} == {b"raw"}
    server.execute("APPEND", "new", "12")
    server.execute("INCR", "counter")
    assert {encoding(server, key) for key in ("new", "counter")} == {b"int"}
    server.execute("INCRBYFLOAT", "float", "3")
    assert encoding(server, "float") == b"embstr"


@pytest.mark.parametrize(
    "command",
    [
        ("GET",),
        ("APPEND", "x"),
        ("STRLEN",),
        ("GETRANGE", 0, 1),
        ("SETRANGE", 0, "x"),
        ("SETRANGE", 0, ""),
        ("INCR",),
        ("INCRBYFLOAT", 1),
        ("GETEX",),
        ("GETBIT", 0),
    ],
)
def test_other_types_are_refused(server: Server, command: tuple[Argument, ...]) -> None:
    server.execute("RPUSH", "list", "a")
    assert refused(server, command[0], "list", *command[1:]) == WRONG_TYPE


@pytest.mark.parametrize("protocol", [2, 3])
def test_lcs(server: Server, protocol: int) -> None:
    raw = server.raw(protocol)
    raw.execute("MSET", "one", "ohmytext", "two", "mynewtext")
    assert raw.execute("LCS", "one", "two") == b"mytext"
    assert raw.execute("LCS", "one", "two", "LEN") == 6
    assert raw.execute("LCS", "one", "missing") == b""
    matches = [[[4, 7], [5, 8]], [[2, 3], [0, 1]]]
    sized = [[[4, 7], [5, 8], 4], [[2, 3], [0, 1], 2]]
    for options, shown in (
        ([], matches),
        (["WITHMATCHLEN"], sized),
        (["MINMATCHLEN", 4], matches[:1]),
        (["MINMATCHLEN", -1, "withmatchlen"], sized),
        (["MINMATCHLEN", 5], []),
    ):
        reply = raw.execute("LCS", "one", "two", "IDX", *options)
        expected: Any = {b"matches": shown, b"len": 6}
        assert reply == (expected if protocol == 3 else [b"matches", shown, b"len", 6])


def test_lcs_refusals(server: Server) -> None:
    server.execute("RPUSH", "list", "a")
    assert refused(server, "LCS", "list", "a") == (
        "ERR The specified keys must contain string values"
    )
    assert refused(server, "LCS", "a", "b", "LEN", "IDX") == (
        "ERR If you want both the length and indexes, please just use IDX."
    )
    assert refused(server, "LCS", "a", "b", "NOPE") == SYNTAX
    assert refused(server, "LCS", "a", "b", "MINMATCHLEN") == SYNTAX
    server.execute("CONFIG", "SET", "proto-max-bulk-len", "1mb")
    server.execute("SETRANGE", "long", 1000, "x")
    assert refused(server, "LCS", "long", "long") == (
        "ERR Insufficient memory, transient memory for LCS exceeds proto-max-bulk-len"
    )


def test_a_short_deadline_ends(server: Server) -> None:
    server.execute("SET", "key", "v", "PX", 20)
    until = time.monotonic() + 5
    while server.execute("GET", "key") is not None:
        assert time.monotonic() < until
    assert server.execute("TTL", "key") == -2
