"""Streams and their groups, without waiting and without ids made from the time."""

from __future__ import annotations

from tests.differential.grammar import (
    COUNT,
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

KEY = key_of("stream")
ID = word(
    *["0-1", "1-1", "1-2", "2-0", "2", "3-3", "4", "5-0", "5-1", "6", "7-7", "9", "12-0"] * 6,
    "0", "0-0", "1-*", "100-0", "18446744073709551615-18446744073709551615",
    "18446744073709551615", "5-18446744073709551615", "-", "+", "$", ">", "*", "x", "1-x", "-1",
    "", "01-01", "1-1-1", "+1", " 1", "1- 2", "1--2", "18446744073709551616", "(1-1",
)  # fmt: skip
# Redis 7.0 does not know the `+` of XREAD, which the engine has from 7.4.
READ_ID = ID.filter(lambda words: words != (b"+",))
NEW_ID = word(
    *["1-*", "2-*", "5-*", "6-*", "7-*", "8-*", "9-*", "20-*", "30-*", "40-*", "6-5", "7-0"] * 6,
    *["10", "11-1", "12", "15-15", "50-*", "60-*", "70-*", "80-*", "90-*", "99-*"] * 6,
    "0-0", "0-*", "1-1", "18446744073709551615-*", "x", "*-1", "-", "+", "-*", "1-**",
    "400-18446744073709551615", "400-*", "1000000000000-0", "70000-*",
)  # fmt: skip
START = choice(ID, word(*["-"] * 4, "(1-1", "(2", "(0", "((1", "(", "(-", "(x"))
END = choice(ID, word(*["+"] * 4, "(5-0", "(2", "(0-0", "(0", "(+", "(", "(x"))
FIELD = choice(word(*["a", "b", "f"] * 4, ""), TEXT)
PAIRS = choice(many(FIELD, TEXT, high=3), seq("a", TEXT), seq("a", TEXT), seq("a", TEXT))
GROUP_NAME = word(*["g"] * 6, "h", "none")
CONSUMER = word(*["c", "d"] * 4, "e", "")
TRIM = choice(
    seq("MAXLEN", maybe(word("~", "=")), COUNT),
    seq("MINID", maybe(word("~", "=")), ID),
    seq("MAXLEN ~", COUNT, "LIMIT", COUNT),
    seq("MINID ~", ID, "LIMIT", COUNT),
    seq("MAXLEN", COUNT),
    seq("LIMIT", COUNT),
)
IDLE = word("0", "0", "0", "100000", "1000000", "-1", "x", "9223372036854775807")
CLAIM = options(
    seq("IDLE", IDLE),
    seq("TIME", word("0", "1000000000000", "-1", "9000000000000", "x")),
    seq("RETRYCOUNT", COUNT),
    "FORCE",
    "JUSTID",
    seq("LASTID", ID),
    "OOPS",
    "idle",
)
IDS = many(ID, high=4)
ONE = word("1", "2", "3")

COMMANDS = [
    seq("XADD", KEY, NEW_ID, PAIRS),
    seq("XADD", KEY, NEW_ID, PAIRS),
    seq("XADD", KEY, NEW_ID, PAIRS),
    seq("XADD", KEY, options("NOMKSTREAM", TRIM), NEW_ID, PAIRS),
    seq("XTRIM", KEY, TRIM, maybe(TRIM)),
    seq("XTRIM", KEY, choice(seq("MAXLEN", COUNT), seq("MINID", ID))),
    seq("XRANGE", KEY, START, END, maybe("COUNT", COUNT)),
    seq("XREVRANGE", KEY, END, START, maybe("COUNT", COUNT)),
    seq("XLEN", KEY),
    seq("XDEL", KEY, IDS),
    seq("XDEL", KEY, IDS),
    seq("XSETID", KEY, ID, options(
        seq("ENTRIESADDED", choice(COUNT, INTEGER)), seq("MAXDELETEDID", ID), "OOPS", high=2)),
    seq("XREAD", maybe("COUNT", COUNT), "STREAMS", KEY, READ_ID),
    seq("XREAD", options(seq("COUNT", COUNT), "NOACK", "GROUP g c", "OOPS", high=1),
        "STREAMS", KEY, KEY, READ_ID, READ_ID),
    seq("XREADGROUP GROUP", GROUP_NAME, CONSUMER, options(seq("COUNT", COUNT), "NOACK", high=2),
        "STREAMS", KEY, choice(READ_ID, word(">"))),
    seq("XREADGROUP GROUP g", CONSUMER, options(seq("COUNT", ONE), "NOACK", high=1),
        "STREAMS", word("x0"), word(">")),
    seq("XREADGROUP GROUP g", CONSUMER, "STREAMS", KEY, KEY, word(">", "0"), word(">", "0")),
    seq("XGROUP CREATE", KEY, GROUP_NAME, choice(ID, word("$", "0")), options(
        "MKSTREAM", "MKSTREAM", seq("ENTRIESREAD", choice(COUNT, INTEGER)), high=2)),
    seq("XGROUP SETID", KEY, GROUP_NAME, choice(ID, word("$", "0")),
        maybe("ENTRIESREAD", choice(COUNT, INTEGER))),
    seq("XGROUP DESTROY", KEY, GROUP_NAME),
    seq("XGROUP CREATECONSUMER", KEY, GROUP_NAME, CONSUMER),
    seq("XGROUP DELCONSUMER", KEY, GROUP_NAME, CONSUMER),
    seq("XACK", KEY, GROUP_NAME, IDS),
    seq("XACK x0 g", IDS),
    seq("XPENDING", KEY, GROUP_NAME),
    seq("XPENDING", KEY, GROUP_NAME, maybe("IDLE", IDLE), START, END, COUNT, maybe(CONSUMER)),
    seq("XCLAIM", KEY, GROUP_NAME, CONSUMER, IDLE, IDS, CLAIM),
    seq("XCLAIM x0 g", CONSUMER, "0", IDS, CLAIM),
    seq("XAUTOCLAIM", KEY, GROUP_NAME, CONSUMER, IDLE, START,
        options(seq("COUNT", COUNT), "JUSTID", "OOPS", high=2)),
    seq("XAUTOCLAIM x0 g", CONSUMER, "0 0", options(seq("COUNT", ONE), "JUSTID", high=1)),
    seq("XINFO STREAM", KEY, maybe("FULL", maybe("COUNT", COUNT))),
    seq("XINFO GROUPS", KEY),
    seq("XINFO CONSUMERS", KEY, GROUP_NAME),
]  # fmt: skip

EXTRA = (
    seq("DEBUG DIGEST-VALUE", KEY),
    seq("CONFIG SET stream-node-max-entries", word("0", "1", "2", "3", "5", "100")),
    # Below some hundred bytes redis-server 7.0.15 overwrites its own memory.
    seq("CONFIG SET stream-node-max-bytes", word("0", "256", "300", "1000", "4096")),
    seq("TYPE", KEY),
    seq("OBJECT ENCODING", KEY),
    seq("DEL", KEY),
    seq("RENAME", KEY, KEY),
    seq("COPY", KEY, KEY, maybe("REPLACE")),
    seq("XGROUP HELP"),
    seq("XINFO HELP"),
)

GROUP = Group("streams", COMMANDS, EXTRA)
