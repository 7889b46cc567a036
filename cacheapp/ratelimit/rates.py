"""Rates as people write them: ``"10/m"``, ``"20/5m"``, ``"1000/h"``, ``"5/10s"``.

The words are django-ratelimit's and DRF's, so that settings move over as they are: the unit may be
a letter or a word that begins with it (``"10/min"``, ``"10/minute"``), and is a second where there
is only a number (``"10/30"``). ``"0/m"`` admits nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from django.core.exceptions import ImproperlyConfigured

_RATE: Final = re.compile(r"(\d+)\s*/\s*(?:(\d*)\s*([a-z]+)|(\d+))\Z")
_UNITS_S: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_WORDS: Final = frozenset(
    word
    for names in (
        ("s", "sec", "second"), ("m", "min", "minute"), ("h", "hour"), ("d", "day"), ("w", "week"),
    )
    for name in names
    for word in (name, f"{name}s")
)  # fmt: skip
#: A year: longer than any rate that is meant, short enough that times fit in a double.
PERIOD_S_MAX: Final = 366 * 86_400
LIMIT_MAX: Final = 10**9
#: Rates of one rule, checked together.
RATES_MAX: Final = 8


class RateError(ImproperlyConfigured):
    """A rate that cannot be."""


@dataclass(frozen=True, slots=True)
class Rate:
    """At most ``limit`` in any ``period_s`` seconds, as far as the algorithm goes."""

    limit: int
    period_s: int

    def __str__(self) -> str:
        """The rate as settings have it, with the largest unit that fits."""
        for unit in ("w", "d", "h", "m", "s"):
            count, rest = divmod(self.period_s, _UNITS_S[unit])
            if count and not rest:
                return f"{self.limit}/{count if count > 1 else ''}{unit}"
        raise AssertionError("a period has at least a second")

    @classmethod
    def parse(cls, text: Any) -> Rate:
        """Return the rate that ``text`` spells; (limit, seconds) does as well. Raises RateError."""
        if isinstance(text, Rate):
            return text
        if isinstance(text, (tuple, list)) and len(text) == 2:
            limit, period_s = text
        else:
            found = _RATE.match(text.strip().lower()) if isinstance(text, str) else None
            word = found and (found[3] or "s")
            if found is None or word not in _WORDS:
                raise RateError(
                    f"{text!r} is not a rate: write a number, a slash and a time, such as '10/m', "
                    "'20/5m' or '1000/h'"
                )
            limit, period_s = int(found[1]), int(found[2] or found[4] or 1) * _UNITS_S[word[0]]
        if type(limit) is not int or not 0 <= limit <= LIMIT_MAX:
            raise RateError(f"{text!r} is not a rate: its number must be from 0 to {LIMIT_MAX}")
        if type(period_s) is not int or not 1 <= period_s <= PERIOD_S_MAX:
            raise RateError(f"{text!r} is not a rate: its time must be from a second to a year")
        return cls(limit, period_s)


def parse_rates(written: Any) -> tuple[Rate, ...]:
    """Return the rates of a rule: one rate, or several in a list. Raises RateError."""
    if isinstance(written, (str, Rate)):
        items: Iterable[Any] = (written,)
    elif isinstance(written, (tuple, list)):
        pair = len(written) == 2 and all(type(item) is int for item in written)
        items = (written,) if pair else written
    else:
        raise RateError(f"{written!r} is not a rate: write '10/m', or a list of such")
    rates = tuple(Rate.parse(item) for item in items)
    if not 1 <= len(rates) <= RATES_MAX:
        raise RateError(f"a rule has from one to {RATES_MAX} rates, not {len(rates)}")
    if len({rate.period_s for rate in rates}) != len(rates):
        raise RateError(f"{written!r} has two rates for one period")
    return rates


def policies(rule: str, rates: tuple[Rate, ...]) -> tuple[tuple[str, str], ...]:
    """Return the name of each rate of a rule, and what ``RateLimit-Policy`` says of it.

    The name is the rule's, with the period where it has several rates.
    """
    found = []
    for rate in rates:
        name = rule if len(rates) == 1 else f"{rule}-{str(rate).partition('/')[2]}"
        found.append((name, f'"{name}";q={rate.limit};w={rate.period_s}'))
    return tuple(found)
