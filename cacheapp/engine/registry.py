"""The command table: one row a command, and everything that reads a row.

`@command(...)` records a row beside the function that does the work and returns the function
unchanged. Arity, the OOM guard, MULTI, COMMAND, ACL categories, key extraction and the generated
documentation all read that row, so what is true of a command is written once. Where its keys are
is said in the words of `keyspecs`; the syntax of its arguments, which only COMMAND DOCS reads,
stands in `manual`.
"""

from __future__ import annotations

import importlib
import pkgutil
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from cacheapp.engine.errors import CommandError, unknown_command, unknown_subcommand, wrong_arity
from cacheapp.engine.keyspecs import (
    KeyAccess,
    KeyFinder,
    KeySpec,
    NotFound,
    first_last_step,
    keys_at,
)

Handler = Callable[..., Any]
F = TypeVar("F", bound=Handler)

# Commands that are no writes, and yet reach replicas in Redis.
MAY_REPLICATE = frozenset({"EVAL", "EVALSHA", "FCALL", "PFCOUNT", "PUBLISH", "SPUBLISH"})

# first key, last key (negative: from the end), step; (0, 0, 0) for none
KeyRange = tuple[int, int, int]

# Categories that follow from the group of a command, as Redis derives them.
_GROUP_CATEGORIES = {
    "generic": "keyspace",
    "string": "string",
    "bitmap": "bitmap",
    "hash": "hash",
    "list": "list",
    "set": "set",
    "sorted-set": "sortedset",
    "stream": "stream",
    "hyperloglog": "hyperloglog",
    "geo": "geo",
    "pubsub": "pubsub",
    "transactions": "transaction",
    "scripting": "scripting",
    "connection": "connection",
}
_FLAG_CATEGORIES = {
    "write": "write",
    "readonly": "read",
    "admin": "admin",
    "blocking": "blocking",
    "pubsub": "pubsub",
    "fast": "fast",
}


@dataclass(slots=True, eq=False)
class Command:
    """A row of the table.

    `name` is upper case (`OBJECT|ENCODING` for a child of a container); `arity` counts the name
    itself and is negative for "at least"; `flags` are Redis's; `specs` say where the keys are and
    what is done with them, `keys` the same as far as (first, last, step) can, and `find_keys`
    answers where the specifications cannot. `shaped`: the reply differs between RESP2 and RESP3.
    """

    name: str
    handler: Handler
    arity: int
    flags: frozenset[str]
    specs: tuple[KeySpec, ...] = ()
    find_keys: KeyFinder | None = None
    group: str = "generic"
    since: str = "1.0.0"
    complexity: str = ""
    summary: str = ""
    categories: frozenset[str] = frozenset()
    tips: tuple[str, ...] = ()
    shaped: bool = False
    parent: Command | None = None
    children: dict[bytes, Command] = field(default_factory=dict)
    # Derived once, read on every call.
    display: str = ""
    keys: KeyRange = (0, 0, 0)
    has_keys: bool = False
    keys_vary: bool = False
    is_write: bool = False
    deny_oom: bool = False
    skip: int = 1
    no_script: bool = False
    only_reads: bool = False
    # It works on keys alone: neither waits nor asks for the state of its session.
    only_keys: bool = False
    # How many words a command has, the name included; no number will do for a container.
    count_min: int = 0
    count_max: int = 0

    def key_accesses(self, args: list[bytes]) -> list[KeyAccess]:
        """The position of each key in `args` (command name included), with what is done to it.

        Nothing where the arguments do not fit: the command itself will say what is wrong.
        """
        if not self.keys_vary:
            try:
                return [
                    (position, spec.access)
                    for spec in self.specs
                    if spec.access.is_key
                    for position in spec.positions(args)
                ]
            except NotFound:
                pass
        return [] if self.find_keys is None else self.find_keys(args)

    def key_positions(self, args: list[bytes]) -> list[int]:
        """Indexes into `args` (command name included) that hold keys."""
        return [position for position, _ in self.key_accesses(args)]


COMMANDS: dict[bytes, Command] = {}


def command(
    name: str,
    *,
    arity: int,
    flags: str = "",
    keys: KeyRange | KeySpec | tuple[KeySpec, ...] = (),
    key_flags: str = "",
    find_keys: KeyFinder | None = None,
    group: str,
    since: str = "1.0.0",
    complexity: str = "O(1)",
    summary: str = "",
    categories: str = "",
    tips: Iterable[str] = (),
    shaped: bool = False,
) -> Callable[[F], F]:
    """Record the decorated function as the command `name`; return it unchanged.

    `flags` and `categories` (beyond those that group and flags imply; with a minus, one less) are
    separated by spaces. `keys` is (first, last, step) together with `key_flags`, what the command
    does with all of them in Redis's words ("RW access update"), or one or several specifications
    made by `keyspecs`; `find_keys` finds what these cannot, or flags that vary. The handler is
    called as `handler(session, *arguments)` with the command's own name (and, for a child, its
    container's) taken off.
    """

    def record(handler: F) -> F:
        row = Command(
            name=name,
            handler=handler,
            arity=arity,
            flags=frozenset(flags.split()),
            specs=_specs(keys, key_flags),
            find_keys=find_keys,
            group=group,
            since=since,
            complexity=complexity,
            summary=summary,
            tips=tuple(tips),
            shaped=shaped,
        )
        _derive(row, categories)
        _insert(row)
        return handler

    return record


