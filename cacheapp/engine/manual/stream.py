"""The manual's pages of the group `stream`."""

from __future__ import annotations

from cacheapp.engine.manual.words import (
    Page,
    block,
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
    "XACK": page(key(), string("group"), repeated(string("id"))),
    "XADD": page(
        key(),
        optional(token("NOMKSTREAM", since="6.2.0")),
        optional(
            block(
                "trim",
                one_of("strategy", token("MAXLEN"), token("MINID", since="6.2.0")),
                optional(one_of("operator", token("=", "equal"), token("~", "approximately"))),
                string("threshold"),
                optional(integer("count", after="LIMIT", since="6.2.0")),
            )
        ),
        one_of("id_or_auto", token("*", "auto_id"), string("id")),
        repeated(block("field_value", string("field"), string("value"))),
        history=(
            ("6.2.0", "`NOMKSTREAM`, `MINID`, `LIMIT`."),
            ("7.0.0", "`<ms>-*`."),
        ),
    ),
    "XAUTOCLAIM": page(
        key(),
        string("group"),
        string("consumer"),
        string("min-idle-time"),
        string("start"),
        optional(integer("count", after="COUNT")),
        optional(token("JUSTID")),
        history=(("7.0.0", "The reply's third part: ids whose entries are gone."),),
    ),
    "XCLAIM": page(
        key(),
        string("group"),
        string("consumer"),
        string("min-idle-time"),
        repeated(string("id")),
        optional(integer("ms", after="IDLE")),
        optional(unix_time("unix-time-milliseconds", after="TIME")),
        optional(integer("count", after="RETRYCOUNT")),
        optional(token("FORCE")),
        optional(token("JUSTID")),
        optional(string("id", after="LASTID")),
    ),
    "XDEL": page(key(), repeated(string("id"))),
    "XGROUP|CREATE": page(
        key(),
        string("groupname"),
        one_of("id", string("id"), token("$", "new_id")),
        optional(token("MKSTREAM")),
        optional(integer("entries_read", after="ENTRIESREAD")),
        history=(("7.0.0", "`entries_read`."),),
    ),
    "XGROUP|CREATECONSUMER": page(key(), string("groupname"), string("consumername")),
    "XGROUP|DELCONSUMER": page(key(), string("groupname"), string("consumername")),
    "XGROUP|DESTROY": page(key(), string("groupname")),
    "XGROUP|SETID": page(
        key(),
        string("groupname"),
        one_of("id", string("id"), token("$", "new_id")),
        optional(integer("entries_read", after="ENTRIESREAD")),
        history=(("7.0.0", "`entries_read`."),),
    ),
    "XINFO|CONSUMERS": page(key(), string("groupname")),
    "XINFO|GROUPS": page(key(), history=(("7.0.0", "`entries-read`, `lag`."),)),
    "XINFO|STREAM": page(
        key(),
        optional(block("full", optional(integer("count", after="COUNT")), after="FULL")),
        history=(
            ("6.0.0", "`FULL`."),
            ("7.0.0", "`max-deleted-entry-id`, `entries-added`, `entries-read`, `lag` and others."),
        ),
    ),
    "XLEN": page(key()),
    "XPENDING": page(
        key(),
        string("group"),
        optional(
            block(
                "filters",
                optional(integer("min-idle-time", after="IDLE", since="6.2.0")),
                string("start"),
                string("end"),
                integer("count"),
                optional(string("consumer")),
            )
        ),
        history=(("6.2.0", "`IDLE`; ends of a range that do not belong to it."),),
    ),
    "XRANGE": page(
        key(),
        string("start"),
        string("end"),
        optional(integer("count", after="COUNT")),
        history=(("6.2.0", "Ends of a range that do not belong to it."),),
    ),
    "XREAD": page(
        optional(integer("count", after="COUNT")),
        optional(integer("milliseconds", after="BLOCK")),
        block("streams", repeated(key()), repeated(string("id")), after="STREAMS"),
    ),
    "XREADGROUP": page(
        block("group_consumer", string("group"), string("consumer"), after="GROUP"),
        optional(integer("count", after="COUNT")),
        optional(integer("milliseconds", after="BLOCK")),
        optional(token("NOACK")),
        block("streams", repeated(key()), repeated(string("id")), after="STREAMS"),
    ),
    "XREVRANGE": page(
        key(),
        string("end"),
        string("start"),
        optional(integer("count", after="COUNT")),
        history=(("6.2.0", "Ends of a range that do not belong to it."),),
    ),
    "XSETID": page(
        key(),
        string("last-id"),
        optional(integer("entries_added", after="ENTRIESADDED", since="7.0.0")),
        optional(string("max_deleted_entry_id", after="MAXDELETEDID", since="7.0.0")),
        history=(("7.0.0", "`entries_added`, `max_deleted_entry_id`."),),
    ),
    "XTRIM": page(
        key(),
        block(
            "trim",
            one_of("strategy", token("MAXLEN"), token("MINID", since="6.2.0")),
            optional(one_of("operator", token("=", "equal"), token("~", "approximately"))),
            string("threshold"),
            optional(integer("count", after="LIMIT", since="6.2.0")),
        ),
        history=(("6.2.0", "`MINID`, `LIMIT`."),),
    ),
}
