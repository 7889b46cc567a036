"""The commands that take elements off the ends of lists, and those that wait until there are some.

Each waiting command is its plain one, tried first for all keys and then, through
`engine.waiters`, for each key that becomes a list, until there was something to take.
"""

from __future__ import annotations

from collections import deque

from cacheapp.engine.arguments import parse_int, parse_timeout_ms
from cacheapp.engine.errors import NEGATIVE_COUNT, SYNTAX, CommandError, wrong_arity
from cacheapp.engine.keyspecs import key_at, keys_counted_at
from cacheapp.engine.popping import multiple_pop_arguments, pop_or_wait
from cacheapp.engine.propagation import instead
from cacheapp.engine.registry import command
from cacheapp.engine.replies import NULL_ARRAY, Reply
from cacheapp.engine.session import Session
from cacheapp.engine.values import LIST

_LEFT, _RIGHT = b"LEFT", b"RIGHT"


@command(
    "LPOP", arity=-2, flags="write fast", keys=(1, 1, 1), key_flags="RW access delete",
    group="list", complexity="O(N) in the elements returned",
    summary="Removes and returns the first elements of a list.",
)  # fmt: skip
def lpop(ctx: Session, key: bytes, *count: bytes) -> Reply:
    return _pop(ctx, key, count, "lpop", left=True)


@command(
    "RPOP", arity=-2, flags="write fast", keys=(1, 1, 1), key_flags="RW access delete",
    group="list", complexity="O(N) in the elements returned",
    summary="Removes and returns the last elements of a list.",
)  # fmt: skip
def rpop(ctx: Session, key: bytes, *count: bytes) -> Reply:
    return _pop(ctx, key, count, "rpop", left=False)


def _pop(ctx: Session, key: bytes, count: tuple[bytes, ...], name: str, *, left: bool) -> Reply:
    """One element, or with a count a list of as many as there are."""
    if not count:
        value = ctx.db.edit(key, LIST)
        if value is None:
            return None
        element = value.popleft() if left else value.pop()
        ctx.db.removed_from(key, value, b"lpop" if left else b"rpop")
        return element
    if len(count) > 1:
        raise wrong_arity(name)
    wanted = parse_int(count[0], NEGATIVE_COUNT, low=0)
    value = ctx.db.edit(key, LIST)
    if value is None:
        return NULL_ARRAY
    return _take(ctx, key, value, wanted, left=left) if wanted else []


def _take(ctx: Session, key: bytes, value: deque[bytes], count: int, *, left: bool) -> list[bytes]:
    """Remove `count` elements, or all there are, from one end of a list."""
    pop = value.popleft if left else value.pop
    elements = [pop() for _ in range(min(count, len(value)))]
    ctx.db.removed_from(key, value, b"lpop" if left else b"rpop")
    return elements


@command(
    "LMPOP", arity=-4, flags="write", keys=keys_counted_at(1, "RW access delete"), group="list",
    since="7.0.0", complexity="O(N+M) in the keys and the elements returned",
    summary="Removes and returns elements from the first list that is not empty.",
)  # fmt: skip
def lmpop(ctx: Session, numkeys: bytes, *arguments: bytes) -> Reply:
    keys, end, count = multiple_pop_arguments(numkeys, arguments, (_LEFT, _RIGHT))
    for key in keys:
        value = ctx.db.edit(key, LIST)
        if value is not None:
            return _take_many(ctx, key, value, count, left=end == _LEFT)
    return NULL_ARRAY


def _take_many(ctx: Session, key: bytes, value: deque[bytes], count: int, *, left: bool) -> Reply:
    """The key, and `count` elements of its list; they go out as the plain command's."""
    elements = _take(ctx, key, value, count, left=left)
    instead(ctx, b"LPOP" if left else b"RPOP", key, b"%d" % len(elements))
    return [key, elements]


@command(
    "BLMPOP", arity=-5, flags="write blocking", keys=keys_counted_at(2, "RW access delete"),
    group="list", since="7.0.0", complexity="O(N+M) in the keys and the elements returned",
    summary="Waits for a list that is not empty, then removes and returns elements of it.",
)  # fmt: skip
def blmpop(ctx: Session, timeout: bytes, numkeys: bytes, *arguments: bytes) -> Reply:
    keys, end, count = multiple_pop_arguments(numkeys, arguments, (_LEFT, _RIGHT))

    def attempt(session: Session, key: bytes) -> Reply:
        value = session.db.peek(key)
        return _take_many(session, key, value, count, left=end == _LEFT)

    return pop_or_wait(ctx, keys, LIST, attempt, parse_timeout_ms(timeout))


def _is_left(word: bytes) -> bool:
    end = word.upper()
    if end not in (_LEFT, _RIGHT):
        raise CommandError(SYNTAX)
    return end == _LEFT


