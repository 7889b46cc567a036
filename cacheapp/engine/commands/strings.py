"""The commands on strings.

A string is `bytes`; a counter that INCR touched is an `int`; one that was changed in place
(APPEND, SETRANGE, SETBIT) is a `bytearray`, which is also what makes it `raw` to OBJECT ENCODING.
LCS and the bitmaps have files of their own.
"""

from __future__ import annotations

from cacheapp.engine.arguments import INT64_MAX, INT64_MIN, parse_int
from cacheapp.engine.errors import (
    INCREMENT_NOT_FINITE,
    OVERFLOW,
    STRING_TOO_LONG,
    SYNTAX,
    CommandError,
    invalid_expire,
    wrong_arity,
)
from cacheapp.engine.keyspecs import KeyAccess, access, key_at
from cacheapp.engine.longdouble import (
    add,
    format_long_double,
    parse_long_double,
    short_sum,
)
from cacheapp.engine.registry import command
from cacheapp.engine.replies import OK, Reply
from cacheapp.engine.session import Session
from cacheapp.engine.values import STRING, FloatString, string_bytes

# SET and GETEX: how a deadline is written -> (is it absolute, milliseconds a unit).
_DEADLINE_OPTIONS = {
    b"EX": (False, 1000),
    b"PX": (False, 1),
    b"EXAT": (True, 1000),
    b"PXAT": (True, 1),
}


# Less than this much, in any unit, is a deadline in 64 bits.
_SURELY_FITS = 2**52
# Of `incrbyfloat_number`: as many digits as are exact in a double, with room for the sum.
_SHORT_FLOAT_BYTES = 11
_SHORT_FLOAT_MAX = 1e5


def _deadline_ms(ctx: Session, option: bytes, raw: bytes, name: str) -> int:
    """The absolute deadline in milliseconds that `option raw` names; `name` for its error."""
    absolute, unit_ms = _DEADLINE_OPTIONS[option]
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
    "GETDEL", arity=2, flags="write fast", keys=(1, 1, 1), key_flags="RW access delete",
    group="string", since="6.2.0", summary="Returns the string value of a key and deletes the key.",
)  # fmt: skip
def getdel(ctx: Session, key: bytes) -> Reply:
    value = ctx.db.read_string(key)
    if value is not None:
        ctx.db.delete(key)
    return value


@command(
    "GETSET", arity=3, flags="write denyoom fast", keys=(1, 1, 1), key_flags="RW access update",
    group="string", summary="Sets the string value of a key and returns the value it had.",
)  # fmt: skip
def getset(ctx: Session, key: bytes, value: bytes) -> Reply:
    old = ctx.db.read_string(key)
    ctx.db.put(key, value)
    ctx.db.changed(key, b"set")
    return old


@command(
    "GETEX", arity=-2, flags="write fast",
    keys=key_at(1, "RW access update", note="Updated since its deadline changes."), group="string",
    since="6.2.0", summary="Returns the string value of a key after setting its expiration time.",
)  # fmt: skip
def getex(ctx: Session, key: bytes, *options: bytes) -> Reply:
    db = ctx.db
    persist, timed = _getex_options(options)
    value = db.read_string(key)
    if value is None:
        return None
    if timed is not None:
        deadline = _deadline_ms(ctx, *timed, "getex")
        if deadline <= ctx.engine.now_ms and _DEADLINE_OPTIONS[timed[0]][0]:
            db.delete(key)
        else:
            db.set_deadline(key, deadline)
            db.changed(key, b"expire")
    elif persist and db.deadline(key):
        db.set_deadline(key, 0)
        db.changed(key, b"persist")
    return value


def _getex_options(options: tuple[bytes, ...]) -> tuple[bool, tuple[bytes, bytes] | None]:
    """PERSIST, or the option that writes a deadline with its argument; not both."""
    persist, timed = False, None
    words = iter(options)
    for word in words:
        option = word.upper()
        if option == b"PERSIST" and timed is None:
            persist = True
        elif option in _DEADLINE_OPTIONS and not persist and (not timed or timed[0] == option):
            timed = (option, _argument(next(words, None)))
        else:
            raise CommandError(SYNTAX)
    return persist, timed


