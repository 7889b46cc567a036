"""``get``, ``set``, ``mget`` and the methods of ``bytelevel`` as functions for one session.

A client takes them in place of its methods of these names once it has a session. Closures save a
cache hit several look-ups and calls, and hits are most of what a cache does. Each hands what it
leaves out to redis-py's own method.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from redis._parsers.helpers import get_response_callbacks

from cacheapp.clients.decoding import reply_error
from cacheapp.clients.direct import DirectSession
from cacheapp.engine.errors import CommandError
from cacheapp.engine.hashshortcuts import fields_getter, fields_setter
from cacheapp.engine.native import updater
from cacheapp.engine.replies import Reply
from cacheapp.engine.session import Session
from cacheapp.engine.shortcuts import getter, mgetter, setter
from cacheapp.engine.windows import window_counter

__all__ = ["HOT_COMMANDS", "hot_commands"]

HOT_COMMANDS = (
    *("get", "set", "mget"),
    *("fetch", "fetch_fields", "fetch_many", "store", "store_many", "update", "count_window"),
    "set_fields",
)

Method = Callable[..., Any]

# Where a client has another callback for SET, replies are not simply True.
_SET_CALLBACK = get_response_callbacks(None, True)["SET"]
# Larger deadlines are left to SET itself, which checks that they fit.
_TTL_MS_MAX = 2**53


def hot_commands(
    direct: DirectSession, whole_set: Method, whole_mget: Method, whole_update: Method
) -> dict[str, Method]:
    """Return the functions by name; ``whole_set`` … are the methods that they stand in for.

    Commands whose replies a client parses in another way than redis-py are not among them.
    """
    found = byte_commands(direct)
    found["update"] = updater(direct.session, whole_update)
    found["count_window"] = window_counter(direct.session)
    found["set_fields"] = fields_setter(direct.session)
    if direct.callback("GET") is None:
        found["get"] = hot_get(direct)
    if direct.callback("SET") is _SET_CALLBACK:
        found["set"] = hot_set(direct, whole_set)
    if direct.callback("MGET") is None:
        found["mget"] = hot_mget(direct, whole_mget)
    return found


def byte_commands(direct: DirectSession) -> dict[str, Method]:
    """Return the methods of ``bytelevel`` as functions for one session.

    They are the engine's shortcuts themselves, with redis-py's exceptions: no call lies between.
    """
    session, execute = direct.session, direct.engine.execute

    def translated(session: Session, args: list[bytes]) -> Reply:
        try:
            return execute(session, args)
        except CommandError as error:
            raise reply_error(error) from None

    def fields(key: bytes) -> dict[bytes, bytes]:
        reply = translated(session, [b"HGETALL", key])
        # RESP2 has no dicts.
        return reply if type(reply) is dict else dict(zip(reply[::2], reply[1::2], strict=True))

    def store_many(pairs: Iterable[tuple[bytes, bytes]], ttl_ms: int) -> None:
        direct.set_strings(pairs, ttl_ms or None)

    return {
        "fetch": getter(session, translated),
        "fetch_fields": fields_getter(session, fields),
        "fetch_many": mgetter(session, translated),
        "store": setter(session, translated),
        "store_many": store_many,
    }


def hot_get(direct: DirectSession) -> Method:
    """Return ``get(name)``."""
    fast_get, encode, decode = getter(direct.session), direct.encode, direct.decode
    raw = not direct.connection.encoder.decode_responses
    utf8 = direct.connection.is_utf8

    def get(name: Any) -> Any:
        """Return the string at ``name``, None where there is none. Raises ResponseError."""
        kind = type(name)
        try:
            if kind is bytes:
                reply = fast_get(name)
            elif kind is str and utf8:
                reply = fast_get(name.encode())
            else:
                reply = fast_get(encode((b"-", name))[1])
        except CommandError as error:
            raise reply_error(error) from None
        return reply if raw or reply is None else decode(reply)

    return get


def hot_set(direct: DirectSession, whole_set: Method) -> Method:
    """Return ``set(name, value, ex=None, px=None, …)``."""
    fast_set, encode = setter(direct.session), direct.encode
    utf8 = direct.connection.is_utf8

    def set_(name: Any, value: Any, ex: Any = None, px: Any = None, *args: Any, **more: Any) -> Any:
        """Bind ``name`` to a string; see ``redis.Redis.set``. Raises ResponseError."""
        if ex is None and px is None:
            ttl_ms = 0
        elif type(px) is int and ex is None and 0 < px < _TTL_MS_MAX:
            ttl_ms = px
        elif type(ex) is int and px is None and 0 < ex < _TTL_MS_MAX // 1000:
            ttl_ms = ex * 1000
        else:
            return whole_set(name, value, ex, px, *args, **more)
        if args or more:
            return whole_set(name, value, ex, px, *args, **more)
        if type(name) is str and utf8:
            name = name.encode()
        if type(name) is not bytes or type(value) is not bytes:
            _, name, value = encode((b"-", name, value))
        try:
            fast_set(name, value, ttl_ms)
        except CommandError as error:
            raise reply_error(error) from None
        return True

    return set_


def hot_mget(direct: DirectSession, whole_mget: Method) -> Method:
    """Return ``mget(keys)``."""
    fast_mget, encode, decode = mgetter(direct.session), direct.encode, direct.decode
    raw = not direct.connection.encoder.decode_responses
    utf8 = direct.connection.is_utf8

    def encoded(key: Any) -> bytes:
        return key if type(key) is bytes else encode((b"-", key))[1]

    def mget(keys: Any, *args: Any) -> Any:
        """Return the strings at ``keys``, None where there is none. Raises ResponseError."""
        if args or not keys or type(keys) not in (list, tuple):
            return whole_mget(keys, *args)
        try:
            reply = fast_mget(
                [key.encode() if utf8 and type(key) is str else encoded(key) for key in keys]
            )
        except CommandError as error:
            raise reply_error(error) from None
        return reply if raw else decode(reply)

    return mget
