"""Hot methods that take a mapping or a list, or whose replies become pairs; see `methods`.

Their usual forms only: ``zadd(name, mapping)``, ``hset(name, mapping=…)``, ``xadd(name, fields)``
with or without ``maxlen``, ranges with or without scores. The rest is redis-py's.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from redis._parsers.helpers import parse_stream_list, zset_score_pairs_resp3_to_resp2_legacy
from redis.exceptions import DataError

from cacheapp.clients.decoding import reply_error
from cacheapp.clients.direct import DirectSession
from cacheapp.clients.methods import Method, encoded, hot_methods, parser
from cacheapp.engine.errors import CommandError
from cacheapp.engine.shortcuts import Runner, runner

__all__ = ["HOT_MAPPINGS"]

_WITH_SCORES = {"withscores": True}
# Makes the words of a command from what the method got; None for what redis-py has to deal with.
Words = Callable[..., "list[bytes] | None"]


def _of_words(words: Words) -> Callable[[DirectSession, str, Method], Method]:
    """A method whose arguments become words by `words(*args, **named)`."""

    def build(direct: DirectSession, command: str, whole: Method) -> Method:
        run, (plain, parse) = runner(direct.session, command.encode()), parser(direct, command)

        def method(*args: Any, **named: Any) -> Any:
            try:
                found = words(*args, **named)
            except (DataError, TypeError):
                found = None
            if found is None:
                return whole(*args, **named)
            try:
                reply = run(*found)
            except CommandError as error:
                raise reply_error(error) from None
            return reply if type(reply) in plain else parse(reply)

        return method

    return build


def _zadd(name: Any, mapping: Any) -> list[bytes] | None:
    if type(mapping) is not dict or not mapping:
        return None
    words = [encoded(name)]
    for member, score in mapping.items():
        words.append(encoded(score))
        words.append(encoded(member))
    return words


def _hset(name: Any, *pair: Any, mapping: Any = None) -> list[bytes] | None:
    words = [encoded(name)]
    if pair:
        if mapping is not None or len(pair) != 2:
            return None
        return [words[0], encoded(pair[0]), encoded(pair[1])]
    if type(mapping) is not dict or not mapping:
        return None
    for field, value in mapping.items():
        words.append(encoded(field))
        words.append(encoded(value))
    return words


def _mset(mapping: Any) -> list[bytes] | None:
    if type(mapping) is not dict or not mapping:
        return None
    words = []
    for key, value in mapping.items():
        words.append(encoded(key))
        words.append(encoded(value))
    return words


def _hmget(name: Any, fields: Any) -> list[bytes] | None:
    if type(fields) is not list or not fields:
        return None
    return [encoded(name), *map(encoded, fields)]


def _xadd(
    name: Any, fields: Any, id: Any = "*", maxlen: Any = None, approximate: Any = True
) -> list[bytes] | None:
    if type(fields) is not dict or not fields:
        return None
    words = [encoded(name)]
    if maxlen is not None:
        if type(maxlen) is not int or maxlen < 0:
            return None
        words += (b"MAXLEN", b"~", b"%d" % maxlen) if approximate else (b"MAXLEN", b"%d" % maxlen)
    words.append(encoded(id))
    for field, value in fields.items():
        words.append(encoded(field))
        words.append(encoded(value))
    return words


def _setbit(name: Any, offset: Any, value: Any) -> list[bytes] | None:
    return [encoded(name), encoded(offset), b"1" if value else b"0"]


def _rank_range(direct: DirectSession, command: str, whole: Method) -> Method:
    """`zrange(name, start, end)`, and the same with `withscores=True`."""
    run, (plain, parse) = runner(direct.session, command.encode()), parser(direct, command)
    as_tuples = (
        direct.callback(command) is zset_score_pairs_resp3_to_resp2_legacy
        and not direct.connection.encoder.decode_responses
        and direct.session.protocol == 3
    )

    def method(*args: Any, **named: Any) -> Any:
        with_scores = named == _WITH_SCORES
        if len(args) != 3 or (named and not (with_scores and as_tuples)):
            return whole(*args, **named)
        key, start, end = args
        try:
            if with_scores:
                found = run(encoded(key), encoded(start), encoded(end), b"WITHSCORES")
                return [*map(tuple, found)]
            reply = run(encoded(key), encoded(start), encoded(end))
        except CommandError as error:
            raise reply_error(error) from None
        except DataError:
            return whole(*args, **named)
        return reply if type(reply) in plain else parse(reply)

    return method


def _id_range(direct: DirectSession, command: str, whole: Method) -> Method:
    """`xrange(name, min, max, count)`."""
    run = runner(direct.session, command.encode())
    usual = (
        direct.callback(command) is parse_stream_list
        and not direct.connection.encoder.decode_responses
    )

    def method(*args: Any, **named: Any) -> Any:
        if named or not usual or not 3 <= len(args) <= 4:
            return whole(*args, **named)
        try:
            rows = _rows(run, *args)
        except CommandError as error:
            raise reply_error(error) from None
        except DataError:
            return whole(*args)
        return [(name, dict(zip(pairs[::2], pairs[1::2], strict=True))) for name, pairs in rows]

    return method


def _rows(run: Runner, key: Any, low: Any, high: Any, count: Any = None) -> Any:
    if count is None:
        return run(encoded(key), encoded(low), encoded(high))
    if type(count) is not int or count < 1:
        raise DataError
    return run(encoded(key), encoded(low), encoded(high), b"COUNT", b"%d" % count)


HOT_MAPPINGS = hot_methods(
    {
        _of_words(_zadd): "zadd",
        _of_words(_hset): "hset",
        _of_words(_mset): "mset",
        _of_words(_hmget): "hmget",
        _of_words(_xadd): "xadd",
        _of_words(_setbit): "setbit",
        _rank_range: "zrange zrevrange",
        _id_range: "xrange xrevrange",
    }
)
