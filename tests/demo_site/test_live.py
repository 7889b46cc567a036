"""Pages that keep themselves fresh: what is watched for a page, and what a browser is told."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from asgiref.sync import sync_to_async
from asgiref.testing import ApplicationCommunicator
from django.contrib.staticfiles import finders
from django.test import AsyncClient, Client
from pytest_django import Settings

from demo_site import invalidation, keys
from demo_site.asgi import application
from demo_site.consumers import MESSAGE_SIZE_MAX, Live, keys_on
from demo_site.models import Airport
from tests.contract.visitor import SOON_S, Visitor
from tests.demo_site.test_views import form


@pytest.mark.parametrize(
    ("page", "watched"),
    [
        ("/", [keys.COUNTRIES]),
        ("/countries/", [keys.COUNTRIES]),
        ("/countries/de/", ["country:DE"]),
        ("/airports/eddf/?x=y", ["airport:EDDF", "nearest:EDDF"]),
        ("/search/?q=Paris+air", [keys.search(("air", "paris"))]),
        ("/search/?q=", []),
        ("/search/", []),
        ("/airports/EDDF/edit/", []),
        ("/sessions/", []),
        ("/nowhere/", []),
        ("airport:EDDF", []),
    ],
)
def test_what_is_on_a_page(page: str, watched: list[str]) -> None:
    assert keys_on(page) == watched


@pytest.fixture
def announcing(server: str, settings: Settings, transactional_db: None) -> str:
    """The demo's cache as its settings make it, on either server; the URL."""
    options = {"ANNOUNCE": True}
    if not server.startswith("memory:"):
        options["NEAR_CACHE"] = {"bound": 2.0}  # type: ignore[assignment]
    settings.CACHES = {"default": {**settings.CACHES["default"], "OPTIONS": options}}
    return server


@pytest_asyncio.fixture
async def live(announcing: str, airports: list[Airport]) -> AsyncIterator[Visitor]:
    """A browser's connection."""
    async with Visitor(Live) as visitor:
        yield visitor


async def watches(live: Visitor, page: str, edits: str = "0") -> None:
    """Say which page it is, and wait until it is watched."""
    await live.say({"page": page, "edits": edits})
    assert (await live.reads())["said"] == "watching"


def edit(icao: str, **changes: Any) -> None:
    """As a visitor does it."""
    response = Client().post(f"/airports/{icao}/edit/", form(icao, **changes))
    assert response.status_code == 302


@pytest.mark.parametrize(
    "page", ["/airports/EDDF/", "/airports/EDFE/", "/search/?q=frankfurt", "/countries/DE/"]
)
async def test_an_edit_is_told_to_each_page_that_shows_it(live: Visitor, page: str) -> None:
    await AsyncClient().get(page)  # so that there is something to invalidate
    await watches(live, page)
    await sync_to_async(edit)("EDDF", name="Frankfurt Rhein-Main")
    assert await live.reads() == {"said": "changed"}  # and no name of a key


async def test_a_page_that_is_asked_for_anew_is_not_told_of_its_own_fill(live: Visitor) -> None:
    await watches(live, "/airports/EDDF/")
    await sync_to_async(edit)("EDDF", name="Rhein-Main")
    assert await live.reads() == {"said": "changed"}
    page = await AsyncClient().get("/airports/EDDF/")
    assert page.headers["X-Cache"] == "MISS, MISS"
    assert await live.receive_nothing(0.1)


async def test_an_edit_elsewhere_is_not_told(live: Visitor) -> None:
    await watches(live, "/airports/KJFK/")
    await sync_to_async(edit)("LFPG", name="Roissy")
    await sync_to_async(edit)("KLGA", name="LaGuardia")  # on the other's list, if that was cached
    await sync_to_async(edit)("KJFK", name="Idlewild")
    assert await live.reads() == {"said": "changed"}
    assert await live.receive_nothing(0.01)


async def test_an_edit_before_the_page_was_watched_is_told(live: Visitor) -> None:
    page = await AsyncClient().get("/airports/EDDF/")
    assert b'data-edits="0"' in page.content
    await sync_to_async(edit)("LFPG", name="Roissy")
    await watches(live, "/airports/EDDF/", "0")
    assert await live.reads() == {"said": "changed"}


