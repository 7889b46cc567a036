"""The commands on bits of strings, except BITFIELD (`bitfields`).

Bit 0 is the highest bit of the first byte. Counting and searching go through Python's integers,
whose loops over the bytes are C.
"""

from __future__ import annotations

from cacheapp.engine.arguments import parse_int
from cacheapp.engine.bits import bit_offset, writable_bits
from cacheapp.engine.errors import BIT_VALUE, SYNTAX, CommandError
from cacheapp.engine.keyspecs import key_at, keys_at
from cacheapp.engine.registry import command
from cacheapp.engine.replies import Reply
from cacheapp.engine.session import Session
from cacheapp.engine.values import STRING, string_bytes


@command(
    "SETBIT", arity=4, flags="write denyoom", keys=(1, 1, 1), key_flags="RW access update",
    group="bitmap", since="2.2.0",
    summary="Sets or clears a bit of a string value. Creates the key if it doesn't exist.",
)  # fmt: skip
def setbit(ctx: Session, key: bytes, offset: bytes, bit: bytes) -> Reply:
    position = bit_offset(ctx, offset)
    wanted = parse_int(bit, BIT_VALUE, low=0, high=1)
    buffer, grown = writable_bits(ctx, key, position)
    index, mask = position >> 3, 0x80 >> (position & 7)
    old = 1 if buffer[index] & mask else 0
    if grown or old != wanted:
        if wanted:
            buffer[index] |= mask
        else:
            buffer[index] &= ~mask
        ctx.db.changed(key, b"setbit")
    return old


@command(
    "GETBIT", arity=3, flags="readonly fast", keys=(1, 1, 1), key_flags="RO access",
    group="bitmap", since="2.2.0", summary="Returns a bit of a string value by its offset.",
)  # fmt: skip
def getbit(ctx: Session, key: bytes, offset: bytes) -> Reply:
    position = bit_offset(ctx, offset)
    value = ctx.db.read(key, STRING)
    if value is None:
        return 0
    if type(value) is int:
        value = string_bytes(value)
    index = position >> 3
    return value[index] >> (7 - (position & 7)) & 1 if index < len(value) else 0


@command(
    "BITCOUNT", arity=-2, flags="readonly", keys=(1, 1, 1), key_flags="RO access", group="bitmap",
    since="2.6.0", complexity="O(N)", summary="Counts the set bits of a string value.",
)  # fmt: skip
def bitcount(ctx: Session, key: bytes, *bounds: bytes) -> Reply:
    data = ctx.db.read_string(key)
    if data is None:
        return 0
    if not bounds:
        return int.from_bytes(data, "big").bit_count()
    if len(bounds) not in (2, 3):
        raise CommandError(SYNTAX)
    start, end = parse_int(bounds[0]), parse_int(bounds[1])
    if start < 0 and end < 0 and start > end:
        return 0
    in_bits = len(bounds) == 3 and _is_bit_unit(bounds[2])
    first, last = _clamp(start, end, len(data) * 8 if in_bits else len(data))
    if first > last:
        return 0
    if not in_bits:
        return int.from_bytes(data[first : last + 1], "big").bit_count()
    return _bits(data, first, last)[0].bit_count()


def _is_bit_unit(word: bytes) -> bool:
    unit = word.upper()
    if unit not in (b"BIT", b"BYTE"):
        raise CommandError(SYNTAX)
    return unit == b"BIT"


def _clamp(start: int, end: int, size: int) -> tuple[int, int]:
    """First and last index, both included, of a range that may be negative from the end."""
    if start < 0:
        start = max(0, start + size)
    if end < 0:
        end = max(0, end + size)
    return start, min(end, size - 1)


def _bits(data: bytes, first: int, last: int) -> tuple[int, int]:
    """The bits `first` to `last` as an integer, and how many they are."""
    count = last - first + 1
    part = int.from_bytes(data[first >> 3 : (last >> 3) + 1], "big") >> (7 - (last & 7))
    return part & ((1 << count) - 1), count


@command(
    "BITPOS", arity=-3, flags="readonly", keys=(1, 1, 1), key_flags="RO access", group="bitmap",
    since="2.8.7", complexity="O(N)", summary="Finds the first set or clear bit of a string value.",
)  # fmt: skip
def bitpos(ctx: Session, key: bytes, bit: bytes, *bounds: bytes) -> Reply:
    wanted = parse_int(bit)
    if wanted not in (0, 1):
        raise CommandError("ERR The bit argument must be 1 or 0.")
    data = ctx.db.read_string(key)
    if data is None:
        return -1 if wanted else 0
    if len(bounds) > 3:
        raise CommandError(SYNTAX)
    start = parse_int(bounds[0]) if bounds else 0
    in_bits = len(bounds) == 3 and _is_bit_unit(bounds[2])
    end = parse_int(bounds[1]) if len(bounds) > 1 else -1
    if not data:
        return -1
    first, last = _clamp(start, end, len(data) * 8 if in_bits else len(data))
    if first > last:
        return -1
    if not in_bits:
        first, last = first * 8, last * 8 + 7
    part, count = _bits(data, first, last)
    if not wanted:
        part ^= (1 << count) - 1
    if part:
        return first + count - part.bit_length()
    # Without an end, the string goes on with zeros for ever.
    return len(data) * 8 if not wanted and len(bounds) < 2 else -1


@command(
    "BITOP", arity=-4, flags="write denyoom",
    keys=(key_at(2, "OW update"), keys_at(3, -1, 1, "RO access")), group="bitmap", since="2.6.0",
    complexity="O(N)", summary="Stores the result of AND, OR, XOR or NOT over strings.",
)  # fmt: skip
def bitop(ctx: Session, operation: bytes, target: bytes, *keys: bytes) -> Reply:
    name = operation.upper()
    if name not in (b"AND", b"OR", b"XOR", b"NOT"):
        raise CommandError(SYNTAX)
    if name == b"NOT" and len(keys) != 1:
        raise CommandError("ERR BITOP NOT must be called with a single source key.")
    db = ctx.db
    values = [db.read_string(key) or b"" for key in keys]
    size = max(len(value) for value in values)
    if not size:
        db.delete(target)
        return 0
    # Short ones are zeros to the right.
    numbers = [int.from_bytes(value.ljust(size, b"\0"), "big") for value in values]
    result = numbers[0]
    if name == b"NOT":
        result ^= (1 << size * 8) - 1
    for number in numbers[1:]:
        if name == b"AND":
            result &= number
        elif name == b"OR":
            result |= number
        else:
            result ^= number
    db.put(target, bytearray(result.to_bytes(size, "big")))
    db.changed(target, b"set")
    return size
