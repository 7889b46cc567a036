"""What does not care about types: deleting, moving, deadlines, scanning."""

from __future__ import annotations

from tests.differential.grammar import (
    ANY_KEY,
    COUNT,
    INTEGER,
    MILLISECONDS,
    PATTERN,
    SECONDS,
    TEXT,
    UNIX_MILLISECONDS,
    UNIX_SECONDS,
    Group,
    choice,
    many,
    maybe,
    options,
    seq,
    word,
)

KEY = ANY_KEY
CONDITION = options("NX", "XX", "GT", "LT", "gt", "IF", high=2)
DB = word("0", "0", "1", "15", "16", "-1", "x", "99999999999", "")

COMMANDS = [
    seq("DEL", many(KEY)),
    seq("UNLINK", many(KEY)),
    seq("EXISTS", many(KEY)),
    seq("TOUCH", many(KEY)),
    seq("TYPE", KEY),
    seq("RENAME", KEY, KEY),
    seq("RENAMENX", KEY, KEY),
    seq("COPY", KEY, KEY, options("REPLACE", seq("DB", DB), "replace", high=2)),
    seq("MOVE", KEY, DB),
    seq("SWAPDB", DB, DB),
    seq("RANDOMKEY"),
    seq("KEYS", PATTERN),
    seq(
        "SCAN", word(*["0"] * 10, "x", "-1"),
        options(
            seq("MATCH", PATTERN), seq("COUNT", COUNT),
            # Not "none": a key that is due has no type, and Redis then returns it by that word.
            seq("TYPE", word("string", "list", "zset", "ZSET", "nonsense")),
        ),
    ),
    seq("EXPIRE", KEY, choice(SECONDS, INTEGER), CONDITION),
    seq("PEXPIRE", KEY, choice(MILLISECONDS, word("-9223372036854775808", "77777")), CONDITION),
    seq("EXPIREAT", KEY, UNIX_SECONDS, CONDITION),
    seq("PEXPIREAT", KEY, UNIX_MILLISECONDS, CONDITION),
    seq("TTL", KEY),
    seq("PTTL", KEY),
    seq("EXPIRETIME", KEY),
    seq("PEXPIRETIME", KEY),
    seq("PERSIST", KEY),
    seq("OBJECT", word("ENCODING", "REFCOUNT", "IDLETIME", "FREQ", "encoding", "NOPE"), KEY),
    seq("DEBUG DIGEST-VALUE", many(KEY)),
    seq("SELECT", DB),
]  # fmt: skip

EXTRA = (
    seq("SET", KEY, TEXT, maybe("PXAT", UNIX_MILLISECONDS)),
    seq("RPUSH", KEY, TEXT),
    seq("SADD", KEY, TEXT),
    seq("HSET", KEY, TEXT, TEXT),
    seq("ZADD", KEY, "1", TEXT),
    seq(word("FLUSHDB", "FLUSHALL"), maybe(word("ASYNC", "SYNC", "NOW"))),
)

GROUP = Group("keys", COMMANDS, EXTRA)