def _argument(raw: bytes | None) -> bytes:
    if raw is None:
        raise CommandError(SYNTAX)
    return raw


def _find_set_key(args: list[bytes]) -> list[KeyAccess]:
    """The key of SET, which is read only where GET asks for its value."""
    reads = any(word.upper() == b"GET" for word in args[3:])
    return [(1, access("RW access update" if reads else "OW update"))]


@command(
    "SET", arity=-3, flags="write denyoom",
    keys=key_at(1, "RW access update variable_flags", note="Read only with the `GET` option."),
    find_keys=_find_set_key, group="string",
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
        elif option in _DEADLINE_OPTIONS and not keep and (not timed or timed[0] == option):
            timed = (option, _argument(next(words, None)))
        else:
            raise CommandError(SYNTAX)
    return only_if, wants_old, keep, _deadline_ms(ctx, *timed, "set") if timed else 0


@command(
    "SETNX", arity=3, flags="write denyoom fast", keys=(1, 1, 1), key_flags="OW insert",
    group="string", summary="Sets the string value of a key only when the key doesn't exist.",
)  # fmt: skip
def setnx(ctx: Session, key: bytes, value: bytes) -> Reply:
    if key in ctx.db:
        return 0
    ctx.db.put(key, value)
    ctx.db.changed(key, b"set")
    return 1


@command(
    "SETEX", arity=4, flags="write denyoom", keys=(1, 1, 1), key_flags="OW update", group="string",
    since="2.0.0", summary="Sets the string value of a key and its expiration time in seconds.",
)  # fmt: skip
def setex(ctx: Session, key: bytes, seconds: bytes, value: bytes) -> Reply:
    amount = parse_int(seconds)
    if 0 < amount < _SURELY_FITS:
        return _set_until(ctx, key, value, amount * 1000 + int(ctx.engine.now * 1000))
    return _set_until(ctx, key, value, _deadline_ms(ctx, b"EX", seconds, "setex"))


@command(
    "PSETEX", arity=4, flags="write denyoom", keys=(1, 1, 1), key_flags="OW update", group="string",
    since="2.6.0",
    summary="Sets the string value of a key and its expiration time in milliseconds.",
)  # fmt: skip
def psetex(ctx: Session, key: bytes, milliseconds: bytes, value: bytes) -> Reply:
    return _set_until(ctx, key, value, _deadline_ms(ctx, b"PX", milliseconds, "psetex"))


def _set_until(ctx: Session, key: bytes, value: bytes, deadline: int) -> Reply:
    db = ctx.db
    db.put(key, value, keep_deadline=True)
    db.set_deadline(key, deadline)
    db.changed(key, b"set")
    if ctx.engine.event_flags:
        db.notify(b"expire", key)
    return OK


@command(
    "MGET", arity=-2, flags="readonly fast", keys=(1, -1, 1), key_flags="RO access",
    group="string", complexity="O(N)", summary="Returns the string values of several keys.",
    tips=("request_policy:multi_shard",),
)  # fmt: skip
def mget(ctx: Session, *keys: bytes) -> Reply:
    found: list[bytes | None] = []
    for value in map(ctx.db.get, keys):
        if type(value) is bytes or value is None:
            found.append(value)
        else:
            found.append(string_bytes(value) if isinstance(value, STRING) else None)
    return found


@command(
    "MSET", arity=-3, flags="write denyoom", keys=(1, -1, 2), key_flags="OW update",
    group="string", since="1.0.1", complexity="O(N)",
    summary="Sets the string values of several keys.",
    tips=("request_policy:multi_shard", "response_policy:all_succeeded"),
)  # fmt: skip
def mset(ctx: Session, *pairs: bytes) -> Reply:
    _set_pairs(ctx, pairs, "mset")
    return OK


@command(
    "MSETNX", arity=-3, flags="write denyoom", keys=(1, -1, 2), key_flags="OW insert",
    group="string", since="1.0.1", complexity="O(N)",
    summary="Sets the string values of several keys only when none of them exists.",
    tips=("request_policy:multi_shard", "response_policy:agg_min"),
)  # fmt: skip
def msetnx(ctx: Session, *pairs: bytes) -> Reply:
    if len(pairs) % 2 == 0 and any(key in ctx.db for key in pairs[::2]):
        return 0
    _set_pairs(ctx, pairs, "msetnx")
    return 1


def _set_pairs(ctx: Session, pairs: tuple[bytes, ...], name: str) -> None:
    if len(pairs) % 2:
        raise wrong_arity(name)
    ctx.db.put_strings(pairs)


@command(
    "INCR", arity=2, flags="write denyoom fast", keys=(1, 1, 1), key_flags="RW access update",
    group="string", summary="Increments the integer value of a key by one.",
)  # fmt: skip
def incr(ctx: Session, key: bytes) -> Reply:
    return count_by(ctx, key, 1)


@command(
    "DECR", arity=2, flags="write denyoom fast", keys=(1, 1, 1), key_flags="RW access update",
    group="string", summary="Decrements the integer value of a key by one.",
)  # fmt: skip
def decr(ctx: Session, key: bytes) -> Reply:
    return count_by(ctx, key, -1)


@command(
    "INCRBY", arity=3, flags="write denyoom fast", keys=(1, 1, 1), key_flags="RW access update",
    group="string", summary="Increments the integer value of a key by a number.",
)  # fmt: skip
def incrby(ctx: Session, key: bytes, amount: bytes) -> Reply:
    return count_by(ctx, key, parse_int(amount))


@command(
    "DECRBY", arity=3, flags="write denyoom fast", keys=(1, 1, 1), key_flags="RW access update",
    group="string", summary="Decrements the integer value of a key by a number.",
)  # fmt: skip
def decrby(ctx: Session, key: bytes, amount: bytes) -> Reply:
    number = parse_int(amount)
    if number == INT64_MIN:
        raise CommandError("ERR decrement would overflow")
    return count_by(ctx, key, -number)


def count_by(ctx: Session, key: bytes, amount: int) -> int:
    """Add `amount`, of 64 bits, to the integer at `key` (0 where it is missing).

    The key keeps its deadline.
    """
    db = ctx.db
    value = db.edit(key, STRING)
    number = 0
    if value is not None:
        number = value if type(value) is int else parse_int(string_bytes(value))
    total: int = number + amount
    if not INT64_MIN <= total <= INT64_MAX:
        raise CommandError(OVERFLOW)
    if value is None:
        db.put(key, total)
    else:
        db.replace(key, total)
    db.changed(key, b"incrby")
    return total


@command(
    "INCRBYFLOAT", arity=3, flags="write denyoom fast", keys=(1, 1, 1),
    key_flags="RW access update", group="string", since="2.6.0",
    summary="Increments the floating point value of a key by a number.",
)  # fmt: skip
def incrbyfloat(ctx: Session, key: bytes, amount: bytes) -> Reply:
    value = ctx.db.edit(key, STRING)
    held = b"0" if value is None else string_bytes(value)
    text = short_sum(held, amount)
    if text is None:
        total = add(parse_long_double(held), parse_long_double(amount))
        if total is None:
            raise CommandError(INCREMENT_NOT_FINITE)
        text = format_long_double(total)
    _keep_float(ctx, key, value, text)
    return text


def incrbyfloat_number(ctx: Session, key: bytes, amount: float) -> Reply:
    """INCRBYFLOAT by a number, for who is in this process."""
    value = ctx.db.edit(key, STRING)
    # Multiples of 1/1024 are exact in every form; see `short_sum`.
    if (
        type(value) is FloatString
        and len(value) <= _SHORT_FLOAT_BYTES
        and ((held := float(value)) * 1024.0).is_integer()
        and (amount * 1024.0).is_integer()
        and -_SHORT_FLOAT_MAX < amount < _SHORT_FLOAT_MAX
    ):
        total = held + amount
        text = b"%d" % total if total.is_integer() else repr(total).encode()
        ctx.db.replace(key, FloatString(text))
        ctx.db.changed(key, b"incrbyfloat")
        return text
    return incrbyfloat(ctx, key, repr(amount).encode())


def _keep_float(ctx: Session, key: bytes, value: object, text: bytes) -> None:
    """Bind `key`, which has `value`, to what INCRBYFLOAT has found."""
    if value is None:
        ctx.db.put(key, FloatString(text))
    else:
        ctx.db.replace(key, FloatString(text))
    ctx.db.changed(key, b"incrbyfloat")


@command(
    "STRLEN", arity=2, flags="readonly fast", keys=(1, 1, 1), key_flags="RO", group="string",
    since="2.2.0", summary="Returns the length of a string value.",
)  # fmt: skip
def strlen(ctx: Session, key: bytes) -> Reply:
    value = ctx.db.read(key, STRING)
    if value is None:
        return 0
    return len(string_bytes(value)) if type(value) is int else len(value)


@command(
    "APPEND", arity=3, flags="write denyoom fast", keys=(1, 1, 1), key_flags="RW insert",
    group="string", since="2.0.0",
    summary="Appends a string to the value of a key. Creates the key if it doesn't exist.",
)  # fmt: skip
def append(ctx: Session, key: bytes, tail: bytes) -> Reply:
    db = ctx.db
    value = db.edit(key, STRING)
    if value is None:
        db.put(key, tail)
        db.changed(key, b"append")
        return len(tail)
    if type(value) is int:
        value = string_bytes(value)
    _check_length(ctx, len(value) + len(tail))
    buffer = _buffer(ctx, key, value)
    buffer += tail
    db.changed(key, b"append")
    return len(buffer)


@command(
    "SETRANGE", arity=4, flags="write denyoom", keys=(1, 1, 1), key_flags="RW update",
    group="string", since="2.2.0",
    summary="Overwrites a part of a string value with another by an offset.",
)  # fmt: skip
def setrange(ctx: Session, key: bytes, offset: bytes, part: bytes) -> Reply:
    start = parse_int(offset)
    if start < 0:
        raise CommandError("ERR offset is out of range")
    db = ctx.db
    value = db.edit(key, STRING)
    if type(value) is int:
        value = string_bytes(value)
    if not part:
        return 0 if value is None else len(value)
    _check_length(ctx, start + len(part))
    buffer = _buffer(ctx, key, value or b"")
    if start > len(buffer):
        buffer.extend(bytes(start - len(buffer)))
    buffer[start : start + len(part)] = part
    db.changed(key, b"setrange")
    return len(buffer)


def _check_length(ctx: Session, size_bytes: int) -> None:
    if size_bytes > ctx.engine.config["proto-max-bulk-len"]:
        raise CommandError(STRING_TOO_LONG)


def _buffer(ctx: Session, key: bytes, value: bytes | bytearray) -> bytearray:
    """The value of `key` as the bytearray that it is from now on."""
    if type(value) is bytearray:
        return value
    buffer = bytearray(value)
    ctx.db.put(key, buffer, keep_deadline=True)
    return buffer


@command(
    "GETRANGE", arity=4, flags="readonly", keys=(1, 1, 1), key_flags="RO access", group="string",
    since="2.4.0", complexity="O(N)", summary="Returns a part of a string value.",
)  # fmt: skip
@command(
    "SUBSTR", arity=4, flags="readonly", keys=(1, 1, 1), key_flags="RO access", group="string",
    complexity="O(N)", summary="Returns a part of a string value; GETRANGE by its old name.",
)  # fmt: skip
def getrange(ctx: Session, key: bytes, start: bytes, end: bytes) -> Reply:
    first, last = parse_int(start), parse_int(end)
    value = ctx.db.read(key, STRING)
    if value is None or (first < 0 and last < 0 and first > last):
        return b""
    if type(value) is int:
        value = string_bytes(value)
    size = len(value)
    if first < 0:
        first = max(0, first + size)
    if last < 0:
        last = max(0, last + size)
    return bytes(value[first : last + 1])
