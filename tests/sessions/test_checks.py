"""The system checks of sessions, by number."""

from __future__ import annotations

import sys
from typing import Any

import pytest

from cacheapp.sessions.checks import ENGINE, MIDDLEWARE, check_sessions


@pytest.fixture(autouse=True)
def site(settings: Any) -> None:
    settings.SESSION_ENGINE = ENGINE
    settings.MIDDLEWARE = [MIDDLEWARE]


@pytest.mark.parametrize(
    ("sessions", "found"),
    [
        ({}, []),
        ({"LIFETIME": 60, "MAX_PER_USER": 3, "ENCRYPT": True, "DATABASE": True}, []),
        ({"MIGRATE_FROM": "django.contrib.sessions.backends.db"}, []),
        ([], ["cacheapp.E040"]),
        ({"LIFE": 5}, ["cacheapp.E040"]),
        ({"LIFETIME": "long"}, ["cacheapp.E040"]),
        ({"ENCRYPT": 1}, ["cacheapp.E040"]),
        ({"MAX_PER_USER": -1}, ["cacheapp.E040"]),
        ({"SEEN_SECONDS": 0}, ["cacheapp.E040"]),
        ({"MIGRATE_FROM": 5}, ["cacheapp.E040"]),
        ({"CACHE": "nowhere"}, ["cacheapp.E041"]),
        ({"MIGRATE_FROM": "no.such.engine"}, ["cacheapp.E042"]),
        ({"MIGRATE_FROM": "django.contrib.sessions.backends.signed_cookies"}, ["cacheapp.E042"]),
    ],
)
def test_what_is_found(settings: Any, sessions: Any, found: list[str]) -> None:
    settings.CACHEAPP = {"SESSIONS": sessions}
    messages = check_sessions()
    assert [message.id for message in messages] == found
    assert all(message.hint for message in messages)


def test_encryption_without_its_package(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.CACHEAPP = {"SESSIONS": {"ENCRYPT": True}}
    monkeypatch.setitem(sys.modules, "cryptography.hazmat.primitives.ciphers.aead", None)
    (message,) = check_sessions()
    assert message.id == "cacheapp.E041"
    assert "install cacheapp[encryption]" in message.msg


def test_the_database_needs_its_table(settings: Any) -> None:
    settings.CACHEAPP = {"SESSIONS": {"DATABASE": True}}
    settings.INSTALLED_APPS = ["cacheapp"]
    assert [message.id for message in check_sessions()] == ["cacheapp.E043"]


def test_djangos_middleware_is_told_of(settings: Any) -> None:
    settings.MIDDLEWARE = ["django.contrib.sessions.middleware.SessionMiddleware"]
    assert [message.id for message in check_sessions()] == ["cacheapp.W040"]


def test_another_engine_is_not_ours_to_check(settings: Any) -> None:
    settings.SESSION_ENGINE = "django.contrib.sessions.backends.db"
    settings.CACHEAPP = {"SESSIONS": {"CACHE": "nowhere"}}
    assert check_sessions() == []
