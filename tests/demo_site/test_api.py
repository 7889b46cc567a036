"""The limited API and the page about it, on both servers."""

from __future__ import annotations

from django.test import AsyncClient, Client

from demo_site.accounts import USERS, load_users

AIRPORT = "/api/airports/eddf/"


def test_answers_are_json_and_say_what_is_left(site: Client) -> None:
    response = site.get(AIRPORT)
    assert response.json()["iata"] == "FRA"
    assert response.headers["RateLimit-Policy"] == '"api-10s";q=5;w=10, "api-h";q=60;w=3600'
    assert response.headers["RateLimit"].startswith('"api-10s";r=4;t=')
    assert site.get("/api/countries/de/").json()["airports"] == 9
    assert site.get("/api/airports/XXXX/").status_code == 404
    assert site.get("/api/airports/EDDFX/").status_code == 404
    assert site.get("/api/countries/xx/").json() == {"title": "Not found", "status": 404}


def test_the_sixth_within_ten_seconds_is_refused(site: Client) -> None:
    answers = [site.get(AIRPORT, headers={"Accept": "application/json"}) for _ in range(6)]
    assert [answer.status_code for answer in answers] == [200] * 5 + [429]
    refused = answers[-1]
    assert refused.headers["Content-Type"] == "application/problem+json"
    assert refused.json()["violated-policies"] == ["api-10s"]
    assert 1 <= int(refused.headers["Retry-After"]) <= 20
    page = site.get(AIRPORT, headers={"Accept": "text/html"})
    assert page.status_code == 429
    assert b"Too many requests" in page.content
    assert site.get("/").status_code == 200


def test_users_and_addresses_are_counted_apart(site: Client) -> None:
    load_users()
    for _ in range(6):
        last = site.get(AIRPORT)
    assert last.status_code == 429
    assert Client(REMOTE_ADDR="198.51.100.9").get(AIRPORT).status_code == 200
    site.post("/login/", {"username": USERS[0], "password": "airports"})
    assert site.get(AIRPORT).status_code == 200


async def test_the_same_in_an_asynchronous_stack(site: Client) -> None:
    client = AsyncClient()
    # One that asks no database: the test's own belongs to another thread.
    answers = [(await client.get("/api/airports/EDDFX/")).status_code for _ in range(6)]
    assert answers == [404] * 5 + [429]


def test_the_page_says_what_the_settings_say(site: Client) -> None:
    page = site.get("/limits/").content.decode()
    assert "5/10s and 60/h" in page
    assert "http://testserver/api/airports/EDDF/" in page
