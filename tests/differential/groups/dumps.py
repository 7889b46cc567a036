"""DUMP and RESTORE: payloads of every type, good ones, older ones, and some that are none.

DUMP's replies are only compared by kind, since lists and hash tables may be written in several
ways; what is in them, the harness compares by restoring them on the other side.
"""

from __future__ import annotations

import struct

from cacheapp.engine.persistence.payloads import seal
from tests.differential.grammar import ANY_KEY, MEMBER, TEXT, Group, choice, options, seq, word

KEY = ANY_KEY
BODIES = [
    b"\x00\x05hello",
    b"\x00\xc0\x0a",
    b"\x00\x0212",
    b"\x00\xc3\x08\x40\x64\x01aa\xe0\x59\x00\x01aa",
    b"\x01\x02\x01a\xc0\x07",
    b"\x02\x02\x01a\x01b",
    b"\x02\x02\xc0\x05\xc1\x00\x02",
    b"\x03\x02\x01a\x031.5\x01b\xfe",
    b"\x04\x02\x01f\x01v\x01g\xc0\x01",
    b"\x05\x02\x01b" + struct.pack("<d", 2.5) + b"\x01a" + struct.pack("<d", -0.0),
    b"\x09\x08\x01\x01f\x01\x00v\xff",
    b"\x0a\x0e\x0e\x00\x00\x00\x0a\x00\x00\x00\x01\x00\x00\x01a\xff",
    b"\x0b\x0c" + struct.pack("<IIhh", 2, 2, -1, 5),
    b"\x13" + bytes(10),
    b"\x10\x0d\x0d\x00\x00\x00\x02\x00\x81f\x02\x81v\x02\xff",
    b"\x11\x0c\x0c\x00\x00\x00\x02\x00\x81m\x02\x05\x01\xff",
    b"\x12\x02\x01\x01p\x02\x0a\x0a\x00\x00\x00\x01\x00\x81a\x02\xff",
    # None of these is one.
    b"\x00",
    b"\x00\xc4abc",
    b"\x01\x00",
    b"\x0b\x08" + struct.pack("<II", 2, 0),
    b"\x08\x01a",
    b"\x40",
]
PAYLOAD = word(*map(seal, BODIES), "rubbish", "", b"\0" * 10, seal(b"\0\1x", 99), seal(b"\0\1x", 1))
TTL = word(*["0"] * 6, "100000", "1000000", "-1", "x", "9223372036854775807", "")
OPTIONS = options(
    "REPLACE", "REPLACE", "replace", "ABSTTL", seq("IDLETIME", word("0", "100", "-1", "x")),
    seq("FREQ", word("0", "100", "255", "256", "x")), "NOPE",
)  # fmt: skip

COMMANDS = [
    seq("DUMP", KEY),
    seq("RESTORE", KEY, TTL, PAYLOAD, OPTIONS),
    seq("RESTORE", KEY, TTL, PAYLOAD, "REPLACE"),
    seq("RESTORE", KEY, "4102444800000", PAYLOAD, "REPLACE ABSTTL"),
    seq("RESTORE-ASKING", KEY, TTL, PAYLOAD, OPTIONS),
]

EXTRA = (
    seq("DEL", KEY),
    seq("RPUSH", KEY, TEXT),
    seq("SADD", KEY, MEMBER),
    seq("ZADD", KEY, "1", MEMBER),
    seq("HSET", KEY, MEMBER, TEXT),
    seq("XADD", KEY, "1-9", MEMBER, TEXT),
    seq("OBJECT", choice("ENCODING", "IDLETIME", "FREQ"), KEY),
)

GROUP = Group("dumps", COMMANDS, EXTRA)
