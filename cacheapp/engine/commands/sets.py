"""The commands on sets, and their algebra.

A set that loses its last member goes with its key. Which members are picked at random and in
which order they are shown is the structure's business; here are arguments, replies and events.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

from cacheapp.engine.arguments import parse_cursor, parse_int
from cacheapp.engine.errors import NEGATIVE_COUNT, SYNTAX, CommandError
from cacheapp.engine.keyspecs import key_at, keys_at, keys_counted_at
from cacheapp.engine.registry import command
from cacheapp.engine.replies import Reply, SetReply
from cacheapp.engine.session import Session
from cacheapp.engine.structures.set import (
    Set,
    common_members,
    intersection,
    intersection_size,
    union,
)
from cacheapp.engine.walking import picks, random_count, scan_options

# SPOP with a count rebuilds the set from what is left, where that is less than a fifth of it.
_REBUILD_FACTOR = 5


def _intset_max(ctx: Session) -> int:
    limit: int = ctx.engine.config.values["set-max-intset-entries"]
    return limit


@command(
    "SADD", arity=-3, flags="write denyoom fast", keys=(1, 1, 1), key_flags="RW insert",
    group="set", complexity="O(1) a member",
    summary="Adds members to a set, making the set where there is none.",
)  # fmt: skip
def sadd(ctx: Session, key: bytes, *members: bytes) -> Reply:
    db = ctx.db
    limit = ctx.engine.config.values["set-max-intset-entries"]
    found: Set | None = db.edit(key, Set)
    if found is None:
        found = Set()
        db.put(key, found)
    elif (warmth := ctx.engine.warmth).left:
        warmth.offer(found)
    added = 0
    for member in members:
        added += found.add(member, limit)
    if added:
        db.changed(key, b"sadd")
    return added


@command(
    "SREM", arity=-3, flags="write fast", keys=(1, 1, 1), key_flags="RW delete", group="set",
    complexity="O(N) for N members",
    summary="Takes members out of a set, and deletes the set with its last one.",
)  # fmt: skip
def srem(ctx: Session, key: bytes, *members: bytes) -> Reply:
    found: Set | None = ctx.db.edit(key, Set)
    if found is None:
        return 0
    if (warmth := ctx.engine.warmth).left:
        warmth.offer(found)
    removed = sum(map(found.remove, members))
    if removed:
        ctx.db.removed_from(key, found, b"srem")
    return removed


@command(
    "SMOVE", arity=4, flags="write fast",
    keys=(key_at(1, "RW access delete"), key_at(2, "RW insert")), group="set",
    summary="Moves a member from one set to another.",
)  # fmt: skip
def smove(ctx: Session, source: bytes, destination: bytes, member: bytes) -> Reply:
    db = ctx.db
    if source not in db:
        return 0
    found: Set = db.edit(source, Set)
    target: Set | None = db.edit(destination, Set)
    if found is target:
        return int(member in found)
    if not found.remove(member):
        return 0
    db.removed_from(source, found, b"srem")
    if target is None:
        target = Set()
        db.put(destination, target)
    if target.add(member, _intset_max(ctx)):
        db.changed(destination, b"sadd")
    return 1


@command(
    "SISMEMBER", arity=3, flags="readonly fast", keys=(1, 1, 1), key_flags="RO", group="set",
    summary="Tells whether something is a member of a set.",
)  # fmt: skip
def sismember(ctx: Session, key: bytes, member: bytes) -> Reply:
    found: Set | None = ctx.db.read(key, Set)
    if found is None:
        return 0
    if (warmth := ctx.engine.warmth).left:
        warmth.offer(found)
    return 1 if member in found else 0


@command(
    "SMISMEMBER", arity=-3, flags="readonly fast", keys=(1, 1, 1), key_flags="RO access",
    group="set", since="6.2.0", complexity="O(N) for N candidates",
    summary="Tells of several candidates whether they are members of a set.",
)  # fmt: skip
def smismember(ctx: Session, key: bytes, *members: bytes) -> Reply:
    found: Set | None = ctx.db.read(key, Set)
    if found is None:
        return [0] * len(members)
    return [int(member in found) for member in members]


@command(
    "SCARD", arity=2, flags="readonly fast", keys=(1, 1, 1), key_flags="RO", group="set",
    summary="Returns the number of members of a set.",
)  # fmt: skip
def scard(ctx: Session, key: bytes) -> Reply:
    found: Set | None = ctx.db.read(key, Set)
    return 0 if found is None else len(found)


@command(
    "SMEMBERS", arity=2, flags="readonly", keys=(1, 1, 1), key_flags="RO access", group="set",
    complexity="O(N) for the size of the set", summary="Returns all members of a set.",
    tips=("nondeterministic_output_order",), shaped=True,
)  # fmt: skip
def smembers(ctx: Session, key: bytes) -> Reply:
    found: Set | None = ctx.db.read(key, Set)
    return SetReply() if found is None else SetReply(found.members())


def smembers_unordered(ctx: Session, key: bytes) -> Collection[bytes]:
    """SMEMBERS for who wants them in no order, and does not change what it is given."""
    found: Set | None = ctx.db.read(key, Set)
    if found is None:
        return ()
    if (warmth := ctx.engine.warmth).left:
        warmth.offer(found)
    return found.collected()


@command(
    "SRANDMEMBER", arity=-2, flags="readonly", keys=(1, 1, 1), key_flags="RO access", group="set",
    complexity="O(N) for N members returned", summary="Returns random members of a set.",
    tips=("nondeterministic_output",),
)  # fmt: skip
def srandmember(ctx: Session, key: bytes, raw_count: bytes | None = None, *options: bytes) -> Reply:
    if raw_count is None:
        found: Set | None = ctx.db.read(key, Set)
        return None if found is None else found.random_member()
    if options:
        raise CommandError(SYNTAX)
    count, _ = random_count(raw_count, (), b"")
    found = ctx.db.read(key, Set)
    if found is None or not count:
        return []
    if (reply := ctx.instead_of(-count)) is not None:
        return reply
    return found.random_members(*picks(count))


@command(
    "SPOP", arity=-2, flags="write fast", keys=(1, 1, 1), key_flags="RW access delete", group="set",
    complexity="O(N) for N members returned",
    summary="Takes random members out of a set, and deletes the set with its last one.",
    tips=("nondeterministic_output",), shaped=True,
)  # fmt: skip
def spop(ctx: Session, key: bytes, raw_count: bytes | None = None, *options: bytes) -> Reply:
    db = ctx.db
    if options:
        raise CommandError(SYNTAX)
    if raw_count is None:
        found: Set | None = db.edit(key, Set)
        if found is None:
            return None
        member = found.random_member()
        found.remove(member)
        db.removed_from(key, found, b"spop")
        return member
    count = parse_int(raw_count, NEGATIVE_COUNT, low=0)
    found = db.edit(key, Set)
    if found is None or not count:
        return SetReply()
    picked = found.random_members(count, repeat=False)
    remaining = len(found) - len(picked)
    if 0 < remaining * _REBUILD_FACTOR <= count:
        # As in Redis the rest is a fresh set, which may be an intset again.
        found = Set.of(found.minus([Set.of(picked, 0)]), _intset_max(ctx))
        db.put(key, found, keep_deadline=True)
    else:
        for member in picked:
            found.remove(member)
    db.removed_from(key, found, b"spop")
    return SetReply(picked)


@command(
    "SSCAN", arity=-3, flags="readonly", keys=(1, 1, 1), key_flags="RO access", group="set",
    since="2.8.0", complexity="O(1) a call", summary="Iterates over the members of a set.",
    tips=("nondeterministic_output",),
)  # fmt: skip
def sscan(ctx: Session, key: bytes, cursor: bytes, *options: bytes) -> Reply:
    position = parse_cursor(cursor)
    found: Set | None = ctx.db.read(key, Set)
    if found is None:
        return [b"0", []]
    count, matches = scan_options(options)
    following, members = found.scan(position, count)
    if matches is not None:
        members = [member for member in members if matches(member)]
    return [b"%d" % following, members]


# Algebra


def _sources(ctx: Session, keys: Iterable[bytes]) -> list[Set | None]:
    """The sets at `keys`, None where there is none; WRONGTYPE for the first of another type."""
    return [ctx.db.read(key, Set) for key in keys]


def _intersected(ctx: Session, keys: Iterable[bytes]) -> list[Set]:
    """The sets at `keys`, or none at all where one is missing."""
    # All of them are looked at first: the one of another type may come after a missing one.
    sets = [ctx.db.read(key, Set) for key in keys]
    if None in sets:
        return []
    if (warmth := ctx.engine.warmth).left:
        for each in sets:
            warmth.offer(each)
    return sets


def _intersection(ctx: Session, keys: Iterable[bytes]) -> list[bytes]:
    sets = _intersected(ctx, keys)
    return intersection(sets) if sets else []


def _union(ctx: Session, keys: Iterable[bytes]) -> Set:
    present = [each for each in _sources(ctx, keys) if each is not None]
    return Set.of(union(present), _intset_max(ctx))


def _difference(ctx: Session, keys: Iterable[bytes]) -> Set:
    first, *others = _sources(ctx, keys)
    if first is None:
        return Set()
    present = [other for other in others if other is not None]
    return Set.of(first.minus(present), _intset_max(ctx))


def _store(ctx: Session, destination: bytes, made: Set, event: bytes) -> int:
    """Bind `destination` to `made`, or delete it where that is empty; the size."""
    if not made:
        ctx.db.delete(destination)
        return 0
    ctx.db.put(destination, made)
    ctx.db.changed(destination, event)
    return len(made)


@command(
    "SINTER", arity=-2, flags="readonly", keys=(1, -1, 1), key_flags="RO access", group="set",
    complexity="O(N*M) for N members of the smallest of M sets",
    summary="Returns the intersection of sets.", tips=("nondeterministic_output_order",),
    shaped=True,
)  # fmt: skip
def sinter(ctx: Session, *keys: bytes) -> Reply:
    return SetReply(_intersection(ctx, keys))


def sinter_unordered(ctx: Session, *keys: bytes) -> Collection[bytes]:
    """SINTER for who wants a set."""
    sets = _intersected(ctx, keys)
    return common_members(sets) if sets else ()


@command(
    "SINTERSTORE", arity=-3, flags="write denyoom",
    keys=(key_at(1, "RW update"), keys_at(2, -1, 1, "RO access")), group="set",
    complexity="O(N*M) for N members of the smallest of M sets",
    summary="Stores the intersection of sets under a key.",
)  # fmt: skip
def sinterstore(ctx: Session, destination: bytes, *keys: bytes) -> Reply:
    made = Set.of(_intersection(ctx, keys), _intset_max(ctx))
    return _store(ctx, destination, made, b"sinterstore")


@command(
    "SINTERCARD", arity=-3, flags="readonly", keys=keys_counted_at(1, "RO access"), group="set",
    since="7.0.0", complexity="O(N*M) for N members of the smallest of M sets",
    summary="Returns the size of the intersection of sets, counted up to a limit.",
)  # fmt: skip
def sintercard(ctx: Session, raw_count: bytes, *arguments: bytes) -> Reply:
    count = parse_int(raw_count, "ERR numkeys should be greater than 0", low=1)
    if count > len(arguments):
        raise CommandError("ERR Number of keys can't be greater than number of args")
    limit = 0
    words = iter(arguments[count:])
    for word in words:
        argument = next(words, None)
        if word.upper() != b"LIMIT" or argument is None:
            raise CommandError(SYNTAX)
        limit = parse_int(argument, "ERR LIMIT can't be negative", low=0)
    sets = _sources(ctx, arguments[:count])
    present = [each for each in sets if each is not None]
    return intersection_size(present, limit) if len(present) == count else 0


@command(
    "SUNION", arity=-2, flags="readonly", keys=(1, -1, 1), key_flags="RO access", group="set",
    complexity="O(N) for N members in all", summary="Returns the union of sets.",
    tips=("nondeterministic_output_order",), shaped=True,
)  # fmt: skip
def sunion(ctx: Session, *keys: bytes) -> Reply:
    return SetReply(_union(ctx, keys).members())


@command(
    "SUNIONSTORE", arity=-3, flags="write denyoom",
    keys=(key_at(1, "OW update"), keys_at(2, -1, 1, "RO access")), group="set",
    complexity="O(N) for N members in all", summary="Stores the union of sets under a key.",
)  # fmt: skip
def sunionstore(ctx: Session, destination: bytes, *keys: bytes) -> Reply:
    return _store(ctx, destination, _union(ctx, keys), b"sunionstore")


@command(
    "SDIFF", arity=-2, flags="readonly", keys=(1, -1, 1), key_flags="RO access", group="set",
    complexity="O(N) for N members in all",
    summary="Returns the members of the first set that are in none of the others.",
    tips=("nondeterministic_output_order",), shaped=True,
)  # fmt: skip
def sdiff(ctx: Session, *keys: bytes) -> Reply:
    return SetReply(_difference(ctx, keys).members())


@command(
    "SDIFFSTORE", arity=-3, flags="write denyoom",
    keys=(key_at(1, "OW update"), keys_at(2, -1, 1, "RO access")), group="set",
    complexity="O(N) for N members in all",
    summary="Stores under a key the members of the first set that are in none of the others.",
)  # fmt: skip
def sdiffstore(ctx: Session, destination: bytes, *keys: bytes) -> Reply:
    return _store(ctx, destination, _difference(ctx, keys), b"sdiffstore")
