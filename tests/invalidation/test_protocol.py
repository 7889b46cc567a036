"""Messages, ids, and a follower's answer to each thing that it can see."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from cacheapp.invalidation.protocol import (
    FIRST_MAX,
    NAMES_MAX,
    Follower,
    Stamp,
    apply,
    first_id,
    keys_message,
    prefix_message,
    sequence_of,
)


class Heard:
    """Copies that note what is done to them."""

    def __init__(self) -> None:
        self.done: list[object] = []

    def drop(self, names: Iterable[bytes]) -> None:
        self.done.append(list(names))

    def drop_prefix(self, prefix: bytes) -> None:
        self.done.append(prefix)

    def flush(self) -> None:
        self.done.append("flush")

    def renew(self, until: float) -> None:
        self.done.append(until)


def entry(number: int, name: bytes = b"a") -> tuple[bytes, tuple[bytes, ...]]:
    return b"1-%d" % number, keys_message([name])


@pytest.fixture
def heard() -> Heard:
    return Heard()


@pytest.fixture
def follower(heard: Heard) -> Follower:
    """One that stands at 5 of a stream with the epoch e, with a lease until 102."""
    follower = Follower(heard, 2.0)
    follower.connected(b"run")
    follower.beat(100.0, Stamp(5, b"e"))
    assert heard.done == ["flush", 102.0]
    heard.done.clear()
    return follower


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (keys_message([b"a"]), [[b"a"]]),
        (keys_message([b"a", b"b"], early=True), [[b"a", b"b"]]),
        (prefix_message(b"p:"), [b"p:"]),
        (prefix_message(b""), ["flush"]),
        (prefix_message(b"p:", early=True) + keys_message([b"a"]), [b"p:", [b"a"]]),
        ((b"h", b""), []),
        ((b"what", b"is this"), ["flush"]),
        (keys_message(b"%d" % number for number in range(NAMES_MAX + 1)), ["flush"]),
    ],
)
def test_messages(heard: Heard, message: tuple[bytes, ...], expected: list[object]) -> None:
    apply(message, heard)
    assert heard.done == expected


@pytest.mark.parametrize(
    ("entry_id", "number"),
    [(b"1-0", 0), (b"1-77", 77), (b"2-77", None), (b"1700000000000-1", None), (b"1-", None)],
)
def test_ids(entry_id: bytes, number: int | None) -> None:
    assert sequence_of(entry_id) == number


def test_a_new_stream_begins_anywhere() -> None:
    numbers = {sequence_of(first_id()) for _ in range(50)}
    assert len(numbers) == 50
    assert all(number is not None and 0 < number <= FIRST_MAX for number in numbers)


def test_messages_in_order_are_applied_and_duplicates_skipped(
    follower: Follower, heard: Heard
) -> None:
    follower.hear([entry(6), entry(7, b"b"), entry(6), entry(7), entry(5)])
    assert heard.done == [[b"a"], [b"b"]]
    assert follower.last == 7


@pytest.mark.parametrize("entries", [[entry(7)], [(b"9-6", (b"k", b"a"))], [entry(6), entry(8)]])
def test_a_gap_and_a_foreign_id_are_a_flush(
    follower: Follower, heard: Heard, entries: list[tuple[bytes, tuple[bytes, ...]]]
) -> None:
    follower.hear(entries)
    assert heard.done[-1] == "flush"
    assert follower.last is None


def test_a_heartbeat_that_owes_nothing_renews_the_lease(follower: Follower, heard: Heard) -> None:
    follower.beat(101.0, Stamp(5, b"e"))
    assert heard.done == [103.0]


def test_a_heartbeat_renews_only_after_all_that_it_covers(follower: Follower, heard: Heard) -> None:
    follower.beat(101.0, Stamp(7, b"e"))
    assert follower.needs_messages
    follower.hear([entry(6)])
    assert heard.done == [[b"a"]]
    follower.hear([entry(7), entry(8)])
    assert heard.done == [[b"a"], [b"a"], [b"a"], 103.0]
    assert not follower.needs_messages


def test_what_was_trimmed_is_a_flush(follower: Follower, heard: Heard) -> None:
    follower.beat(101.0, Stamp(7, b"e"))
    follower.hear([])
    follower.heard_all()
    assert heard.done == ["flush"]
    assert not follower.needs_messages
    follower.beat(101.5, Stamp(7, b"e"))
    assert heard.done == ["flush", "flush", 103.5]


def test_nothing_owed_is_no_gap(follower: Follower, heard: Heard) -> None:
    follower.heard_all()
    assert heard.done == []


@pytest.mark.parametrize("stamp", [Stamp(4, b"e"), Stamp(5, b"another"), Stamp(5, None)])
def test_another_stream_is_a_flush(follower: Follower, heard: Heard, stamp: Stamp) -> None:
    follower.beat(101.0, stamp)
    assert heard.done == ["flush", 103.0]
    assert follower.last == stamp.top


def test_no_stream_is_a_flush_without_a_lease(follower: Follower, heard: Heard) -> None:
    follower.beat(101.0, Stamp(None, b"e"))
    assert heard.done == ["flush"]
    assert follower.needs_stream
    follower.beat(101.2, Stamp(1, b"f"))
    assert heard.done == ["flush", "flush", 103.2]
    assert not follower.needs_stream


def test_the_same_server_is_followed_on(follower: Follower, heard: Heard) -> None:
    follower.connected(b"run")
    assert follower.last == 5
    follower.beat(101.0, Stamp(6, b"e"))
    follower.hear([entry(6)])
    assert heard.done == [[b"a"], 103.0]


@pytest.mark.parametrize("server", [b"another run", None])
def test_another_server_is_begun_anew(
    follower: Follower, heard: Heard, server: bytes | None
) -> None:
    follower.connected(server)
    assert follower.last is None
    follower.beat(101.0, Stamp(5, b"e"))
    assert heard.done == ["flush", 103.0]
