"""redis-py's methods for common commands, as functions that call the handlers of one session.

A method of redis-py builds a command, and `execute_command` takes it apart again: the names, the
options, the callback that parses the reply. For a client with a session all of this is known
beforehand, so the first use of a method puts a function into the client's own `__dict__`, which
`compiled` makes. `HotMethod` is the descriptor that does it; being a class attribute, it gives way
to a subclass's own method.

A function takes the usual arguments only: options, and what is of another type than bytes, str, int
and float, are handed to redis-py's own method, which knows what to do or to raise.
"""

from __future__ import annotations

import functools
import weakref
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import redis
from redis._parsers.helpers import bool_ok, float_or_none, get_response_callbacks

from cacheapp.clients.compiled import NAMES, VALUES, Shape, compiled, fixed
from cacheapp.clients.decoding import PLAIN, PLAIN_COMMANDS, PLAIN_OF_THEM
from cacheapp.clients.direct import DirectSession
from cacheapp.engine.commands.sets import sinter_unordered, smembers_unordered

__all__ = [
    "HOT_METHODS",
    "SHAPES",
    "HotMethod",
    "Method",
    "hot_methods",
    "of_shape",
    "parser",
    "queued_methods",
]

Method = Callable[..., Any]
# Makes the function for a session; the command's name and redis-py's method follow.
Build = Callable[[DirectSession, str, Method], Method]


class HotMethod:
    """A method of redis-py's class `client` that becomes a function once there is a session."""

    def __init__(self, name: str, build: Build, command: str, client: type) -> None:
        self._name, self._build, self._command = name, build, command
        self._whole: Method = getattr(client, name)
        self.__doc__ = self._whole.__doc__

    def __get__(self, client: Any, owner: type) -> Method:
        whole = self._whole
        if client is None:
            return whole
        direct = client._direct
        if direct is None or not direct.connection.is_utf8:
            bound: Method = functools.partial(whole, client)
            return bound
        # A proxy: else the function would keep its client alive.
        bound = functools.partial(whole, weakref.proxy(client))
        function = self._build(direct, self._command, bound)
        vars(client)[self._name] = function
        return function


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


def parser(direct: DirectSession, command: str) -> tuple[frozenset[object], Method | None]:
    """Types of replies that need no parsing, and what parses the others; see `compiled`."""
    callback, decode = direct.callback(command), direct.decode
    raw = not direct.connection.encoder.decode_responses
    plain = PLAIN if raw else PLAIN - {bytes}
    if raw and command in PLAIN_COMMANDS:
        plain = PLAIN_OF_THEM
    if callback is None or callback in _CHANGE_NOTHING:
        if command in _COUNTS or (raw and command in PLAIN_COMMANDS):
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

    return frozenset(), decode_and_parse


def _as_set(shape: Shape, unordered: Method) -> Build:
    """A reply that becomes a set: `unordered` is the handler for who needs no order."""

    def build(direct: DirectSession, command: str, whole: Method) -> Method:
        arguments = shape.arguments or "_0"
        # A copy, made under the lock.
        made = replace(shape, handler=unordered, call=f"set(handler(session, {arguments}))")
        wants_set = parser(direct, command)[1] is set
        return of_shape(made if wants_set else shape)(direct, command, whole)

    return build


def of_shape(shape: Shape) -> Build:
    """What builds a method of this shape; see `compiled`."""

    def build(direct: DirectSession, command: str, whole: Method) -> Method:
        return compiled(
            direct.session,
            command.encode(),
            whole,
            parser(direct, command),
            shape,
            asynchronous=direct.asynchronous,
        )

    return build


# Keys, one at least, and what follows a script's text or name and the number of keys.
_KEYS = Shape(1, "rest = tuple(map(encoded, {1})) if {1} else ()", "_0, *rest")
_SCRIPT = Shape(2, "rest = tuple(map(encoded, {2}))", "_0, _1, *rest")
_of_key, _of_key_and_one, _of_key_and_two = (of_shape(fixed(count)) for count in (1, 2, 3))
# Methods by their shape; with the command where its name is another.
SHAPES: dict[Build, str] = {
    _of_key: """
        llen hlen strlen scard zcard xlen ttl pttl persist type hgetall hkeys hvals getdel
        lpop rpop bitcount
    """,
    _of_key_and_one: """
        hget hexists sismember zscore zrank zrevrank getbit lindex getset append setnx expire
        pexpire incr=INCRBY decr=DECRBY incrby
    """,
    _of_key_and_two: """
        getrange lrange setrange hincrby psetex zincrby ltrim lset zcount zrangebyscore
    """,
    of_shape(NAMES): "delete=DEL exists unlink pfcount",
    of_shape(VALUES): "lpush rpush sadd srem hdel zrem pfadd",
    _as_set(fixed(1), smembers_unordered): "smembers",
    _as_set(_KEYS, sinter_unordered): "sinter",
    of_shape(_KEYS): "sunion",
    of_shape(_SCRIPT): "eval evalsha",
    of_shape(Shape(0)): "ping",
    of_shape(Shape(2, "if observed(): raise DataError")): "publish",
}


def hot_methods(shapes: dict[Build, str], client: type) -> dict[str, HotMethod]:
    """The descriptors of the methods of `client` that are listed by shape, by name."""
    found = {}
    for build, entries in shapes.items():
        for entry in entries.split():
            name, _, command = entry.partition("=")
            found[name] = HotMethod(name, build, command or name.upper(), client)
    return found


HOT_METHODS = hot_methods(SHAPES, redis.Redis)


def queued_methods() -> dict[str, Method]:
    """Methods of a pipeline that put their command into the queue without a detour.

    Those of the shapes above, and SET without options. While keys are watched, and for arguments
    that are not plain, it is redis-py's own method that does it.
    """
    found: dict[str, Method] = {"set": _queued("set", "SET", 2, 2)}
    for count, build in enumerate((_of_key, _of_key_and_one, _of_key_and_two), 1):
        for entry in SHAPES[build].split():
            name, _, command = entry.partition("=")
            found[name] = _queued(name, command or name.upper(), count, count)
    return found


def _queued(name: str, command: str, least: int, most: int) -> Method:
    whole: Method = getattr(redis.client.Pipeline, name)

    @functools.wraps(whole)
    def method(pipeline: Any, *args: Any, **named: Any) -> Any:
        if (
            named
            or not least <= len(args) <= most
            or (pipeline.watching and not pipeline.explicit_transaction)
            or not _SCALARS.issuperset(map(type, args))
        ):
            return whole(pipeline, *args, **named)
        pipeline.command_stack.append(((command, *args), {}))
        return pipeline

    return method


_SCALARS = frozenset({bytes, str, int, float})
