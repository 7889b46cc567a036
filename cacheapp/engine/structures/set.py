"""The set, and the algebra of sets.

Redis 7.0 keeps a small set of integers as a sorted array, the intset, and everything else as a
hash table; the change is sticky. Here only the flag is kept: an intset is put in numeric order
when it is shown. Few and short members of either kind are kept in one bytes object (see
`packing`), others in a set of Python's. Limits are arguments of the writes, because they count at
the time of the write.

Left out on purpose: the listpack encoding, which came with Redis 7.2.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterable, Sequence
from itertools import islice

from cacheapp.engine.structures import packing
from cacheapp.engine.structures.allocated import allocated_bytes
from cacheapp.engine.structures.scanindex import ScanIndex

# Up to this size a random pick walks the set, which is quicker than an index to maintain.
_WALK_MAX = 64
_INTEGER = re.compile(rb"(?:0|-?[1-9][0-9]{0,18})\Z")


def _is_integer(member: bytes) -> bool:
    """Whether an intset can hold `member`: canonical decimal in 64 bits."""
    return (
        len(member) <= 20 and _INTEGER.match(member) is not None and -(2**63) <= int(member) < 2**63
    )


class Set:
    """Different members, all bytes."""

    __slots__ = ("_index", "_members", "intset")

    def __init__(self) -> None:
        self._members: bytes | set[bytes] = packing.EMPTY
        # Only beside a set of Python's.
        self._index: ScanIndex | None = None
        # Whether Redis would still keep it as an intset.
        self.intset = True

    @classmethod
    def of(cls, members: Iterable[bytes], entries_max: int) -> Set:
        """A new set, its encoding decided by what is in it and the limit of an intset.

        A `set` of Python's is taken over, not copied.
        """
        made = cls()
        table = members if isinstance(members, set) else set(members)
        made.intset = len(table) <= entries_max and all(map(_is_integer, table))
        packed = packing.pack_members(table)
        made._members = table if packed is None else packed
        return made

    def __len__(self) -> int:
        members = self._members
        return packing.count(members) if isinstance(members, bytes) else len(members)

    def __contains__(self, member: bytes) -> bool:
        members = self._members
        if isinstance(members, bytes):
            return packing.has_member(members, member)
        return member in members

    def add(self, member: bytes, entries_max: int) -> bool:
        """Put `member` in; whether it is new. `entries_max` is the limit of an intset."""
        members = self._members
        if isinstance(members, bytes):
            grown = packing.add_member(members, member)
            if grown is members:
                return False
            if grown is None:
                members = self._table()
            else:
                self._members = grown
        if not isinstance(members, bytes):
            if member in members:
                return False
            members.add(member)
            if self._index is not None:
                self._index.add(member)
        if self.intset and (len(self) > entries_max or not _is_integer(member)):
            self.intset = False
        return True

    def remove(self, member: bytes) -> bool:
        """Take `member` out; whether it was there."""
        members = self._members
        if isinstance(members, bytes):
            left = packing.remove_member(members, member)
            if left is None:
                return False
            self._members = left
            return True
        if member not in members:
            return False
        members.remove(member)
        if self._index is not None:
            self._index.remove(member)
        return True

    def _table(self) -> set[bytes]:
        """The members as the set that they are kept in from now on."""
        members = self._members
        if isinstance(members, bytes):
            members = self._members = set(packing.member_list(members))
        return members

    def _listed(self) -> list[bytes]:
        """All members, in any order."""
        members = self._members
        return packing.member_list(members) if isinstance(members, bytes) else list(members)

    def as_set(self) -> set[bytes]:
        """All members, to be read only."""
        members = self._members
        return set(packing.member_list(members)) if isinstance(members, bytes) else members

    def members(self) -> list[bytes]:
        """All members, in numeric order in an intset, else in any."""
        return sorted(self._listed(), key=int) if self.intset else self._listed()

    def scan(self, cursor: int, count: int) -> tuple[int, list[bytes]]:
        """Members from `cursor` on and the next cursor; an intset comes in one piece."""
        if self.intset:
            return 0, self.members()
        return self._indexed().scan(cursor, count)

    def random_member(self) -> bytes:
        """One member, each as likely; the set must not be empty."""
        members = self._members
        if isinstance(members, bytes):
            return random.choice(packing.member_list(members))
        if len(members) <= _WALK_MAX:
            return next(islice(members, random.randrange(len(members)), None))
        return self._indexed().choice()

    def random_members(self, count: int, repeat: bool) -> list[bytes]:
        """`count` members, with repetition or all different (then no more than there are)."""
        if not repeat and count >= len(self):
            return self.members()
        index = self._indexed()
        return index.choices(count) if repeat else index.sample(count)

    def _indexed(self) -> ScanIndex:
        if len(self) <= _WALK_MAX:
            return self._index or ScanIndex(self._listed())
        if self._index is None:
            self._index = ScanIndex(self._table())
        return self._index

    def encoding(self, _config: object) -> bytes:
        """Redis's word for how it would keep this set."""
        return b"intset" if self.intset else b"hashtable"

    def copy(self) -> Set:
        """An independent copy, of the same encoding."""
        twin = Set()
        members = self._members
        twin._members = members if isinstance(members, bytes) else members.copy()
        twin.intset = self.intset
        return twin

    def memory_bytes(self, samples: int) -> int:
        """An estimate of the bytes in use, scaled from `samples` members (0: all)."""
        members = self._members
        total = allocated_bytes(self) + allocated_bytes(members)
        if isinstance(members, set) and members:
            count = min(samples, len(members)) if samples else len(members)
            measured = sum(map(allocated_bytes, islice(members, count)))
            total += measured * len(members) // count
        if self._index is not None:
            total += self._index.memory_bytes()
        return total

    def minus(self, others: Iterable[Set]) -> set[bytes]:
        """The members that are in none of `others`, as a new set."""
        return self.as_set().difference(*(other.as_set() for other in others))


def union(sets: Iterable[Set]) -> set[bytes]:
    """The members of any of `sets`."""
    return set().union(*(each._listed() for each in sets))


def intersection(sets: Sequence[Set]) -> list[bytes]:
    """The members of all of `sets` (one at least), in the order of the smallest."""
    smallest, *others = sorted(sets, key=len)
    # A packed one is looked at once: to make a set of it first would take longer.
    common = smallest.as_set().intersection(
        *(
            packing.member_list(held) if isinstance(held := other._members, bytes) else held
            for other in others
        )
    )
    return sorted(common, key=int) if smallest.intset else list(common)


def intersection_size(sets: Sequence[Set], limit: int) -> int:
    """How many members all of `sets` share, counted up to `limit` (0: no limit)."""
    smallest, *others = sorted(sets, key=len)
    tables = [other.as_set() for other in others]
    common = (member for member in smallest._listed() if all(member in table for table in tables))
    return sum(1 for _ in islice(common, limit or None))
