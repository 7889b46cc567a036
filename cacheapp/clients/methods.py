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

from cacheapp.clients.compiled import NAMES, VALUES, Shape, compiled, fixed
from cacheapp.clients.direct import DirectSession
from cacheapp.clients.parsing import parser
from cacheapp.engine.commands.sets import sinter_unordered, smembers_unordered

__all__ = [
    "HOT_METHODS",
    "SHAPES",
    "HotMethod",
    "Method",
    "hot_methods",
    "of_shape",
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
        hget hexists sismember zscore zrank zrevrank getbit lindex getset append setnx
    """,
    _of_key_and_two: """
        getrange lrange setrange psetex lset
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
    found: dict[str, Method] = {
        "set": _queued_two("set", "SET"),
        "smembers": _queued_one("smembers", "SMEMBERS"),
    }
    for name in ("hincrby", "ltrim", "zcount", "zincrby"):
        found[name] = _queued_three(name, name.upper())
    for name in ("expire", "pexpire", "incrby"):
        found[name] = _queued_two(name, name.upper())
    found["incr"], found["decr"] = _queued_two("incr", "INCRBY"), _queued_two("decr", "DECRBY")
    makers = {_of_key: _queued_one, _of_key_and_one: _queued_two, _of_key_and_two: _queued_three}
    for build, make in makers.items():
        for entry in SHAPES[build].split():
            name, _, command = entry.partition("=")
            found[name] = make(name, command or name.upper())
    return found


_SCALARS = frozenset({bytes, str, int, float})


def _queued_one(name: str, command: str) -> Method:
    whole: Method = getattr(redis.client.Pipeline, name)

    @functools.wraps(whole)
    def method(pipeline: Any, *args: Any, **named: Any) -> Any:
        if (
            named
            or len(args) != 1
            or type(args[0]) not in _SCALARS
            or (pipeline.watching and not pipeline.explicit_transaction)
        ):
            return whole(pipeline, *args, **named)
        pipeline.command_stack.append(((command, *args), {}))
        return pipeline

    return method


def _queued_two(name: str, command: str) -> Method:
    whole: Method = getattr(redis.client.Pipeline, name)
    # INCR is INCRBY by 1.
    default = (1,) if command in ("INCRBY", "DECRBY") else ()

    @functools.wraps(whole)
    def method(pipeline: Any, *args: Any, **named: Any) -> Any:
        if default and len(args) == 1:
            args += default
        if (
            named
            or len(args) != 2
            or type(args[1]) not in _SCALARS
            or type(args[0]) not in _SCALARS
            or (pipeline.watching and not pipeline.explicit_transaction)
        ):
            return whole(pipeline, *args, **named)
        pipeline.command_stack.append(((command, *args), {}))
        return pipeline

    return method


def _queued_three(name: str, command: str) -> Method:
    whole: Method = getattr(redis.client.Pipeline, name)

    @functools.wraps(whole)
    def method(pipeline: Any, *args: Any, **named: Any) -> Any:
        if (
            named
            or len(args) != 3
            or not _SCALARS.issuperset(map(type, args))
            or (pipeline.watching and not pipeline.explicit_transaction)
        ):
            return whole(pipeline, *args, **named)
        pipeline.command_stack.append(((command, *args), {}))
        return pipeline

    return method
