"""How the reply of a command becomes what redis-py returns, decided once a session.

redis-py looks for a callback at each reply, and has it look at the reply's type. Here it is known
beforehand which replies are what is returned, and which need no decoding before the callback.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from redis._parsers.helpers import bool_ok, float_or_none, get_response_callbacks

from cacheapp.clients.decoding import PLAIN, PLAIN_COMMANDS, PLAIN_OF_THEM
from cacheapp.engine.replies import OK

__all__ = ["Parser", "parser"]

Method = Callable[..., Any]
# Types of replies that are returned as they are, and what parses the others; None: all are.
Parser = tuple[frozenset[object], Method | None]

# redis-py's callbacks that make a set of a reply, an empty one of an empty one.
_MAKE_SETS = frozenset(
    get_response_callbacks(protocol, legacy)["SMEMBERS"]
    for protocol, legacy in ((None, True), (None, False), (2, True))
)


# redis-py's callbacks that change a reply only where a method's options ask for it.
_CHANGE_NOTHING = frozenset(
    get_response_callbacks(protocol, legacy)[command]
    for protocol, legacy in ((None, True), (None, False), (2, True), (2, False))
    for command in ("ZRANK", "ZRANGE")
)
# Callbacks that ask nothing of a reply but what it has as bytes.
_OF_PLAIN = frozenset({bool, bool_ok, float, float_or_none})
# Commands that reply with a number, or None.
_COUNTS = frozenset(
    ("APPEND", "BITCOUNT", "DEL", "EXISTS", "GEOADD", "GETBIT", "HDEL", "HINCRBY", "HLEN", "HSET",
     "INCRBY", "LLEN", "LPUSH", "PFADD", "PFCOUNT", "PTTL", "PUBLISH", "RPUSH", "SADD", "SCARD",
     "SETBIT", "SETRANGE", "SISMEMBER", "SREM", "STRLEN", "TTL", "UNLINK", "XLEN", "ZCARD",
     "ZCOUNT", "ZRANK", "ZREM", "ZREVRANK")
)  # fmt: skip


# With the option WITHSCORES these reply with `Pairs`, which are to become a list.
_AS_THEY_ARE = PLAIN_COMMANDS - {"ZRANGE", "ZREVRANGE", "ZRANGEBYSCORE"}
_SET_CALLBACK = get_response_callbacks(None, True)["SET"]


class Parses(Protocol):
    """What is asked of a session of a client."""

    connection: Any
    decode: Method

    def callback(self, name: str) -> Method | None:
        """What parses the replies of the command called `name`."""


def parser(direct: Parses, command: str) -> Parser:
    """Types of replies that need no parsing, and what parses the others; see `compiled`."""
    callback, decode = direct.callback(command), direct.decode
    raw = not direct.connection.encoder.decode_responses
    plain = PLAIN if raw else PLAIN - {bytes}
    if raw and command in PLAIN_COMMANDS:
        plain = PLAIN_OF_THEM
    if callback is None or callback in _CHANGE_NOTHING:
        if command in _COUNTS or (raw and command in _AS_THEY_ARE):
            return plain, None
        return plain, bytes if raw and command == "TYPE" else decode
    if callback in _OF_PLAIN:
        # Of integers, statuses and numbers as text: nothing to decode.
        return frozenset(), callback
    if raw and callback in _MAKE_SETS:
        return frozenset(), set
    parse: Method = callback

    def decode_and_parse(reply: Any) -> Any:
        return parse(reply if type(reply) in plain else decode(reply))

    if callback is _SET_CALLBACK:
        return frozenset(), lambda reply: True if reply is OK else decode_and_parse(reply)
    return frozenset(), decode_and_parse