@command(
    "LMOVE", arity=5, flags="write denyoom",
    keys=(key_at(1, "RW access delete"), key_at(2, "RW insert")), group="list", since="6.2.0",
    summary="Takes an element from one end of a list to an end of another and returns it.",
)  # fmt: skip
def lmove(ctx: Session, source: bytes, target: bytes, origin: bytes, end: bytes) -> Reply:
    from_left, to_left = _is_left(origin), _is_left(end)
    return _move(ctx, source, target, from_left=from_left, to_left=to_left)


@command(
    "RPOPLPUSH", arity=3, flags="write denyoom",
    keys=(key_at(1, "RW access delete"), key_at(2, "RW insert")), group="list", since="1.2.0",
    summary="Takes the last element of a list to the front of another and returns it.",
)  # fmt: skip
def rpoplpush(ctx: Session, source: bytes, target: bytes) -> Reply:
    return _move(ctx, source, target, from_left=False, to_left=True)


def _move(
    ctx: Session, source: bytes, target: bytes, *, from_left: bool, to_left: bool
) -> bytes | None:
    db = ctx.db
    value = db.edit(source, LIST)
    if value is None:
        return None
    other = db.edit(target, LIST)
    element: bytes = value.popleft() if from_left else value.pop()
    if other is None:
        db.put(target, other := deque())
    if to_left:
        other.appendleft(element)
    else:
        other.append(element)
    db.changed(target, b"lpush" if to_left else b"rpush")
    db.removed_from(source, value, b"lpop" if from_left else b"rpop")
    return element


@command(
    "BLPOP", arity=-3, flags="write noscript blocking", keys=(1, -2, 1),
    key_flags="RW access delete", group="list", since="2.0.0", complexity="O(N) in the keys",
    summary="Waits for a list that is not empty, then removes and returns its first element.",
)  # fmt: skip
def blpop(ctx: Session, *arguments: bytes) -> Reply:
    return _blocking_pop(ctx, arguments, left=True)


@command(
    "BRPOP", arity=-3, flags="write noscript blocking", keys=(1, -2, 1),
    key_flags="RW access delete", group="list", since="2.0.0", complexity="O(N) in the keys",
    summary="Waits for a list that is not empty, then removes and returns its last element.",
)  # fmt: skip
def brpop(ctx: Session, *arguments: bytes) -> Reply:
    return _blocking_pop(ctx, arguments, left=False)


def _blocking_pop(ctx: Session, arguments: tuple[bytes, ...], *, left: bool) -> Reply:
    *keys, timeout = arguments

    def attempt(session: Session, key: bytes) -> Reply:
        instead(session, b"LPOP" if left else b"RPOP", key)
        return [key, *_take(session, key, session.db.peek(key), 1, left=left)]

    return pop_or_wait(ctx, keys, LIST, attempt, parse_timeout_ms(timeout))


@command(
    "BLMOVE", arity=6, flags="write denyoom noscript blocking",
    keys=(key_at(1, "RW access delete"), key_at(2, "RW insert")), group="list", since="6.2.0",
    summary="Waits for an element of a list, then takes it to an end of another and returns it.",
)  # fmt: skip
def blmove(
    ctx: Session, source: bytes, target: bytes, origin: bytes, end: bytes, timeout: bytes
) -> Reply:
    from_left, to_left = _is_left(origin), _is_left(end)
    timeout_ms = parse_timeout_ms(timeout)
    plain = [b"LMOVE", source, target, origin, end]
    return _blocking_move(ctx, plain, from_left, to_left, timeout_ms)


@command(
    "BRPOPLPUSH", arity=4, flags="write denyoom noscript blocking",
    keys=(key_at(1, "RW access delete"), key_at(2, "RW insert")), group="list", since="2.2.0",
    summary="Waits for the last element of a list, then takes it to the front of another.",
)  # fmt: skip
def brpoplpush(ctx: Session, source: bytes, target: bytes, timeout: bytes) -> Reply:
    plain = [b"RPOPLPUSH", source, target]
    return _blocking_move(ctx, plain, False, True, parse_timeout_ms(timeout))


def _blocking_move(
    ctx: Session, plain: list[bytes], from_left: bool, to_left: bool, timeout_ms: int
) -> Reply:
    """Do what the command `plain` does, or wait until it can be done."""
    source, target = plain[1:3]

    def attempt(session: Session, key: bytes) -> Reply:
        moved = _move(session, key, target, from_left=from_left, to_left=to_left)
        if moved is not None:
            instead(session, *plain)
        return moved

    moved = attempt(ctx, source)
    if moved is not None:
        return moved
    return ctx.engine.waiters.wait(
        ctx, [source], LIST, attempt, timeout_ms=timeout_ms,
        timed_out=None if ctx.may_not_wait else NULL_ARRAY,
    )  # fmt: skip
