"""BITFIELD: a string as an array of integers of any width, with three readings of overflow."""

from __future__ import annotations

from typing import NamedTuple

from cacheapp.engine.arguments import parse_int
from cacheapp.engine.bits import bit_offset, writable_bits
from cacheapp.engine.errors import SYNTAX, CommandError
from cacheapp.engine.keyspecs import KeyAccess, access, key_at
from cacheapp.engine.registry import command
from cacheapp.engine.replies import Reply
from cacheapp.engine.session import Session

_BAD_TYPE = (
    "ERR Invalid bitfield type. Use something like i16 u8. Note that u64 is not supported but i64 "
    "is."
)
_ARGUMENT_COUNT = {b"GET": 2, b"SET": 3, b"INCRBY": 3}


class _Operation(NamedTuple):
    """One subcommand. `low` and `high` are what its type holds."""

    name: bytes
    offset: int
    width: int
    low: int
    high: int
    number: int
    overflow: bytes


def _find_key(args: list[bytes]) -> list[KeyAccess]:
    """The key of BITFIELD, written unless each of its operations is known to read."""
    at, reads = 2, True
    while reads and at < len(args):
        taken = {b"GET": 3, b"OVERFLOW": 2}.get(args[at].upper())
        reads = taken is not None and at + taken <= len(args)
        at += taken or 0
    return [(1, access("RO access" if reads else "RW access update"))]


@command(
    "BITFIELD", arity=-2, flags="write denyoom",
    keys=key_at(1, "RW access update variable_flags", note="Written by `SET` and `INCRBY` only."),
    find_keys=_find_key, group="bitmap", since="3.2.0",
    complexity="O(1) for each subcommand",
    summary="Reads and changes integers of any width in a string.",
)  # fmt: skip
def bitfield(ctx: Session, key: bytes, *arguments: bytes) -> Reply:
    operations = _parse(ctx, arguments)
    ends = [step.offset + step.width - 1 for step in operations if step.name != b"GET"]
    if not ends:
        return _read_all(ctx, key, operations)
    buffer, grown = writable_bits(ctx, key, max(ends))
    replies: list[int | None] = []
    changes = 0
    for step in operations:
        old = _get(buffer, step)
        if step.name == b"GET":
            replies.append(old)
            continue
        new = _bound(step, step.number if step.name == b"SET" else old + step.number)
        if new is None:
            replies.append(None)
            continue
        _put(buffer, step, new)
        changes += grown or new != old
        replies.append(old if step.name == b"SET" else new)
    if changes:
        ctx.db.changed(key, b"setbit")
        ctx.engine.dirty += changes - 1
    return replies


@command(
    "BITFIELD_RO", arity=-2, flags="readonly fast", keys=(1, 1, 1), key_flags="RO access",
    group="bitmap", since="6.0.0", complexity="O(1) for each subcommand",
    summary="Reads integers of any width in a string.",
)  # fmt: skip
def bitfield_ro(ctx: Session, key: bytes, *arguments: bytes) -> Reply:
    operations = _parse(ctx, arguments)
    if any(step.name != b"GET" for step in operations):
        raise CommandError("ERR BITFIELD_RO only supports the GET subcommand")
    return _read_all(ctx, key, operations)


def _read_all(ctx: Session, key: bytes, operations: list[_Operation]) -> list[int]:
    data = ctx.db.read_string(key) or b""
    return [_get(data, step) for step in operations]


def _parse(ctx: Session, arguments: tuple[bytes, ...]) -> list[_Operation]:
    operations: list[_Operation] = []
    overflow = b"WRAP"
    position = 0
    while position < len(arguments):
        name = arguments[position].upper()
        count = 1 if name == b"OVERFLOW" else _ARGUMENT_COUNT.get(name)
        if count is None or position + count >= len(arguments):
            raise CommandError(SYNTAX)
        words = arguments[position + 1 : position + 1 + count]
        position += 1 + count
        if name == b"OVERFLOW":
            overflow = words[0].upper()
            if overflow not in (b"WRAP", b"SAT", b"FAIL"):
                raise CommandError("ERR Invalid OVERFLOW type specified")
            continue
        width, low, high = _type(words[0])
        offset = bit_offset(ctx, words[1], width)
        number = parse_int(words[2]) if count == 3 else 0
        if name == b"SET" and low == 0:
            # C hands the number over as unsigned 64 bits.
            number %= 2**64
        operations.append(_Operation(name, offset, width, low, high, number, overflow))
    return operations


def _type(raw: bytes) -> tuple[int, int, int]:
    """Width in bits, lowest and highest number of a type such as `i16` or `u8`."""
    kind = raw[:1]
    if kind == b"i":
        width = parse_int(raw[1:], _BAD_TYPE, low=1, high=64)
        return width, -(1 << (width - 1)), (1 << (width - 1)) - 1
    if kind == b"u":
        width = parse_int(raw[1:], _BAD_TYPE, low=1, high=63)
        return width, 0, (1 << width) - 1
    raise CommandError(_BAD_TYPE)


def _bound(step: _Operation, number: int) -> int | None:
    """`number` as the type holds it, by the reading of overflow; None where that is FAIL."""
    if step.low <= number <= step.high:
        return number
    if step.overflow == b"FAIL":
        return None
    if step.overflow == b"SAT":
        return step.high if number > step.high else step.low
    return (number - step.low) % (1 << step.width) + step.low


def _get(data: bytes | bytearray, step: _Operation) -> int:
    """The integer at the place of `step`; beyond the string are zeros."""
    first, last = step.offset >> 3, (step.offset + step.width - 1) >> 3
    part = bytes(data[first : last + 1]).ljust(last - first + 1, b"\0")
    shift = 7 - (step.offset + step.width - 1 & 7)
    number = int.from_bytes(part, "big") >> shift & ((1 << step.width) - 1)
    return number - (1 << step.width) if number > step.high else number


def _put(buffer: bytearray, step: _Operation, number: int) -> None:
    first, last = step.offset >> 3, (step.offset + step.width - 1) >> 3
    shift = 7 - (step.offset + step.width - 1 & 7)
    mask = (1 << step.width) - 1
    part = int.from_bytes(buffer[first : last + 1], "big")
    part = part & ~(mask << shift) | (number & mask) << shift
    buffer[first : last + 1] = part.to_bytes(last - first + 1, "big")
