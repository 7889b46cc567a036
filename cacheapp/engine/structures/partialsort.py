"""The first elements of a sorted order, with equal ones in the order that Redis leaves them in.

Where Redis wants only some of a sorted array it uses Bentley and McIlroy's quicksort, which skips
the parts that are not asked for. That sort is not stable, and a reply shows how it leaves elements
whose keys are equal: members at one place in GEOSEARCH COUNT. Without equal keys, and where all
elements are wanted, Python's own sort gives the same answer and is used.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")

_INSERTION_MAX = 6
_NINTHER_MIN = 41


def first_sorted(elements: Sequence[T], keys: Sequence[float], count: int) -> list[T]:
    """The `count` elements with the lowest `keys` (one for each), in order."""
    order = sorted(range(len(elements)), key=keys.__getitem__)
    if count < len(elements) and len(set(keys)) < len(keys):
        order = list(range(len(elements)))
        _quicksort(order, keys, 0, len(order), count)
    return [elements[at] for at in order[:count]]


def _middle_of(order: list[int], keys: Sequence[float], a: int, b: int, c: int) -> int:
    """The place of the median of three places."""
    one, two, three = keys[order[a]], keys[order[b]], keys[order[c]]
    if one < two:
        return b if two < three else c if one < three else a
    return b if two > three else a if one < three else c


def _pivot(order: list[int], keys: Sequence[float], start: int, stop: int) -> int:
    size = stop - start
    middle = start + size // 2
    if size == _INSERTION_MAX + 1:
        return middle
    low, high = start, stop - 1
    if size >= _NINTHER_MIN:
        eighth = size // 8
        low = _middle_of(order, keys, low, low + eighth, low + 2 * eighth)
        middle = _middle_of(order, keys, middle - eighth, middle, middle + eighth)
        high = _middle_of(order, keys, high - 2 * eighth, high - eighth, high)
    return _middle_of(order, keys, low, middle, high)


def _swap_blocks(order: list[int], one: int, other: int, size: int) -> None:
    order[one : one + size], order[other : other + size] = (
        order[other : other + size],
        order[one : one + size],
    )


def _partition(order: list[int], keys: Sequence[float], start: int, stop: int) -> tuple[int, int]:
    """Move lower keys to the front and higher ones to the back; how many each of them are."""
    pivot = _pivot(order, keys, start, stop)
    order[start], order[pivot] = order[pivot], order[start]
    key = keys[order[start]]
    # Equal ones are gathered at both ends, up to `a` and from behind `d`.
    a = b = start + 1
    c = d = stop - 1
    while True:
        while b <= c and keys[order[b]] <= key:
            if keys[order[b]] == key:
                order[a], order[b] = order[b], order[a]
                a += 1
            b += 1
        while b <= c and keys[order[c]] >= key:
            if keys[order[c]] == key:
                order[c], order[d] = order[d], order[c]
                d -= 1
            c -= 1
        if b > c:
            break
        order[b], order[c] = order[c], order[b]
        b += 1
        c -= 1
    size = min(a - start, b - a)
    _swap_blocks(order, start, b - size, size)
    size = min(d - c, stop - 1 - d)
    _swap_blocks(order, b, stop - size, size)
    return b - a, d - c


def _quicksort(order: list[int], keys: Sequence[float], start: int, stop: int, count: int) -> None:
    """Sort the part of `order` from `start` to `stop` as far as the first `count` need it."""
    while stop - start > _INSERTION_MAX:
        lower, higher = _partition(order, keys, start, stop)
        if lower > 1 and start < count:
            _quicksort(order, keys, start, start + lower, count)
        start = stop - higher
        if higher < 2 or start >= count:
            return
    for at in range(start + 1, stop):
        place = at
        while place > start and keys[order[place - 1]] > keys[order[place]]:
            order[place - 1], order[place] = order[place], order[place - 1]
            place -= 1
