"""Values between Lua and Redis.

Lua to Redis: a result that is no table crosses as itself. A table is flattened in Lua to one text
(see `results.lua`), since walking a Lua table from outside could run metamethods, or end in a
memory error, where nothing protects the walker. Each element is a sign, a number, a newline:

    $n + n bytes  string        :x      number          #t #f  boolean       _  nil, functions
    -n + n bytes  error         +n      status          =n     verbatim      (n big number
    !n + n bytes  error that the counters of errors have already
    *n            array of n    %n      map of n pairs  ~n     set of n      ,x double

Redis to Lua follows Redis's table: null is false (nil after redis.setresp(3)), a status is a table
with `ok`, an error one with `err`, and RESP3's own types are tables with one field of their name.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from cacheapp.engine.arguments import INT64_MAX, INT64_MIN
from cacheapp.engine.errors import CommandError, text
from cacheapp.engine.replies import Attributed, BigNumber, Reply, SetReply, Status, Verbatim

MakeTable = Callable[[Any], Any]


def truncated(number: float) -> int:
    """A Lua number as the integer that Redis answers: towards zero, and C's result beyond."""
    if math.isnan(number) or math.isinf(number) or not INT64_MIN <= number <= INT64_MAX:
        return INT64_MIN
    return min(int(number), INT64_MAX)


def scalar(value: Any, protocol: int) -> Reply:
    """The reply for a result that is no table, under the protocol that redis.setresp chose."""
    if type(value) is bytes:
        return value
    if value is True or value is False:
        if protocol == 3:
            return value
        return 1 if value else None
    if value is None:
        return None
    return truncated(value)


class Unflatten:
    """Reads one flattened table; `protocol` as for `scalar`."""

    __slots__ = ("_at", "_protocol", "_text")

    def __init__(self, flat: bytes, protocol: int) -> None:
        self._text = flat
        self._at = 0
        self._protocol = protocol

    def read(self) -> Reply:
        """The next value; a CommandError instance for an error."""
        end = self._text.index(b"\n", self._at)
        sign, head = self._text[self._at : self._at + 1], self._text[self._at + 1 : end]
        self._at = end + 1
        if sign == b"$":
            return self._take(int(head))
        if sign == b":":
            return truncated(float(head))
        if sign == b"*":
            return [self.read() for _ in range(int(head))]
        if sign == b"#":
            return scalar(head == b"t", self._protocol)
        if sign == b"_":
            return None
        if sign in (b"-", b"!"):
            error = error_from(self._take(int(head)))
            error.counted = sign == b"!"
            return error
        if sign == b"+":
            return Status(one_line(self._take(int(head))))
        if sign == b",":
            return float(head)
        if sign == b"%":
            return {_hashable(self.read()): self.read() for _ in range(int(head))}
        if sign == b"~":
            return SetReply(self.read() for _ in range(int(head)))
        if sign == b"=":
            return Verbatim(self._take(int(head)))
        return BigNumber(one_line(self._take(int(head))))

    def _take(self, size: int) -> bytes:
        start = self._at
        self._at = start + size
        return self._text[start : self._at]


def _hashable(key: Reply) -> Reply:
    """A map's key that a dict can hold; Lua allows tables there, which print as themselves."""
    return repr(key).encode() if isinstance(key, (list, dict, CommandError)) else key


def one_line(raw: bytes) -> bytes:
    """Text that fits a simple string or an error."""
    return raw.replace(b"\r", b" ").replace(b"\n", b" ")


def error_from(message: bytes) -> CommandError:
    """The error reply for the text of an `err` field."""
    return CommandError(text(message))


def to_lua(reply: Reply, protocol: int, table: MakeTable) -> Any:
    """What Lua gets for `reply`, which is shaped for `protocol`; `table` makes a Lua table."""
    kind = type(reply)
    if kind is bytes or kind is int or kind is bool:
        return reply
    if kind is Status:
        return table({b"ok": bytes(reply)})
    if isinstance(reply, CommandError):
        return table({b"err": str(reply).encode("utf-8", "surrogateescape")})
    if isinstance(reply, float):
        return table({b"double": reply})
    if kind is dict:
        entries = {
            to_lua(key, protocol, table): to_lua(value, protocol, table)
            for key, value in reply.items()
        }
        return table({b"map": table(entries)})
    if kind is SetReply:
        return table({b"set": table({to_lua(item, protocol, table): True for item in reply})})
    if kind is Verbatim:
        return table({b"verbatim_string": table({b"format": b"txt", b"string": bytes(reply)})})
    if kind is BigNumber:
        return table({b"big_number": bytes(reply)})
    if isinstance(reply, Attributed):
        return to_lua(reply.reply, protocol, table)
    if isinstance(reply, list):
        return table([to_lua(item, protocol, table) for item in reply])
    if isinstance(reply, bytes):
        return bytes(reply)
    return None if protocol == 3 else False


def size_bytes(reply: Reply) -> int:
    """About what `reply` occupies as Lua values, from above."""
    if isinstance(reply, (bytes, bytearray)):
        return len(reply) + 64
    if isinstance(reply, dict):
        return 256 + sum(size_bytes(key) + size_bytes(item) + 80 for key, item in reply.items())
    if isinstance(reply, list):
        return 256 + sum(size_bytes(item) + 80 for item in reply)
    return 256
