"""The set, and the algebra of sets.

Redis 7.0 keeps a small set of integers as a sorted array, the intset, and everything else as a
hash table; the change is sticky. Here only the flag is kept: an intset is put in numeric order
when it is shown. Limits are arguments of the writes, because they count at the time of the write.

Left out on purpose: the listpack encoding, which came with Redis 7.2.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterable, Sequence
from itertools import islice

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
        self._members: set[bytes] = set()
        self._index: ScanIndex | None = None
        # Whether Redis would still keep it as an intset.
        self.intset = True

    @classmethod
    def of(cls, members: Iterable[bytes], entries_max: int) -> Set:
        """A new set, its encoding decided by what is in it and the limit of an intset.

        A `set` of Python's is taken over, not copied.
        """
        made = cls()
        made._members = members if type(members) is set else set(members)
        made.intset = len(made._members) <= entries_max and all(map(_is_integer, made._members))
        return made

    def __len__(self) -> int:
        return len(self._members)

    def __contains__(self, member: bytes) -> bool:
        return member in self._members

    def add(self, member: bytes, entries_max: int) -> bool:
        """Put `member` in; whether it is new. `entries_max` is the limit of an intset."""
        members = self._members
        if member in members:
            return False
        members.add(member)
        if self.intset and (len(members) > entries_max or not _is_integer(member)):
            self.intset = False
        if self._index is not None:
            self._index.add(member)
        return True

    def remove(self, member: bytes) -> bool:
        """Take `member` out; whether it was there."""
        if member not in self._members:
            return False
        self._members.remove(member)
        if self._index is not None:
            self._index.remove(member)
        return True

    def members(self) -> list[bytes]:
        """All members, in numeric order in an intset, else in any."""
        return sorted(self._members, key=int) if self.intset else list(self._members)

    def scan(self, cursor: int, count: int) -> tuple[int, list[bytes]]:
        """Members from `cursor` on and the next cursor; an intset comes in one piece."""
        if self.intset:
            return 0, self.members()
        return self._indexed().scan(cursor, count)

    def random_member(self) -> bytes:
        """One member, each as likely; the set must not be empty."""
        if len(self._members) <= _WALK_MAX:
            return next(islice(self._members, random.randrange(len(self._members)), None))
        return self._indexed().choice()

    def random_members(self, count: int, repeat: bool) -> list[bytes]:
        """`count` members, with repetition or all different (then no more than there are)."""
        if not repeat and count >= len(self._members):
            return self.members()
        index = self._indexed()
        return index.choices(count) if repeat else index.sample(count)

    def _indexed(self) -> ScanIndex:
        if self._index is None:
            index = ScanIndex(self._members)
            if len(self._members) <= _WALK_MAX:
                return index
            self._index = index
        return self._index

    def encoding(self, _config: object) -> bytes:
        """Redis's word for how it would keep this set."""
        return b"intset" if self.intset else b"hashtable"

    def copy(self) -> Set:
        """An independent copy, of the same encoding."""
        twin = Set()
        twin._members = self._members.copy()
        twin.intset = self.intset
        return twin

    def memory_bytes(self, samples: int) -> int:
        """An estimate of the bytes in use, scaled from `samples` members (0: all)."""
        size = len(self._members)
        count = min(samples, size) if samples else size
        total = allocated_bytes(self) + allocated_bytes(self._members)
        if count:
            measured = sum(map(allocated_bytes, islice(self._members, count)))
            total += measured * size // count
        if self._index is not None:
            total += self._index.memory_bytes()
        return total

    def minus(self, others: Iterable[Set]) -> set[bytes]:
        """The members that are in none of `others`."""
        return self._members.difference(*(other._members for other in others))


def union(sets: Iterable[Set]) -> set[bytes]:
    """The members of any of `sets`."""
    return set().union(*(each._members for each in sets))


def intersection(sets: Sequence[Set]) -> list[bytes]:
    """The members of all of `sets` (one at least), in the order of the smallest."""
    smallest, *others = sorted(sets, key=len)
    common = smallest._members.intersection(*(other._members for other in others))
    return sorted(common, key=int) if smallest.intset else list(common)


def intersection_size(sets: Sequence[Set], limit: int) -> int:
    """How many members all of `sets` share, counted up to `limit` (0: no limit)."""
    smallest, *others = sorted(sets, key=len)
    tables = [other._members for other in others]
    common = (member for member in smallest._members if all(member in table for table in tables))
    return sum(1 for _ in islice(common, limit or None))
