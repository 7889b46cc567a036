"""The bytes of elements in a listpack of Redis's, which decide when a stream's node is full."""

from __future__ import annotations

import re

_INTEGER = re.compile(rb"(?:0|-?[1-9][0-9]*)\Z")
_INTEGER_DIGITS_MAX = 20


def number_bytes(value: int) -> int:
    """The bytes of an integer in a listpack, its length at the end included."""
    if 0 <= value < 128:
        return 2
    if -4096 <= value < 4096:
        return 3
    for size in (2, 3, 4):
        if -(1 << 8 * size - 1) <= value < 1 << 8 * size - 1:
            return size + 2
    # A difference beyond 64 bits wraps around, as it does in C.
    if not -(1 << 63) <= value < 1 << 63:
        return number_bytes((value + (1 << 63)) % (1 << 64) - (1 << 63))
    return 10


def text_bytes(raw: bytes) -> int:
    """The bytes of a string in a listpack, which keeps integers as such."""
    size = len(raw)
    if raw[:1] > b"9":
        # No number, and short: what most are.
        if size < 64:
            return size + 2
    elif size <= _INTEGER_DIGITS_MAX and _INTEGER.match(raw):
        value = int(raw)
        if -(1 << 63) <= value < 1 << 63:
            return number_bytes(value)
    if size < 64:
        return size + 2
    size += 2 if size < 4096 else 5
    if size <= 127:
        return size + 1
    return size + (2 if size < 16383 else 3 if size < 2097151 else 4 if size < 268435455 else 5)
