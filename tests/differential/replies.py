"""When two replies are the same: to the letter, but for what Redis itself leaves open.

Order is compared first as it is; only for commands in `UNORDERED`, and only where Redis keeps the
key as a hash table, another order of the same elements will do. Deadlines may differ by the time
between the two executions. What is drawn at random is checked against the whole it came from.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import isnan
from typing import Any

from cacheapp.engine.errors import CommandError
from cacheapp.engine.replies import NULL_ARRAY

TOLERANCE_MS = 1500
# Integers above it are moments of now.
_MOMENTS_MS = 10**12

Args = Sequence[bytes]
# Runs a command on the real server beside the sequence, to look things up.
Ask = Callable[..., Any]
Rule = Callable[[Ask, Args, Any, Any], bool]


def same(expected: Any, actual: Any) -> bool:
    """Whether two replies are equal, classes and order included."""
    if isinstance(expected, CommandError) or isinstance(actual, CommandError):
        both = isinstance(expected, CommandError) and isinstance(actual, CommandError)
        return both and str(expected) == str(actual)
    if type(expected) is not type(actual):
        return False
    if isinstance(expected, list):
        return len(expected) == len(actual) and all(map(same, expected, actual))
    if isinstance(expected, dict):
        return same(list(expected.items()), list(actual.items())) if expected else not actual
    if isinstance(expected, tuple):
        return same(list(expected), list(actual))
    if isinstance(expected, float) and isnan(expected):
        return isnan(actual)
    return bool(expected == actual)


def plain(reply: Any, protocol: int) -> Any:
    """An engine's reply as the wire brings it: subclasses of bytes and nulls as they arrive."""
    if reply is NULL_ARRAY:
        return None if protocol == 3 else reply
    if isinstance(reply, dict):
        return {plain(key, protocol): plain(value, protocol) for key, value in reply.items()}
    if type(reply).__name__ == "Pairs":
        return [plain(item, protocol) for item in reply]
    if isinstance(reply, list):
        return type(reply)(plain(item, protocol) for item in reply)
    if type(reply).__name__ == "FixedPoint":
        return float(reply)
    return bytes(reply) if type(reply).__name__ == "FloatString" else reply


def agree(ask: Ask, args: Args, expected: Any, actual: Any) -> bool:
    """Whether `actual` is a right answer to `args`, given that Redis said `expected`."""
    if same(expected, actual):
        return True
    if isinstance(expected, CommandError) or isinstance(actual, CommandError):
        return False
    rule = _RULES.get(_full_name(args))
    return rule is not None and rule(ask, args, expected, actual)


def is_compared_loosely(args: Args) -> bool:
    """Whether there is a rule for answers to `args`, so that they need not be the same."""
    return _full_name(args) in _RULES


def _full_name(args: Args) -> bytes:
    name = args[0].upper()
    if name + b"|" in _CONTAINERS and len(args) > 1:
        name += b"|" + args[1].upper()
    return name


def _canonical(reply: Any) -> Any:
    if isinstance(reply, dict):
        return sorted((repr(key), repr(value)) for key, value in reply.items())
    return sorted(map(repr, reply))


def _unordered(ask: Ask, args: Args, expected: Any, actual: Any) -> bool:
    """The same elements; another order only where Redis has a hash table or none to ask for."""
    if type(expected) is not type(actual) or not isinstance(expected, (list, dict)):
        return False
    if args[0].upper() in _ONE_KEY and ask(b"OBJECT", b"ENCODING", args[1]) != b"hashtable":
        return False
    if args[0].upper() == b"HGETALL" and isinstance(expected, list):
        return _canonical(_pairs(expected)) == _canonical(_pairs(actual))
    return bool(_canonical(expected) == _canonical(actual))


def _sorted(ask: Ask, args: Args, expected: Any, actual: Any) -> bool:
    """The ties of BY over a set or sorted set come in the order of Redis's hash table."""
    if type(expected) is not type(actual) or not isinstance(expected, list):
        return False
    if b"BY" not in args[2:] or ask(b"TYPE", args[1]) not in (b"set", b"zset"):
        return False
    return bool(_canonical(expected) == _canonical(actual))


def _pairs(flat: list[Any]) -> list[Any]:
    return list(zip(flat[::2], flat[1::2], strict=False))


