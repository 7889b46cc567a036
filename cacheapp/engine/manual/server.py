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
    "FAILOVER": page(
        optional(
            block("target", string("host"), integer("port"), optional(token("FORCE")), after="TO")
        ),
        optional(token("ABORT")),
        optional(integer("milliseconds", after="TIMEOUT")),
    ),
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
    "MODULE|LOAD": page(string("path"), optional(repeated(string("arg")))),
    "MODULE|LOADEX": page(
        string("path"),
        optional(
            repeated(block("configs", string("name"), string("value"), after="CONFIG"), token=True)
        ),
        optional(repeated(block("args", string("arg"), after="ARGS"))),
    ),
    "MODULE|UNLOAD": page(string("name")),
    "PSYNC": page(string("replicationid"), integer("offset")),
    "REPLCONF": page(is_system=True),
    "REPLICAOF": page(
        one_of(
            "args",
            block("host-port", string("host"), integer("port")),
            block("no-one", token("NO"), token("ONE")),
        )
    ),
    "RESTORE-ASKING": page(
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
        is_system=True,
    ),
    "SHUTDOWN": page(
        optional(one_of("nosave_save", token("NOSAVE"), token("SAVE"))),
        optional(token("NOW", since="7.0.0")),
        optional(token("FORCE", since="7.0.0")),
        optional(token("ABORT", since="7.0.0")),
        history=(("7.0.0", "`NOW`, `FORCE`, `ABORT`."),),
    ),
    "SLAVEOF": page(
        one_of(
            "args",
            block("host-port", string("host"), integer("port")),
            block("no-one", token("NO"), token("ONE")),
        ),
        deprecated=("5.0.0", "`REPLICAOF`"),
    ),
    "SLOWLOG|GET": page(
        optional(integer("count")),
        history=(("4.0.0", "The client's address and name in the reply."),),
    ),
    "SWAPDB": page(integer("index1"), integer("index2")),
}
