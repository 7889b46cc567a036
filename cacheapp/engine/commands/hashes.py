"""The commands on hashes: small records, field by field.

A hash that loses its last field goes with its key. What is random (HRANDFIELD) or walks (HSCAN)
is the structure's business; here are arguments, replies and events.
"""

from __future__ import annotations

from cacheapp.engine.arguments import INT64_MAX, INT64_MIN, parse_cursor, parse_int
from cacheapp.engine.errors import (
    INCREMENT_NOT_FINITE,
    OVERFLOW,
    CommandError,
    wrong_arity,
)
from cacheapp.engine.fieldexpiry import drop_due
from cacheapp.engine.longdouble import ZERO, add, format_long_double, parse_long_double
from cacheapp.engine.registry import command
from cacheapp.engine.replies import OK, Pairs, Reply
from cacheapp.engine.session import Session
from cacheapp.engine.structures.expiringhash import ExpiringHash
from cacheapp.engine.structures.hash import Hash
from cacheapp.engine.walking import hash_scan_options, picks, random_count

_NOT_AN_INTEGER = "ERR hash value is not an integer"
_NOT_A_FLOAT = "ERR hash value is not a float"
_NOT_FINITE = "ERR value is NaN or Infinity"


def _store(ctx: Session, key: bytes, pairs: tuple[bytes, ...], name: str) -> int:
    """Set fields and values in turn; how many fields are new."""
    if len(pairs) % 2:
        raise wrong_arity(name)
    db, limits = ctx.db, ctx.engine.config.values
    entries_max = limits["hash-max-listpack-entries"]
    value_bytes_max = limits["hash-max-listpack-value"]
    found: Hash | None = db.edit(key, Hash)
    if found is None:
        found = Hash()
        db.put(key, found)
    elif (warmth := ctx.engine.warmth).left:
        warmth.offer(found)
    if len(pairs) == 2:
        added = int(found.put(*pairs, entries_max, value_bytes_max))
    else:
        added = found.put_many(pairs, entries_max, value_bytes_max)
    db.changed(key, b"hset")
    return added


def _put(
    ctx: Session, key: bytes, found: Hash | None, field: bytes, value: bytes, event: bytes
) -> None:
    """Set a field of the hash `found` at `key`, new where it is None, and announce it as `event`.

    The field keeps its deadline if it has one.
    """
    db, limits = ctx.db, ctx.engine.config.values
    if found is None:
        found = Hash()
        db.put(key, found)
    put = found.update if type(found) is ExpiringHash else found.put
    put(field, value, limits["hash-max-listpack-entries"], limits["hash-max-listpack-value"])
    db.changed(key, event)


def _alive_for(ctx: Session, key: bytes, field: bytes) -> Hash | None:
    """The hash at `key` for changing, without `field` if that is due; None where it is gone."""
    found: Hash | None = ctx.db.edit(key, Hash)
    if found is None:
        return None
    if (warmth := ctx.engine.warmth).left:
        warmth.offer(found)
    if type(found) is ExpiringHash:
        drop_due(ctx.db, key, found, (field,))
        return found or None
    return found


@command(
    "HSET", arity=-4, flags="write denyoom fast", keys=(1, 1, 1), key_flags="RW update",
    group="hash", since="2.0.0", complexity="O(1) a field",
    summary="Sets fields of a hash, making the hash where there is none.",
)  # fmt: skip
def hset(ctx: Session, key: bytes, *pairs: bytes) -> Reply:
    return _store(ctx, key, pairs, "hset")


@command(
    "HMSET", arity=-4, flags="write denyoom fast", keys=(1, 1, 1), key_flags="RW update",
    group="hash", since="2.0.0", complexity="O(N) for N fields",
    summary="Sets fields of a hash (HSET does the same).",
)  # fmt: skip
def hmset(ctx: Session, key: bytes, *pairs: bytes) -> Reply:
    _store(ctx, key, pairs, "hmset")
    return OK


@command(
    "HSETNX", arity=4, flags="write denyoom fast", keys=(1, 1, 1), key_flags="RW insert",
    group="hash", since="2.0.0", summary="Sets a field of a hash only if it does not exist.",
)  # fmt: skip
def hsetnx(ctx: Session, key: bytes, field: bytes, value: bytes) -> Reply:
    found = _alive_for(ctx, key, field)
    if found is not None and field in found:
        return 0
    _put(ctx, key, found, field, value, b"hset")
    return 1


