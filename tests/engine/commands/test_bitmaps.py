"""Bitmaps against a naive list of bits."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cacheapp.engine.engine import Engine
from cacheapp.engine.errors import CommandError
from tests.engine.conftest import Run

ENGINE = Engine()
SESSION = ENGINE.connect(lambda reply: None, protocol=3)
DATA = st.binary(max_size=12)
BOUND = st.integers(-110, 110)


def execute(*args: bytes | str | int) -> object:
    encoded = [arg if isinstance(arg, bytes) else str(arg).encode() for arg in args]
    return ENGINE.execute(SESSION, encoded)


def bits_of(data: bytes) -> list[int]:
    return [byte >> (7 - at) & 1 for byte in data for at in range(8)]


def stretch(size: int, start: int, end: int) -> range:
    """The positions that Redis's inclusive, perhaps negative bounds mean."""
    if start < 0 and end < 0 and start > end:
        return range(0)
    first = max(0, start + size) if start < 0 else start
    last = max(0, end + size) if end < 0 else min(end, size - 1)
    return range(first, min(last, size - 1) + 1)


@given(DATA, BOUND, BOUND)
def test_bitcount_counts_the_bits_of_the_range(data: bytes, start: int, end: int) -> None:
    execute("SET", "key", data)
    bits = bits_of(data)
    wanted = [bits[at] for at in stretch(len(bits), start, end)]
    assert execute("BITCOUNT", "key", start, end, "BIT") == sum(wanted)
    parts = [bits[8 * at : 8 * at + 8] for at in stretch(len(data), start, end)]
    assert execute("BITCOUNT", "key", start, end) == sum(map(sum, parts))


@given(DATA, st.integers(0, 1), BOUND, BOUND)
def test_bitpos_finds_the_first_of_the_range(data: bytes, bit: int, start: int, end: int) -> None:
    execute("SET", "key", data)
    bits = bits_of(data)
    first = max(0, start + len(bits)) if start < 0 else start
    last = max(0, end + len(bits)) if end < 0 else min(end, len(bits) - 1)
    found = [at for at in range(first, min(last, len(bits) - 1) + 1) if bits[at] == bit]
    assert execute("BITPOS", "key", bit, start, end, "BIT") == (found[0] if found else -1)


@given(st.lists(DATA, min_size=1, max_size=4), st.sampled_from(["AND", "OR", "XOR"]))
def test_bitop_works_byte_by_byte_with_zeros_to_the_right(values: list[bytes], name: str) -> None:
    for number, value in enumerate(values):
        execute("SET", f"key{number}", value)
    size = max(map(len, values))
    expected = bytearray(values[0].ljust(size, b"\0"))
    for value in values[1:]:
        for at, byte in enumerate(value.ljust(size, b"\0")):
            if name == "AND":
                expected[at] &= byte
            elif name == "OR":
                expected[at] |= byte
            else:
                expected[at] ^= byte
    keys = [f"key{number}" for number in range(len(values))]
    assert execute("BITOP", name, "to", *keys) == size
    assert execute("GET", "to") == (bytes(expected) if size else None)


@given(
    width=st.integers(1, 64),
    offset=st.integers(0, 40),
    data=st.binary(min_size=14, max_size=14),
    raw=st.integers(0, 2**64 - 1),
)
def test_a_field_is_read_back_and_its_neighbours_stay(
    width: int, offset: int, data: bytes, raw: int
) -> None:
    number = raw % 2**width
    signed = number - 2**width if number >> (width - 1) else number
    execute("SET", "key", data)
    execute("BITFIELD", "key", "SET", f"i{width}", offset, signed)
    assert execute("BITFIELD_RO", "key", "GET", f"i{width}", offset) == [signed]
    if width < 64:
        assert execute("BITFIELD_RO", "key", "GET", f"u{width}", offset) == [number]
    after = execute("GET", "key")
    assert isinstance(after, bytes)
    bits, before = bits_of(after), bits_of(data)
    assert bits[:offset] == before[:offset]
    assert bits[offset + width :] == before[offset + width :]


def test_nothing_is_allocated_for_a_refused_offset(engine: Engine, run: Run) -> None:
    run("CONFIG", "SET", "proto-max-bulk-len", "1mb")
    assert run("SETBIT", "key", 8 * 2**20 - 1, 1) == 0
    for command in (
        ("SETBIT", "other", 8 * 2**20, 1),
        ("BITFIELD", "other", "SET", "u8", "#1048576", 1),
        ("BITFIELD", "other", "SET", "u8", 0, 1, "SET", "u8", 2**62, 1),
    ):
        with pytest.raises(CommandError, match="bit offset is not an integer or out of range"):
            run(*command)
    assert b"other" not in engine.databases[0]


def test_a_bit_that_stays_is_no_change(engine: Engine, run: Run) -> None:
    run("SETBIT", "key", 3, 1)
    dirty = engine.dirty
    assert run("SETBIT", "key", 3, 1) == 1
    assert run("BITFIELD", "key", "SET", "u1", 3, 1) == [1]
    assert engine.dirty == dirty
    run("SETBIT", "key", 100, 0)
    assert engine.dirty == dirty + 1


def test_deadlines_stay_when_the_string_becomes_a_buffer(run: Run) -> None:
    run("SET", "key", "abc", "EX", 100)
    run("SETBIT", "key", 0, 1)
    assert run("TTL", "key") == 100
    run("SET", "source", "x")
    run("BITOP", "NOT", "key", "source")
    assert run("TTL", "key") == -1
