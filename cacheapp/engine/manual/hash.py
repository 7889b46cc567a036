"""The manual's pages of the group `hash`."""

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
    unix_time,
)

_FIELDS = block("fields", integer("numfields"), repeated(string("field")), after="FIELDS")
_CONDITION = optional(one_of("condition", token("NX"), token("XX"), token("GT"), token("LT")))

PAGES: dict[str, Page] = {
    "HDEL": page(key(), repeated(string("field")), history=(("2.4.0", "Several `field`."),)),
    "HEXISTS": page(key(), string("field")),
    "HGET": page(key(), string("field")),
    "HGETALL": page(key()),
    "HINCRBY": page(key(), string("field"), integer("increment")),
    "HINCRBYFLOAT": page(key(), string("field"), double("increment")),
    "HKEYS": page(key()),
    "HLEN": page(key()),
    "HMGET": page(key(), repeated(string("field"))),
    "HMSET": page(
        key(),
        repeated(block("field_value", string("field"), string("value"))),
        deprecated=("4.0.0", "`HSET` with multiple field-value pairs"),
    ),
    "HRANDFIELD": page(
        key(), optional(block("options", integer("count"), optional(token("WITHVALUES"))))
    ),
    "HSCAN": page(
        key(),
        integer("cursor"),
        optional(pattern("pattern", after="MATCH")),
        optional(integer("count", after="COUNT")),
        optional(token("NOVALUES", since="7.4.0")),
        history=(("7.4.0", "`NOVALUES`."),),
    ),
    "HSET": page(
        key(),
        repeated(block("field_value", string("field"), string("value"))),
        history=(("4.0.0", "Several pairs of `field` and `value`."),),
    ),
    "HSETNX": page(key(), string("field"), string("value")),
    "HSTRLEN": page(key(), string("field")),
    "HVALS": page(key()),
    "HEXPIRE": page(key(), integer("seconds"), _CONDITION, _FIELDS),
    "HEXPIREAT": page(key(), unix_time("unix-time-seconds"), _CONDITION, _FIELDS),
    "HEXPIRETIME": page(key(), _FIELDS),
    "HPERSIST": page(key(), _FIELDS),
    "HPEXPIRE": page(key(), integer("milliseconds"), _CONDITION, _FIELDS),
    "HPEXPIREAT": page(key(), unix_time("unix-time-milliseconds"), _CONDITION, _FIELDS),
    "HPEXPIRETIME": page(key(), _FIELDS),
    "HPTTL": page(key(), _FIELDS),
    "HTTL": page(key(), _FIELDS),
}
