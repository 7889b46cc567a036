"""NearCache: deadlines, the lease, marks, bounds. The clock is a list with one number."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest

from cacheapp.cache.nearcache import OVERHEAD_BYTES, NearCache

MB = 1024 * 1024


class Near(NearCache):
    """One with a clock to set."""

    def __init__(self, **options: Any) -> None:
        self.now = 100.0
        options = {"max_bytes": MB, "max_entries": 100, "ttl_s": 60.0, **options}
        super().__init__(clock=lambda: self.now, **options)
        self.renew(1000.0)

    def put(self, name: bytes, raw: bytes | None = b"value", ttl_ms: int = -1) -> None:
        mark = self.begin(name)
        assert mark is not None
        self.keep(name, mark, raw, ttl_ms)


def test_a_copy_is_served_until_its_deadline() -> None:
    near = Near()
    near.put(b"short", ttl_ms=5000)
    near.put(b"long", ttl_ms=500_000)
    near.put(b"forever")
    near.now += 4.9
    assert near.peek(b"short") == b"value"
    near.now += 0.2
    assert near.peek(b"short") is None
    near.now = 159.9
    assert near.peek(b"long") == near.peek(b"forever") == b"value"
    near.now = 160.1
    assert near.peek(b"long") is near.peek(b"forever") is None


def test_no_ttl_leaves_the_key_s_own_deadline() -> None:
    near = Near(ttl_s=None)
    near.put(b"forever")
    near.put(b"long", ttl_ms=500_000)
    near.now += 499
    assert near.peek(b"forever") == near.peek(b"long") == b"value"


def test_a_deadline_counts_from_before_the_request() -> None:
    near = Near()
    mark = near.begin(b"key")
    assert mark is not None
    near.now += 3
    near.keep(b"key", mark, b"value", 5000)
    near.now += 1.9
    assert near.peek(b"key") == b"value"
    near.now += 0.2
    assert near.peek(b"key") is None


def test_nothing_is_served_without_a_lease() -> None:
    near = Near()
    near.put(b"key")
    near.renew(100.0)
    assert not near.is_good
    assert near.peek(b"key") is None
    near.renew(100.1)
    assert near.peek(b"key") == b"value"


def test_missing_keys_and_keys_that_just_expired_are_not_kept() -> None:
    near = Near()
    near.put(b"missing", None, -2)
    near.put(b"gone", b"value", -2)
    assert not near.copies
    assert near.size_bytes == 0


@pytest.mark.parametrize(
    "invalidate",
    [
        lambda near: near.drop([b"p:key"]),
        lambda near: near.drop_prefix(b"p:"),
        lambda near: near.flush(),
    ],
)
def test_an_invalidation_cancels_a_fill(invalidate: Any) -> None:
    near = Near()
    mark, other = near.begin(b"p:key"), near.begin(b"q:key")
    invalidate(near)
    near.keep(b"p:key", mark, b"old", -1)
    assert near.peek(b"p:key") is None
    near.keep(b"q:key", other, b"value", -1)
    flushed = near.flushes > 0
    assert (near.peek(b"q:key") is None) == flushed
    near.put(b"p:key", b"new")
    assert near.peek(b"p:key") == b"new"


def test_of_two_fills_the_later_one_is_kept() -> None:
    near = Near()
    first, second = near.begin(b"key"), near.begin(b"key")
    assert first is not None
    assert second is not None
    near.keep(b"key", first, b"old", -1)
    assert near.peek(b"key") is None
    near.abandon(b"key", first)
    near.keep(b"key", second, b"new", -1)
    assert near.peek(b"key") == b"new"


def test_an_abandoned_fill_leaves_no_mark() -> None:
    near = Near()
    mark = near.begin(b"key")
    assert mark is not None
    near.abandon(b"key", mark)
    assert near._filling == {}


def test_a_prefix_takes_its_keys_and_no_others() -> None:
    near = Near()
    for name in (b"a:1", b"a:2", b"b:1"):
        near.put(name)
    near.drop_prefix(b"a:")
    assert list(near.copies) == [b"b:1"]
    assert near.size_bytes == len(b"b:1") + len(b"value") + OVERHEAD_BYTES


def test_entries_are_bounded_and_used_ones_stay() -> None:
    near = Near(max_entries=10)
    for number in range(10):
        near.put(b"%d" % number)
    assert near.peek(b"0") == b"value"
    for number in range(10, 15):
        near.put(b"%d" % number)
    assert len(near.copies) == 10
    assert near.evictions == 5
    assert near.peek(b"0") == b"value"
    assert near.peek(b"1") is None


def test_when_all_are_used_the_oldest_goes() -> None:
    near = Near(max_entries=3)
    for number in range(3):
        near.put(b"%d" % number)
        near.peek(b"%d" % number)
    near.put(b"3")
    assert list(near.copies) == [b"1", b"2", b"3"]


def test_bytes_are_bounded() -> None:
    near = Near(max_bytes=10_000, max_entries=10**6)
    for number in range(100):
        near.put(b"%02d" % number, b"x" * 500)
        assert near.size_bytes <= 10_000
    assert len(near.copies) == 10_000 // (502 + OVERHEAD_BYTES)
    near.put(b"large", b"x" * 2000)
    assert near.peek(b"large") is None
    for name in list(near.copies):
        near.drop([name])
    assert near.size_bytes == 0


def test_excluded_names_and_a_cache_of_no_entries_keep_nothing() -> None:
    near = Near(is_excluded=lambda name: name.startswith(b"s:"))
    assert near.begin(b"s:key") is None
    assert near.begin(b"key") is not None
    assert Near(max_entries=0).begin(b"key") is None


def test_a_reader_looks_among_the_copies_first() -> None:
    near, asked = Near(), []

    def fill(name: bytes) -> bytes:
        asked.append(name)
        return b"from the server"

    fetch = near.reader(fill)
    near.put(b"key")
    assert fetch(b"key") == b"value"
    assert asked == []
    assert fetch(b"other") == b"from the server"
    near.now += 100
    assert fetch(b"key") == b"from the server"
    near.now -= 100
    near.renew(0)
    assert fetch(b"key") == b"from the server"
    assert asked == [b"other", b"key", b"key"]


def test_a_reset_is_empty_and_without_a_lease() -> None:
    near = Near()
    near.put(b"key")
    near._lock.acquire()  # as if another thread held it when the process forked
    near.reset()
    assert not near.copies
    assert not near.is_good
    near.drop([b"key"])


@pytest.mark.parametrize("look", ["peek", "fetch"])
def test_a_copy_that_is_dropped_while_it_is_looked_at_is_not_served(look: str) -> None:
    """The lease is over, and the listener comes back right between finding and judging a copy."""
    near = Near()
    near.put(b"key", b"overwritten long ago")
    near.renew(near.now)

    def clock() -> float:
        near.drop([b"key"])
        near.renew(near.now + 2)
        return near.now

    near._clock = clock
    assert {"peek": near.peek, "fetch": near.reader(lambda name: None)}[look](b"key") is None


def test_what_is_collected_under_the_lock_can_still_end_a_fill() -> None:
    """A fill of a cancelled task may be ended by the garbage collector, at any allocation."""
    near = Near()
    mark = near.begin(b"key")
    assert mark is not None

    def names() -> Iterator[bytes]:
        near.abandon(b"key", mark)
        near.drop([b"other"])
        yield b"key"

    thread = threading.Thread(target=lambda: near.drop(names()), daemon=True)
    thread.start()
    thread.join(10)
    assert not thread.is_alive()
