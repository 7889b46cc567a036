"""Logging in, "your sessions" and ending one from another device, on both servers."""

from __future__ import annotations

import re

import pytest
from django.contrib.auth.models import User
from django.test import Client
from pytest_django import Settings

from cacheapp.sessions import sessions_of
from demo_site.accounts import PASSWORD, USERS, load_users
from tests.redis_server import HOST, free_port


@pytest.fixture(autouse=True)
def users(db: None) -> None:
    load_users()
    load_users()  # can be repeated


def logged_in(name: str = USERS[0], **headers: str) -> Client:
    client = Client(**headers)
    response = client.post("/login/", {"username": name, "password": PASSWORD})
    assert response.headers["Location"] == "/sessions/"
    return client


def ids_on(page: str) -> list[str]:
    return re.findall(r'name="id" value="([0-9a-f]+)"', page)


def test_the_login_page_says_whom_to_be(site: Client) -> None:
    page = site.get("/login/").content.decode()
    assert all(f"<code>{word}</code>" in page for word in (*USERS, PASSWORD))
    wrong = site.post("/login/", {"username": USERS[0], "password": "guess"})
    assert b"correct username and password" in wrong.content
    assert User.objects.count() == len(USERS)


def test_who_is_nobody_sees_no_sessions(site: Client) -> None:
    response = site.get("/sessions/")
    assert response.headers["Location"] == "/login/?next=/sessions/"
    assert "Cookie" not in site.get("/").headers.get("Vary", "")


def test_a_session_is_ended_from_another_device_at_once(site: Client) -> None:
    laptop = logged_in(HTTP_USER_AGENT="Laptop", REMOTE_ADDR="198.51.100.1")
    phone = logged_in(HTTP_USER_AGENT="Phone", REMOTE_ADDR="198.51.100.2")
    page = laptop.get("/sessions/").content.decode()
    assert "Laptop" in page
    assert "198.51.100.2" in page
    assert page.count("this one") == 1
    (phones,) = ids_on(page)
    assert phone.get("/sessions/").status_code == 200
    told = laptop.post("/sessions/", {"id": phones}, follow=True)
    assert b"Ended that session" in told.content
    assert phone.get("/sessions/").headers["Location"] == "/login/?next=/sessions/"
    assert laptop.get("/sessions/").status_code == 200
    assert ids_on(laptop.get("/sessions/").content.decode()) == []
    assert (
        b"was not there any more" in laptop.post("/sessions/", {"id": phones}, follow=True).content
    )


def test_all_others_are_ended_but_nobody_elses(site: Client) -> None:
    mine, *others = (logged_in() for _ in range(3))
    hers = logged_in(USERS[1])
    (her_session,) = sessions_of(User.objects.get(username=USERS[1]))
    assert b"was not there" in mine.post("/sessions/", {"id": her_session.id}, follow=True).content
    assert b"Ended 2 other sessions." in mine.post("/sessions/", follow=True).content
    assert [client.get("/sessions/").status_code for client in (mine, hers)] == [200, 200]
    assert {client.get("/sessions/").status_code for client in others} == {302}


def test_logging_out_leaves_nothing(site: Client) -> None:
    client = logged_in()
    assert client.post("/logout/").headers["Location"] == "/"
    assert client.get("/sessions/").status_code == 302
    assert sessions_of(User.objects.get(username=USERS[0])) == []


def test_another_site_cannot_end_a_session(site: Client) -> None:
    client = logged_in()
    client.handler.enforce_csrf_checks = True
    assert client.post("/sessions/").status_code == 403


def test_pages_work_for_who_is_signed_in_while_the_server_is_away(
    site: Client, settings: Settings
) -> None:
    client = logged_in()
    away = f"redis://{HOST}:{free_port()}/0"
    options = {"IGNORE_EXCEPTIONS": True, "SOCKET_CONNECT_TIMEOUT": 1}
    settings.CACHES = {"default": {**settings.CACHES["default"], "LOCATION": away,
                                   "OPTIONS": options}}  # fmt: skip
    page = client.get("/countries/")
    assert page.status_code == 200
    assert b"Log in" in page.content
