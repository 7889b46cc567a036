"""The demo's work: what each page has to know, computed from the database each time it is called.

This is the slow side, and honestly so: distances to all 28,298 airports in Python, aggregates and
substring searches that no index serves. Nothing here knows that a cache exists; what comes back is
plain data. A thing that does not exist is None.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from string import ascii_lowercase, ascii_uppercase
from typing import TypedDict

from django.db.models import Avg, Count, Q, QuerySet

from demo_site.distance import bearing_deg, great_circle_km
from demo_site.models import Airport, AirportRow

NEAREST_COUNT = 10
SEARCH_RESULTS_MAX = 25
SEARCH_CHARACTERS_MAX = 80
GROUPS_MAX = 8
SEARCH_FIELDS = ("icao", "iata", "name", "city", "subd", "country")
ASCII_LOWER = str.maketrans(ascii_uppercase, ascii_lowercase)


class Neighbour(TypedDict):
    """An airport of a nearest list, with how to get there."""

    icao: str
    name: str
    city: str
    country: str
    distance_km: float
    bearing_deg: float


class CountryCount(TypedDict):
    """A country's line in the list of countries; elevation is the mean, in feet."""

    country: str
    airports: int
    with_iata: int
    elevation_ft: float


class Extreme(TypedDict):
    """An airport at the edge of its country; `title` says which edge."""

    title: str
    icao: str
    name: str
    elevation_ft: float
    lat: float


class CountryStatistics(TypedDict):
    """A country's page; the groups are pairs of a name and its number of airports."""

    country: str
    airports: int
    with_iata: int
    elevation_mean_ft: float
    extremes: list[Extreme]
    regions: list[tuple[str, int]]
    time_zones: list[tuple[str, int]]


class Found(TypedDict):
    """An airport in a search result."""

    icao: str
    iata: str
    name: str
    city: str
    country: str


class SearchResult(TypedDict):
    """The best airports for some words, and how many there are in all."""

    total: int
    airports: list[Found]


def airport_row(icao: str) -> AirportRow | None:
    """The airport with this ICAO code."""
    airport = Airport.objects.filter(pk=icao).first()
    return airport.row() if airport else None


def nearest_airports(icao: str) -> list[Neighbour] | None:
    """The airports nearest to this one by great circle, nearest first, ties by code."""
    rows = list(Airport.objects.values_list("icao", "lat", "lon", "name", "city", "country"))
    here = next((row for row in rows if row[0] == icao), None)
    if here is None:
        return None
    _, lat, lon, *_ = here
    ranked = heapq.nsmallest(
        NEAREST_COUNT,
        ((great_circle_km(lat, lon, row[1], row[2]), row) for row in rows if row[0] != icao),
    )
    return [
        Neighbour(
            icao=row[0],
            name=row[3],
            city=row[4],
            country=row[5],
            distance_km=distance_km,
            bearing_deg=bearing_deg(lat, lon, row[1], row[2]),
        )
        for distance_km, row in ranked
    ]


def country_counts() -> list[CountryCount]:
    """Every country, the one with most airports first."""
    groups = (
        Airport.objects.values("country")
        .annotate(
            airports=Count("pk"),
            with_iata=Count("pk", filter=~Q(iata="")),
            elevation_ft=Avg("elevation_ft"),
        )
        .order_by("-airports", "country")
    )
    return [CountryCount(**group) for group in groups]


def country_statistics(country: str) -> CountryStatistics | None:
    """The figures of one country, by its two letters."""
    airports = Airport.objects.filter(country=country)
    figures = airports.aggregate(
        airports=Count("pk"),
        with_iata=Count("pk", filter=~Q(iata="")),
        elevation_mean_ft=Avg("elevation_ft"),
    )
    if not figures["airports"]:
        return None
    extremes = [
        Extreme(
            title=title,
            icao=first.icao,
            name=first.name,
            elevation_ft=first.elevation_ft,
            lat=first.lat,
        )
        for title, order in (
            ("Highest", "-elevation_ft"),
            ("Lowest", "elevation_ft"),
            ("Northernmost", "-lat"),
            ("Southernmost", "lat"),
        )
        if (first := airports.order_by(order, "pk").first())
    ]
    return CountryStatistics(
        country=country,
        extremes=extremes,
        regions=_groups(airports.exclude(subd=""), "subd"),
        time_zones=_groups(airports, "tz"),
        airports=figures["airports"],
        with_iata=figures["with_iata"],
        elevation_mean_ft=figures["elevation_mean_ft"],
    )


def search_words(text: str) -> tuple[str, ...]:
    """A query's words, folded, in order and without repeats, so that equal queries share a key.

    Only the first 80 characters count: the work of a search grows with its words.
    """
    return tuple(sorted({_folded(word) for word in text[:SEARCH_CHARACTERS_MAX].split()}))


def search_airports(words: Sequence[str]) -> SearchResult:
    """Airports that contain every word in some field, the best matches first."""
    found = Airport.objects.all()
    for word in words:
        anywhere = Q()
        for field in SEARCH_FIELDS:
            anywhere |= Q(**{f"{field}__icontains": word})
        found = found.filter(anywhere)
    rows = [airport.row() for airport in found]
    best = heapq.nsmallest(
        SEARCH_RESULTS_MAX, rows, key=lambda row: (-_score(row, words), row["name"], row["icao"])
    )
    airports = [
        Found(
            icao=row["icao"],
            iata=row["iata"],
            name=row["name"],
            city=row["city"],
            country=row["country"],
        )
        for row in best
    ]
    return SearchResult(total=len(rows), airports=airports)


def matches(row: AirportRow, words: Sequence[str]) -> bool:
    """Whether a search for these words finds this airport: what the database would say."""
    texts = [_folded(row[field]) for field in SEARCH_FIELDS]  # type: ignore[literal-required]
    return all(any(word in text for text in texts) for word in words)


def _folded(text: str) -> str:
    """Lower case as SQLite's LIKE sees it: ASCII letters only."""
    return text.translate(ASCII_LOWER)


def _score(row: AirportRow, words: Sequence[str]) -> int:
    """How well an airport answers: codes before cities before names, IATA ones first."""
    score = 1 if row["iata"] else 0
    for word in words:
        if word in (_folded(row["icao"]), _folded(row["iata"])):
            score += 16
        elif _folded(row["city"]).startswith(word):
            score += 8
        elif _folded(row["name"]).startswith(word):
            score += 4
        elif word in _folded(row["name"]):
            score += 2
    return score


def _groups(airports: QuerySet[Airport], field: str) -> list[tuple[str, int]]:
    """The most frequent values of a field with their number of airports."""
    counts = airports.values_list(field).annotate(airports=Count("pk"))
    return list(counts.order_by("-airports", field)[:GROUPS_MAX])
