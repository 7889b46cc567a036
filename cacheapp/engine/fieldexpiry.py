"""The expiry of hash fields: which hashes have deadlines, and taking away what is due.

Each database knows the keys of such hashes (`FieldDeadlines`) with the time at which to look at
them next, in a heap, so that the cycle asks only for what is due. That time may be too early, since
a field may have lost its deadline meanwhile; it is corrected when it comes.

As in Redis 7.4 a command that asks for a due field takes it away (`drop_due`), one that lists
fields hides those that are due, and HLEN and HDEL count them. The rest is the cycle's. HPERSIST and
HEXPIRE take due ones away too: done again from a log, they would bring them back.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable
from typing import TYPE_CHECKING

from cacheapp.engine.structures.expiringhash import ExpiringHash
from cacheapp.engine.structures.hash import Hash

if TYPE_CHECKING:
    from cacheapp.engine.database import Database

# The latest deadline: Redis keeps two of 48 bits for itself.
DEADLINE_MS_MAX = 2**46 - 1
# Fields of one hash that the cycle takes away before it looks at the clock.
_STRETCH_FIELDS = 128
_OLD_ENTRIES_MAX = 64


class FieldDeadlines:
    """The keys of a database that hold a hash with deadlines, and when to look at each."""

    __slots__ = ("_due_ms", "_order")

    def __init__(self) -> None:
        self._due_ms: dict[bytes, int] = {}
        self._order: list[tuple[int, bytes]] = []

    def __len__(self) -> int:
        return len(self._due_ms)

    def expect(self, key: bytes, due_ms: int) -> None:
        """Look at `key` at `due_ms`, or earlier if that was planned."""
        known = self._due_ms.get(key)
        if known is not None and known <= due_ms:
            return
        self._due_ms[key] = due_ms
        heapq.heappush(self._order, (due_ms, key))
        if len(self._order) > 2 * len(self._due_ms) + _OLD_ENTRIES_MAX:
            self._order = [(due, name) for name, due in self._due_ms.items()]
            heapq.heapify(self._order)

    def forget(self, key: bytes) -> None:
        """Take `key` off; no error where it is not there."""
        self._due_ms.pop(key, None)

    def first_due(self, now_ms: int) -> bytes | None:
        """A key to look at now, or None."""
        order = self._order
        while order and self._due_ms.get(order[0][1]) != order[0][0]:
            heapq.heappop(order)
        return order[0][1] if order and order[0][0] < now_ms else None


def expect_fields(database: Database, key: bytes, value: object) -> None:
    """Note that `key` has come to hold `value`, if that is a hash with deadlines.

    For all that puts a whole value in a place: RENAME, MOVE, COPY, RESTORE.
    """
    if isinstance(value, ExpiringHash) and (due_ms := value.next_due_ms()):
        if database.field_deadlines is None:
            database.field_deadlines = FieldDeadlines()
        database.field_deadlines.expect(key, due_ms)


def build_hash(
    entries: Iterable[tuple[bytes, bytes, int]], entries_max: int, value_bytes_max: int
) -> Hash:
    """A hash of fields, values and deadlines (0: none), as `Hash.entries` gives them.

    The limits are those of a listpack. Who puts it at a key calls `expect_fields` then.
    """
    made = Hash()
    for field, value, deadline_ms in entries:
        made.put(field, value, entries_max, value_bytes_max)
        if deadline_ms:
            if not isinstance(made, ExpiringHash):
                made = ExpiringHash.of(made)
            made.set_deadline(field, deadline_ms)
    return made


def drop_due(
    database: Database, key: bytes, found: ExpiringHash, fields: Iterable[bytes] | None = None
) -> None:
    """Take the due ones of `fields` (None: of all) out of the hash at `key`, and say so.

    The key goes with its last field.
    """
    now_ms = database.engine.now_ms
    if fields is None:
        removed = found.remove_due(now_ms, len(found))
    else:
        removed = [field for field in fields if found.is_due(field, now_ms) and found.remove(field)]
    if removed:
        _announce(database, key, found, removed)


def _announce(database: Database, key: bytes, found: ExpiringHash, removed: list[bytes]) -> None:
    """Count and tell of fields that were due."""
    engine = database.engine
    engine.stats.expired_subkeys += len(removed)
    dirty = engine.dirty
    database.removed_from(key, found, b"hexpired")
    if engine.propagation is not None:
        engine.propagation.removed_fields(database, key, removed, engine.dirty - dirty)


def reclaim_fields(database: Database, until: float) -> bool:
    """Take away due fields until there are none or the clock says `until`; whether some are left.

    The part of the expiry cycle that concerns hashes.
    """
    engine, waiting = database.engine, database.field_deadlines
    if waiting is None:
        return False
    while (key := waiting.first_due(engine.now_ms)) is not None:
        found = database.peek(key)
        waiting.forget(key)
        if type(found) is ExpiringHash:
            removed = found.remove_due(engine.now_ms, _STRETCH_FIELDS)
            expect_fields(database, key, found)
            if removed:
                _announce(database, key, found, removed)
        if engine.clock.time() >= until:
            return waiting.first_due(engine.now_ms) is not None
    return False
