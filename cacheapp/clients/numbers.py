"""Hot methods whose arguments are numbers, which go to the handlers as they are; see `compiled`.

A number that becomes a text and is read again takes as long as a short command. So these call what
the command's handler calls with the number it has read. What somebody else is to see of the
command, the log or a monitor, is made a text as ever, when it is needed. So is what is no number,
or too large for a double.
"""

from __future__ import annotations

from typing import Any, Final

import redis

from cacheapp.clients.compiled import Shape, as_bytes
from cacheapp.clients.methods import Build, hot_methods, of_shape
from cacheapp.engine.commands.deadlines import expire_in
from cacheapp.engine.commands.geo import geoadd_degrees
from cacheapp.engine.commands.hashes import hincrby_number
from cacheapp.engine.commands.lists import ltrim_to
from cacheapp.engine.commands.sortedset_ranges import zcount_between, zrangebyscore_between
from cacheapp.engine.commands.sortedsets import zadd_score, zincrby_score
from cacheapp.engine.commands.strings import count_by, incrbyfloat_number
from cacheapp.engine.structures.geohash import is_on_map

__all__ = ["HOT_NUMBERS", "NUMBER_SHAPES"]

# Integers below it are the same as a double, and fit 64 bits with room for a sum.
_WHOLE_MAX: Final = 2**53
_FIELD, _VALUE = as_bytes("field"), as_bytes("value")


def _is_double(name: str) -> str:
    """The text of a test: whether what is called `name` is a double, or the same as one."""
    return (
        f"(type({name}) is int and -{_WHOLE_MAX} < {name} < {_WHOLE_MAX}"
        f" or type({name}) is float and {name} == {name})"
    )


def _is_whole(name: str) -> str:
    """The same for an integer of 64 bits."""
    return f"(type({name}) is int and -{_WHOLE_MAX} < {name} < {_WHOLE_MAX})"


def _choice(test: str, words: str, numbers: str, more: str, make: Any, count: int = 1) -> Shape:
    """Where `test` holds, `make` is called with `numbers`, else the handler with `words`.

    `more` are lines before it; the first `count` arguments are made bytes as they are.
    """
    plain = ", ".join(f"_{at}" for at in range(count))
    return Shape(
        count,
        f"{more}\nrest = None if {test} else ({words},)",
        f"{plain}, *(rest or ({words},))",
        make=make,
        call=f"make(session, {plain}, {numbers}) if rest is None "
        f"else handler(session, {plain}, *rest)",
    )


_ONE, _TWO = as_bytes("{1}"), as_bytes("{2}")
_ZADD = Shape(
    1,
    f"""
if type({{1}}) is not dict or not {{1}}:
    raise DataError
rest = None
if len({{1}}) == 1:
    [(field, value)] = {{1}}.items()
    field = {_FIELD}
    if not {_is_double("value")}:
        rest = ({_VALUE}, field)
else:
    rest = []
    for field, value in {{1}}.items():
        rest.append({_VALUE})
        rest.append({_FIELD})
""",
    "_0, *(rest or (encoded(value), field))",
    make=zadd_score,
    call="make(session, _0, float(value), field) if rest is None else handler(session, _0, *rest)",
)
_ZINCRBY = _choice(
    _is_double("{1}"), f"{_ONE}, member", "float({1}), member",
    "member = {2}\nmember = " + as_bytes("member"), zincrby_score,
)  # fmt: skip
_HINCRBY = _choice(_is_whole("{2}"), _TWO, "{2}", "", hincrby_number, count=2)
_LTRIM = _choice(
    f"{_is_whole('{1}')} and {_is_whole('{2}')}", f"{_ONE}, {_TWO}", "{1}, {2}", "", ltrim_to
)
_INCRBY = _choice(_is_whole("{1}"), _ONE, "{1}", "", count_by)
_DECRBY = _choice(_is_whole("{1}"), _ONE, "-{1}", "", count_by)
# In a unit of milliseconds; a timedelta is none of these.
_EXPIRE = _choice(_is_whole("{1}"), _ONE, "{1} * 1000", "", expire_in)
_PEXPIRE = _choice(_is_whole("{1}"), _ONE, "{1}", "", expire_in)
_INCRBYFLOAT = _choice(_is_double("{1}"), _ONE, "{1}", "", incrbyfloat_number)


def _between(make: Any) -> Shape:
    """Two scores, both included. What is a text may say more than a number."""
    return _choice(
        f"{_is_double('{1}')} and {_is_double('{2}')}",
        f"{_ONE}, {_TWO}", "float({1}), float({2})", "", make,
    )  # fmt: skip


# Degrees go to the handler as they are: to write and to read them takes as long as all the rest.
_GEOADD = Shape(
    1,
    f"""
if type({{1}}) not in (list, tuple) or len({{1}}) != 3:
    raise DataError
east, north, member = {{1}}
if type(east) is not float or type(north) is not float or not make(east, north):
    raise DataError
member = {as_bytes("member")}
""",
    "_0, encoded(east), encoded(north), member",
    make=is_on_map,
    call="handler(session, _0, east, north, member)",
    handler=geoadd_degrees,
)
_GEODIST = Shape(
    3,
    """
if {3} is None:
    rest = ()
elif type({3}) is str and {3} in ("m", "km", "mi", "ft"):
    rest = ({3}.encode(),)
else:
    raise DataError
""",
    "_0, _1, _2, *rest",
)


NUMBER_SHAPES: Final[dict[Build, str]] = {
    of_shape(_ZADD): "zadd",
    of_shape(_ZINCRBY): "zincrby",
    of_shape(_between(zcount_between)): "zcount",
    of_shape(_between(zrangebyscore_between)): "zrangebyscore",
    of_shape(_HINCRBY): "hincrby",
    of_shape(_LTRIM): "ltrim",
    of_shape(_INCRBY): "incr=INCRBY incrby",
    of_shape(_DECRBY): "decr=DECRBY",
    of_shape(_EXPIRE): "expire",
    of_shape(_PEXPIRE): "pexpire",
    of_shape(_GEOADD): "geoadd",
    of_shape(_GEODIST): "geodist",
    of_shape(_INCRBYFLOAT): "incrbyfloat",
}
HOT_NUMBERS = hot_methods(NUMBER_SHAPES, redis.Redis)
