"""LZF, the compression of strings in RDB payloads.

The format is runs of literal bytes and references to what came before, at most 8 KiB back:

    000LLLLL                     L+1 bytes follow as they are
    LLLooooo oooooooo            L+2 bytes from o+1 bytes back
    111ooooo LLLLLLLL oooooooo   L+9 bytes from o+1 bytes back

`compress` finds the references that liblzf finds in the build that Redis uses (a table of 65,536
places by a hash of three bytes, two places noted after each match), so that payloads are equal to
the byte. What zlib, which is fast here, cannot make smaller is not tried: LZF is weaker.
"""

from __future__ import annotations

import itertools
import struct
import zlib
from typing import Final

_LITERALS_MAX: Final = 32
_DISTANCE_MAX: Final = 1 << 13
_MATCH_MAX: Final = 264
_REFERENCE_MAX_BYTES: Final = 4
_LONG_MATCH: Final = 9
_UNROLLED: Final = 19
_COMPARED_BYTES: Final = 24
# From this size on, zlib is asked whether there is anything to gain.
_PROBE_MIN_BYTES: Final = 4096
# LZF spends a byte for every 32 literals: it cannot win where zlib wins less.
_PROBE_RATIO: Final = 0.97


class LzfError(ValueError):
    """A compressed text that is not one, or that does not come to the size it should."""


def compress(data: bytes) -> bytes | None:
    """`data` compressed, or None where that would not save at least four bytes."""
    size_max = len(data) - 4
    if size_max <= 0 or _is_hopeless(data):
        return None
    out = bytearray()
    append = out.append
    pairs, slots = _hashes(data)
    # Where each hash was noted last; as in liblzf, place 0 stands for nowhere.
    table = dict.fromkeys(slots, 0)
    # Where the literals that are not written yet begin, which is where the last match ended.
    start = 0
    for place, slot in enumerate(slots):
        if place < start:
            continue
        reference = table[slot]
        table[slot] = place
        # Of the same hash, three bytes are equal when the first two are.
        if (
            not reference
            or pairs[reference] != pairs[place]
            or (distance := place - reference - 1) >= _DISTANCE_MAX
        ):
            continue
        waiting = place - start
        if 0 < waiting <= _LITERALS_MAX:
            append(waiting - 1)
            out += data[start:place]
        elif waiting:
            _put_literals(out, data, start, place)
        if len(out) + _REFERENCE_MAX_BYTES >= size_max:
            return None
        length = _match_length(data, reference, place)
        if length < _LONG_MATCH:
            append((length - 2) << 5 | distance >> 8)
        else:
            append(7 << 5 | distance >> 8)
            append(length - _LONG_MATCH)
        append(distance & 0xFF)
        start = place + length
        if start < len(slots):
            # Of the places in the match, the last two are noted.
            table[slots[start - 2]] = start - 2
            table[slots[start - 1]] = start - 1
    # liblzf gives up where three more bytes would not fit, needed or not.
    waiting = max(0, len(slots) - start)
    if len(out) + waiting + waiting // _LITERALS_MAX + 1 + 3 > size_max:
        return None
    _put_literals(out, data, start, len(data))
    return bytes(out)


def _is_hopeless(data: bytes) -> bool:
    if len(data) < _PROBE_MIN_BYTES:
        return False
    # With fixed codes for literals, as LZF has none at all.
    probe = zlib.compressobj(level=1, strategy=zlib.Z_FIXED)
    return len(probe.compress(data)) + len(probe.flush()) > len(data) * _PROBE_RATIO


def _hashes(data: bytes) -> tuple[list[int], list[int]]:
    """The two bytes at each place as one number, and liblzf's hash of the three bytes there."""
    size = len(data)
    pairs = [0] * (size - 1)
    # 16-bit numbers from the even places and from the odd ones.
    pairs[0::2] = struct.unpack_from(f">{size // 2}H", data)
    pairs[1::2] = struct.unpack_from(f">{(size - 1) // 2}H", data, 1)
    return pairs, [first - 5 * second & 0xFFFF for first, second in itertools.pairwise(pairs)]


def _put_literals(out: bytearray, data: bytes, start: int, end: int) -> None:
    for place in range(start, end, _LITERALS_MAX):
        run = data[place : min(place + _LITERALS_MAX, end)]
        out.append(len(run) - 1)
        out += run


def _match_length(data: bytes, reference: int, place: int) -> int:
    """How many bytes at `place` repeat those at `reference`; at least the three of the hash."""
    # liblzf leaves two bytes at the end alone, except where it compares the first 19 unrolled.
    longest = min(_MATCH_MAX, len(data) - place - 2)
    longest = max(_UNROLLED if longest > 16 else 3, longest)
    length = 3
    while length < longest:
        step = min(_COMPARED_BYTES, longest - length)
        ahead, behind = place + length, reference + length
        difference = int.from_bytes(data[ahead : ahead + step], "little") ^ int.from_bytes(
            data[behind : behind + step], "little"
        )
        if difference:
            # Its lowest bit is in the first byte that differs.
            return length + ((difference & -difference).bit_length() - 1 >> 3)
        length += step
    return length


def decompress(data: bytes, size: int) -> bytes:
    """The `size` bytes that `data` stands for; LzfError for any other text or size."""
    out = bytearray()
    place, end = 0, len(data)
    while place < end:
        control = data[place]
        place += 1
        if control < _LITERALS_MAX:
            stop = place + control + 1
            if stop > end:
                raise LzfError("literals beyond the end")
            out += data[place:stop]
            place = stop
        else:
            length = (control >> 5) + 2
            if length == _LONG_MATCH:
                if place >= end:
                    raise LzfError("no length")
                length += data[place]
                place += 1
            if place >= end:
                raise LzfError("no distance")
            start = len(out) - ((control & 0x1F) << 8 | data[place]) - 1
            place += 1
            if start < 0:
                raise LzfError("a reference before the beginning")
            _repeat(out, start, length)
        if len(out) > size:
            raise LzfError("too many bytes")
    if len(out) != size:
        raise LzfError("too few bytes")
    return bytes(out)


def _repeat(out: bytearray, start: int, length: int) -> None:
    """Append `length` bytes from `start` on, of which the last may be among those appended."""
    piece = out[start : start + length]
    if len(piece) < length:
        piece = piece * (length // len(piece) + 1)
        del piece[length:]
    out += piece
