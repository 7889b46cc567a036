"""Where the keys of a command are and what it does with them: Redis 7's key specifications.

A row of the table has one specification for each place where keys stand, as RENAME reads one key
and overwrites another. It says where the search begins (an index, or the word after which keys
follow) and how the keys go on from there (a range, or as many as an argument counts). Where
neither can tell (SORT's STORE), a function of the command does: see `Command.key_accesses`.

Left out on purpose: ACL rules and tracking, which read what is found here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

from cacheapp.engine.arguments import parse_int
from cacheapp.engine.errors import CommandError


@dataclass(frozen=True, slots=True)
class Access:
    """What a command does with a key: Redis's flags, and the two questions of ACL."""

    flags: tuple[str, ...]
    reads: bool
    writes: bool
    is_key: bool


@cache
def access(flags: str) -> Access:
    """The access that Redis's words say ("RW access update"), one object for equal words."""
    words = tuple(flags.split())
    writes = not {"insert", "update", "delete"}.isdisjoint(words)
    return Access(words, "access" in words, writes, "not_key" not in words)


# The position of a key among the arguments (the command's name has position 0), and its access.
KeyAccess = tuple[int, Access]
KeyFinder = Callable[[list[bytes]], list[KeyAccess]]


class NotFound(ValueError):
    """The arguments are not such that the specification can say where the keys are."""


@dataclass(frozen=True, slots=True)
class Index:
    """The search begins at a position."""

    position: int

    def begin(self, _args: list[bytes]) -> int:
        """The position of the first key, or of the count of keys."""
        return self.position


@dataclass(frozen=True, slots=True)
class Keyword:
    """The search begins after a word, which is looked for from position `start` on.

    A negative `start` counts from the end, and the search goes backwards from there.
    """

    word: bytes
    start: int

    def begin(self, args: list[bytes]) -> int:
        """The position after the word, or 0 where it does not stand."""
        size = len(args)
        places = range(self.start, size) if self.start > 0 else range(size + self.start, 1, -1)
        for position in places:
            if args[position].upper() == self.word:
                return position + 1
        return 0


@dataclass(frozen=True, slots=True)
class Range:
    """Keys up to `last`: counted from the first one, or when negative from the end.

    `limit`, with a `last` of -1: only the first 1/limit of what follows are keys.
    """

    last: int
    step: int = 1
    limit: int = 0

    def positions(self, args: list[bytes], first: int) -> range:
        """Where the keys are when the search began at `first`."""
        if self.last >= 0:
            end = first + self.last
        elif self.limit:
            end = first + (len(args) - first) // self.limit + self.last
        else:
            end = len(args) + self.last
        return range(first, end + 1, self.step)


@dataclass(frozen=True, slots=True)
class Counted:
    """As many keys as the argument says at which the search began; they follow it."""

    def positions(self, args: list[bytes], first: int) -> range:
        """Where the keys are when the count stands at `first`; NotFound for no number."""
        if first >= len(args):
            raise NotFound
        try:
            count = parse_int(args[first])
        except CommandError:
            raise NotFound from None
        return range(first + 1, first + 1 + count)


@dataclass(frozen=True, slots=True)
class KeySpec:
    """One place of keys. `begin` and `find` are both None where only the command can tell."""

    access: Access
    begin: Index | Keyword | None
    find: Range | Counted | None
    note: str = ""

    def positions(self, args: list[bytes]) -> range:
        """Where its keys are among `args`; NotFound where the arguments do not fit."""
        if self.begin is None or self.find is None:
            raise NotFound
        first = self.begin.begin(args)
        if first == 0:
            return range(0)
        found = self.find.positions(args, first)
        if not found or found.stop > len(args):
            raise NotFound
        return found


def keys_at(first: int, last: int, step: int, flags: str, *, note: str = "") -> KeySpec:
    """Keys from position `first` to `last` (negative: from the end), every `step` arguments."""
    end = last - first if last >= 0 else last
    return KeySpec(access(flags), Index(first), Range(end, step), note)


def key_at(position: int, flags: str, *, note: str = "") -> KeySpec:
    """One key at a position."""
    return keys_at(position, position, 1, flags, note=note)


def keys_counted_at(position: int, flags: str, *, note: str = "") -> KeySpec:
    """Keys after the argument at `position`, which says how many."""
    return KeySpec(access(flags), Index(position), Counted(), note)


def keys_after(word: str, start: int, find: Range, flags: str) -> KeySpec:
    """Keys after a word that stands at `start` or later, as `find` says; none without it."""
    return KeySpec(access(flags), Keyword(word.encode(), start), find)


def keys_somewhere(flags: str, *, note: str) -> KeySpec:
    """Keys that only the command itself can find; `note` says why."""
    return KeySpec(access(flags), None, None, note)


def first_last_step(specs: tuple[KeySpec, ...]) -> tuple[tuple[int, int, int], bool]:
    """The (first, last, step) of the days before specifications, and whether it misses keys.

    Adjacent ranges become one; what is no range at a fixed position cannot be said so.
    """
    if len(specs) == 1 and isinstance(specs[0].begin, Index) and isinstance(specs[0].find, Range):
        first, find = specs[0].begin.position, specs[0].find
        return (first, find.last + first if find.last >= 0 else find.last, find.step), False
    first = last = 0
    misses = False
    for spec in specs:
        begin, find_keys = spec.begin, spec.find
        if (
            not (isinstance(begin, Index) and isinstance(find_keys, Range))
            or find_keys.step != 1
            or (last and last != begin.position - 1)
        ):
            misses = True
        else:
            first = first or begin.position
            last = find_keys.last + begin.position if find_keys.last >= 0 else find_keys.last
    return (first, last, 1 if first else 0), misses
