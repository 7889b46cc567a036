"""What is refused outside a cluster."""

from __future__ import annotations

from tests.differential.grammar import TEXT, Group, many, seq, word

COMMANDS = [
    seq(
        "CLUSTER",
        word(
            "INFO", "SLOTS", "NODES", "SHARDS", "MYID", "KEYSLOT", "HELP", "MEET", "RESET", "NOPE"
        ),
        many(TEXT, low=0, high=3),
    ),
    seq("ASKING"),
    seq("READONLY"),
    seq("READWRITE"),
    seq("MULTI"),
    seq("EXEC"),
]

GROUP = Group("cluster", COMMANDS)