def _close(tolerance: int) -> Rule:
    def rule(_ask: Ask, _args: Args, expected: Any, actual: Any) -> bool:
        if type(expected) is not int or type(actual) is not int or min(expected, actual) < 0:
            return False
        return abs(expected - actual) <= tolerance

    return rule


def _same_kind(_ask: Ask, _args: Args, expected: Any, actual: Any) -> bool:
    return type(expected) is type(actual)


def _random_members(ask: Ask, args: Args, expected: Any, actual: Any) -> bool:
    """As many as Redis drew, all of them members, each once unless the count is negative."""
    if type(expected) is not type(actual):
        return False
    whole = {
        b"SRANDMEMBER": [b"SMEMBERS", *args[1:2]],
        b"HRANDFIELD": [b"HKEYS", *args[1:2]],
        b"ZRANDMEMBER": [b"ZRANGE", *args[1:2], b"0", b"-1"],
        b"RANDOMKEY": [b"KEYS", b"*"],
    }[args[0].upper()]
    members = set(ask(*whole))
    if not isinstance(actual, list):
        return actual in members
    if len(expected) != len(actual):
        return False
    if actual and isinstance(actual[0], list):
        return all(len(pair) == 2 and pair[0] in members for pair in actual)
    drawn = actual[::2] if len(args) == 4 else actual
    distinct = args[2].startswith(b"-") or len(set(drawn)) == len(drawn)
    return distinct and set(drawn) <= members


def same_frames(expected: list[list[Any]], actual: list[list[Any]]) -> bool:
    """Whether each connection received the same, as far as Redis orders it at all.

    It keeps channels and patterns in hash tables: which of several patterns is served first, and
    in which order UNSUBSCRIBE without channels and PUBSUB CHANNELS go through them, is open.
    """
    if same(expected, actual):
        return True
    return all(
        same(_ordered(one), _ordered(other)) for one, other in zip(expected, actual, strict=True)
    )


def _ordered(frames: list[Any]) -> list[Any]:
    """The frames with those that Redis may put in any order sorted in their places."""
    counts = [frame[2] for frame in frames if _is_farewell(frame)]
    result = [[*frame[:2], 0] if _is_farewell(frame) else frame for frame in frames]
    result = [sorted(frame) if _is_names(frame) else frame for frame in result]
    for kind in (b"pmessage", b"unsubscribe", b"punsubscribe"):
        places = [at for at, frame in enumerate(result) if _kind(frame) == kind]
        chosen = sorted((result[at] for at in places), key=repr)
        for at, frame in zip(places, chosen, strict=True):
            result[at] = list(frame)
    return [*(list(frame) if isinstance(frame, list) else frame for frame in result), counts]


def _kind(frame: Any) -> Any:
    return frame[0] if isinstance(frame, list) and frame else None


def _is_farewell(frame: Any) -> bool:
    return _kind(frame) in (b"unsubscribe", b"punsubscribe")


def _is_names(frame: Any) -> bool:
    """A plain array of bytes that is no message: what PUBSUB CHANNELS answers."""
    if type(frame) is not list or _kind(frame) in (b"message", b"pmessage", b"pong"):
        return False
    return all(type(item) is bytes for item in frame)


def _rows(_ask: Ask, args: Args, expected: Any, actual: Any) -> bool:
    """Rows of the command table: flags and categories are sets. Of all commands: any rows."""
    return len(args) == 2 or same(_with_sorted_flags(expected), _with_sorted_flags(actual))


def _whole_table(_ask: Ask, args: Args, expected: Any, actual: Any) -> bool:
    """All commands: any, since later versions have more. The table has a test of its own."""
    return len(args) <= 2 and type(expected) is type(actual) and bool(actual)


def _with_sorted_flags(rows: list[Any]) -> list[Any]:
    """The rows in one order of flags and categories, and without the notes for readers."""
    fields = {2: _texts, 6: _texts, 8: lambda specs: [_without_notes(spec) for spec in specs]}
    return [
        [fields.get(at, _same_object)(part) for at, part in enumerate(row)]
        if isinstance(row, list)
        else row
        for row in rows
    ]


def _texts(words: list[bytes]) -> list[str]:
    return sorted(map(repr, words))


def _same_object(part: Any) -> Any:
    return part


