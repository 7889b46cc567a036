"""Sessions over requests on both servers, in sync and async stacks, and sessions from elsewhere."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from importlib import import_module
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.contrib.auth import SESSION_KEY
from django.contrib.sessions.models import Session
from django.http import HttpRequest, HttpResponse
from django.test import AsyncClient, AsyncRequestFactory, Client
from django.urls import path

from cacheapp.cache.servers import server_of
from cacheapp.sessions import SessionStore, elsewhere, revoke, sessions_of
from cacheapp.sessions.middleware import SessionMiddleware
from cacheapp.sessions.places import state
from tests.cache.aliases import maker
from tests.contract.conftest import Server

Get = Callable[..., Awaitable[Any]]


def show(request: HttpRequest) -> HttpResponse:
    for name, value in request.GET.items():
        request.session[name] = value
    return HttpResponse(repr(sorted(request.session.items())))


async def ashow(request: HttpRequest) -> HttpResponse:
    for name, value in request.GET.items():
        await request.session.aset(name, value)
    return HttpResponse(repr(sorted(await request.session.aitems())))


async def alogout(request: HttpRequest) -> HttpResponse:
    await request.session.aflush()
    return HttpResponse("out")


async def arevoked(request: HttpRequest) -> HttpResponse:
    await request.session.aset("late", 1)
    await SessionStore(request.session.session_key).adelete()
    return HttpResponse("never seen")


async def afails(request: HttpRequest) -> HttpResponse:
    await request.session.aset("a", "unsaved")
    return HttpResponse(status=500)


async def aplain(_request: HttpRequest) -> HttpResponse:
    return HttpResponse("plain")


urlpatterns = [
    path("show/", show),
    path("ashow/", ashow),
    path("alogout/", alogout),
    path("arevoked/", arevoked),
    path("afails/", afails),
    path("aplain/", aplain),
]


@pytest.fixture(autouse=True)
def site(server: Server, settings: Any) -> None:
    maker(settings)(server.url)
    settings.ROOT_URLCONF = __name__
    settings.SESSION_ENGINE = "cacheapp.sessions"
    settings.MIDDLEWARE = ["cacheapp.sessions.middleware.SessionMiddleware"]


@pytest.fixture(params=["sync", "async"])
def get(request: pytest.FixtureRequest) -> Get:
    """A function that sends a GET through the stack, from one client."""
    client, aclient = Client(), AsyncClient()

    async def get_(url: str, **extra: Any) -> Any:
        if request.param == "async":
            response = await aclient.get(url.replace("/show", "/ashow"), **extra)
        else:
            response = await sync_to_async(client.get)(url, **extra)
        return response

    get_.cookies = aclient.cookies if request.param == "async" else client.cookies  # type: ignore[attr-defined]
    return get_


async def test_a_session_over_requests(get: Any) -> None:
    first = await get("/show/?a=1")
    cookie = first.cookies["sessionid"]
    assert cookie["httponly"]
    assert cookie["samesite"] == "Lax"
    assert cookie["max-age"] == 1_209_600
    assert first["Vary"] == "Cookie"
    second = await get("/show/")
    assert second.content == b"[('a', '1')]"
    assert "sessionid" not in second.cookies
    third = await get("/show/?b=2")
    assert third.content == b"[('a', '1'), ('b', '2')]"


async def test_a_request_that_does_not_look_costs_nothing(get: Any) -> None:
    await get("/show/?a=1")
    client = server_of("default").client()
    client.execute_command("CONFIG", "RESETSTAT")
    response = await get("/aplain/")
    assert "Vary" not in response
    assert not {"cmdstat_hgetall", "cmdstat_evalsha"} & set(client.info("commandstats"))


async def test_every_request_saves_if_asked_to(get: Any, settings: Any) -> None:
    settings.SESSION_SAVE_EVERY_REQUEST = True
    await get("/show/?a=1")
    response = await get("/show/")
    assert "sessionid" in response.cookies


async def test_address_and_user_agent(get: Any) -> None:
    await get(f"/show/?{SESSION_KEY}=5", headers={"User-Agent": "a browser"})
    (info,) = sessions_of(5)
    assert (info.address, info.user_agent) == ("127.0.0.1", "a browser")
    assert revoke(5, info.id)
    assert (await get("/show/")).content == b"[]"


async def test_async_logout_takes_the_cookie_away() -> None:
    client = AsyncClient()
    await client.get("/ashow/?a=1")
    response = await client.get("/alogout/")
    assert response.cookies["sessionid"]["max-age"] == 0
    assert not list(server_of("default").client().scan_iter(count=1000))


async def test_a_session_ended_during_the_request() -> None:
    client = AsyncClient()
    await client.get("/ashow/?a=1")
    response = await client.get("/arevoked/")
    assert response.status_code == 400
    assert not list(server_of("default").client().scan_iter(count=1000))


async def test_an_error_saves_nothing() -> None:
    client = AsyncClient(raise_request_exception=False)
    await client.get("/ashow/?a=1")
    await client.get("/afails/")
    assert (await client.get("/ashow/")).content == b"[('a', '1')]"


async def test_an_async_stack_has_no_thread_hop(monkeypatch: pytest.MonkeyPatch) -> None:
    async def refuse(*_args: Any, **_kwargs: Any) -> Any:
        raise AssertionError("a thread hop")

    middleware: Any = SessionMiddleware(ashow)  # type: ignore[arg-type]
    monkeypatch.setattr("asgiref.sync.SyncToAsync.__call__", refuse)
    first = await middleware(AsyncRequestFactory().get("/ashow/?a=1"))
    request = AsyncRequestFactory().get("/ashow/?b=2")
    request.COOKIES["sessionid"] = first.cookies["sessionid"].value
    assert (await middleware(request)).content == b"[('a', '1'), ('b', '2')]"


# Sessions from elsewhere


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("engine", ["db", "cache", "cached_db"])
async def test_nobody_is_logged_out_by_the_move(get: Any, settings: Any, engine: str) -> None:
    former = f"django.contrib.sessions.backends.{engine}"
    settings.CACHEAPP = {"SESSIONS": {"MIGRATE_FROM": former}}
    old = import_module(former).SessionStore()
    old[SESSION_KEY] = "5"
    await sync_to_async(old.save)()
    get.cookies["sessionid"] = old.session_key
    response = await get("/show/?a=1")
    assert response.content == b"[('_auth_user_id', '5'), ('a', '1')]"
    assert not await sync_to_async(old.exists)(old.session_key)
    assert SessionStore(old.session_key)["a"] == "1"
    assert len(sessions_of(5)) == 1
    assert (await get("/show/")).content == response.content


@pytest.mark.django_db(transaction=True)
async def test_the_database_brings_back_what_the_server_lost(get: Any, settings: Any) -> None:
    settings.CACHEAPP = {"SESSIONS": {"DATABASE": True}}
    await get(f"/show/?a=1&{SESSION_KEY}=5")
    key = get.cookies["sessionid"].value
    row = await Session.objects.aget()
    assert row.session_key == state().name(key)
    server_of("default").client().flushall()
    assert (await get("/show/?b=2")).content == (
        b"[('_auth_user_id', '5'), ('a', '1'), ('b', '2')]"
    )
    assert SessionStore(key)["b"] == "2"
    (info,) = sessions_of(5)
    assert await sync_to_async(revoke)(5, info.id)
    assert not await Session.objects.aexists()
    assert (await get("/show/")).content == b"[]"


@pytest.mark.django_db(transaction=True)
async def test_the_database_forgets_a_key_that_was_cycled(get: Any, settings: Any) -> None:
    settings.CACHEAPP = {"SESSIONS": {"DATABASE": True}}
    await get(f"/show/?a=1&{SESSION_KEY}=5")
    key = get.cookies["sessionid"].value
    session = SessionStore(key)
    await session.acycle_key()
    await session.asave()
    assert [row.session_key async for row in Session.objects.all()] == [session.store_name()]
    get.cookies["sessionid"] = key
    assert (await get("/show/")).content == b"[]"


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("is_async", [False, True])
async def test_a_row_that_is_written_after_the_end_does_not_stay(
    server: Server, settings: Any, monkeypatch: pytest.MonkeyPatch, is_async: bool
) -> None:
    maker(settings)(server.url)
    settings.CACHEAPP = {"SESSIONS": {"DATABASE": True}}
    session = SessionStore()
    await session.aset(SESSION_KEY, "5")
    await session.asave()
    write = elsewhere.write

    def ended_before(late: Any) -> None:
        # Another request ends it between the save on the server and the one in the database.
        assert revoke(5, late.store_name())
        write(late)

    monkeypatch.setattr(elsewhere, "write", ended_before)
    await session.aset("a", 1)
    if is_async:
        await session.asave()
    else:
        await sync_to_async(session.save)()
    assert not await Session.objects.aexists()
