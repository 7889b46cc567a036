"""The manual's pages of the group `string`."""

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
    repeated,
    string,
    token,
    unix_time,
)

PAGES: dict[str, Page] = {
    "APPEND": page(key(), string("value")),
    "DECR": page(key()),
    "DECRBY": page(key(), integer("decrement")),
    "GET": page(key()),
    "GETDEL": page(key()),
    "GETEX": page(
        key(),
        optional(
            one_of(
                "expiration",
                integer("seconds", after="EX"),
                integer("milliseconds", after="PX"),
                unix_time("unix-time-seconds", after="EXAT"),
                unix_time("unix-time-milliseconds", after="PXAT"),
                token("PERSIST"),
            )
        ),
    ),
    "GETRANGE": page(key(), integer("start"), integer("end")),
    "GETSET": page(key(), string("value"), deprecated=("6.2.0", "`SET` with the `!GET` argument")),
    "INCR": page(key()),
    "INCRBY": page(key(), integer("increment")),
    "INCRBYFLOAT": page(key(), double("increment")),
    "LCS": page(
        key("key1"),
        key("key2"),
        optional(token("LEN")),
        optional(token("IDX")),
        optional(integer("len", after="MINMATCHLEN")),
        optional(token("WITHMATCHLEN")),
    ),
    "MGET": page(repeated(key())),
    "MSET": page(repeated(block("key_value", key(), string("value")))),
    "MSETNX": page(repeated(block("key_value", key(), string("value")))),
    "PSETEX": page(key(), integer("milliseconds"), string("value")),
    "SET": page(
        key(),
        string("value"),
        optional(one_of("condition", token("NX"), token("XX"), since="2.6.12")),
        optional(token("GET", since="6.2.0")),
        optional(
            one_of(
                "expiration",
                integer("seconds", after="EX", since="2.6.12"),
                integer("milliseconds", after="PX", since="2.6.12"),
                unix_time("unix-time-seconds", after="EXAT", since="6.2.0"),
                unix_time("unix-time-milliseconds", after="PXAT", since="6.2.0"),
                token("KEEPTTL", since="6.0.0"),
            )
        ),
        history=(
            ("2.6.12", "`EX`, `PX`, `NX`, `XX`."),
            ("6.0.0", "`KEEPTTL`."),
            ("6.2.0", "`GET`, `EXAT`, `PXAT`."),
            ("7.0.0", "`NX` together with `GET`."),
        ),
    ),
    "SETEX": page(key(), integer("seconds"), string("value")),
    "SETNX": page(key(), string("value")),
    "SETRANGE": page(key(), integer("offset"), string("value")),
    "STRLEN": page(key()),
    "SUBSTR": page(key(), integer("start"), integer("end"), deprecated=("2.0.0", "`GETRANGE`")),
}
