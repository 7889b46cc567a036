"""What older versions of Redis packed small values into: the ziplist and the zipmap. Only read.

A ziplist, of Redis 6.2 and before, is the listpack's ancestor: each entry begins with the length
of the one before, by which it is verified here. A zipmap, of Redis 2.4, is a hash as keys and
values in turn, each after its length; a value may have unused bytes behind it.
"""

from __future__ import annotations

import struct

from cacheapp.engine.persistence.encoding import CorruptPayload

_END = 0xFF
_LONG_LENGTH = 0xFE
_ZIPLIST_HEADER_BYTES = 10
_COUNT_UNKNOWN = 0xFFFF
_INTEGER_BYTES = {0xC0: 2, 0xD0: 4, 0xE0: 8, 0xF0: 3, 0xFE: 1}
# The kinds that are an integer themselves, from 0 to 12.
_IMMEDIATE_FIRST, _IMMEDIATE_LAST = 0xF1, 0xFD
_ZIPMAP_COUNT_UNKNOWN = 254


def unpack_ziplist(data: bytes) -> list[bytes]:
    """The entries of a ziplist as strings; CorruptPayload where anything is amiss."""
    if len(data) < _ZIPLIST_HEADER_BYTES + 1 or data[-1] != _END:
        raise CorruptPayload("ziplist: header or end")
    size, tail, count = struct.unpack_from("<IIH", data)
    if size != len(data):
        raise CorruptPayload("ziplist: size")
    items: list[bytes] = []
    place, last, before = _ZIPLIST_HEADER_BYTES, len(data) - 1, 0
    start = place
    while place < last:
        start = place
        told = data[place]
        place += 1
        if told == _LONG_LENGTH:
            told = int.from_bytes(data[place : place + 4], "little")
            place += 4
        if told != before:
            raise CorruptPayload("ziplist: length of the entry before")
        item, place = _ziplist_entry(data, place)
        if place > last:
            raise CorruptPayload("ziplist: entry")
        before = place - start
        items.append(item)
    if count not in (len(items), _COUNT_UNKNOWN) or tail != start:
        raise CorruptPayload("ziplist: count or tail")
    return items


def _ziplist_entry(data: bytes, place: int) -> tuple[bytes, int]:
    """The entry at `place`, and where it ends, which may be beyond the end of `data`."""
    kind = data[place] if place < len(data) else _END
    if kind < 0x40:
        return _piece(data, place + 1, kind)
    if kind < 0x80:
        low = data[place + 1] if place + 1 < len(data) else 0
        return _piece(data, place + 2, (kind & 0x3F) << 8 | low)
    if kind == 0x80:
        return _piece(data, place + 5, int.from_bytes(data[place + 1 : place + 5], "big"))
    if _IMMEDIATE_FIRST <= kind <= _IMMEDIATE_LAST:
        return b"%d" % (kind - _IMMEDIATE_FIRST), place + 1
    width = _INTEGER_BYTES.get(kind)
    if width is None:
        raise CorruptPayload("ziplist: kind")
    end = place + 1 + width
    return b"%d" % int.from_bytes(data[place + 1 : end], "little", signed=True), end


def _piece(data: bytes, start: int, size: int) -> tuple[bytes, int]:
    return data[start : start + size], start + size


def unpack_zipmap(data: bytes) -> list[bytes]:
    """The keys and values of a zipmap in turn; CorruptPayload where anything is amiss."""
    if len(data) < 2 or data[-1] != _END:
        raise CorruptPayload("zipmap: size or end")
    items: list[bytes] = []
    place, last = 1, len(data) - 1
    while place < last:
        for is_value in (False, True):
            size = data[place] if place < last else _END
            place += 1
            if size == _END:
                raise CorruptPayload("zipmap: length")
            if size == _LONG_LENGTH:
                size = int.from_bytes(data[place : place + 4], "little")
                place += 4
                if size < _LONG_LENGTH:
                    raise CorruptPayload("zipmap: length")
            unused = 0
            if is_value and place < last:
                unused = data[place]
                place += 1
            items.append(data[place : place + size])
            place += size + unused
            if place > last:
                raise CorruptPayload("zipmap: entry")
    if data[0] < _ZIPMAP_COUNT_UNKNOWN and data[0] != len(items) // 2:
        raise CorruptPayload("zipmap: count")
    return items
