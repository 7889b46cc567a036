"""The commands on bits, replies and error texts to the letter, on both servers."""

from __future__ import annotations

from typing import Any

import pytest

from tests.contract.conftest import Server
from tests.raw import Argument, ReplyError

BIT_OFFSET = "ERR bit offset is not an integer or out of range"
BAD_TYPE = (
    "ERR Invalid bitfield type. Use something like i16 u8. Note that u64 is not supported but i64 "
    "is."
)


def refused(server: Server, *args: Argument) -> str:
    with pytest.raises(ReplyError) as caught:
        server.execute(*args)
    return str(caught.value)


def test_setbit_getbit(server: Server) -> None:
    assert server.execute("SETBIT", "key", 7, 1) == 0
    assert server.execute("SETBIT", "key", 7, 0) == 1
    assert server.execute("SETBIT", "key", 17, 1) == 0
    assert server.execute("GET", "key") == b"\x00\x00\x40"
    assert server.execute("GETBIT", "key", 17) == 1
    assert server.execute("GETBIT", "key", 1000) == 0
    assert server.execute("GETBIT", "missing", 0) == 0
    server.execute("SET", "n", 1)
    server.execute("INCR", "n")
    assert [server.execute("GETBIT", "n", at) for at in range(8)] == [0, 0, 1, 1, 0, 0, 1, 0]


@pytest.mark.parametrize("offset", ["-1", "x", "", "4294967296", "9223372036854775808"])
def test_offsets_are_bounded(server: Server, offset: str) -> None:
    assert refused(server, "SETBIT", "key", offset, 1) == BIT_OFFSET
    assert refused(server, "GETBIT", "key", offset) == BIT_OFFSET
    assert refused(server, "BITFIELD", "key", "GET", "u8", offset) == BIT_OFFSET
    assert server.execute("EXISTS", "key") == 0


@pytest.mark.parametrize("bit", ["2", "-1", "x", ""])
def test_a_bit_is_0_or_1(server: Server, bit: str) -> None:
    assert refused(server, "SETBIT", "key", 0, bit) == "ERR bit is not an integer or out of range"


@pytest.mark.parametrize(
    ("bounds", "count"),
    [
        ([], 26),
        ([0, 0], 4),
        ([1, 1], 6),
        ([-2, -1], 7),
        ([0, -1, "BYTE"], 26),
        ([5, 30, "BIT"], 17),
        ([0, 0, "bit"], 0),
        ([-8, -1, "BIT"], 4),
        ([3, 1], 0),
        ([-1, -3], 0),
        ([100, 200], 0),
    ],
)
def test_bitcount(server: Server, bounds: list[Argument], count: int) -> None:
    server.execute("SET", "key", "foobar")
    assert server.execute("BITCOUNT", "key", *bounds) == count
    assert server.execute("BITCOUNT", "missing", *bounds) == 0


def test_bitcount_refusals(server: Server) -> None:
    server.execute("SET", "key", "foobar")
    assert refused(server, "BITCOUNT", "key", 1) == "ERR syntax error"
    assert refused(server, "BITCOUNT", "key", 1, 2, "BITS") == "ERR syntax error"
    assert refused(server, "BITCOUNT", "key", 1, 2, "BIT", 3) == "ERR syntax error"
    assert refused(server, "BITCOUNT", "key", "a", 2) == (
        "ERR value is not an integer or out of range"
    )


@pytest.mark.parametrize(
    ("value", "arguments", "position"),
    [
        (b"\xff\xf0\x00", [0], 12),
        (b"\x00\xff\xf0", [1, 0], 8),
        (b"\x00\xff\xf0", [1, 2], 16),
        (b"\x00\xff\xf0", [1, -1], 16),
        (b"\x00\xff\xf0", [1, 7, 15, "BIT"], 8),
        (b"\x00\xff\xf0", [1, 1, 1, "BYTE"], 8),
        (b"\xff\xff", [0], 16),
        (b"\xff\xff", [0, 1], 16),
        (b"\xff\xff", [0, 0, -1], -1),
        (b"\x00\x00", [1], -1),
        (b"\x00\x00", [0, 3], -1),
        (b"", [0], -1),
        (b"\xff", [0, 5, 2], -1),
    ],
)
def test_bitpos(server: Server, value: bytes, arguments: list[Argument], position: int) -> None:
    server.execute("SET", "key", value)
    assert server.execute("BITPOS", "key", *arguments) == position


def test_bitpos_of_a_missing_key_and_of_no_bit(server: Server) -> None:
    assert server.execute("BITPOS", "missing", 0) == 0
    assert server.execute("BITPOS", "missing", 1) == -1
    assert refused(server, "BITPOS", "key", 2) == "ERR The bit argument must be 1 or 0."


@pytest.mark.parametrize(
    ("operation", "result"),
    [
        (["AND", "to", "a", "b"], b"`bc`ab\x00"),
        (["or", "to", "a", "b"], b"goofev!"),
        (["XOR", "to", "a", "b"], b"\x07\r\x0c\x06\x04\x14!"),
        (["NOT", "to", "a"], bytes(byte ^ 255 for byte in b"foobar")),
        (["OR", "to", "a", "missing"], b"foobar"),
        (["AND", "to", "a", "missing"], bytes(6)),
    ],
)
def test_bitop(server: Server, operation: list[Argument], result: bytes) -> None:
    server.execute("MSET", "a", "foobar", "b", "abcdef!")
    assert server.execute("BITOP", *operation) == len(result)
    assert server.execute("GET", "to") == result


