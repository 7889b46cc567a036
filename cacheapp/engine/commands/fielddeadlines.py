"""When a field of a hash is due: HEXPIRE and its relatives, HTTL and its relatives, HPERSIST.

They came with Redis 7.4, whose documentation is the specification. Each answers with a number for
each field: -2 where there is no such field (or key), else what the command says of itself. A
deadline that has passed already takes the field away at once.
"""

from __future__ import annotations

from cacheapp.engine.arguments import INT64_MAX, parse_int
from cacheapp.engine.errors import (
    FIELDS_MISMATCH,
    FIELDS_MISSING,
    FIELDS_NOT_COUNTED,
    FIELDS_NOT_POSITIVE,
    NEGATIVE_EXPIRE,
    CommandError,
    invalid_expire,
)
from cacheapp.engine.fieldexpiry import DEADLINE_MS_MAX, drop_due, expect_fields
from cacheapp.engine.registry import command
from cacheapp.engine.replies import Reply
from cacheapp.engine.session import Session
from cacheapp.engine.structures.expiringhash import ExpiringHash
from cacheapp.engine.structures.hash import Hash

_CONDITIONS = frozenset({b"NX", b"XX", b"GT", b"LT"})

_MISSING, _NO_DEADLINE = -2, -1
_REFUSED, _SET, _DELETED = 0, 1, 2


@command(
    "HEXPIRE", arity=-6, flags="write denyoom fast", keys=(1, 1, 1), key_flags="RW update",
    group="hash", since="7.4.0", complexity="O(N) for N fields",
    summary="Sets the expiration time of fields of a hash in seconds.",
)  # fmt: skip
def hexpire(ctx: Session, key: bytes, amount: bytes, *arguments: bytes) -> Reply:
    return _expire(ctx, key, amount, arguments, "hexpire", ctx.engine.now_ms, 1000)


@command(
    "HPEXPIRE", arity=-6, flags="write denyoom fast", keys=(1, 1, 1), key_flags="RW update",
    group="hash", since="7.4.0", complexity="O(N) for N fields",
    summary="Sets the expiration time of fields of a hash in milliseconds.",
)  # fmt: skip
def hpexpire(ctx: Session, key: bytes, amount: bytes, *arguments: bytes) -> Reply:
    return _expire(ctx, key, amount, arguments, "hpexpire", ctx.engine.now_ms, 1)


@command(
    "HEXPIREAT", arity=-6, flags="write denyoom fast", keys=(1, 1, 1), key_flags="RW update",
    group="hash", since="7.4.0", complexity="O(N) for N fields",
    summary="Sets the expiration time of fields of a hash to a Unix timestamp.",
)  # fmt: skip
def hexpireat(ctx: Session, key: bytes, amount: bytes, *arguments: bytes) -> Reply:
    return _expire(ctx, key, amount, arguments, "hexpireat", 0, 1000)


@command(
    "HPEXPIREAT", arity=-6, flags="write denyoom fast", keys=(1, 1, 1), key_flags="RW update",
    group="hash", since="7.4.0", complexity="O(N) for N fields",
    summary="Sets the expiration time of fields of a hash to a Unix milliseconds timestamp.",
)  # fmt: skip
def hpexpireat(ctx: Session, key: bytes, amount: bytes, *arguments: bytes) -> Reply:
    return _expire(ctx, key, amount, arguments, "hpexpireat", 0, 1)


def _expire(
    ctx: Session,
    key: bytes,
    amount: bytes,
    arguments: tuple[bytes, ...],
    name: str,
    base_ms: int,
    unit_ms: int,
) -> Reply:
    """Make fields of `key` due `amount` units after `base_ms`; see the numbers above."""
    db = ctx.db
    found: Hash | None = db.edit(key, Hash)
    due_ms = _deadline(amount, name, base_ms, unit_ms)
    condition = arguments[0].upper()
    if condition in _CONDITIONS:
        arguments = arguments[1:]
    fields = _fields(arguments, FIELDS_NOT_POSITIVE)
    if found is None or _went(ctx, key, found, fields):
        return [_MISSING] * len(fields)
    if not isinstance(found, ExpiringHash):
        found = ExpiringHash.of(found)
        db.replace(key, found)
    results = [_expire_field(ctx, found, field, due_ms, condition) for field in fields]
    if _SET in results:
        expect_fields(db, key, found)
        db.changed(key, b"hexpire")
    if _DELETED in results:
        ctx.engine.stats.expired_subkeys += results.count(_DELETED)
        db.removed_from(key, found, b"hdel")
    return results


def _went(ctx: Session, key: bytes, found: Hash, fields: tuple[bytes, ...]) -> bool:
    """Take the due ones of `fields` away; whether the key went with the last of them.

    A copy that does the same command later must not find them either.
    """
    if isinstance(found, ExpiringHash):
        drop_due(ctx.db, key, found, fields)
    return not found


def _deadline(amount: bytes, name: str, base_ms: int, unit_ms: int) -> int:
    due = parse_int(amount)
    if due < 0:
        raise CommandError(NEGATIVE_EXPIRE)
    due_ms = due * unit_ms + base_ms
    if due_ms > DEADLINE_MS_MAX:
        raise invalid_expire(name)
    return due_ms


