"""The intset: a sorted array of integers, all 2, 4 or 8 bytes wide.

4 bytes of width, 4 bytes of count, the integers in ascending order, all little-endian
"""

from __future__ import annotations

import itertools
import struct
from collections.abc import Sequence

from cacheapp.engine.persistence.encoding import CorruptPayload

_CODES = {2: "h", 4: "i", 8: "q"}
_HEADER_BYTES = 8


def pack(numbers: Sequence[int]) -> bytes:
    """The intset of `numbers`, which ascend and are at least one."""
    low, high = numbers[0], numbers[-1]
    width = 2
    while not (-(1 << 8 * width - 1) <= low and high < 1 << 8 * width - 1):
        width *= 2
    return struct.pack(f"<II{len(numbers)}{_CODES[width]}", width, len(numbers), *numbers)


def unpack(data: bytes) -> list[int]:
    """The integers of an intset; CorruptPayload where it is empty, out of order, or no intset."""
    if len(data) < _HEADER_BYTES:
        raise CorruptPayload("intset: header")
    width, count = struct.unpack_from("<II", data)
    if width not in _CODES or not count or _HEADER_BYTES + width * count != len(data):
        raise CorruptPayload("intset: size")
    numbers = list(struct.unpack_from(f"<{count}{_CODES[width]}", data, _HEADER_BYTES))
    if any(first >= second for first, second in itertools.pairwise(numbers)):
        raise CorruptPayload("intset: order")
    return numbers
