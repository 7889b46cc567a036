"""CLUSTER, ASKING, READONLY and READWRITE, as a server answers them that is no part of a cluster.

Clients ask in order to find out. Every subcommand exists, has its arity and its flags, and says
that cluster support is disabled, HELP too; a cluster itself is real Redis's business.
"""

from __future__ import annotations

from cacheapp.engine.errors import CLUSTER_DISABLED, CommandError
from cacheapp.engine.registry import command, container
from cacheapp.engine.replies import Reply
from cacheapp.engine.session import Session

_CHANGES = "admin stale no_async_loading"
_TIPS = ("nondeterministic_output",)

# name, arity, flags, tips, since, summary
_CHILDREN = (
    ("ADDSLOTS", -3, _CHANGES, (), "3.0.0", "Gives hash slots to this node."),
    ("ADDSLOTSRANGE", -4, _CHANGES, (), "7.0.0", "Gives ranges of hash slots to this node."),
    ("BUMPEPOCH", 2, _CHANGES, _TIPS, "3.0.0", "Advances the configuration's epoch."),
    ("COUNT-FAILURE-REPORTS", 3, "admin stale", _TIPS, "3.0.0", "Counts reports of a failure."),
    ("COUNTKEYSINSLOT", 3, "stale", (), "3.0.0", "Returns the number of keys in a hash slot."),
    ("DELSLOTS", -3, _CHANGES, (), "3.0.0", "Takes hash slots from this node."),
    ("DELSLOTSRANGE", -4, _CHANGES, (), "7.0.0", "Takes ranges of hash slots from this node."),
    ("FAILOVER", -2, _CHANGES, (), "3.0.0", "Makes a replica take its master's place."),
    ("FLUSHSLOTS", 2, _CHANGES, (), "3.0.0", "Takes all hash slots from this node."),
    ("FORGET", 3, _CHANGES, (), "3.0.0", "Removes a node from the table of nodes."),
    ("GETKEYSINSLOT", 4, "stale", _TIPS, "3.0.0", "Returns keys of a hash slot."),
    ("HELP", 2, "loading stale", (), "5.0.0", "Returns helpful text about the subcommands."),
    ("INFO", 2, "stale", _TIPS, "3.0.0", "Returns the state of the cluster."),
    ("KEYSLOT", 3, "stale", (), "3.0.0", "Returns the hash slot of a key."),
    ("LINKS", 2, "stale", _TIPS, "7.0.0", "Returns the links to other nodes."),
    ("MEET", -4, _CHANGES, (), "3.0.0", "Introduces a node to this one."),
    ("MYID", 2, "stale", (), "3.0.0", "Returns the id of this node."),
    ("NODES", 2, "stale", _TIPS, "3.0.0", "Returns the table of nodes."),
    ("REPLICAS", 3, "admin stale", _TIPS, "5.0.0", "Lists the replicas of a master."),
    ("REPLICATE", 3, _CHANGES, (), "3.0.0", "Makes this node a replica of another."),
    ("RESET", -2, "admin noscript stale", (), "3.0.0", "Makes this node forget the cluster."),
    ("SAVECONFIG", 2, _CHANGES, (), "3.0.0", "Writes the node's configuration to disk."),
    ("SET-CONFIG-EPOCH", 3, _CHANGES, (), "3.0.0", "Sets the epoch of a new node."),
    ("SETSLOT", -4, _CHANGES, (), "3.0.0", "Assigns a hash slot, or begins to move it."),
    ("SHARDS", 2, "stale", _TIPS, "7.0.0", "Returns the shards with their hash slots."),
    ("SLAVES", 3, "admin stale", _TIPS, "3.0.0", "Lists the replicas of a master."),
    ("SLOTS", 2, "stale", _TIPS, "3.0.0", "Returns which nodes serve which hash slots."),
)  # fmt: skip


def _refuse(_ctx: Session, *_arguments: bytes) -> Reply:
    raise CommandError(CLUSTER_DISABLED)


container("CLUSTER", group="cluster", since="3.0.0", summary="Commands of a cluster's nodes.")
for _name, _arity, _flags, _tips, _since, _summary in _CHILDREN:
    command(
        f"CLUSTER|{_name}",
        arity=_arity,
        flags=_flags,
        group="cluster",
        since=_since,
        summary=_summary,
        tips=_tips,
    )(_refuse)

command(
    "ASKING", arity=1, flags="fast", group="cluster", since="3.0.0", categories="connection",
    summary="Announces that a redirection of a slot on the move was followed.",
)(_refuse)  # fmt: skip
command(
    "READONLY", arity=1, flags="fast loading stale", group="cluster", since="3.0.0",
    categories="connection", summary="Lets the connection read from a replica.",
)(_refuse)  # fmt: skip
command(
    "READWRITE", arity=1, flags="fast loading stale", group="cluster", since="3.0.0",
    categories="connection", summary="Takes READONLY back.",
)(_refuse)  # fmt: skip
