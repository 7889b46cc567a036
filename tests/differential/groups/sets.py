"""Sets, across the border between intset and hash table."""

from __future__ import annotations

from tests.differential.grammar import (
    COUNT,
    MEMBER,
    PATTERN,
    PICKS,
    Group,
    choice,
    key_of,
    many,
    maybe,
    numbered,
    options,
    seq,
    word,
)

KEY = key_of("set")
NUMBER = word("1", "2", "3", "4", "5", "6", "7", "-1", "100", "9223372036854775807")
ELEMENT = choice(MEMBER, NUMBER, NUMBER)
CURSOR = word(*["0"] * 12, "1", "x", "-1", "")

COMMANDS = [
    seq("SADD", KEY, many(ELEMENT)),
    seq("SADD", KEY, many(NUMBER, high=6)),
    seq("SREM", KEY, many(ELEMENT)),
    seq("SCARD", KEY),
    seq("SISMEMBER", KEY, ELEMENT),
    seq("SMISMEMBER", KEY, many(ELEMENT)),
    seq("SMEMBERS", KEY),
    seq("SMOVE", KEY, KEY, ELEMENT),
    seq("SPOP", KEY, maybe(COUNT)),
    seq("SRANDMEMBER", KEY, maybe(PICKS)),
    seq("SUNION", many(KEY)),
    seq("SINTER", many(KEY)),
    seq("SDIFF", many(KEY)),
    seq("SUNIONSTORE", KEY, many(KEY)),
    seq("SINTERSTORE", KEY, many(KEY)),
    seq("SDIFFSTORE", KEY, many(KEY)),
    seq("SINTERCARD", numbered(KEY), options(seq("LIMIT", COUNT), high=2)),
    seq("SSCAN", KEY, CURSOR, options(seq("MATCH", PATTERN), seq("COUNT", COUNT))),
]

EXTRA = (
    seq("OBJECT ENCODING", KEY),
    seq("EXPIRE", KEY, "1000"),
    seq("DEL", KEY),
    seq("COPY", KEY, KEY, maybe("REPLACE")),
    seq("RENAME", KEY, KEY),
    seq("DEBUG DIGEST-VALUE", KEY),
    seq("DEBUG DIGEST"),
)

GROUP = Group("sets", COMMANDS, EXTRA)
