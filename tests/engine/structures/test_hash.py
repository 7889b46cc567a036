"""The hash as a structure: encodings that stick, order, copies, walks."""

from __future__ import annotations

import pytest

from cacheapp.engine.structures.hash import Hash

ENTRIES_MAX, VALUE_BYTES_MAX = 4, 8


def put(found: Hash, field: bytes, value: bytes = b"v") -> bool:
    return found.put(field, value, ENTRIES_MAX, VALUE_BYTES_MAX)


def filled(count: int) -> Hash:
    found = Hash()
    for number in range(count):
        put(found, b"f%d" % number, b"v%d" % number)
    return found


def test_put_tells_new_fields_from_old() -> None:
    found = Hash()
    assert put(found, b"f", b"1") is True
    assert put(found, b"f", b"2") is False
    assert (len(found), found.get(b"f"), found.get(b"g")) == (1, b"2", None)
    assert found.get_many([b"g", b"f"]) == [None, b"2"]


def test_an_empty_hash_is_false() -> None:
    found = filled(1)
    assert found
    assert found.remove(b"f0") is True
    assert found.remove(b"f0") is False
    assert not found


@pytest.mark.parametrize(
    ("field", "value", "encoding"),
    [
        (b"f", b"v" * 8, b"listpack"),
        (b"f", b"v" * 9, b"hashtable"),
        (b"f" * 9, b"v", b"hashtable"),
    ],
)
def test_a_long_field_or_value_ends_the_listpack(
    field: bytes, value: bytes, encoding: bytes
) -> None:
    found = Hash()
    put(found, field, value)
    assert found.encoding({}) == encoding


def test_the_encoding_sticks() -> None:
    found = filled(4)
    assert found.encoding({}) == b"listpack"
    put(found, b"fifth")
    assert found.encoding({}) == b"hashtable"
    for field in found.fields()[1:]:
        found.remove(field)
    assert found.encoding({}) == b"hashtable"
    assert found.copy().encoding({}) == b"hashtable"


def test_order_is_that_of_insertion_and_an_update_keeps_the_place() -> None:
    found = filled(3)
    put(found, b"f0", b"new")
    found.remove(b"f1")
    put(found, b"f1")
    assert found.items() == [(b"f0", b"new"), (b"f2", b"v2"), (b"f1", b"v")]
    assert found.fields() == [b"f0", b"f2", b"f1"]
    assert found.values() == [b"new", b"v2", b"v"]


def test_a_copy_is_independent() -> None:
    found = filled(2)
    twin = found.copy()
    put(twin, b"f0", b"other")
    twin.as_dict()[b"x"] = b"y"
    assert found.get(b"f0") == b"v0"
    assert b"x" not in twin


@pytest.mark.parametrize("count", [3, 40, 200])
def test_scan_and_random_follow_changes(count: int) -> None:
    found = filled(count)
    found.scan(0, 1)
    found.random_fields(1, repeat=True)
    put(found, b"late")
    found.remove(b"f0")
    expected = set(found.fields())
    cursor, fields = found.scan(0, 7)
    while cursor:
        cursor, more = found.scan(cursor, 7)
        fields += more
    assert sorted(fields) == sorted(expected)
    assert {found.random_field() for _ in range(20)} <= expected
    assert set(found.random_fields(count, repeat=False)) == expected
    assert len(set(found.random_fields(2, repeat=False))) == 2
    assert len(found.random_fields(500, repeat=True)) == 500


def test_memory_counts_fields_values_and_the_index() -> None:
    small, large = filled(3), filled(300)
    assert small.memory_bytes(0) < large.memory_bytes(0)
    before = large.memory_bytes(5)
    large.scan(0, 1)
    assert large.memory_bytes(5) > before
    assert Hash().memory_bytes(5) > 0
