"""HyperLogLog as Redis lays it out in a string, so that GET shows the same bytes.

A header of 16 bytes (magic, encoding, the cached cardinality in little endian, whose highest bit
says that it is out of date) is followed by 16384 registers. Dense: six bits a register. Sparse:
runs, as opcodes of one byte (up to 64 registers of zero, or up to 4 of the same value up to 32)
and of two (up to 16384 registers of zero).

Work on all registers goes through one form of them, 16384 bytes: from and to six bits by slices
and translation tables, and the maximum of several by arithmetic on integers of 16384 lanes, which
is C's speed in both cases. Single registers of the sparse form are found by adding up the lengths
of runs, again with a table. Functions work on a bytearray in place.

Left out on purpose: sharing between keys and partial copies; who calls owns the bytearray.
"""

from __future__ import annotations

import math
import re
from bisect import bisect_right
from collections.abc import Sequence
from functools import lru_cache
from itertools import accumulate
from typing import Final

REGISTERS: Final = 1 << 14
HEADER_BYTES: Final = 16
DENSE_BYTES: Final = HEADER_BYTES + REGISTERS * 6 // 8

_MAGIC = b"HYLL"
_DENSE, _SPARSE = 0, 1
_SPARSE_MAGIC = _MAGIC + bytes([_SPARSE])
# The last byte of the header, and in it the bit of a cardinality that is out of date.
_FLAG_AT, _OUT_OF_DATE = 15, 0x80

# Registers count zeros of the 50 bits of a hash that do not choose the register.
_HASH_ZEROS_MAX = 50
_SEED = 0xADC83B19
_MULTIPLIER = 0xC6A4A7935BD1E995
_64_BITS = 2**64 - 1
# Elements whose place is remembered.
_KNOWN_BYTES_MAX = 64
_ALPHA = 0.721347520444481703680

# Sparse: limits of what an opcode holds.
_SPARSE_VALUE_MAX = 32
_VALUE_RUN_MAX = 4
_ZERO_RUN_MAX = 64
# Opcodes looked at for a merge of equal neighbours after a change.
_MERGE_SCAN = 5


def _value_run(opcode: int) -> tuple[int, int]:
    """The value and the length of a run whose opcode is one byte."""
    if opcode & 0x80:
        return (opcode >> 2 & 31) + 1, (opcode & 3) + 1
    return 0, (opcode & 63) + 1


# The length of the run of each opcode; 0 for the first byte of one of two bytes.
_LENGTHS = bytes(0 if code >> 6 == 1 else _value_run(code)[1] for code in range(256))
_RUNS = [bytes([_value_run(code)[0]]) * _LENGTHS[code] for code in range(256)]
# From the beginning of an opcode on, the next one of two bytes. At the end of a string Redis
# would read the NUL after it.
_LONG_RUN = re.compile(rb"[\x40-\x7f](?:.|\Z)", re.DOTALL)
_OPCODE = re.compile(rb"[\x40-\x7f](?:.|\Z)|[^\x40-\x7f]", re.DOTALL)

# Three bytes hold four registers; the tables take the parts of a register out of a byte.
_LOW_6, _HIGH_2 = (bytes(code & 63 for code in range(256)), bytes(code >> 6 for code in range(256)))
_LOW_4 = bytes((code & 15) << 2 for code in range(256))
_HIGH_4 = bytes(code >> 4 for code in range(256))
_LOW_2 = bytes((code & 3) << 4 for code in range(256))
_HIGH_6 = bytes(code >> 2 for code in range(256))
_UP_6 = bytes((code & 3) << 6 for code in range(256))
_UP_2 = bytes(code << 2 & 255 for code in range(256))
_UP_4 = bytes((code & 15) << 4 for code in range(256))
_LANE_TOPS = int.from_bytes(b"\x80" * REGISTERS, "little")


class CorruptedError(ValueError):
    """The runs of a sparse HyperLogLog do not cover 16384 registers."""


# The whole


def create() -> bytearray:
    """An empty HyperLogLog, sparse, with a valid cardinality of 0."""
    return bytearray(_MAGIC + bytes([_SPARSE]) + bytes(11) + _zero_run(REGISTERS))


def is_hyperloglog(data: bytes | bytearray) -> bool:
    """Whether a string has the header of a HyperLogLog, and a dense one its length."""
    if len(data) < HEADER_BYTES or data[:4] != _MAGIC or data[4] not in (_DENSE, _SPARSE):
        return False
    return data[4] == _SPARSE or len(data) == DENSE_BYTES


def is_sparse(data: bytes | bytearray) -> bool:
    """Whether it is in the sparse encoding."""
    return data[4] == _SPARSE


