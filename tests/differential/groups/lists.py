"""Lists, without those commands that wait."""

from __future__ import annotations

from tests.differential.grammar import (
    COUNT,
    INDEX,
    INTEGER,
    MEMBER,
    TEXT,
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

KEY = key_of("list")
ELEMENT = choice(MEMBER, MEMBER, TEXT)
# Not the lowest of all: 7.0 negates it, overflows, and ignores COUNT.
RANK = word("1", "2", "3", "-1", "-2", "-3", "0", "x", "9223372036854775807", "-100")
END = word(*["LEFT", "RIGHT"] * 4, "left", "right", "UP")

COMMANDS = [
    seq("LPUSH", KEY, many(ELEMENT)),
    seq("RPUSH", KEY, many(ELEMENT)),
    seq("LPUSHX", KEY, many(ELEMENT)),
    seq("RPUSHX", KEY, many(ELEMENT)),
    seq("LPOP", KEY, maybe(COUNT)),
    seq("RPOP", KEY, maybe(COUNT)),
    seq("LLEN", KEY),
    seq("LINDEX", KEY, INDEX),
    seq("LSET", KEY, INDEX, ELEMENT),
    seq("LINSERT", KEY, word("BEFORE", "AFTER", "before", "NEAR"), ELEMENT, ELEMENT),
    seq("LRANGE", KEY, INDEX, INDEX),
    seq("LTRIM", KEY, INDEX, INDEX),
    seq("LREM", KEY, choice(INDEX, INTEGER), ELEMENT),
    seq("LPOS", KEY, ELEMENT),
    seq(
        "LPOS", KEY, ELEMENT,
        options(seq("RANK", RANK), seq("COUNT", COUNT), seq("MAXLEN", COUNT)),
    ),
    seq("LMOVE", KEY, KEY, END, END),
    seq("RPOPLPUSH", KEY, KEY),
    seq("LMPOP", numbered(KEY), END, options(seq("COUNT", COUNT), high=2)),
]  # fmt: skip

EXTRA = (
    seq("OBJECT ENCODING", KEY),
    seq("EXPIRE", KEY, "1000"),
    seq("PEXPIRETIME", KEY),
    seq("DEL", KEY),
    seq("RENAME", KEY, KEY),
    seq("COPY", KEY, KEY),
    seq("SORT", KEY, "ALPHA", maybe("STORE", KEY)),
)

GROUP = Group("lists", COMMANDS, EXTRA)
