"""The hash: fields with values, in order of insertion.

Few and short fields are kept in one bytes object (see `packing`), others in a dict. Which of
Redis's encodings the hash would have is another question, and sticky: a hash that once was too
large for a listpack stays a hashtable. What is no listpack is never packed either, so only a dict
needs to remember it. Limits are arguments of the writes, because they count at the time of the
write.

A packed hash that is used a lot may be *warm*: a dict for a while, until `cool` packs it again.
Nothing of what clients see depends on it. Who decides is the engine's `warmth`.

The representation is this class's own affair: commands go through the methods. Fields that expire
are `expiringhash`'s.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from itertools import islice

from cacheapp.engine.structures import packing
from cacheapp.engine.structures.allocated import allocated_bytes
from cacheapp.engine.structures.scanindex import ScanIndex

# Up to this size a random pick walks the dict, which is quicker than an index to maintain.
_WALK_MAX = 64
# More fields than that are looked up in a dict that is made for it.
_SEARCHED_MAX = 3


class _Aside:
    """What is known of a hash besides its fields, once they are in a dict."""

    __slots__ = ("index", "listpack")

    def __init__(self, listpack: bool) -> None:
        self.index: ScanIndex | None = None
        # Whether Redis would still keep it as a listpack.
        self.listpack = listpack


class Hash:
    """Fields and values, both bytes."""

    # Two slots and the header of the garbage collector fill 48 bytes.
    __slots__ = ("_aside", "_fields")

    def __init__(self) -> None:
        self._fields: bytes | dict[bytes, bytes] = packing.EMPTY
        self._aside: _Aside | None = None

    def __len__(self) -> int:
        fields = self._fields
        return packing.count(fields) if isinstance(fields, bytes) else len(fields)

    def __contains__(self, field: bytes) -> bool:
        return self.get(field) is not None

    def get(self, field: bytes) -> bytes | None:
        """The value of `field`, or None."""
        fields = self._fields
        return packing.find(fields, field) if isinstance(fields, bytes) else fields.get(field)

    def get_many(self, fields: Sequence[bytes]) -> list[bytes | None]:
        """The value of each of `fields`, None where it is missing."""
        held = self._fields
        if isinstance(held, bytes) and len(fields) <= _SEARCHED_MAX:
            return [packing.find(held, field) for field in fields]
        return list(map(self.as_mapping().get, fields))

    def warm(self) -> bool:
        """Be a dict until `cool`, if it is packed; whether it was."""
        fields = self._fields
        if isinstance(fields, bytes):
            self._fields = packing.unpack(fields)
            return True
        return False

    def cool(self) -> None:
        """Be packed again, if it is warm; what has outgrown that meanwhile stays a dict."""
        fields = self._fields
        if self._aside is None and isinstance(fields, dict):
            packed = packing.pack_fields(fields)
            if packed is None:
                self._table()
            else:
                self._fields = packed

    def put(self, field: bytes, value: bytes, entries_max: int, value_bytes_max: int) -> bool:
        """Set `field`; whether it is new. The two limits are those of a listpack."""
        fields, aside = self._fields, self._aside
        short = len(value) <= value_bytes_max and len(field) <= value_bytes_max
        if short and aside is None and type(fields) is dict and len(fields) < entries_max:
            # Warm, and it stays a listpack.
            size = len(fields)
            fields[field] = value
            return len(fields) > size
        if isinstance(fields, bytes):
            changed = packing.put(fields, field, value)
            if (
                changed is not None
                and short
                # Only a new field can be one too many.
                and (not changed[1] or packing.count(changed[0]) <= entries_max)
            ):
                self._fields = changed[0]
                return changed[1]
            fields, _aside = self._table()
        size = len(fields)
        fields[field] = value
        if not short or len(fields) > entries_max:
            self._table()[1].listpack = False
        if len(fields) == size:
            return False
        aside = self._aside
        if aside is not None and aside.index is not None:
            aside.index.add(field)
        return True

    def put_many(self, pairs: Sequence[bytes], entries_max: int, value_bytes_max: int) -> int:
        """Set fields and values, given in turn; how many fields are new. See `put`."""
        fields = self._fields
        if isinstance(fields, bytes):
            if fields == packing.EMPTY and max(map(len, pairs)) <= value_bytes_max:
                packed = packing.pack(pairs)
                if packed is not None and len(pairs) <= 2 * entries_max:
                    self._fields = packed
                    return len(pairs) // 2
        elif self._aside is None and (
            # The first is the faster way to know it of short ones.
            len(b"".join(pairs)) <= value_bytes_max or max(map(len, pairs)) <= value_bytes_max
        ):
            size = len(fields)
            for at in range(0, len(pairs), 2):
                fields[pairs[at]] = pairs[at + 1]
            if len(fields) > entries_max:
                self._table()[1].listpack = False
            return len(fields) - size
        put = self.put
        return sum(
            put(pairs[at], pairs[at + 1], entries_max, value_bytes_max)
            for at in range(0, len(pairs), 2)
        )

    def remove(self, field: bytes) -> bool:
        """Take `field` away; whether it was there."""
        fields = self._fields
        if isinstance(fields, bytes):
            left = packing.remove(fields, field)
            if left is None:
                return False
            self._fields = left
            return True
        if fields.pop(field, None) is None:
            return False
        aside = self._aside
        if aside is not None and aside.index is not None:
            aside.index.remove(field)
        return True

    def _table(self) -> tuple[dict[bytes, bytes], _Aside]:
        """The fields as the dict that they are kept in from now on, and what goes with it."""
        fields, aside = self._fields, self._aside
        if isinstance(fields, bytes):
            fields = self._fields = packing.unpack(fields)
        if aside is None:
            aside = self._aside = _Aside(listpack=True)
        return fields, aside

    def fields(self) -> list[bytes]:
        """All fields."""
        return list(self.as_mapping())

    def values(self) -> list[bytes]:
        """All values, in the order of `fields`."""
        return list(self.as_mapping().values())

    def items(self) -> list[tuple[bytes, bytes]]:
        """All fields with their values."""
        return list(self.as_mapping().items())

    def as_dict(self) -> dict[bytes, bytes]:
        """All fields with their values, as a new dict."""
        fields = self._fields
        return packing.unpack(fields) if isinstance(fields, bytes) else fields.copy()

    def as_mapping(self) -> dict[bytes, bytes]:
        """All fields with their values, to be read only."""
        fields = self._fields
        return packing.unpack(fields) if isinstance(fields, bytes) else fields

    def entries(self) -> Iterator[tuple[bytes, bytes, int]]:
        """All fields with their values and deadlines (0, as here there are none)."""
        return ((field, value, 0) for field, value in self.items())

    @property
    def packed(self) -> bool:
        """Whether Redis would keep it as a listpack."""
        return self._aside is None or self._aside.listpack

    def scan(self, cursor: int, count: int) -> tuple[int, list[bytes]]:
        """Fields from `cursor` on and the next cursor; a listpack comes in one piece."""
        if self.packed:
            return 0, self.fields()
        return self._indexed().scan(cursor, count)

    def random_field(self) -> bytes:
        """One field, each as likely; the hash must not be empty."""
        fields = self.as_mapping()
        if len(fields) <= _WALK_MAX:
            return next(islice(fields, random.randrange(len(fields)), None))
        return self._indexed().choice()

    def random_fields(self, count: int, repeat: bool) -> list[bytes]:
        """`count` fields, with repetition or all different (then no more than there are)."""
        fields = self.as_mapping()
        if not repeat and count >= len(fields):
            return list(fields)
        index = self._indexed()
        return index.choices(count) if repeat else index.sample(count)

    def _indexed(self) -> ScanIndex:
        if len(self) <= _WALK_MAX:
            return ScanIndex(self.as_mapping())
        table, aside = self._table()
        if aside.index is None:
            aside.index = ScanIndex(table)
        return aside.index

    def encoding(self, _config: object) -> bytes:
        """Redis's word for how it would keep this hash."""
        return b"listpack" if self.packed else b"hashtable"

    def copy(self) -> Hash:
        """An independent copy, of the same encoding."""
        twin = Hash()
        twin._take(self)
        return twin

    def _take(self, other: Hash) -> None:
        """Become a copy of `other`."""
        fields = other._fields
        self._fields = fields if isinstance(fields, bytes) else fields.copy()
        self._aside = None if other._aside is None else _Aside(other._aside.listpack)
        self.cool()

    def memory_bytes(self, samples: int) -> int:
        """An estimate of the bytes in use, scaled from the first `samples` fields (0: all)."""
        fields, aside = self._fields, self._aside
        if aside is None and isinstance(fields, dict):
            # Warm: counted as what it is when nobody uses it, and that may be a dict by now.
            packed = packing.pack_fields(fields)
            if packed is None:
                fields, aside = self._table()
            else:
                fields = packed
        total = allocated_bytes(self) + allocated_bytes(fields)
        if isinstance(fields, dict) and fields:
            count = min(samples, len(fields)) if samples else len(fields)
            measured = sum(
                allocated_bytes(field) + allocated_bytes(value)
                for field, value in islice(fields.items(), count)
            )
            total += measured * len(fields) // count
        if aside is not None:
            total += allocated_bytes(aside)
            if aside.index is not None:
                total += aside.index.memory_bytes()
        return total
