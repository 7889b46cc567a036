"""The pages on both servers: HIT, MISS, edits, what is not there, and a server that is away."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.core.cache import cache
from django.test import Client
from pytest_django import Settings

from demo_site.models import Airport
from demo_site.server import safe_url
from tests.redis_server import HOST, free_port

PAGES = [
    ("/", "MISS"),
    ("/countries/", "MISS"),
    ("/countries/de/", "MISS"),
    ("/search/?q=paris", "MISS"),
    ("/airports/eddf/", "MISS, MISS"),
]


def form(icao: str, **changes: Any) -> dict[str, Any]:
    """The edit form of an airport as a browser sends it back, with changes."""
    airport = Airport.objects.get(pk=icao)
    return {**{name: value for name, value in airport.row().items() if name != "icao"}, **changes}


@pytest.mark.parametrize(("path", "first"), PAGES)
def test_a_page_is_a_miss_and_then_a_hit(
    site: Client, cache_url: str, path: str, first: str
) -> None:
    responses = [site.get(path) for _ in range(2)]
    assert [response.status_code for response in responses] == [200, 200]
    assert responses[0].headers["X-Cache"] == first
    assert responses[1].headers["X-Cache"] == first.replace("MISS", "HIT")
    miss, hit = (response.content.decode() for response in responses)
    assert ">MISS</dd>" in miss
    assert ">HIT</dd>" in hit
    for page in (miss, hit):
        assert re.search(r"<code>demo:1:[a-z]+", page)
        assert re.search(r"<dd>\d+\.\d\d ms</dd>", page)
        assert re.search(r"<dd>\d+ s</dd>", page)
        assert safe_url(cache_url) in page


def test_hit_and_miss_show_the_same(site: Client) -> None:
    for path, _ in PAGES:
        miss, hit = (
            re.search(rb"<main.*</main>", site.get(path).content, re.DOTALL) for _ in range(2)
        )
        assert miss is not None
        assert hit is not None
        assert miss[0] == hit[0]


def test_an_edit_is_seen_at_once(site: Client) -> None:
    for path in ["/airports/EDDF/", "/airports/EDFE/", "/countries/US/", "/countries/DE/"]:
        site.get(path)
    page = site.get("/airports/EDDF/edit/")
    assert b"Frankfurt am Main International Airport" in page.content
    response = site.post("/airports/EDDF/edit/", form("EDDF", name="Rhein-Main"), follow=True)
    assert response.redirect_chain == [("/airports/EDDF/", 302)]
    assert response.headers["X-Cache"] == "MISS, HIT"  # it did not move: its own list still holds
    text = response.content.decode()
    assert "<h1>Rhein-Main</h1>" in text
    told = re.search(r"Deleted from the cache: ([^<]*)\.</p>", text)
    assert told is not None
    assert {"airport:EDDF", "country:DE", "nearest:EDFE"} <= set(told[1].split(", "))
    neighbour = site.get("/airports/EDFE/")
    assert neighbour.headers["X-Cache"] == "HIT, MISS"
    assert "Rhein-Main" in neighbour.content.decode()
    assert site.get("/countries/US/").headers["X-Cache"] == "HIT"
    assert site.get("/airports/EDDF/").headers["X-Cache"] == "HIT, HIT"


def test_saving_without_a_change_deletes_nothing(site: Client) -> None:
    site.get("/airports/EDDF/")
    response = site.post("/airports/EDDF/edit/", form("EDDF"), follow=True)
    assert response.headers["X-Cache"] == "HIT, HIT"
    assert "Nothing changed" in response.content.decode()


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"lat": 91}, "less than or equal to 90"),
        ({"lat": "nan"}, "Enter a number"),
        ({"country": "Germany"}, "at most 2 characters"),
        ({"country": "de"}, "Two capital letters"),
        ({"tz": "Mars/Olympus"}, "No such time zone"),
        ({"name": ""}, "This field is required"),
    ],
)
def test_a_wrong_edit_changes_nothing(site: Client, changes: dict[str, Any], error: str) -> None:
    site.get("/airports/EDDF/")
    before = Airport.objects.get(pk="EDDF").row()
    response = site.post("/airports/EDDF/edit/", form("EDDF", **changes))
    assert response.status_code == 422
    assert error in response.content.decode()
    assert Airport.objects.get(pk="EDDF").row() == before
    assert site.get("/airports/EDDF/").headers["X-Cache"] == "HIT, HIT"


@pytest.mark.parametrize(
    "path",
    [
        "/airports/ZZZZ/",
        "/airports/EDDFX/",
        "/airports/%C3%A4/",
        "/airports/ZZZZ/edit/",
        "/countries/XX/",
        "/countries/GER/",
        "/countries/%C3%9F%C3%9F/",
        "/nothing/",
    ],
)
def test_what_is_not_there_is_a_404_and_not_kept(site: Client, path: str) -> None:
    for _ in range(2):
        response = site.get(path)
        assert response.status_code == 404
        assert "There is no such airport" in response.content.decode()


@pytest.mark.parametrize("query", ["", "   ", "%00", "%F0%9F%98%80", "'%22%3E<script>", "x" * 5000])
def test_any_query_is_answered(site: Client, query: str) -> None:
    response = site.get(f"/search/?q={query}")
    assert response.status_code == 200
    assert b"<script" not in response.content


def test_nothing_inline_and_nothing_from_elsewhere(site: Client) -> None:
    for path in [path for path, _ in PAGES] + ["/airports/EDDF/edit/"]:
        response = site.get(path)
        policy = response.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        text = response.content.decode()
        assert not re.search(r"<script|<style|\sstyle=|\son\w+=", text)
        assert not re.search(r"(src|href)=\"(https?:)?//", text)
        assert response.headers["Server-Timing"].startswith("total;dur=")


def test_an_edit_needs_the_token(server: str, airports: list[Airport]) -> None:
    visitor = Client(enforce_csrf_checks=True)
    assert visitor.post("/airports/EDDF/edit/", form("EDDF", name="Forged")).status_code == 403
    assert Airport.objects.get(pk="EDDF").name != "Forged"


def test_views_are_ranked_on_the_first_page(site: Client) -> None:
    for icao in ["EDDF", "LSZH", "LSZH"]:
        site.get(f"/airports/{icao}/")
    text = site.get("/").content.decode()
    ranking = text[text.index("Most viewed") : text.index("Recently viewed")]
    assert ranking.index("LSZH") < ranking.index("EDDF")


def test_clear_makes_pages_a_miss_and_keeps_the_ranking(site: Client) -> None:
    site.get("/airports/LSZH/")
    cache.clear()
    assert "Zurich Airport" in site.get("/").content.decode()
    assert site.get("/airports/LSZH/").headers["X-Cache"] == "MISS, MISS"


@pytest.fixture
def away(settings: Settings, airports: list[Airport]) -> Client:
    """A visitor of the demo whose server cannot be reached."""
    served = settings.CACHES["default"]
    settings.CACHES = {
        "default": {
            **served,
            "LOCATION": f"redis://{HOST}:{free_port()}/0",
            "OPTIONS": {"IGNORE_EXCEPTIONS": True, "SOCKET_CONNECT_TIMEOUT": 1},
        }
    }
    return Client()


def test_pages_without_a_server_are_slow_not_broken(away: Client) -> None:
    for path, first in PAGES:
        for _ in range(2):
            response = away.get(path)
            assert response.status_code == 200
            assert response.headers["X-Cache"] == first
            assert "not kept" in response.content.decode()


def test_an_edit_without_a_server_says_what_that_means(away: Client) -> None:
    response = away.post("/airports/EDDF/edit/", form("EDDF", name="Saved anyway"), follow=True)
    text = response.content.decode()
    assert "the cache server cannot be reached" in text
    assert "<h1>Saved anyway</h1>" in text
