"""Streams to RDB's bytes and back: nodes as listpacks, then the counters, then the groups.

A node's listpack begins with a master entry (how many entries are there and how many are deleted,
and the field names of the first), and goes on with the entries: flags, the distance of the id from
the node's, the names unless they are those of the master, the values, and how many items that was,
for readers that come from behind.

Three versions are read: the first knows nothing of counters, the third (Redis 7.2) also says when
a consumer was last given something. The second or the third is written. What would break order is
corrupt, though Redis might load it: ids that do not ascend, a last id below an entry's.
"""

from __future__ import annotations

import struct
from typing import Final

from cacheapp.engine.persistence import listpack
from cacheapp.engine.persistence.encoding import (
    CorruptPayload,
    Reader,
    pack_length,
    pack_string,
)
from cacheapp.engine.structures.stream import ID_MAX, SEQUENCE_MASK, Node, Stream
from cacheapp.engine.structures.streamgroup import Consumer, Group, Pending

_DELETED, _SAME_FIELDS = 1, 2
_ID_BYTES: Final = 16
# What stands for "nobody knows" where a group's count of read entries is expected.
_UNKNOWN_COUNT: Final = SEQUENCE_MASK
_COUNT_MAX: Final = 2**63 - 1


def save_stream(stream: Stream, *, compressed: bool = True, version: int = 2) -> bytes:
    """`stream` in the second or third version of the format, without a type's byte."""
    nodes = stream.all_nodes()
    parts = [pack_length(len(nodes))]
    for node in nodes:
        parts.append(pack_string(node.master.to_bytes(_ID_BYTES, "big"), compressed=compressed))
        parts.append(pack_string(_save_node(node), compressed=compressed))
    parts.append(pack_length(stream.length))
    parts += map(_pack_id, (stream.last_id, stream.first_id, stream.max_deleted_id))
    parts.append(pack_length(stream.entries_added))
    parts.append(pack_length(len(stream.groups)))
    for name in sorted(stream.groups):
        parts.append(pack_string(name, compressed=compressed))
        _save_group(stream.groups[name], parts, compressed, version)
    return b"".join(parts)


def _pack_id(number: int) -> bytes:
    return pack_length(number >> 64) + pack_length(number & SEQUENCE_MASK)


def _wrapped(number: int) -> int:
    """A difference of two unsigned numbers as C's signed integers have it."""
    return (number + (1 << 63) & SEQUENCE_MASK) - (1 << 63)


def _save_node(node: Node) -> bytes:
    names = [listpack.pack_text(field) for field in node.fields]
    width = len(names)
    zero = listpack.pack_integer(0)
    number = listpack.pack_integer
    entries = [number(node.live), number(len(node) - node.live), number(width), *names, zero]
    master_ms, master_sequence = node.master >> 64, node.master & SEQUENCE_MASK
    for position in range(len(node)):
        flat = node.pairs(position)
        fields = tuple(flat[::2])
        same = fields == node.fields
        deleted = node.gone >> position & 1
        entries.append(number((_SAME_FIELDS if same else 0) | (_DELETED if deleted else 0)))
        entries.append(number(_wrapped(node.ms[position] - master_ms)))
        entries.append(number(_wrapped(node.sequences[position] - master_sequence)))
        if same:
            entries.extend(map(listpack.pack_text, flat[1::2]))
            entries.append(number(width + 3))
        else:
            entries.append(number(len(fields)))
            entries.extend(map(listpack.pack_text, flat))
            entries.append(number(len(flat) + 4))
    return listpack.frame(entries)


def _save_group(group: Group, parts: list[bytes], compressed: bool, version: int) -> None:
    parts.append(_pack_id(group.last_id))
    read = _UNKNOWN_COUNT if group.entries_read is None else group.entries_read
    parts.append(pack_length(read))
    parts.append(pack_length(len(group.pending)))
    for number, pending in group.pending.walk():
        parts.append(number.to_bytes(_ID_BYTES, "big"))
        parts.append(struct.pack("<q", pending.delivered_ms))
        parts.append(pack_length(pending.deliveries))
    consumers = group.in_order()
    parts.append(pack_length(len(consumers)))
    for consumer in consumers:
        parts.append(pack_string(consumer.name, compressed=compressed))
        parts.append(struct.pack("<q", consumer.seen_ms))
        if version >= 3:
            parts.append(struct.pack("<q", consumer.active_ms))
        parts.append(pack_length(len(consumer.pending)))
        parts.extend(number.to_bytes(_ID_BYTES, "big") for number, _ in consumer.pending.walk())


