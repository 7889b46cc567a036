"""Partial sorting against Python's own."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from cacheapp.engine.structures.partialsort import first_sorted

KEYS = st.lists(st.integers(0, 9).map(float), max_size=120)


@given(KEYS, st.integers(1, 130))
def test_the_first_are_the_lowest_and_each_comes_once(keys: list[float], count: int) -> None:
    found = first_sorted(list(range(len(keys))), keys, count)
    assert [keys[at] for at in found] == sorted(keys)[:count]
    assert len(set(found)) == len(found)


@given(KEYS)
def test_the_whole_is_stable(keys: list[float]) -> None:
    elements = list(range(len(keys)))
    assert first_sorted(elements, keys, len(keys)) == sorted(elements, key=keys.__getitem__)


def test_equal_keys_come_as_redis_leaves_them() -> None:
    # GEOSEARCH ... COUNT 3 on redis-server 7.0 with eight members at one place.
    assert first_sorted(list("abcdefgh"), [0.0] * 8, 3) == list("hbc")
