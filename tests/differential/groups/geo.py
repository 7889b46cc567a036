"""Positions: to the last digit, and in Redis's order where it sorts by nothing or by equal keys."""

from __future__ import annotations

from tests.differential.grammar import (
    FLOAT,
    MEMBER,
    Group,
    choice,
    key_of,
    many,
    maybe,
    options,
    seq,
    word,
)

KEY = key_of("zset")
LONGITUDE = choice(
    word(*["13.361389", "13.4", "13.5", "15.087269", "-73.98", "0", "13", "2.35", "139.7"] * 2),
    word("180", "-180", "179.9999", "-179.99", "181", "x", "nan", "1e400", ""),
)
LATITUDE = choice(
    word(*["38.115556", "38", "37.502669", "40.75", "0", "-33.86", "48.85", "35.68", "67"] * 2),
    word("85.05112878", "-85.05112878", "85", "-81.5", "86", "x", "inf", ""),
)
POSITION = seq(LONGITUDE, LATITUDE)
UNIT = word(*["m", "km", "ft", "mi"] * 4, "KM", "Mi", "yd", "")
REACH = choice(
    word(*["0", "1", "50", "100.5", "200", "1000", "5000", "20000", "50000", "1e7"] * 2), FLOAT
)
LIMIT = seq("COUNT", word(*["1", "2", "3", "5", "100"] * 3, "0", "-1", "x"), maybe("ANY"))
SHOWN = word("WITHDIST", "WITHCOORD", "WITHHASH", "withdist")
ORDER = word("ASC", "DESC", "asc")
CENTER = choice(seq("FROMMEMBER", MEMBER), seq("FROMLONLAT", POSITION))
SHAPE = choice(seq("BYRADIUS", REACH, UNIT), seq("BYBOX", REACH, REACH, UNIT))
STORE = seq(word("STORE", "STOREDIST", "store"), KEY)

COMMANDS = [
    seq("GEOADD", KEY, many(POSITION, MEMBER, high=8)),
    seq("GEOADD", KEY, many(POSITION, MEMBER, high=8)),
    seq("GEOADD", KEY, options("NX", "XX", "CH", "ch"), many(POSITION, MEMBER)),
    seq("GEOPOS", KEY, many(MEMBER, low=0)),
    seq("GEOHASH", KEY, many(MEMBER, low=0)),
    seq("GEODIST", KEY, MEMBER, MEMBER, maybe(UNIT)),
    seq("GEOSEARCH", KEY, CENTER, SHAPE, options(SHOWN, ORDER, LIMIT)),
    seq("GEOSEARCH", KEY, SHAPE, options(SHOWN, ORDER, LIMIT), CENTER),
    seq("GEOSEARCH", KEY, options(CENTER, SHAPE, SHOWN, LIMIT, "ANY", STORE, high=4)),
    seq("GEOSEARCHSTORE", KEY, KEY, CENTER, SHAPE, options(ORDER, LIMIT, "STOREDIST")),
    seq("GEOSEARCHSTORE", KEY, KEY, SHAPE, options(SHOWN, CENTER, "STOREDIST", STORE)),
    seq(
        word("GEORADIUS", "GEORADIUS_RO"), KEY, POSITION, REACH, UNIT,
        options(SHOWN, ORDER, LIMIT, STORE),
    ),
    seq(
        word("GEORADIUSBYMEMBER", "GEORADIUSBYMEMBER_RO"), KEY, MEMBER, REACH, UNIT,
        options(SHOWN, ORDER, LIMIT, STORE),
    ),
]  # fmt: skip

EXTRA = (
    seq("ZADD", KEY, choice(FLOAT, word("3479099956230698", "1e300", "-5", "2.5")), MEMBER),
    seq("ZREM", KEY, many(MEMBER)),
    seq("ZRANGE", KEY, "0 -1 WITHSCORES"),
    seq("OBJECT ENCODING", KEY),
    seq("DEL", KEY),
)

GROUP = Group("geo", COMMANDS, EXTRA)
