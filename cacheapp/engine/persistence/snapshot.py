"""Everything that an engine holds at one time, and how that is put into an engine.

A snapshot is taken under the lock and written without it. So the columns are copied and each value
that can change with them; nothing is turned into bytes meanwhile. Keys that have come due are in
it, and are left out where it is loaded, as in an RDB file. `rdb` turns snapshots into bytes.
"""

from __future__ import annotations

import gc
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from cacheapp.engine.errors import CommandError
from cacheapp.engine.fieldexpiry import expect_fields
from cacheapp.engine.persistence.encoding import CorruptPayload
from cacheapp.engine.values import FloatString

if TYPE_CHECKING:
    from cacheapp.engine.database import Database
    from cacheapp.engine.engine import Engine

# An access that nobody knows: the key counts as one that is new.
UNKNOWN = -1.0
_UNCHANGING = frozenset({bytes, int, FloatString, type(None)})


@dataclass(slots=True)
class Part:
    """The keys of one database, column by column; a key of None is a slot that is not in use."""

    index: int
    keys: Sequence[bytes | None] = ()
    values: Sequence[Any] = ()
    deadlines: Sequence[int] = ()
    accesses: Sequence[float] = ()


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What an engine held at one time: keys of all databases, texts of libraries."""

    parts: list[Part] = field(default_factory=list)
    libraries: list[bytes] = field(default_factory=list)

    @property
    def count(self) -> int:
        """How many keys there are."""
        return sum(len(part.keys) - list(part.keys).count(None) for part in self.parts)


def viewed(engine: Engine) -> Snapshot:
    """What `engine` holds itself, for who sees to it that nothing changes meanwhile."""
    parts = [
        Part(each.index, each.keys, each.values, each.deadlines, each.accesses)
        for each in engine.databases
        if len(each)
    ]
    return Snapshot(parts, _codes(engine))


def _codes(engine: Engine) -> list[bytes]:
    return [library.code for library in engine.functions.libraries.values()]


def taken(engine: Engine) -> Snapshot:
    """A snapshot of `engine` as it is now."""
    collects = gc.isenabled()
    # So many new objects would set it off again and again, and there is no garbage among them.
    gc.disable()
    try:
        parts = [_copied(database) for database in engine.databases if len(database)]
    finally:
        if collects:
            gc.enable()
    return Snapshot(parts, _codes(engine))


def _copied(database: Database) -> Part:
    unchanging = _UNCHANGING
    values = [
        value
        if type(value) in unchanging
        else value.copy()
        for value in database.values
    ]  # fmt: skip
    return Part(
        database.index,
        database.keys[:],
        values,
        database.deadlines[:],
        database.accesses[:],
    )


def load(engine: Engine, snapshot: Snapshot, *, merge: bool, due_too: bool = False) -> int:
    """Put what is in `snapshot` into `engine`; how many keys were left out because they are due.

    With `merge` it takes the place of what has the same names, else CorruptPayload is raised
    where names are taken, and for databases that the engine has not; then nothing has changed.
    With `due_too` nothing is left out: changes that follow may still concern such a key.
    """
    for part in snapshot.parts:
        _check(engine, part, merge)
    try:
        engine.functions.restore(snapshot.libraries, replace=merge, flush=False)
    except CommandError as error:
        raise CorruptPayload(str(error)) from None
    now_ms = 0 if due_too else engine.now_ms
    left_out = 0
    for part in snapshot.parts:
        database = engine.databases[part.index]
        for key, value, deadline_ms, access in zip(
            part.keys, part.values, part.deadlines, part.accesses, strict=True
        ):
            if key is None:
                continue
            if 0 < deadline_ms < now_ms:
                left_out += 1
                continue
            if merge:
                database.discard(key)
            database.put(key, value)
            expect_fields(database, key, value)
            if deadline_ms:
                database.set_deadline(key, deadline_ms)
            if access != UNKNOWN:
                database.accesses[database.slots[key]] = access
            database.noted(key)
    return left_out


def _check(engine: Engine, part: Part, merge: bool) -> None:
    if part.index >= len(engine.databases):
        raise CorruptPayload(f"keys in database {part.index}, and there are fewer databases")
    names = [key for key in part.keys if key is not None]
    if len(set(names)) != len(names):
        raise CorruptPayload("a key twice")
    database = engine.databases[part.index]
    if not merge and len(database) and any(key in database for key in names):
        raise CorruptPayload("a key that is there")
