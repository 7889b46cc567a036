"""Consumer groups: making and moving them, acknowledging, and claiming what others were given.

What a consumer reads is in `streamreads`. Nothing here counts as a change of the stream itself:
WATCH does not see it, nor does a client that waits, unless its group is destroyed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from cacheapp.engine.arguments import INT64_MAX, parse_int
from cacheapp.engine.errors import SYNTAX, CommandError, wrong_subcommand_arity
from cacheapp.engine.propagation import prevent
from cacheapp.engine.registry import command, container
from cacheapp.engine.replies import NULL_ARRAY, OK, Reply, help_reply
from cacheapp.engine.session import Session
from cacheapp.engine.streameffects import claimed, moved
from cacheapp.engine.streamids import (
    no_group,
    no_group_in_stream,
    parse_any_id,
    parse_end,
    parse_id,
    parse_start,
)
from cacheapp.engine.structures.stream import Stream, format_id
from cacheapp.engine.structures.streamgroup import Consumer, Group

container("XGROUP", group="stream", since="5.0.0", summary="A container for consumer groups.")

_HELP = """
CREATE <key> <groupname> <id|$> [option]
    Create a new consumer group. Options are:
    * MKSTREAM
      Create the empty stream if it does not exist.
    * ENTRIESREAD entries_read
      Set the group's entries_read counter (internal use).
CREATECONSUMER <key> <groupname> <consumer>
    Create a new consumer in the specified group.
DELCONSUMER <key> <groupname> <consumer>
    Remove the specified consumer.
DESTROY <key> <groupname>
    Remove the specified group.
SETID <key> <groupname> <id|$> [ENTRIESREAD entries_read]
    Set the current group ID and entries_read counter.
