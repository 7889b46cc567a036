"""The manual's pages of the group `scripting`."""

from __future__ import annotations

from cacheapp.engine.manual.words import (
    Page,
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
    "EVAL": page(
        string("script"),
        integer("numkeys"),
        optional(repeated(key())),
        optional(repeated(string("arg"))),
    ),
    "EVALSHA": page(
        string("sha1"),
        integer("numkeys"),
        optional(repeated(key())),
        optional(repeated(string("arg"))),
    ),
    "EVALSHA_RO": page(
        string("sha1"),
        integer("numkeys"),
        optional(repeated(key())),
        optional(repeated(string("arg"))),
    ),
    "EVAL_RO": page(
        string("script"),
        integer("numkeys"),
        optional(repeated(key())),
        optional(repeated(string("arg"))),
    ),
    "FCALL": page(
        string("function"),
        integer("numkeys"),
        optional(repeated(key())),
        optional(repeated(string("arg"))),
    ),
    "FCALL_RO": page(
        string("function"),
        integer("numkeys"),
        optional(repeated(key())),
        optional(repeated(string("arg"))),
    ),
    "FUNCTION|DELETE": page(string("library-name")),
    "FUNCTION|FLUSH": page(optional(one_of("async", token("ASYNC"), token("SYNC")))),
    "FUNCTION|LIST": page(
        optional(string("library-name-pattern", after="LIBRARYNAME")), optional(token("WITHCODE"))
    ),
    "FUNCTION|LOAD": page(optional(token("REPLACE")), string("function-code")),
    "FUNCTION|RESTORE": page(
        string("serialized-value"),
        optional(one_of("policy", token("FLUSH"), token("APPEND"), token("REPLACE"))),
    ),
    "SCRIPT|DEBUG": page(one_of("mode", token("YES"), token("SYNC"), token("NO"))),
    "SCRIPT|EXISTS": page(repeated(string("sha1"))),
    "SCRIPT|FLUSH": page(
        optional(one_of("async", token("ASYNC"), token("SYNC"), since="6.2.0")),
        history=(("6.2.0", "`ASYNC`, `SYNC`."),),
    ),
    "SCRIPT|LOAD": page(string("script")),
}
