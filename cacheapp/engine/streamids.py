"""Stream ids and bounds as clients write them, and the errors that stream commands share.

Ids are read as C reads them: up to the first NUL, each half a number that may be written with
leading spaces, zeros or a plus sign.
"""

from __future__ import annotations

import re

from cacheapp.engine.arguments import is_canonical_int, parse_int
from cacheapp.engine.errors import (
    NEGATIVE_TIMEOUT,
    TIMEOUT_NOT_AN_INTEGER,
    CommandError,
    text,
)
from cacheapp.engine.structures.stream import ID_MAX, SEQUENCE_MASK

INVALID_ID = "ERR Invalid stream ID specified as stream command argument"
_INVALID_START = "ERR invalid start ID for the interval"
_INVALID_END = "ERR invalid end ID for the interval"

_ID_BYTES_MAX = 127
# Fewer digits than the largest number of 64 bits has.
_PLAIN_DIGITS_MAX = 18
_FOR_EVER_MS = 2**42
_UNSIGNED = re.compile(rb"[ \t\n\v\f\r]*([+-]?[0-9]+)\Z")
_USUAL = re.compile(rb"([1-9][0-9]{0,17})-(0|[1-9][0-9]{0,17})\Z")


def _half(raw: bytes) -> int:
    """An unsigned number of 64 bits, the negative ones that strtoull wraps around included."""
    match = _UNSIGNED.match(raw)
    if match is None:
        raise CommandError(INVALID_ID)
    value = int(match[1])
    if abs(value) > SEQUENCE_MASK or (value < 0 and is_canonical_int(raw)):
        raise CommandError(INVALID_ID)
    return value & SEQUENCE_MASK


def parse_partial_id(raw: bytes) -> tuple[int, bool]:
    """The id of an XADD, and whether it says a sequence (`<ms>-*` does not)."""
    usual = _USUAL.match(raw)
    if usual is not None:
        return int(usual[1]) << 64 | int(usual[2]), True
    if len(raw) <= _ID_BYTES_MAX:
        ms, dash, sequence = raw.partition(b"\0")[0].partition(b"-")
        if dash and sequence == b"*":
            return _half(ms) << 64, False
    return parse_id(raw), True


def parse_id(raw: bytes, sequence_default: int = 0) -> int:
    """A complete id, or its milliseconds alone; CommandError for anything else."""
    if len(raw) <= _PLAIN_DIGITS_MAX:
        if raw.isdigit():
            return int(raw) << 64 | sequence_default
        # Digits alone are read by C as they are here, zeros before them included.
        first, dash, second = raw.partition(b"-")
        if first.isdigit() and second.isdigit():
            return int(first) << 64 | int(second)
    usual = _USUAL.match(raw)
    if usual is not None:
        return int(usual[1]) << 64 | int(usual[2])
    if len(raw) > _ID_BYTES_MAX:
        raise CommandError(INVALID_ID)
    ms, dash, sequence = raw.partition(b"\0")[0].partition(b"-")
    high = _half(ms)
    return high << 64 | (_half(sequence) if dash else sequence_default)


def parse_any_id(raw: bytes, sequence_default: int = 0) -> int:
    """As `parse_id`, with `-` for the lowest and `+` for the highest id."""
    if raw == b"-":
        return 0
    return ID_MAX if raw == b"+" else parse_id(raw, sequence_default)


def parse_start(raw: bytes) -> int:
    """The lowest id of an interval that begins at `raw`; `(` leaves that id itself out."""
    if len(raw) > 1 and raw[:1] == b"(":
        number = parse_id(raw[1:])
        if number == ID_MAX:
            raise CommandError(_INVALID_START)
        return number + 1
    return parse_any_id(raw)


def parse_end(raw: bytes) -> int:
    """The highest id of an interval that ends at `raw`; `(` leaves that id itself out."""
    if len(raw) > 1 and raw[:1] == b"(":
        number = parse_id(raw[1:], SEQUENCE_MASK)
        if number == 0:
            raise CommandError(_INVALID_END)
        return number - 1
    return parse_any_id(raw, SEQUENCE_MASK)


def parse_block_ms(raw: bytes) -> int:
    """The milliseconds of BLOCK, 0 for ever; more than a hundred years are for ever too."""
    timeout_ms = parse_int(raw, TIMEOUT_NOT_AN_INTEGER)
    if timeout_ms < 0:
        raise CommandError(NEGATIVE_TIMEOUT)
    return timeout_ms if timeout_ms < _FOR_EVER_MS else 0


def no_group(key: bytes, group: bytes, where: str = "") -> CommandError:
    """The error for a group that is not there, nor perhaps its key; `where` ends the text."""
    return CommandError(
        f"NOGROUP No such key '{text(key)}' or consumer group '{text(group)}'{where}"
    )


def no_group_in_stream(key: bytes, group: bytes) -> CommandError:
    """The error for a stream without such a group, where the stream itself is there."""
    return CommandError(
        f"NOGROUP No such consumer group '{text(group)}' for key name '{text(key)}'"
    )
