"""What every RDB payload consists of: lengths, strings and fixed-width numbers.

A length says in its first two bits how wide it is, or that a string in a special form follows: a
small integer, or LZF-compressed text. `Reader` takes bytes apart again and raises CorruptPayload
instead of reading beyond the end. It reserves no memory for announced lengths: what it returns was
there, or came out of compressed text, of which there is a bound for a payload as a whole.
"""

from __future__ import annotations

import re
import struct
from typing import Final

from cacheapp.engine.persistence.lzf import LzfError, compress, decompress

_INTEGER = re.compile(rb"(?:0|-?[1-9][0-9]{0,9})\Z")
_INTEGER_MAX_DIGITS: Final = 11
_COMPRESS_MIN_BYTES: Final = 21

_WIDE_32: Final = 0x80
_WIDE_64: Final = 0x81
# Special strings: the two high bits are set, the rest says which.
_INT8, _INT16, _INT32, _LZF = 0xC0, 0xC1, 0xC2, 0xC3
_INTEGER_BYTES: Final = {_INT8: 1, _INT16: 2, _INT32: 4}

# Compressed text in one payload may come to this many bytes: Redis's largest string.
INFLATED_BYTES_MAX: Final = 512 * 1024 * 1024


class CorruptPayload(ValueError):
    """Bytes that no Redis would have written; the text says what is wrong, for a log."""


def pack_length(length: int) -> bytes:
    """A length, or any number below 2**64, in as few bytes as the format allows."""
    if length < 1 << 6:
        return bytes((length,))
    if length < 1 << 14:
        return bytes((0x40 | length >> 8, length & 0xFF))
    if length < 1 << 32:
        return struct.pack(">BI", _WIDE_32, length)
    return struct.pack(">BQ", _WIDE_64, length)


def pack_string(data: bytes, *, compressed: bool = True) -> bytes:
    """A string: as a small integer, or compressed (if that is wanted and saves), or as it is."""
    size = len(data)
    if size <= _INTEGER_MAX_DIGITS and _INTEGER.match(data):
        number = int(data)
        if -(1 << 7) <= number < 1 << 7:
            return struct.pack("<Bb", _INT8, number)
        if -(1 << 15) <= number < 1 << 15:
            return struct.pack("<Bh", _INT16, number)
        if -(1 << 31) <= number < 1 << 31:
            return struct.pack("<Bi", _INT32, number)
    if compressed and size >= _COMPRESS_MIN_BYTES:
        shorter = compress(data)
        if shorter is not None:
            return b"%c%b%b%b" % (_LZF, pack_length(len(shorter)), pack_length(size), shorter)
    return pack_length(size) + data


class Reader:
    """Takes a payload apart from its beginning; CorruptPayload where it ends too early."""

    __slots__ = ("_data", "_inflated_left", "_place")

    def __init__(self, data: bytes, inflated_bytes_max: int = INFLATED_BYTES_MAX) -> None:
        self._data = data
        self._place = 0
        self._inflated_left = inflated_bytes_max

    @property
    def left(self) -> int:
        """How many bytes are left."""
        return len(self._data) - self._place

    def take(self, count: int) -> bytes:
        """The next `count` bytes."""
        end = self._place + count
        if end > len(self._data):
            raise CorruptPayload("ends too early")
        piece = self._data[self._place : end]
        self._place = end
        return piece

    def byte(self) -> int:
        """The next byte."""
        return self.take(1)[0]

    def length(self) -> int:
        """A length, or another number below 2**64."""
        first = self.byte()
        if first < 0x40:
            return first
        if first < 0x80:
            return (first & 0x3F) << 8 | self.byte()
        if first == _WIDE_32:
            return int.from_bytes(self.take(4), "big")
        if first == _WIDE_64:
            return int.from_bytes(self.take(8), "big")
        raise CorruptPayload(f"{first:#x} is no length")

    def string(self) -> bytes:
        """A string in any of its forms."""
        first = self.byte()
        if first < 0xC0:
            self._place -= 1
            return self.take(self.length())
        if first == _LZF:
            return self._compressed()
        width = _INTEGER_BYTES.get(first)
        if width is None:
            raise CorruptPayload(f"{first:#x} is no string")
        return b"%d" % int.from_bytes(self.take(width), "little", signed=True)

    def _compressed(self) -> bytes:
        size = self.length()
        inflated = self.length()
        data = self.take(size)
        if inflated > self._inflated_left:
            raise CorruptPayload("compressed text is too large")
        self._inflated_left -= inflated
        try:
            return decompress(data, inflated)
        except LzfError as error:
            raise CorruptPayload(f"compressed text: {error}") from None

    def signed64(self) -> int:
        """A signed 64-bit integer, little-endian: a time in milliseconds."""
        return int.from_bytes(self.take(8), "little", signed=True)

    def double(self) -> float:
        """A double in binary."""
        number: float = struct.unpack("<d", self.take(8))[0]
        return number
