"""The commands on members of sorted sets: adding, scores, ranks, scans.

Ranges are in `sortedset_ranges`, unions and their like in `sortedset_stores`, what pops in
`sortedsetpops`. A sorted set that
loses its last member goes with its key.
"""

from __future__ import annotations

import math

from cacheapp.engine.arguments import parse_cursor, parse_float
from cacheapp.engine.errors import SYNTAX, CommandError, wrong_arity
from cacheapp.engine.registry import command
from cacheapp.engine.replies import NULL_ARRAY, Pairs, Reply, format_double
from cacheapp.engine.session import Session
from cacheapp.engine.structures.sortedset import SortedSet
from cacheapp.engine.walking import picks, random_count, scan_options

_ADD_OPTIONS = frozenset({b"NX", b"XX", b"GT", b"LT", b"CH", b"INCR"})
_NO_OPTIONS: frozenset[bytes] = frozenset()
# A listpack keeps whole numbers up to half the range of 64 bits as integers.
_WHOLE_MAX = 2**62


def _check_options(options: frozenset[bytes] | set[bytes], pairs: tuple[bytes, ...]) -> None:
    """Raise for options of ZADD that do not go together, or not with as many pairs."""
    if b"NX" in options and b"XX" in options:
        raise CommandError("ERR XX and NX options at the same time are not compatible")
    if len(options & {b"NX", b"GT", b"LT"}) > 1:
        raise CommandError("ERR GT, LT, and/or NX options at the same time are not compatible")
    if b"INCR" in options and len(pairs) > 2:
        raise CommandError("ERR INCR option supports a single increment-element pair")


def _wanted(
    options: frozenset[bytes] | set[bytes], old: float | None, score: float
) -> float | None:
    """The score to set for a member whose score is `old`, or None where the options forbid it."""
    if old is None:
        return None if b"XX" in options else score
    if b"NX" in options:
        return None
    if b"INCR" in options:
        score = _sum(old, score)
    if (b"GT" in options and score <= old) or (b"LT" in options and score >= old):
        return None
    return score


def _sum(score: float, increment: float) -> float:
    total = score + increment
    if math.isnan(total):
        raise CommandError("ERR resulting score is not a number (NaN)")
    return total


@command(
    "ZADD", arity=-4, flags="write denyoom fast", keys=(1, 1, 1), key_flags="RW update",
    group="sorted-set", since="1.2.0", complexity="O(log(N)) a member",
    summary="Adds members to a sorted set or changes their scores.", shaped=True,
)  # fmt: skip
def zadd(ctx: Session, key: bytes, *arguments: bytes) -> Reply:
    if len(arguments) == 2 and arguments[0].upper() not in _ADD_OPTIONS:
        return zadd_score(ctx, key, parse_float(arguments[0]), arguments[1])
    start = 0
    while start < len(arguments) and arguments[start].upper() in _ADD_OPTIONS:
        start += 1
    pairs = arguments[start:]
    if len(pairs) % 2 or not pairs:
        raise CommandError(SYNTAX)
    if not start:
        return _add(ctx, key, _NO_OPTIONS, pairs)
    options = {word.upper() for word in arguments[:start]}
    _check_options(options, pairs)
    return _add(ctx, key, options, pairs)


@command(
    "ZINCRBY", arity=4, flags="write denyoom fast", keys=(1, 1, 1), key_flags="RW access update",
    group="sorted-set", since="1.2.0", complexity="O(log(N))",
    summary="Adds to the score of a member of a sorted set (0 if missing).", shaped=True,
)  # fmt: skip
def zincrby(ctx: Session, key: bytes, amount: bytes, member: bytes) -> Reply:
    return zincrby_score(ctx, key, parse_float(amount), member)