def load_stream(reader: Reader, version: int) -> Stream:
    """The stream that comes next in `reader`, in one of three versions; raises CorruptPayload."""
    nodes = []
    for _ in range(reader.length()):
        key, packed = reader.string(), reader.string()
        if len(key) != _ID_BYTES:
            raise CorruptPayload("stream: id of a node")
        nodes.append(_load_node(int.from_bytes(key, "big"), listpack.unpack(packed)))
    stream = Stream()
    try:
        stream.adopt(nodes)
    except ValueError as error:
        raise CorruptPayload(f"stream: {error}") from None
    length = reader.length()
    if length != stream.length:
        raise CorruptPayload("stream: length")
    stream.last_id = _load_id(reader)
    if version >= 2:
        # The first id is what `adopt` found.
        _load_id(reader)
        stream.max_deleted_id = _load_id(reader)
        stream.entries_added = _load_count(reader)
    else:
        stream.entries_added = length
    if stream.last_id < stream.top_id() or stream.entries_added < length:
        raise CorruptPayload("stream: last id or count")
    for _ in range(reader.length()):
        name = reader.string()
        if name in stream.groups:
            raise CorruptPayload("stream: a group twice")
        stream.groups[name] = _load_group(reader, stream, version)
    return stream


def _load_count(reader: Reader, unknown: int = 0) -> int:
    count = reader.length()
    if count > _COUNT_MAX and count != unknown:
        raise CorruptPayload("stream: a count beyond 63 bits")
    return count


def _load_id(reader: Reader) -> int:
    return reader.length() << 64 | reader.length()


class _Items:
    """The items of a node's listpack, one after the other."""

    def __init__(self, items: list[listpack.Item]) -> None:
        self._items = items
        self._place = 0

    @property
    def left(self) -> int:
        return len(self._items) - self._place

    def number(self) -> int:
        (item,) = self._next(1)
        if not isinstance(item, int):
            raise CorruptPayload("stream: an integer was expected")
        return item

    def texts(self, count: int) -> list[bytes]:
        return listpack.texts(self._next(count))

    def _next(self, count: int) -> list[listpack.Item]:
        if not 0 <= count <= self.left:
            raise CorruptPayload("stream: a node ends too early")
        found = self._items[self._place : self._place + count]
        self._place += count
        return found


def _load_node(master: int, packed: list[listpack.Item]) -> Node:
    items = _Items(packed)
    live, deleted, width = items.number(), items.number(), items.number()
    node = Node(master, tuple(items.texts(width)))
    if items.number() != 0 or live < 0 or deleted < 0 or not live + deleted:
        raise CorruptPayload("stream: master entry")
    before = -1
    while items.left:
        flags = items.number()
        number = _entry_id(master, items)
        if not before < number <= ID_MAX:
            raise CorruptPayload("stream: ids do not ascend")
        before = number
        if flags & _SAME_FIELDS:
            fields = node.fields
            values = items.texts(width)
            count = width + 3
        else:
            own = items.number()
            flat = items.texts(2 * own)
            fields, values = tuple(flat[::2]), flat[1::2]
            count = 2 * own + 4
        if items.number() != count:
            raise CorruptPayload("stream: items of an entry")
        node.append(number, fields, values)
        if flags & _DELETED:
            node.mark(len(node) - 1)
    if node.live != live or len(node) != live + deleted:
        raise CorruptPayload("stream: count of a node")
    return node


def _entry_id(master: int, items: _Items) -> int:
    ms = (master >> 64) + items.number() & SEQUENCE_MASK
    sequence = (master & SEQUENCE_MASK) + items.number() & SEQUENCE_MASK
    return ms << 64 | sequence


def _load_group(reader: Reader, stream: Stream, version: int) -> Group:
    last_id = _load_id(reader)
    read: int | None
    if version >= 2:
        read = _load_count(reader, unknown=_UNKNOWN_COUNT)
        if read == _UNKNOWN_COUNT:
            read = None
    else:
        read = stream.entries_until(last_id)
    group = Group(last_id, read)
    waiting: dict[int, tuple[int, int]] = {}
    for _ in range(reader.length()):
        number = int.from_bytes(reader.take(_ID_BYTES), "big")
        if number in waiting:
            raise CorruptPayload("stream: an entry pending twice")
        waiting[number] = reader.signed64(), _load_count(reader)
    for _ in range(reader.length()):
        name = reader.string()
        if name in group.consumers:
            raise CorruptPayload("stream: a consumer twice")
        consumer = Consumer(name, reader.signed64())
        # Before the third version nobody knows; it was at work when it was seen.
        consumer.active_ms = reader.signed64() if version >= 3 else consumer.seen_ms
        group.consumers[name] = consumer
        _load_pending(reader, group, consumer, waiting)
    if waiting:
        raise CorruptPayload("stream: an entry pending for nobody")
    found = [item for each in group.consumers.values() for item in each.pending.walk()]
    for number, pending in sorted(found, key=lambda item: item[0]):
        group.pending.put(number, pending)
    return group


def _load_pending(
    reader: Reader, group: Group, consumer: Consumer, waiting: dict[int, tuple[int, int]]
) -> None:
    for _ in range(reader.length()):
        number = int.from_bytes(reader.take(_ID_BYTES), "big")
        if number not in waiting:
            raise CorruptPayload("stream: a consumer's entry that the group does not know")
        delivered_ms, deliveries = waiting.pop(number)
        pending = Pending(consumer, delivered_ms)
        pending.deliveries = deliveries
        consumer.pending.put(number, pending)
