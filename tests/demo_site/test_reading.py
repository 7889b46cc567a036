"""A cached read: MISS, then HIT, and never an old value after an edit that overtook it."""

from __future__ import annotations

import pytest
from django.core.cache import cache
from pytest_django import Settings

from demo_site import invalidation, keys
from demo_site.models import Airport, AirportRow
from demo_site.queries import airport_row
from demo_site.reading import Reader

pytestmark = pytest.mark.django_db


def test_miss_then_hit(server: str) -> None:
    reader = Reader()
    assert reader.read("k", lambda: {"a": [1, None]}, 60) == {"a": [1, None]}
    assert reader.read("k", lambda: {"a": "not called"}, 60) == {"a": [1, None]}
    miss, hit = reader.readings
    assert [miss.outcome, hit.outcome] == ["MISS", "HIT"]
    assert miss.key == hit.key == "demo:1:k"
    assert miss.ttl_s == 60
    assert hit.ttl_s is not None
    assert 55 <= hit.ttl_s <= 60


def test_queries_of_the_miss_are_counted(server: str, airports: list[Airport]) -> None:
    reader = Reader()
    for _ in range(2):
        reader.read("k", lambda: airport_row("EDDF"), 60)
    assert [reading.queries for reading in reader.readings] == [1, 0]


def test_none_is_not_kept(server: str) -> None:
    reader = Reader()
    assert reader.read("k", lambda: None, 60) is None
    assert reader.readings[0].ttl_s is None
    assert cache.get("k", "nothing") == "nothing"


def test_switched_off_nothing_is_read_or_kept(server: str, settings: Settings) -> None:
    settings.DEMO_CACHE_PAGES = False
    cache.set("k", "cached")
    reader = Reader()
    assert reader.read("k", lambda: "fresh", 60) == "fresh"
    assert reader.readings[0].outcome == "OFF"
    assert cache.get("k") == "cached"


def test_a_reader_overtaken_by_an_edit_keeps_nothing(server: str, airports: list[Airport]) -> None:
    def compute() -> AirportRow | None:
        before = airport_row("EDDF")
        assert before is not None
        Airport.objects.filter(pk="EDDF").update(name="Renamed")
        invalidation.airport_edited(before, {**before, "name": "Renamed"})
        return before

    reader = Reader()
    reader.read(keys.airport("EDDF"), compute, 60)
    assert reader.readings[0].ttl_s is None
    assert cache.get(keys.airport("EDDF")) is None


def test_a_reader_that_fails_leaves_nothing(server: str) -> None:
    def compute() -> str:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        Reader().read("k", compute, 60)
    assert cache.get("k") is None
