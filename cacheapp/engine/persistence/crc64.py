"""The CRC-64 of RDB payloads (Jones' polynomial, bits reflected), fast in plain Python.

A table gives a byte at a time, a tenth of a second for a megabyte. So a long message is first
made short, by arithmetic on Python's big integers: the polynomial divides a sparse one,

    x^3479 + x^694 + x^659 + x^574 + x^557 + x^297 + x^296 + x^49 + 1

and, since squaring is linear over two elements, the same with each exponent times a power of two.
So the first bits of a message may be replaced by eight shifted copies of them further on without
changing the remainder. Each round takes away nearly half; the table does the last 1,024 bytes.
The sparse polynomial was found by a birthday search; a test divides it.
"""

from __future__ import annotations

from typing import Final

# Jones' polynomial without its x^64, the lowest bit for x^63.
POLYNOMIAL: Final = 0x95AC9329AC4BC9B5
TOP_EXPONENT: Final = 3479
LOWER_EXPONENTS: Final = (694, 659, 574, 557, 297, 296, 49, 0)

_GAP: Final = TOP_EXPONENT - LOWER_EXPONENTS[0]
_SHORT_BYTES: Final = 1024


def _table() -> list[int]:
    table = []
    for byte in range(256):
        crc = byte
        for _ in range(8):
            crc = crc >> 1 ^ (POLYNOMIAL if crc & 1 else 0)
        table.append(crc)
    return table


_TABLE: Final = _table()


def crc64(data: bytes) -> int:
    """The checksum of `data`, as Redis computes it."""
    if len(data) > _SHORT_BYTES:
        data = _shortened(data)
    crc = 0
    table = _TABLE
    for byte in data:
        crc = table[(crc ^ byte) & 0xFF] ^ crc >> 8
    return crc


def _shortened(data: bytes) -> bytes:
    """A shorter message with the same checksum."""
    # The first bit of a reflected message, its highest power, is the lowest of the integer.
    message, size = int.from_bytes(data, "little"), 8 * len(data)
    while size > 8 * _SHORT_BYTES:
        # The largest power of two that leaves room, or the next, whichever takes more away.
        scale = 1 << (size // TOP_EXPONENT).bit_length() - 1
        count, scale = max(_removable(size, scale), _removable(size, scale // 2))
        first = message & (1 << count) - 1
        folded = 0
        for exponent in LOWER_EXPONENTS:
            folded ^= first << (TOP_EXPONENT - exponent) * scale - count
        message = message >> count ^ folded
        size -= count
    return message.to_bytes(size // 8, "little")


def _removable(size: int, scale: int) -> tuple[int, int]:
    """How many bits, in whole bytes, a round with `scale` takes off a message; and `scale`."""
    return min(_GAP * scale, size - TOP_EXPONENT * scale) & ~7, scale
