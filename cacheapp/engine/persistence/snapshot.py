"""Everything that an engine holds, as bytes, and back: what DEBUG RELOAD is made of.

Each value goes out and in through the formats of RDB, so a reload proves them on real data, and
encodings are decided anew. As in an RDB file, idleness and use counters are kept only where the
eviction policy reads them, and keys that have come due meanwhile are left out. No file: that is
for later modules to build on this one.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from cacheapp.engine.errors import CommandError
from cacheapp.engine.fieldexpiry import expect_fields
from cacheapp.engine.persistence.encoding import CorruptPayload, Reader
from cacheapp.engine.persistence.objects import load_value, save_value

if TYPE_CHECKING:
    from cacheapp.engine.engine import Engine


@dataclass(frozen=True, slots=True)
class Entry:
    """A key with its value in RDB's bytes; the deadline in milliseconds (0: none)."""

    database: int
    key: bytes
    body: bytes
    deadline_ms: int
    access: float


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What an engine held at one time: keys of all databases, texts of libraries."""

    entries: list[Entry] = field(default_factory=list)
    libraries: list[bytes] = field(default_factory=list)


def taken(engine: Engine) -> Snapshot:
    """A snapshot of `engine` as it is now."""
    entries = [
        Entry(
            database.index,
            key,
            save_value(database.peek(key), engine.config, newest=True),
            database.deadline(key),
            database.access(key),
        )
        for database in engine.databases
        for key in database
    ]
    libraries = [library.code for library in engine.functions.libraries.values()]
    return Snapshot(entries, libraries)


def load(engine: Engine, snapshot: Snapshot, *, merge: bool) -> None:
    """Add what is in `snapshot` to `engine`; with `merge`, in place of what has the same names.

    Raises CorruptPayload where names are taken and `merge` is not given.
    """
    try:
        engine.functions.restore(snapshot.libraries, replace=merge, flush=False)
    except CommandError as error:
        raise CorruptPayload(str(error)) from None
    keep_access = engine.config["maxmemory-policy"].endswith(("-lru", "-lfu"))
    for entry in snapshot.entries:
        if 0 < entry.deadline_ms < engine.now_ms:
            continue
        database = engine.databases[entry.database]
        value = load_value(Reader(entry.body), engine.config)
        if database.discard(entry.key) and not merge:
            raise CorruptPayload("a key that is there")
        database.put(entry.key, value)
        expect_fields(database, entry.key, value)
        database.set_deadline(entry.key, entry.deadline_ms)
        if keep_access:
            database.accesses[database.slots[entry.key]] = entry.access
        database.noted(entry.key)
