"""The manual's pages of the group `cluster`."""

from __future__ import annotations

from cacheapp.engine.manual.words import (
    Page,
    block,
    integer,
    one_of,
    optional,
    page,
    repeated,
    string,
    token,
)

PAGES: dict[str, Page] = {
    "CLUSTER|ADDSLOTS": page(repeated(integer("slot"))),
    "CLUSTER|ADDSLOTSRANGE": page(
        repeated(block("start-slot_end-slot", integer("start-slot"), integer("end-slot")))
    ),
    "CLUSTER|COUNT-FAILURE-REPORTS": page(string("node-id")),
    "CLUSTER|COUNTKEYSINSLOT": page(integer("slot")),
    "CLUSTER|DELSLOTS": page(repeated(integer("slot"))),
    "CLUSTER|DELSLOTSRANGE": page(
        repeated(block("start-slot_end-slot", integer("start-slot"), integer("end-slot")))
    ),
    "CLUSTER|FAILOVER": page(optional(one_of("options", token("FORCE"), token("TAKEOVER")))),
    "CLUSTER|FORGET": page(string("node-id")),
    "CLUSTER|GETKEYSINSLOT": page(integer("slot"), integer("count")),
    "CLUSTER|KEYSLOT": page(string("key")),
    "CLUSTER|MEET": page(
        string("ip"),
        integer("port"),
        optional(integer("cluster_bus_port", since="4.0.0")),
        history=(("4.0.0", "`cluster_bus_port`."),),
    ),
    "CLUSTER|REPLICAS": page(string("node-id")),
    "CLUSTER|REPLICATE": page(string("node-id")),
    "CLUSTER|RESET": page(optional(one_of("hard_soft", token("HARD"), token("SOFT")))),
    "CLUSTER|SET-CONFIG-EPOCH": page(integer("config-epoch")),
    "CLUSTER|SETSLOT": page(
        integer("slot"),
        one_of(
            "subcommand",
            string("node-id", after="IMPORTING"),
            string("node-id", after="MIGRATING"),
            string("node-id", after="NODE"),
            token("STABLE"),
        ),
    ),
    "CLUSTER|SLAVES": page(string("node-id"), deprecated=("5.0.0", "`CLUSTER REPLICAS`")),
    "CLUSTER|SLOTS": page(
        history=(
            ("4.0.0", "Ids of nodes."),
            ("7.0.0", "More about the network of a node."),
        ),
        deprecated=("7.0.0", "`CLUSTER SHARDS`"),
    ),
}
