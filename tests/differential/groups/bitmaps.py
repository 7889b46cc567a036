"""Bitmaps: bits, counts, BITOP and every type and overflow of BITFIELD."""

from __future__ import annotations

from tests.differential.grammar import (
    INDEX,
    INTEGER,
    TEXT,
    Group,
    choice,
    key_of,
    many,
    maybe,
    options,
    seq,
    word,
)

KEY = key_of("string")
OFFSET = word(
    *["0", "1", "5", "7", "8", "15", "33", "63", "64", "100", "1000"] * 2,
    "-1", "4294967296", "9223372036854775807", "x", "", "01",
)  # fmt: skip
FIELD_OFFSET = choice(OFFSET, word("#0", "#1", "#3", "#10", "#-1", "#", "#x", "##1"))
UNIT = word("BIT", "BYTE", "bit", "byte", "BITS")
TYPE = word(
    "u1", "u2", "u4", "u7", "u8", "u15", "u16", "u31", "u32", "u63",
    "i1", "i2", "i5", "i8", "i9", "i16", "i31", "i32", "i63", "i64",
    "u64", "i65", "u0", "i0", "x8", "u", "I8", "U8", "u-1", "u08", "",
)  # fmt: skip
NUMBER = choice(INTEGER, word("1", "-1", "127", "128", "255", "256", "-128", "-129", "65535"))
FIELDS = options(
    seq("GET", TYPE, FIELD_OFFSET),
    seq("SET", TYPE, FIELD_OFFSET, NUMBER),
    seq("INCRBY", TYPE, FIELD_OFFSET, NUMBER),
    seq("incrby", TYPE, FIELD_OFFSET, NUMBER),
    seq("OVERFLOW", word("WRAP", "SAT", "FAIL", "sat", "NONE")),
    high=5,
)

COMMANDS = [
    seq("SETBIT", KEY, OFFSET, word(*["0", "1"] * 4, "2", "-1", "x")),
    seq("SETBIT", KEY, OFFSET, "1"),
    seq("GETBIT", KEY, OFFSET),
    seq("BITCOUNT", KEY),
    seq("BITCOUNT", KEY, INDEX, INDEX, maybe(UNIT)),
    seq("BITPOS", KEY, word("0", "1", "0", "1", "2", "x")),
    seq("BITPOS", KEY, word("0", "1"), INDEX, maybe(INDEX, maybe(UNIT))),
    seq("BITOP", word("AND", "OR", "XOR", "and", "NAND"), KEY, many(KEY)),
    seq("BITOP NOT", KEY, many(KEY, high=2)),
    seq("BITFIELD", KEY, FIELDS),
    seq("BITFIELD", KEY, FIELDS),
    seq("BITFIELD_RO", KEY, many(choice(seq("GET", TYPE, FIELD_OFFSET)), low=0)),
    seq("BITFIELD_RO", KEY, FIELDS),
]

EXTRA = (
    seq("SET", KEY, TEXT),
    seq("SET", KEY, word("\xff\xff", "\x00\x00", "12", "-7")),
    seq("INCR", KEY),
    seq("OBJECT ENCODING", KEY),
    seq("EXPIRE", KEY, "1000"),
    seq("DEL", KEY),
)

GROUP = Group("bitmaps", COMMANDS, EXTRA)
