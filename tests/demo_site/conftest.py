"""The demo on a small table, on either server: the engine in this process and a real redis-server.

The airports are real ones, few enough that a test can compare every cached value with a fresh one.
"""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.test import Client
from pytest_django import Settings

from cacheapp.engine.engine import Engine
from demo_site import settings as demo_settings
from demo_site.models import Airport, AirportRow
from tests.demo_site.processes import small_table

_numbers = itertools.count(1)

AIRPORTS = """
EDDF|FRA|Frankfurt am Main International Airport|Frankfurt am Main|Hesse|DE|364|50.0264|8.54313
EDFE||Frankfurt-Egelsbach Airport|Egelsbach|Hesse|DE|385|49.96|8.64583
ETOU|UWE|Wiesbaden Army Airfield|Wiesbaden|Hesse|DE|461|50.0498|8.3254
EDFZ||Mainz-Finthen Airport|Mainz|Rhineland-Palatinate|DE|525|49.9691|8.14764
EDDM|MUC|Munich International Airport|Munich|Bavaria|DE|1487|48.3538|11.7861
EDDB|BER|Berlin Brandenburg Airport|Berlin|Brandenburg|DE|157|52.3514|13.4939
EDDH|HAM|Hamburg Airport|Hamburg|Hamburg|DE|53|53.6304|9.98823
EDDS|STR|Stuttgart Airport|Stuttgart|Baden-Wuerttemberg|DE|1276|48.6899|9.22196
EDDK|CGN|Cologne Bonn Airport|Cologne|North Rhine-Westphalia|DE|302|50.8659|7.14274
LFPG|CDG|Charles de Gaulle International Airport|Paris|Ile-de-France|FR|392|49.0128|2.55
LFPO|ORY|Paris-Orly Airport|Paris|Ile-de-France|FR|291|48.7253|2.35944
LFST|SXB|Strasbourg-Entzheim Airport|Strasbourg|Grand Est|FR|505|48.5383|7.62823
LSZH|ZRH|Zurich Airport|Zurich|Zurich|CH|1416|47.4647|8.54917
LSGG|GVA|Geneva Cointrin International Airport|Geneva|Geneva|CH|1411|46.2381|6.10895
KJFK|JFK|John F Kennedy International Airport|New York|New York|US|13|40.6399|-73.7787
KLGA|LGA|La Guardia Airport|New York|New York|US|21|40.7772|-73.8726
"""


@pytest.fixture(params=["engine", "redis"])
def cache_url(request: pytest.FixtureRequest) -> Iterator[str]:
    """An empty server's URL: an engine of the test's own, then the session's redis-server."""
    if request.param == "redis":
        yield request.getfixturevalue("redis_server").url()
        return
    name = f"demo-{next(_numbers)}"
    yield f"memory://{name}"
    Engine.discard(name)


def rows() -> list[AirportRow]:
    """Sixteen airports."""
    found = []
    for line in AIRPORTS.strip().splitlines():
        icao, iata, name, city, subd, country, elevation, lat, lon = line.split("|")
        found.append(
            AirportRow(
                icao=icao,
                iata=iata,
                name=name,
                city=city,
                subd=subd,
                country=country,
                elevation_ft=float(elevation),
                lat=float(lat),
                lon=float(lon),
                tz="America/New_York" if country == "US" else "Europe/Berlin",
            )
        )
    return found


@pytest.fixture
def airports(db: None) -> list[Airport]:
    """The table: sixteen airports."""
    return Airport.objects.bulk_create([Airport(**row) for row in rows()])


@pytest.fixture(scope="session")
def small_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database file of the demo with the sixteen, to be copied."""
    folder = tmp_path_factory.mktemp("small")
    small_table(folder, rows())
    return folder / "demo.sqlite3"


@pytest.fixture
def small_folder(small_database: Path, tmp_path: Path) -> Path:
    """A folder for a demo that has only the sixteen airports, and so starts at once."""
    folder = tmp_path / "var"
    folder.mkdir()
    shutil.copy(small_database, folder)
    return folder


@pytest.fixture
def server(cache_url: str, settings: Settings) -> str:
    """The demo's cache on that server; the URL."""
    served = {**settings.CACHES["default"], "LOCATION": cache_url, "KEY_PREFIX": "demo"}
    settings.CACHES = {"default": served}
    settings.SESSION_ENGINE = demo_settings.SESSION_ENGINE
    settings.CACHEAPP = demo_settings.CACHEAPP
    return cache_url


@pytest.fixture
def site(server: str, airports: list[Airport]) -> Client:
    """A visitor of the demo."""
    return Client()
