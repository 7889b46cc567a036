"""The layout: both encodings against plain lists of registers, and the estimate's error."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cacheapp.engine.structures import hyperloglog
from cacheapp.engine.structures.hyperloglog import REGISTERS, CorruptedError, Shown

ELEMENTS = st.lists(st.integers(0, 400).map(lambda number: b"element:%d" % number), max_size=300)
LIMIT = st.sampled_from([0, 20, 60, 300, 3000])
PLACES = [(12711, 2), (15780, 1), (8436, 1), (5938, 2), (10660, 1), (14171, 1)]
VALUES = st.lists(st.tuples(st.integers(0, 63), st.integers(1, 300)), max_size=40)


def of(elements: list[bytes], limit: int = 3000) -> bytearray:
    data = hyperloglog.create()
    for element in elements:
        hyperloglog.add(data, element, limit)
    return data


def expected_registers(elements: list[bytes]) -> bytes:
    values = bytearray(REGISTERS)
    for element in elements:
        index, value = hyperloglog.position_of(element)
        values[index] = max(values[index], value)
    return bytes(values)


def spread(runs: list[tuple[int, int]]) -> bytes:
    values = b"".join(bytes([value]) * length for value, length in runs)
    return values[:REGISTERS].ljust(REGISTERS, b"\0")


def test_elements_fall_where_redis_puts_them() -> None:
    # By PFDEBUG GETREG of redis-server 7.0.
    elements = (b"a", b"b", b"c", b"", b"eight-by", b"a-longer-element")
    assert [hyperloglog.position_of(element) for element in elements] == PLACES


@given(ELEMENTS, LIMIT)
def test_registers_hold_the_highest_value_in_either_encoding(
    elements: list[bytes], limit: int
) -> None:
    data = of(elements, limit)
    assert hyperloglog.registers(data) == expected_registers(elements)
    assert hyperloglog.is_hyperloglog(data)
    if hyperloglog.is_sparse(data):
        assert len(data) <= max(limit, 18)
        assert hyperloglog.make_dense(data)
    assert hyperloglog.registers(data) == expected_registers(elements)


@given(ELEMENTS)
def test_add_says_whether_a_register_grew(elements: list[bytes]) -> None:
    data = hyperloglog.create()
    for element in elements:
        before = hyperloglog.registers(data)
        grown = hyperloglog.add(data, element, 3000)
        assert grown == (hyperloglog.registers(data) != before)


@given(ELEMENTS, VALUES, LIMIT)
def test_raise_to_writes_all_registers(
    elements: list[bytes], runs: list[tuple[int, int]], limit: int
) -> None:
    data = of(elements, 3000)
    mine, theirs = hyperloglog.registers(data), spread(runs)
    values = hyperloglog.highest([theirs, mine])
    assert list(values) == list(map(max, mine, theirs))
    hyperloglog.raise_to(data, values, limit)
    assert hyperloglog.registers(data) == values


@given(VALUES)
def test_packing_comes_back(runs: list[tuple[int, int]]) -> None:
    values = spread(runs)
    data = hyperloglog.create()
    hyperloglog.raise_to(data, values, 0)
    assert hyperloglog.registers(data) == values


def test_nothing_is_highest_of_nothing() -> None:
    assert hyperloglog.highest([]) == bytes(REGISTERS)


@pytest.mark.parametrize("size", [1, 100, 3000, 30000])
def test_the_estimate_is_near(size: int) -> None:
    data = of([b"n:%d" % number for number in range(size)])
    estimate = hyperloglog.count(hyperloglog.registers(data))
    # Five standard errors of 1.04 / sqrt(registers).
    assert abs(estimate - size) <= 0.041 * size


@pytest.mark.parametrize("body", [b"", b"\x7f\xfe", b"\x7f\xff\x80", b"\x7f\xff\x7f\xff", b"\x00"])
def test_runs_that_do_not_cover_all_registers_are_refused(body: bytes) -> None:
    with pytest.raises(CorruptedError):
        hyperloglog.registers(hyperloglog.create()[:16] + body)


def test_a_long_broken_string_costs_no_memory() -> None:
    with pytest.raises(CorruptedError):
        hyperloglog.registers(hyperloglog.create()[:16] + b"\x7f\xff" * 10**6)


def test_the_cached_cardinality() -> None:
    data = hyperloglog.create()
    assert hyperloglog.cached_count(data) == 0
    hyperloglog.add(data, b"a", 3000)
    assert hyperloglog.cached_count(data) is None
    hyperloglog.cache_count(data, 1)
    assert hyperloglog.cached_count(data) == 1
    hyperloglog.expire_count(data)
    assert hyperloglog.cached_count(data) is None


@given(ELEMENTS, ELEMENTS)
def test_shown_registers_know_what_changes_nothing(
    elements: list[bytes], more: list[bytes]
) -> None:
    data = of(elements)
    shown = Shown(data)
    for element in more:
        twin = bytearray(data)
        changes = hyperloglog.add(twin, element, 3000)
        assert shown.holds(data, element) == (not changes)
    # The cardinality in the header is none of its business, all else is.
    hyperloglog.cache_count(data, 7)
    assert all(shown.holds(data, element) for element in elements)
    for other in (of([*elements, *more, b"x" * 70]), data + b"\0", bytearray(b"HYLL"), bytearray()):
        assert other == data or not any(shown.holds(other, each) for each in elements)
    data[0:4] = b"nope"
    assert not any(shown.holds(data, element) for element in elements)