async def test_near_copies_make_a_page_after_an_edit_doubtful(
    live: Visitor, announcing: str
) -> None:
    await sync_to_async(edit)("LFPG", name="Roissy")
    await watches(live, "/airports/EDDF/", "1")
    is_doubtful = not announcing.startswith("memory:")
    await sync_to_async(edit)("EDDF", name="Rhein-Main")
    assert await live.reads() == {"said": "changed"}
    assert await sync_to_async(invalidation.edited_since)("2") is is_doubtful


@pytest.mark.parametrize(
    "said",
    [
        "",
        "no json",
        "[]",
        '{"page": "/"}',
        '{"page": 1, "edits": "0"}',
        " " * MESSAGE_SIZE_MAX + "{}",
    ],
)
async def test_what_is_no_message_of_ours_ends_the_connection(live: Visitor, said: str) -> None:
    await live.send_input({"type": "websocket.receive", "text": said})
    assert await live.receive_output(SOON_S) == {"type": "websocket.close", "code": 1008}


async def test_who_is_away_from_the_server_watches_all_the_same(
    live: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_edits: str) -> bool:
        raise ConnectionResetError

    monkeypatch.setattr(invalidation, "edited_since", fail)
    monkeypatch.setattr("demo_site.consumers.UNUSABLE", (ConnectionResetError,))
    await watches(live, "/airports/EDDF/")
    await sync_to_async(edit)("EDDF", name="Rhein-Main")
    assert await live.reads() == {"said": "changed"}


@pytest.mark.parametrize(
    ("origin", "answer"),
    [(b"http://127.0.0.1:8000", "websocket.accept"), (b"http://evil.example", "websocket.close")],
)
async def test_pages_of_other_sites_may_not_listen(
    announcing: str, origin: bytes, answer: str
) -> None:
    class Site:
        """The whole application, as Visitor takes a consumer."""

        as_asgi = staticmethod(lambda: application)

    visitor = Visitor(Site, path="/live/", headers=[(b"origin", origin)], query_string=b"")
    await visitor.send_input({"type": "websocket.connect"})
    assert (await visitor.receive_output(SOON_S))["type"] == answer
    await visitor.__aexit__()


async def test_the_script_is_there_where_websockets_are(
    announcing: str, airports: list[Airport]
) -> None:
    page = await AsyncClient().get("/")
    assert b"live.js" in page.content
    policy = page.headers["Content-Security-Policy"]
    assert "script-src 'self'" in policy
    assert "connect-src 'self' ws://testserver wss://testserver" in policy
    plain = await sync_to_async(Client().get)("/")
    assert b"live.js" not in plain.content
    assert b"data-edits" not in plain.content


async def test_a_refresh_is_not_another_view(announcing: str, airports: list[Airport]) -> None:
    visitor = AsyncClient()
    await visitor.get("/airports/EDDF/")
    await visitor.get("/airports/EDDF/", headers={"X-Live": "1"})
    home = (await visitor.get("/")).content.decode()
    assert '<span class="count">1</span>' in home


@pytest.mark.parametrize(
    ("name", "since", "status"),
    [
        ("live.js", b"", 200),
        ("live.js", b"Fri, 01 Jan 2100 00:00:00 GMT", 304),
        ("nothing.js", b"", 404),
    ],
)
async def test_files(db: None, name: str, since: bytes, status: int) -> None:
    address = f"/static/demo_site/{name}"
    headers = [(b"host", b"127.0.0.1"), (b"if-modified-since", since)]
    scope = {"type": "http", "method": "GET", "path": address, "headers": headers}
    browser = ApplicationCommunicator(application, {**scope, "query_string": b""})
    await browser.send_input({"type": "http.request", "body": b""})
    assert (await browser.receive_output(SOON_S))["status"] == status
    content = (await browser.receive_output(SOON_S))["body"]
    await browser.wait(SOON_S)
    if status == 200:
        assert content == find(f"demo_site/{name}").read_bytes()


def find(name: str) -> Path:
    found = finders.find(name)
    assert found is not None
    return Path(found)
