"""Strings: all of SET's options, counters, ranges, LCS."""

from __future__ import annotations

from tests.differential.grammar import (
    ANY_KEY,
    COUNT,
    FLOAT,
    INDEX,
    INTEGER,
    MILLISECONDS,
    SECONDS,
    TEXT,
    UNIX_MILLISECONDS,
    UNIX_SECONDS,
    Group,
    choice,
    key_of,
    many,
    options,
    seq,
    word,
)

KEY = key_of("string")
DEADLINE = choice(
    seq("EX", SECONDS), seq("PX", MILLISECONDS), seq("EXAT", UNIX_SECONDS),
    seq("PXAT", UNIX_MILLISECONDS), seq("ex", SECONDS),
)  # fmt: skip
VALUE = choice(TEXT, INTEGER, FLOAT)

COMMANDS = [
    seq("SET", KEY, VALUE),
    seq("SET", KEY, VALUE, options("NX", "XX", "GET", "KEEPTTL", "get", DEADLINE)),
    seq("SET", KEY, VALUE, DEADLINE),
    seq("SETNX", KEY, VALUE),
    seq("SETEX", KEY, SECONDS, VALUE),
    seq("PSETEX", KEY, MILLISECONDS, VALUE),
    seq("GET", KEY),
    seq("GETDEL", KEY),
    seq("GETSET", KEY, VALUE),
    seq("GETEX", KEY, options(DEADLINE, "PERSIST", high=2)),
    seq("MGET", many(KEY)),
    seq("MSET", many(KEY, VALUE)),
    seq("MSETNX", many(KEY, VALUE, high=2)),
    seq("INCR", KEY),
    seq("DECR", KEY),
    seq("INCRBY", KEY, INTEGER),
    seq("DECRBY", KEY, INTEGER),
    seq("INCRBYFLOAT", KEY, FLOAT),
    seq("INCRBYFLOAT", KEY, INTEGER),
    seq("APPEND", KEY, TEXT),
    seq("STRLEN", KEY),
    seq("GETRANGE", KEY, INDEX, INDEX),
    seq("SUBSTR", KEY, INDEX, INDEX),
    seq("SETRANGE", KEY, INDEX, TEXT),
    seq("LCS", KEY, KEY, options("LEN", "IDX", "WITHMATCHLEN", seq("MINMATCHLEN", COUNT))),
]

EXTRA = (
    seq("OBJECT ENCODING", KEY),
    seq("TTL", KEY),
    seq("PEXPIRETIME", KEY),
    seq("DEL", KEY),
    seq("RENAME", KEY, KEY),
    seq("COPY", ANY_KEY, KEY, "REPLACE"),
    seq("EXPIRE", KEY, SECONDS),
    seq("CONFIG SET proto-max-bulk-len", word("1048576")),
)

GROUP = Group("strings", COMMANDS, EXTRA)
