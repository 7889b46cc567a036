"""The commands on strings.

A string is `bytes`; a counter that INCR touched is an `int`; one that was changed in place
(APPEND, SETRANGE, SETBIT) is a `bytearray`, which is also what makes it `raw` to OBJECT ENCODING.
"""

from __future__ import annotations

from cacheapp.engine.arguments import INT64_MAX, INT64_MIN, parse_int
from cacheapp.engine.errors import NOT_AN_INTEGER, OVERFLOW, SYNTAX, CommandError, invalid_expire
from cacheapp.engine.registry import command
from cacheapp.engine.replies import OK, Reply
from cacheapp.engine.session import Session
from cacheapp.engine.values import STRING, string_bytes

# SET and GETEX: how a deadline is written -> (is it absolute, milliseconds a unit).
DEADLINE_OPTIONS = {
    b"EX": (False, 1000),
    b"PX": (False, 1),
    b"EXAT": (True, 1000),
    b"PXAT": (True, 1),
}


def deadline_ms(ctx: Session, option: bytes, raw: bytes, name: str) -> int:
    """The absolute deadline in milliseconds that `option raw` names; `name` for its error."""
    absolute, unit_ms = DEADLINE_OPTIONS[option]
    amount = parse_int(raw)
    if amount <= 0 or amount > INT64_MAX // unit_ms:
        raise invalid_expire(name)
    deadline = amount * unit_ms
    if not absolute:
        deadline += ctx.engine.now_ms
        if deadline > INT64_MAX:
            raise invalid_expire(name)
    return deadline


@command(
    "GET", arity=2, flags="readonly fast", keys=(1, 1, 1), key_flags="RO access", group="string",
    summary="Returns the string value of a key.",
)  # fmt: skip
def get(ctx: Session, key: bytes) -> Reply:
    return ctx.db.read_string(key)


@command(
    "SET", arity=-3, flags="write denyoom", keys=(1, 1, 1),
    key_flags="RW access update variable_flags", group="string",
    summary="Sets the string value of a key, ignoring its type.",
)  # fmt: skip
def set_(ctx: Session, key: bytes, value: bytes, *options: bytes) -> Reply:
    db = ctx.db
    if not options:
        db.put(key, value)
        db.changed(key, b"set")
        return OK
    only_if, wants_old, keep, deadline = _set_options(ctx, options)
    old = None
    if wants_old:
        old = db.read_string(key)
    if only_if and (key in db) != (only_if == b"XX"):
        return old
    db.put(key, value, keep_deadline=keep)
    if deadline:
        db.set_deadline(key, deadline)
    db.changed(key, b"set")
    if deadline:
        db.notify(b"expire", key)
    return old if wants_old else OK


def _set_options(ctx: Session, options: tuple[bytes, ...]) -> tuple[bytes, bool, bool, int]:
    """SET's options: NX or XX or nothing, GET, KEEPTTL, and the deadline (0 for none)."""
    only_if, wants_old, keep, timed = b"", False, False, None
    words = iter(options)
    for word in words:
        option = word.upper()
        if option in (b"NX", b"XX") and only_if in (b"", option):
            only_if = option
        elif option == b"GET":
            wants_old = True
        elif option == b"KEEPTTL" and timed is None:
            keep = True
        elif option in DEADLINE_OPTIONS and timed is None and not keep:
            raw = next(words, None)
            if raw is None:
                raise CommandError(SYNTAX)
            timed = (option, raw)
        else:
            raise CommandError(SYNTAX)
    return only_if, wants_old, keep, deadline_ms(ctx, *timed, "set") if timed else 0


@command(
    "INCRBY", arity=3, flags="write denyoom fast", keys=(1, 1, 1), key_flags="RW access update",
    group="string", summary="Increments the integer value of a key by a number.",
)  # fmt: skip
def incrby(ctx: Session, key: bytes, amount: bytes) -> Reply:
    return add_to_counter(ctx, key, parse_int(amount))


def add_to_counter(ctx: Session, key: bytes, amount: int) -> int:
    """Add `amount` to the integer at `key` (0 where it is missing), keeping its deadline."""
    db = ctx.db
    value = db.edit(key, STRING)
    if value is None:
        value = 0
    elif type(value) is not int:
        value = parse_int(string_bytes(value), NOT_AN_INTEGER)
    total: int = value + amount
    if not INT64_MIN <= total <= INT64_MAX:
        raise CommandError(OVERFLOW)
    db.put(key, total, keep_deadline=True)
    db.changed(key, b"incrby")
    return total
