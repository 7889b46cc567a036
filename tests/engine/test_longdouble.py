"""The arithmetic of INCRBYFLOAT, against exact fractions."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cacheapp.engine.errors import CommandError
from cacheapp.engine.longdouble import (
    LongDouble,
    add,
    format_long_double,
    parse_long_double,
    short_sum,
)

DECIMALS = st.builds(
    lambda digits, exponent: f"{digits}e{exponent}".encode(),
    st.integers(-(10**25), 10**25).filter(bool),
    st.integers(-4900, 4900),
)


def value(number: LongDouble) -> Fraction:
    assert number is not None
    return number[0] * Fraction(2) ** number[1]


@given(DECIMALS)
def test_parsing_is_off_by_half_a_unit_at_most(raw: bytes) -> None:
    exact = Fraction(raw.decode())
    number = parse_long_double(raw)
    assert number is not None
    assert number[0].bit_length() <= 64
    unit = Fraction(2) ** (number[1] + min(0, number[0].bit_length() - 64))
    assert abs(value(number) - exact) * 2 <= unit


@given(DECIMALS, DECIMALS)
def test_sums_are_off_by_half_a_unit_at_most(one: bytes, other: bytes) -> None:
    first, second = parse_long_double(one), parse_long_double(other)
    total = add(first, second)
    exact = value(first) + value(second)
    if not exact:
        assert value(total) == 0
    else:
        assert abs(value(total) - exact) * 2**64 <= abs(exact)


@given(st.integers(-99_999, 99_999))
def test_short_decimals_come_back_as_they_were(digits: int) -> None:
    # Below ten: 64 bits hold 19 digits, and 17 of those shown are decimals.
    text = f"{digits / 10_000:.4f}".rstrip("0").rstrip(".")
    number = parse_long_double(text.encode())
    assert number is not None
    assert format_long_double(number).decode() == text


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (b"1e-17", b"0.00000000000000001"),
        (b"4e-18", b"0"),
        (b"-4e-18", b"0"),
        (b"0x1.8p1", b"3"),
        (b"255.9", b"255.89999999999999999"),
        (b"18446744073709551617", b"18446744073709551616"),
        (b"0e99999999", b"0"),
        (b"0x0p99999999", b"0"),
        (b"1e4932", None),
    ],
)
def test_printing(raw: bytes, text: bytes | None) -> None:
    number = parse_long_double(raw)
    assert number is not None
    shown = format_long_double(number)
    assert shown == text if text is not None else len(shown) == 4933


@pytest.mark.parametrize(
    "raw",
    [b"", b"x", b"nan", b" 1", b"1 ", b"1e", b"0x", b"1_0", b"1.2e4932", b"1e-4951", b"1e99999999",
     b"1e-99999999", b"0x1p16384", b"0x1p-16446", b"0x1p99999999", b"1" * 5120],
)  # fmt: skip
def test_what_is_refused(raw: bytes) -> None:
    with pytest.raises(CommandError, match="ERR value is not a valid float"):
        parse_long_double(raw)


def test_infinities_are_told_apart_from_nonsense() -> None:
    assert parse_long_double(b"-Inf") is None
    assert add(None, (1, 0)) is None
    largest = parse_long_double(b"0x1.fffffffffffffffep16383")
    assert largest is not None
    assert add(largest, largest) is None
    assert add(largest, (-largest[0], largest[1])) == (0, 0)


SHORT = st.one_of(
    st.decimals(-20, 20, places=9),
    st.decimals(-20, 20, places=2),
    st.integers(-(10**10), 10**10).map(lambda number: Decimal(number) / 1024),
    st.integers(-(10**9), 10**9).map(lambda number: Decimal(number) / 8),
    st.integers(-(10**11), 10**11).map(Decimal),
).map(lambda number: format(number, "f").encode())


@given(SHORT, SHORT)
def test_a_short_sum_is_what_the_long_way_shows(one: bytes, other: bytes) -> None:
    text = short_sum(one, other)
    total = add(parse_long_double(one), parse_long_double(other))
    assert total is not None
    assert text in (None, format_long_double(total))


@pytest.mark.parametrize(
    ("one", "other", "text"),
    [(b"10.50", b"0.1", b"10.6"), (b"0", b"-0.0", b"0"), (b"1000000.5", b"0.25", b"1000000.75"),
     (b"-3", b"3", b"0"), (b"5e3", b"1", None), (b"1234.56", b"0.1", None), (b"1_0", b"1", None),
     (b"", b"1", None), (b"1-2", b"1", None), (b"0.12345678901", b"1", None)],
)  # fmt: skip
def test_which_sums_are_short(one: bytes, other: bytes, text: bytes | None) -> None:
    assert short_sum(one, other) == text
