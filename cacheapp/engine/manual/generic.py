"""The manual's pages of the group `generic`."""

from __future__ import annotations

from cacheapp.engine.manual.words import (
    Page,
    block,
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

PAGES: dict[str, Page] = {
    "COPY": page(
        key("source"),
        key("destination", spec=1),
        optional(integer("destination-db", after="DB")),
        optional(token("REPLACE")),
    ),
    "DEL": page(repeated(key())),
    "DUMP": page(key()),
    "EXISTS": page(repeated(key()), history=(("3.0.3", "Several `key`."),)),
    "EXPIRE": page(
        key(),
        integer("seconds"),
        optional(
            one_of("condition", token("NX"), token("XX"), token("GT"), token("LT"), since="7.0.0")
        ),
        history=(("7.0.0", "`NX`, `XX`, `GT`, `LT`."),),
    ),
    "EXPIREAT": page(
        key(),
        unix_time("unix-time-seconds"),
        optional(
            one_of("condition", token("NX"), token("XX"), token("GT"), token("LT"), since="7.0.0")
        ),
        history=(("7.0.0", "`NX`, `XX`, `GT`, `LT`."),),
    ),
    "EXPIRETIME": page(key()),
    "KEYS": page(pattern("pattern")),
    "MIGRATE": page(
        string("host"),
        integer("port"),
        one_of("key_or_empty_string", key(), token("", "empty_string")),
        integer("destination-db"),
        integer("timeout"),
        optional(token("COPY", since="3.0.0")),
        optional(token("REPLACE", since="3.0.0")),
        optional(
            one_of(
                "authentication",
                optional(string("password", after="AUTH", since="4.0.7")),
                optional(
                    block(
                        "username_password",
                        string("username"),
                        string("password"),
                        after="AUTH2",
                        since="6.0.0",
                    )
                ),
            )
        ),
        optional(repeated(key(spec=1, after="KEYS", since="3.0.6"))),
        history=(
            ("3.0.0", "`COPY`, `REPLACE`."),
            ("3.0.6", "`KEYS`."),
            ("4.0.7", "`AUTH`."),
            ("6.0.0", "`AUTH2`."),
        ),
    ),
    "MOVE": page(key(), integer("db")),
    "OBJECT|ENCODING": page(key()),
    "OBJECT|FREQ": page(key()),
    "OBJECT|IDLETIME": page(key()),
    "OBJECT|REFCOUNT": page(key()),
    "PERSIST": page(key()),
    "PEXPIRE": page(
        key(),
        integer("milliseconds"),
        optional(
            one_of("condition", token("NX"), token("XX"), token("GT"), token("LT"), since="7.0.0")
        ),
        history=(("7.0.0", "`NX`, `XX`, `GT`, `LT`."),),
    ),
    "PEXPIREAT": page(
        key(),
        unix_time("unix-time-milliseconds"),
        optional(
            one_of("condition", token("NX"), token("XX"), token("GT"), token("LT"), since="7.0.0")
        ),
        history=(("7.0.0", "`NX`, `XX`, `GT`, `LT`."),),
    ),
    "PEXPIRETIME": page(key()),
    "PTTL": page(key(), history=(("2.8.0", "-2 for a key that does not exist."),)),
    "RENAME": page(key(), key("newkey", spec=1)),
    "RENAMENX": page(
        key(), key("newkey", spec=1), history=(("3.2.0", "Equal names are no error any more."),)
    ),
    "RESTORE": page(
        key(),
        integer("ttl"),
        string("serialized-value"),
        optional(token("REPLACE", since="3.0.0")),
        optional(token("ABSTTL", since="5.0.0")),
        optional(integer("seconds", after="IDLETIME", since="5.0.0")),
        optional(integer("frequency", after="FREQ", since="5.0.0")),
        history=(
            ("3.0.0", "`REPLACE`."),
            ("5.0.0", "`ABSTTL`."),
            ("5.0.0", "`IDLETIME`, `FREQ`."),
        ),
    ),
    "SCAN": page(
        integer("cursor"),
        optional(pattern("pattern", after="MATCH")),
        optional(integer("count", after="COUNT")),
        optional(string("type", after="TYPE", since="6.0.0")),
        history=(("6.0.0", "`TYPE`."),),
    ),
    "SORT": page(
        key(),
        optional(pattern("pattern", spec=1, after="BY")),
        optional(block("offset_count", integer("offset"), integer("count"), after="LIMIT")),
        optional(repeated(pattern("pattern", spec=1, after="GET"), token=True)),
        optional(one_of("order", token("ASC"), token("DESC"))),
        optional(token("ALPHA", "sorting")),
        optional(key("destination", spec=2, after="STORE")),
    ),
    "SORT_RO": page(
        key(),
        optional(pattern("pattern", spec=1, after="BY")),
        optional(block("offset_count", integer("offset"), integer("count"), after="LIMIT")),
        optional(repeated(pattern("pattern", spec=1, after="GET"), token=True)),
        optional(one_of("order", token("ASC"), token("DESC"))),
        optional(token("ALPHA", "sorting")),
    ),
    "TOUCH": page(repeated(key())),
    "TTL": page(key(), history=(("2.8.0", "-2 for a key that does not exist."),)),
    "TYPE": page(key()),
    "UNLINK": page(repeated(key())),
    "WAIT": page(integer("numreplicas"), integer("timeout")),
    "WAITAOF": page(integer("numlocal"), integer("numreplicas"), integer("timeout")),
}
