"""A selector: a set of commands with the keys and channels on which they may be run.

A user has one selector of their own and may have more (those in parentheses); each stands for
itself. Commands are kept as rows of the registry, each child of a container by itself, so that
`+@all -config|set` needs no rule to be remembered. `future` says whether the last word on all
commands was `+@all`: Redis prints such a selector as what it lacks.
"""

from __future__ import annotations

from functools import cache

from cacheapp.engine import registry
from cacheapp.engine.registry import Command

READ, WRITE = 1, 2

# In the order in which Redis lists them.
CATEGORIES = (
    "keyspace", "read", "write", "set", "sortedset", "list", "hash", "string", "bitmap",
    "hyperloglog", "geo", "stream", "pubsub", "admin", "fast", "slow", "blocking", "dangerous",
    "connection", "transaction", "scripting",
)  # fmt: skip


@cache
def every_command() -> tuple[Command, ...]:
    """All rows, children after their container, by name."""
    found = []
    for row in sorted(registry.rows(), key=lambda row: row.display):
        found += [row, *sorted(row.children.values(), key=lambda child: child.display)]
    return tuple(found)


@cache
def members(category: str) -> tuple[Command, ...]:
    """The rows of a category, by name."""
    return tuple(row for row in every_command() if category in row.categories)


class Selector:
    """What one selector allows.

    `patterns` maps a key pattern to READ, WRITE or both; `first_words` maps a command to the
    arguments with which it may be run although it is not allowed as a whole (`+select|0`).
    """

    __slots__ = (
        "all_channels", "all_keys", "channels", "commands", "first_words", "future", "patterns",
    )  # fmt: skip

    def __init__(self, *, all_channels: bool = False) -> None:
        self.commands: set[Command] = set()
        self.first_words: dict[Command, list[bytes]] = {}
        self.future = False
        self.patterns: dict[bytes, int] = {}
        self.channels: dict[bytes, None] = {}
        self.all_keys = False
        self.all_channels = all_channels

    def copy(self) -> Selector:
        """A selector that allows the same and can be changed without this one."""
        other = Selector(all_channels=self.all_channels)
        other.commands = set(self.commands)
        other.first_words = {row: list(words) for row, words in self.first_words.items()}
        other.future = self.future
        other.patterns = dict(self.patterns)
        other.channels = dict(self.channels)
        other.all_keys = self.all_keys
        return other

    @property
    def allows_everything(self) -> bool:
        """Whether no command can be refused."""
        everywhere = self.all_keys and self.all_channels
        return everywhere and len(self.commands) == len(every_command())

    def set_all(self, *, allowed: bool) -> None:
        """Allow every command, or none."""
        self.commands = set(every_command()) if allowed else set()
        self.future = allowed
        self.first_words.clear()

    def set_command(self, row: Command, *, allowed: bool) -> None:
        """Allow a command with all its children, or take it away."""
        rows = (row, *row.children.values())
        if allowed:
            self.commands.update(rows)
        else:
            self.commands.difference_update(rows)
        self.first_words.pop(row, None)

    def set_category(self, category: str, *, allowed: bool) -> None:
        """Allow all commands of a category, or take them away."""
        for row in members(category):
            self.set_command(row, allowed=allowed)

    def add_first_word(self, row: Command, word: bytes) -> None:
        """Allow a command with this first argument; again is no change."""
        words = self.first_words.setdefault(row, [])
        if word.lower() not in (known.lower() for known in words):
            words.append(word)