def test_bitop_of_nothing_deletes(server: Server) -> None:
    server.execute("RPUSH", "to", "a")
    assert server.execute("BITOP", "AND", "to", "missing") == 0
    assert server.execute("EXISTS", "to") == 0
    assert refused(server, "BITOP", "NOT", "to", "a", "b") == (
        "ERR BITOP NOT must be called with a single source key."
    )
    assert refused(server, "BITOP", "NAND", "to", "a") == "ERR syntax error"


def test_bitfield_reads_and_writes(server: Server) -> None:
    assert server.execute("BITFIELD", "key") == []
    assert server.execute("BITFIELD", "key", "GET", "u8", 0) == [0]
    assert server.execute("EXISTS", "key") == 0
    fields = ["SET", "u8", 0, 200, "GET", "i8", 0, "INCRBY", "i5", 100, 1, "GET", "u4", "#1"]
    assert server.execute("BITFIELD", "key", *fields) == [0, -56, 1, 8]
    assert server.execute("STRLEN", "key") == 14
    assert server.execute("BITFIELD", "key", "SET", "i64", "#2", -(2**63)) == [0]
    assert server.execute("BITFIELD_RO", "key", "GET", "i64", "#2", "GET", "u63", 129) == [
        -(2**63),
        0,
    ]


@pytest.mark.parametrize(
    ("overflow", "kind", "start", "amount", "expected"),
    [
        ("WRAP", "u8", 250, 10, 4),
        ("SAT", "u8", 250, 10, 255),
        ("FAIL", "u8", 250, 10, None),
        ("wrap", "u8", 5, -10, 251),
        ("SAT", "u8", 5, -10, 0),
        ("WRAP", "i8", 127, 1, -128),
        ("SAT", "i8", 127, 1, 127),
        ("SAT", "i8", -128, -1, -128),
        ("FAIL", "i8", -128, -1, None),
        ("WRAP", "i64", 2**63 - 1, 1, -(2**63)),
        ("SAT", "i64", 2**63 - 1, 2**63 - 1, 2**63 - 1),
        ("WRAP", "u63", 2**63 - 1, 2, 1),
    ],
)
def test_bitfield_overflow(
    server: Server, overflow: str, kind: str, start: int, amount: int, expected: Any
) -> None:
    server.execute("BITFIELD", "key", "SET", kind, 3, start)
    step = ["OVERFLOW", overflow, "INCRBY", kind, 3, amount, "GET", kind, 3]
    stored = start if expected is None else expected
    assert server.execute("BITFIELD", "key", *step) == [expected, stored]


def test_bitfield_set_beyond_its_type(server: Server) -> None:
    steps: list[Argument] = []
    for overflow, number in (("WRAP", 257), ("SAT", 300), ("SAT", -1), ("FAIL", 256)):
        steps += ["OVERFLOW", overflow, "SET", "u8", 0, number]
    assert server.execute("BITFIELD", "key", *steps) == [0, 1, 255, None]
    assert server.execute("BITFIELD", "key", "GET", "u8", 0) == [255]


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["GET", "u64", 0], BAD_TYPE),
        (["GET", "i65", 0], BAD_TYPE),
        (["GET", "u0", 0], BAD_TYPE),
        (["GET", "x8", 0], BAD_TYPE),
        (["GET", "u8", "#x"], BIT_OFFSET),
        (["GET", "u8"], "ERR syntax error"),
        (["NOPE", "u8", 0], "ERR syntax error"),
        (["SET", "u8", 0, "x"], "ERR value is not an integer or out of range"),
        (["OVERFLOW", "NOPE"], "ERR Invalid OVERFLOW type specified"),
    ],
)
def test_bitfield_refusals(server: Server, arguments: list[Argument], text: str) -> None:
    assert refused(server, "BITFIELD", "key", *arguments) == text


def test_bitfield_ro_only_reads(server: Server) -> None:
    assert refused(server, "BITFIELD_RO", "key", "SET", "u8", 0, 1) == (
        "ERR BITFIELD_RO only supports the GET subcommand"
    )
    assert server.execute("BITFIELD_RO", "key", "OVERFLOW", "SAT", "GET", "u8", 0) == [0]


@pytest.mark.parametrize(
    "command",
    [
        ("SETBIT", "list", 0, 1),
        ("GETBIT", "list", 0),
        ("BITCOUNT", "list"),
        ("BITPOS", "list", 0),
        ("BITOP", "AND", "to", "list"),
        ("BITFIELD", "list", "GET", "u8", 0),
        ("BITFIELD", "list", "SET", "u8", 0, 1),
        ("BITFIELD_RO", "list"),
    ],
)
def test_other_types_are_refused(server: Server, command: tuple[Argument, ...]) -> None:
    server.execute("RPUSH", "list", "a")
    assert refused(server, *command).startswith("WRONGTYPE ")