def cached_count(data: bytes | bytearray) -> int | None:
    """The cardinality in the header, or None where it is out of date."""
    if data[_FLAG_AT] & _OUT_OF_DATE:
        return None
    return int.from_bytes(data[8:HEADER_BYTES], "little")


def cache_count(data: bytearray, cardinality: int) -> None:
    """Note the cardinality in the header."""
    data[8:HEADER_BYTES] = (cardinality & _64_BITS).to_bytes(8, "little")


def expire_count(data: bytearray) -> None:
    """Mark the cardinality in the header as out of date."""
    data[_FLAG_AT] |= _OUT_OF_DATE


def murmur_hash(element: bytes) -> int:
    """MurmurHash64A of `element`, with the seed that Redis uses."""
    size = len(element)
    state = _SEED ^ (size * _MULTIPLIER & _64_BITS)
    whole = size & ~7
    for at in range(0, whole, 8):
        word = int.from_bytes(element[at : at + 8], "little") * _MULTIPLIER & _64_BITS
        word = (word ^ word >> 47) * _MULTIPLIER & _64_BITS
        state = (state ^ word) * _MULTIPLIER & _64_BITS
    if size & 7:
        rest = int.from_bytes(element[whole:], "little")
        state = (state ^ rest) * _MULTIPLIER & _64_BITS
    state = (state ^ state >> 47) * _MULTIPLIER & _64_BITS
    return state ^ state >> 47


def position_of(element: bytes) -> tuple[int, int]:
    """The register that `element` falls to, and the value which that must have at least."""
    return _known_position(element) if len(element) <= _KNOWN_BYTES_MAX else _position(element)


def _position(element: bytes) -> tuple[int, int]:
    hashed = murmur_hash(element)
    rest = hashed >> 14 | 1 << _HASH_ZEROS_MAX
    return hashed & REGISTERS - 1, (rest & -rest).bit_length()


# Who is counted once is counted again: to hash takes longer than all the rest. Bounded.
_known_position = lru_cache(maxsize=2048)(_position)


def add(data: bytearray, element: bytes, sparse_bytes_max: int) -> bool:
    """Add `element`; whether a register grew. Beyond the limit in bytes it becomes dense.

    Raises CorruptedError.
    """
    index, value = position_of(element)
    if data[4] == _DENSE:
        return _dense_put(data, index, value)
    return _sparse_put(data, _locate(data, index), index, value, sparse_bytes_max)


class Shown:
    """The registers of a sparse one at hand, for as long as it is what it was.

    In the sparse form a register is found by going through the runs before it, which takes ten
    times as long as to see that the runs are still the same.
    """

    __slots__ = ("_registers", "_runs")

    def __init__(self, data: bytearray) -> None:
        """Raises CorruptedError."""
        self._registers = registers(data)
        # The cardinality in the header may change.
        self._runs = bytes(data[HEADER_BYTES:])

    def holds(self, data: bytes | bytearray, element: bytes) -> bool:
        """Whether adding `element` to `data`, any string, is known to change nothing."""
        if len(element) > _KNOWN_BYTES_MAX:
            return False
        index, value = _known_position(element)
        return (
            value <= self._registers[index]
            and data.endswith(self._runs)
            and len(data) == HEADER_BYTES + len(self._runs)
            and data.startswith(_SPARSE_MAGIC)
        )


def registers(data: bytes | bytearray) -> bytes:
    """The values of the 16384 registers, a byte each; raises CorruptedError."""
    if data[4] == _DENSE:
        return _unpack(data)
    body = bytes(data[HEADER_BYTES:])
    # No run is empty, so a valid body has two bytes a register at most.
    opcodes = _OPCODE.findall(body) if len(body) <= 2 * REGISTERS else []
    lengths = [_LENGTHS[code[0]] or _long_run_length(code) for code in opcodes]
    if sum(lengths) != REGISTERS:
        raise CorruptedError
    return b"".join(
        [_RUNS[code[0]] or bytes(length) for code, length in zip(opcodes, lengths, strict=True)]
    )


def make_dense(data: bytearray) -> bool:
    """Take on the dense encoding; whether it was sparse. Raises CorruptedError."""
    if data[4] == _DENSE:
        return False
    data[HEADER_BYTES:] = _pack(registers(data))
    data[4] = _DENSE
    return True


def decode(data: bytes | bytearray) -> bytes:
    """The runs of a sparse one in the notation of PFDEBUG DECODE."""
    words = []
    for code in _OPCODE.findall(bytes(data[HEADER_BYTES:])):
        if not _LENGTHS[code[0]]:
            words.append(b"Z:%d" % _long_run_length(code))
        elif code[0] & 0x80:
            words.append(b"v:%d,%d" % _value_run(code[0]))
        else:
            words.append(b"z:%d" % _LENGTHS[code[0]])
    return b" ".join(words)


