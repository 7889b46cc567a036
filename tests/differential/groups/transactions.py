"""MULTI and WATCH on three connections that get in one another's way."""

from __future__ import annotations

from tests.differential.grammar import ANY_KEY, INTEGER, TEXT, Group, key_of, many, seq, word

INSIDE = [
    seq("SET", key_of("string"), TEXT),
    seq("GET", key_of("string")),
    seq("INCRBY", key_of("string"), INTEGER),
    seq("APPEND", key_of("string"), TEXT),
    seq("SETRANGE", key_of("string"), "0", TEXT),
    seq("RPUSH", key_of("list"), TEXT),
    seq("LPOP", key_of("list")),
    seq("LPOP", key_of("list"), "2"),
    seq("LRANGE", key_of("list"), "0", "-1"),
    seq("LTRIM", key_of("list"), "0", "100"),
    seq("HSET", key_of("hash"), TEXT, TEXT),
    seq("HGETALL", word("h0")),
    seq("ZADD", key_of("zset"), "1", TEXT),
    seq("ZSCORE", key_of("zset"), word("a", "b")),
    seq("SADD", key_of("set"), TEXT),
    seq("SREM", key_of("set"), TEXT),
    seq("DEL", ANY_KEY),
    seq("RENAME", ANY_KEY, ANY_KEY),
    seq("EXPIRE", ANY_KEY, "1000"),
    seq("EXPIRE", ANY_KEY, "-1"),
    seq("PERSIST", ANY_KEY),
    seq("TYPE", ANY_KEY),
    seq("GETEX", key_of("string"), "PERSIST"),
    seq("SET", key_of("string"), "gone", "PXAT", "1"),
    seq("NOSUCH", TEXT),
    seq("GET"),
    seq("PING"),
    seq("SELECT", word("0", "1", "99")),
    seq("SWAPDB", "0", "1"),
    seq("FLUSHALL"),
    seq("FLUSHDB"),
    seq("BITFIELD", key_of("string"), "INCRBY u8 0 1"),
    seq("SETBIT", key_of("string"), "3", word("0", "1")),
    seq("SMOVE", key_of("set"), key_of("set"), word("a", "1")),
]

FRAME = [
    seq("MULTI"),
    seq("MULTI"),
    seq("EXEC"),
    seq("EXEC"),
    seq("EXEC"),
    seq("DISCARD"),
    seq("WATCH", many(ANY_KEY)),
    seq("WATCH", many(ANY_KEY)),
    seq("UNWATCH"),
    seq("RESET"),
]

GROUP = Group("transactions", [*FRAME, *FRAME, *INSIDE], connections=3, mutate=False)
