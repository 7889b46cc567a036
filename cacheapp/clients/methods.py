"""redis-py's methods for common commands, as functions that call the handlers of one session.

A method of redis-py builds a command, and `execute_command` takes it apart again: the names, the
options, the callback that parses the reply. For a client with a session all of this is known
beforehand, so the first use of a method puts a function into the client's own `__dict__`, closed
over what it needs. `HotMethod` is the descriptor that does it; being a class attribute, it gives
way to a subclass's own method.

A function takes the usual arguments only: what is named, missing, or of another type than bytes,
str, int and float is handed to redis-py's own method, which knows what to do or to raise.
"""

from __future__ import annotations

import functools
import weakref
from collections.abc import Callable
from typing import Any

import redis
from redis.exceptions import DataError

from cacheapp.clients.decoding import PLAIN, PLAIN_COMMANDS, PLAIN_OF_THEM, reply_error
from cacheapp.clients.direct import DirectSession
from cacheapp.engine.errors import CommandError
from cacheapp.engine.shortcuts import runner

__all__ = [
    "HOT_METHODS",
    "HotMethod",
    "Method",
    "encoded",
    "hot_methods",
    "parser",
    "queued_methods",
]

Method = Callable[..., Any]
# Makes the function for a session; the command's name and redis-py's method follow.
Build = Callable[[DirectSession, str, Method], Method]


class HotMethod:
    """A method of `redis.Redis` that becomes a function of the client once it has a session."""

    def __init__(self, name: str, build: Build, command: str) -> None:
        self._name, self._build, self._command = name, build, command
        self.__doc__ = getattr(redis.Redis, name).__doc__

    def __get__(self, client: Any, owner: type) -> Method:
        whole: Method = getattr(redis.Redis, self._name)
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


def encoded(argument: Any) -> bytes:
    """One argument as bytes; DataError for what redis-py's method has to deal with."""
    kind = type(argument)
    if kind is str:
        encoded: bytes = argument.encode()
        return encoded
    if kind is int:
        return b"%d" % argument
    if kind is float:
        return repr(argument).encode()
    if kind is bytes:
        return argument  # type: ignore[no-any-return]
    raise DataError


def parser(direct: DirectSession, command: str) -> tuple[frozenset[object], Method]:
    """Types of replies that need no parsing, and what parses the others."""
    callback, decode = direct.callback(command), direct.decode
    raw = not direct.connection.encoder.decode_responses
    plain = PLAIN if raw else PLAIN - {bytes}
    if raw and command in PLAIN_COMMANDS:
        plain = PLAIN_OF_THEM
    if callback is None:
        return plain, decode
    if callback is bool:
        # Integers and statuses: nothing to decode.
        return frozenset(), bool
    parse: Method = callback

    def decode_and_parse(reply: Any) -> Any:
        return parse(reply if type(reply) in plain else decode(reply))

    return frozenset(), decode_and_parse


def of_key(direct: DirectSession, command: str, whole: Method) -> Method:
    """`method(key)`."""
    run, (plain, parse) = runner(direct.session, command.encode()), parser(direct, command)

    def method(*args: Any, **named: Any) -> Any:
        if named or len(args) != 1:
            return whole(*args, **named)
        key = args[0]
        try:
            reply = run(key.encode() if type(key) is str else encoded(key))
        except CommandError as error:
            raise reply_error(error) from None
        except DataError:
            return whole(*args)
        return reply if type(reply) in plain else parse(reply)

    return method


def of_key_and_one(direct: DirectSession, command: str, whole: Method) -> Method:
    """`method(key, argument)`."""
    run, (plain, parse) = runner(direct.session, command.encode()), parser(direct, command)

    def method(*args: Any, **named: Any) -> Any:
        if named or len(args) != 2:
            return whole(*args, **named)
        key, argument = args
        try:
            reply = run(
                key.encode() if type(key) is str else encoded(key),
                argument.encode() if type(argument) is str else encoded(argument),
            )
        except CommandError as error:
            raise reply_error(error) from None
        except DataError:
            return whole(*args)
        return reply if type(reply) in plain else parse(reply)

    return method


