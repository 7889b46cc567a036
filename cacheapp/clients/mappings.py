"""Hot methods that take a mapping or a list, or whose replies become pairs; see `compiled`.

Their usual forms only: ``zadd(name, mapping)``, ``hset(name, mapping=…)``, ``xadd(name, fields)``
with or without ``maxlen``, ranges with or without scores. The rest is redis-py's.
"""

from __future__ import annotations

from typing import Any, Final

import redis
from redis._parsers.helpers import (
    parse_stream_list,
    parse_xread_resp3_to_resp2_legacy,
    zset_score_pairs_resp3_to_resp2_legacy,
)

from cacheapp.clients.compiled import Shape, as_bytes
from cacheapp.clients.direct import DirectSession
from cacheapp.clients.methods import Build, Method, hot_methods, of_shape
from cacheapp.engine.commands.streamreads import xread_records
from cacheapp.engine.commands.streams import xadd_pair, xrange_records, xrevrange_records

__all__ = ["HOT_MAPPINGS", "MAPPING_SHAPES"]

_FIELD, _VALUE = as_bytes("field"), as_bytes("value")


_MSET = Shape(
    0,
    f"""
if type({{0}}) is not dict or not {{0}}:
    raise DataError
rest = []
add = rest.append
for field, value in {{0}}.items():
    add({_FIELD})
    add({_VALUE})
""",
    "*rest",
)
_HSET = Shape(
    1,
    f"""
rest = None
if {{3}} is None:
    field = {as_bytes("{1}")}
    value = {as_bytes("{2}")}
elif {{1}} is None and type({{3}}) is dict and {{3}}:
    rest = []
    for field, value in {{3}}.items():
        rest.append({_FIELD})
        rest.append({_VALUE})
else:
    raise DataError
""",
    "_0, *(rest or (field, value))",
    call="handler(session, _0, field, value) if rest is None else handler(session, _0, *rest)",
)
_HMGET = Shape(
    1,
    f"""
if type({{1}}) is not list or not {{1}}:
    raise DataError
rest = [{_FIELD} for field in {{1}}]
""",
    "_0, *rest",
)
_XADD = Shape(
    1,
    f"""
if {{3}} is not None and (type({{3}}) is not int or {{3}} < 0):
    raise DataError
if type({{1}}) is not dict or not {{1}}:
    raise DataError
rest = []
if {{3}} is not None:
    rest = [b"MAXLEN", b"~", b"%d" % {{3}}] if {{4}} else [b"MAXLEN", b"%d" % {{3}}]
if len({{1}}) == 1 and {{2}} == "*":
    [(field, value)] = {{1}}.items()
    field = {_FIELD}
    value = {_VALUE}
    single = True
else:
    single = False
    rest.append(b"*" if {{2}} == "*" else encoded({{2}}))
    for field, value in {{1}}.items():
        rest.append({_FIELD})
        rest.append({_VALUE})
""",
    "_0, *rest, *((b'*', field, value) if single else ())",
    call="handler(session, _0, field, value, {3}, True if {4} else False) if single else "
    "row.handler(session, _0, *rest)",
    handler=xadd_pair,
)
_SETBIT = Shape(2, 'flag = b"1" if {2} else b"0"', "_0, _1, flag")
_RANGE = Shape(3)
# Where redis-py's own parsing would make tuples of the pairs, which it does one by one.
_SCORED = """
if {withscores} is not True and {withscores} is not False:
    raise DataError
rest = (_2, b"WITHSCORES") if {withscores} else (_2,)
"""
_SCORED_ANSWER = "return [*map(tuple, reply)] if {withscores} else reply"
_COUNTED = """
if {3} is not None and (type({3}) is not int or {3} <= 0):
    raise DataError
"""


def _rank_range(scores_at: int) -> Build:
    """`zrange(name, start, end)`, and the same with `withscores=True`, parameter `scores_at`."""

    def build(direct: DirectSession, command: str, whole: Method) -> Method:
        shape = _RANGE
        if (
            direct.callback(command) is zset_score_pairs_resp3_to_resp2_legacy
            and not direct.connection.encoder.decode_responses
            and direct.session.protocol == 3
        ):
            name = f"{{{scores_at}}}"
            lines = _SCORED.replace("{withscores}", name)
            answer = _SCORED_ANSWER.replace("{withscores}", name)
            shape = Shape(3, lines, "_0, _1, *rest", answer)
        return of_shape(shape)(direct, command, whole)

    return build


def _rows(rows: list[Any]) -> list[tuple[bytes, dict[bytes, bytes]]]:
    """The entries of a stream as redis-py shows them; most have one field."""
    return [
        (name, {pairs[0]: pairs[1]} if len(pairs) == 2 else dict(zip(pairs[::2], pairs[1::2])))  # noqa: B905
        for name, pairs in rows
    ]


def _by_key(reply: Any) -> list[Any]:
    """What XREAD replies, as redis-py shows it."""
    return [[key, _rows(rows)] for key, rows in reply.items()] if type(reply) is dict else []


def _id_range(records: Method) -> Build:
    """`xrange(name, min, max, count)`; `records` is the handler for who wants dicts."""
    shape = Shape(
        3,
        _COUNTED,
        "_0, _1, _2, *(() if {3} is None else (b'COUNT', b'%d' % {3}))",
        "return reply if not reply or type(reply[0]) is tuple else make(reply)",
        _rows,
        call="handler(session, _0, _1, _2, {3})",
        handler=records,
    )

    def build(direct: DirectSession, command: str, whole: Method) -> Method:
        if (
            direct.callback(command) is not parse_stream_list
            or direct.connection.encoder.decode_responses
        ):
            return whole
        return of_shape(shape)(direct, command, whole)

    return build


def _read(direct: DirectSession, command: str, whole: Method) -> Method:
    """`xread(streams, count)`."""
    if (
        direct.callback(command) is not parse_xread_resp3_to_resp2_legacy
        or direct.connection.encoder.decode_responses
        or direct.session.protocol != 3
    ):
        return whole
    shape = Shape(
        0,
        f"""
if type({{0}}) is not dict or not {{0}} or observed():
    raise DataError
rest = None
if {{1}} is None and len({{0}}) == 1:
    [(field, value)] = {{0}}.items()
    field = {_FIELD}
    value = {_VALUE}
elif {{1}} is None:
    rest = [b"STREAMS"]
elif type({{1}}) is int and {{1}} > 0:
    rest = [b"COUNT", b"%d" % {{1}}, b"STREAMS"]
else:
    raise DataError
if rest is not None:
    rest += [{_FIELD} for field in {{0}}]
    rest += [{_VALUE} for value in {{0}}.values()]
""",
        "*(rest or (b'STREAMS', field, value))",
        "return reply if type(reply) is list else make(reply)",
        _by_key,
        call="handler(session, field, value) if rest is None else row.handler(session, *rest)",
        handler=xread_records,
    )
    return of_shape(shape)(direct, command, whole)


MAPPING_SHAPES: Final[dict[Build, str]] = {
    of_shape(_HSET): "hset",
    of_shape(_MSET): "mset",
    of_shape(_HMGET): "hmget",
    of_shape(_XADD): "xadd",
    of_shape(_SETBIT): "setbit",
    _rank_range(4): "zrange",
    _rank_range(3): "zrevrange",
    _id_range(xrange_records): "xrange",
    _id_range(xrevrange_records): "xrevrange",
    _read: "xread",
}
HOT_MAPPINGS = hot_methods(MAPPING_SHAPES, redis.Redis)