@command(
    "HGET", arity=3, flags="readonly fast", keys=(1, 1, 1), key_flags="RO access", group="hash",
    since="2.0.0", summary="Returns the value of a field of a hash.",
)  # fmt: skip
def hget(ctx: Session, key: bytes, field: bytes) -> Reply:
    found: Hash | None = ctx.db.read(key, Hash)
    if found is None:
        return None
    if (warmth := ctx.engine.warmth).left:
        warmth.offer(found)
    if type(found) is ExpiringHash:
        drop_due(ctx.db, key, found, (field,))
    return found.get(field)


@command(
    "HMGET", arity=-3, flags="readonly fast", keys=(1, 1, 1), key_flags="RO access", group="hash",
    since="2.0.0", complexity="O(N) for N fields",
    summary="Returns the values of the given fields of a hash.",
)  # fmt: skip
def hmget(ctx: Session, key: bytes, *fields: bytes) -> Reply:
    found: Hash | None = ctx.db.read(key, Hash)
    if found is None:
        return [None] * len(fields)
    if (warmth := ctx.engine.warmth).left:
        warmth.offer(found)
    if type(found) is ExpiringHash:
        drop_due(ctx.db, key, found, fields)
    return found.get_many(fields)


@command(
    "HGETALL", arity=2, flags="readonly", keys=(1, 1, 1), key_flags="RO access", group="hash",
    since="2.0.0", complexity="O(N) for the size of the hash",
    summary="Returns all fields of a hash with their values.",
    tips=("nondeterministic_output_order",), shaped=True,
)  # fmt: skip
def hgetall(ctx: Session, key: bytes) -> Reply:
    found: Hash | None = ctx.db.read(key, Hash)
    if found is None:
        return {}
    if (warmth := ctx.engine.warmth).left:
        warmth.offer(found)
    if type(found) is ExpiringHash:
        found = found.alive(ctx.engine.now_ms)
    return found.as_dict()


@command(
    "HKEYS", arity=2, flags="readonly", keys=(1, 1, 1), key_flags="RO access", group="hash",
    since="2.0.0", complexity="O(N) for the size of the hash",
    summary="Returns all fields of a hash.", tips=("nondeterministic_output_order",),
)  # fmt: skip
def hkeys(ctx: Session, key: bytes) -> Reply:
    found: Hash | None = ctx.db.read(key, Hash)
    if type(found) is ExpiringHash:
        found = found.alive(ctx.engine.now_ms)
    return [] if found is None else found.fields()


@command(
    "HVALS", arity=2, flags="readonly", keys=(1, 1, 1), key_flags="RO access", group="hash",
    since="2.0.0", complexity="O(N) for the size of the hash",
    summary="Returns all values of a hash.", tips=("nondeterministic_output_order",),
)  # fmt: skip
def hvals(ctx: Session, key: bytes) -> Reply:
    found: Hash | None = ctx.db.read(key, Hash)
    if type(found) is ExpiringHash:
        found = found.alive(ctx.engine.now_ms)
    return [] if found is None else found.values()


@command(
    "HLEN", arity=2, flags="readonly fast", keys=(1, 1, 1), key_flags="RO", group="hash",
    since="2.0.0", summary="Returns the number of fields of a hash.",
)  # fmt: skip
def hlen(ctx: Session, key: bytes) -> Reply:
    found: Hash | None = ctx.db.read(key, Hash)
    return 0 if found is None else len(found)


@command(
    "HEXISTS", arity=3, flags="readonly fast", keys=(1, 1, 1), key_flags="RO", group="hash",
    since="2.0.0", summary="Tells whether a field of a hash exists.",
)  # fmt: skip
def hexists(ctx: Session, key: bytes, field: bytes) -> Reply:
    found: Hash | None = ctx.db.read(key, Hash)
    if type(found) is ExpiringHash:
        drop_due(ctx.db, key, found, (field,))
    return int(found is not None and field in found)


@command(
    "HSTRLEN", arity=3, flags="readonly fast", keys=(1, 1, 1), key_flags="RO", group="hash",
    since="3.2.0", summary="Returns the length of the value of a field of a hash.",
)  # fmt: skip
def hstrlen(ctx: Session, key: bytes, field: bytes) -> Reply:
    found: Hash | None = ctx.db.read(key, Hash)
    if type(found) is ExpiringHash:
        drop_due(ctx.db, key, found, (field,))
    return 0 if found is None else len(found.get(field) or b"")


@command(
    "HDEL", arity=-3, flags="write fast", keys=(1, 1, 1), key_flags="RW delete", group="hash",
    since="2.0.0", complexity="O(N) for N fields",
    summary="Takes fields out of a hash, and deletes the hash with its last one.",
)  # fmt: skip
def hdel(ctx: Session, key: bytes, *fields: bytes) -> Reply:
    found: Hash | None = ctx.db.edit(key, Hash)
    if found is None:
        return 0
    removed = sum(map(found.remove, fields))
    if removed:
        ctx.db.removed_from(key, found, b"hdel")
    return removed


