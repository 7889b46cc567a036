"""The intset: as narrow as its ends allow, in order, never empty."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cacheapp.engine.persistence.encoding import CorruptPayload
from cacheapp.engine.persistence.intset import pack, unpack


@pytest.mark.parametrize(
    ("numbers", "width"),
    [
        ([-(2**15), 2**15 - 1], 2),
        ([2**15], 4),
        ([-(2**31), 5], 4),
        ([-(2**31) - 1, 5], 8),
        ([2**63 - 1], 8),
    ],
)
def test_widths(numbers: list[int], width: int) -> None:
    raw = pack(numbers)
    assert struct.unpack_from("<II", raw) == (width, len(numbers))
    assert len(raw) == 8 + width * len(numbers)


@given(numbers=st.sets(st.integers(-(2**63), 2**63 - 1), min_size=1))
def test_numbers_come_back(numbers: set[int]) -> None:
    assert unpack(pack(sorted(numbers))) == sorted(numbers)


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\x02\x00\x00\x00\x01\x00\x00",
        struct.pack("<II", 2, 0),
        struct.pack("<IIh", 3, 1, 1),
        struct.pack("<IIh", 2, 2, 1),
        struct.pack("<IIhh", 2, 2, 1, 1),
        struct.pack("<IIhh", 2, 2, 2, 1),
        struct.pack("<IIh", 2, 2**31 + 1, 1),
    ],
)
def test_what_is_no_intset(raw: bytes) -> None:
    with pytest.raises(CorruptPayload):
        unpack(raw)
