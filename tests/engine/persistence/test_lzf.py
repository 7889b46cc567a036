"""LZF: texts come back, and what is no compressed text is refused."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cacheapp.engine.persistence.lzf import LzfError, compress, decompress

REPETITIVE = st.builds(
    lambda pieces, picks: b"".join(pieces[pick % len(pieces)] for pick in picks),
    st.lists(st.binary(min_size=1, max_size=12), min_size=1, max_size=5),
    st.lists(st.integers(0, 4), max_size=300),
)


@given(data=st.one_of(REPETITIVE, st.binary(max_size=200)))
def test_what_is_compressed_comes_back(data: bytes) -> None:
    shorter = compress(data)
    if shorter is not None:
        assert len(shorter) <= len(data) - 4
        assert decompress(shorter, len(data)) == data


def test_repetition_is_found_and_noise_is_not() -> None:
    assert compress(b"a" * 21) == b"\x01aa\xe0\x0a\x00"
    assert compress(random.Random(1).randbytes(50)) is None
    assert compress(random.Random(1).randbytes(50_000)) is None
    text = b"the same again, " * 5000
    shorter = compress(text)
    assert shorter is not None
    assert len(shorter) < len(text) // 50
    assert decompress(shorter, len(text)) == text


def test_a_reference_reaches_8_kib_back() -> None:
    noise = random.Random(2).randbytes(60)
    sizes = []
    for distance in (8192, 8193):
        text = b"." + noise + b"a" * (distance - len(noise)) + noise
        shorter = compress(text)
        assert shorter is not None
        assert decompress(shorter, len(text)) == text
        sizes.append(len(shorter))
    assert sizes[0] < sizes[1] - 50


@pytest.mark.parametrize(
    ("data", "size"),
    [
        (b"\x04abc", 5),
        (b"\x00a\x20", 4),
        (b"\x00a\x20\x01", 4),
        (b"\x00a\xe0", 10),
        (b"\x00a\xe0\x01", 10),
        (b"\x02abc", 2),
        (b"\x02abc", 4),
        (b"\x00a\xe0\xff\x00", 100),
        (b"", 1),
    ],
)
def test_what_is_no_compressed_text(data: bytes, size: int) -> None:
    with pytest.raises(LzfError):
        decompress(data, size)
