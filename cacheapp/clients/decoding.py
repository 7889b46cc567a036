"""Arguments into bytes and replies out of the engine, by redis-py's rules; no RESP in between.

``command_encoder`` gives the bytes that redis-py's ``Encoder`` would put on the wire, as the list
that the engine takes. ``reply_decoder`` gives the objects that hiredis would make of the reply on
the wire: simple and verbatim strings are plain bytes (or str), sets are lists, null arrays None,
and errors are redis-py's exception classes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from typing import Any

from redis._parsers import Encoder
from redis._parsers.base import BaseParser
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError, ResponseError

from cacheapp.engine.errors import CommandError, SessionEndedError
from cacheapp.engine.replies import NULL_ARRAY, Reply

__all__ = [
    "CLOSED_TEXT",
    "PLAIN",
    "PLAIN_COMMANDS",
    "PLAIN_OF_THEM",
    "command_encoder",
    "command_name",
    "commands_encoder",
    "is_utf8",
    "reply_decoder",
    "reply_error",
]

CLOSED_TEXT = "Connection closed by server."

CommandEncoder = Callable[[Sequence[Any]], list[bytes]]
CommandsEncoder = Callable[[Iterable[Sequence[Any]]], list[list[bytes]]]
ReplyDecoder = Callable[[Reply], Any]

#: Types of replies that a client which decodes nothing gets as they are.
PLAIN = frozenset({bytes, int, float, bool, type(None)})
_PLAIN_DECODED = PLAIN - {bytes}
#: Commands whose lists and dicts hold, at any depth, nothing but what is plain.
PLAIN_COMMANDS = frozenset(
    ("HGETALL", "HKEYS", "HMGET", "HVALS", "LRANGE", "MGET", "XRANGE", "XREAD", "XREVRANGE",
     "SMEMBERS", "SINTER", "SUNION", "SDIFF", "ZRANGE", "ZRANGEBYSCORE", "ZREVRANGE")
)  # fmt: skip
#: Types of their replies that need no decoding.
PLAIN_OF_THEM = PLAIN | {list, dict}


# Names of commands with one argument or two, as redis-py writes them.
_single_words = {
    name: name.encode()
    for name in (
        *("DECR", "DUMP", "ECHO", "EXISTS", "GET", "GETDEL", "HGETALL", "HKEYS", "HLEN", "HVALS"),
        *("INCR", "LLEN", "PERSIST", "PTTL", "SCARD", "SMEMBERS", "STRLEN", "TTL", "TYPE"),
        *("DEL", "UNLINK", "XLEN", "ZCARD", "LPOP", "RPOP", "SET", "SETNX", "INCRBY", "DECRBY"),
        *("HGET", "HEXISTS", "HDEL", "SADD", "SREM", "SISMEMBER", "LPUSH", "RPUSH", "EXPIRE"),
        *("PEXPIRE", "ZSCORE", "ZRANK", "ZREM", "APPEND", "GETSET", "PFADD", "PFCOUNT"),
    )
}


@lru_cache(maxsize=1024)
def command_name(name: str | bytes) -> tuple[bytes, ...]:
    """Split a command's name into words, as redis-py does: "CONFIG GET" are two arguments."""
    return tuple((name.encode() if isinstance(name, str) else name).split())


def is_utf8(encoder: Encoder) -> bool:
    """Say whether ``str.encode`` without arguments does what ``encoder`` does with a str."""
    name: str = encoder.encoding.lower().replace("-", "")
    return name == "utf8" and encoder.encoding_errors == "strict"