@command(
    "HINCRBY", arity=4, flags="write denyoom fast", keys=(1, 1, 1), key_flags="RW access update",
    group="hash", since="2.0.0", summary="Adds an integer to a field of a hash (0 if missing).",
)  # fmt: skip
def hincrby(ctx: Session, key: bytes, field: bytes, amount: bytes) -> Reply:
    return hincrby_number(ctx, key, field, parse_int(amount))


def hincrby_number(ctx: Session, key: bytes, field: bytes, total: int) -> Reply:
    """HINCRBY by a number of 64 bits."""
    db = ctx.db
    found: Hash | None = db.edit(key, Hash)
    if type(found) is not Hash:
        found = _alive_for(ctx, key, field)
    elif (warmth := ctx.engine.warmth).left:
        warmth.offer(found)
    current = None if found is None else found.get(field)
    if current is not None:
        total += parse_int(current, _NOT_AN_INTEGER)
    if not INT64_MIN <= total <= INT64_MAX:
        raise CommandError(OVERFLOW)
    if type(found) is not Hash:
        _put(ctx, key, found, field, b"%d" % total, b"hincrby")
        return total
    limits = ctx.engine.config.values
    found.put(
        field, b"%d" % total, limits["hash-max-listpack-entries"], limits["hash-max-listpack-value"]
    )
    db.changed(key, b"hincrby")
    return total


@command(
    "HINCRBYFLOAT", arity=4, flags="write denyoom fast", keys=(1, 1, 1),
    key_flags="RW access update", group="hash", since="2.6.0",
    summary="Adds a floating point number to a field of a hash (0 if missing).",
)  # fmt: skip
def hincrbyfloat(ctx: Session, key: bytes, field: bytes, amount: bytes) -> Reply:
    increment = parse_long_double(amount)
    if increment is None:
        raise CommandError(_NOT_FINITE)
    found = _alive_for(ctx, key, field)
    current = None if found is None else found.get(field)
    total = add(increment, ZERO if current is None else parse_long_double(current, _NOT_A_FLOAT))
    if total is None:
        raise CommandError(INCREMENT_NOT_FINITE)
    text = format_long_double(total)
    _put(ctx, key, found, field, text, b"hincrbyfloat")
    return text


def _all_alive(ctx: Session, key: bytes) -> Hash | None:
    """The hash at `key` after its due fields were taken out; None where none is left."""
    found: Hash | None = ctx.db.read(key, Hash)
    if type(found) is ExpiringHash:
        drop_due(ctx.db, key, found)
        return found or None
    return found


@command(
    "HRANDFIELD", arity=-2, flags="readonly", keys=(1, 1, 1), key_flags="RO access", group="hash",
    since="6.2.0", complexity="O(N) for N fields returned",
    summary="Returns random fields of a hash.", tips=("nondeterministic_output",), shaped=True,
)  # fmt: skip
def hrandfield(ctx: Session, key: bytes, raw_count: bytes | None = None, *options: bytes) -> Reply:
    if raw_count is None:
        found = _all_alive(ctx, key)
        return None if found is None else found.random_field()
    count, with_values = random_count(raw_count, options, b"WITHVALUES")
    found = _all_alive(ctx, key)
    if found is None or not count:
        return []
    if (reply := ctx.instead_of(-count)) is not None:
        return reply
    fields = found.random_fields(*picks(count))
    if with_values:
        held = found.as_mapping()
        return Pairs([field, held[field]] for field in fields)
    return fields


@command(
    "HSCAN", arity=-3, flags="readonly", keys=(1, 1, 1), key_flags="RO access", group="hash",
    since="2.8.0", complexity="O(1) a call",
    summary="Iterates over the fields of a hash and their values.",
    tips=("nondeterministic_output",),
)  # fmt: skip
def hscan(ctx: Session, key: bytes, cursor: bytes, *options: bytes) -> Reply:
    position = parse_cursor(cursor)
    found: Hash | None = ctx.db.read(key, Hash)
    if found is None:
        return [b"0", []]
    count, matches, names_only = hash_scan_options(options)
    following, fields = found.scan(position, count)
    if type(found) is ExpiringHash:
        now_ms = ctx.engine.now_ms
        fields = [field for field in fields if not found.is_due(field, now_ms)]
    if matches is not None:
        fields = [field for field in fields if matches(field)]
    if names_only:
        return [b"%d" % following, fields]
    held = found.as_mapping()
    return [b"%d" % following, [part for field in fields for part in (field, held[field])]]
