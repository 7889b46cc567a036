"""What the libraries of scripts need beyond Lua 5.1: integers by bits, and floats by bytes.

The functions are called by the `.lua` files beside this one, never by a script itself, and take
and return numbers and bytes.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable

_MASK = 0xFFFFFFFF
_LAYOUTS = {4: ">f", 8: ">d"}


def _word(number: float) -> int:
    """The low 32 bits of a number, rounded to the nearest integer."""
    return round(number) & _MASK if math.isfinite(number) else 0


def _signed(word: int) -> int:
    return word - 2**32 if word >= 2**31 else word


def _rotate_left(word: int, distance: int) -> int:
    return (word << distance | word >> (32 - distance)) & _MASK


# Each takes words, shifts take the distance modulo 32.
_OPERATIONS: dict[bytes, Callable[[int, int], int]] = {
    b"tobit": lambda a, _b: a,
    b"bnot": lambda a, _b: ~a & _MASK,
    b"bswap": lambda a, _b: int.from_bytes(a.to_bytes(4, "big"), "little"),
    b"band": lambda a, b: a & b,
    b"bor": lambda a, b: a | b,
    b"bxor": lambda a, b: a ^ b,
    b"lshift": lambda a, b: a << (b & 31) & _MASK,
    b"rshift": lambda a, b: a >> (b & 31),
    b"arshift": lambda a, b: _signed(a) >> (b & 31) & _MASK,
    b"rol": lambda a, b: _rotate_left(a, b & 31),
    b"ror": lambda a, b: _rotate_left(a, -b & 31),
}


def bits(operation: bytes, first: float, second: float) -> int:
    """One operation of the `bit` library, its result as a signed 32-bit integer."""
    return _signed(_OPERATIONS[operation](_word(first), _word(second)))


def double_bytes(number: float, size: int) -> bytes | None:
    """A number as 4 or 8 bytes of IEEE 754, big-endian; None where a float cannot hold it."""
    try:
        return struct.pack(_LAYOUTS[size], number)
    except OverflowError:
        return None


def bytes_double(raw: bytes) -> float:
    """The number that 4 or 8 such bytes hold."""
    number: float = struct.unpack(_LAYOUTS[len(raw)], raw)[0]
    return number