def _fields(arguments: tuple[bytes, ...], not_positive: str) -> tuple[bytes, ...]:
    """What follows FIELDS and its count; `not_positive` is the error for a wrong count."""
    if arguments[0].upper() != b"FIELDS":
        raise CommandError(FIELDS_MISSING)
    if len(arguments) < 2:
        raise CommandError(FIELDS_MISMATCH)
    count = parse_int(arguments[1], not_positive, low=1, high=INT64_MAX)
    fields = arguments[2:]
    if count != len(fields):
        raise CommandError(FIELDS_MISMATCH)
    return fields


def _expire_field(
    ctx: Session, found: ExpiringHash, field: bytes, due_ms: int, condition: bytes
) -> int:
    now_ms = ctx.engine.now_ms
    if field not in found:
        return _MISSING
    current = found.deadline(field)
    if current:
        refused = (
            condition == b"NX"
            or (condition == b"GT" and due_ms <= current)
            or (condition == b"LT" and due_ms >= current)
        )
    else:
        # Without a deadline is for ever.
        refused = condition in (b"XX", b"GT")
    if refused:
        return _REFUSED
    if due_ms <= now_ms:
        found.remove(field)
        return _DELETED
    found.set_deadline(field, due_ms)
    return _SET


@command(
    "HTTL", arity=-5, flags="readonly fast", keys=(1, 1, 1), key_flags="RO access", group="hash",
    since="7.4.0", complexity="O(N) for N fields", tips=("nondeterministic_output",),
    summary="Returns the expiration time in seconds of fields of a hash.",
)  # fmt: skip
def httl(ctx: Session, key: bytes, *arguments: bytes) -> Reply:
    return _due(ctx, key, arguments, ctx.engine.now_ms, 1000)


@command(
    "HPTTL", arity=-5, flags="readonly fast", keys=(1, 1, 1), key_flags="RO access", group="hash",
    since="7.4.0", complexity="O(N) for N fields", tips=("nondeterministic_output",),
    summary="Returns the expiration time in milliseconds of fields of a hash.",
)  # fmt: skip
def hpttl(ctx: Session, key: bytes, *arguments: bytes) -> Reply:
    return _due(ctx, key, arguments, ctx.engine.now_ms, 1)


@command(
    "HEXPIRETIME", arity=-5, flags="readonly fast", keys=(1, 1, 1), key_flags="RO access",
    group="hash", since="7.4.0", complexity="O(N) for N fields",
    summary="Returns the expiration time of fields of a hash as a Unix timestamp.",
)  # fmt: skip
def hexpiretime(ctx: Session, key: bytes, *arguments: bytes) -> Reply:
    return _due(ctx, key, arguments, 0, 1000)


@command(
    "HPEXPIRETIME", arity=-5, flags="readonly fast", keys=(1, 1, 1), key_flags="RO access",
    group="hash", since="7.4.0", complexity="O(N) for N fields",
    summary="Returns the expiration time of fields of a hash as a Unix milliseconds timestamp.",
)  # fmt: skip
def hpexpiretime(ctx: Session, key: bytes, *arguments: bytes) -> Reply:
    return _due(ctx, key, arguments, 0, 1)


def _due(
    ctx: Session, key: bytes, arguments: tuple[bytes, ...], base_ms: int, unit_ms: int
) -> Reply:
    """Deadlines of fields after `base_ms`, in units rounded up; -1 for none, -2 for no field."""
    found: Hash | None = ctx.db.read(key, Hash)
    fields = _fields(arguments, FIELDS_NOT_COUNTED)
    if found is None:
        return [_MISSING] * len(fields)
    if not isinstance(found, ExpiringHash):
        return [_NO_DEADLINE if field in found else _MISSING for field in fields]
    results, now_ms = [], ctx.engine.now_ms
    for field in fields:
        if field not in found or found.is_due(field, now_ms):
            results.append(_MISSING)
        elif deadline := found.deadline(field):
            results.append(-((base_ms - deadline) // unit_ms))
        else:
            results.append(_NO_DEADLINE)
    return results


@command(
    "HPERSIST", arity=-5, flags="write fast", keys=(1, 1, 1), key_flags="RW update", group="hash",
    since="7.4.0", complexity="O(N) for N fields",
    summary="Removes the expiration time of fields of a hash.",
)  # fmt: skip
def hpersist(ctx: Session, key: bytes, *arguments: bytes) -> Reply:
    found: Hash | None = ctx.db.edit(key, Hash)
    fields = _fields(arguments, FIELDS_NOT_COUNTED)
    if found is None or _went(ctx, key, found, fields):
        return [_MISSING] * len(fields)
    if not isinstance(found, ExpiringHash):
        return [_NO_DEADLINE if field in found else _MISSING for field in fields]
    results = []
    for field in fields:
        if field not in found:
            results.append(_MISSING)
        elif found.deadline(field):
            found.set_deadline(field, 0)
            results.append(_SET)
        else:
            results.append(_NO_DEADLINE)
    if _SET in results:
        ctx.db.changed(key, b"hpersist")
    return results
