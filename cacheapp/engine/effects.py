"""What goes out in place of a command: a form of it that gives the same on a copy, at any time.

Each function gets the session, the arguments (name included) and the reply of a command that has
changed something just now, and returns the commands to send. Relative deadlines become absolute,
conditions that held and replies that nobody reads are left out, what was chosen at random or made
up by the server is written out. The forms are those of Redis 7.0; commands that came later have
those that their documentation gives.

Commands that may wait, and those on groups of streams, know best themselves what they did: they
call `propagation.instead` and `also`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from cacheapp.engine.structures.expiringhash import ExpiringHash
from cacheapp.engine.structures.geohash import Position, number_of
from cacheapp.engine.structures.stream import ID_MAX, Stream, format_id

if TYPE_CHECKING:
    from cacheapp.engine.session import Session

Commands = list[list[bytes]]
Effect = Callable[["Session", list[bytes], Any], Commands]

_TIMES = frozenset({b"EX", b"PX", b"EXAT", b"PXAT"})
_GEO_OPTIONS = frozenset({b"NX", b"XX", b"CH"})
_FIELD_DELETED = 2
# Milliseconds a unit; whether the time is counted from now.
_FIELD_UNITS = {b"HEXPIRE": (1000, True), b"HPEXPIRE": (1, True), b"HEXPIREAT": (1000, False)}


def _deadline(session: Session, key: bytes) -> int | None:
    """The deadline of `key` (0: none) whether or not it has passed; None where it is missing."""
    slot = session.db.slots.get(key)
    return None if slot is None else session.db.deadlines[slot]


def _number(value: int) -> bytes:
    return b"%d" % value


def _deletion(session: Session, key: bytes, lazy: str) -> Commands:
    word = b"UNLINK" if session.engine.config[lazy] else b"DEL"
    return [[word, key]]


def _set(session: Session, args: list[bytes], _reply: Any) -> Commands:
    if len(args) == 3:
        return [args]
    words = [word.upper() for word in args[3:]]
    if not _TIMES.isdisjoint(words):
        return _set_until(session, args[1], args[2])
    if b"GET" not in words:
        return [args]
    kept = [arg for arg, word in zip(args[3:], words, strict=True) if word != b"GET"]
    return [[*args[:3], *kept]]


def _set_until(session: Session, key: bytes, value: bytes) -> Commands:
    deadline = _deadline(session, key) or 0
    return [[b"SET", key, value, b"PXAT", _number(deadline)]]


def _setex(session: Session, args: list[bytes], _reply: Any) -> Commands:
    return _set_until(session, args[1], args[3])


def _getset(_session: Session, args: list[bytes], _reply: Any) -> Commands:
    return [[b"SET", *args[1:]]]


def _getdel(session: Session, args: list[bytes], _reply: Any) -> Commands:
    return _deletion(session, args[1], "lazyfree-lazy-user-del")


def _getex(session: Session, args: list[bytes], _reply: Any) -> Commands:
    key = args[1]
    deadline = _deadline(session, key)
    if deadline is None:
        return _deletion(session, key, "lazyfree-lazy-expire")
    if not deadline:
        return [[b"PERSIST", key]]
    return [[b"PEXPIREAT", key, _number(deadline)]]


def _expire(session: Session, args: list[bytes], _reply: Any) -> Commands:
    deadline = _deadline(session, args[1])
    if deadline is None:
        return _deletion(session, args[1], "lazyfree-lazy-expire")
    return [[b"PEXPIREAT", args[1], _number(deadline), *args[3:]]]


def _pexpireat(session: Session, args: list[bytes], _reply: Any) -> Commands:
    if _deadline(session, args[1]) is None:
        return _deletion(session, args[1], "lazyfree-lazy-expire")
    return [args]


def _incrbyfloat(_session: Session, args: list[bytes], reply: Any) -> Commands:
    return [[b"SET", args[1], reply, b"KEEPTTL"]]


def _hincrbyfloat(session: Session, args: list[bytes], reply: Any) -> Commands:
    commands = [[b"HSET", args[1], args[2], reply]]
    found = session.db.peek(args[1])
    if isinstance(found, ExpiringHash) and (deadline := found.deadline(args[2])):
        # HSET takes the field's deadline away.
        field = [b"FIELDS", b"1", args[2]]
        commands.append([b"HPEXPIREAT", args[1], _number(deadline), *field])
    return commands


def _spop(session: Session, args: list[bytes], reply: Any) -> Commands:
    key = args[1]
    if len(args) == 2:
        return [[b"SREM", key, reply]]
    if key not in session.db.slots:
        return [[b"DEL", key]]
    return [[b"SREM", key, member] for member in reply]


def _restore(session: Session, args: list[bytes], _reply: Any) -> Commands:
    deadline = _deadline(session, args[1])
    if deadline is None:
        return [[b"DEL", args[1]]]
    if not deadline or b"ABSTTL" in [word.upper() for word in args[4:]]:
        return [args]
    return [[*args[:2], _number(deadline), *args[3:], b"ABSTTL"]]


def _geoadd(_session: Session, args: list[bytes], _reply: Any) -> Commands:
    start = 2
    while args[start].upper() in _GEO_OPTIONS:
        start += 1
    made = [b"zadd", *args[1:start]]
    for place in range(start, len(args), 3):
        position = Position(float(args[place]), float(args[place + 1]))
        made += [_number(number_of(position)), args[place + 2]]
    return [made]


def _xadd(session: Session, args: list[bytes], reply: Any) -> Commands:
    place, words = 2, list(args)
    while True:
        word = words[place].upper()
        if word in (b"MAXLEN", b"MINID"):
            place = _exact(session, words, place)
        elif word == b"LIMIT":
            place += 2
        elif word == b"NOMKSTREAM":
            place += 1
        else:
            break
    if b"*" in words[place]:
        words[place] = reply
    return [words]


def _xtrim(session: Session, args: list[bytes], _reply: Any) -> Commands:
    place, words = 2, list(args)
    while place < len(words):
        is_limit = words[place].upper() == b"LIMIT"
        place = place + 2 if is_limit else _exact(session, words, place)
    return [words]


def _exact(session: Session, words: list[bytes], place: int) -> int:
    """Make the trimming that is asked for at `place` exact, if it is not; the place after it."""
    is_length = words[place].upper() == b"MAXLEN"
    place += 1
    if words[place] == b"~":
        stream: Stream = session.db.peek(words[1])
        words[place] = b"="
        if is_length:
            words[place + 1] = _number(stream.length)
        else:
            first = next((node.id(at) for node, at in stream.walk()), ID_MAX)
            words[place + 1] = format_id(first)
        return place + 2
    return place + 2 if words[place] == b"=" else place + 1


def _hexpire(session: Session, args: list[bytes], reply: Any) -> Commands:
    """As of Redis 7.4: fields whose time has passed are deleted, the others get an absolute one."""
    at = next(place for place in (3, 4) if args[place].upper() == b"FIELDS")
    fields = args[at + 2 :]
    if _FIELD_DELETED in reply:
        gone = [name for name, code in zip(fields, reply, strict=True) if code == _FIELD_DELETED]
        return [[b"HDEL", args[1], *gone]]
    unit_ms, relative = _FIELD_UNITS.get(args[0].upper(), (1, False))
    deadline = int(args[2]) * unit_ms + (session.engine.now_ms if relative else 0)
    return [[b"HPEXPIREAT", args[1], _number(deadline), *args[3:]]]


EFFECTS: dict[str, Effect] = {
    "SET": _set, "SETEX": _setex, "PSETEX": _setex, "GETSET": _getset, "GETDEL": _getdel,
    "GETEX": _getex, "EXPIRE": _expire, "PEXPIRE": _expire, "EXPIREAT": _expire,
    "PEXPIREAT": _pexpireat, "INCRBYFLOAT": _incrbyfloat, "HINCRBYFLOAT": _hincrbyfloat,
    "SPOP": _spop, "RESTORE": _restore, "RESTORE-ASKING": _restore, "GEOADD": _geoadd,
    "XADD": _xadd, "XTRIM": _xtrim, "HEXPIRE": _hexpire, "HPEXPIRE": _hexpire,
    "HEXPIREAT": _hexpire, "HPEXPIREAT": _hexpire,
}  # fmt: skip
