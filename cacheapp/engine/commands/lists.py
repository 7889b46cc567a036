"""The commands on lists: a deque of bytes, so both ends are O(1) and so is reading near them.

The middle of a long list is reached from the nearer end. What takes elements off an end, waiting
for one or not, is in `listpops`.
"""

from __future__ import annotations

from collections import deque
from itertools import islice

from cacheapp.engine.arguments import INT64_MAX, parse_int
from cacheapp.engine.errors import (
    NO_SUCH_KEY,
    OUT_OF_RANGE,
    SYNTAX,
    CommandError,
)
from cacheapp.engine.propagation import prevent
from cacheapp.engine.registry import command
from cacheapp.engine.replies import OK, Reply
from cacheapp.engine.session import Session
from cacheapp.engine.values import LIST

_RANK_RANGE = f"ERR value is out of range, value must between {-INT64_MAX} and {INT64_MAX}"
_ZERO_RANK = (
    "ERR RANK can't be zero: use 1 to start from the first match, 2 from the second ... or use "
    "negative to start from the end of the list"
)


@command(
    "LPUSH", arity=-3, flags="write denyoom fast", keys=(1, 1, 1), key_flags="RW insert",
    group="list", complexity="O(1) for each element",
    summary="Prepends elements to a list. Creates the key if it doesn't exist.",
)  # fmt: skip
def lpush(ctx: Session, key: bytes, *elements: bytes) -> Reply:
    db = ctx.db
    value = db.edit(key, LIST)
    if value is None:
        db.put(key, value := deque())
    value.extendleft(elements)
    db.changed(key, b"lpush")
    return len(value)


@command(
    "RPUSH", arity=-3, flags="write denyoom fast", keys=(1, 1, 1), key_flags="RW insert",
    group="list", complexity="O(1) for each element",
    summary="Appends elements to a list. Creates the key if it doesn't exist.",
)  # fmt: skip
def rpush(ctx: Session, key: bytes, *elements: bytes) -> Reply:
    db = ctx.db
    value = db.edit(key, LIST)
    if value is None:
        db.put(key, value := deque())
    value.extend(elements)
    db.changed(key, b"rpush")
    return len(value)


@command(
    "LPUSHX", arity=-3, flags="write denyoom fast", keys=(1, 1, 1), key_flags="RW insert",
    group="list", since="2.2.0", complexity="O(1) for each element",
    summary="Prepends elements to a list only when the list exists.",
)  # fmt: skip
def lpushx(ctx: Session, key: bytes, *elements: bytes) -> Reply:
    return 0 if ctx.db.edit(key, LIST) is None else lpush(ctx, key, *elements)


@command(
    "RPUSHX", arity=-3, flags="write denyoom fast", keys=(1, 1, 1), key_flags="RW insert",
    group="list", since="2.2.0", complexity="O(1) for each element",
    summary="Appends elements to a list only when the list exists.",
)  # fmt: skip
def rpushx(ctx: Session, key: bytes, *elements: bytes) -> Reply:
    return 0 if ctx.db.edit(key, LIST) is None else rpush(ctx, key, *elements)


@command(
    "LLEN", arity=2, flags="readonly fast", keys=(1, 1, 1), key_flags="RO", group="list",
    summary="Returns the length of a list.",
)  # fmt: skip
def llen(ctx: Session, key: bytes) -> Reply:
    value = ctx.db.read(key, LIST)
    return 0 if value is None else len(value)


@command(
    "LINDEX", arity=3, flags="readonly", keys=(1, 1, 1), key_flags="RO access", group="list",
    complexity="O(N)", summary="Returns an element of a list by its index.",
)  # fmt: skip
def lindex(ctx: Session, key: bytes, index: bytes) -> Reply:
    value = ctx.db.read(key, LIST)
    if value is None:
        return None
    position = parse_int(index)
    return value[position] if -len(value) <= position < len(value) else None


@command(
    "LSET", arity=4, flags="write denyoom", keys=(1, 1, 1), key_flags="RW update", group="list",
    complexity="O(N)", summary="Sets the value of an element in a list by its index.",
)  # fmt: skip
def lset(ctx: Session, key: bytes, index: bytes, element: bytes) -> Reply:
    value = ctx.db.edit(key, LIST)
    if value is None:
        raise CommandError(NO_SUCH_KEY)
    position = parse_int(index)
    if not -len(value) <= position < len(value):
        raise CommandError(OUT_OF_RANGE)
    value[position] = element
    ctx.db.changed(key, b"lset")
    return OK


@command(
    "LINSERT", arity=5, flags="write denyoom", keys=(1, 1, 1), key_flags="RW insert", group="list",
    since="2.2.0", complexity="O(N)",
    summary="Inserts an element before or after another element in a list.",
)  # fmt: skip
def linsert(ctx: Session, key: bytes, where: bytes, pivot: bytes, element: bytes) -> Reply:
    side = where.upper()
    if side not in (b"BEFORE", b"AFTER"):
        raise CommandError(SYNTAX)
    value = ctx.db.edit(key, LIST)
    if value is None:
        return 0
    try:
        position = value.index(pivot)
    except ValueError:
        return -1
    value.insert(position + (side == b"AFTER"), element)
    ctx.db.changed(key, b"linsert")
    return len(value)