def _without_notes(spec: Any) -> Any:
    if isinstance(spec, dict):
        return {key: value for key, value in spec.items() if key != b"notes"}
    return spec[2:] if spec[:1] == [b"notes"] else spec


def _streams(ask: Ask, args: Args, expected: Any, actual: Any) -> bool:
    """As `_near`; the engine says of consumers what Redis does from 7.2 on."""
    return _near(ask, args, expected, _without_activity(actual))


def _without_activity(reply: Any) -> Any:
    newer = (b"active-time", b"inactive")
    if isinstance(reply, dict):
        return {name: _without_activity(part) for name, part in reply.items() if name not in newer}
    if not isinstance(reply, list):
        return reply
    parts = iter(reply)
    kept = []
    for part in parts:
        if type(part) is bytes and part in newer:
            next(parts, None)
        else:
            kept.append(_without_activity(part))
    return kept


def _near(_ask: Ask, _args: Args, expected: Any, actual: Any) -> bool:
    """Equal but for moments and idle times, which may differ by the time between executions."""
    if type(expected) is not type(actual):
        return False
    if isinstance(expected, dict):
        return list(expected) == list(actual) and all(
            _near(_ask, _args, value, actual[name])
            or (name == b"idle" and abs(value - actual[name]) <= TOLERANCE_MS)
            for name, value in expected.items()
        )
    if isinstance(expected, list):
        # A flat map of RESP2, or an entry of XPENDING.
        idle = {
            place
            for place in range(1, len(expected))
            if expected[place - 1] == b"idle" or (place == 2 and len(expected) == 4)
        }
        return len(expected) == len(actual) and all(
            _near(_ask, _args, one, other)
            or (place in idle and type(one) is int and abs(one - other) <= TOLERANCE_MS)
            for place, (one, other) in enumerate(zip(expected, actual, strict=True))
        )
    if type(expected) is int and expected > _MOMENTS_MS:
        return abs(expected - actual) <= TOLERANCE_MS
    return same(expected, actual)


def _fields(_ask: Ask, _args: Args, expected: Any, actual: Any) -> bool:
    """The same fields, whatever their values (CONFIG GET of *, CLIENT INFO and the like)."""
    return type(expected) is type(actual) and bool(actual)


UNORDERED = (
    b"SMEMBERS", b"SUNION", b"SINTER", b"SDIFF", b"HKEYS", b"HVALS", b"HGETALL", b"KEYS",
    b"PUBSUB|CHANNELS", b"CONFIG|GET",
)  # fmt: skip
_ONE_KEY = (b"SMEMBERS", b"HKEYS", b"HVALS", b"HGETALL")
_CONTAINERS = (
    b"OBJECT|", b"CLIENT|", b"CONFIG|", b"PUBSUB|", b"MEMORY|", b"COMMAND|", b"DEBUG|",
    b"XINFO|", b"FUNCTION|",
)  # fmt: skip
_RULES: dict[bytes, Rule] = {
    **dict.fromkeys(UNORDERED, _unordered),
    **dict.fromkeys((b"TTL", b"EXPIRETIME"), _close(2)),
    **dict.fromkeys((b"PTTL", b"PEXPIRETIME"), _close(TOLERANCE_MS)),
    **dict.fromkeys((b"OBJECT|IDLETIME", b"OBJECT|FREQ"), _close(2)),
    **dict.fromkeys((b"SRANDMEMBER", b"HRANDFIELD", b"ZRANDMEMBER", b"RANDOMKEY"), _random_members),
    **dict.fromkeys(
        (
            b"DUMP",
            b"FUNCTION|DUMP",
            b"TIME",
            b"MEMORY|USAGE",
            b"CLIENT|ID",
            b"CLIENT|LIST",
            b"CLIENT|INFO",
            b"INFO",
            b"LOLWUT",
        ),
        _same_kind,
    ),
    b"COMMAND|INFO": _rows,
    **dict.fromkeys((b"COMMAND", b"COMMAND|LIST", b"COMMAND|DOCS"), _whole_table),
    **dict.fromkeys((b"SORT", b"SORT_RO"), _sorted),
    **dict.fromkeys((b"XINFO|STREAM", b"XINFO|CONSUMERS"), _streams),
    b"XPENDING": _near,
    **dict.fromkeys((b"HELLO", b"COMMAND|COUNT", b"OBJECT|REFCOUNT"), _fields),
}
