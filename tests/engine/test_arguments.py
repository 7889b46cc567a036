"""From bytes to numbers, bounds and patterns: what is taken, what is refused."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cacheapp.engine.arguments import (
    INT64_MAX,
    INT64_MIN,
    LexBound,
    glob_matcher,
    is_canonical_int,
    parse_cursor,
    parse_float,
    parse_int,
    parse_int32,
    parse_score_bound,
)
from cacheapp.engine.errors import CommandError

NOT_INTEGERS = [b"", b"-", b"-0", b"01", b"+1", b" 1", b"1 ", b"1_0", b"0x1", b"1.0", b"\xb2"]
BEYOND = [b"9223372036854775808", b"-9223372036854775809", b"1" * 30]


def refusal(parse: Callable[..., Any], *args: Any) -> str:
    with pytest.raises(CommandError) as caught:
        parse(*args)
    return str(caught.value)


@given(st.integers(INT64_MIN, INT64_MAX))
def test_every_64_bit_integer_in_canonical_form_is_one(number: int) -> None:
    raw = b"%d" % number
    assert parse_int(raw) == number
    assert is_canonical_int(raw)


@pytest.mark.parametrize("raw", NOT_INTEGERS + BEYOND)
def test_what_is_no_integer(raw: bytes) -> None:
    assert refusal(parse_int, raw) == "ERR value is not an integer or out of range"
    assert refusal(parse_int, raw, "ERR mine") == "ERR mine"
    assert not is_canonical_int(raw)


def test_bounds_of_an_integer() -> None:
    assert parse_int(b"5", "ERR mine", low=5, high=5) == 5
    assert refusal(parse_int, b"4", "ERR mine", 5) == "ERR mine"
    assert refusal(parse_int, b"10000", "ERR mine", 0, 9999) == "ERR mine"


def test_a_c_int_has_a_text_of_its_own() -> None:
    assert parse_int32(b"-2147483648") == -(2**31)
    text = "ERR value is out of range, value must between -2147483648 and 2147483647"
    assert refusal(parse_int32, b"2147483648") == text
    assert refusal(parse_int32, b"2147483648", "ERR mine") == "ERR mine"
    assert refusal(parse_int32, b"x") == "ERR value is not an integer or out of range"


@given(st.floats(allow_nan=False))
def test_every_double_is_read_back(number: float) -> None:
    assert parse_float(repr(number).encode()) == number


@pytest.mark.parametrize(
    ("raw", "number"),
    [
        (b"+1.5", 1.5),
        (b".5", 0.5),
        (b"5.", 5.0),
        (b"-1e3", -1000.0),
        (b"0x1p-1", 0.5),
        (b"0xA", 10.0),
        (b"inf", math.inf),
        (b"-Infinity", -math.inf),
        (b"0e-999", 0.0),
        (b"-0.0", -0.0),
        (b"0x0p-5", 0.0),
        (b"4.9e-324", 5e-324),
    ],
)
def test_a_double_as_strtod_reads_it(raw: bytes, number: float) -> None:
    value = parse_float(raw)
    assert (value, math.copysign(1, value)) == (number, math.copysign(1, number))


@pytest.mark.parametrize(
    "raw",
    [b"", b"nan", b"1e", b"1_0", b" 1", b"1 ", b"0x", b"--1", b"1e400", b"-1e400", b"1e-400",
     b"0x1p99999", b"infinit", b"1\x00", b"\xd9\xa1"],
)  # fmt: skip
def test_what_is_no_double(raw: bytes) -> None:
    assert refusal(parse_float, raw) == "ERR value is not a valid float"


@pytest.mark.parametrize(
    ("raw", "bound"),
    [
        (b"1", (1.0, False)),
        (b"(1", (1.0, True)),
        (b"-inf", (-math.inf, False)),
        (b"(+inf", (math.inf, True)),
        (b"", (0.0, False)),
        (b"(", (0.0, True)),
        (b" \t1", (1.0, False)),
        (b"1e400", (math.inf, False)),
        (b"1e-400", (0.0, False)),
        (b"1\x00x", (1.0, False)),
    ],
)
def test_a_score_bound_is_read_more_leniently(raw: bytes, bound: tuple[float, bool]) -> None:
    assert parse_score_bound(raw) == bound


@pytest.mark.parametrize("raw", [b"x", b"((1", b"nan", b"1 ", b" ", b"[1"])
def test_what_is_no_score_bound(raw: bytes) -> None:
    assert refusal(parse_score_bound, raw) == "ERR min or max is not a float"


def test_lexicographic_bounds() -> None:
    assert LexBound(b"-").infinite == -1
    assert LexBound(b"+").infinite == 1
    inclusive, exclusive = LexBound(b"[a"), LexBound(b"(")
    assert (inclusive.member, inclusive.exclusive) == (b"a", False)
    assert (exclusive.member, exclusive.exclusive) == (b"", True)
    for raw in (b"", b"a", b"--", b"+a"):
        assert refusal(LexBound, raw) == "ERR min or max not valid string range item"


@pytest.mark.parametrize(
    ("raw", "cursor"),
    [(b"0", 0), (b"", 0), (b"18446744073709551615", 2**64 - 1), (b"-1", 2**64 - 1), (b"+5", 5)],
)
def test_a_cursor_as_strtoul_reads_it(raw: bytes, cursor: int) -> None:
    assert parse_cursor(raw) == cursor


@pytest.mark.parametrize("raw", [b"x", b"1x", b"18446744073709551616"])
def test_what_is_no_cursor(raw: bytes) -> None:
    assert refusal(parse_cursor, raw) == "ERR invalid cursor"


def matches(pattern: bytes, text: bytes) -> bool:
    """The plain recursive reading of Redis's rules, exponential and short."""
    if not text:
        return not pattern
    if not pattern:
        return False
    head, rest = pattern[:1], pattern[1:]
    if head == b"*":
        rest = rest.lstrip(b"*")
        return not rest or any(matches(rest, text[at:]) for at in range(len(text)))
    if head == b"?":
        return ends(rest, text[1:])
    if head == b"[":
        inside, rest = read_class(rest, text[0])
        return inside and ends(rest, text[1:])
    if head == b"\\" and rest:
        head, rest = rest[:1], rest[1:]
    return head == text[:1] and ends(rest, text[1:])


