"""Lengths and strings: the widths, the special forms, and readers that never go beyond the end."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cacheapp.engine.persistence.encoding import (
    CorruptPayload,
    Reader,
    pack_length,
    pack_string,
)


@pytest.mark.parametrize(
    ("length", "raw"),
    [
        (0, "00"),
        (63, "3f"),
        (64, "4040"),
        (16383, "7fff"),
        (16384, "8000004000"),
        (2**32 - 1, "80ffffffff"),
        (2**32, "810000000100000000"),
        (2**64 - 1, "81ffffffffffffffff"),
    ],
)
def test_lengths_take_as_few_bytes_as_they_can(length: int, raw: str) -> None:
    assert pack_length(length).hex() == raw
    assert Reader(bytes.fromhex(raw)).length() == length


@pytest.mark.parametrize(
    ("text", "raw"),
    [
        (b"", "00"),
        (b"0", "c000"),
        (b"-128", "c080"),
        (b"128", "c18000"),
        (b"-32768", "c10080"),
        (b"32768", "c200800000"),
        (b"-2147483648", "c200000080"),
        (b"2147483648", "0a32313437343833363438"),
        (b"-0", "022d30"),
        (b"01", "023031"),
        (b"1\n", "02310a"),
    ],
)
def test_small_integers_are_kept_as_such(text: bytes, raw: str) -> None:
    assert pack_string(text).hex() == raw
    assert Reader(bytes.fromhex(raw)).string() == text


@given(text=st.binary(max_size=40), times=st.integers(0, 20), compressed=st.booleans())
def test_strings_come_back(text: bytes, times: int, compressed: bool) -> None:
    packed = pack_string(text * times, compressed=compressed)
    reader = Reader(packed)
    assert reader.string() == text * times
    assert reader.left == 0


def test_compression_begins_at_21_bytes() -> None:
    assert pack_string(b"a" * 20) == b"\x14" + b"a" * 20
    assert len(pack_string(b"a" * 21)) < 20
    assert pack_string(b"a" * 21, compressed=False) == b"\x15" + b"a" * 21


@pytest.mark.parametrize("raw", ["", "40", "80", "81", "82", "c1", "8000", "bf00"])
def test_what_is_no_length(raw: str) -> None:
    with pytest.raises(CorruptPayload):
        Reader(bytes.fromhex(raw)).length()


@pytest.mark.parametrize("raw", ["", "01", "c0", "c100", "c4", "ff", "c3050961", "c30105ff", "82"])
def test_what_is_no_string(raw: str) -> None:
    with pytest.raises(CorruptPayload):
        Reader(bytes.fromhex(raw)).string()


def test_compressed_text_has_a_bound() -> None:
    packed = pack_string(b"a" * 1000) * 2
    reader = Reader(packed, inflated_bytes_max=1500)
    assert len(reader.string()) == 1000
    with pytest.raises(CorruptPayload, match="too large"):
        reader.string()
