"""manage.py cacheapp_sessions: what it shows and ends, and its errors."""

from __future__ import annotations

from io import StringIO
from typing import Any

import pytest
from django.contrib.auth import SESSION_KEY
from django.core.management import CommandError, call_command

from cacheapp.sessions import SessionStore, sessions_of
from tests.cache.aliases import maker


@pytest.fixture(autouse=True)
def site(settings: Any) -> None:
    maker(settings)("memory://cacheapp-sessions").client.get_client().flushall()


def run(*arguments: str) -> str:
    out = StringIO()
    call_command("cacheapp_sessions", *arguments, stdout=out)
    return out.getvalue()


def log_in() -> SessionStore:
    session = SessionStore()
    session.client = lambda: ("198.51.100.7", "browser")
    session[SESSION_KEY] = "5"
    session.save()
    return session


def test_list_and_revoke() -> None:
    assert run("list", "--user", "5") == "User 5 has no session.\n"
    session = log_in()
    (line,) = run("list", "--user", "5").splitlines()
    assert line.startswith(session.store_name())
    assert line.endswith("UTC  198.51.100.7  browser")
    assert session.session_key not in line
    assert run("revoke", "--user", "5", "--id", session.store_name()) == "Ended: 1\n"
    with pytest.raises(CommandError, match="has no session"):
        run("revoke", "--user", "5", "--id", session.store_name())
    for _ in range(3):
        log_in()
    assert run("revoke", "--user", "5") == "Ended: 3\n"
    assert sessions_of(5) == []


def test_errors(settings: Any) -> None:
    maker(settings)("redis://127.0.0.1:1/0", options={"CONNECTION_POOL_KWARGS": {"retry": None}})
    with pytest.raises(CommandError, match="The server does not answer"):
        run("list", "--user", "5")
    settings.CACHEAPP = {"SESSIONS": {"ENCRIPT": True}}
    with pytest.raises(CommandError, match="unknown key 'ENCRIPT'"):
        run("list", "--user", "5")
