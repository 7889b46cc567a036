"""The set, and the algebra of sets.

Redis 7.0 keeps a small set of integers as a sorted array, the intset, and everything else as a
hash table; the change is sticky. Here only the flag is kept: an intset is put in numeric order
when it is shown. Few and short members of either kind are kept in one bytes object (see
`packing`), others in a set of Python's. Limits are arguments of the writes, because they count at
the time of the write.

A packed set that is used a lot may be *warm*: it has a set of Python's besides, until `cool`. The
packed form goes on to say the order, so nothing of what clients see depends on it. Who decides is
the engine's `warmth`.

Left out on purpose: the listpack encoding, which came with Redis 7.2.
"""

from __future__ import annotations

import random
import re
from collections.abc import Collection, Iterable, Sequence
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

    # The fourth slot fills 64 bytes, which three of them need as well.
    __slots__ = ("_index", "_members", "_warm", "intset")

    def __init__(self) -> None:
        self._members: bytes | set[bytes] = packing.EMPTY
        # Only beside a set of Python's.
        self._index: ScanIndex | None = None
        # The same as a packed `_members`, where it is warm.
        self._warm: set[bytes] | None = None
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
        if self._warm is not None:
            return member in self._warm
        members = self._members
        if isinstance(members, bytes):
            return packing.has_member(members, member)
        return member in members

    def warm(self) -> bool:
        """Have a set of Python's besides until `cool`, if it is packed; whether that is new."""
        members = self._members
        if self._warm is None and isinstance(members, bytes):
            self._warm = set(packing.member_list(members))
            return True
        return False

    def cool(self) -> None:
        """Be packed only, if it is packed."""
        self._warm = None

    def add(self, member: bytes, entries_max: int) -> bool:
        """Put `member` in; whether it is new. `entries_max` is the limit of an intset."""
        members, warm = self._members, self._warm
        if isinstance(members, bytes):
            if warm is not None and member in warm:
                return False
            grown = packing.add_member(members, member)
            if grown is members:
                return False
            if grown is None:
                members = self._table()
            else:
                self._members = grown
                if warm is not None:
                    warm.add(member)
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
        members, warm = self._members, self._warm
        if isinstance(members, bytes):
            if warm is not None and member not in warm:
                return False
            left = packing.remove_member(members, member)
            if left is None:
                return False
            self._members = left
            if warm is not None:
                warm.remove(member)
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
            self._warm = None
        return members

    def _listed(self) -> list[bytes]:
        """All members, in any order."""
        members = self._members
        return packing.member_list(members) if isinstance(members, bytes) else list(members)

    def as_set(self) -> set[bytes]:
        """All members, to be read only."""
        if self._warm is not None:
            return self._warm
        members = self._members
        return set(packing.member_list(members)) if isinstance(members, bytes) else members

    def collected(self) -> Collection[bytes]:
        """All members, in any order, to be read only: as what they are at hand."""
        if self._warm is not None:
            return self._warm
        members = self._members
        return packing.member_list(members) if isinstance(members, bytes) else members

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
    common = common_members(sets)
    return sorted(common, key=int) if min(sets, key=len).intset else list(common)


def common_members(sets: Sequence[Set]) -> set[bytes]:
    """The members of all of `sets` (one at least), as a new set."""
    if len(sets) == 2:
        one, other = sets
        if one._warm is not None and other._warm is not None:
            return one._warm & other._warm
    smallest, *others = sorted(sets, key=len)
    # A packed one is looked at once: to make a set of it first would take longer.
    return smallest.as_set().intersection(*(other.collected() for other in others))


def intersection_size(sets: Sequence[Set], limit: int) -> int:
    """How many members all of `sets` share, counted up to `limit` (0: no limit)."""
    smallest, *others = sorted(sets, key=len)
    tables = [other.as_set() for other in others]
    common = (member for member in smallest._listed() if all(member in table for table in tables))
    return sum(1 for _ in islice(common, limit or None))
