"""manage.py cacheapp_limits: what it lists, explains and forgets, and its errors."""

from __future__ import annotations

from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.test import Client

from tests.cache.aliases import maker


@pytest.fixture(autouse=True)
def site(settings: Any) -> None:
    maker(settings)("memory://cacheapp-limits", KEY_PREFIX="limits").client.get_client().flushall()
    settings.ROOT_URLCONF = "tests.ratelimit.urls"
    settings.MIDDLEWARE = ["cacheapp.ratelimit.middleware.RateLimitMiddleware"]
    settings.CACHEAPP = {
        "RATELIMIT": {
            "RULES": [
                {"name": "api", "rates": ["2/h", "9/d"], "path": "/plain/"},
                {"name": "post", "rates": "1/m", "methods": ["POST"], "algorithm": "gcra",
                 "dry_run": True, "view": "plain"},
                {"name": "friends", "rates": "1/m", "path": "/in/", "exempt": lambda request: True},
            ]
        }
    }  # fmt: skip


def run(*arguments: str) -> str:
    out = StringIO()
    call_command("cacheapp_limits", *arguments, stdout=out)
    return out.getvalue()


def test_list() -> None:
    lines = run("list").splitlines()
    assert lines[0] == "api: 2/h, 9/d by sliding-window, open on failure; path=/plain/"
    assert lines[1] == "post: 1/m by gcra, open on failure; view=plain; methods=POST; dry run"
    assert any(line.startswith("shared: 2/h") for line in lines)


def test_explain_and_reset() -> None:
    client = Client()
    assert [client.get("/plain/").status_code for _ in range(3)] == [200, 200, 429]
    said = run("explain", "--path", "/plain/").splitlines()
    assert said[0] == "api: counts ip:127.0.0.1"
    assert said[1].startswith("  2/h: 0 of 2 left, all back in ")
    assert ": wait " in said[1]
    assert said[2].endswith("admits")
    assert len(said) == 3
    assert run("reset", "--rule", "api", "--ip", "127.0.0.1") == (
        "api: forgot what ip:127.0.0.1 had used\n"
    )
    assert "2 of 2 left" in run("explain", "--path", "/plain/")
    assert "had used nothing" in run("reset", "--rule", "api", "--identity", "ip:127.0.0.1")


def test_explain_other_requests() -> None:
    said = run("explain", "--path", "/plain/", "--method", "post", "--user", "5", "--header", "A=b")
    assert "api: counts user:5" in said
    assert "post: counts user:5" in said
    assert run("explain", "--path", "/in/side/") == "friends: exempt\n"
    assert run("explain", "--path", "/nowhere/") == (
        "No rule of the settings is about such a request.\n"
    )


async def plan(request: Any) -> Any:
    return "1/w" if request.headers.get("X-Plan") == "small" else None


def test_plans_and_coroutine_functions(settings: Any) -> None:
    async def key(request: Any) -> str:
        return request.META["REMOTE_ADDR"]

    def count(request: Any) -> Any:
        return ["2/w", "9/d"]

    def rules(rates: Any, key: Any) -> None:
        settings.CACHEAPP = {"RATELIMIT": {"RULES": [{"name": "p", "rates": rates, "key": key}]}}

    rules(count, "ip")
    client = Client()
    assert [client.get("/plain/").status_code for _ in range(3)] == [200, 200, 429]
    assert "2/w: 0 of 2 left" in run("explain", "--path", "/plain/")
    assert "forgot" in run("reset", "--rule", "p", "--ip", "127.0.0.1")
    assert "2/w: 2 of 2 left" in run("explain", "--path", "/plain/")
    rules(plan, key)
    assert run("explain", "--path", "/plain/") == "p: no limit\n"
    said = run("explain", "--path", "/plain/", "--header", "X-Plan=small")
    assert said.startswith("p: counts key:127.0.0.1\n  1/w: 1 of 1 left")


def test_an_address_is_forgotten_as_it_is_counted(settings: Any) -> None:
    settings.CACHEAPP["RATELIMIT"]["IPV6_PREFIX"] = 48
    settings.CACHEAPP = {**settings.CACHEAPP}
    client = Client(REMOTE_ADDR="2001:db8:1:2::3")
    assert client.get("/plain/").status_code == 200
    assert run("reset", "--rule", "api", "--ip", "2001:db8:1:ffff::1") == (
        "api: forgot what ip:2001:db8:1::/48 had used\n"
    )


def test_errors(settings: Any) -> None:
    with pytest.raises(CommandError, match=r"no rule 'x'; there are: api, .*friends"):
        run("reset", "--rule", "x", "--user", "1")
    with pytest.raises(CommandError, match="'oops' is not NAME=VALUE"):
        run("explain", "--path", "/", "--header", "oops")
    settings.CACHEAPP = {"RATELIMIT": {"RULES": [{"name": "x"}]}}
    with pytest.raises(CommandError, match="needs name and rates"):
        run("list")


def test_a_server_that_is_away(settings: Any) -> None:
    maker(settings)("redis://127.0.0.1:1/0", options={"CONNECTION_POOL_KWARGS": {"retry": None}})
    assert "the server does not answer, so it is open" in run("explain", "--path", "/plain/")
    with pytest.raises(CommandError, match="The server does not answer"):
        run("reset", "--rule", "api", "--user", "1")
