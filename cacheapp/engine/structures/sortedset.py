"""The sorted set: members with scores, in the order of score and then member.

Two views of the same pairs: a dict gives the score of a member, and a sorted sequence of
(score, member) gives ranks and ranges. The sequence is a plain list searched by bisection while it
is small, where moving memory is cheapest, and a SortedList from some hundreds of members on, where
everything stays O(log n).

Which of Redis's encodings it would have is remembered, since it is sticky. It shows: a listpack
keeps the integer 0 for the score -0.0. Limits are arguments of the writes, because they count at
the time of the write.
"""

from __future__ import annotations

import math
import random
from bisect import bisect_left, insort
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from operator import itemgetter
from typing import Any, Protocol

from sortedcontainers import SortedList

from cacheapp.engine.structures.allocated import allocated_bytes
from cacheapp.engine.structures.scanindex import ScanIndex

# The size from which the order is a SortedList. It never goes back.
_LIST_MAX = 512

Entry = tuple[float, bytes]
_member = itemgetter(1)


class MemberBound(Protocol):
    """An end of a range of members: `infinite` is -1 for the lowest, 1 for the highest, else 0."""

    infinite: int
    exclusive: bool
    member: bytes


class SortedSet:
    """Members (bytes), each with a score (a float, never NaN)."""

    __slots__ = ("_index", "_order", "_scores", "packed")

    def __init__(self) -> None:
        self._scores: dict[bytes, float] = {}
        # A list or a SortedList of entries: `Any`, since the package has no annotations.
        self._order: Any = []
        self._index: ScanIndex | None = None
        # Whether Redis would still keep it as a listpack.
        self.packed = True

    @classmethod
    def of(cls, scores: dict[bytes, float], entries_max: int, value_bytes_max: int) -> SortedSet:
        """A new sorted set of what `scores` holds, packed if it is within both limits."""
        made = cls()
        made.packed = len(scores) <= entries_max and all(
            len(member) <= value_bytes_max for member in scores
        )
        if made.packed:
            scores = {member: score + 0.0 for member, score in scores.items()}
        made._scores = scores
        made._order = sorted((score, member) for member, score in scores.items())
        if len(scores) > _LIST_MAX:
            made._order = SortedList(made._order)
        return made

    def __len__(self) -> int:
        return len(self._scores)

    def __contains__(self, member: bytes) -> bool:
        return member in self._scores

    # One member

    def score(self, member: bytes) -> float | None:
        """The score of `member`, or None."""
        return self._scores.get(member)

    def get_many(self, members: Iterable[bytes]) -> list[float | None]:
        """The score of each of `members`, None where it is missing."""
        return list(map(self._scores.get, members))

    def put(
        self, member: bytes, score: float, entries_max: int, value_bytes_max: int
    ) -> float | None:
        """Set the score of `member`; the one that it had, or None where it is new.

        The two limits are those of a listpack.
        """
        scores, order = self._scores, self._order
        old: float | None = scores.get(member)
        if score == old:
            return old
        if old is None:
            if self.packed and (len(scores) >= entries_max or len(member) > value_bytes_max):
                self.packed = False
            if self._index is not None:
                self._index.add(member)
        elif type(order) is list:
            del order[bisect_left(order, (old, member))]
        else:
            order.remove((old, member))
        if self.packed:
            # -0.0 becomes 0.0, all others stay.
            score += 0.0
        scores[member] = score
        if type(order) is not list:
            order.add((score, member))
            return old
        insort(order, (score, member))
        if len(order) > _LIST_MAX:
            self._order = SortedList(order)
        return old

    def remove(self, member: bytes) -> bool:
        """Take `member` out; whether it was there."""
        score = self._scores.pop(member, None)
        if score is None:
            return False
        del self._order[self._bisect((score, member))]
        if self._index is not None:
            self._index.remove(member)
        return True

    def rank(self, member: bytes) -> int | None:
        """How many entries come before `member`, or None if it is not there."""
        score = self._scores.get(member)
        return None if score is None else self._bisect((score, member))

    # Ranges: pairs of positions, the second one not included

    def _bisect(self, entry: Any) -> int:
        """The position of the first entry that is not below `entry` (of one item: the score)."""
        order = self._order
        if type(order) is list:
            return bisect_left(order, entry)
        position: int = order.bisect_left(entry)
        return position

    def _position(self, score: float, *, after: bool) -> int:
        """The first position whose score is at least `score`, or above it where `after`."""
        if after:
            if score == math.inf:
                return len(self._scores)
            score = math.nextafter(score, math.inf)
        return self._bisect((score,))

    def score_range(
        self, low: float, low_exclusive: bool, high: float, high_exclusive: bool
    ) -> tuple[int, int]:
        """The positions of the scores between `low` and `high`; empty ranges have stop <= start."""
        order = self._order
        if type(order) is list and not (low_exclusive or high_exclusive) and high < math.inf:
            start = bisect_left(order, (low,))
            return start, bisect_left(order, (math.nextafter(high, math.inf),), start)
        return (
            self._position(low, after=low_exclusive),
            self._position(high, after=not high_exclusive),
        )

    def lex_range(
        self, low: MemberBound, high: MemberBound, *, reverse: bool = False
    ) -> tuple[int, int]:
        """The positions of the members between two bounds, where all scores are equal.

        Where they are not, Redis leaves the answer open; here it is that of its walk over a
        listpack, from the front, or from the back where `reverse`.
        """
        order = self._order
        if order and order[0][0] != order[-1][0]:
            return self._lex_walk(low, high, reverse)
        return self._lex_position(low, after=low.exclusive), self._lex_position(
            high, after=not high.exclusive
        )

    def _lex_position(self, bound: MemberBound, *, after: bool) -> int:
        if bound.infinite or not self._order:
            return len(self._order) if bound.infinite > 0 else 0
        # No member lies between `member` and the same with a zero byte after it.
        return self._bisect((self._order[0][0], bound.member + b"\0" if after else bound.member))

    def _lex_walk(self, low: MemberBound, high: MemberBound, reverse: bool) -> tuple[int, int]:
        members = [member for _, member in self._order]
        size = len(members)
        if not (_is_above(members[-1], low) and _is_below(members[0], high)):
            return 0, 0
        if reverse:
            stop = next(
                (at + 1 for at in range(size - 1, -1, -1) if _is_below(members[at], high)), 0
            )
            start = stop
            while start and _is_above(members[start - 1], low):
                start -= 1
        else:
            start = next((at for at in range(size) if _is_above(members[at], low)), size)
            stop = start
            while stop < size and _is_below(members[stop], high):
                stop += 1
        return start, stop

    def slice(self, start: int, stop: int, *, reverse: bool = False) -> list[Entry]:
        """The entries at positions `start` to `stop`, from the highest down where `reverse`."""
        entries: list[Entry] = self._order[start:stop]
        if reverse:
            entries.reverse()
        return entries

    def members(self, start: int, stop: int) -> list[bytes]:
        """The members at positions `start` to `stop`, without their scores."""
        return [*map(_member, self._order[start:stop])]

    def remove_slice(self, start: int, stop: int) -> list[Entry]:
        """Take out the entries at positions `start` to `stop` and return them in order."""
        entries: list[Entry] = self._order[start:stop]
        if len(entries) == 1:
            del self._order[start]
        else:
            del self._order[start:stop]
        for _, member in entries:
            del self._scores[member]
            if self._index is not None:
                self._index.remove(member)
        return entries

    # The whole

    def items(self) -> Iterator[tuple[bytes, float]]:
        """Members with their scores, in order."""
        return ((member, score) for score, member in self._order)

    def scores(self) -> dict[bytes, float]:
        """Members with their scores as a new dict, in no order."""
        return self._scores.copy()

    def scan(self, cursor: int, count: int) -> tuple[int, list[bytes]]:
        """Members from `cursor` on and the next cursor; a packed one comes in one piece."""
        if self.packed:
            return 0, [member for _, member in self._order]
        if self._index is None:
            self._index = ScanIndex(self._scores)
        return self._index.scan(cursor, count)

    def random_entries(self, count: int, repeat: bool) -> list[Entry]:
        """`count` entries, with repetition or all different (then no more than there are)."""
        size = len(self._scores)
        if not repeat and count >= size:
            return list(self._order)
        positions: Sequence[int] = (
            random.choices(range(size), k=count) if repeat else random.sample(range(size), count)
        )
        order = self._order
        return [order[position] for position in positions]

    def leave_listpack(self) -> None:
        """Take on the encoding of a large sorted set, for good."""
        self.packed = False

    def encoding(self, _config: object) -> bytes:
        """Redis's word for how it would keep this sorted set."""
        return b"listpack" if self.packed else b"skiplist"

    def copy(self) -> SortedSet:
        """An independent copy, of the same encoding."""
        twin = SortedSet()
        twin._scores = self._scores.copy()
        twin._order = self._order.copy()
        twin.packed = self.packed
        return twin

    def memory_bytes(self, samples: int) -> int:
        """An estimate of the bytes in use, scaled from `samples` members (0: all)."""
        size = len(self._scores)
        count = min(samples, size) if samples else size
        # The order holds a pointer, a pair and a float for each member.
        each = 8 + allocated_bytes((0.0, b"")) + allocated_bytes(0.0)
        total = allocated_bytes(self) + allocated_bytes(self._scores) + size * each
        total += allocated_bytes([])
        if count:
            measured = sum(map(allocated_bytes, islice(self._scores, count)))
            total += measured * size // count
        if self._index is not None:
            total += self._index.memory_bytes()
        return total


def _is_above(member: bytes, bound: MemberBound) -> bool:
    if bound.infinite:
        return bound.infinite < 0
    return member > bound.member if bound.exclusive else member >= bound.member


def _is_below(member: bytes, bound: MemberBound) -> bool:
    if bound.infinite:
        return bound.infinite > 0
    return member < bound.member if bound.exclusive else member <= bound.member