# Counting and merging


def count(values: bytes) -> int:
    """The cardinality that 16384 register values speak of, by Ertl's estimator."""
    histogram = [0] * 64
    rest = values
    # Each pass takes one value out, so that the later ones have less to look at.
    for value in range(64):
        shorter = rest.translate(None, bytes([value]))
        histogram[value] = len(rest) - len(shorter)
        rest = shorter
        if not rest:
            break
    size = float(REGISTERS)
    total = size * _tau((size - histogram[_HASH_ZEROS_MAX + 1]) / size)
    for value in range(_HASH_ZEROS_MAX, 0, -1):
        total = (total + histogram[value]) * 0.5
    total += size * _sigma(histogram[0] / size)
    if not total:
        # Every register at its end: infinite in theory, and the lowest number in C.
        return -(2**63)
    estimate = _ALPHA * size * size / total
    whole = math.floor(estimate)
    return whole + (estimate - whole >= 0.5)


def _sigma(x: float) -> float:
    if x == 1.0:
        return math.inf
    y, z, before = 1.0, x, -1.0
    while z != before:
        x *= x
        before = z
        z += x * y
        y += y
    return z


def _tau(x: float) -> float:
    if x in (0.0, 1.0):
        return 0.0
    y, z, before = 1.0, 1.0 - x, -1.0
    while z != before:
        x = math.sqrt(x)
        before = z
        y *= 0.5
        z -= (1.0 - x) * (1.0 - x) * y
    return z / 3.0


def highest(several: Sequence[bytes]) -> bytes:
    """The maximum of each register over `several` sets of values (all zero for none)."""
    if not several:
        return bytes(REGISTERS)
    best = int.from_bytes(several[0], "little")
    for values in several[1:]:
        other = int.from_bytes(values, "little")
        # The top bit of a lane stays where `best` is not below `other`; then a mask of 7 bits.
        tops = ((best | _LANE_TOPS) - other) & _LANE_TOPS
        mask = tops - (tops >> 7)
        best = other ^ ((best ^ other) & mask)
    return best.to_bytes(REGISTERS, "little")


def raise_to(data: bytearray, values: bytes, sparse_bytes_max: int) -> None:
    """Make each register of `data` at least that of `values`, in Redis's order of writes.

    `values` must not be below the registers which `data` has (it is one of what was merged).
    """
    if data[4] == _SPARSE and _fits_sparse(data, values, sparse_bytes_max):
        trail = [(HEADER_BYTES, 0)]
        for match in re.finditer(rb"[^\0]", values):
            index = match.start()
            _sparse_put(data, _walk(data, trail, index), index, values[index], sparse_bytes_max)
            if data[4] == _DENSE:
                break
            if len(trail) > 1:
                # The opcode may have been joined to the one before it, which still begins there.
                trail.pop()
        else:
            return
    data[HEADER_BYTES:] = _pack(values)
    data[4] = _DENSE


def _fits_sparse(data: bytearray, values: bytes, sparse_bytes_max: int) -> bool:
    """False where the writes are certain to end in the dense encoding."""
    if max(values) > _SPARSE_VALUE_MAX:
        return False
    used = REGISTERS - values.count(0)
    return HEADER_BYTES + used / _VALUE_RUN_MAX <= sparse_bytes_max or len(data) > sparse_bytes_max


# Dense


def _dense_put(data: bytearray, index: int, value: int) -> bool:
    at, shift = HEADER_BYTES + index * 6 // 8, index * 6 & 7
    pair = int.from_bytes(data[at : at + 2], "little")
    old = pair >> shift & 63
    if value <= old:
        return False
    pair += (value - old) << shift
    data[at] = pair & 255
    if shift > 2:
        data[at + 1] = pair >> 8
    return True


def _either(one: bytes, other: bytes) -> bytes:
    size = len(one)
    return (int.from_bytes(one, "little") | int.from_bytes(other, "little")).to_bytes(
        size, "little"
    )


def _unpack(data: bytes | bytearray) -> bytes:
    """Registers of six bits as bytes."""
    first, second, third = (bytes(data[HEADER_BYTES + at :: 3]) for at in range(3))
    values = bytearray(REGISTERS)
    values[0::4] = first.translate(_LOW_6)
    values[1::4] = _either(first.translate(_HIGH_2), second.translate(_LOW_4))
    values[2::4] = _either(second.translate(_HIGH_4), third.translate(_LOW_2))
    values[3::4] = third.translate(_HIGH_6)
    return bytes(values)


