"""The commands that take elements off the ends of lists, and those that wait until there are some.

Each waiting command is its plain one, tried first for all keys and then, through
`engine.waiters`, for each key that changes, until there was something to take.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from cacheapp.engine.arguments import parse_int, parse_timeout_ms
from cacheapp.engine.errors import NEGATIVE_COUNT, SYNTAX, CommandError, wrong_arity
from cacheapp.engine.registry import command
from cacheapp.engine.replies import NULL_ARRAY, Reply
from cacheapp.engine.session import Session
from cacheapp.engine.values import LIST


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
    if len(count) > 1:
        raise wrong_arity(name)
    wanted = parse_int(count[0], NEGATIVE_COUNT, low=0) if count else 1
    value = ctx.db.edit(key, LIST)
    if value is None:
        return NULL_ARRAY if count else None
    if not wanted:
        return []
    elements = _take(ctx, key, value, wanted, left=left)
    return elements if count else elements[0]


def _take(ctx: Session, key: bytes, value: deque[bytes], count: int, *, left: bool) -> list[bytes]:
    """Remove `count` elements, or all there are, from one end of a list."""
    pop = value.popleft if left else value.pop
    elements = [pop() for _ in range(min(count, len(value)))]
    ctx.db.removed_from(key, value, b"lpop" if left else b"rpop")
    return elements


def _lmpop_keys(args: list[bytes]) -> list[int]:
    return _counted_keys(args, 1)


def _blmpop_keys(args: list[bytes]) -> list[int]:
    return _counted_keys(args, 2)


def _counted_keys(args: list[bytes], position: int) -> list[int]:
    """Where the keys are, after their number at `position` and before the side."""
    high = max(1, len(args) - position - 2)
    count = parse_int(args[position], SYNTAX, low=1, high=high)
    return list(range(position + 1, position + 1 + count))


@command(
    "LMPOP", arity=-4, flags="write movablekeys", keys=_lmpop_keys, key_flags="RW access delete",
    group="list", since="7.0.0", complexity="O(N+M) in the keys and the elements returned",
    summary="Removes and returns elements from the first list that is not empty.",
)  # fmt: skip
def lmpop(ctx: Session, numkeys: bytes, *arguments: bytes) -> Reply:
    keys, left, count = _lmpop_arguments(numkeys, arguments)
    for key in keys:
        value = ctx.db.edit(key, LIST)
        if value is not None:
            return [key, _take(ctx, key, value, count, left=left)]
    return NULL_ARRAY


@command(
    "BLMPOP", arity=-5, flags="write blocking movablekeys", keys=_blmpop_keys,
    key_flags="RW access delete", group="list", since="7.0.0",
    complexity="O(N+M) in the keys and the elements returned",
    summary="Waits for a list that is not empty, then removes and returns elements of it.",
)  # fmt: skip
def blmpop(ctx: Session, timeout: bytes, numkeys: bytes, *arguments: bytes) -> Reply:
    timeout_ms = parse_timeout_ms(timeout)
    keys, left, count = _lmpop_arguments(numkeys, arguments)

    def attempt(waiting: Session, key: bytes) -> Reply:
        value = waiting.db.peek(key)
        if not isinstance(value, deque):
            return None
        return [key, _take(waiting, key, value, count, left=left)]

    for key in keys:
        value = ctx.db.edit(key, LIST)
        if value is not None:
            return attempt(ctx, key)
    return ctx.engine.waiters.wait(ctx, keys, attempt, timeout_ms=timeout_ms, timed_out=NULL_ARRAY)


def _lmpop_arguments(
    numkeys: bytes, arguments: tuple[bytes, ...]
) -> tuple[Sequence[bytes], bool, int]:
    """The keys, whether from the left, and how many elements at most."""
    key_count = parse_int(numkeys, "ERR numkeys should be greater than 0", low=1)
    if key_count >= len(arguments):
        raise CommandError(SYNTAX)
    left = _is_left(arguments[key_count])
    count = None
    words = iter(arguments[key_count + 1 :])
    for word in words:
        raw = next(words, None)
        if count is not None or word.upper() != b"COUNT" or raw is None:
            raise CommandError(SYNTAX)
        count = parse_int(raw, "ERR count should be greater than 0", low=1)
    return arguments[:key_count], left, count or 1


def _is_left(word: bytes) -> bool:
    end = word.upper()
    if end not in (b"LEFT", b"RIGHT"):
        raise CommandError(SYNTAX)
    return end == b"LEFT"


@command(
    "LMOVE", arity=5, flags="write denyoom", keys=(1, 2, 1), key_flags="RW access delete insert",
    group="list", since="6.2.0",
    summary="Takes an element from one end of a list to an end of another and returns it.",
)  # fmt: skip
def lmove(ctx: Session, source: bytes, target: bytes, origin: bytes, end: bytes) -> Reply:
    from_left, to_left = _is_left(origin), _is_left(end)
    return _move(ctx, source, target, from_left=from_left, to_left=to_left)


@command(
    "RPOPLPUSH", arity=3, flags="write denyoom", keys=(1, 2, 1),
    key_flags="RW access delete insert", group="list", since="1.2.0",
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
    timeout_ms = parse_timeout_ms(timeout)

    def attempt(waiting: Session, key: bytes) -> Reply:
        value = waiting.db.peek(key)
        if not isinstance(value, deque):
            return None
        return [key, *_take(waiting, key, value, 1, left=left)]

    for key in keys:
        if ctx.db.edit(key, LIST) is not None:
            return attempt(ctx, key)
    return ctx.engine.waiters.wait(ctx, keys, attempt, timeout_ms=timeout_ms, timed_out=NULL_ARRAY)


@command(
    "BLMOVE", arity=6, flags="write denyoom noscript blocking", keys=(1, 2, 1),
    key_flags="RW access delete insert", group="list", since="6.2.0",
    summary="Waits for an element of a list, then takes it to an end of another and returns it.",
)  # fmt: skip
def blmove(
    ctx: Session, source: bytes, target: bytes, origin: bytes, end: bytes, timeout: bytes
) -> Reply:
    from_left, to_left = _is_left(origin), _is_left(end)
    timeout_ms = parse_timeout_ms(timeout)
    return _blocking_move(ctx, source, target, from_left, to_left, timeout_ms)


@command(
    "BRPOPLPUSH", arity=4, flags="write denyoom noscript blocking", keys=(1, 2, 1),
    key_flags="RW access delete insert", group="list", since="2.2.0",
    summary="Waits for the last element of a list, then takes it to the front of another.",
)  # fmt: skip
def brpoplpush(ctx: Session, source: bytes, target: bytes, timeout: bytes) -> Reply:
    return _blocking_move(ctx, source, target, False, True, parse_timeout_ms(timeout))


def _blocking_move(
    ctx: Session, source: bytes, target: bytes, from_left: bool, to_left: bool, timeout_ms: int
) -> Reply:
    def attempt(waiting: Session, key: bytes) -> Reply:
        if not isinstance(waiting.db.peek(key), deque):
            return None
        return _move(waiting, key, target, from_left=from_left, to_left=to_left)

    moved = _move(ctx, source, target, from_left=from_left, to_left=to_left)
    if moved is not None:
        return moved
    return ctx.engine.waiters.wait(
        ctx, [source], attempt, timeout_ms=timeout_ms,
        timed_out=None if ctx.may_not_wait else NULL_ARRAY,
    )  # fmt: skip
