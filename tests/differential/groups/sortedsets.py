"""Sorted sets: ranges of the three kinds, stores, pops, and SORT over all collections."""

from __future__ import annotations

from tests.differential.grammar import (
    ANY_KEY,
    COUNT,
    FLOAT,
    INDEX,
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

KEY = choice(key_of("zset"), key_of("zset"), key_of("zset"), key_of("set"))
SCORE = choice(word("0", "1", "2", "3", "-1", "2.5", "1e3"), FLOAT)
BOUND = choice(
    word("-inf", "+inf", "0", "1", "2", "3", "(1", "(2", "(3", "-1", "(-inf", "(+inf"),
    word("(", "", "x", "nan", "1e400", " 1", "inf"),
)
LEX = word(*["-", "+", "[a", "(a", "[b", "(c", "[c", "[d", "[z"] * 3, "a", "", "[", "(", "--", "+x")
LIMIT = seq("LIMIT", INDEX, INDEX)
CURSOR = word(*["0"] * 12, "1", "x", "-1", "")
AGGREGATE = choice(
    seq("WEIGHTS", many(SCORE, high=3)),
    seq("AGGREGATE", word("SUM", "MIN", "MAX", "max", "AVG")),
)
RANGE = choice(
    seq(INDEX, INDEX, options("REV", "WITHSCORES", LIMIT, high=2)),
    seq(BOUND, BOUND, "BYSCORE", options("REV", "WITHSCORES", LIMIT)),
    seq(LEX, LEX, "BYLEX", options("REV", "WITHSCORES", LIMIT)),
    seq(BOUND, BOUND, options("BYLEX", "BYSCORE", "REV", "withscores", LIMIT)),
)
STORED_RANGE = choice(
    seq(INDEX, INDEX, options("REV", LIMIT, high=2)),
    seq(BOUND, BOUND, "BYSCORE", options("REV", LIMIT)),
    seq(LEX, LEX, "BYLEX", options("REV", LIMIT, "WITHSCORES")),
)
BY = seq("BY", word("*", "w_*", "s*", "nosort", "h*->a", "h*->", "t0"))
GET = seq("GET", word("#", "s*", "w_*", "h*->a", "nothing", "*->"))

COMMANDS = [
    seq("ZADD", KEY, many(SCORE, MEMBER)),
    seq("ZADD", KEY, many(SCORE, MEMBER, high=6)),
    seq(
        "ZADD", KEY, options("NX", "XX", "GT", "LT", "CH", "INCR"), many(SCORE, MEMBER, high=2),
    ),
    seq("ZINCRBY", KEY, SCORE, MEMBER),
    seq("ZCARD", KEY),
    seq("ZSCORE", KEY, MEMBER),
    seq("ZMSCORE", KEY, many(MEMBER)),
    seq("ZRANK", KEY, MEMBER),
    seq("ZREVRANK", KEY, MEMBER),
    seq("ZREM", KEY, many(MEMBER)),
    seq("ZCOUNT", KEY, BOUND, BOUND),
    seq("ZLEXCOUNT", KEY, LEX, LEX),
    seq("ZRANGE", KEY, RANGE),
    seq("ZRANGE", KEY, RANGE),
    seq("ZRANGESTORE", KEY, KEY, STORED_RANGE),
    seq("ZREVRANGE", KEY, INDEX, INDEX, maybe(word("WITHSCORES", "withscores", "x"))),
    seq("ZRANGEBYSCORE", KEY, BOUND, BOUND, options("WITHSCORES", LIMIT)),
    seq("ZREVRANGEBYSCORE", KEY, BOUND, BOUND, options("WITHSCORES", LIMIT)),
    seq("ZRANGEBYLEX", KEY, LEX, LEX, options(LIMIT, "WITHSCORES", high=2)),
    seq("ZREVRANGEBYLEX", KEY, LEX, LEX, options(LIMIT, high=1)),
    seq("ZREMRANGEBYRANK", KEY, INDEX, INDEX),
    seq("ZREMRANGEBYSCORE", KEY, BOUND, BOUND),
    seq("ZREMRANGEBYLEX", KEY, LEX, LEX),
    seq("ZPOPMIN", KEY, maybe(COUNT)),
    seq("ZPOPMAX", KEY, maybe(COUNT)),
    seq("ZMPOP", numbered(KEY), word("MIN", "MAX", "min", "MID"), options(seq("COUNT", COUNT))),
    seq("ZRANDMEMBER", KEY),
    seq("ZRANDMEMBER", KEY, PICKS, maybe(word("WITHSCORES", "WITH"))),
    seq("ZUNION", numbered(KEY), options(AGGREGATE, "WITHSCORES")),
    seq("ZINTER", numbered(KEY), options(AGGREGATE, "WITHSCORES")),
    seq("ZDIFF", numbered(KEY), options("WITHSCORES", "AGGREGATE SUM", high=1)),
    seq("ZUNIONSTORE", KEY, numbered(KEY), options(AGGREGATE)),
    seq("ZINTERSTORE", KEY, numbered(KEY), options(AGGREGATE)),
    seq("ZDIFFSTORE", KEY, numbered(KEY), options("WITHSCORES", high=1)),
    seq("ZINTERCARD", numbered(KEY), options(seq("LIMIT", COUNT), high=2)),
    seq("ZSCAN", KEY, CURSOR, options(seq("MATCH", PATTERN), seq("COUNT", COUNT))),
    # Ties of BY come in the order of a hash table: such a reply can be compared, a list cannot.
    seq("SORT", ANY_KEY, options("ALPHA", "DESC", "ASC", LIMIT, GET), maybe("STORE", KEY)),
    seq("SORT", ANY_KEY, options("ALPHA", "DESC", BY, BY, GET)),
    seq("SORT_RO", ANY_KEY, options("ALPHA", "DESC", LIMIT, BY, GET, "STORE z0")),
]  # fmt: skip

EXTRA = (
    seq("OBJECT ENCODING", KEY),
    seq("SADD", KEY, many(MEMBER)),
    seq("RPUSH", word("l0", "l1"), many(word("1", "2", "10", "3.5", "a", "0"))),
    seq("SET", word("w_1", "w_2", "w_a", "w_b"), word("1", "5", "3", "x")),
    seq("EXPIRE", KEY, "1000"),
    seq("DEL", KEY),
    seq("COPY", KEY, KEY, maybe("REPLACE")),
    seq("DEBUG DIGEST-VALUE", KEY),
    seq("DEBUG DIGEST"),
)

GROUP = Group("sortedsets", COMMANDS, EXTRA)
