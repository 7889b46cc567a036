"""HyperLogLogs: both encodings to the byte (GET), limits of the sparse one, and broken strings."""

from __future__ import annotations

from tests.differential.grammar import Group, choice, key_of, many, maybe, seq, word

KEY = key_of("string")
ELEMENT = word(
    "", "a", "b", "c", "7", "eight-by", "a-longer-element-than-the-others",
    *(f"element:{number}" for number in range(60)),
)  # fmt: skip
_HEADER = b"HYLL\x01" + bytes(10)
BROKEN = word(
    "", "HYLL", b"HYLL\x00" + bytes(11), b"HYLL\x02" + bytes(11), _HEADER + b"\x80",
    _HEADER + b"\x80\x7f\xff\x80", _HEADER + b"\x80\x7f\xfe", _HEADER + b"\x80\x7f\xfe\x40",
    _HEADER + b"\x80\x7f\xfd\x81\x83", _HEADER + b"\x00\x7f\xff", b"HYLL\x01",
)  # fmt: skip

COMMANDS = [
    seq("PFADD", KEY, many(ELEMENT, low=0, high=12)),
    seq("PFADD", KEY, many(ELEMENT)),
    seq("PFCOUNT", KEY),
    seq("PFCOUNT", many(KEY)),
    seq("PFMERGE", many(KEY)),
    seq("PFDEBUG", word("DECODE", "ENCODING", "TODENSE", "GETREG", "encoding", "NOPE"), KEY),
]

EXTRA = (
    seq("GET", KEY),
    seq("SET", KEY, BROKEN),
    seq("OBJECT ENCODING", KEY),
    seq("CONFIG SET hll-sparse-max-bytes", word("0", "20", "40", "100", "3000")),
    seq("SETRANGE", KEY, word("15", "16", "17", "100"), choice(word("\x00", "\x7f", "abc"))),
    seq("COPY", KEY, KEY, maybe("REPLACE")),
    seq("EXPIRE", KEY, "1000"),
    seq("DEL", KEY),
)

GROUP = Group("hyperloglogs", COMMANDS, EXTRA)
