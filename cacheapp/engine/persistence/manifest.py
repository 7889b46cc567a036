"""The manifest of a log: which files it consists of, in Redis 7's own format.

A log is a base, which is a dump, and files of the changes since then, in order. Lines that name
files of the past (`type h`) say what may be removed: a crash may have come before that was done.
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import Final

from cacheapp.engine.persistence.encoding import CorruptPayload

_BASE, _CHANGES, _PAST = "b", "i", "h"
_WORDS: Final = 6


NumberedFile = tuple[str, int]


@dataclass(frozen=True, slots=True)
class Manifest:
    """The base's name and number (None: there is none), and those of the files of changes."""

    base: NumberedFile | None = None
    changes: tuple[NumberedFile, ...] = ()
    # What counted before.
    past: tuple[NumberedFile, ...] = ()

    @property
    def files(self) -> tuple[NumberedFile, ...]:
        """All that count, in order."""
        return (*((self.base,) if self.base else ()), *self.changes)

    @property
    def next_base(self) -> int:
        """The number of the next base."""
        return self.base[1] + 1 if self.base else 1

    @property
    def next_changes(self) -> int:
        """The number of the next file of changes."""
        return self.changes[-1][1] + 1 if self.changes else 1

    def with_changes(self, name: str, number: int) -> Manifest:
        """The same with one more file of changes."""
        return Manifest(self.base, (*self.changes, (name, number)), self.past)

    def with_past(self, past: tuple[NumberedFile, ...]) -> Manifest:
        """The same with these files of the past."""
        return Manifest(self.base, self.changes, past)

    def packed(self) -> bytes:
        """The manifest's bytes."""
        rows = [(_BASE, self.base)] if self.base else []
        rows += [(_PAST, file) for file in self.past] + [(_CHANGES, file) for file in self.changes]
        lines = [
            f"file {_quoted(name)} seq {number} type {kind}\n" for kind, (name, number) in rows
        ]
        return "".join(lines).encode("utf-8", "surrogateescape")


def _quoted(name: str) -> str:
    if name and not set(name) & set(" \"'\\"):
        return name
    escaped = name.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def unpacked(data: bytes) -> Manifest:
    """The manifest in `data`; CorruptPayload."""
    base: NumberedFile | None = None
    changes: list[NumberedFile] = []
    past: list[NumberedFile] = []
    for line in data.decode("utf-8", "surrogateescape").splitlines():
        if not line.strip() or line.startswith("#"):
            continue
        name, number, kind = _fields(line)
        if kind == _BASE and base is None:
            base = name, number
        elif kind == _CHANGES and (not changes or number > changes[-1][1]):
            changes.append((name, number))
        elif kind == _PAST:
            past.append((name, number))
        else:
            raise CorruptPayload(f"its line {line!r} is out of place")
    return Manifest(base, tuple(changes), tuple(past))


def _fields(line: str) -> tuple[str, int, str]:
    try:
        words = shlex.split(line)
    except ValueError:
        words = []
    if len(words) >= _WORDS and words[::2][:3] == ["file", "seq", "type"] and words[3].isdigit():
        name = words[1]
        if name and "/" not in name:
            return name, int(words[3]), words[5]
    raise CorruptPayload(f"its line {line!r} cannot be read")
