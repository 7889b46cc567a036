"""The manual's pages of the group `set`."""

from __future__ import annotations

from cacheapp.engine.manual.words import (
    Page,
    integer,
    key,
    optional,
    page,
    pattern,
    repeated,
    string,
)

PAGES: dict[str, Page] = {
    "SADD": page(key(), repeated(string("member")), history=(("2.4.0", "Several `member`."),)),
    "SCARD": page(key()),
    "SDIFF": page(repeated(key())),
    "SDIFFSTORE": page(key("destination"), repeated(key(spec=1))),
    "SINTER": page(repeated(key())),
    "SINTERCARD": page(
        integer("numkeys"), repeated(key()), optional(integer("limit", after="LIMIT"))
    ),
    "SINTERSTORE": page(key("destination"), repeated(key(spec=1))),
    "SISMEMBER": page(key(), string("member")),
    "SMEMBERS": page(key()),
    "SMISMEMBER": page(key(), repeated(string("member"))),
    "SMOVE": page(key("source"), key("destination", spec=1), string("member")),
    "SPOP": page(
        key(), optional(integer("count", since="3.2.0")), history=(("3.2.0", "`count`."),)
    ),
    "SRANDMEMBER": page(
        key(), optional(integer("count", since="2.6.0")), history=(("2.6.0", "`count`."),)
    ),
    "SREM": page(key(), repeated(string("member")), history=(("2.4.0", "Several `member`."),)),
    "SSCAN": page(
        key(),
        integer("cursor"),
        optional(pattern("pattern", after="MATCH")),
        optional(integer("count", after="COUNT")),
    ),
    "SUNION": page(repeated(key())),
    "SUNIONSTORE": page(key("destination"), repeated(key(spec=1))),
}
