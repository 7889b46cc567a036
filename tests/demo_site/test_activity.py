"""Most viewed and recently viewed, kept in the server."""

from __future__ import annotations

import pytest

from demo_site import activity, keys
from demo_site.models import Airport
from demo_site.reading import counted_queries
from demo_site.server import cache, connection, raw_key

pytestmark = pytest.mark.usefixtures("airports", "server")


def test_views_are_counted_and_the_last_comes_first() -> None:
    for icao in ["EDDF", "LSZH", "EDDF"]:
        activity.viewed(icao)
    popular, recent = activity.popular_and_recent()
    assert [(row["icao"], views) for row, views in popular] == [("EDDF", 2), ("LSZH", 1)]
    assert [row["icao"] for row in recent] == ["EDDF", "LSZH"]


def test_the_list_is_trimmed() -> None:
    codes = list(Airport.objects.order_by("pk").values_list("pk", flat=True))
    for icao in codes:
        activity.viewed(icao)
    assert connection().llen(raw_key("recent")) == activity.SHOWN_MAX
    _, recent = activity.popular_and_recent()
    assert [row["icao"] for row in recent] == codes[: -activity.SHOWN_MAX - 1 : -1]


def test_before_the_first_view() -> None:
    assert activity.popular_and_recent() == ([], [])


def test_rows_at_hand_cost_no_query() -> None:
    activity.viewed("EDDF")
    with counted_queries() as first:
        activity.popular_and_recent()
    cache().set(keys.airport("EDDF"), Airport.objects.get(pk="EDDF").row(), 60)
    with counted_queries() as second:
        (entry, _), _ = activity.popular_and_recent()[0][0], None
    assert (first[0], second[0]) == (1, 0)
    assert entry["name"] == "Frankfurt am Main International Airport"


def test_an_airport_that_is_gone_is_left_out() -> None:
    activity.viewed("EDDF")
    activity.viewed("LSZH")
    Airport.objects.filter(pk="EDDF").delete()
    popular, recent = activity.popular_and_recent()
    assert [row["icao"] for row, _ in popular] == [row["icao"] for row in recent] == ["LSZH"]
