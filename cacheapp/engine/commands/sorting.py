"""SORT and SORT_RO: the elements of a list, set or sorted set, by themselves or by other keys.

The order of text is that of bytes, as redis-server has it in the C locale. What BY and GET name is
looked up key by key; a missing one counts as 0, or as the lowest text.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from cacheapp.engine.acl import reads_any_key
from cacheapp.engine.arguments import parse_float, parse_int
from cacheapp.engine.errors import SYNTAX, CommandError, sort_denied
from cacheapp.engine.keyspecs import KeyAccess, access, key_at, keys_somewhere
from cacheapp.engine.registry import command, resolve
from cacheapp.engine.replies import Reply
from cacheapp.engine.session import Session
from cacheapp.engine.structures.expiringhash import ExpiringHash
from cacheapp.engine.structures.hash import Hash
from cacheapp.engine.structures.set import Set
from cacheapp.engine.structures.sortedset import SortedSet
from cacheapp.engine.values import STRING, string_bytes

_NOT_A_DOUBLE = "ERR One or more scores can't be converted into double"
# strtod skips these.
_SPACES = b" \t\n\v\f\r"


@dataclass(slots=True)
class _Query:
    """The options of one SORT."""

    by: bytes | None = None
    unsorted: bool = False
    offset: int = 0
    limit: int = -1
    gets: list[bytes] = field(default_factory=list)
    descending: bool = False
    alpha: bool = False
    store: bytes | None = None


def _query(words: tuple[bytes, ...], *, may_store: bool, may_look_up: bool) -> _Query:
    query = _Query()
    at = 0
    while at < len(words):
        option, left = words[at].upper(), len(words) - at - 1
        if option in (b"ASC", b"DESC"):
            query.descending = option == b"DESC"
        elif option == b"ALPHA":
            query.alpha = True
        elif option == b"LIMIT" and left >= 2:
            query.offset, query.limit = parse_int(words[at + 1]), parse_int(words[at + 2])
            at += 2
        elif option == b"STORE" and left and may_store:
            query.store = words[at + 1]
            at += 1
        elif option == b"BY" and left:
            query.by = words[at + 1]
            # Once a pattern is constant, a later one does not bring the order back.
            query.unsorted = query.unsorted or b"*" not in query.by
            _check_may(may_look_up or b"*" not in query.by, "BY")
            at += 1
        elif option == b"GET" and left:
            _check_may(may_look_up, "GET")
            query.gets.append(words[at + 1])
            at += 1
        else:
            raise CommandError(SYNTAX)
        at += 1
    return query


def _check_may(allowed: bool, option: str) -> None:
    if not allowed:
        raise CommandError(sort_denied(option))


def _may_look_up(ctx: Session, args: list[bytes]) -> bool:
    """Whether the user may read what BY and GET name: any key, as nobody knows which."""
    if not ctx.restricted:
        return True
    row = resolve(args)
    return row is not None and reads_any_key(ctx.user, row, args)


def _look_up(ctx: Session, pattern: bytes, element: bytes) -> bytes | None:
    """What `pattern` names for `element`: itself, a string key, or a field of a hash."""
    if pattern == b"#":
        return element
    prefix, star, rest = pattern.partition(b"*")
    if not star:
        return None
    postfix, arrow, name = rest.partition(b"->")
    if not name:
        postfix, arrow = rest, b""
    value: Any = ctx.db.get(prefix + element + postfix)
    if arrow:
        if isinstance(value, ExpiringHash) and value.is_due(name, ctx.engine.now_ms):
            return None
        return value.get(name) if isinstance(value, Hash) else None
    return string_bytes(value) if isinstance(value, STRING) else None


def _elements(value: Any, query: _Query) -> list[bytes]:
    """The elements before sorting; their own order, or its reverse, counts without another."""
    if value is None:
        return []
    if isinstance(value, Set):
        return value.members()
    backwards = query.unsorted and query.descending
    if isinstance(value, SortedSet):
        return [member for _, member in value.slice(0, len(value), reverse=backwards)]
    return list(reversed(value) if backwards else value)


def _number(raw: bytes | None) -> float:
    """A weight as strtod reads it: nothing is 0, and spaces may come before."""
    text = (raw or b"").lstrip(_SPACES)
    if not text:
        if raw:
            raise CommandError(_NOT_A_DOUBLE)
        return 0.0
    return parse_float(text, _NOT_A_DOUBLE)


def _sorted(ctx: Session, elements: list[bytes], query: _Query) -> list[bytes]:
    by = query.by
    weights: Iterable[bytes | None] = elements
    if by is not None:
        weights = [_look_up(ctx, by, element) for element in elements]
    keyed: list[tuple[Any, bytes]]
    if query.alpha:
        keyed = [((w is not None, w or b""), e) for w, e in zip(weights, elements, strict=True)]
        keyed.sort(key=lambda pair: pair[0], reverse=query.descending)
    else:
        keyed = [(_number(w), e) for w, e in zip(weights, elements, strict=True)]
        keyed.sort(reverse=query.descending)
    return [element for _, element in keyed]


def _slice(elements: list[bytes], query: _Query) -> list[bytes]:
    start = max(query.offset, 0)
    return elements[start:] if query.limit < 0 else elements[start : start + query.limit]


def _sort(ctx: Session, key: bytes, query: _Query) -> Reply:
    value = ctx.db.read(key, (deque, Set, SortedSet))
    if isinstance(value, SortedSet):
        # Redis does so even for SORT_RO.
        value.leave_listpack()
    if query.unsorted and isinstance(value, Set) and (query.store is not None or ctx.is_script):
        # What is stored or scripted must not depend on the order in a hash table.
        query.unsorted, query.alpha, query.by = False, True, None
    elements = _elements(value, query)
    if not query.unsorted:
        elements = _sorted(ctx, elements, query)
    elements = _slice(elements, query)
    result: list[bytes | None] = list(elements)
    if query.gets:
        result = [_look_up(ctx, pattern, item) for item in elements for pattern in query.gets]
    if query.store is None:
        return result
    if not result:
        ctx.db.delete(query.store)
        return 0
    ctx.db.put(query.store, deque(item or b"" for item in result))
    ctx.db.changed(query.store, b"sortstore")
    return len(result)


_SORT_KEYS = (
    key_at(1, "RO access"),
    keys_somewhere("RO access", note="BY and GET name keys by what the sorted key holds."),
    keys_somewhere("OW update", note="STORE may stand anywhere among the options."),
)


def _find_only_key(_args: list[bytes]) -> list[KeyAccess]:
    return [(1, access("RO access"))]


def _find_keys(args: list[bytes]) -> list[KeyAccess]:
    """The key, and the last STORE's; patterns of BY and GET are not keys yet."""
    skipped = {b"LIMIT": 2, b"GET": 1, b"BY": 1}
    source = (1, access("RO access"))
    found, at = [source], 2
    while at < len(args):
        word = args[at].upper()
        if word == b"STORE" and at + 1 < len(args):
            found = [source, (at + 1, access("OW update"))]
            at += 1
        at += 1 + skipped.get(word, 0)
    return found


@command(
    "SORT", arity=-2, flags="write denyoom", keys=_SORT_KEYS, find_keys=_find_keys, group="generic",
    categories="set sortedset list dangerous -keyspace",
    complexity="O(N+M*log(M)) for N elements, M returned",
    summary="Sorts a list, a set or a sorted set, and returns or stores the result.",
)  # fmt: skip
def sort(ctx: Session, key: bytes, *options: bytes) -> Reply:
    may_look_up = _may_look_up(ctx, [b"SORT", key, *options])
    return _sort(ctx, key, _query(options, may_store=True, may_look_up=may_look_up))


@command(
    "SORT_RO", arity=-2, flags="readonly", keys=_SORT_KEYS[:2], find_keys=_find_only_key,
    group="generic", since="7.0.0", categories="set sortedset list dangerous -keyspace",
    complexity="O(N+M*log(M)) for N elements, M returned",
    summary="Sorts a list, a set or a sorted set, and returns the result.",
)  # fmt: skip
def sort_ro(ctx: Session, key: bytes, *options: bytes) -> Reply:
    may_look_up = _may_look_up(ctx, [b"SORT_RO", key, *options])
    return _sort(ctx, key, _query(options, may_store=False, may_look_up=may_look_up))
