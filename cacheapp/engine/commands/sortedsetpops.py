"""The commands that take members off the ends of sorted sets, and those that wait for some.

Each waiting command is its plain one, tried first for all keys and then, through
`engine.waiters`, for each key that becomes a sorted set, until there was something to take.
"""

from __future__ import annotations

from cacheapp.engine.arguments import parse_int, parse_timeout_ms
from cacheapp.engine.blocking import Attempt
from cacheapp.engine.errors import NEGATIVE_COUNT, SYNTAX, CommandError
from cacheapp.engine.keyspecs import keys_counted_at
from cacheapp.engine.popping import multiple_pop_arguments, pop_or_wait
from cacheapp.engine.propagation import instead
from cacheapp.engine.registry import command
from cacheapp.engine.replies import NULL_ARRAY, Pairs, Reply
from cacheapp.engine.session import Session
from cacheapp.engine.structures.sortedset import SortedSet

_MIN, _MAX = b"MIN", b"MAX"


def _take(ctx: Session, key: bytes, count: int, end: bytes) -> list[list[Reply]]:
    """Take `count` entries off the `end` of the sorted set at `key`, the outermost first."""
    found: SortedSet = ctx.db.peek(key)
    size = len(found)
    count = min(count, size)
    if end == _MIN:
        entries = found.remove_slice(0, count)
    else:
        entries = found.remove_slice(size - count, size)
        entries.reverse()
    ctx.db.removed_from(key, found, b"zpop" + end.lower())
    return [[member, score] for score, member in entries]


def _pop(ctx: Session, key: bytes, arguments: tuple[bytes, ...], end: bytes) -> Reply:
    if len(arguments) > 1:
        raise CommandError(SYNTAX)
    count = parse_int(arguments[0], NEGATIVE_COUNT, low=0) if arguments else 1
    if ctx.db.edit(key, SortedSet) is None or not count:
        return []
    taken = _take(ctx, key, count, end)
    return Pairs(taken) if arguments else taken[0]


@command(
    "ZPOPMIN", arity=-2, flags="write fast", keys=(1, 1, 1), key_flags="RW access delete",
    group="sorted-set", since="5.0.0", complexity="O(log(N)*M) for M members",
    summary="Takes the members with the lowest scores out of a sorted set.", shaped=True,
)  # fmt: skip
def zpopmin(ctx: Session, key: bytes, *arguments: bytes) -> Reply:
    return _pop(ctx, key, arguments, _MIN)


@command(
    "ZPOPMAX", arity=-2, flags="write fast", keys=(1, 1, 1), key_flags="RW access delete",
    group="sorted-set", since="5.0.0", complexity="O(log(N)*M) for M members",
    summary="Takes the members with the highest scores out of a sorted set.", shaped=True,
)  # fmt: skip
def zpopmax(ctx: Session, key: bytes, *arguments: bytes) -> Reply:
    return _pop(ctx, key, arguments, _MAX)


@command(
    "ZMPOP", arity=-4, flags="write", keys=keys_counted_at(1, "RW access delete"),
    group="sorted-set", since="7.0.0", complexity="O(K) + O(M*log(N)) for K keys, M members",
    summary="Takes members with the lowest or highest scores out of the first sorted set there is.",
    shaped=True,
)  # fmt: skip
def zmpop(ctx: Session, numkeys: bytes, *arguments: bytes) -> Reply:
    keys, end, count = multiple_pop_arguments(numkeys, arguments, (_MIN, _MAX))
    for key in keys:
        if ctx.db.edit(key, SortedSet) is not None:
            return _take_many(ctx, key, count, end)
    return NULL_ARRAY


def _take_many(ctx: Session, key: bytes, count: int, end: bytes) -> Reply:
    """The key, and `count` entries of its sorted set; they go out as the plain command's."""
    entries = _take(ctx, key, count, end)
    instead(ctx, b"ZPOP" + end, key, b"%d" % len(entries))
    return [key, entries]


@command(
    "BZMPOP", arity=-5, flags="write blocking", keys=keys_counted_at(2, "RW access delete"),
    group="sorted-set", since="7.0.0", complexity="O(K) + O(M*log(N)) for K keys, M members",
    summary="Waits for a sorted set, then takes members with the lowest or highest scores.",
    shaped=True,
)  # fmt: skip
def bzmpop(ctx: Session, timeout: bytes, numkeys: bytes, *arguments: bytes) -> Reply:
    keys, end, count = multiple_pop_arguments(numkeys, arguments, (_MIN, _MAX))

    def attempt(session: Session, key: bytes) -> Reply:
        return _take_many(session, key, count, end)

    return pop_or_wait(ctx, keys, SortedSet, attempt, parse_timeout_ms(timeout))


@command(
    "BZPOPMIN", arity=-3, flags="write noscript blocking fast", keys=(1, -2, 1),
    key_flags="RW access delete", group="sorted-set", since="5.0.0", complexity="O(log(N))",
    summary="Waits for a sorted set, then takes the member with the lowest score.", shaped=True,
)  # fmt: skip
def bzpopmin(ctx: Session, *arguments: bytes) -> Reply:
    *keys, timeout = arguments
    return pop_or_wait(ctx, keys, SortedSet, _attempt(_MIN), parse_timeout_ms(timeout))


@command(
    "BZPOPMAX", arity=-3, flags="write noscript blocking fast", keys=(1, -2, 1),
    key_flags="RW access delete", group="sorted-set", since="5.0.0", complexity="O(log(N))",
    summary="Waits for a sorted set, then takes the member with the highest score.", shaped=True,
)  # fmt: skip
def bzpopmax(ctx: Session, *arguments: bytes) -> Reply:
    *keys, timeout = arguments
    return pop_or_wait(ctx, keys, SortedSet, _attempt(_MAX), parse_timeout_ms(timeout))


def _attempt(end: bytes) -> Attempt:
    def attempt(session: Session, key: bytes) -> Reply:
        instead(session, b"ZPOP" + end, key)
        return [key, *_take(session, key, 1, end)[0]]

    return attempt
