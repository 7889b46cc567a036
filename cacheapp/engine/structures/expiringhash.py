"""A hash whose fields may have deadlines, as Redis 7.4 has them (HEXPIRE).

A class of its own, so that a hash without deadlines pays nothing: the first deadline makes one of
these out of a `Hash`, and it stays one. Deadlines are milliseconds since the epoch and lie beside
the fields: a dict says when a field is due, a heap which one is next. A heap entry that the dict
no longer agrees with is old; the heap is built anew before most of it is.

A field that is due is still there until somebody takes it away (`engine/fieldexpiry.py`): the
structure knows no clock, and Redis counts such fields in HLEN too.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator

from cacheapp.engine.structures.allocated import allocated_bytes
from cacheapp.engine.structures.hash import Hash

# Old entries that the heap may have besides as many as there are deadlines.
_OLD_ENTRIES_MAX = 64
# What the account takes for a deadline: its number, the dict's entry, the heap's pair.
_DEADLINE_BYTES = 32 + 52 + 8 + 64


class ExpiringHash(Hash):
    """Fields and values, and when fields are due."""

    __slots__ = ("_deadlines", "_order")

    def __init__(self) -> None:
        super().__init__()
        self._deadlines: dict[bytes, int] = {}
        self._order: list[tuple[int, bytes]] = []

    @classmethod
    def of(cls, plain: Hash) -> ExpiringHash:
        """A new one that takes over the fields of `plain`, which is of no use afterwards."""
        plain.cool()
        made = cls()
        made._fields, made._aside = plain._fields, plain._aside
        return made

    # Deadlines

    def deadline(self, field: bytes) -> int:
        """When `field` is due; 0 for never, and for a field that is missing."""
        return self._deadlines.get(field, 0)

    def set_deadline(self, field: bytes, deadline_ms: int) -> None:
        """Make a field that is there due at `deadline_ms`, 0 for never."""
        if not deadline_ms:
            self._deadlines.pop(field, None)
            return
        self._deadlines[field] = deadline_ms
        heapq.heappush(self._order, (deadline_ms, field))
        if len(self._order) > 2 * len(self._deadlines) + _OLD_ENTRIES_MAX:
            self._order = [(due, name) for name, due in self._deadlines.items()]
            heapq.heapify(self._order)

    def next_due_ms(self) -> int:
        """The earliest deadline, 0 where there is none."""
        order, deadlines = self._order, self._deadlines
        while order and deadlines.get(order[0][1]) != order[0][0]:
            heapq.heappop(order)
        return order[0][0] if order else 0

    def is_due(self, field: bytes, now_ms: int) -> bool:
        """Whether the deadline of `field` has passed."""
        return 0 < self._deadlines.get(field, 0) < now_ms

    def remove_due(self, now_ms: int, fields_max: int) -> list[bytes]:
        """Take away the fields whose deadline has passed, the longest due first; which ones."""
        removed: list[bytes] = []
        while len(removed) < fields_max and 0 < self.next_due_ms() < now_ms:
            field = self._order[0][1]
            self.remove(field)
            removed.append(field)
        return removed

    def alive(self, now_ms: int) -> Hash:
        """Itself, or where fields are due a plain hash of the others."""
        if not 0 < self.next_due_ms() < now_ms:
            return self
        left = Hash()
        left._take(self)
        for field, due in self._deadlines.items():
            if due < now_ms:
                left.remove(field)
        return left

    def entries(self) -> Iterator[tuple[bytes, bytes, int]]:
        """All fields with their values and deadlines (0: none)."""
        deadline = self._deadlines.get
        return ((field, value, deadline(field, 0)) for field, value in self.items())

    # What a hash does too

    def put(self, field: bytes, value: bytes, entries_max: int, value_bytes_max: int) -> bool:
        """As in a hash; `field` has no deadline afterwards."""
        self._deadlines.pop(field, None)
        return super().put(field, value, entries_max, value_bytes_max)

    def update(self, field: bytes, value: bytes, entries_max: int, value_bytes_max: int) -> bool:
        """As `put`, but `field` keeps its deadline."""
        return super().put(field, value, entries_max, value_bytes_max)

    def remove(self, field: bytes) -> bool:
        """Take `field` away; whether it was there."""
        self._deadlines.pop(field, None)
        return super().remove(field)

    def encoding(self, _config: object) -> bytes:
        """Redis's word for how it would keep this hash."""
        return b"listpackex" if self.packed else b"hashtable"

    def copy(self) -> ExpiringHash:
        """An independent copy, of the same encoding, with the same deadlines."""
        twin = ExpiringHash()
        twin._take(self)
        twin._deadlines = self._deadlines.copy()
        twin._order = self._order.copy()
        return twin

    def memory_bytes(self, samples: int) -> int:
        """An estimate of the bytes in use, scaled from the first `samples` fields (0: all)."""
        empty = allocated_bytes({}) + allocated_bytes([])
        deadlines = len(self._deadlines) * _DEADLINE_BYTES
        return super().memory_bytes(samples) + empty + deadlines
