"""The scripts over leases and their native forms: the same replies and the same data."""

from __future__ import annotations

from hashlib import sha1

from cacheapp.cache.entries import Wrapped, unpack, unpack_lease
from cacheapp.cache.leases import BURY, CLOSE_WRITE, FILL_LEASED, GIVE_UP, OPEN_WRITE, TAKE
from tests.native_forms import BothForms

ONE, TWO = b"0123456789abcdef", b"fedcba9876543210"
KEY = [b"key"]


def digest(value: bytes) -> bytes:
    return sha1(value, usedforsecurity=False).hexdigest().encode()


def value_of(both: BothForms) -> bytes:
    found = both.sides[0].client.get("key")
    assert isinstance(found, bytes)
    return found


def test_a_lease_on_nothing() -> None:
    both = BothForms()
    assert both.run(TAKE, KEY, [ONE, 500, digest(b"x"), 0]) == [0]
    assert both.run(TAKE, KEY, [ONE, 500, b"", 1]) == [1]
    assert value_of(both) == b"l" + ONE + b"0 0 "
    assert both.run(TAKE, KEY, [TWO, 500, b"", 0]) == [0]
    assert both.run(FILL_LEASED, KEY, [TWO, 1000, b"v"]) == [0]
    assert both.run(FILL_LEASED, KEY, [ONE, 1000, b"v"]) == [1]
    assert value_of(both) == b"v"
    assert both.run(FILL_LEASED, KEY, [ONE, 0, b"late"]) == [0]
    both.command("DEL", "key")
    assert both.run(TAKE, KEY, [ONE, 500, b"", 0]) == [1]
    assert both.run(FILL_LEASED, KEY, [ONE, 0, b"ever"]) == [1]
    both.command("DEL", "key")
    assert both.run(TAKE, KEY, [ONE, 500, b"", 0]) == [1]
    assert both.run(GIVE_UP, KEY, [TWO]) == 0
    assert both.run(GIVE_UP, KEY, [ONE]) == 1
    assert both.run(GIVE_UP, KEY, [ONE]) == 0


def test_a_lease_keeps_what_was_there_and_gives_it_back_with_its_time() -> None:
    both = BothForms()
    both.command("SET", "key", "old \n1", "PX", 300)
    assert both.run(TAKE, KEY, [ONE, 500, digest(b"old \n1"), 1]) == [1]
    lease = unpack_lease(value_of(both))
    assert lease is not None
    assert (lease.extra_ms, lease.floor_ms, lease.held) == (200, 0, b"old \n1")
    both.advance(0.1)
    assert both.run(GIVE_UP, KEY, [ONE]) == 1
    assert value_of(both) == b"old \n1"
    assert both.sides[0].client.pttl("key") == 200


def test_a_lapsed_lease_hands_on_what_it_kept() -> None:
    both = BothForms()
    both.command("SET", "key", "old", "PX", 10_000)
    assert both.run(TAKE, KEY, [ONE, 500, digest(b"old"), 1]) == [1]
    both.advance(1)
    found = value_of(both)
    assert both.run(TAKE, KEY, [TWO, 20_000, digest(found), 1]) == [1]
    lease = unpack_lease(value_of(both))
    assert lease is not None
    assert (lease.extra_ms, lease.floor_ms, lease.held) == (11_000, 0, b"old")
    assert both.run(FILL_LEASED, KEY, [ONE, 0, b"late"]) == [0]
    both.advance(9.5)
    assert both.run(GIVE_UP, KEY, [TWO]) == 1
    assert not both.sides[0].client.exists("key")


def test_what_has_no_deadline_is_not_kept() -> None:
    both = BothForms()
    both.command("SET", "key", "old")
    assert both.run(TAKE, KEY, [ONE, 500, digest(b"old"), 1]) == [1]
    assert value_of(both) == b"l" + ONE + b"0 0 "


def test_what_is_dead_is_deleted_only_as_long_as_it_is_the_same() -> None:
    both = BothForms()
    assert both.run(BURY, KEY, [b"old"]) == 0
    both.command("SET", "key", "new")
    assert both.run(BURY, KEY, [b"old"]) == 0
    assert both.run(BURY, KEY, [b"new"]) == 1
    assert not both.sides[0].client.exists("key")