@command(
    "LRANGE", arity=4, flags="readonly", keys=(1, 1, 1), key_flags="RO access", group="list",
    complexity="O(S+N) from the nearer end", summary="Returns a range of elements from a list.",
)  # fmt: skip
def lrange(ctx: Session, key: bytes, start: bytes, stop: bytes) -> Reply:
    first, last = parse_int(start), parse_int(stop)
    value = ctx.db.read(key, LIST)
    if value is None:
        return []
    size = len(value)
    first, end = _bounds(first, last, size)
    if end - first >= size:
        return list(value)
    if first + end <= size:
        return list(islice(value, first, end))
    found = list(islice(reversed(value), size - end, size - first))
    found.reverse()
    return found


def _bounds(first: int, last: int, size: int) -> tuple[int, int]:
    """A range as Redis writes it, both ends included and negative from the end, as a slice."""
    if first < 0:
        first = max(0, first + size)
    if last < 0:
        last += size
    elif last >= size:
        last = size - 1
    return (first, last + 1) if first <= last else (0, 0)


@command(
    "LTRIM", arity=4, flags="write", keys=(1, 1, 1), key_flags="RW delete", group="list",
    complexity="O(N) in the elements removed",
    summary="Removes elements from both ends of a list.",
)  # fmt: skip
def ltrim(ctx: Session, key: bytes, start: bytes, stop: bytes) -> Reply:
    return ltrim_to(ctx, key, parse_int(start), parse_int(stop))


def ltrim_to(ctx: Session, key: bytes, first: int, last: int) -> Reply:
    """LTRIM, for who has numbers of 64 bits."""
    db = ctx.db
    value = db.edit(key, LIST)
    if value is None:
        return OK
    size = len(value)
    first, end = _bounds(first, last, size)
    if first == end:
        value.clear()
    elif first or end < size:
        for _ in range(size - end):
            value.pop()
        for _ in range(first):
            value.popleft()
    else:
        # To who watches it has changed, to a copy it has not.
        prevent(ctx)
    db.changed(key, b"ltrim")
    if not value:
        db.delete(key)
    return OK


@command(
    "LREM", arity=4, flags="write", keys=(1, 1, 1), key_flags="RW delete", group="list",
    complexity="O(N+M) in the list and the elements removed",
    summary="Removes elements equal to a value from a list.",
)  # fmt: skip
def lrem(ctx: Session, key: bytes, count: bytes, element: bytes) -> Reply:
    wanted = parse_int(count)
    value = ctx.db.edit(key, LIST)
    if value is None:
        return 0
    left = abs(wanted) or len(value)
    kept: list[bytes] = []
    removed = 0
    for item in reversed(value) if wanted < 0 else value:
        if removed < left and item == element:
            removed += 1
        else:
            kept.append(item)
    if removed:
        value.clear()
        value.extend(reversed(kept) if wanted < 0 else kept)
        ctx.db.removed_from(key, value, b"lrem")
    return removed


@command(
    "LPOS", arity=-3, flags="readonly", keys=(1, 1, 1), key_flags="RO access", group="list",
    since="6.0.6", complexity="O(N)", summary="Returns the index of matching elements in a list.",
)  # fmt: skip
def lpos(ctx: Session, key: bytes, element: bytes, *options: bytes) -> Reply:
    rank, count, length_max = _lpos_options(options)
    value = ctx.db.read(key, LIST)
    if value is None:
        return None if count is None else []
    size = len(value)
    items = reversed(value) if rank < 0 else iter(value)
    wanted = size if count == 0 else count or 1
    skip = abs(rank) - 1
    found: list[int] = []
    for index, item in enumerate(islice(items, min(length_max, size) if length_max else size)):
        if item == element:
            if skip:
                skip -= 1
                continue
            found.append(size - index - 1 if rank < 0 else index)
            if len(found) == wanted:
                break
    if count is None:
        return found[0] if found else None
    return found


def _lpos_options(options: tuple[bytes, ...]) -> tuple[int, int | None, int]:
    """RANK, COUNT (None where it is not given) and MAXLEN (0 for no bound)."""
    rank, count, length_max = 1, None, 0
    words = iter(options)
    for word in words:
        option, raw = word.upper(), next(words, None)
        if raw is None:
            raise CommandError(SYNTAX)
        if option == b"RANK":
            rank = parse_int(raw)
            if rank < -INT64_MAX:
                # 7.0 negates it and overflows; this is what later versions say.
                raise CommandError(_RANK_RANGE)
            if rank == 0:
                raise CommandError(_ZERO_RANK)
        elif option == b"COUNT":
            count = parse_int(raw, "ERR COUNT can't be negative", low=0)
        elif option == b"MAXLEN":
            length_max = parse_int(raw, "ERR MAXLEN can't be negative", low=0)
        else:
            raise CommandError(SYNTAX)
    return rank, count, length_max