def of_key_and_two(direct: DirectSession, command: str, whole: Method) -> Method:
    """`method(key, first, second)`."""
    run, (plain, parse) = runner(direct.session, command.encode()), parser(direct, command)

    def method(*args: Any, **named: Any) -> Any:
        if named or len(args) != 3:
            return whole(*args, **named)
        key, first, second = args
        try:
            reply = run(
                key.encode() if type(key) is str else encoded(key),
                first.encode() if type(first) is str else encoded(first),
                second.encode() if type(second) is str else encoded(second),
            )
        except CommandError as error:
            raise reply_error(error) from None
        except DataError:
            return whole(*args)
        return reply if type(reply) in plain else parse(reply)

    return method


def of_key_and_step(direct: DirectSession, command: str, whole: Method) -> Method:
    """`method(key, amount=1)`."""
    run, (plain, parse) = runner(direct.session, command.encode()), parser(direct, command)

    def method(*args: Any, **named: Any) -> Any:
        if named or not 1 <= len(args) <= 2:
            return whole(*args, **named)
        key = args[0]
        try:
            reply = run(
                key.encode() if type(key) is str else encoded(key),
                encoded(args[1]) if len(args) == 2 else b"1",
            )
        except CommandError as error:
            raise reply_error(error) from None
        except DataError:
            return whole(*args)
        return reply if type(reply) in plain else parse(reply)

    return method


def _of_many(least: int) -> Build:
    """`method(key, *values)` or `method(*keys)`, with so many arguments at least."""

    def build(direct: DirectSession, command: str, whole: Method) -> Method:
        run, (plain, parse) = runner(direct.session, command.encode()), parser(direct, command)

        def method(*args: Any, **named: Any) -> Any:
            if named or len(args) < least:
                return whole(*args, **named)
            first = args[0]
            try:
                if type(first) is str:
                    first = first.encode()
                elif type(first) is not bytes:
                    first = encoded(first)
                if len(args) == 1:
                    reply = run(first)
                elif len(args) == 2:
                    second = args[1]
                    reply = run(first, second.encode() if type(second) is str else encoded(second))
                else:
                    reply = run(first, *map(encoded, args[1:]))
            except CommandError as error:
                raise reply_error(error) from None
            except DataError:
                return whole(*args)
            return reply if type(reply) in plain else parse(reply)

        return method

    return build


# Methods by their shape; with the command where its name is another.
_SHAPES: dict[Build, str] = {
    of_key: """
        llen hlen strlen scard zcard xlen ttl pttl persist type hgetall smembers hkeys hvals getdel
        lpop rpop bitcount
    """,
    of_key_and_one: """
        hget hexists sismember zscore zrank zrevrank getbit lindex getset append setnx expire
        pexpire incrbyfloat
    """,
    of_key_and_two: """
        getrange lrange setrange hincrby psetex zincrby ltrim lset zcount zrangebyscore
    """,
    of_key_and_step: "incr=INCRBY decr=DECRBY incrby",
    _of_many(1): "delete=DEL exists unlink pfcount sinter sunion",
    _of_many(2): "lpush rpush sadd srem hdel zrem pfadd eval evalsha",
}


def hot_methods(shapes: dict[Build, str]) -> dict[str, HotMethod]:
    """The descriptors of the methods that are listed by shape, by name."""
    found = {}
    for build, entries in shapes.items():
        for entry in entries.split():
            name, _, command = entry.partition("=")
            found[name] = HotMethod(name, build, command or name.upper())
    return found


HOT_METHODS = hot_methods(_SHAPES)


def queued_methods() -> dict[str, Method]:
    """Methods of a pipeline that put their command into the queue without a detour.

    Those of the shapes above, and SET without options. While keys are watched, and for arguments
    that are not plain, it is redis-py's own method that does it.
    """
    found: dict[str, Method] = {"set": _queued("set", "SET", 2, 2)}
    for build, (least, most) in _QUEUED_COUNTS.items():
        for entry in _SHAPES[build].split():
            name, _, command = entry.partition("=")
            found[name] = _queued(name, command or name.upper(), least, most)
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
# How many arguments those of a shape take that are queued as they are.
_QUEUED_COUNTS: dict[Build, tuple[int, int]] = {
    of_key: (1, 1),
    of_key_and_one: (2, 2),
    of_key_and_two: (3, 3),
}
