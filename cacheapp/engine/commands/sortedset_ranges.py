"""Ranges of sorted sets, by rank, score or member: read, counted, stored, removed.

ZRANGE and its older spellings are one function with different defaults. The bounds are read
before the key is looked at, so a wrong bound is an error on a missing key too.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache

from cacheapp.engine.arguments import LexBound, parse_int, parse_score_bound
from cacheapp.engine.errors import SYNTAX, CommandError
from cacheapp.engine.keyspecs import key_at
from cacheapp.engine.registry import command
from cacheapp.engine.replies import Pairs, Reply
from cacheapp.engine.session import Session
from cacheapp.engine.structures.sortedset import Entry, SortedSet

_LIMIT_NEEDS_RANGE = (
    "ERR syntax error, LIMIT is only supported in combination with either BYSCORE or BYLEX"
)
_NO_SCORES_BY_LEX = "ERR syntax error, WITHSCORES not supported in combination with BYLEX"

_RANK, _SCORE, _LEX = b"BYRANK", b"BYSCORE", b"BYLEX"

# Lays bounds over a sorted set: from which position to before which, counted from the lowest.
Range = Callable[[SortedSet], tuple[int, int]]


# Most programs ask for the same few ranks again and again; nothing else depends on the arguments.
@lru_cache(maxsize=256)
def _ranks(low: bytes, high: bytes) -> tuple[int, int]:
    return parse_int(low), parse_int(high)


@lru_cache(maxsize=256)
def _rank_range(low: bytes, high: bytes, reverse: bool = False) -> Range:
    first, last = _ranks(low, high)

    def positions(found: SortedSet) -> tuple[int, int]:
        size = len(found)
        start = max(0, first + size if first < 0 else first)
        stop = min(size, (last + size if last < 0 else last) + 1)
        if start >= stop:
            return 0, 0
        return (size - stop, size - start) if reverse else (start, stop)

    return positions


def _score_range(low: bytes, high: bytes, reverse: bool = False) -> Range:
    # Redis reads the lower bound first, wherever it was written.
    bounds = (*parse_score_bound(low), *parse_score_bound(high))
    return lambda found: found.score_range(*bounds)


def _lex_range(low: bytes, high: bytes, reverse: bool = False) -> Range:
    lowest, highest = LexBound(low), LexBound(high)
    return lambda found: found.lex_range(lowest, highest, reverse=reverse)


_RANGES: dict[bytes, Callable[[bytes, bytes, bool], Range]] = {
    _RANK: _rank_range,
    _SCORE: _score_range,
    _LEX: _lex_range,
}


@dataclass(frozen=True, slots=True)
class _Query:
    """What to take; `by` and `reverse` are None where the command leaves them to options."""

    by: bytes | None = None
    reverse: bool | None = None
    with_scores: bool = False
    offset: int = 0
    limit: int = -1


_ANY = _Query()
_REVERSED = _Query(_RANK, reverse=True)
_BY_SCORE = _Query(_SCORE, reverse=False)
_BY_SCORE_REVERSED = _Query(_SCORE, reverse=True)
# The same with scores, by identity: reading the options takes longer than most ranges.
_SCORED = {
    id(query): replace(query, with_scores=True)
    for query in (_ANY, _REVERSED, _BY_SCORE, _BY_SCORE_REVERSED)
}


def _options(query: _Query, words: tuple[bytes, ...], *, storing: bool) -> _Query:
    """`query` with the options in `words`; raises what Redis refuses before it reads bounds."""
    at = 0
    while at < len(words):
        option = words[at].upper()
        if option == b"WITHSCORES" and not storing:
            query = replace(query, with_scores=True)
        elif option == b"LIMIT" and at + 2 < len(words):
            query = replace(query, offset=parse_int(words[at + 1]), limit=parse_int(words[at + 2]))
            at += 2
        elif option == b"REV" and query.reverse is None:
            query = replace(query, reverse=True)
        elif option in (_SCORE, _LEX) and query.by is None:
            query = replace(query, by=option)
        else:
            raise CommandError(SYNTAX)
        at += 1
    by = query.by or _RANK
    if query.limit != -1 and by == _RANK:
        raise CommandError(_LIMIT_NEEDS_RANGE)
    if query.with_scores and by == _LEX:
        raise CommandError(_NO_SCORES_BY_LEX)
    # What is left for ranks is a limit of -1, and Redis then forgets the offset too.
    return replace(query, offset=0) if by == _RANK else query


def _bounds(query: _Query, low: bytes, high: bytes) -> Range:
    """The range between two arguments; those of a reverse range of values begin at the top."""
    if query is _ANY:
        return _rank_range(low, high)
    by, reverse = query.by or _RANK, bool(query.reverse)
    if reverse and by != _RANK:
        low, high = high, low
    return _RANGES[by](low, high, reverse)


def _entries(found: SortedSet, query: _Query, bounds: Range) -> list[Entry]:
    """The entries within the bounds, after LIMIT, in the order that was asked for."""
    start, stop = bounds(found)
    if query is _ANY:
        return found.slice(start, stop)
    if query.offset or query.limit >= 0:
        size = stop - start - query.offset
        if query.limit >= 0:
            size = min(size, query.limit)
        if query.offset < 0 or size <= 0:
            return []
        if query.reverse:
            start = stop - query.offset - size
        else:
            start += query.offset
        stop = start + size
    if stop <= start:
        return []
    return found.slice(start, stop, reverse=bool(query.reverse))


def _read(ctx: Session, key: bytes, query: _Query, arguments: tuple[bytes, ...]) -> Reply:
    """ZRANGE and its relatives; `arguments` are both bounds and the options."""
    if len(arguments) > 2:
        scored = _SCORED.get(id(query))
        if scored is not None and len(arguments) == 3 and arguments[2].upper() == b"WITHSCORES":
            query = scored
        else:
            query = _options(query, arguments[2:], storing=False)
    bounds = _bounds(query, arguments[0], arguments[1])
    found: SortedSet | None = ctx.db.read(key, SortedSet)
    if found is None:
        return []
    entries = _entries(found, query, bounds)
    if query.with_scores:
        return Pairs([[member, score] for score, member in entries])
    return [member for _, member in entries]


@command(
    "ZRANGE", arity=-4, flags="readonly", keys=(1, 1, 1), key_flags="RO access",
    group="sorted-set", since="1.2.0", complexity="O(log(N)+M) for M members returned",
    summary="Returns a range of a sorted set, by rank, score or member.", shaped=True,
)  # fmt: skip
def zrange(ctx: Session, key: bytes, *arguments: bytes) -> Reply:
    if len(arguments) == 2:
        first, last = _ranks(*arguments)
        found: SortedSet | None = ctx.db.read(key, SortedSet)
        if found is None:
            return []
        if first >= 0 <= last:
            return found.members(first, last + 1)
        start, stop = _rank_range(*arguments)(found)
        return found.members(start, stop)
    return _read(ctx, key, _ANY, arguments)


@command(
    "ZREVRANGE", arity=-4, flags="readonly", keys=(1, 1, 1), key_flags="RO access",
    group="sorted-set", since="1.2.0", complexity="O(log(N)+M) for M members returned",
    summary="Returns a range of a sorted set by rank, from the highest score.", shaped=True,
)  # fmt: skip
def zrevrange(ctx: Session, key: bytes, *arguments: bytes) -> Reply:
    return _read(ctx, key, _REVERSED, arguments)


@command(
    "ZRANGEBYSCORE", arity=-4, flags="readonly", keys=(1, 1, 1), key_flags="RO access",
    group="sorted-set", since="1.0.5", complexity="O(log(N)+M) for M members returned",
    summary="Returns the members of a sorted set within a range of scores.", shaped=True,
)  # fmt: skip
def zrangebyscore(ctx: Session, key: bytes, *arguments: bytes) -> Reply:
    if len(arguments) == 2:
        lowest, low_open = parse_score_bound(arguments[0])
        highest, high_open = parse_score_bound(arguments[1])
        found: SortedSet | None = ctx.db.read(key, SortedSet)
        if found is None:
            return []
        start, stop = found.score_range(lowest, low_open, highest, high_open)
        return found.members(start, stop)
    return _read(ctx, key, _BY_SCORE, arguments)


@command(
    "ZREVRANGEBYSCORE", arity=-4, flags="readonly", keys=(1, 1, 1), key_flags="RO access",
    group="sorted-set", since="2.2.0", complexity="O(log(N)+M) for M members returned",
    summary="Returns the members of a sorted set within a range of scores, highest first.",
    shaped=True,
)  # fmt: skip
def zrevrangebyscore(ctx: Session, key: bytes, *arguments: bytes) -> Reply:
    return _read(ctx, key, _BY_SCORE_REVERSED, arguments)


@command(
    "ZRANGEBYLEX", arity=-4, flags="readonly", keys=(1, 1, 1), key_flags="RO access",
    group="sorted-set", since="2.8.9", complexity="O(log(N)+M) for M members returned",
    summary="Returns the members of a sorted set between two members.",
)  # fmt: skip
def zrangebylex(ctx: Session, key: bytes, *arguments: bytes) -> Reply:
    return _read(ctx, key, _Query(_LEX, reverse=False), arguments)


@command(
    "ZREVRANGEBYLEX", arity=-4, flags="readonly", keys=(1, 1, 1), key_flags="RO access",
    group="sorted-set", since="2.8.9", complexity="O(log(N)+M) for M members returned",
    summary="Returns the members of a sorted set between two members, highest first.",
)  # fmt: skip
def zrevrangebylex(ctx: Session, key: bytes, *arguments: bytes) -> Reply:
    return _read(ctx, key, _Query(_LEX, reverse=True), arguments)


@command(
    "ZRANGESTORE", arity=-5, flags="write denyoom",
    keys=(key_at(1, "OW update"), key_at(2, "RO access")), group="sorted-set", since="6.2.0",
    complexity="O(log(N)+M) for M members stored",
    summary="Stores a range of a sorted set under a key.",
)  # fmt: skip
def zrangestore(
    ctx: Session, destination: bytes, source: bytes, low: bytes, high: bytes, *options: bytes
) -> Reply:
    db, limits = ctx.db, ctx.engine.config.values
    query = _options(_ANY, options, storing=True)
    bounds = _bounds(query, low, high)
    found: SortedSet | None = db.read(source, SortedSet)
    entries = [] if found is None else _entries(found, query, bounds)
    if not entries:
        db.delete(destination)
        return 0
    made = SortedSet.of(
        {member: score for score, member in entries},
        limits["zset-max-listpack-entries"],
        limits["zset-max-listpack-value"],
    )
    db.put(destination, made)
    db.changed(destination, b"zrangestore")
    return len(made)


# Counting


@command(
    "ZCOUNT", arity=4, flags="readonly fast", keys=(1, 1, 1), key_flags="RO access",
    group="sorted-set", since="2.0.0", complexity="O(log(N))",
    summary="Counts the members of a sorted set within a range of scores.",
)  # fmt: skip
def zcount(ctx: Session, key: bytes, low: bytes, high: bytes) -> Reply:
    lowest, low_open = parse_score_bound(low)
    highest, high_open = parse_score_bound(high)
    found: SortedSet | None = ctx.db.read(key, SortedSet)
    if found is None:
        return 0
    start, stop = found.score_range(lowest, low_open, highest, high_open)
    return stop - start if stop > start else 0


def zcount_between(ctx: Session, key: bytes, low: float, high: float) -> Reply:
    """ZCOUNT between two numbers, both included."""
    found: SortedSet | None = ctx.db.read(key, SortedSet)
    if found is None:
        return 0
    start, stop = found.score_range(low, False, high, False)
    return stop - start if stop > start else 0


def zrangebyscore_between(ctx: Session, key: bytes, low: float, high: float) -> Reply:
    """ZRANGEBYSCORE between two numbers, both included."""
    found: SortedSet | None = ctx.db.read(key, SortedSet)
    if found is None:
        return []
    start, stop = found.score_range(low, False, high, False)
    return found.members(start, stop)


@command(
    "ZLEXCOUNT", arity=4, flags="readonly fast", keys=(1, 1, 1), key_flags="RO access",
    group="sorted-set", since="2.8.9", complexity="O(log(N))",
    summary="Counts the members of a sorted set between two members.",
)  # fmt: skip
def zlexcount(ctx: Session, key: bytes, low: bytes, high: bytes) -> Reply:
    bounds = _lex_range(low, high)
    found: SortedSet | None = ctx.db.read(key, SortedSet)
    if found is None:
        return 0
    start, stop = bounds(found)
    return max(0, stop - start)


# Removing


def _remove(ctx: Session, key: bytes, bounds: Range, event: bytes) -> int:
    found: SortedSet | None = ctx.db.edit(key, SortedSet)
    if found is None:
        return 0
    start, stop = bounds(found)
    if stop <= start:
        return 0
    removed = found.remove_slice(start, stop)
    ctx.db.removed_from(key, found, event)
    return len(removed)


@command(
    "ZREMRANGEBYRANK", arity=4, flags="write", keys=(1, 1, 1), key_flags="RW delete",
    group="sorted-set", since="2.0.0", complexity="O(log(N)+M) for M members removed",
    summary="Takes a range of ranks out of a sorted set.",
)  # fmt: skip
def zremrangebyrank(ctx: Session, key: bytes, low: bytes, high: bytes) -> Reply:
    return _remove(ctx, key, _rank_range(low, high), b"zremrangebyrank")


@command(
    "ZREMRANGEBYSCORE", arity=4, flags="write", keys=(1, 1, 1), key_flags="RW delete",
    group="sorted-set", since="1.2.0", complexity="O(log(N)+M) for M members removed",
    summary="Takes a range of scores out of a sorted set.",
)  # fmt: skip
def zremrangebyscore(ctx: Session, key: bytes, low: bytes, high: bytes) -> Reply:
    return _remove(ctx, key, _score_range(low, high), b"zremrangebyscore")


@command(
    "ZREMRANGEBYLEX", arity=4, flags="write", keys=(1, 1, 1), key_flags="RW delete",
    group="sorted-set", since="2.8.9", complexity="O(log(N)+M) for M members removed",
    summary="Takes the members between two members out of a sorted set.",
)  # fmt: skip
def zremrangebylex(ctx: Session, key: bytes, low: bytes, high: bytes) -> Reply:
    return _remove(ctx, key, _lex_range(low, high), b"zremrangebylex")
