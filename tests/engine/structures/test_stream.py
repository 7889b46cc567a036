"""The stream against a plain list, its nodes, and the lists of pending entries."""

from __future__ import annotations

import random
from bisect import bisect_left

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from cacheapp.engine.structures.stream import (
    ID_MAX,
    Stream,
    count_radix_nodes,
    format_id,
)
from cacheapp.engine.structures.streamgroup import Consumer, Group, Pending, PendingList

TOP = 2**64 - 1


def number(ms: int, sequence: int = 0) -> int:
    return ms << 64 | sequence


def filled(count: int, entries_max: int = 100) -> Stream:
    """A stream with the ids 1-0, 2-0 … and one field, the number of the entry."""
    stream = Stream()
    for ms in range(1, count + 1):
        stream.append(number(ms), (b"n", b"%d" % ms), entries_max, 4096)
    return stream


def milliseconds(stream: Stream) -> list[int]:
    return [node.id(position) >> 64 for node, position in stream.walk()]


ITEMS = st.lists(st.sampled_from([b"", b"a", b"b", b"10", b"x" * 70]), min_size=1, max_size=3).map(
    lambda fields: tuple(item for field in fields for item in (field, field * 2))
)


class StreamAgainstList(RuleBasedStateMachine):
    """Every operation on a stream and on a list of (id, items)."""

    @initialize(entries_max=st.sampled_from([0, 1, 2, 3, 100]), bytes_max=st.sampled_from([0, 90]))
    def begin(self, entries_max: int, bytes_max: int) -> None:
        self.stream = Stream()
        self.model: list[tuple[int, list[bytes]]] = []
        self.limits = entries_max, bytes_max
        self.added = 0
        self.max_deleted = 0

    @rule(step=st.sampled_from([1, 2, 2**64, 2**64 + 5, 2**70]), items=ITEMS)
    def append(self, step: int, items: tuple[bytes, ...]) -> None:
        name = self.stream.last_id + step
        self.stream.append(name, items, *self.limits)
        self.model.append((name, list(items)))
        self.added += 1

    @rule(place=st.integers(0, 30), miss=st.booleans())
    def delete(self, place: int, miss: bool) -> None:
        name = self.model[place][0] if place < len(self.model) else 7
        if miss:
            name += 1
        there = any(name == known for known, _ in self.model)
        assert self.stream.delete(name) == there
        if there:
            self.model = [entry for entry in self.model if entry[0] != name]
            self.max_deleted = max(self.max_deleted, name)

    @rule(length=st.integers(0, 12), whole=st.booleans(), limit=st.sampled_from([0, 1, 5]))
    def trim_to_length(self, length: int, whole: bool, limit: int) -> None:
        before = len(self.model)
        count = self.stream.trim(length_max=length, whole=whole, limit=limit if whole else 0)
        self.model = self.model[count:]
        if whole:
            assert len(self.model) >= min(before, length)
            assert not limit or count <= limit
        else:
            assert len(self.model) == min(before, length)

    @rule(place=st.integers(0, 12), whole=st.booleans())
    def trim_to_id(self, place: int, whole: bool) -> None:
        name = self.model[place][0] if place < len(self.model) else 2**64
        count = self.stream.trim(min_id=name, whole=whole)
        older = sum(known < name for known, _ in self.model)
        assert count <= older if whole else count == older
        self.model = self.model[count:]

    @rule(low=st.integers(0, 20), high=st.integers(0, 20), shift=st.sampled_from([-1, 0, 1]))
    def ranges(self, low: int, high: int, shift: int) -> None:
        names = [name for name, _ in self.model]
        start = max((names[low] if low < len(names) else 0) + shift, 0)
        end = names[high] if high < len(names) else ID_MAX
        rows = [[format_id(name), items] for name, items in self.model if start <= name <= end]
        assert self.stream.range(start, end) == rows
        assert self.stream.range(start, end, reverse=True) == rows[::-1]
        assert self.stream.range(start, end, count=2) == rows[:2]
        records = [(name, dict(zip(pairs[::2], pairs[1::2], strict=True))) for name, pairs in rows]
        for count in (0, 1, 5):
            some, last = records[: count or None], records[-count:][::-1]
            assert self.stream.records(start, end, count) == some
            assert self.stream.records(start, end, count, reverse=True) == last
        assert (start in self.stream) == (start in names)

    @rule()
    def warm(self) -> None:
        self.stream.warm()

    @rule()
    def cool(self) -> None:
        self.stream.cool()

    @rule()
    def copy(self) -> None:
        twin = self.stream.copy()
        self.stream.append(self.stream.last_id + 1, (b"only", b"here"), *self.limits)
        self.stream = twin

    @invariant()
    def counters(self) -> None:
        names = [name for name, _ in self.model]
        assert len(self.stream) == len(names)
        assert self.stream.first_id == (names[0] if names else 0)
        assert self.stream.top_id() == (names[-1] if names else 0)
        assert self.stream.entries_added == self.added
        assert self.stream.max_deleted_id == self.max_deleted
        assert self.stream.memory_bytes(0) > 0