def container(
    name: str, *, group: str, since: str, summary: str, arity: int = -2, flags: str = ""
) -> None:
    """Record a command that only holds children (CONFIG, OBJECT, CLIENT …)."""

    def refuse(_session: Any, *arguments: bytes) -> Any:
        raise unknown_subcommand(name, arguments[0])

    command(
        name,
        arity=arity,
        flags=flags,
        group=group,
        since=since,
        summary=summary,
        # Redis gives the children their group's category, but not the container.
        categories=f"-{_GROUP_CATEGORIES.get(group, '')}",
    )(refuse)


def _specs(keys: KeyRange | KeySpec | tuple[KeySpec, ...], key_flags: str) -> tuple[KeySpec, ...]:
    if isinstance(keys, KeySpec):
        return (keys,)
    if keys and isinstance(keys[0], int):
        first, last, step = keys
        assert isinstance(last, int) and isinstance(step, int)
        return (keys_at(first, last, step, key_flags),)
    return tuple(spec for spec in keys if isinstance(spec, KeySpec))


def _derive(row: Command, categories: str) -> None:
    row.display = row.name.lower()
    row.keys, movable = first_last_step(row.specs)
    if movable:
        row.flags |= {"movablekeys"}
    row.has_keys = any(spec.access.is_key for spec in row.specs)
    row.keys_vary = any(
        not {"variable_flags", "incomplete"}.isdisjoint(spec.access.flags) for spec in row.specs
    )
    row.is_write = "write" in row.flags
    row.deny_oom = "denyoom" in row.flags
    row.skip = 2 if "|" in row.name else 1
    row.no_script = "noscript" in row.flags
    row.only_reads = "readonly" in row.flags and not row.no_script
    row.only_keys = (
        row.has_keys
        and row.skip == 1
        and row.flags.isdisjoint(("noscript", "blocking", "no_multi"))
    )
    row.count_min = abs(row.arity)
    row.count_max = row.arity if row.arity > 0 else sys.maxsize
    words = set(categories.split())
    found = {word for word in words if not word.startswith("-")}
    found.update(word for flag, word in _FLAG_CATEGORIES.items() if flag in row.flags)
    if row.group in _GROUP_CATEGORIES:
        found.add(_GROUP_CATEGORIES[row.group])
    if "admin" in row.flags:
        found.add("dangerous")
    if row.group == "scripting":
        found.discard("read")
    found -= {word[1:] for word in words if word.startswith("-")}
    if "fast" not in found:
        found.add("slow")
    row.categories = frozenset(found)


def _insert(row: Command) -> None:
    name = row.name.encode()
    if row.skip == 2:
        parent_name, _, child_name = name.partition(b"|")
        row.parent = COMMANDS[parent_name]
        row.parent.children[child_name] = row
        # Its children have to be looked up.
        row.parent.count_max = 0
    else:
        # Both spellings, so that the usual lookup needs no upper().
        COMMANDS[name] = COMMANDS[name.lower()] = row


def lookup(args: list[bytes]) -> Command:
    """The row for a full argument list, its arity verified; raises CommandError."""
    row = COMMANDS.get(args[0])
    if row is None:
        row = COMMANDS.get(args[0].upper())
        if row is None:
            raise unknown_command(args)
    count = len(args)
    if row.children and count > 1:
        child = row.children.get(args[1].upper())
        if child is None:
            raise unknown_subcommand(row.name, args[1])
        row = child
    arity = row.arity
    if (count != arity) if arity > 0 else (count < -arity):
        raise wrong_arity(row.display)
    return row


def resolve(args: list[bytes]) -> Command | None:
    """The row for a full argument list, whatever its arity; None where there is none."""
    row = COMMANDS.get(args[0].upper())
    if row is not None and row.children and len(args) > 1:
        return row.children.get(args[1].upper())
    return row


def find(name: bytes) -> Command | None:
    """The row named `name` (`config|get` for a child, any case), or None."""
    parent, _, child = name.upper().partition(b"|")
    row = COMMANDS.get(parent)
    if row is None or not child:
        return row
    return row.children.get(child)


def rows() -> list[Command]:
    """Every top-level row once, in order of definition."""
    return [row for name, row in COMMANDS.items() if name.isupper()]


def load_commands() -> None:
    """Import every module of `engine/commands`, which fills the table."""
    package = importlib.import_module("cacheapp.engine.commands")
    for module in pkgutil.iter_modules(package.__path__):
        importlib.import_module(f"{package.__name__}.{module.name}")


__all__ = [
    "COMMANDS",
    "Command",
    "CommandError",
    "command",
    "container",
    "find",
    "load_commands",
    "lookup",
    "resolve",
    "rows",
]
