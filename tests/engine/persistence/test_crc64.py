"""The checksum: Redis's own check value, the sparse polynomial, and long messages as the table."""

from __future__ import annotations

import random

import pytest

from cacheapp.engine.persistence.crc64 import (
    LOWER_EXPONENTS,
    POLYNOMIAL,
    TOP_EXPONENT,
    crc64,
)


def by_bits(data: bytes) -> int:
    crc = 0
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (POLYNOMIAL if crc & 1 else 0)
    return crc


def test_the_check_value_of_redis() -> None:
    assert crc64(b"123456789") == 0xE9C6D914C4B8D9CA
    assert crc64(b"") == 0


def test_the_polynomial_divides_the_sparse_one() -> None:
    divisor = 1 << 64 | int(f"{POLYNOMIAL:064b}"[::-1], 2)
    sparse = sum(1 << exponent for exponent in (TOP_EXPONENT, *LOWER_EXPONENTS))
    while sparse.bit_length() >= divisor.bit_length():
        sparse ^= divisor << sparse.bit_length() - divisor.bit_length()
    assert sparse == 0


@pytest.mark.parametrize("size", [1, 1023, 1024, 1025, 1026, 1500, 2047, 4096, 10_001, 70_000])
def test_long_messages(size: int) -> None:
    data = random.Random(size).randbytes(size)
    assert crc64(data) == by_bits(data)
