"""When a key is due: EXPIRE and its relatives, TTL and its relatives, PERSIST.

A deadline is absolute, in milliseconds. One that has passed already deletes the key at once, and
that is announced as `del`, not as `expired`.
"""

from __future__ import annotations

from cacheapp.engine.arguments import INT64_MAX, INT64_MIN, parse_int
from cacheapp.engine.errors import CommandError, closing_text, invalid_expire
from cacheapp.engine.registry import command
from cacheapp.engine.replies import Reply
from cacheapp.engine.session import Session

# Less than this much, in any unit and from any base, is a deadline in 64 bits.
_SURELY_FITS = 2**52
_CONDITIONS = frozenset({b"NX", b"XX", b"GT", b"LT"})


@command(
    "EXPIRE", arity=-3, flags="write fast", keys=(1, 1, 1), key_flags="RW update", group="generic",
    summary="Sets the expiration time of a key in seconds.",
)  # fmt: skip
def expire(ctx: Session, key: bytes, amount: bytes, *options: bytes) -> Reply:
    return _expire(ctx, key, amount, options, "expire", ctx.engine.now_ms, 1000)


def expire_in(ctx: Session, key: bytes, ms: int) -> Reply:
    """EXPIRE or PEXPIRE in so many milliseconds, less than half of 64 bits."""
    return _make_due(ctx, key, ctx.engine.now_ms + ms, ms <= 0)


@command(
    "PEXPIRE", arity=-3, flags="write fast", keys=(1, 1, 1), key_flags="RW update", group="generic",
    since="2.6.0", summary="Sets the expiration time of a key in milliseconds.",
)  # fmt: skip
def pexpire(ctx: Session, key: bytes, amount: bytes, *options: bytes) -> Reply:
    return _expire(ctx, key, amount, options, "pexpire", ctx.engine.now_ms, 1)


@command(
    "EXPIREAT", arity=-3, flags="write fast", keys=(1, 1, 1), key_flags="RW update",
    group="generic", since="1.2.0",
    summary="Sets the expiration time of a key to a Unix timestamp.",
)  # fmt: skip
def expireat(ctx: Session, key: bytes, amount: bytes, *options: bytes) -> Reply:
    return _expire(ctx, key, amount, options, "expireat", 0, 1000)


@command(
    "PEXPIREAT", arity=-3, flags="write fast", keys=(1, 1, 1), key_flags="RW update",
    group="generic", since="2.6.0",
    summary="Sets the expiration time of a key to a Unix milliseconds timestamp.",
)  # fmt: skip
def pexpireat(ctx: Session, key: bytes, amount: bytes, *options: bytes) -> Reply:
    return _expire(ctx, key, amount, options, "pexpireat", 0, 1)


def _expire(
    ctx: Session,
    key: bytes,
    amount: bytes,
    options: tuple[bytes, ...],
    name: str,
    base_ms: int,
    unit_ms: int,
) -> int:
    """Make `key` due `amount` units after `base_ms`, if `options` allow; 1 if it was done."""
    conditions = _conditions(options) if options else None
    due = parse_int(amount)
    if not -_SURELY_FITS < due < _SURELY_FITS and (
        not -(-INT64_MIN // unit_ms) <= due <= INT64_MAX // unit_ms
        or due * unit_ms > INT64_MAX - base_ms
    ):
        raise invalid_expire(name)
    due = due * unit_ms + base_ms
    if conditions:
        before = ctx.db.deadline(key)
        if before < 0 or not _allowed(conditions, before, due):
            return 0
    return _make_due(ctx, key, due, due <= (base_ms or ctx.engine.now_ms))


def _make_due(ctx: Session, key: bytes, due: int, is_past: bool) -> int:
    """Make `key` due, or delete it where that is past; 1, or 0 where it is not there."""
    db = ctx.db
    if db.deadline(key) < 0:
        return 0
    if is_past:
        db.delete(key)
    else:
        db.postpone(key, due)
        db.changed(key, b"expire")
    return 1


def _conditions(options: tuple[bytes, ...]) -> frozenset[bytes]:
    found = set()
    for option in options:
        if option.upper() not in _CONDITIONS:
            raise CommandError(f"ERR Unsupported option {closing_text(option)}")
        found.add(option.upper())
    if b"NX" in found and len(found) > 1:
        raise CommandError("ERR NX and XX, GT or LT options at the same time are not compatible")
    if {b"GT", b"LT"} <= found:
        raise CommandError("ERR GT and LT options at the same time are not compatible")
    return frozenset(found)


def _allowed(conditions: frozenset[bytes], current: int, due: int) -> bool:
    """Whether a key due at `current` (0: never) may become due at `due`."""
    if b"NX" in conditions and current:
        return False
    if b"XX" in conditions and not current:
        return False
    if b"GT" in conditions and (not current or due <= current):
        return False
    return not (b"LT" in conditions and current and due >= current)


@command(
    "TTL", arity=2, flags="readonly fast", keys=(1, 1, 1), key_flags="RO access", group="generic",
    summary="Returns the expiration time in seconds of a key.", tips=("nondeterministic_output",),
)  # fmt: skip
def ttl(ctx: Session, key: bytes) -> Reply:
    deadline = ctx.db.look_deadline(key)
    if deadline <= 0:
        return -1 if deadline == 0 else -2
    return (max(0, deadline - ctx.engine.now_ms) + 500) // 1000


@command(
    "PTTL", arity=2, flags="readonly fast", keys=(1, 1, 1), key_flags="RO access", group="generic",
    since="2.6.0", summary="Returns the expiration time in milliseconds of a key.",
    tips=("nondeterministic_output",),
)  # fmt: skip
def pttl(ctx: Session, key: bytes) -> Reply:
    return _due(ctx, key, ctx.engine.now_ms, 1)


@command(
    "EXPIRETIME", arity=2, flags="readonly fast", keys=(1, 1, 1), key_flags="RO access",
    group="generic", since="7.0.0",
    summary="Returns the expiration time of a key as a Unix timestamp.",
)  # fmt: skip
def expiretime(ctx: Session, key: bytes) -> Reply:
    return _due(ctx, key, 0, 1000)


@command(
    "PEXPIRETIME", arity=2, flags="readonly fast", keys=(1, 1, 1), key_flags="RO access",
    group="generic", since="7.0.0",
    summary="Returns the expiration time of a key as a Unix milliseconds timestamp.",
)  # fmt: skip
def pexpiretime(ctx: Session, key: bytes) -> Reply:
    return _due(ctx, key, 0, 1)


def _due(ctx: Session, key: bytes, base_ms: int, unit_ms: int) -> int:
    """The deadline of `key` after `base_ms` in rounded units; -1 for none, -2 for no key."""
    deadline = ctx.db.look_deadline(key)
    if deadline <= 0:
        return -1 if deadline == 0 else -2
    left_ms = max(0, deadline - base_ms)
    return left_ms if unit_ms == 1 else (left_ms + 500) // 1000


@command(
    "PERSIST", arity=2, flags="write fast", keys=(1, 1, 1), key_flags="RW update", group="generic",
    since="2.2.0", summary="Removes the expiration time of a key.",
)  # fmt: skip
def persist(ctx: Session, key: bytes) -> Reply:
    db = ctx.db
    if db.deadline(key) <= 0:
        return 0
    db.postpone(key, 0)
    db.changed(key, b"persist")
    return 1
