"""Connection, CONFIG, OBJECT, DEBUG, COMMAND, CLIENT: what tools and tests look at."""

from __future__ import annotations

from tests.differential.grammar import (
    ANY_KEY,
    COUNT,
    TEXT,
    Group,
    choice,
    many,
    maybe,
    options,
    seq,
    word,
)

PARAMETER = word(
    "maxmemory-policy", "maxmemory-samples", "hash-max-listpack-entries",
    "hash-max-ziplist-entries", "set-max-intset-entries", "zset-max-listpack-value",
    "lfu-log-factor", "lfu-decay-time", "active-expire-effort", "proto-max-bulk-len",
    "notify-keyspace-events", "lua-time-limit", "nope", "MAXMEMORY-SAMPLES",
)  # fmt: skip
SETTING = choice(
    seq("maxmemory-policy", word("allkeys-lru", "VOLATILE-TTL", "allkeys-lfu", "noeviction", "x")),
    seq("maxmemory-samples", word("5", "10", "0", "-1", "x", "")),
    seq("hash-max-listpack-entries", word("2", "128", "x", "-1")),
    seq("hash-max-ziplist-value", word("4", "64")),
    seq("set-max-intset-entries", word("2", "512")),
    seq("zset-max-listpack-entries", word("2", "128")),
    seq("proto-max-bulk-len", word("1mb", "512mb", "2000000", "1", "1x")),
    seq("lfu-log-factor", word("1", "10")),
    seq("notify-keyspace-events", word("", "KEA", "Kg$", "q")),
    seq("nope", "1"),
    seq("databases", "3"),
)
COMMAND_NAME = word(
    "get", "GET", "set", "mset", "lmpop", "zunionstore", "object", "config|get", "object|encoding",
    "eval", "bitop", "sort", "nope", "",
)  # fmt: skip

COMMANDS = [
    seq("PING", maybe(TEXT)),
    seq("ECHO", TEXT),
    seq("SELECT", word("0", "1", "16", "-1", "x")),
    seq("HELLO", maybe(word("2", "3", "2", "3", "4", "x", "1"), maybe("SETNAME", TEXT))),
    seq("RESET"),
    seq("AUTH", many(TEXT, high=2)),
    seq("CLIENT SETNAME", word("me", "", "with space", "x\n")),
    seq("CLIENT GETNAME"),
    seq("CLIENT ID"),
    seq("CLIENT NO-EVICT", word("on", "OFF", "maybe")),
    seq("CLIENT KILL", word("ID", "TYPE", "USER", "ADDR", "NOPE"), word("x", "-1", "no")),
    seq("CLIENT KILL", word("1.2.3.4:5", "")),
    seq("CLIENT PAUSE", word("x", "-1", "1.5"), maybe(word("WRITE", "ALL"))),
    seq("CLIENT PAUSE 0 x"),
    seq("CLIENT", word("UNPAUSE", "GETREDIR", "TRACKINGINFO")),
    seq("CLIENT REPLY", word("ON", "x")),
    seq("CLIENT", word("NOPE", "HELPME")),
    seq("SLOWLOG GET", word("x", "-2", "0", "1.0")),
    seq("SLOWLOG", word("RESET", "HELP", "NOPE")),
    seq("LATENCY", word("LATEST", "RESET", "NOPE")),
    seq("LATENCY", word("HISTORY", "GRAPH"), word("command", "nope")),
    seq("MEMORY", word("PURGE", "HELP", "NOPE")),
    seq("LOLWUT VERSION", word("x", "")),
    seq("CONFIG GET", many(PARAMETER, high=3)),
    seq("CONFIG SET", many(SETTING, high=2)),
    seq("CONFIG RESETSTAT"),
    seq("CONFIG", word("NOPE", "")),
    seq("COMMAND INFO", many(word("get", "set", "nope", "mget", "append", "lpush"), low=1)),
    seq("COMMAND GETKEYS GET", TEXT),
    seq("COMMAND GETKEYS", COMMAND_NAME, many(TEXT, low=0)),
    seq("COMMAND LIST FILTERBY", word("MODULE", "ACLCAT", "PATTERN", "X"), word("nope", "zzz*")),
    seq("DBSIZE"),
    seq("TIME"),
    seq("MEMORY USAGE", ANY_KEY, options(seq("SAMPLES", COUNT), high=1)),
    seq("OBJECT", word("ENCODING", "REFCOUNT", "IDLETIME", "FREQ", "HELP", "NOPE"), ANY_KEY),
    seq("OBJECT HELP"),
    seq(word("CONFIG", "COMMAND", "LATENCY", "PUBSUB", "SCRIPT", "FUNCTION", "MODULE"), "HELP"),
    seq("CLIENT UNBLOCK", word("9999999", "x", "-1"), maybe(word("TIMEOUT", "ERROR", "X"))),
    seq("CONFIG REWRITE"),
    seq("MODULE", word("LIST", "NOPE")),
    seq("SCRIPT DEBUG", word("NO", "nope")),
    seq("DEBUG DIGEST"),
    seq("DEBUG DIGEST-VALUE", many(ANY_KEY)),
    seq("DEBUG SLEEP 0"),
    seq("DEBUG", word("NOPE", "HELPME")),
    seq(word("NOSUCH", "nosuch", "G\xcbT", ""), many(TEXT, low=0)),
    seq("EXEC"),
    seq("DISCARD"),
]

EXTRA = (
    seq("SET", ANY_KEY, TEXT),
    seq("HSET", ANY_KEY, TEXT, TEXT),
    seq("SADD", ANY_KEY, many(word("1", "2", "3", "4", "5"))),
    seq("ZADD", ANY_KEY, "1", TEXT),
    seq("DEL", ANY_KEY),
)

GROUP = Group("server", COMMANDS, EXTRA)
