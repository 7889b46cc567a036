"""The manual's pages of the group `list`."""

from __future__ import annotations

from cacheapp.engine.manual.words import (
    Page,
    double,
    integer,
    key,
    one_of,
    optional,
    page,
    repeated,
    string,
    token,
)

PAGES: dict[str, Page] = {
    "BLMOVE": page(
        key("source"),
        key("destination", spec=1),
        one_of("wherefrom", token("LEFT"), token("RIGHT")),
        one_of("whereto", token("LEFT"), token("RIGHT")),
        double("timeout"),
    ),
    "BLMPOP": page(
        double("timeout"),
        integer("numkeys"),
        repeated(key()),
        one_of("where", token("LEFT"), token("RIGHT")),
        optional(integer("count", after="COUNT")),
    ),
    "BLPOP": page(
        repeated(key()), double("timeout"), history=(("6.0.0", "Fractions in `timeout`."),)
    ),
    "BRPOP": page(
        repeated(key()), double("timeout"), history=(("6.0.0", "Fractions in `timeout`."),)
    ),
    "BRPOPLPUSH": page(
        key("source"),
        key("destination", spec=1),
        double("timeout"),
        history=(("6.0.0", "Fractions in `timeout`."),),
        deprecated=("6.2.0", "`BLMOVE` with the `RIGHT` and `LEFT` arguments"),
    ),
    "LINDEX": page(key(), integer("index")),
    "LINSERT": page(
        key(), one_of("where", token("BEFORE"), token("AFTER")), string("pivot"), string("element")
    ),
    "LLEN": page(key()),
    "LMOVE": page(
        key("source"),
        key("destination", spec=1),
        one_of("wherefrom", token("LEFT"), token("RIGHT")),
        one_of("whereto", token("LEFT"), token("RIGHT")),
    ),
    "LMPOP": page(
        integer("numkeys"),
        repeated(key()),
        one_of("where", token("LEFT"), token("RIGHT")),
        optional(integer("count", after="COUNT")),
    ),
    "LPOP": page(
        key(), optional(integer("count", since="6.2.0")), history=(("6.2.0", "`count`."),)
    ),
    "LPOS": page(
        key(),
        string("element"),
        optional(integer("rank", after="RANK")),
        optional(integer("num-matches", after="COUNT")),
        optional(integer("len", after="MAXLEN")),
    ),
    "LPUSH": page(key(), repeated(string("element")), history=(("2.4.0", "Several `element`."),)),
    "LPUSHX": page(key(), repeated(string("element")), history=(("4.0.0", "Several `element`."),)),
    "LRANGE": page(key(), integer("start"), integer("stop")),
    "LREM": page(key(), integer("count"), string("element")),
    "LSET": page(key(), integer("index"), string("element")),
    "LTRIM": page(key(), integer("start"), integer("stop")),
    "RPOP": page(
        key(), optional(integer("count", since="6.2.0")), history=(("6.2.0", "`count`."),)
    ),
    "RPOPLPUSH": page(
        key("source"),
        key("destination", spec=1),
        deprecated=("6.2.0", "`LMOVE` with the `RIGHT` and `LEFT` arguments"),
    ),
    "RPUSH": page(key(), repeated(string("element")), history=(("2.4.0", "Several `element`."),)),
    "RPUSHX": page(key(), repeated(string("element")), history=(("4.0.0", "Several `element`."),)),
}