def test_one_write() -> None:
    both = BothForms()
    both.command("SET", "key", "old")
    assert both.run(OPEN_WRITE, KEY, [ONE, 500]) == 1
    assert both.run(CLOSE_WRITE, KEY, [ONE, b"new", 1000]) == 1
    assert value_of(both) == b"new"
    assert both.run(OPEN_WRITE, KEY, [ONE, 500]) == 1
    assert both.run(CLOSE_WRITE, KEY, [ONE, b"new", 0]) == 1
    assert both.run(OPEN_WRITE, KEY, [ONE, 500]) == 1
    assert both.run(CLOSE_WRITE, KEY, [ONE, b"", -1]) == 0
    assert not both.sides[0].client.exists("key")


def test_of_two_open_writes_neither_is_stored() -> None:
    both = BothForms()
    for first, second in ((ONE, TWO), (TWO, ONE)):
        assert both.run(OPEN_WRITE, KEY, [ONE, 500]) == 1
        assert both.run(OPEN_WRITE, KEY, [TWO, 500]) == 1
        assert both.run(CLOSE_WRITE, KEY, [first, b"1", 0]) == 0
        assert value_of(both).startswith(b"w1")
        assert both.run(CLOSE_WRITE, KEY, [second, b"2", 0]) == 0
        assert not both.sides[0].client.exists("key")


def test_a_write_whose_lease_was_overwritten_leaves_nothing() -> None:
    both = BothForms()
    assert both.run(OPEN_WRITE, KEY, [ONE, 500]) == 1
    both.command("SET", "key", "stale")
    assert both.run(OPEN_WRITE, KEY, [TWO, 500]) == 1
    assert both.run(CLOSE_WRITE, KEY, [ONE, b"1", 0]) == 0
    assert both.run(CLOSE_WRITE, KEY, [TWO, b"2", 0]) == 0
    assert not both.sides[0].client.exists("key")
    assert both.run(OPEN_WRITE, KEY, [ONE, 500]) == 1
    both.command("SET", "key", "stale")
    assert both.run(CLOSE_WRITE, KEY, [ONE, b"1", 0]) == 0
    assert not both.sides[0].client.exists("key")


def test_wrapped_values_come_back_and_nothing_else_is_taken_for_one() -> None:
    wrapped = Wrapped(b"svalue", 1500, 0.25, [(b"a", ONE), ("ü:b".encode(), TWO)])
    assert unpack(wrapped.pack()) == wrapped
    packed = wrapped.pack()
    assert all(unpack(packed[:size]) is None for size in range(1, len(packed) - 6))
    assert unpack(Wrapped(packed).pack()) is None
    assert unpack_lease(b"l" + ONE + b"1 2") is None
    assert unpack_lease(b"l" + ONE + b"1 -2 x") is None
    assert unpack_lease(b"l" + ONE + b"1 2 w0") is None


def test_several_leases_are_filled_and_given_up_at_once() -> None:
    both = BothForms()
    keys = [b"a", b"b", b"c", b"d"]
    taking = [ONE, 500, *[b"", 0] * 4]
    both.command("SET", "c", "there")
    assert both.run(TAKE, keys, taking) == [1, 1, 0, 1]
    assert both.run(TAKE, keys, taking) == [1, 1, 0, 1]
    both.command("SET", "b", "newer")
    filling = [ONE, 1000, b"1", 1000, b"2", 1000, b"3", -1, b""]
    assert both.run(FILL_LEASED, keys, filling) == [1, 0, 0, 1]
    client = both.sides[0].client
    assert client.mget(keys) == [b"1", b"newer", b"there", None]
    both.command("DEL", *keys)
    assert both.run(TAKE, keys, taking) == [1, 1, 1, 1]
    both.command("SET", "c", "newer")
    assert both.run(GIVE_UP, keys, [ONE]) == 3


def test_the_longest_of_open_writes_counts() -> None:
    both = BothForms()
    assert both.run(OPEN_WRITE, KEY, [ONE, 60_000]) == 1
    assert both.run(OPEN_WRITE, KEY, [TWO, 500]) == 1
    assert both.sides[0].client.pttl("key") == 60_000
