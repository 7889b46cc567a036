"""What SETBIT and BITFIELD share: where a bit is, and a string that may be written there."""

from __future__ import annotations

from cacheapp.engine.arguments import parse_int
from cacheapp.engine.errors import BIT_OFFSET, CommandError
from cacheapp.engine.session import Session
from cacheapp.engine.values import STRING, string_bytes


def bit_offset(ctx: Session, raw: bytes, width: int = 0) -> int:
    """The offset of a bit; with a `width` in bits, `#n` is the nth field of that width.

    Raises CommandError beyond the longest string (proto-max-bulk-len, in bytes).
    """
    if width and raw[:1] == b"#":
        offset = parse_int(raw[1:], BIT_OFFSET) * width
    else:
        offset = parse_int(raw, BIT_OFFSET)
    if offset < 0 or offset >> 3 >= ctx.engine.config["proto-max-bulk-len"]:
        raise CommandError(BIT_OFFSET)
    return offset


def writable_bits(ctx: Session, key: bytes, last_bit: int) -> tuple[bytearray, bool]:
    """The string at `key` as a bytearray that reaches `last_bit`, and whether it had to grow.

    Raises WRONGTYPE. The caller still calls `changed` if anything did.
    """
    value = ctx.db.edit(key, STRING)
    size = (last_bit >> 3) + 1
    if type(value) is bytearray:
        grown = len(value) < size
        if grown:
            value.extend(bytes(size - len(value)))
        return value, grown
    buffer = bytearray(b"" if value is None else string_bytes(value))
    grown = len(buffer) < size
    if grown:
        buffer.extend(bytes(size - len(buffer)))
    ctx.db.put(key, buffer, keep_deadline=True)
    return buffer, grown
