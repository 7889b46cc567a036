"""The hash: fields with values, in order of insertion.

Which of Redis's encodings it would have is remembered beside the data, since it is sticky: a hash
that once was too large for a listpack stays a hashtable. Limits are arguments of the writes,
because they count at the time of the write.

The representation is this class's own affair: commands go through the methods. Left out on
purpose: deadlines of fields, which Redis 7.0 does not know.
"""

from __future__ import annotations

import random
from collections.abc import Iterable
from itertools import islice

from cacheapp.engine.structures.allocated import allocated_bytes
from cacheapp.engine.structures.scanindex import ScanIndex

# Up to this size a random pick walks the dict, which is quicker than an index to maintain.
_WALK_MAX = 64


class Hash:
    """Fields and values, both bytes."""

    __slots__ = ("_fields", "_index", "packed")

    def __init__(self) -> None:
        self._fields: dict[bytes, bytes] = {}
        self._index: ScanIndex | None = None
        # Whether Redis would still keep it as a listpack.
        self.packed = True

    def __len__(self) -> int:
        return len(self._fields)

    def __contains__(self, field: bytes) -> bool:
        return field in self._fields

    def get(self, field: bytes) -> bytes | None:
        """The value of `field`, or None."""
        return self._fields.get(field)

    def get_many(self, fields: Iterable[bytes]) -> list[bytes | None]:
        """The value of each of `fields`, None where it is missing."""
        return list(map(self._fields.get, fields))

    def put(self, field: bytes, value: bytes, entries_max: int, value_bytes_max: int) -> bool:
        """Set `field`; whether it is new. The two limits are those of a listpack."""
        fields = self._fields
        size = len(fields)
        fields[field] = value
        added = len(fields) != size
        if self.packed and (
            len(value) > value_bytes_max
            or len(field) > value_bytes_max
            or len(fields) > entries_max
        ):
            self.packed = False
        if added and self._index is not None:
            self._index.add(field)
        return added

    def remove(self, field: bytes) -> bool:
        """Take `field` away; whether it was there."""
        if self._fields.pop(field, None) is None:
            return False
        if self._index is not None:
            self._index.remove(field)
        return True

    def fields(self) -> list[bytes]:
        """All fields."""
        return list(self._fields)

    def values(self) -> list[bytes]:
        """All values, in the order of `fields`."""
        return list(self._fields.values())

    def items(self) -> list[tuple[bytes, bytes]]:
        """All fields with their values."""
        return list(self._fields.items())

    def as_dict(self) -> dict[bytes, bytes]:
        """All fields with their values, as a new dict."""
        return self._fields.copy()

    def scan(self, cursor: int, count: int) -> tuple[int, list[bytes]]:
        """Fields from `cursor` on and the next cursor; a packed hash comes in one piece."""
        if self.packed:
            return 0, list(self._fields)
        return self._indexed().scan(cursor, count)

    def random_field(self) -> bytes:
        """One field, each as likely; the hash must not be empty."""
        if len(self._fields) <= _WALK_MAX:
            return next(islice(self._fields, random.randrange(len(self._fields)), None))
        return self._indexed().choice()

    def random_fields(self, count: int, repeat: bool) -> list[bytes]:
        """`count` fields, with repetition or all different (then no more than there are)."""
        if not repeat and count >= len(self._fields):
            return list(self._fields)
        index = self._indexed()
        return index.choices(count) if repeat else index.sample(count)

    def _indexed(self) -> ScanIndex:
        if self._index is None:
            index = ScanIndex(self._fields)
            if len(self._fields) <= _WALK_MAX:
                return index
            self._index = index
        return self._index

    def encoding(self, _config: object) -> bytes:
        """Redis's word for how it would keep this hash."""
        return b"listpack" if self.packed else b"hashtable"

    def copy(self) -> Hash:
        """An independent copy, of the same encoding."""
        twin = Hash()
        twin._fields = self._fields.copy()
        twin.packed = self.packed
        return twin

    def memory_bytes(self, samples: int) -> int:
        """An estimate of the bytes in use, scaled from the first `samples` fields (0: all)."""
        size = len(self._fields)
        count = min(samples, size) if samples else size
        total = allocated_bytes(self) + allocated_bytes(self._fields)
        if count:
            measured = sum(
                allocated_bytes(field) + allocated_bytes(value)
                for field, value in islice(self._fields.items(), count)
            )
            total += measured * size // count
        if self._index is not None:
            total += self._index.memory_bytes()
        return total