def ends(pattern: bytes, text: bytes) -> bool:
    return not pattern.lstrip(b"*") if not text else matches(pattern, text)


def read_class(rest: bytes, byte: int) -> tuple[bool, bytes]:
    negated = rest[:1] == b"^"
    rest = rest[1:] if negated else rest
    found = False
    while rest:
        if rest[:1] == b"\\" and len(rest) >= 2:
            found |= rest[1] == byte
            rest = rest[2:]
        elif rest[:1] == b"]":
            rest = rest[1:]
            break
        elif rest[1:2] == b"-" and len(rest) >= 3:
            found |= min(rest[0], rest[2]) <= byte <= max(rest[0], rest[2])
            rest = rest[3:]
        else:
            found |= rest[0] == byte
            rest = rest[1:]
    return found != negated, rest


ALPHABET = st.sampled_from(list(b"ab-*?[]^\\"))


@given(
    pattern=st.lists(ALPHABET, max_size=10).map(bytes),
    text=st.lists(st.sampled_from(list(b"ab-*[]^\\")), max_size=6).map(bytes),
)
def test_globs_match_as_the_plain_reading_does(pattern: bytes, text: bytes) -> None:
    assert bool(glob_matcher(pattern)(text)) == matches(pattern, text)


def test_globs_are_about_bytes_and_lines_do_not_matter() -> None:
    assert glob_matcher(b"a?c*")(b"a\nc\xff\n")
    assert glob_matcher(b"[\xf0-\xff]")(b"\xf8")
    assert not glob_matcher(b"*")(b"")
    assert glob_matcher(b"NEWS*", True)(b"news:1")
    assert not glob_matcher(b"NEWS*")(b"news:1")


def test_many_stars_cost_no_more_than_their_number() -> None:
    # With backtracking this would take longer than the sun lasts.
    assert not glob_matcher(b"*a" * 40 + b"*b")(b"a" * 20_000)
