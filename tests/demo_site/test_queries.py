"""The computed answers, on the small table, against what can be seen by eye."""

from __future__ import annotations

import pytest

from demo_site import queries
from demo_site.models import Airport

pytestmark = pytest.mark.usefixtures("airports")


def test_the_nearest_come_first_and_exclude_the_airport_itself() -> None:
    nearest = queries.nearest_airports("EDDF")
    assert nearest is not None
    assert [row["icao"] for row in nearest[:3]] == ["EDFE", "ETOU", "EDFZ"]
    distances = [row["distance_km"] for row in nearest]
    assert distances == sorted(distances)
    assert len(nearest) == queries.NEAREST_COUNT
    assert distances[0] == pytest.approx(10.4, abs=0.05)


def test_what_does_not_exist_is_none() -> None:
    assert queries.nearest_airports("ZZZZ") is None
    assert queries.airport_row("ZZZZ") is None
    assert queries.country_statistics("XX") is None


def test_statistics_of_a_country() -> None:
    statistics = queries.country_statistics("CH")
    assert statistics is not None
    assert (statistics["airports"], statistics["with_iata"]) == (2, 2)
    assert statistics["elevation_mean_ft"] == pytest.approx((1416 + 1411) / 2)
    assert [(row["title"], row["icao"]) for row in statistics["extremes"]] == [
        ("Highest", "LSZH"),
        ("Lowest", "LSGG"),
        ("Northernmost", "LSZH"),
        ("Southernmost", "LSGG"),
    ]
    assert statistics["regions"] == [("Geneva", 1), ("Zurich", 1)]
    assert statistics["time_zones"] == [("Europe/Berlin", 2)]


def test_countries_are_ordered_by_size() -> None:
    counts = [(row["country"], row["airports"]) for row in queries.country_counts()]
    assert counts == [("DE", 9), ("FR", 3), ("CH", 2), ("US", 2)]


@pytest.mark.parametrize(
    ("text", "first", "total"),
    [
        ("zrh", "LSZH", 1),
        ("PARIS", "LFPG", 2),
        ("new york", "KJFK", 2),
        ("frankfurt", "EDDF", 2),
        ("100%", None, 0),
        ("o_y", None, 0),
    ],
)
def test_search_ranks_and_counts(text: str, first: str | None, total: int) -> None:
    result = queries.search_airports(queries.search_words(text))
    assert result["total"] == total
    assert [row["icao"] for row in result["airports"][:1]] == ([first] if first else [])


def test_equal_searches_have_equal_words() -> None:
    assert (
        queries.search_words("  New YORK new ")
        == ("new", "york")
        == queries.search_words("york new")
    )
    assert queries.search_words("x" * 500) == ("x" * queries.SEARCH_CHARACTERS_MAX,)


@pytest.mark.parametrize(
    "text", ["paris", "Ö", "ö", "de", "new york", "airport", "%", "50", "straß"]
)
def test_matches_says_what_the_database_says(text: str) -> None:
    Airport.objects.filter(pk="EDDK").update(city="KÖLN", name="Straße 50%")
    words = queries.search_words(text)
    found = {row.icao for row in Airport.objects.all() if queries.matches(row.row(), words)}
    assert queries.search_airports(words)["total"] == len(found)
    assert {row["icao"] for row in queries.search_airports(words)["airports"]} == found