def zincrby_score(ctx: Session, key: bytes, increment: float, member: bytes) -> Reply:
    """ZINCRBY by a number."""
    db, limits = ctx.db, ctx.engine.config.values
    found: SortedSet | None = db.edit(key, SortedSet)
    if found is None:
        found = SortedSet()
        db.put(key, found)
    old = found.score(member)
    score = increment if old is None else _sum(old, increment)
    if score == old:
        return score
    found.put(member, score, limits["zset-max-listpack-entries"], limits["zset-max-listpack-value"])
    db.changed(key, b"zincr")
    return score


def zadd_score(ctx: Session, key: bytes, score: float, member: bytes) -> Reply:
    """ZADD of one pair without options, which most are; the score is a number."""
    db, limits = ctx.db, ctx.engine.config.values
    found: SortedSet | None = db.edit(key, SortedSet)
    if found is None:
        found = SortedSet()
        db.put(key, found)
    old = found.put(
        member, score, limits["zset-max-listpack-entries"], limits["zset-max-listpack-value"]
    )
    if old == score:
        return 0
    db.changed(key, b"zadd")
    return 1 if old is None else 0


def _add(
    ctx: Session,
    key: bytes,
    options: frozenset[bytes] | set[bytes],
    pairs: tuple[bytes, ...],
) -> Reply:
    """ZADD of `pairs` (score, member in turn) under `options`."""
    scores = [parse_float(raw) for raw in pairs[::2]]
    db, limits = ctx.db, ctx.engine.config.values
    entries_max = limits["zset-max-listpack-entries"]
    value_bytes_max = limits["zset-max-listpack-value"]
    found: SortedSet | None = db.edit(key, SortedSet)
    increments = b"INCR" in options
    if found is None:
        if b"XX" in options:
            return None if increments else 0
        found = SortedSet()
        db.put(key, found)
    added = updated = 0
    score: float | None = None
    for member, given in zip(pairs[1::2], scores, strict=True):
        old = found.score(member)
        score = _wanted(options, old, given) if options else given
        if score is None or score == old:
            continue
        found.put(member, score, entries_max, value_bytes_max)
        if old is None:
            added += 1
        else:
            updated += 1
    if added or updated:
        db.changed(key, b"zincr" if increments else b"zadd")
    if increments:
        return score
    return added + updated if b"CH" in options else added


@command(
    "ZREM", arity=-3, flags="write fast", keys=(1, 1, 1), key_flags="RW delete",
    group="sorted-set", since="1.2.0", complexity="O(M*log(N)) for M members",
    summary="Takes members out of a sorted set, and deletes it with its last one.",
)  # fmt: skip
def zrem(ctx: Session, key: bytes, *members: bytes) -> Reply:
    found: SortedSet | None = ctx.db.edit(key, SortedSet)
    if found is None:
        return 0
    removed = sum(map(found.remove, members))
    if removed:
        ctx.db.removed_from(key, found, b"zrem")
    return removed


@command(
    "ZCARD", arity=2, flags="readonly fast", keys=(1, 1, 1), key_flags="RO", group="sorted-set",
    since="1.2.0", summary="Returns the number of members of a sorted set.",
)  # fmt: skip
def zcard(ctx: Session, key: bytes) -> Reply:
    found: SortedSet | None = ctx.db.read(key, SortedSet)
    return 0 if found is None else len(found)


@command(
    "ZSCORE", arity=3, flags="readonly fast", keys=(1, 1, 1), key_flags="RO access",
    group="sorted-set", since="1.2.0", summary="Returns the score of a member of a sorted set.",
    shaped=True,
)  # fmt: skip
def zscore(ctx: Session, key: bytes, member: bytes) -> Reply:
    found: SortedSet | None = ctx.db.read(key, SortedSet)
    return None if found is None else found.score(member)


@command(
    "ZMSCORE", arity=-3, flags="readonly fast", keys=(1, 1, 1), key_flags="RO access",
    group="sorted-set", since="6.2.0", complexity="O(N) for N members",
    summary="Returns the scores of the given members of a sorted set.", shaped=True,
)  # fmt: skip
def zmscore(ctx: Session, key: bytes, *members: bytes) -> Reply:
    found: SortedSet | None = ctx.db.read(key, SortedSet)
    return [None] * len(members) if found is None else found.get_many(members)


