"""The manual's pages of the group `server`."""

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
)

PAGES: dict[str, Page] = {
    "ACL|CAT": page(optional(string("categoryname"))),
    "ACL|DELUSER": page(repeated(string("username"))),
    "ACL|DRYRUN": page(string("username"), string("command"), optional(repeated(string("arg")))),
    "ACL|GENPASS": page(optional(integer("bits"))),
    "ACL|GETUSER": page(
        string("username"),
        history=(
            ("6.2.0", "Patterns of channels."),
            ("7.0.0", "Selectors; patterns are shown as rules, not as lists."),
        ),
    ),
    "ACL|LOG": page(optional(one_of("operation", integer("count"), token("RESET")))),
    "ACL|SETUSER": page(
        string("username"),
        optional(repeated(string("rule"))),
        history=(
            ("6.2.0", "Patterns of channels."),
            ("7.0.0", "Selectors, and permissions by key."),
        ),
    ),
    "BGSAVE": page(optional(token("SCHEDULE", since="3.2.2")), history=(("3.2.2", "`SCHEDULE`."),)),
    "COMMAND|DOCS": page(optional(repeated(string("command-name")))),
    "COMMAND|INFO": page(
        optional(repeated(string("command-name"))),
        history=(("7.0.0", "No argument means all commands."),),
    ),
    "COMMAND|LIST": page(
        optional(
            one_of(
                "filterby",
                string("module-name", after="MODULE"),
                string("category", after="ACLCAT"),
                pattern("pattern", after="PATTERN"),
                after="FILTERBY",
            )
        )
    ),
    "CONFIG|GET": page(
        repeated(block("parameter", string("parameter"))), history=(("7.0.0", "Several patterns."),)
    ),
    "CONFIG|SET": page(
        repeated(block("parameter_value", string("parameter"), string("value"))),
        history=(("7.0.0", "Several parameters."),),
    ),
    "DEBUG": page(is_system=True),
    "FLUSHALL": page(
        optional(one_of("async", token("ASYNC", since="4.0.0"), token("SYNC", since="6.2.0"))),
        history=(
            ("4.0.0", "`ASYNC`."),
            ("6.2.0", "`SYNC`."),
        ),
    ),
    "FLUSHDB": page(
        optional(one_of("async", token("ASYNC", since="4.0.0"), token("SYNC", since="6.2.0"))),
        history=(
            ("4.0.0", "`ASYNC`."),
            ("6.2.0", "`SYNC`."),
        ),
    ),
    "INFO": page(optional(repeated(string("section"))), history=(("7.0.0", "Several sections."),)),
    "LATENCY|GRAPH": page(string("event")),
    "LATENCY|HISTOGRAM": page(optional(repeated(string("command")))),
    "LATENCY|HISTORY": page(string("event")),
    "LATENCY|RESET": page(optional(repeated(string("event")))),
    "LOLWUT": page(optional(integer("version", after="VERSION"))),
    "MEMORY|USAGE": page(key(), optional(integer("count", after="SAMPLES"))),
    "SHUTDOWN": page(
        optional(one_of("nosave_save", token("NOSAVE"), token("SAVE"))),
        optional(token("NOW", since="7.0.0")),
        optional(token("FORCE", since="7.0.0")),
        optional(token("ABORT", since="7.0.0")),
        history=(("7.0.0", "`NOW`, `FORCE`, `ABORT`."),),
    ),
    "SLOWLOG|GET": page(
        optional(integer("count")),
        history=(("4.0.0", "The client's address and name in the reply."),),
    ),
    "SWAPDB": page(integer("index1"), integer("index2")),
}
