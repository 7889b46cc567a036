"""Streams to bytes and back: nodes, deleted entries, counters, groups, and what has no order."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cacheapp.engine.persistence import listpack
from cacheapp.engine.persistence.encoding import (
    CorruptPayload,
    Reader,
    pack_length,
    pack_string,
)
from cacheapp.engine.persistence.streams import load_stream, save_stream
from cacheapp.engine.structures.stream import Stream
from cacheapp.engine.structures.streamgroup import Consumer, Group

FIELDS = st.sampled_from([[b"a", b"1", b"b", b"2"], [b"a", b"x"], [b"c", b"-70000"], [b"a", b""]])
COUNTERS = ("length", "first_id", "last_id", "max_deleted_id", "entries_added")


def stream_of(entries: dict[int, list[bytes]], entries_max: int = 100) -> Stream:
    stream = Stream()
    for number in sorted(entries):
        stream.append(number, entries[number], entries_max, 4096)
    return stream


def again(stream: Stream) -> Stream:
    reader = Reader(save_stream(stream))
    made = load_stream(reader, 2)
    assert reader.left == 0
    return made


@given(
    entries=st.dictionaries(st.integers(1, 2**128 - 1), FIELDS, max_size=30),
    entries_max=st.integers(1, 10),
    picks=st.lists(st.integers(0, 29), max_size=10),
)
def test_entries_come_back(
    entries: dict[int, list[bytes]], entries_max: int, picks: list[int]
) -> None:
    stream = stream_of(entries, entries_max)
    for pick in picks:
        stream.delete(sorted(entries)[pick % len(entries)] if entries else pick)
    made = again(stream)
    assert made.range() == stream.range()
    for name in COUNTERS:
        assert getattr(made, name) == getattr(stream, name)
    assert made.nodes() == stream.nodes()
    assert [node.listpack_bytes for node in made.all_nodes()] == [
        node.listpack_bytes for node in stream.all_nodes()
    ]
    assert save_stream(made) == save_stream(stream)


def test_the_account_of_a_restored_stream() -> None:
    stream = stream_of({number << 64: [b"field", b"value" * 10] for number in range(1, 500)})
    made = again(stream)
    assert abs(made.memory_bytes() - stream.memory_bytes()) < stream.memory_bytes() // 10
    made.append(made.last_id + 1, [b"f", b"v"], 100, 4096)
    assert len(made) == len(stream) + 1


def test_a_node_has_the_size_of_its_listpack() -> None:
    stream = stream_of({1: [b"a", b"1"], 5: [b"b", b"x" * 70], 1 << 64: [b"a", b"2"]})
    reader = Reader(save_stream(stream))
    assert reader.length() == 1
    assert reader.string() == (1).to_bytes(16, "big")
    assert len(reader.string()) == stream.all_nodes()[0].listpack_bytes


def with_group() -> Stream:
    stream = stream_of({number: [b"f", b"v"] for number in range(1, 6)})
    group = stream.groups[b"g"] = Group(3, None)
    for name, numbers in ((b"zoe", (1, 4)), (b"al", (3, 2))):
        consumer = group.consumers[name] = Consumer(name, 77)
        for number in numbers:
            group.give(number, consumer, 1000 + number).deliveries = number
    stream.groups[b"a"] = Group(0, 12)
    return stream


def test_groups_come_back() -> None:
    made = again(with_group())
    group = made.groups[b"g"]
    assert (group.last_id, group.entries_read, made.groups[b"a"].entries_read) == (3, None, 12)
    assert [
        (number, pending.consumer.name, pending.delivered_ms, pending.deliveries)
        for number, pending in group.pending.walk()
    ] == [(1, b"zoe", 1001, 1), (2, b"al", 1002, 2), (3, b"al", 1003, 3), (4, b"zoe", 1004, 4)]
    assert [consumer.seen_ms for consumer in group.consumers.values()] == [77, 77]
    assert group.forget(2)
    assert len(group.consumers[b"al"].pending) == 1
    assert save_stream(again(with_group())) == save_stream(with_group())


def node(*items: listpack.Item, key: int = 1) -> bytes:
    return pack_string(key.to_bytes(16, "big")) + pack_string(listpack.pack(items))


ENTRY: tuple[listpack.Item, ...] = (2, 0, 0, b"v", 4)
ONE = node(1, 0, 1, b"f", 0, *ENTRY)
NO_GROUPS = b"\0"


def counters(*numbers: int) -> bytes:
    return b"".join(map(pack_length, numbers))


def test_the_first_version_knows_no_counters() -> None:
    body = b"\1" + ONE + counters(1, 0, 1) + b"\1" + b"\1g" + counters(0, 1) + b"\0\0"
    stream = load_stream(Reader(body), 1)
    assert (stream.length, stream.first_id, stream.last_id, stream.entries_added) == (1, 1, 1, 1)
    assert stream.groups[b"g"].entries_read == 1


def test_the_third_version_has_another_time() -> None:
    consumer = b"\1c" + struct.pack("<qq", 5, 6) + b"\0"
    group = b"\1g" + counters(0, 1, 1) + b"\0" + b"\1" + consumer
    body = b"\1" + ONE + counters(1, 0, 1, 0, 1, 0, 0, 1) + b"\1" + group
    reader = Reader(body)
    stream = load_stream(reader, 3)
    found = stream.groups[b"g"].consumers[b"c"]
    assert (found.seen_ms, found.active_ms) == (5, 6)
    assert reader.left == 0
    found = again(stream).groups[b"g"].consumers[b"c"]
    assert (found.seen_ms, found.active_ms) == (5, 5)
    newest = load_stream(Reader(save_stream(stream, version=3)), 3)
    assert newest.groups[b"g"].consumers[b"c"].active_ms == 6


@pytest.mark.parametrize(
    "nodes",
    [
        [b"\1k" + pack_string(listpack.pack([1, 0, 1, b"f", 0, *ENTRY]))],
        [node()],
        [node(b"x", 0, 1, b"f", 0, *ENTRY)],
        [node(0, 0, 1, b"f", 0)],
        [node(2, 0, 1, b"f", 0, *ENTRY)],
        [node(1, 1, 1, b"f", 0, *ENTRY)],
        [node(1, 0, 1, b"f", 1, *ENTRY)],
        [node(1, 0, 2, b"f", 0, *ENTRY)],
        [node(1, 0, -1, b"f", 0, *ENTRY)],
        [node(1, 0, 1, b"f", 0, 2, 0, 0, b"v", 5)],
        [node(1, 0, 1, b"f", 0, 2, 0, b"x", b"v", 4)],
        [node(1, 0, 1, b"f", 0, 0, 0, 0, 2**40, b"f", b"v", 6)],
        [node(1, 0, 1, b"f", 0, 2, 0, -1, b"v", 4)],
        [node(2, 0, 1, b"f", 0, *ENTRY, *ENTRY)],
        [ONE, ONE],
        [node(1, 0, 1, b"f", 0, *ENTRY, key=2), ONE],
    ],
)
def test_nodes_without_order(nodes: list[bytes]) -> None:
    last = counters(len(nodes), 9, 9, 0, 1, 0, 0, 9)
    with pytest.raises(CorruptPayload):
        load_stream(Reader(pack_length(len(nodes)) + b"".join(nodes) + last + NO_GROUPS), 2)


NUMBERS = counters(1, 0, 1, 0, 1, 0, 0, 1)
GROUP = b"\1\1g" + counters(0, 1, 1)
CONSUMER = b"\1c" + b"\0" * 8


@pytest.mark.parametrize(
    "tail",
    [
        counters(2, 0, 1, 0, 1, 0, 0, 2) + NO_GROUPS,
        counters(1, 0, 0, 0, 1, 0, 0, 1) + NO_GROUPS,
        counters(1, 0, 1, 0, 1, 0, 0, 0) + NO_GROUPS,
        counters(1, 0, 1, 0, 1, 0, 0, 2**63) + NO_GROUPS,
        NUMBERS + b"\2" + (b"\1g" + counters(0, 1, 1) + b"\0\0") * 2,
        NUMBERS + b"\1\1g" + counters(0, 1, 2**63) + b"\0\0",
        NUMBERS + GROUP + b"\1" + b"\0" * 24 + b"\1\0",
        NUMBERS + GROUP + b"\2" + (b"\0" * 24 + b"\1") * 2 + b"\0",
        NUMBERS + GROUP + b"\0\1" + CONSUMER + b"\1" + b"\0" * 16,
        NUMBERS + GROUP + b"\0\2" + (CONSUMER + b"\0") * 2,
    ],
)
def test_counters_and_groups_that_contradict(tail: bytes) -> None:
    with pytest.raises(CorruptPayload):
        load_stream(Reader(b"\1" + ONE + tail), 2)
