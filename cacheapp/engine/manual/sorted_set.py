"""The manual's pages of the group `sorted_set`."""

from __future__ import annotations

from cacheapp.engine.manual.words import (
    Page,
    block,
    double,
    integer,
    key,
    one_of,
    optional,
    page,
    pattern,
    repeated,
    string,
    token,
)

_WITH_SCORE = optional(token("WITHSCORE", since="7.2.0"))
_HISTORY_OF_RANKS = (("7.2.0", "`WITHSCORE`."),)

PAGES: dict[str, Page] = {
    "BZMPOP": page(
        double("timeout"),
        integer("numkeys"),
        repeated(key()),
        one_of("where", token("MIN"), token("MAX")),
        optional(integer("count", after="COUNT")),
    ),
    "BZPOPMAX": page(
        repeated(key()), double("timeout"), history=(("6.0.0", "Fractions in `timeout`."),)
    ),
    "BZPOPMIN": page(
        repeated(key()), double("timeout"), history=(("6.0.0", "Fractions in `timeout`."),)
    ),
    "ZADD": page(
        key(),
        optional(one_of("condition", token("NX"), token("XX"), since="3.0.2")),
        optional(one_of("comparison", token("GT"), token("LT"), since="6.2.0")),
        optional(token("CH", "change", since="3.0.2")),
        optional(token("INCR", "increment", since="3.0.2")),
        repeated(block("score_member", double("score"), string("member"))),
        history=(
            ("2.4.0", "Several elements."),
            ("3.0.2", "`XX`, `NX`, `CH`, `INCR`."),
            ("6.2.0", "`GT`, `LT`."),
        ),
    ),
    "ZCARD": page(key()),
    "ZCOUNT": page(key(), double("min"), double("max")),
    "ZDIFF": page(integer("numkeys"), repeated(key()), optional(token("WITHSCORES"))),
    "ZDIFFSTORE": page(key("destination"), integer("numkeys"), repeated(key(spec=1))),
    "ZINCRBY": page(key(), integer("increment"), string("member")),
    "ZINTER": page(
        integer("numkeys"),
        repeated(key()),
        optional(repeated(integer("weight", after="WEIGHTS"))),
        optional(one_of("aggregate", token("SUM"), token("MIN"), token("MAX"), after="AGGREGATE")),
        optional(token("WITHSCORES")),
    ),
    "ZINTERCARD": page(
        integer("numkeys"), repeated(key()), optional(integer("limit", after="LIMIT"))
    ),
    "ZINTERSTORE": page(
        key("destination"),
        integer("numkeys"),
        repeated(key(spec=1)),
        optional(repeated(integer("weight", after="WEIGHTS"))),
        optional(one_of("aggregate", token("SUM"), token("MIN"), token("MAX"), after="AGGREGATE")),
    ),
    "ZLEXCOUNT": page(key(), string("min"), string("max")),
    "ZMPOP": page(
        integer("numkeys"),
        repeated(key()),
        one_of("where", token("MIN"), token("MAX")),
        optional(integer("count", after="COUNT")),
    ),
    "ZMSCORE": page(key(), repeated(string("member"))),
    "ZPOPMAX": page(key(), optional(integer("count"))),
    "ZPOPMIN": page(key(), optional(integer("count"))),
    "ZRANDMEMBER": page(
        key(), optional(block("options", integer("count"), optional(token("WITHSCORES"))))
    ),
    "ZRANGE": page(
        key(),
        string("start"),
        string("stop"),
        optional(one_of("sortby", token("BYSCORE"), token("BYLEX"), since="6.2.0")),
        optional(token("REV", since="6.2.0")),
        optional(
            block("offset_count", integer("offset"), integer("count"), after="LIMIT", since="6.2.0")
        ),
        optional(token("WITHSCORES")),
        history=(("6.2.0", "`REV`, `BYSCORE`, `BYLEX`, `LIMIT`."),),
    ),
    "ZRANGEBYLEX": page(
        key(),
        string("min"),
        string("max"),
        optional(block("offset_count", integer("offset"), integer("count"), after="LIMIT")),
        deprecated=("6.2.0", "`ZRANGE` with the `BYLEX` argument"),
    ),
    "ZRANGEBYSCORE": page(
        key(),
        double("min"),
        double("max"),
        optional(token("WITHSCORES", since="2.0.0")),
        optional(block("offset_count", integer("offset"), integer("count"), after="LIMIT")),
        history=(("2.0.0", "`WITHSCORES`."),),
        deprecated=("6.2.0", "`ZRANGE` with the `BYSCORE` argument"),
    ),
    "ZRANGESTORE": page(
        key("dst"),
        key("src", spec=1),
        string("min"),
        string("max"),
        optional(one_of("sortby", token("BYSCORE"), token("BYLEX"))),
        optional(token("REV")),
        optional(block("offset_count", integer("offset"), integer("count"), after="LIMIT")),
    ),
    "ZRANK": page(key(), string("member"), _WITH_SCORE, history=_HISTORY_OF_RANKS),
    "ZREM": page(key(), repeated(string("member")), history=(("2.4.0", "Several elements."),)),
    "ZREMRANGEBYLEX": page(key(), string("min"), string("max")),
    "ZREMRANGEBYRANK": page(key(), integer("start"), integer("stop")),
    "ZREMRANGEBYSCORE": page(key(), double("min"), double("max")),
    "ZREVRANGE": page(
        key(),
        integer("start"),
        integer("stop"),
        optional(token("WITHSCORES")),
        deprecated=("6.2.0", "`ZRANGE` with the `REV` argument"),
    ),
    "ZREVRANGEBYLEX": page(
        key(),
        string("max"),
        string("min"),
        optional(block("offset_count", integer("offset"), integer("count"), after="LIMIT")),
        deprecated=("6.2.0", "`ZRANGE` with the `REV` and `BYLEX` arguments"),
    ),
    "ZREVRANGEBYSCORE": page(
        key(),
        double("max"),
        double("min"),
        optional(token("WITHSCORES")),
        optional(block("offset_count", integer("offset"), integer("count"), after="LIMIT")),
        history=(("2.1.6", "`min` and `max` that do not belong to the range."),),
        deprecated=("6.2.0", "`ZRANGE` with the `REV` and `BYSCORE` arguments"),
    ),
    "ZREVRANK": page(key(), string("member"), _WITH_SCORE, history=_HISTORY_OF_RANKS),
    "ZSCAN": page(
        key(),
        integer("cursor"),
        optional(pattern("pattern", after="MATCH")),
        optional(integer("count", after="COUNT")),
    ),
    "ZSCORE": page(key(), string("member")),
    "ZUNION": page(
        integer("numkeys"),
        repeated(key()),
        optional(repeated(integer("weight", after="WEIGHTS"))),
        optional(one_of("aggregate", token("SUM"), token("MIN"), token("MAX"), after="AGGREGATE")),
        optional(token("WITHSCORES")),
    ),
    "ZUNIONSTORE": page(
        key("destination"),
        integer("numkeys"),
        repeated(key(spec=1)),
        optional(repeated(integer("weight", after="WEIGHTS"))),
        optional(one_of("aggregate", token("SUM"), token("MIN"), token("MAX"), after="AGGREGATE")),
    ),
}
