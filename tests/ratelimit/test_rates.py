"""Rates: the spellings that are known, and errors that say what to write."""

from __future__ import annotations

from typing import Any

import pytest

from cacheapp.ratelimit.rates import Rate, RateError, parse_rates


@pytest.mark.parametrize(
    ("written", "limit", "period_s"),
    [
        ("10/m", 10, 60),
        ("20/5m", 20, 300),
        ("1000/h", 1000, 3600),
        ("5/10s", 5, 10),
        ("1/d", 1, 86_400),
        (" 10 / min ", 10, 60),
        ("10/minute", 10, 60),
        ("3/seconds", 3, 1),
        ("2/Week", 2, 604_800),
        ("0/m", 0, 60),
        ("100/30", 100, 30),
        ((7, 90), 7, 90),
    ],
)
def test_a_rate_is_read(written: Any, limit: int, period_s: int) -> None:
    assert Rate.parse(written) == Rate(limit, period_s)


@pytest.mark.parametrize(
    "written",
    ["", "10", "10/", "/m", "-1/m", "10/x", "10/mouse", "1.5/m", "10/0m", "9" * 20 + "/m", "1/400d",
     None, 10, (1, 2, 3), (1.5, 60), (True, 60)],
)  # fmt: skip
def test_what_is_no_rate_is_refused(written: Any) -> None:
    with pytest.raises(RateError):
        Rate.parse(written)


def test_a_rate_is_shown_as_it_is_written() -> None:
    for text in ("10/m", "20/5m", "1000/h", "5/10s", "1/d", "0/s", "3/90s", "2/w"):
        assert str(Rate.parse(text)) == text


def test_several_rates() -> None:
    assert parse_rates("10/s") == (Rate(10, 1),)
    assert parse_rates(["10/s", "1000/h"]) == (Rate(10, 1), Rate(1000, 3600))
    assert parse_rates((10, 60)) == (Rate(10, 60),)
    with pytest.raises(RateError, match="two rates for one period"):
        parse_rates(["10/m", "20/60s"])
    with pytest.raises(RateError, match="from one to 8 rates"):
        parse_rates([])
    with pytest.raises(RateError, match="'10/m', or a list"):
        parse_rates(10)
