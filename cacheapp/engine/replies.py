"""What a command may answer, as Python objects, and how RESP3 shapes become RESP2's.

A handler returns the RESP3 shape and never looks at the protocol. Commands whose answers differ
between the protocols set `shaped=True` in their row; for those (and only those) `to_resp2` runs
when a session speaks RESP2. No RESP bytes here: a front that has a socket writes them.

    bytes      bulk string             Status     simple string
    int        integer                 None       null
    float      double                  bool       boolean
    FixedPoint double, printed without an exponent
    list       array                   dict       map
    SetReply   set                     Pairs      array of pairs, flat in RESP2
    Push       out-of-band push        Verbatim   verbatim string
    Raw        bytes as they are
    BigNumber  big number              Attributed a value with attributes before it
    NULL_ARRAY a null which RESP2 writes as *-1
    CommandError as an element         an error inside EXEC's array
"""

from __future__ import annotations

from enum import Enum
from typing import Any, Final

from cacheapp.engine.errors import CommandError


class Status(bytes):
    """A simple string; equal to the same bytes."""

    __slots__ = ()


class Verbatim(bytes):
    """Text for humans (INFO, LATENCY …), a verbatim string of the format `txt` in RESP3."""

    __slots__ = ()


class BigNumber(bytes):
    """A whole number beyond 64 bits, as digits: a big number in RESP3, a bulk string in RESP2."""

    __slots__ = ()


class Raw(bytes):
    """What goes out as it is: to replicas, whose stream is no reply. Only with a socket."""

    __slots__ = ()


#: Tells a replica that its copy is still being made. It answers nothing: who waits goes on to.
BUSY = Raw(b"\n")


class Attributed:
    """A reply with attributes, which RESP2 leaves out. Only for sessions with a socket."""

    __slots__ = ("attributes", "reply")

    def __init__(self, attributes: dict[Any, Any], reply: Any) -> None:
        self.attributes = attributes
        self.reply = reply


class FixedPoint(float):
    """A double that is printed with up to 17 decimals and no exponent (coordinates)."""

    __slots__ = ()


class SetReply(list[Any]):
    """An unordered collection: a set in RESP3, an array in RESP2."""

    __slots__ = ()


class Pairs(list[Any]):
    """A list of two-element lists in RESP3, which RESP2 flattens (scores, HRANDFIELD …)."""

    __slots__ = ()


class Push(list[Any]):
    """A message outside the order of replies: push type in RESP3, array in RESP2."""

    __slots__ = ()


class Sentinel(Enum):
    """Answers that are not values."""

    NULL_ARRAY = "null array"
    NO_REPLY = "no reply now"
    BLOCKED = "the reply is delivered later"


NULL_ARRAY: Final = Sentinel.NULL_ARRAY
NO_REPLY: Final = Sentinel.NO_REPLY
BLOCKED: Final = Sentinel.BLOCKED

OK: Final = Status(b"OK")
QUEUED: Final = Status(b"QUEUED")
PONG: Final = Status(b"PONG")

# Recursive in truth; spelled out it would make every handler's annotation a puzzle.
Reply = Any

_AS_IS = frozenset({bytes, Raw, int, type(None), Status, CommandError})


def format_double(value: float) -> bytes:
    """A double as Redis 7.0 prints it: 17 significant digits, `inf`, `-inf`, `nan`."""
    return b"%.17g" % value


def format_fixed_point(value: float) -> bytes:
    """A double with 17 decimals, less the zeros at their end."""
    text = (b"%.17f" % value).rstrip(b"0").rstrip(b".")
    return b"0" if text == b"-0" else text


def to_resp2(reply: Reply) -> Reply:
    """Convert a RESP3-shaped reply into what a RESP2 client gets for it."""
    kind = type(reply)
    if kind in _AS_IS:
        return reply
    if kind is float:
        return format_double(reply)
    if kind is FixedPoint:
        return format_fixed_point(reply)
    if kind is bool:
        return int(reply)
    if kind is dict:
        flat = []
        for key, value in reply.items():
            flat.append(to_resp2(key))
            flat.append(to_resp2(value))
        return flat
    if kind is Pairs:
        return [to_resp2(item) for pair in reply for item in pair]
    if kind is Verbatim or kind is BigNumber:
        return bytes(reply)
    if kind is Attributed:
        return to_resp2(reply.reply)
    if isinstance(reply, list):
        return [to_resp2(item) for item in reply]
    return reply


def help_reply(command: str, text: str) -> list[Status]:
    """The answer to `command HELP`: `text` holds the lines of the other children."""
    lines = [f"{command} <subcommand> [<arg> [value] [opt] ...]. Subcommands are:"]
    lines += text.strip("\n").splitlines()
    lines += ["HELP", "    Prints this help."]
    return [Status(line.encode()) for line in lines]