"""
_NO_KEY = (
    "ERR The XGROUP subcommand requires the key to exist. Note that for CREATE you may want to use "
    "the MKSTREAM option to create an empty stream automatically."
)
_BUSY = "BUSYGROUP Consumer Group name already exists"
_NEGATIVE_READ = "ERR value for ENTRIESREAD must be positive or -1"
_COUNT_TOO_HIGH = "ERR Insufficient memory, failed allocating transient memory, COUNT too high."

# The options of XCLAIM that a value follows.
_VALUED = frozenset({b"IDLE", b"TIME", b"RETRYCOUNT", b"LASTID"})
_AUTOCLAIM_COUNT = 100
# For each entry that XAUTOCLAIM may return, it looks at so many.
_AUTOCLAIM_LOOKS = 10
_AUTOCLAIM_COUNT_MAX = INT64_MAX // 16
# Redis makes room for COUNT ids; beyond this many no machine has it.
_AUTOCLAIM_IDS_MAX = 2**43


def _options(name: bytes, options: Sequence[bytes], *, create: bool) -> tuple[int | None, bool]:
    """ENTRIESREAD (None: not known) and whether MKSTREAM was asked for."""
    read, make_stream = -1, False
    words = iter(options)
    for word in words:
        option = word.upper()
        if create and option == b"MKSTREAM":
            make_stream = True
        elif option == b"ENTRIESREAD" and (raw := next(words, None)) is not None:
            read = parse_int(raw)
            if read < -1:
                raise CommandError(_NEGATIVE_READ)
        else:
            raise wrong_subcommand_arity("XGROUP", name)
    return (None if read < 0 else read), make_stream


def _stream(ctx: Session, key: bytes) -> Stream:
    """The stream to change a group of; CommandError if there is none."""
    stream: Stream | None = ctx.db.edit(key, Stream)
    if stream is None:
        raise CommandError(_NO_KEY)
    return stream


def _existing(ctx: Session, key: bytes, name: bytes) -> tuple[Stream, Group]:
    """The stream and its group `name`; CommandError where either is missing."""
    stream = _stream(ctx, key)
    group = stream.groups.get(name)
    if group is None:
        raise no_group_in_stream(key, name)
    return stream, group


@command(
    "XGROUP|CREATE", arity=-5, flags="write denyoom", keys=(2, 2, 1), key_flags="RW insert",
    group="stream", since="5.0.0", summary="Creates a consumer group.",
)  # fmt: skip
def xgroup_create(ctx: Session, key: bytes, name: bytes, start: bytes, *options: bytes) -> Reply:
    entries_read, make_stream = _options(b"CREATE", options, create=True)
    stream = ctx.db.edit(key, Stream) if make_stream else _stream(ctx, key)
    if len(options) > 3:
        raise wrong_subcommand_arity("XGROUP", b"CREATE")
    if start != b"$":
        last_id = parse_id(start)
    else:
        last_id = 0 if stream is None else stream.last_id
    if stream is None:
        stream = Stream()
        ctx.db.put(key, stream)
        ctx.db.changed(key)
    elif name in stream.groups:
        raise CommandError(_BUSY)
    stream.groups[name] = Group(last_id, entries_read)
    ctx.db.noted(key, b"xgroup-create")
    return OK


@command(
    "XGROUP|SETID", arity=-5, flags="write", keys=(2, 2, 1), key_flags="RW update",
    group="stream", since="5.0.0", summary="Sets the last-delivered ID of a consumer group.",
)  # fmt: skip
def xgroup_setid(ctx: Session, key: bytes, name: bytes, start: bytes, *options: bytes) -> Reply:
    entries_read, _ = _options(b"SETID", options, create=False)
    stream, group = _existing(ctx, key, name)
    if len(options) > 2:
        raise wrong_subcommand_arity("XGROUP", b"SETID")
    group.last_id = stream.last_id if start == b"$" else parse_any_id(start)
    group.entries_read = entries_read
    ctx.db.noted(key, b"xgroup-setid")
    return OK


@command(
    "XGROUP|DESTROY", arity=4, flags="write", keys=(2, 2, 1), key_flags="RW delete",
    group="stream", since="5.0.0",
    complexity="O(N) where N is the number of entries in the group's pending entries list.",
    summary="Destroys a consumer group.",
)  # fmt: skip
def xgroup_destroy(ctx: Session, key: bytes, name: bytes) -> Reply:
    stream = _stream(ctx, key)
    if stream.groups.pop(name, None) is None:
        return 0
    ctx.db.noted(key, b"xgroup-destroy")
    # Redis looks at all who wait for the stream, whatever they wait for.
    stream.renew_mark()
    if key in ctx.db.waiters:
        ctx.engine.waiters.changed(ctx.db, key, ctx.db.peek(key))
    return 1


@command(
    "XGROUP|CREATECONSUMER", arity=5, flags="write denyoom", keys=(2, 2, 1),
    key_flags="RW insert", group="stream", since="6.2.0",
    summary="Creates a consumer in a consumer group.",
)  # fmt: skip
def xgroup_createconsumer(ctx: Session, key: bytes, name: bytes, consumer: bytes) -> Reply:
    _, group = _existing(ctx, key, name)
    if consumer in group.consumers:
        return 0
    _consumer(ctx, key, group, consumer)
    return 1


@command(
    "XGROUP|DELCONSUMER", arity=5, flags="write", keys=(2, 2, 1), key_flags="RW delete",
    group="stream", since="5.0.0", summary="Deletes a consumer from a consumer group.",
)  # fmt: skip
def xgroup_delconsumer(ctx: Session, key: bytes, name: bytes, consumer: bytes) -> Reply:
    _, group = _existing(ctx, key, name)
    if consumer not in group.consumers:
        return 0
    pending = group.dismiss(consumer)
    ctx.db.noted(key, b"xgroup-delconsumer")
    return pending


@command(
    "XGROUP|HELP", arity=2, flags="loading stale", group="stream", since="5.0.0",
    summary="Returns helpful text about the different subcommands.",
)  # fmt: skip
def xgroup_help(_ctx: Session) -> Reply:
    return help_reply("XGROUP", _HELP)


def _consumer(ctx: Session, key: bytes, group: Group, name: bytes) -> Consumer:
    """The consumer `name`, made if there is none, and seen now."""
    consumer = group.consumers.get(name)
    if consumer is None:
        consumer = group.consumers[name] = Consumer(name, ctx.engine.now_ms)
        ctx.db.noted(key, b"xgroup-createconsumer")
    consumer.seen_ms = ctx.engine.now_ms
    return consumer


def _seen(group: Group, name: bytes, now_ms: int) -> None:
    """Note that a consumer has asked, whether or not it gets anything (Redis 7.2)."""
    consumer = group.consumers.get(name)
    if consumer is not None:
        consumer.seen_ms = now_ms


def _group(ctx: Session, key: bytes, name: bytes) -> tuple[Stream, Group]:
    """The stream at `key` and its group; NOGROUP where there is no such pair."""
    stream: Stream | None = ctx.db.read(key, Stream)
    group = None if stream is None else stream.groups.get(name)
    if stream is None or group is None:
        raise no_group(key, name)
    return stream, group


@command(
    "XACK", arity=-4, flags="write fast", keys=(1, 1, 1), key_flags="RW update", group="stream",
    since="5.0.0", complexity="O(1) for each message ID processed.",
    summary="Acknowledges messages; returns how many of them were pending.",
)  # fmt: skip
def xack(ctx: Session, key: bytes, name: bytes, *ids: bytes) -> Reply:
    stream = ctx.db.read(key, Stream)
    group = None if stream is None else stream.groups.get(name)
    if group is None:
        return 0
    numbers = [parse_id(raw) for raw in ids]
    acknowledged = sum(map(group.forget, numbers))
    if acknowledged:
        ctx.db.noted(key)
    return acknowledged


@command(
    "XPENDING", arity=-3, flags="readonly", keys=(1, 1, 1), key_flags="RO access",
    group="stream", since="5.0.0",
    complexity="O(N) with N being the number of elements returned, or scanned with IDLE.",
    summary="Returns the information and entries from a consumer group's pending entries list.",
    tips=("nondeterministic_output",),
)  # fmt: skip
def xpending(ctx: Session, key: bytes, name: bytes, *arguments: bytes) -> Reply:
    if not arguments:
        return _summary(_group(ctx, key, name)[1])
    if not 3 <= len(arguments) <= 6:
        raise CommandError(SYNTAX)
    idle_ms = 0
    if arguments[0].upper() == b"IDLE":
        idle_ms = parse_int(arguments[1])
        arguments = arguments[2:]
        if len(arguments) < 3:
            raise CommandError(SYNTAX)
    count = parse_int(arguments[2])
    start, end = parse_start(arguments[0]), parse_end(arguments[1])
    _, group = _group(ctx, key, name)
    entries = group.pending
    if len(arguments) > 3:
        consumer = group.consumers.get(arguments[3])
        if consumer is None:
            return []
        entries = consumer.pending
    rows: list[list[Reply]] = []
    for number, pending in entries.walk(start) if count > 0 else ():
        if number > end or len(rows) == count:
            break
        elapsed_ms = ctx.engine.now_ms - pending.delivered_ms
        if not idle_ms or elapsed_ms >= idle_ms:
            rows.append([
                format_id(number), pending.consumer.name, max(elapsed_ms, 0), pending.deliveries,
            ])  # fmt: skip
    return rows


def _summary(group: Group) -> Reply:
    """XPENDING without a range: how many, the ends, and how many for which consumer."""
    entries = group.pending
    if not len(entries):
        return [0, None, None, NULL_ARRAY]
    shares = [
        [consumer.name, b"%d" % len(consumer.pending)]
        for consumer in group.in_order()
        if len(consumer.pending)
    ]
    return [len(entries), format_id(entries.first()), format_id(entries.last()), shares]


@dataclass(slots=True)
class _Claim:
    """The options of XCLAIM; `delivered_ms` is what IDLE or TIME come to."""

    force: bool = False
    only_ids: bool = False
    delivered_ms: int = -1
    deliveries: int = -1
    last_id: int = 0


def _claim_options(options: Sequence[bytes], now_ms: int) -> _Claim:
    claim = _Claim()
    words = iter(options)
    for word in words:
        option = word.upper()
        if option == b"FORCE":
            claim.force = True
        elif option == b"JUSTID":
            claim.only_ids = True
        elif option not in _VALUED or (raw := next(words, None)) is None:
            raise _unknown_option(word)
        elif option == b"LASTID":
            claim.last_id = parse_id(raw)
        else:
            error = f"ERR Invalid {option.decode()} option argument for XCLAIM"
            value = parse_int(raw, error)
            if option == b"RETRYCOUNT":
                claim.deliveries = value
            else:
                claim.delivered_ms = now_ms - value if option == b"IDLE" else value
    if not 0 <= claim.delivered_ms <= now_ms:
        claim.delivered_ms = now_ms
    return claim


def _unknown_option(word: bytes) -> CommandError:
    shown = word.partition(b"\0")[0].decode("utf-8", "surrogateescape")
    return CommandError(f"ERR Unrecognized XCLAIM option '{shown}'")


def _leading_ids(arguments: Sequence[bytes]) -> list[int]:
    """The ids that `arguments` begin with, up to the first thing that is none."""
    numbers: list[int] = []
    for raw in arguments:
        try:
            numbers.append(parse_id(raw))
        except CommandError:
            break
    return numbers


@command(
    "XCLAIM", arity=-6, flags="write fast", keys=(1, 1, 1), key_flags="RW update",
    group="stream", since="5.0.0",
    complexity="O(log N) with N being the number of messages in the pending list.",
    summary="Changes, or acquires, ownership of a message in a consumer group.",
    tips=("nondeterministic_output",),
)  # fmt: skip
def xclaim(
    ctx: Session, key: bytes, name: bytes, consumer_name: bytes, idle: bytes, *arguments: bytes
) -> Reply:
    stream, group = _group(ctx, key, name)
    idle_ms = max(parse_int(idle, "ERR Invalid min-idle-time argument for XCLAIM"), 0)
    now_ms = ctx.engine.now_ms
    numbers = _leading_ids(arguments)
    claim = _claim_options(arguments[len(numbers) :], now_ms)
    prevent(ctx)
    unsaid = claim.last_id > group.last_id
    group.last_id = max(group.last_id, claim.last_id)
    _seen(group, consumer_name, now_ms)
    replies: list[Reply] = []
    for number, raw in zip(numbers, arguments, strict=False):
        row = stream.row(number)
        pending = group.pending.get(number)
        if row is None:
            if pending is not None:
                claimed(ctx, key, name, group, raw, pending)
                unsaid = False
                group.forget(number)
            continue
        if pending is None:
            if not claim.force:
                continue
        elif idle_ms and now_ms - pending.delivered_ms < idle_ms:
            continue
        # Who claims nothing is not made a consumer.
        consumer = _consumer(ctx, key, group, consumer_name)
        if pending is None:
            pending = group.give(number, consumer, now_ms)
        group.hand_over(number, pending, consumer)
        consumer.active_ms = now_ms
        pending.delivered_ms = claim.delivered_ms
        if claim.deliveries >= 0:
            pending.deliveries = claim.deliveries
        elif not claim.only_ids:
            pending.deliveries += 1
        replies.append(format_id(number) if claim.only_ids else row)
        claimed(ctx, key, name, group, raw, pending)
        unsaid = False
    if unsaid:
        moved(ctx, key, name, group)
    ctx.db.noted(key)
    return replies


@command(
    "XAUTOCLAIM", arity=-6, flags="write fast", keys=(1, 1, 1), key_flags="RW delete",
    group="stream", since="6.2.0", complexity="O(1) if COUNT is small.",
    summary="Changes, or acquires, ownership of messages which were pending for long enough.",
    tips=("nondeterministic_output",),
)  # fmt: skip
def xautoclaim(
    ctx: Session, key: bytes, name: bytes, consumer_name: bytes, idle: bytes, first: bytes,
    *options: bytes,
) -> Reply:  # fmt: skip
    idle_ms = max(parse_int(idle, "ERR Invalid min-idle-time argument for XAUTOCLAIM"), 0)
    start = parse_start(first)
    count, only_ids = _AUTOCLAIM_COUNT, False
    words = iter(options)
    for word in words:
        option = word.upper()
        if option == b"COUNT" and (raw := next(words, None)) is not None:
            count = parse_int(raw, "ERR COUNT must be > 0", low=1, high=_AUTOCLAIM_COUNT_MAX)
        elif option == b"JUSTID":
            only_ids = True
        else:
            raise CommandError(SYNTAX)
    stream, group = _group(ctx, key, name)
    if count > _AUTOCLAIM_IDS_MAX:
        raise CommandError(_COUNT_TOO_HIGH)
    now_ms = ctx.engine.now_ms
    _seen(group, consumer_name, now_ms)
    replies: list[Reply] = []
    deleted: list[bytes] = []
    looks, cursor = count * _AUTOCLAIM_LOOKS, 0
    for number, pending in group.pending.walk(start):
        if not looks or len(replies) + len(deleted) == count:
            cursor = number
            break
        looks -= 1
        row = stream.row(number)
        if row is None:
            claimed(ctx, key, name, group, format_id(number), pending)
            group.forget(number)
            deleted.append(format_id(number))
        elif not idle_ms or now_ms - pending.delivered_ms >= idle_ms:
            consumer = _consumer(ctx, key, group, consumer_name)
            group.hand_over(number, pending, consumer)
            consumer.active_ms = now_ms
            pending.delivered_ms = now_ms
            pending.deliveries += not only_ids
            replies.append(format_id(number) if only_ids else row)
            claimed(ctx, key, name, group, format_id(number), pending)
    prevent(ctx)
    ctx.db.noted(key)
    return [format_id(cursor), replies, deleted]
