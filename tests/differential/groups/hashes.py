"""Hashes, across the border between listpack and hash table."""

from __future__ import annotations

from tests.differential.grammar import (
    COUNT,
    FLOAT,
    INTEGER,
    MEMBER,
    PATTERN,
    PICKS,
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

KEY = key_of("hash")
FIELD = MEMBER
VALUE = choice(TEXT, INTEGER, FLOAT)
CURSOR = word(*["0"] * 12, "1", "x", "-1", "")

COMMANDS = [
    seq("HSET", KEY, many(FIELD, VALUE)),
    seq("HSET", KEY, many(FIELD, VALUE, high=8)),
    seq("HMSET", KEY, many(FIELD, VALUE)),
    seq("HSETNX", KEY, FIELD, VALUE),
    seq("HGET", KEY, FIELD),
    seq("HMGET", KEY, many(FIELD)),
    seq("HGETALL", KEY),
    seq("HKEYS", KEY),
    seq("HVALS", KEY),
    seq("HLEN", KEY),
    seq("HSTRLEN", KEY, FIELD),
    seq("HEXISTS", KEY, FIELD),
    seq("HDEL", KEY, many(FIELD)),
    seq("HINCRBY", KEY, FIELD, INTEGER),
    seq("HINCRBYFLOAT", KEY, FIELD, FLOAT),
    seq("HRANDFIELD", KEY),
    seq("HRANDFIELD", KEY, PICKS, maybe(word("WITHVALUES", "withvalues", "WITH"))),
    seq(
        "HSCAN", KEY, CURSOR, options(seq("MATCH", PATTERN), seq("COUNT", COUNT)),
    ),
]  # fmt: skip

EXTRA = (
    seq("OBJECT ENCODING", KEY),
    seq("EXPIRE", KEY, "1000"),
    seq("DEL", KEY),
    seq("COPY", KEY, KEY, maybe("REPLACE")),
    seq("RENAME", KEY, KEY),
    seq("DEBUG DIGEST-VALUE", KEY),
    seq("DEBUG DIGEST"),
)

GROUP = Group("hashes", COMMANDS, EXTRA)
