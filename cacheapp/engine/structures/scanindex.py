"""Elements in a dense list beside a collection: random picks and a stable cursor, O(1) each.

A dict or a set of Python cannot be entered at a position, which HSCAN, SSCAN, ZSCAN, SPOP and the
random commands need. So a large collection builds this index at the first such command and keeps
it up to date from then on; one that is never scanned pays nothing.

Removal puts the last element in the place of the removed one, so the list has no holes. A scan
goes from the end to the beginning, and its cursor is the number of positions that are left: an
element only ever moves towards the beginning, hence what is there throughout is never missed. It
may be returned twice, which the SCAN commands allow; elements added on the way are not seen.

Left out on purpose: a seed. Randomness comes from the `random` module, as good as Redis's.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Iterable


class ScanIndex:
    """The elements of one collection, which tells it of every addition and removal."""

    __slots__ = ("_elements", "_positions")

    def __init__(self, elements: Iterable[bytes]) -> None:
        self._elements = list(elements)
        self._positions = {element: at for at, element in enumerate(self._elements)}

    def add(self, element: bytes) -> None:
        """Take in an element that is not there yet."""
        self._positions[element] = len(self._elements)
        self._elements.append(element)

    def remove(self, element: bytes) -> None:
        """Take out an element that is there (KeyError if not)."""
        position = self._positions.pop(element)
        last = self._elements.pop()
        if position < len(self._elements):
            self._elements[position] = last
            self._positions[last] = position

    def scan(self, cursor: int, count: int) -> tuple[int, list[bytes]]:
        """About `count` elements from `cursor` on (0: begin), and the next cursor (0: all seen)."""
        size = len(self._elements)
        end = min(cursor, size) if cursor else size
        start = max(0, end - count)
        return start, self._elements[start:end]

    def choice(self) -> bytes:
        """One element, each as likely; IndexError if there is none."""
        return random.choice(self._elements)

    def choices(self, count: int) -> list[bytes]:
        """`count` independent picks, so an element may come up again."""
        return random.choices(self._elements, k=count)

    def sample(self, count: int) -> list[bytes]:
        """`count` different elements in random order; `count` is the size at most."""
        return random.sample(self._elements, count)

    def memory_bytes(self) -> int:
        """An estimate of the bytes that the index takes, its elements not counted."""
        positions = sys.getsizeof(len(self._elements)) * len(self._elements)
        return sys.getsizeof(self._elements) + sys.getsizeof(self._positions) + positions