def command_encoder(encoder: Encoder) -> CommandEncoder:
    """Return a function that turns a command's arguments, its name first, into bytes.

    The function raises redis.exceptions.DataError for an argument that is not str, bytes,
    bytearray, memoryview, int or float (a bool is none of these).
    """
    encode = encoder.encode

    def encode_slowly(args: Sequence[Any]) -> list[bytes]:
        words = command_name(args[0])
        return [*words, *(bytes(encode(argument)) for argument in args[1:])]  # type: ignore[no-untyped-call]

    def encode_utf8(args: Sequence[Any]) -> list[bytes]:
        encoded = [
            argument
            if type(argument) is bytes
            else argument.encode()
            if type(argument) is str
            else b"%d" % argument
            if type(argument) is int
            else bytes(encode(argument))  # type: ignore[no-untyped-call]
            for argument in args
        ]
        if b" " in encoded[0]:
            encoded[:1] = encoded[0].split()
        return encoded

    return encode_utf8 if is_utf8(encoder) else encode_slowly


def commands_encoder(encode: CommandEncoder, utf8: bool) -> CommandsEncoder:
    """Return a function that encodes several commands, the most usual shape of them in line."""

    def encode_each(commands: Iterable[Sequence[Any]]) -> list[list[bytes]]:
        return [encode(args) for args in commands]

    known = _single_words.get

    def encode_pairs(commands: Iterable[Sequence[Any]]) -> list[list[bytes]]:
        encoded: list[list[bytes]] = []
        add = encoded.append
        for args in commands:
            name = known(args[0])
            if name is None or len(args) > 3:
                add(encode(args))
            elif len(args) == 2 and type(args[1]) is str:
                add([name, args[1].encode()])
            elif len(args) == 3 and type(args[1]) is str:
                second = args[2]
                if type(second) is str:
                    add([name, args[1].encode(), second.encode()])
                elif type(second) is int:
                    add([name, args[1].encode(), b"%d" % second])
                else:
                    add(encode(args))
            else:
                add(encode(args))
        return encoded

    return encode_pairs if utf8 else encode_each


def reply_error(error: CommandError) -> RedisError:
    """Return redis-py's exception for an error reply, as its parsers make it from the text.

    Where CLIENT KILL has ended the session: a ConnectionError, as from a socket that is closed.
    """
    if isinstance(error, SessionEndedError):
        return RedisConnectionError(CLOSED_TEXT)
    parsed: ResponseError = BaseParser.parse_error(str(error))
    return parsed


def decode_bytes(reply: Reply) -> Any:
    """Return the reply as redis-py gives it with ``decode_responses=False``."""
    kind = type(reply)
    if kind in PLAIN:
        return reply
    if isinstance(reply, bytes):
        return bytes(reply)
    if isinstance(reply, float):
        return float(reply)
    if isinstance(reply, list):
        if PLAIN.issuperset(map(type, reply)):
            return reply if kind is list else list(reply)
        return [decode_bytes(item) for item in reply]
    if kind is dict:
        if PLAIN.issuperset(map(type, reply.values())) and PLAIN.issuperset(map(type, reply)):
            return reply.copy()
        return {decode_bytes(name): decode_bytes(value) for name, value in reply.items()}
    if reply is NULL_ARRAY:
        return None
    if isinstance(reply, CommandError):
        return reply_error(reply)
    raise TypeError(f"no client object for the reply {reply!r}")


def reply_decoder(encoder: Encoder) -> ReplyDecoder:
    """Return the function that makes a client's objects of the engine's replies.

    The function raises UnicodeDecodeError where ``decode_responses`` is asked for and a string is
    not text in the client's encoding.
    """
    if not encoder.decode_responses:
        return decode_bytes
    encoding, errors = encoder.encoding, encoder.encoding_errors

    def decode_text(reply: Reply) -> Any:
        kind = type(reply)
        if kind in _PLAIN_DECODED:
            return reply
        if isinstance(reply, bytes):
            return reply.decode(encoding, errors)
        if isinstance(reply, list):
            return [decode_text(item) for item in reply]
        if kind is dict:
            return {decode_text(name): decode_text(value) for name, value in reply.items()}
        return decode_bytes(reply)

    return decode_text
