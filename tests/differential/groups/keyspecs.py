"""Which arguments are keys, and what is done with them: asked of the commands of all groups."""

from __future__ import annotations

from hypothesis import strategies as st

from tests.differential.grammar import Group, seq, word
from tests.differential.groups import functions, mixed, pubsub, scripting, transactions

OTHERS = (functions, pubsub, scripting, transactions)
ASKED = st.one_of(
    mixed.ANYTHING,
    mixed.WAITING,
    *[command for module in OTHERS for command in module.GROUP.commands],
)

COMMANDS = [
    seq("COMMAND GETKEYS", ASKED),
    seq("COMMAND GETKEYSANDFLAGS", ASKED),
    seq("COMMAND GETKEYSANDFLAGS", ASKED),
    seq("COMMAND GETKEYSANDFLAGS", word("NOPE", "PING", "CONFIG", "OBJECT", "XGROUP"), "a b c"),
]

GROUP = Group("keyspecs", COMMANDS)