@command(
    "ZRANK", arity=-3, flags="readonly fast", keys=(1, 1, 1), key_flags="RO access",
    group="sorted-set", since="2.0.0", complexity="O(log(N))",
    summary="Returns the position of a member in a sorted set, from the lowest score.", shaped=True,
)  # fmt: skip
def zrank(ctx: Session, key: bytes, member: bytes, *options: bytes) -> Reply:
    return _rank(ctx, key, member, options, command="zrank", from_end=False)


@command(
    "ZREVRANK", arity=-3, flags="readonly fast", keys=(1, 1, 1), key_flags="RO access",
    group="sorted-set", since="2.0.0", complexity="O(log(N))",
    summary="Returns the position of a member in a sorted set, from the highest score.",
    shaped=True,
)  # fmt: skip
def zrevrank(ctx: Session, key: bytes, member: bytes, *options: bytes) -> Reply:
    return _rank(ctx, key, member, options, command="zrevrank", from_end=True)


def _rank(
    ctx: Session, key: bytes, member: bytes, options: tuple[bytes, ...], *, command: str,
    from_end: bool,
) -> Reply:  # fmt: skip
    """The position of a member, with its score if that was asked for (Redis 7.2)."""
    if len(options) > 1:
        raise wrong_arity(command)
    if options and options[0].upper() != b"WITHSCORE":
        raise CommandError(SYNTAX)
    found: SortedSet | None = ctx.db.read(key, SortedSet)
    rank = None if found is None else found.rank(member)
    if found is None or rank is None:
        return NULL_ARRAY if options else None
    if from_end:
        rank = len(found) - 1 - rank
    return [rank, found.score(member)] if options else rank


# Walking


@command(
    "ZRANDMEMBER", arity=-2, flags="readonly", keys=(1, 1, 1), key_flags="RO access",
    group="sorted-set", since="6.2.0", complexity="O(N) for N members returned",
    summary="Returns random members of a sorted set.", tips=("nondeterministic_output",),
    shaped=True,
)  # fmt: skip
def zrandmember(ctx: Session, key: bytes, raw_count: bytes | None = None, *options: bytes) -> Reply:
    if raw_count is None:
        found: SortedSet | None = ctx.db.read(key, SortedSet)
        return None if found is None else found.random_entries(1, repeat=True)[0][1]
    count, with_scores = random_count(raw_count, options, b"WITHSCORES")
    found = ctx.db.read(key, SortedSet)
    if found is None or not count:
        return []
    if (reply := ctx.instead_of(-count)) is not None:
        return reply
    entries = found.random_entries(*picks(count))
    if with_scores:
        return Pairs([member, score] for score, member in entries)
    return [member for _, member in entries]


@command(
    "ZSCAN", arity=-3, flags="readonly", keys=(1, 1, 1), key_flags="RO access",
    group="sorted-set", since="2.8.0", complexity="O(1) a call",
    summary="Iterates over the members of a sorted set and their scores.",
    tips=("nondeterministic_output",),
)  # fmt: skip
def zscan(ctx: Session, key: bytes, cursor: bytes, *options: bytes) -> Reply:
    position = parse_cursor(cursor)
    found: SortedSet | None = ctx.db.read(key, SortedSet)
    if found is None:
        return [b"0", []]
    count, matches = scan_options(options)
    following, members = found.scan(position, count)
    parts = []
    for member in members:
        if matches is None or matches(member):
            score = found.score(member)
            assert score is not None
            # In a listpack the text is what was stored, not what a score is printed as.
            whole = found.packed and score.is_integer() and abs(score) <= _WHOLE_MAX
            parts += [member, b"%d" % score if whole else format_double(score)]
    return [b"%d" % following, parts]
