"""A realistic mix of requests, drawn from a seed: the same seed is the same visitors.

Popularity follows Zipf's law, as page views do: the n-th most popular airport has the weight
1 / n ** 1.2. Which airports those are is drawn too, from the ones with scheduled traffic (an
IATA code). Nothing here sends anything.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Literal, TypeVar

T = TypeVar("T")
Kind = Literal["airport", "home", "country", "search", "countries", "edit"]

# Of a hundred requests. An edit is followed by the page that it leads to.
SHARES: dict[Kind, int] = {
    "airport": 60,
    "home": 12,
    "country": 11,
    "search": 11,
    "countries": 3,
    "edit": 3,
}
# Zipf's own is 1; a single site's pages are measured steeper, up to 1.6 for a busy one.
EXPONENT = 1.2
EDITABLE = ("name", "elevation_ft", "lat")


@dataclass(frozen=True)
class Place:
    """What the traffic has to know of an airport."""

    icao: str
    city: str
    country: str


@dataclass(frozen=True)
class Request:
    """One request: `subject` is a code or search words, `field` what an edit changes."""

    kind: Kind
    subject: str = ""
    field: str = ""


def requests(places: Sequence[Place], count: int, seed: int) -> list[Request]:
    """`count` requests over these places, which have to be in a fixed order; at least one place."""
    return list(_endless(places, count, random.Random(seed)))


def _endless(places: Sequence[Place], count: int, chance: random.Random) -> Iterator[Request]:
    airports = Popularity([place.icao for place in places], chance)
    countries = Popularity(sorted({place.country for place in places}), chance)
    words = Popularity(sorted({place.city for place in places if place.city}), chance)
    left = count
    while left > 0:
        (kind,) = chance.choices(list(SHARES), weights=list(SHARES.values()))
        left -= 1
        if kind == "airport":
            yield Request(kind, airports.draw())
        elif kind == "country":
            yield Request(kind, countries.draw())
        elif kind == "search":
            yield Request(kind, words.draw())
        elif kind == "edit":
            icao = airports.draw()
            yield Request(kind, icao, chance.choice(EDITABLE))
            if left > 0:
                left -= 1
                yield Request("airport", icao)
        else:
            yield Request(kind)


class Popularity:
    """Items in a drawn order of popularity, which their weights follow."""

    def __init__(self, items: list[str], chance: random.Random) -> None:
        self._items = chance.sample(items, len(items))
        self._weights = list(accumulate(rank**-EXPONENT for rank in range(1, len(items) + 1)))
        self._chance = chance

    def draw(self) -> str:
        """One item."""
        return self._chance.choices(self._items, cum_weights=self._weights)[0]
