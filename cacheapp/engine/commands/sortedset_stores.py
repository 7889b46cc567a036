"""Union, intersection and difference of sorted sets: read, counted, stored.

A plain set takes part with the score 1 for each member. Scores are combined from the smallest
operand to the largest, as in Redis, since the sum of floats depends on the order.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import islice

from cacheapp.engine.arguments import parse_float, parse_int
from cacheapp.engine.errors import SYNTAX, CommandError
from cacheapp.engine.keyspecs import key_at, keys_counted_at
from cacheapp.engine.registry import command
from cacheapp.engine.replies import Pairs, Reply
from cacheapp.engine.session import Session
from cacheapp.engine.structures.set import Set
from cacheapp.engine.structures.sortedset import SortedSet

Aggregate = Callable[[float, float], float]
Scores = dict[bytes, float]


def _sum(one: float, other: float) -> float:
    total = one + other
    # Opposite infinities cancel out.
    return 0.0 if math.isnan(total) else total


_AGGREGATES: dict[bytes, Aggregate] = {
    b"SUM": _sum,
    b"MIN": min,
    b"MAX": max,
}


class _Operand:
    """A sorted set, a set, or nothing, with its weight."""

    __slots__ = ("_value", "weight")

    def __init__(self, value: SortedSet | Set | None) -> None:
        self._value = value
        self.weight = 1.0

    def __len__(self) -> int:
        return 0 if self._value is None else len(self._value)

    def __contains__(self, member: bytes) -> bool:
        return self._value is not None and member in self._value

    def items(self) -> Iterator[tuple[bytes, float]]:
        """Members with their scores, not weighted."""
        if isinstance(self._value, SortedSet):
            yield from self._value.items()
        elif self._value is not None:
            for member in self._value.members():
                yield member, 1.0

    def score(self, member: bytes) -> float | None:
        """The score of `member`, not weighted, or None."""
        if isinstance(self._value, SortedSet):
            return self._value.score(member)
        return 1.0 if member in self else None


@dataclass(slots=True)
class _Query:
    """The arguments of one command."""

    operands: list[_Operand]
    aggregate: Aggregate = field(default=_sum)
    with_scores: bool = False
    limit: int = 0


def _query(
    ctx: Session, name: str, arguments: tuple[bytes, ...], allowed: frozenset[bytes]
) -> _Query:
    """Read `arguments`, which begin with the number of keys; `allowed` are the options."""
    count = parse_int(arguments[0])
    if count < 1:
        raise CommandError(f"ERR at least 1 input key is needed for '{name}' command")
    if count >= len(arguments):
        raise CommandError(SYNTAX)
    keys = arguments[1 : count + 1]
    query = _Query([_Operand(ctx.db.read(key, (SortedSet, Set))) for key in keys])
    words = arguments[count + 1 :]
    at = 0
    while at < len(words):
        option, left = words[at].upper(), len(words) - at - 1
        if option not in allowed:
            raise CommandError(SYNTAX)
        if option == b"WITHSCORES":
            query.with_scores = True
        elif option == b"WEIGHTS" and left >= count:
            for operand, raw in zip(query.operands, words[at + 1 : at + 1 + count], strict=True):
                operand.weight = parse_float(raw, "ERR weight value is not a float")
            at += count
        elif option == b"AGGREGATE" and left and words[at + 1].upper() in _AGGREGATES:
            query.aggregate = _AGGREGATES[words[at + 1].upper()]
            at += 1
        elif option == b"LIMIT" and left:
            query.limit = parse_int(words[at + 1], "ERR LIMIT can't be negative", low=0)
            at += 1
        else:
            raise CommandError(SYNTAX)
        at += 1
    return query


def _weighted(score: float, weight: float) -> float:
    product = score * weight
    return 0.0 if math.isnan(product) else product


def _union(query: _Query) -> Scores:
    result: Scores = {}
    aggregate = query.aggregate
    for operand in sorted(query.operands, key=len):
        for member, score in operand.items():
            score = _weighted(score, operand.weight)
            old = result.get(member)
            result[member] = score if old is None else aggregate(old, score)
    return result


def _intersection(query: _Query) -> Scores:
    result: Scores = {}
    smallest, *others = sorted(query.operands, key=len)
    for member, score in smallest.items():
        total = _weighted(score, smallest.weight)
        for other in others:
            found = other.score(member)
            if found is None:
                break
            # Only the first product is mended where it is not a number, as in Redis.
            total = query.aggregate(total, found * other.weight)
        else:
            result[member] = total
    return result


def _difference(query: _Query) -> Scores:
    first, *others = query.operands
    return {
        member: score
        for member, score in first.items()
        if not any(member in other for other in others)
    }


def _show(scores: Scores, query: _Query) -> Reply:
    entries = sorted((score, member) for member, score in scores.items())
    if query.with_scores:
        return Pairs([member, score] for score, member in entries)
    return [member for _, member in entries]


def _store(ctx: Session, destination: bytes, scores: Scores, event: bytes) -> int:
    """Bind `destination` to `scores`, or delete it where there are none; the size."""
    if not scores:
        ctx.db.delete(destination)
        return 0
    limits = ctx.engine.config.values
    made = SortedSet.of(
        scores, limits["zset-max-listpack-entries"], limits["zset-max-listpack-value"]
    )
    ctx.db.put(destination, made)
    ctx.db.changed(destination, event)
    return len(made)


_COMBINING = frozenset({b"WEIGHTS", b"AGGREGATE"})
_SHOWING = frozenset({b"WITHSCORES"})
_LIMITING = frozenset({b"LIMIT"})
_NONE: frozenset[bytes] = frozenset()


@command(
    "ZUNION", arity=-3, flags="readonly", keys=keys_counted_at(1, "RO access"), group="sorted-set",
    since="6.2.0", complexity="O(N)+O(M*log(M)) for N members giving M",
    summary="Returns the union of sorted sets.", shaped=True,
)  # fmt: skip
def zunion(ctx: Session, *arguments: bytes) -> Reply:
    query = _query(ctx, "zunion", arguments, _COMBINING | _SHOWING)
    return _show(_union(query), query)


@command(
    "ZUNIONSTORE", arity=-4, flags="write denyoom",
    keys=(key_at(1, "OW update"), keys_counted_at(2, "RO access")), group="sorted-set",
    since="2.0.0", complexity="O(N)+O(M*log(M)) for N members giving M",
    summary="Stores the union of sorted sets under a key.",
)  # fmt: skip
def zunionstore(ctx: Session, destination: bytes, *arguments: bytes) -> Reply:
    query = _query(ctx, "zunionstore", arguments, _COMBINING)
    return _store(ctx, destination, _union(query), b"zunionstore")


@command(
    "ZINTER", arity=-3, flags="readonly", keys=keys_counted_at(1, "RO access"), group="sorted-set",
    since="6.2.0", complexity="O(N*K)+O(M*log(M)) for N members of the smallest of K sets giving M",
    summary="Returns the intersection of sorted sets.", shaped=True,
)  # fmt: skip
def zinter(ctx: Session, *arguments: bytes) -> Reply:
    query = _query(ctx, "zinter", arguments, _COMBINING | _SHOWING)
    return _show(_intersection(query), query)


@command(
    "ZINTERSTORE", arity=-4, flags="write denyoom",
    keys=(key_at(1, "OW update"), keys_counted_at(2, "RO access")), group="sorted-set",
    since="2.0.0", complexity="O(N*K)+O(M*log(M)) for N members of the smallest of K sets giving M",
    summary="Stores the intersection of sorted sets under a key.",
)  # fmt: skip
def zinterstore(ctx: Session, destination: bytes, *arguments: bytes) -> Reply:
    query = _query(ctx, "zinterstore", arguments, _COMBINING)
    return _store(ctx, destination, _intersection(query), b"zinterstore")


@command(
    "ZINTERCARD", arity=-3, flags="readonly", keys=keys_counted_at(1, "RO access"),
    group="sorted-set", since="7.0.0", complexity="O(N*K) for N members of the smallest of K sets",
    summary="Returns the size of the intersection of sorted sets, counted up to a limit.",
)  # fmt: skip
def zintercard(ctx: Session, *arguments: bytes) -> Reply:
    query = _query(ctx, "zintercard", arguments, _LIMITING)
    smallest, *others = sorted(query.operands, key=len)
    common = (1 for member, _ in smallest.items() if all(member in other for other in others))
    return sum(islice(common, query.limit or None))


@command(
    "ZDIFF", arity=-3, flags="readonly", keys=keys_counted_at(1, "RO access"), group="sorted-set",
    since="6.2.0", complexity="O(L+(N-K)*log(N)) for L members in all",
    summary="Returns the members of the first sorted set that are in none of the others.",
    shaped=True,
)  # fmt: skip
def zdiff(ctx: Session, *arguments: bytes) -> Reply:
    query = _query(ctx, "zdiff", arguments, _SHOWING)
    return _show(_difference(query), query)


@command(
    "ZDIFFSTORE", arity=-4, flags="write denyoom",
    keys=(key_at(1, "OW update"), keys_counted_at(2, "RO access")), group="sorted-set",
    since="6.2.0", complexity="O(L+(N-K)*log(N)) for L members in all",
    summary="Stores the members of the first sorted set that are in none of the others.",
)  # fmt: skip
def zdiffstore(ctx: Session, destination: bytes, *arguments: bytes) -> Reply:
    query = _query(ctx, "zdiffstore", arguments, _NONE)
    return _store(ctx, destination, _difference(query), b"zdiffstore")
