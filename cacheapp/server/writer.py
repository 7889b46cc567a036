"""RESP replies: the engine's Python objects in, bytes out, for RESP2 and RESP3.

The engine has shaped a reply for the protocol already (see `engine.replies`); here it only gets
its type byte and its length. `encode` appends pieces to a list, so that the replies of a pipeline
become one write and a large value is copied once. Frequent replies are kept ready.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from cacheapp.engine.errors import CommandError
from cacheapp.engine.replies import (
    NULL_ARRAY,
    Attributed,
    BigNumber,
    FixedPoint,
    Pairs,
    Push,
    Raw,
    Reply,
    Sentinel,
    SetReply,
    Status,
    Verbatim,
    format_double,
    format_fixed_point,
)

__all__ = ["encode", "encode_error"]

Append = Callable[[bytes], None]
Encoder = Callable[[Append, Any], None]

_INTEGERS = [b":%d\r\n" % number for number in range(1024)]
_STATUSES = {
    name: b"+%b\r\n" % name for name in (b"OK", b"QUEUED", b"PONG", b"none", b"string", b"RESET")
}
# From here on a value is passed on as it is, to be copied once, when the pieces are joined.
_LARGE_BYTES = 4096
_HEADERS = [b"$%d\r\n" % size for size in range(_LARGE_BYTES)]
# From so many strings on, a list of nothing else is put together at the speed of C.
_JOINED_MIN = 8
_BYTES_ONLY = frozenset({bytes})
_ONE_LINE = bytes.maketrans(b"\r\n", b"  ")


def encode_error(text: str) -> bytes:
    """The line for an error whose text begins with its code; line breaks become spaces."""
    return b"-%b\r\n" % text.encode("utf-8", "surrogateescape").translate(_ONE_LINE)


def encode(append: Append, reply: Reply, protocol: int) -> None:
    """Call `append` with the pieces of `reply` in RESP2 or RESP3.

    Raises TypeError for what is no reply.
    """
    encoders = _RESP3 if protocol == 3 else _RESP2
    try:
        encoder = encoders[type(reply)]
    except KeyError:
        raise TypeError(f"no reply of the engine: {type(reply).__name__}") from None
    encoder(append, reply)


def _bulk(append: Append, reply: bytes) -> None:
    size = len(reply)
    if size < _LARGE_BYTES:
        append(b"$%d\r\n%b\r\n" % (size, reply))
    else:
        append(b"$%d\r\n" % size)
        append(reply)
        append(b"\r\n")


def _integer(append: Append, reply: int) -> None:
    append(_INTEGERS[reply] if 0 <= reply < 1024 else b":%d\r\n" % reply)


def _status(append: Append, reply: Status) -> None:
    append(_STATUSES.get(reply) or b"+%b\r\n" % reply.translate(_ONE_LINE))


def _error(append: Append, reply: CommandError) -> None:
    append(encode_error(str(reply)))


def _raw(append: Append, reply: Raw) -> None:
    append(bytes(reply))


def _verbatim(append: Append, reply: Verbatim) -> None:
    append(b"=%d\r\ntxt:%b\r\n" % (len(reply) + 4, reply))


def _big_number(append: Append, reply: BigNumber) -> None:
    append(b"(%b\r\n" % reply)


def _attributed(append: Append, reply: Attributed) -> None:
    append(b"|%d\r\n" % len(reply.attributes))
    for key, value in reply.attributes.items():
        encode(append, key, 3)
        encode(append, value, 3)
    encode(append, reply.reply, 3)


def _double(append: Append, reply: float) -> None:
    append(b",%b\r\n" % format_double(reply))


def _double_as_bulk(append: Append, reply: float) -> None:
    _bulk(append, format_double(reply))


def _fixed_point(append: Append, reply: FixedPoint) -> None:
    append(b",%b\r\n" % format_fixed_point(reply))


def _sequence(mark: bytes, protocol: int) -> Encoder:
    """An encoder of lists whose header begins with `mark`."""
    header = mark + b"%d\r\n"

    def write(append: Append, reply: list[Any]) -> None:
        encoders = _RESP3 if protocol == 3 else _RESP2
        count = len(reply)
        append(header % count)
        if count >= _JOINED_MIN and _BYTES_ONLY.issuperset(map(type, reply)):
            joined = _bulks(reply)
            if joined is not None:
                append(joined)
                return
        for item in reply:
            # The type of most elements, without the two calls that it would take.
            if type(item) is bytes and len(item) < _LARGE_BYTES:
                append(b"$%d\r\n%b\r\n" % (len(item), item))
            else:
                encoders[type(item)](append, item)

    return write


def _bulks(strings: list[bytes]) -> bytes | None:
    """Bulk strings one after the other; None where one is large."""
    pieces = [b"\r\n"] * (3 * len(strings))
    try:
        pieces[::3] = map(_HEADERS.__getitem__, map(len, strings))
    except IndexError:
        return None
    pieces[1::3] = strings
    return b"".join(pieces)


def _map(append: Append, reply: dict[Any, Any]) -> None:
    append(b"%%%d\r\n" % len(reply))
    for key, value in reply.items():
        encode(append, key, 3)
        encode(append, value, 3)


def _flat_map(append: Append, reply: dict[Any, Any]) -> None:
    append(b"*%d\r\n" % (2 * len(reply)))
    for key, value in reply.items():
        encode(append, key, 2)
        encode(append, value, 2)


def _flat_pairs(append: Append, reply: Pairs) -> None:
    items = [item for pair in reply for item in pair]
    _RESP2[list](append, items)


def _constant(line: bytes) -> Encoder:
    return lambda append, _reply: append(line)


def _boolean(append: Append, reply: bool) -> None:
    append(b"#t\r\n" if reply else b"#f\r\n")


def _sentinel2(append: Append, reply: Sentinel) -> None:
    if reply is not NULL_ARRAY:
        raise TypeError(f"{reply} has no bytes")
    append(b"*-1\r\n")


def _sentinel3(append: Append, reply: Sentinel) -> None:
    if reply is not NULL_ARRAY:
        raise TypeError(f"{reply} has no bytes")
    append(b"_\r\n")


_array2, _array3 = _sequence(b"*", 2), _sequence(b"*", 3)
_RESP2: dict[type, Encoder] = {
    bytes: _bulk, int: _integer, type(None): _constant(b"$-1\r\n"), Status: _status,
    list: _array2, tuple: _array2, CommandError: _error, Sentinel: _sentinel2, Verbatim: _bulk,
    float: _double_as_bulk, bool: _integer, dict: _flat_map, SetReply: _array2, Push: _array2,
    Pairs: _flat_pairs, BigNumber: _bulk, Raw: _raw,
}  # fmt: skip
_RESP3: dict[type, Encoder] = {
    bytes: _bulk, int: _integer, type(None): _constant(b"_\r\n"), Status: _status,
    list: _array3, tuple: _array3, CommandError: _error, Sentinel: _sentinel3,
    Verbatim: _verbatim, float: _double, bool: _boolean, dict: _map,
    FixedPoint: _fixed_point, SetReply: _sequence(b"~", 3), Push: _sequence(b">", 3),
    Pairs: _array3, BigNumber: _big_number, Attributed: _attributed, Raw: _raw,
}  # fmt: skip
