"""Ziplists and zipmaps as older versions wrote them, and each kind of damage.

Nothing writes them any more, so the test packs its own.
"""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cacheapp.engine.persistence.encoding import CorruptPayload
from cacheapp.engine.persistence.legacy import unpack_ziplist, unpack_zipmap


def ziplist(*entries: bytes) -> bytes:
    body, before, tail = b"", 0, 10
    for entry in entries:
        tail = 10 + len(body)
        told = bytes((before,)) if before < 254 else b"\xfe" + struct.pack("<I", before)
        body += told + entry
        before = len(told) + len(entry)
    size = 10 + len(body) + 1
    return struct.pack("<IIH", size, tail, len(entries)) + body + b"\xff"


def text(raw: bytes) -> bytes:
    if len(raw) < 64:
        return bytes((len(raw),)) + raw
    if len(raw) < 16384:
        return struct.pack(">H", 0x4000 | len(raw)) + raw
    return struct.pack(">BI", 0x80, len(raw)) + raw


@pytest.mark.parametrize(
    ("entry", "item"),
    [
        (b"\xf1", b"0"),
        (b"\xfd", b"12"),
        (b"\xfe\xff", b"-1"),
        (b"\xc0\x00\x80", b"-32768"),
        (b"\xf0\xff\xff\x7f", b"8388607"),
        (b"\xd0\x00\x00\x00\x80", b"-2147483648"),
        (b"\xe0" + b"\xff" * 8, b"-1"),
    ],
)
def test_integers_of_a_ziplist(entry: bytes, item: bytes) -> None:
    assert unpack_ziplist(ziplist(entry, text(b"after"))) == [item, b"after"]


@given(items=st.lists(st.sampled_from([b"", b"a", b"b" * 63, b"c" * 64, b"d" * 300, b"e" * 16384])))
def test_strings_of_a_ziplist(items: list[bytes]) -> None:
    assert unpack_ziplist(ziplist(*map(text, items))) == items


VALID = ziplist(text(b"ab"), b"\xc0\x01\x02", text(b"c" * 70))


@pytest.mark.parametrize("place", [*range(11), 14, 18, 19, len(VALID) - 1])
def test_damage_to_a_ziplist(place: int) -> None:
    changed = bytearray(VALID)
    changed[place] ^= 0x41
    with pytest.raises(CorruptPayload):
        unpack_ziplist(bytes(changed))


@pytest.mark.parametrize("entry", [b"\xff", b"\xc1", b"\x81", b"\x3f", b"\x7f\xff", b"\x80\xff"])
def test_entries_that_a_ziplist_cannot_have(entry: bytes) -> None:
    with pytest.raises(CorruptPayload):
        unpack_ziplist(ziplist(entry))


def test_a_ziplist_that_ends_too_early() -> None:
    for size in range(len(VALID)):
        with pytest.raises(CorruptPayload):
            unpack_ziplist(VALID[:size])


ZIPMAP = b"\x02\x01f\x01\x00v\x03key\x02\x03ab???\xff"
LONG_ZIPMAP = b"\x01\x01f\xfe\x00\x01\x00\x00\x00" + b"v" * 256 + b"\xff"


def test_a_zipmap() -> None:
    assert unpack_zipmap(ZIPMAP) == [b"f", b"v", b"key", b"ab"]
    assert unpack_zipmap(b"\xfe" + ZIPMAP[1:]) == [b"f", b"v", b"key", b"ab"]
    assert unpack_zipmap(LONG_ZIPMAP) == [b"f", b"v" * 256]


def test_damage_to_a_zipmap() -> None:
    for size in range(len(ZIPMAP)):
        with pytest.raises(CorruptPayload):
            unpack_zipmap(ZIPMAP[:size])
    for place, byte in ((0, 3), (1, 0xFF), (3, 40), (4, 255), (6, 0xFE)):
        changed = bytearray(ZIPMAP)
        changed[place] = byte
        with pytest.raises(CorruptPayload):
            unpack_zipmap(bytes(changed))
