"""After any edit no cached value differs from a fresh one, and what was right stays cached."""

from __future__ import annotations

import random
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from django.core.cache import cache

from demo_site import invalidation, keys, queries
from demo_site.models import Airport, AirportRow
from demo_site.reading import Reader
from demo_site.server import connection, raw_key

SEARCHES = ["paris", "airport", "de", "hesse", "zrh", "new york", "nowhere", "renamed"]
Fresh = dict[str, Callable[[], Any]]


def fill() -> Fresh:
    """Cache everything there is; how to compute each value anew."""
    reader = Reader()
    fresh: Fresh = {}

    def read(name: str, compute: Callable[[], Any], register: Any = None) -> None:
        fresh[name] = compute
        reader.read(name, compute, 600, register)

    read(keys.COUNTRIES, queries.country_counts)
    for country in ["DE", "FR", "CH", "US", "AT"]:
        read(keys.country(country), partial(queries.country_statistics, country))
    for icao in Airport.objects.values_list("pk", flat=True):
        read(keys.airport(icao), partial(queries.airport_row, icao))
        note = partial(invalidation.register_nearest, icao)
        read(keys.nearest(icao), partial(queries.nearest_airports, icao), note)
    for text in SEARCHES:
        words = queries.search_words(text)
        search = partial(queries.search_airports, words)
        read(keys.search(words), search, lambda _, words=words: invalidation.register_search(words))
    return fresh


def edit(icao: str, **changes: Any) -> list[str]:
    """Change an airport as the edit form does; the deleted names."""
    airport = Airport.objects.get(pk=icao)
    old = airport.row()
    for field, value in changes.items():
        setattr(airport, field, value)
    airport.save()
    return invalidation.airport_edited(old, airport.row())


def wrong(fresh: Fresh, values: dict[str, Any]) -> set[str]:
    """The names whose cached value is not what would be computed now."""
    return {name for name, value in values.items() if value != fresh[name]()}


@pytest.mark.usefixtures("airports", "server")
class TestWhatAnEditDeletes:
    """Each kind of edit deletes exactly the values that it made wrong."""

    @pytest.mark.parametrize(
        ("icao", "changes", "needless"),
        [
            ("LFPG", {"name": "Renamed Airport"}, set()),
            ("LFPG", {"elevation_ft": 4000.0}, set()),
            ("EDDM", {"lat": 50.0, "lon": 8.5}, set()),
            ("KLGA", {"country": "AT"}, set()),
            ("EDDB", {"iata": "TXL", "city": "Berlin West"}, set()),
            ("EDFE", {"iata": "QEF"}, set()),
            ("EDFE", {"tz": "Europe/Paris"}, set()),
            # A latitude shows in a country's statistics, though not this airport's.
            ("EDDS", {"lat": 48.8}, {"country:DE"}),
        ],
    )
    def test_exactly(self, icao: str, changes: dict[str, Any], needless: set[str]) -> None:
        fresh = fill()
        before = cache.get_many(list(fresh))
        deleted = edit(icao, **changes)
        made_wrong = wrong(fresh, before)
        assert keys.airport(icao) in made_wrong
        assert made_wrong <= set(deleted)
        left = cache.get_many(list(fresh))
        assert left.keys() == before.keys() - set(deleted)
        assert not wrong(fresh, left)
        assert (set(deleted) & before.keys()) - made_wrong == needless

    def test_an_edit_that_changes_nothing(self) -> None:
        fresh = fill()
        assert edit("EDDF", name=Airport.objects.get(pk="EDDF").name) == []
        assert len(cache.get_many(list(fresh))) == len(fresh) - 1  # AT has no airports

    def test_many_edits_leave_nothing_stale(self) -> None:
        chance = random.Random(7)
        fill()
        for _ in range(12):
            icao = chance.choice(list(Airport.objects.values_list("pk", flat=True)))
            changes: dict[str, Any] = {
                "lat": chance.uniform(40, 54),
                "lon": chance.uniform(2, 14),
                "name": chance.choice(["Renamed", "Paris Airfield", "Nowhere"]),
                "country": chance.choice(["DE", "FR", "AT"]),
                "elevation_ft": chance.uniform(0, 5000),
            }
            edit(icao, **{name: changes[name] for name in chance.sample(sorted(changes), 2)})
            fresh = fill()
            assert not wrong(fresh, cache.get_many(list(fresh)))

    def test_a_list_that_is_not_full_takes_any_newcomer(self) -> None:
        Airport.objects.exclude(country="CH").exclude(pk="KJFK").delete()
        fresh = fill()
        deleted = edit("KJFK", lat=-40.0)
        assert {keys.nearest("LSZH"), keys.nearest("LSGG"), keys.nearest("KJFK")} <= set(deleted)
        assert not wrong(fresh, cache.get_many(list(fresh)))


def row(**changes: Any) -> AirportRow:
    """Some airport."""
    base = AirportRow(
        icao="XXXX",
        iata="",
        name="A",
        city="B",
        subd="C",
        country="DE",
        elevation_ft=1.0,
        lat=1.0,
        lon=1.0,
        tz="UTC",
    )
    return {**base, **changes}  # type: ignore[typeddict-item]


def test_searches_are_bounded(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(invalidation, "SEARCHES_MAX", 3)
    for number in range(5):
        words = (f"w{number}",)
        invalidation.register_search(words)
        cache.set(keys.search(words), number)
    assert connection().zcard(raw_key("searches")) == 3
    kept = [number for number in range(5) if cache.get(keys.search((f"w{number}",))) is not None]
    assert kept == [2, 3, 4]


@pytest.mark.django_db
def test_everything_changed_deletes_pages_and_counts_as_an_edit(server: str) -> None:
    before = invalidation.edits_seen()
    cache.set(keys.airport("XXXX"), row())
    invalidation.everything_changed()
    assert cache.get(keys.airport("XXXX")) is None
    assert invalidation.edits_seen() != before


def test_an_equal_row_is_no_edit(server: str) -> None:
    assert invalidation.airport_edited(row(), row()) == []
    assert invalidation.edits_seen() is None
