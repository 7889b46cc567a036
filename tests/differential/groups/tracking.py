"""CLIENT TRACKING: what each of three clients is told of keys that others change.

Without BCAST, whose messages Redis gathers until all that clients sent was run.
"""

from __future__ import annotations

from tests.differential.grammar import ANY_KEY, Group, key_of, many, options, seq, word

STRING = key_of("string")
COMMANDS = [
    seq("CLIENT TRACKING ON", options(
        "OPTIN", "OPTOUT", "NOLOOP", seq("PREFIX", word("s", "h", "")), high=2)),
    seq("CLIENT TRACKING ON"),
    seq("CLIENT TRACKING ON NOLOOP"),
    seq("CLIENT TRACKING", word("OFF", "off", "x")),
    seq("CLIENT CACHING", word("YES", "NO", "x")),
    seq("CLIENT", word("TRACKINGINFO", "GETREDIR")),
    *[seq("GET", STRING)] * 4,
    seq("MGET", many(STRING, high=3)),
    seq("HGET h0 a"),
    seq("LRANGE l0 0 -1"),
    *[seq("SET", STRING, word("1", "2"))] * 4,
    seq("MSET", STRING, "1", STRING, "2"),
    seq("DEL", many(ANY_KEY, high=2)),
    seq("EXPIRE", ANY_KEY, word("1000", "-1")),
    seq("RENAME", ANY_KEY, ANY_KEY),
    seq("HSET h0 a", word("1", "2")),
    seq("RPUSH l0 x"),
    seq("EVAL", word("return redis.call('GET', 's0')", "return redis.call('SET', 's1', 'x')"), "0"),
    seq("FLUSHDB"),
    seq("INCR s1"),
    seq("PING"),
]  # fmt: skip

GROUP = Group("tracking", COMMANDS, connections=3, pushes=True, mutate=False)
