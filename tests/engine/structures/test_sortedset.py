"""The sorted set as a structure, against a plain sorted list; encodings, bounds, minus zero."""

from __future__ import annotations

import math
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cacheapp.engine.structures.sortedset import SortedSet

ENTRIES_MAX, VALUE_BYTES_MAX = 4, 8


@dataclass
class Bound:
    member: bytes = b""
    exclusive: bool = False
    infinite: int = 0


LOWEST, HIGHEST = Bound(infinite=-1), Bound(infinite=1)


def put(found: SortedSet, member: bytes, score: float) -> None:
    found.put(member, score, ENTRIES_MAX, VALUE_BYTES_MAX)


def filled(count: int) -> SortedSet:
    found = SortedSet()
    for number in range(count):
        put(found, b"m%04d" % number, float(number // 2))
    return found


def test_order_is_by_score_then_member() -> None:
    found = SortedSet()
    for member, score in ((b"b", 1.0), (b"a", 1.0), (b"c", -math.inf), (b"d", 0.5)):
        put(found, member, score)
    assert list(found.items()) == [(b"c", -math.inf), (b"d", 0.5), (b"a", 1.0), (b"b", 1.0)]
    put(found, b"c", 2.0)
    assert found.rank(b"c") == 3
    assert found.rank(b"x") is None
    assert found.get_many([b"a", b"x"]) == [1.0, None]
    assert found.slice(1, 3, reverse=True) == [(1.0, b"b"), (1.0, b"a")]


SCORES = st.floats(allow_nan=False) | st.integers(-3, 3).map(float)


@given(
    st.booleans(),
    st.lists(st.tuples(st.integers(0, 12), st.none() | SCORES), max_size=60),
    SCORES,
    SCORES,
    st.booleans(),
    st.booleans(),
)
def test_like_a_sorted_list(
    large: bool,
    changes: list[tuple[int, float | None]],
    low: float,
    high: float,
    low_exclusive: bool,
    high_exclusive: bool,
) -> None:
    # Beyond some hundreds of members the order is kept in another way.
    found = filled(600) if large else SortedSet()
    model = dict(found.items())
    for number, score in changes:
        member = b"m%04d" % number
        if score is None:
            assert found.remove(member) == (model.pop(member, None) is not None)
        else:
            put(found, member, score)
            model[member] = score
    ordered = sorted((score, member) for member, score in model.items())
    assert found.slice(0, len(found)) == ordered
    assert [found.rank(member) for _, member in ordered] == list(range(len(ordered)))
    start, stop = found.score_range(low, low_exclusive, high, high_exclusive)
    assert found.slice(start, max(start, stop)) == [
        (score, member)
        for score, member in ordered
        if (low < score if low_exclusive else low <= score)
        and (score < high if high_exclusive else score <= high)
    ]


@pytest.mark.parametrize("count", [10, 600])
def test_members_between_bounds(count: int) -> None:
    found = SortedSet()
    for number in range(count):
        put(found, b"m%04d" % number, 0.0)
    assert found.lex_range(LOWEST, HIGHEST) == (0, count)
    assert found.lex_range(Bound(b"m0002"), Bound(b"m0005")) == (2, 6)
    assert found.lex_range(Bound(b"m0002", True), Bound(b"m0005", True)) == (3, 5)
    assert found.lex_range(Bound(b"m0002\0"), Bound(b"z")) == (3, count)
    start, stop = found.lex_range(HIGHEST, LOWEST)
    assert stop <= start


def test_members_between_bounds_under_mixed_scores_walk_as_redis_does() -> None:
    found = SortedSet()
    for member, score in ((b"b", 1.0), (b"d", 2.0), (b"a", 3.0), (b"c", 4.0)):
        put(found, member, score)
    assert found.lex_range(LOWEST, Bound(b"b")) == (0, 1)
    assert found.lex_range(LOWEST, Bound(b"b"), reverse=True) == (0, 3)
    assert found.lex_range(Bound(b"d"), HIGHEST) == (0, 0)


def test_an_empty_one_has_no_ranges() -> None:
    found = SortedSet()
    assert found.score_range(-math.inf, False, math.inf, False) == (0, 0)
    assert found.lex_range(LOWEST, HIGHEST) == (0, 0)


@pytest.mark.parametrize("count", [10, 600])
def test_remove_slice(count: int) -> None:
    found = filled(count)
    assert found.remove_slice(1, 3) == [(0.0, b"m0001"), (1.0, b"m0002")]
    assert found.remove_slice(0, 1) == [(0.0, b"m0000")]
    assert len(found) == count - 3
    assert found.score(b"m0001") is None
    assert found.rank(b"m0003") == 0


def test_encodings() -> None:
    found = filled(4)
    assert found.encoding({}) == b"listpack"
    put(found, b"m0000", 9.0)
    assert found.encoding({}) == b"listpack"
    put(found, b"fifth", 1.0)
    assert found.encoding({}) == b"skiplist"
    found.remove_slice(1, 5)
    assert found.copy().encoding({}) == b"skiplist"
    long = SortedSet()
    put(long, b"m" * 9, 1.0)
    assert long.encoding({}) == b"skiplist"
    asked = filled(1)
    asked.leave_listpack()
    assert asked.encoding({}) == b"skiplist"


@pytest.mark.parametrize(
    ("entries_max", "expected"), [(2, b"listpack"), (1, b"skiplist"), (0, b"skiplist")]
)
def test_a_new_one_takes_the_encoding_of_its_size(entries_max: int, expected: bytes) -> None:
    found = SortedSet.of({b"a": 1.0, b"b": 0.0}, entries_max, VALUE_BYTES_MAX)
    assert found.encoding({}) == expected
    assert found.slice(0, 2) == [(0.0, b"b"), (1.0, b"a")]


def test_a_listpack_forgets_the_sign_of_zero() -> None:
    packed, unpacked = SortedSet(), SortedSet()
    put(packed, b"m", -0.0)
    unpacked.put(b"m", -0.0, 0, 0)
    assert str(packed.score(b"m")) == "0.0"
    assert str(unpacked.score(b"m")) == "-0.0"
    assert str(SortedSet.of({b"m": -0.0}, 1, 1).score(b"m")) == "0.0"


@pytest.mark.parametrize("count", [3, 200])
def test_scan_and_random_follow_changes(count: int) -> None:
    found = filled(count)
    found.scan(0, 1)
    put(found, b"late", 7.0)
    found.remove(b"m0000")
    expected = {member for member, _ in found.items()}
    cursor, members = found.scan(0, 7)
    while cursor:
        cursor, more = found.scan(cursor, 7)
        members += more
    assert sorted(members) == sorted(expected)
    assert set(found.random_entries(count, repeat=False)) == set(found.slice(0, count))
    assert len(set(found.random_entries(2, repeat=False))) == 2
    assert len(found.random_entries(500, repeat=True)) == 500


def test_a_copy_is_independent() -> None:
    found = filled(600)
    twin = found.copy()
    twin.remove(b"m0000")
    assert found.rank(b"m0000") == 0
    assert len(found) == 600


def test_memory_counts_members_and_the_index() -> None:
    large = filled(300)
    assert large.memory_bytes(0) > filled(3).memory_bytes(0) > SortedSet().memory_bytes(0)
    before = large.memory_bytes(5)
    large.scan(0, 1)
    assert large.memory_bytes(5) > before
