"""The index: what a scan promises while elements come and go, and even picks."""

from __future__ import annotations

import random
from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from cacheapp.engine.structures.scanindex import ScanIndex

ELEMENTS = [b"%d" % number for number in range(30)]


def test_one_walk_returns_each_element_once() -> None:
    index = ScanIndex(ELEMENTS)
    cursor, seen = index.scan(0, 7)
    while cursor:
        cursor, more = index.scan(cursor, 7)
        seen += more
    assert sorted(seen) == sorted(ELEMENTS)


def test_an_empty_index_ends_at_once() -> None:
    assert ScanIndex([]).scan(0, 10) == (0, [])


def test_a_cursor_beyond_the_end_is_no_error() -> None:
    assert sorted(ScanIndex([b"a", b"b"]).scan(99, 10)[1]) == [b"a", b"b"]


@given(
    st.integers(1, 9),
    st.lists(st.tuples(st.booleans(), st.integers(0, 59)), max_size=60),
    st.integers(0, 2**32),
)
def test_a_scan_never_misses_what_is_there_throughout(
    count: int, changes: list[tuple[bool, int]], seed: int
) -> None:
    chance = random.Random(seed)
    index, present, throughout = ScanIndex(ELEMENTS), set(ELEMENTS), set(ELEMENTS)
    cursor, found = index.scan(0, count)
    seen = set(found)
    for adds, number in changes:
        element = b"%d" % number
        if adds and element not in present:
            index.add(element)
            present.add(element)
        elif not adds and element in present:
            index.remove(element)
            present.remove(element)
            throughout.discard(element)
        if cursor and chance.random() < 0.5:
            cursor, found = index.scan(cursor, count)
            seen.update(found)
    while cursor:
        cursor, found = index.scan(cursor, count)
        seen.update(found)
    assert seen >= throughout
    assert set(index.scan(0, 100)[1]) == present


def test_picks_are_even() -> None:
    index = ScanIndex(ELEMENTS)
    index.remove(ELEMENTS[3])
    counts = Counter(index.choice() for _ in range(29 * 200))
    assert set(counts) == set(ELEMENTS) - {ELEMENTS[3]}
    # Some ten standard deviations either way: fails for a bias, not by chance.
    assert all(60 < count < 340 for count in counts.values())


def test_samples_are_different_and_choices_may_repeat() -> None:
    index = ScanIndex(ELEMENTS)
    assert len(set(index.sample(30))) == 30
    picked = index.choices(100)
    assert len(picked) == 100
    assert set(picked) <= set(ELEMENTS)


def test_memory_grows_with_the_elements() -> None:
    assert ScanIndex(ELEMENTS).memory_bytes() > ScanIndex(ELEMENTS[:3]).memory_bytes() > 0