def _pack(values: bytes) -> bytes:
    """Bytes as registers of six bits."""
    zeroth, first, second, third = (values[at::4] for at in range(4))
    packed = bytearray(REGISTERS * 6 // 8)
    packed[0::3] = _either(zeroth, first.translate(_UP_6))
    packed[1::3] = _either(first.translate(_HIGH_6), second.translate(_UP_4))
    packed[2::3] = _either(second.translate(_HIGH_4), third.translate(_UP_2))
    return bytes(packed)


# Sparse

# Where an opcode is, where the one before it, and its first register.
_Place = tuple[int, int, int]


def _zero_run(length: int) -> bytes:
    if length <= _ZERO_RUN_MAX:
        return bytes([length - 1])
    return bytes([0x40 | (length - 1) >> 8, (length - 1) & 255])


def _run_of(value: int, length: int) -> bytes:
    return bytes([0x80 | (value - 1) << 2 | length - 1]) if value else _zero_run(length)


def _long_run_length(code: bytes | bytearray) -> int:
    return ((code[0] & 63) << 8 | (code[1] if len(code) > 1 else 0)) + 1


def _locate(data: bytearray, index: int) -> _Place:
    """The opcode that covers the register `index`; raises CorruptedError where none does."""
    body = bytes(data)
    start, first, before = HEADER_BYTES, 0, HEADER_BYTES
    for match in _LONG_RUN.finditer(body, HEADER_BYTES):
        stop = match.start()
        if stop > start:
            length = sum(body[start:stop].translate(_LENGTHS))
            if index < first + length:
                return _locate_short(body[start:stop], start, first, before, index)
            first += length
            before = stop - 1
        length = _long_run_length(match.group())
        if index < first + length:
            return stop, before, first
        first += length
        before, start = stop, stop + 2
    return _locate_short(body[start:], start, first, before, index)


def _locate_short(part: bytes, start: int, first: int, before: int, index: int) -> _Place:
    """As `_locate`, in a `part` that begins at `start` and has opcodes of one byte only."""
    ends = list(accumulate(part.translate(_LENGTHS), initial=first))
    at = bisect_right(ends, index) - 1
    if at >= len(part):
        raise CorruptedError
    return start + at, start + at - 1 if at else before, ends[at]


def _walk(data: bytearray, trail: list[tuple[int, int]], index: int) -> _Place:
    """As `_locate`, opcode by opcode from the end of `trail`, which grows by what it passes.

    The trail has the places of opcodes, without gaps from the first one on, with their first
    registers; none is after `index`.
    """
    at, first = trail[-1]
    while at < len(data):
        length = _LENGTHS[data[at]]
        size = 1 if length else 2
        length = length or _long_run_length(data[at : at + 2])
        if index < first + length:
            return at, trail[-2][0] if len(trail) > 1 else HEADER_BYTES, first
        at += size
        first += length
        trail.append((at, first))
    raise CorruptedError


def _sparse_put(
    data: bytearray, place: _Place, index: int, value: int, sparse_bytes_max: int
) -> bool:
    """Raise the register `index`, in the opcode at `place`, to `value`; whether it grew.

    May leave `data` dense. Raises CorruptedError.
    """
    at, before, first = place
    opcode = data[at]
    old, length = _value_run(opcode) if _LENGTHS[opcode] else (0, 0)
    size = 1 if length else 2
    length = length or _long_run_length(data[at : at + 2])
    if value <= old:
        return False
    if value > _SPARSE_VALUE_MAX:
        return _promoted(data, index, value)
    parts = [
        _run_of(old, index - first) if index > first else b"",
        _run_of(value, 1),
        _run_of(old, first + length - 1 - index) if index < first + length - 1 else b"",
    ]
    new = b"".join(parts)
    if len(new) > size and len(data) + len(new) - size > sparse_bytes_max:
        return _promoted(data, index, value)
    data[at : at + size] = new
    _join_neighbours(data, before)
    data[_FLAG_AT] |= _OUT_OF_DATE
    return True


def _promoted(data: bytearray, index: int, value: int) -> bool:
    make_dense(data)
    return _dense_put(data, index, value)


def _join_neighbours(data: bytearray, start: int) -> None:
    """Make one run of adjacent runs of the same value, near `start`."""
    at = start
    for _ in range(_MERGE_SCAN):
        if at + 1 >= len(data):
            return
        opcode = data[at]
        if not opcode & 0x80:
            at += 1 if _LENGTHS[opcode] else 2
            continue
        value, length = _value_run(opcode)
        following = data[at + 1]
        joined = length + _LENGTHS[following]
        if following >> 2 == opcode >> 2 and joined <= _VALUE_RUN_MAX:
            data[at : at + 2] = _run_of(value, joined)
        else:
            at += 1
