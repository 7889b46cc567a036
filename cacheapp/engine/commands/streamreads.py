"""XREAD and XREADGROUP: entries after an id, from several streams at once, or as they come.

A group's reader asks for `>`, what nobody in the group was given yet, or for its own history: the
entries which it was given and has not acknowledged.

Who waits is served by the next XADD to one of the streams, or a key that appears. Other changes do
not count, hence the marks: the number that a stream had when it was last looked at.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from cacheapp.engine.arguments import parse_int
from cacheapp.engine.blocking import Attempt
from cacheapp.engine.errors import SYNTAX, CommandError
from cacheapp.engine.keyspecs import Range, keys_after
from cacheapp.engine.propagation import also, prevent
from cacheapp.engine.registry import command
from cacheapp.engine.replies import NULL_ARRAY, Reply
from cacheapp.engine.session import Session
from cacheapp.engine.streameffects import claimed, moved
from cacheapp.engine.streamids import no_group, parse_block_ms, parse_id
from cacheapp.engine.structures.stream import ID_MAX, Row, Stream, format_id
from cacheapp.engine.structures.streamgroup import Consumer, Group

_GROUP_IN_XREAD = "ERR The GROUP option is only supported by XREADGROUP. You called XREAD instead."
_NOACK_IN_XREAD = "ERR The NOACK option is only supported by XREADGROUP. You called XREAD instead."
_NO_GROUP_OPTION = "ERR Missing GROUP option for XREADGROUP"
_NEW_IN_XREAD = (
    "ERR The > ID can be specified only when calling XREADGROUP using the GROUP <group> "
    "<consumer> option."
)
_MEANINGLESS = (
    "ERR The {} ID is meaningless in the context of XREADGROUP: you want to read the history of "
    "this consumer by specifying a proper ID, or use the > ID to get new messages. The {} ID would "
    "just return an empty result set."
)
# Redis 7.0 says XREAD whichever of the two it was.
_UNBALANCED = (
    "ERR Unbalanced XREAD list of streams: for each stream key an ID or '$' must be specified."
)
_KEY_GONE = "UNBLOCKED the stream key no longer exists"
_GROUP_GONE = "NOGROUP the consumer group this client was blocked on no longer exists"

# How many entries one who waited gets if it does not say.
_COUNT_AFTER_WAITING = 1000
# What `>` stands for, as in Redis: written out, this id means the same.
_NEW: Final = ID_MAX
_ABSENT_MARK = -1
# STREAMS, a key and an id.
_SINGLE_WORDS = 3


@dataclass(slots=True)
class _Reading:
    """The arguments of either command; `streams` are keys with the ids to read on from."""

    name: str
    count: int = 0
    timeout_ms: int | None = None
    group: bytes | None = None
    consumer: bytes = b""
    acknowledged: bool = False
    keys: Sequence[bytes] = ()
    ids: Sequence[bytes] = ()
    marks: dict[bytes, int] = field(default_factory=dict)


@command(
    "XREAD", arity=-4, flags="readonly blocking",
    keys=keys_after("STREAMS", 1, Range(-1, 1, 2), "RO access"), group="stream", since="5.0.0",
    complexity="O(N) for each stream, with N being the number of elements being returned.",
    summary="Returns messages from multiple streams with IDs greater than the ones requested. "
    "Blocks until a message is available otherwise.",
)  # fmt: skip
def xread(ctx: Session, *arguments: bytes) -> Reply:
    if len(arguments) == _SINGLE_WORDS and arguments[2][:1].isdigit():
        return _read_single(ctx, *arguments)
    reading = _parse(ctx, "XREAD", arguments)
    starts: dict[int, int] = {}
    for place, (key, raw) in enumerate(zip(reading.keys, reading.ids, strict=True)):
        stream = ctx.db.read(key, Stream)
        reading.marks[key] = _ABSENT_MARK if stream is None else stream.mark
        if raw == b">":
            raise CommandError(_NEW_IN_XREAD)
        if raw == b"$":
            starts[place] = 0 if stream is None else stream.last_id
        elif raw == b"+":
            starts[place] = 0 if stream is None else _before_last(stream)
        else:
            starts[place] = parse_id(raw)
    found: list[tuple[bytes, list[Row]]] = []
    for place, key in enumerate(reading.keys):
        stream = ctx.db.peek(key)
        if stream is not None and stream.length and stream.top_id() > starts[place]:
            found.append((key, stream.range(starts[place] + 1, count=reading.count)))
    if found:
        return _by_key(ctx, found)
    return _wait(ctx, reading, _attempt_read(reading, starts))


def _read_single(ctx: Session, word: bytes, key: bytes, raw: bytes) -> Reply:
    """XREAD of one stream from an id on, which does not wait."""
    if word.upper() != b"STREAMS":
        raise CommandError(SYNTAX)
    stream: Stream | None = ctx.db.read(key, Stream)
    start = parse_id(raw)
    # Of an empty stream, and where the last entries were deleted, there are no rows either.
    if stream is None or stream.last_id <= start:
        return NULL_ARRAY
    if (warmth := ctx.engine.warmth).left:
        warmth.offer(stream)
    rows = stream.range(start + 1)
    return _by_key(ctx, [(key, rows)]) if rows else NULL_ARRAY


def xread_records(ctx: Session, key: bytes, raw: bytes) -> Any:
    """XREAD of one stream as redis-py shows it, for who is in this process."""
    if not raw[:1].isdigit():
        return xread(ctx, b"STREAMS", key, raw)
    stream: Stream | None = ctx.db.read(key, Stream)
    start = parse_id(raw)
    if stream is None or stream.last_id <= start:
        return NULL_ARRAY
    if (warmth := ctx.engine.warmth).left:
        warmth.offer(stream)
    found = stream.records(start + 1)
    return [[key, found]] if found else NULL_ARRAY


def _before_last(stream: Stream) -> int:
    """Where a reading that wants the last entry begins; an empty stream has only new ones."""
    return stream.top_id() - 1 if stream.length else stream.last_id


def _attempt_read(reading: _Reading, starts: dict[int, int]) -> Attempt:
    first_of_key: dict[bytes, int] = {}
    for place, key in enumerate(reading.keys):
        first_of_key.setdefault(key, starts[place])
    count = reading.count or _COUNT_AFTER_WAITING

    def attempt(session: Session, key: bytes) -> Reply:
        stream = session.db.peek(key)
        if not isinstance(stream, Stream) or not _is_news(reading, key, stream):
            return None
        start = first_of_key[key]
        if stream.last_id <= start:
            return None
        return _by_key(session, [(key, stream.range(start + 1, count=count))])

    return attempt


@command(
    "XREADGROUP", arity=-7, flags="write blocking",
    keys=keys_after("STREAMS", 4, Range(-1, 1, 2), "RO access"), group="stream", since="5.0.0",
    complexity="O(M) for each stream, with M being the number of elements returned.",
    summary="Returns new or historical messages from a stream for a consumer in a group. Blocks "
    "until a message is available otherwise.",
)  # fmt: skip
def xreadgroup(ctx: Session, *arguments: bytes) -> Reply:
    prevent(ctx)
    reading = _parse(ctx, "XREADGROUP", arguments)
    if reading.group is None:
        raise CommandError(_NO_GROUP_OPTION)
    starts = [
        _start_in_group(ctx, reading, key, raw)
        for key, raw in zip(reading.keys, reading.ids, strict=True)
    ]
    found: list[tuple[bytes, list[Row]]] = []
    for key, start in zip(reading.keys, starts, strict=True):
        stream: Stream = ctx.db.peek(key)
        group = stream.groups[reading.group]
        if start == _NEW and not (stream.length and stream.top_id() > group.last_id):
            if (asking := group.consumers.get(reading.consumer)) is not None:
                asking.seen_ms = ctx.engine.now_ms
            continue
        if start != _NEW:
            consumer = _consumer(ctx, reading, key, group)
            rows = _history(ctx, stream, consumer, start + 1, reading.count)
        else:
            rows = _give_new(ctx, reading, key, reading.count)
        ctx.db.noted(key)
        found.append((key, rows))
    if found:
        return _by_key(ctx, found)
    return _wait(ctx, reading, _attempt_group(reading, reading.group))


def _start_in_group(ctx: Session, reading: _Reading, key: bytes, raw: bytes) -> int:
    """The id to read on from, once it is sure that the group is there."""
    stream: Stream | None = ctx.db.read(key, Stream)
    assert reading.group is not None
    if stream is None or reading.group not in stream.groups:
        raise no_group(key, reading.group, " in XREADGROUP with GROUP option")
    reading.marks[key] = stream.mark
    if raw in (b"$", b"+"):
        sign = raw.decode()
        raise CommandError(_MEANINGLESS.format(sign, sign))
    return _NEW if raw == b">" else parse_id(raw)


def _consumer(ctx: Session, reading: _Reading, key: bytes, group: Group) -> Consumer:
    """The consumer who reads, made if there is none, and seen now."""
    name = reading.consumer
    consumer = group.consumers.get(name)
    if consumer is None:
        consumer = group.consumers[name] = Consumer(name, ctx.engine.now_ms)
        ctx.db.noted(key, b"xgroup-createconsumer")
        if reading.acknowledged:
            assert reading.group is not None
            also(ctx, b"XGROUP", b"CREATECONSUMER", key, reading.group, name)
    consumer.seen_ms = ctx.engine.now_ms
    return consumer


def _give_new(ctx: Session, reading: _Reading, key: bytes, count: int) -> list[Row]:
    """Entries that the group has not read, which from now on are pending for its consumer."""
    assert reading.group is not None
    stream: Stream = ctx.db.peek(key)
    group = stream.groups[reading.group]
    consumer = _consumer(ctx, reading, key, group)
    rows: list[Row] = []
    now_ms = ctx.engine.now_ms
    for node, position in stream.walk(group.last_id + 1):
        number = node.id(position)
        if group.entries_read is not None and not stream.has_tombstones_from(number):
            group.entries_read += 1
        elif stream.entries_added:
            group.entries_read = stream.entries_until(number)
        group.last_id = number
        rows.append(node.row(position))
        if not reading.acknowledged:
            pending = group.give(number, consumer, now_ms)
            consumer.active_ms = now_ms
            claimed(ctx, key, reading.group, group, format_id(number), pending)
        if len(rows) == count:
            break
    if rows and reading.acknowledged:
        moved(ctx, key, reading.group, group)
    return rows


def _history(
    ctx: Session, stream: Stream, consumer: Consumer, start: int, count: int
) -> list[list[Reply]]:
    """What is pending for `consumer`; an entry that was deleted since has a null for its fields."""
    rows: list[list[Reply]] = []
    for number, pending in consumer.pending.walk(start):
        row: list[Reply] | None = stream.row(number)
        if row is None:
            row = [format_id(number), NULL_ARRAY]
        else:
            pending.delivered_ms = ctx.engine.now_ms
            pending.deliveries += 1
        rows.append(row)
        if len(rows) == count:
            break
    return rows


def _attempt_group(reading: _Reading, group_name: bytes) -> Attempt:
    count = reading.count or _COUNT_AFTER_WAITING

    def attempt(session: Session, key: bytes) -> Reply:
        stream = session.db.peek(key)
        if not isinstance(stream, Stream):
            raise CommandError(_KEY_GONE)
        group = stream.groups.get(group_name)
        if group is None:
            raise CommandError(_GROUP_GONE)
        if not _is_news(reading, key, stream) or stream.last_id <= group.last_id:
            return None
        rows = _give_new(session, reading, key, count)
        session.db.noted(key)
        return _by_key(session, [(key, rows)])

    return attempt


def _is_news(reading: _Reading, key: bytes, stream: Stream) -> bool:
    """Whether something was added since the last look, and from now on nothing was."""
    if reading.marks[key] == stream.mark:
        return False
    reading.marks[key] = stream.mark
    return True


def _parse(ctx: Session, name: str, arguments: tuple[bytes, ...]) -> _Reading:
    reading = _Reading(name)
    in_group = name == "XREADGROUP"
    place = 0
    while place < len(arguments):
        word, more = arguments[place].upper(), len(arguments) - place - 1
        if word == b"STREAMS" and more:
            break
        if word == b"BLOCK" and more:
            if ctx.is_script:
                raise CommandError(
                    f"ERR {name.lower()} command is not allowed with BLOCK option from scripts"
                )
            reading.timeout_ms = parse_block_ms(arguments[place + 1])
            place += 2
        elif word == b"COUNT" and more:
            reading.count = max(parse_int(arguments[place + 1]), 0)
            place += 2
        elif word == b"GROUP" and more > 1:
            if not in_group:
                raise CommandError(_GROUP_IN_XREAD)
            reading.group, reading.consumer = arguments[place + 1], arguments[place + 2]
            place += 3
        elif word == b"NOACK":
            if not in_group:
                raise CommandError(_NOACK_IN_XREAD)
            reading.acknowledged = True
            place += 1
        else:
            raise CommandError(SYNTAX)
    rest = arguments[place + 1 :]
    if len(rest) % 2:
        raise CommandError(_UNBALANCED)
    if not rest:
        raise CommandError(SYNTAX)
    half = len(rest) // 2
    reading.keys, reading.ids = rest[:half], rest[half:]
    return reading


def _wait(ctx: Session, reading: _Reading, attempt: Attempt) -> Reply:
    if reading.timeout_ms is None:
        return NULL_ARRAY
    return ctx.engine.waiters.wait(
        ctx, reading.keys, Stream, attempt, timeout_ms=reading.timeout_ms, timed_out=NULL_ARRAY
    )


def _by_key(ctx: Session, found: Sequence[tuple[bytes, Sequence[Reply]]]) -> Reply:
    """A map in RESP3. RESP2 has pairs for it, not a flat list, so the protocol counts here."""
    if ctx.protocol == 3:
        return dict(found)
    return [[key, rows] for key, rows in found]