TestStreamAgainstList = StreamAgainstList.TestCase
TestStreamAgainstList.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)


def brute_radix_nodes(keys: list[int]) -> int:
    """Count the nodes of a compressed tree by building the plain one."""
    root: dict[int, dict] = {}
    for key in keys:
        node = root
        for byte in key.to_bytes(16, "big"):
            node = node.setdefault(byte, {})
    count = 0
    todo = [root]
    while todo:
        node = todo.pop()
        count += 1
        while len(node) == 1:
            (node,) = node.values()
            if len(node) != 1:
                count += 1
        todo.extend(node.values())
    return count


@given(st.sets(st.integers(0, 2**128 - 1) | st.integers(0, 1000) | st.integers(0, 300).map(
    lambda ms: ms << 64 | 3), max_size=40))  # fmt: skip
@settings(max_examples=150, deadline=None)
def test_radix_nodes(keys: set[int]) -> None:
    assert count_radix_nodes(sorted(keys)) == brute_radix_nodes(sorted(keys))


def test_nodes_are_dropped_from_the_head_for_good() -> None:
    stream = filled(5000, entries_max=1)
    for left in range(4999, 9, -1):
        assert stream.trim(length_max=left, whole=True) == 1
    assert milliseconds(stream) == list(range(4991, 5001))
    assert stream.nodes() == 10
    assert len(stream._nodes) <= 2 * (10 + 512)


def test_a_node_is_sealed_and_opened_again() -> None:
    stream = filled(5, entries_max=3)
    assert [type(node.blob) for node in stream._nodes] == [bytes, bytearray]
    for ms in (4, 5):
        stream.delete(number(ms))
    stream.delete(number(3))
    assert stream.nodes() == 1
    stream.append(number(9), (b"n", b"9"), 100, 0)
    assert stream.nodes() == 1
    assert stream.range(number(9)) == [[b"9-0", [b"n", b"9"]]]
    assert milliseconds(stream) == [1, 2, 9]


def test_field_names_are_kept_once() -> None:
    stream = filled(1000)
    assert len({id(node.fields) for node in stream._nodes}) == 1
    assert stream.memory_bytes() < 1000 * 40


def test_the_account_of_bytes_goes_with_the_nodes() -> None:
    stream = filled(1000)
    for ms in (350, 950, *range(601, 701), *range(901, 1001)):
        stream.delete(number(ms))
    stream.append(number(2000), (b"n", b"1"), 200, 0)
    stream.trim(length_max=500, whole=False)
    last = stream._nodes[-1]
    sealed = [node.memory_bytes() for node in stream._nodes[stream._head :] if node is not last]
    assert stream._sealed_bytes == sum(sealed)
    assert stream.memory_bytes() > sum(sealed) + last.memory_bytes()
    assert stream.copy().memory_bytes() == pytest.approx(stream.memory_bytes(), rel=0.05)
    stream.trim(length_max=0, whole=False)
    assert stream._sealed_bytes == 0


def test_an_empty_stream_is_a_value() -> None:
    assert Stream()
    assert len(Stream()) == 0
    assert Stream().encoding(None) == b"stream"


