"""The listpack: strings and integers one after the other, each followed by its own length.

    4 bytes of size, 2 bytes of count (65,535: too many to say), entries, 0xFF

An entry begins with its kind; its length at the end, seven bits a byte, lets a reader walk back.
Integers in canonical decimal form are kept as such, in the shortest kind that holds them. Small
hashes, sorted sets, the nodes of lists and of streams are listpacks. `unpack` verifies all of it.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterable
from typing import Final

from cacheapp.engine.persistence.encoding import CorruptPayload

Item = bytes | int

HEADER_BYTES: Final = 6
_END: Final = 0xFF
_COUNT_UNKNOWN: Final = 0xFFFF
_INTEGER = re.compile(rb"(?:0|-?[1-9][0-9]{0,18})\Z")
_INTEGER_DIGITS_MAX: Final = 20
# The kinds that a whole byte names: integers by their width in bytes, and the long string.
_INTEGER_KINDS: Final = ((2, 0xF1), (3, 0xF2), (4, 0xF3), (8, 0xF4))
_INTEGER_BYTES: Final = {kind: width for width, kind in _INTEGER_KINDS}
_LONG_TEXT: Final = 0xF0


def pack(items: Iterable[Item]) -> bytes:
    """The listpack of `items`."""
    entries = [pack_integer(item) if type(item) is int else pack_text(item) for item in items]  # type: ignore[arg-type]
    return frame(entries)


def frame(entries: list[bytes]) -> bytes:
    """The listpack of entries that are packed already."""
    body = b"".join(entries)
    size = HEADER_BYTES + len(body) + 1
    count = min(len(entries), _COUNT_UNKNOWN)
    return b"%b%b%c" % (struct.pack("<IH", size, count), body, _END)


def pack_text(raw: bytes) -> bytes:
    """The entry for a string, as an integer where it looks like one."""
    size = len(raw)
    if size <= _INTEGER_DIGITS_MAX and _INTEGER.match(raw):
        number = int(raw)
        if -(1 << 63) <= number < 1 << 63:
            return pack_integer(number)
    if size < 64:
        return b"%c%b%c" % (0x80 | size, raw, size + 1)
    if size < 4096:
        entry = b"%c%c%b" % (0xE0 | size >> 8, size & 0xFF, raw)
    else:
        entry = struct.pack("<BI", _LONG_TEXT, size) + raw
    return entry + _length_behind(len(entry))


def pack_integer(number: int) -> bytes:
    """The entry for an integer of 64 bits."""
    if 0 <= number < 128:
        return bytes((number, 1))
    if -4096 <= number < 4096:
        number &= 0x1FFF
        return bytes((0xC0 | number >> 8, number & 0xFF, 2))
    for width, kind in _INTEGER_KINDS:
        if -(1 << 8 * width - 1) <= number < 1 << 8 * width - 1:
            raw = number.to_bytes(width, "little", signed=True)
            return b"%c%b%c" % (kind, raw, width + 1)
    raise OverflowError(number)


def _length_behind(size: int) -> bytes:
    """The length of an entry as it stands behind it: the last byte holds the lowest seven bits."""
    # Of four limits Redis misses the highest value by one.
    width = 1 if size <= 127 else 2 if size < 16383 else 3 if size < 2097151 else 4
    if size >= 268435455:
        width = 5
    groups = [size >> 7 * place & 0x7F for place in range(width)]
    return bytes(group | (0x80 if place < width - 1 else 0) for place, group in enumerate(groups))[
        ::-1
    ]


def unpack(data: bytes) -> list[Item]:
    """The entries of a listpack, integers as such; CorruptPayload where anything is amiss."""
    size = len(data)
    if size < HEADER_BYTES + 1 or int.from_bytes(data[:4], "little") != size or data[-1] != _END:
        raise CorruptPayload("listpack: header or end")
    items: list[Item] = []
    place, last = HEADER_BYTES, size - 1
    while place < last:
        first = data[place]
        if first < 0x80:
            item: Item = first
            end = place + 1
        elif first < 0xC0:
            end = place + 1 + (first & 0x3F)
            item = data[place + 1 : end]
        else:
            item, end = _wide(data, place, first)
        length = end - place
        if length < 128:
            if end >= last or data[end] != length:
                raise CorruptPayload("listpack: entry")
            place = end + 1
        else:
            behind = _length_behind(length)
            place = end + len(behind)
            if place > last or data[end:place] != behind:
                raise CorruptPayload("listpack: entry")
        items.append(item)
    count = data[4] | data[5] << 8
    if place != last or count not in (len(items), _COUNT_UNKNOWN):
        raise CorruptPayload("listpack: count")
    return items


def _wide(data: bytes, place: int, first: int) -> tuple[Item, int]:
    """An entry whose kind takes more than one byte, and where it ends or would end."""
    if first < 0xE0:
        number = (first & 0x1F) << 8 | data[place + 1]
        return number - 0x2000 if number >= 0x1000 else number, place + 2
    if first < 0xF0:
        start = place + 2
        end = start + ((first & 0x0F) << 8 | data[place + 1])
        return data[start:end], end
    if first == _LONG_TEXT:
        start = place + 5
        end = start + int.from_bytes(data[place + 1 : start], "little")
        return data[start:end], end
    width = _INTEGER_BYTES.get(first)
    if width is None:
        raise CorruptPayload("listpack: kind")
    end = place + 1 + width
    return int.from_bytes(data[place + 1 : end], "little", signed=True), end


def texts(items: Iterable[Item]) -> list[bytes]:
    """The entries as strings, which is what most of them were."""
    return [b"%d" % item if type(item) is int else item for item in items]  # type: ignore[misc]


def unpack_texts(data: bytes) -> list[bytes]:
    """The entries of a listpack as strings; CorruptPayload where anything is amiss."""
    return texts(unpack(data))
