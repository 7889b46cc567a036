"""The listpack: every kind of entry, lengths behind entries, and verification."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cacheapp.engine.persistence.encoding import CorruptPayload
from cacheapp.engine.persistence.listpack import pack, pack_integer, pack_text, unpack, unpack_texts

INT64 = st.integers(-(2**63), 2**63 - 1)


@pytest.mark.parametrize(
    ("number", "raw"),
    [
        (0, "0001"),
        (127, "7f01"),
        (128, "c08002"),
        (-1, "dfff02"),
        (4095, "cfff02"),
        (-4096, "d00002"),
        (4096, "f1001003"),
        (-32768, "f1008003"),
        (32768, "f200800004"),
        (2**23, "f30000800005"),
        (2**31, "f4000000800000000009"),
        (-(2**63), "f4000000000000008009"),
    ],
)
def test_integers_take_the_shortest_kind(number: int, raw: str) -> None:
    assert pack_integer(number).hex() == raw
    assert pack_text(b"%d" % number).hex() == raw
    assert unpack(pack([number])) == [number]


@pytest.mark.parametrize(
    ("size", "head", "tail"),
    [
        (0, "80", "01"),
        (63, "bf", "40"),
        (64, "e040", "42"),
        (125, "e07d", "7f"),
        (126, "e07e", "0180"),
        (4095, "efff", "2081"),
        (4096, "f000100000", "2085"),
        (16377, "f0f93f0000", "7ffe"),
        (16378, "f0fa3f0000", "00ffff"),
    ],
)
def test_strings_and_the_lengths_behind_them(size: int, head: str, tail: str) -> None:
    entry = pack_text(b"x" * size)
    assert entry.startswith(bytes.fromhex(head) + b"x" * size)
    assert entry.endswith(b"x" * min(size, 1) + bytes.fromhex(tail))
    assert unpack(pack([b"x" * size, 5])) == [b"x" * size, 5]


@given(items=st.lists(st.one_of(st.binary(max_size=200), INT64.map(lambda n: b"%d" % n))))
def test_texts_come_back(items: list[bytes]) -> None:
    assert unpack_texts(pack(items)) == items


@given(raw=st.binary(max_size=40))
def test_any_bytes_are_a_listpack_or_corrupt(raw: bytes) -> None:
    framed = (len(raw) + 7).to_bytes(4, "little") + b"\xff\xff" + raw + b"\xff"
    try:
        items = unpack(framed)
    except CorruptPayload:
        return
    assert len(items) <= len(raw)


VALID = pack([b"text", 7, b"x" * 100, -70000])


@pytest.mark.parametrize("place", range(len(VALID)))
def test_each_byte_of_the_frame_counts(place: int) -> None:
    with pytest.raises(CorruptPayload):
        unpack(VALID[:place])
    changed = bytearray(VALID)
    changed[place] ^= 0xFF
    # Within a string or a number any byte will do.
    inside = 7 <= place <= 10 or 16 <= place < 116 or 118 <= place <= 121 or place == 12
    if not inside:
        with pytest.raises(CorruptPayload):
            unpack(bytes(changed))


def test_a_count_that_is_too_high_to_say() -> None:
    many = pack([1] * 70_000)
    assert many[4:6] == b"\xff\xff"
    assert len(unpack(many)) == 70_000