def test_how_much_was_read() -> None:
    stream = Stream()
    assert stream.entries_until(number(5)) == 0
    for ms in range(1, 6):
        stream.append(number(ms), (b"a", b"b"), 100, 0)
    assert stream.entries_until(number(0)) == 0
    assert stream.entries_until(number(1)) == 1
    assert stream.entries_until(number(2)) is None
    assert stream.entries_until(number(5)) == 5
    assert stream.entries_until(number(6)) is None
    stream.trim(length_max=2, whole=False)
    assert stream.entries_until(number(1)) == 3
    assert not stream.has_tombstones_from(0)
    stream.delete(number(5))
    assert stream.has_tombstones_from(number(5))
    assert not stream.has_tombstones_from(number(5, 1))
    assert stream.entries_until(number(1)) is None


def test_pending_entries_stay_in_order() -> None:
    chance = random.Random(3)
    pending, model = PendingList(), {}
    consumer = Consumer(b"c", 0)
    for _ in range(3000):
        name = chance.randrange(200)
        if chance.random() < 0.5:
            model[name] = entry = Pending(consumer, 0)
            pending.put(name, entry)
        else:
            assert pending.remove(name) is model.pop(name, None)
        order = sorted(model)
        assert len(pending) == len(order)
        if order:
            assert (pending.first(), pending.last()) == (order[0], order[-1])
        start = chance.randrange(200)
        found = [name for name, _ in pending.walk(start)]
        assert found == order[bisect_left(order, start) :]
    assert len(pending._order) <= 2 * len(pending) + 64 + 1


def test_walking_while_entries_go() -> None:
    pending = PendingList()
    for name in range(500):
        pending.put(name, Pending(Consumer(b"c", 0), 0))
    assert [name for name, _ in pending.walk() if pending.remove(name)] == list(range(500))
    assert not len(pending)


def test_a_group_is_copied_whole() -> None:
    group = Group(number(3), 3)
    for name in (b"ann", b"bob"):
        group.consumers[name] = Consumer(name, 10)
    for ms, name in ((1, b"ann"), (2, b"bob"), (3, b"ann")):
        group.give(number(ms), group.consumers[name], 20)
    twin = group.copy()
    assert group.dismiss(b"ann") == 2
    assert group.dismiss(b"ann") == 0
    assert [name >> 64 for name, _ in group.pending.walk()] == [2]
    assert [name >> 64 for name, _ in twin.consumers[b"ann"].pending.walk()] == [1, 3]
    first = twin.pending.get(number(1))
    assert first is twin.consumers[b"ann"].pending.get(number(1))
    assert first is not None
    assert first.consumer is twin.consumers[b"ann"]
    assert twin.memory_bytes() > group.memory_bytes() > 0


@pytest.mark.parametrize(("count", "entries_max"), [(1, 1), (100, 7), (250, 0)])
def test_seeking(count: int, entries_max: int) -> None:
    stream = filled(count, entries_max)
    for ms in range(1, count + 1):
        assert stream.row(number(ms)) == [b"%d-0" % ms, [b"n", b"%d" % ms]]
        assert stream.row(number(ms, 1)) is None
    assert stream.row(0) is None
    assert stream.row(ID_MAX) is None


def test_a_warm_stream_shows_a_few_nodes_and_no_more_when_it_is_cool() -> None:
    stream = filled(1000)
    assert stream.warm()
    assert not stream.warm()
    before = stream.memory_bytes(0)
    assert len(stream.range()) == 1000
    shown = [node for node in stream.all_nodes() if node.shown is not None]
    assert len(shown) == 4
    # What it is thought to take does not tell.
    assert stream.memory_bytes(0) == before
    stream.append(number(1001), (b"n", b"1001"), 100, 4096)
    assert stream.range(number(999))[-1] == [b"1001-0", [b"n", b"1001"]]
    stream.cool()
    assert all(node.shown is None for node in stream.all_nodes())


def test_a_node_that_is_large_or_not_regular_is_not_shown() -> None:
    large, mixed = Stream(), filled(3)
    for ms in range(1, 400):
        large.append(number(ms), (b"n", b"%d" % ms), 0, 0)
    mixed.append(number(9), (b"other", b"x"), 100, 4096)
    for stream in (large, mixed):
        stream.warm()
        stream.range()
        assert all(node.shown is None for node in stream.all_nodes())
