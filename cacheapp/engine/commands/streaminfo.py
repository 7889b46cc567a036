"""XINFO: what a stream, its groups and their consumers look like from inside."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice

from cacheapp.engine.arguments import parse_int
from cacheapp.engine.errors import NO_SUCH_KEY, CommandError, wrong_subcommand_arity
from cacheapp.engine.registry import command, container
from cacheapp.engine.replies import Reply, help_reply
from cacheapp.engine.session import Session
from cacheapp.engine.streamids import no_group_in_stream
from cacheapp.engine.structures.stream import Stream, format_id
from cacheapp.engine.structures.streamgroup import Consumer, Group, Pending

container("XINFO", group="stream", since="5.0.0", summary="A container for stream introspection.")

_HELP = """
CONSUMERS <key> <groupname>
    Show consumers of <groupname>.
GROUPS <key>
    Show the stream consumer groups.
STREAM <key> [FULL [COUNT <count>]
    Show information about the stream.
"""
_FULL_COUNT = 10


def _stream(ctx: Session, key: bytes) -> Stream:
    stream: Stream | None = ctx.db.read(key, Stream)
    if stream is None:
        raise CommandError(NO_SUCH_KEY)
    return stream


@command(
    "XINFO|STREAM", arity=-3, flags="readonly", keys=(2, 2, 1), key_flags="RO access",
    group="stream", since="5.0.0", summary="Returns information about a stream.", shaped=True,
)  # fmt: skip
def xinfo_stream(ctx: Session, key: bytes, *options: bytes) -> Reply:
    stream = _stream(ctx, key)
    reply = {
        b"length": stream.length,
        b"radix-tree-keys": stream.nodes(),
        b"radix-tree-nodes": stream.radix_nodes(),
        b"last-generated-id": format_id(stream.last_id),
        b"max-deleted-entry-id": format_id(stream.max_deleted_id),
        b"entries-added": stream.entries_added,
        b"recorded-first-entry-id": format_id(stream.first_id),
    }
    if not options:
        first = stream.range(count=1)
        last = stream.range(count=1, reverse=True)
        reply[b"groups"] = len(stream.groups)
        reply[b"first-entry"] = first[0] if first else None
        reply[b"last-entry"] = last[0] if last else None
        return reply
    if len(options) not in (1, 3) or options[0].upper() != b"FULL":
        raise wrong_subcommand_arity("XINFO", b"STREAM")
    count = _FULL_COUNT
    if len(options) == 3:
        if options[1].upper() != b"COUNT":
            raise wrong_subcommand_arity("XINFO", b"STREAM")
        count = parse_int(options[2])
        if count < 0:
            count = _FULL_COUNT
    reply[b"entries"] = stream.range(count=count)
    reply[b"groups"] = [
        _full_group(stream, name, stream.groups[name], count) for name in sorted(stream.groups)
    ]
    return reply


def _full_group(stream: Stream, name: bytes, group: Group, count: int) -> Reply:
    return {
        b"name": name,
        b"last-delivered-id": format_id(group.last_id),
        b"entries-read": group.entries_read,
        b"lag": _lag(stream, group),
        b"pel-count": len(group.pending),
        b"pending": [
            [format_id(number), entry.consumer.name, entry.delivered_ms, entry.deliveries]
            for number, entry in _first(group.pending.walk(), count)
        ],
        b"consumers": [_full_consumer(consumer, count) for consumer in group.in_order()],
    }


def _full_consumer(consumer: Consumer, count: int) -> Reply:
    return {
        b"name": consumer.name,
        b"seen-time": consumer.seen_ms,
        b"active-time": consumer.active_ms,
        b"pel-count": len(consumer.pending),
        b"pending": [
            [format_id(number), entry.delivered_ms, entry.deliveries]
            for number, entry in _first(consumer.pending.walk(), count)
        ],
    }


def _first(entries: Iterable[tuple[int, Pending]], count: int) -> Iterable[tuple[int, Pending]]:
    return islice(entries, count) if count else entries


def _lag(stream: Stream, group: Group) -> int | None:
    """How many entries the group has yet to read; None where deletions hide it."""
    if not stream.entries_added:
        return 0
    read = group.entries_read
    if read is None or stream.has_tombstones_from(group.last_id):
        read = stream.entries_until(group.last_id)
    return None if read is None else stream.entries_added - read


@command(
    "XINFO|GROUPS", arity=3, flags="readonly", keys=(2, 2, 1), key_flags="RO access",
    group="stream", since="5.0.0", summary="Returns a list of the consumer groups of a stream.",
    shaped=True,
)  # fmt: skip
def xinfo_groups(ctx: Session, key: bytes) -> Reply:
    stream = _stream(ctx, key)
    return [
        {
            b"name": name,
            b"consumers": len(group.consumers),
            b"pending": len(group.pending),
            b"last-delivered-id": format_id(group.last_id),
            b"entries-read": group.entries_read,
            b"lag": _lag(stream, group),
        }
        for name, group in sorted(stream.groups.items())
    ]


@command(
    "XINFO|CONSUMERS", arity=4, flags="readonly", keys=(2, 2, 1), key_flags="RO access",
    group="stream", since="5.0.0", summary="Returns a list of the consumers in a consumer group.",
    tips=("nondeterministic_output",), shaped=True,
)  # fmt: skip
def xinfo_consumers(ctx: Session, key: bytes, name: bytes) -> Reply:
    group = _stream(ctx, key).groups.get(name)
    if group is None:
        raise no_group_in_stream(key, name)
    now_ms = ctx.engine.now_ms
    return [
        {
            b"name": consumer.name,
            b"pending": len(consumer.pending),
            b"idle": max(now_ms - consumer.seen_ms, 0),
            b"inactive": max(now_ms - consumer.active_ms, 0) if consumer.active_ms >= 0 else -1,
        }
        for consumer in group.in_order()
    ]


@command(
    "XINFO|HELP", arity=2, flags="loading stale", group="stream", since="5.0.0",
    summary="Returns helpful text about the different subcommands.",
)  # fmt: skip
def xinfo_help(_ctx: Session) -> Reply:
    return help_reply("XINFO", _HELP)
