"""Rate limits over requests, on both servers, through sync and async stacks."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.core.exceptions import ImproperlyConfigured
from django.dispatch import receiver
from django.test import AsyncClient, Client

from cacheapp.cache.servers import server_of
from cacheapp.clients import get_client
from cacheapp.ratelimit.limiter import LOCAL_URL
from cacheapp.ratelimit.signals import request_limited
from tests.cache.aliases import maker
from tests.contract.conftest import Server

Get = Callable[..., Awaitable[Any]]


@pytest.fixture(params=["sync", "async"])
def get(request: pytest.FixtureRequest, server: Server, settings: Any) -> Get:
    """A function that sends a GET through the stack, which has one middleware and `RULES`."""
    maker(settings)(server.url)
    settings.ROOT_URLCONF = "tests.ratelimit.urls"
    settings.MIDDLEWARE = ["cacheapp.ratelimit.middleware.RateLimitMiddleware"]
    get_client(LOCAL_URL).flushall()
    client, aclient = Client(), AsyncClient()

    async def get_(path: str, method: str = "get", **extra: Any) -> Any:
        if request.param == "async":
            return await getattr(aclient, method)(path, **extra)
        return await sync_to_async(getattr(client, method))(path, **extra)

    return get_


def rules(settings: Any, *written: dict[str, Any], **stated: Any) -> None:
    settings.CACHEAPP = {"RATELIMIT": {"RULES": list(written), "MEMO_SECONDS": 0, **stated}}


async def test_a_rule_by_path(get: Get, settings: Any) -> None:
    rules(settings, {"name": "p", "rates": ["2/h", "5/d"], "path": "/plain/", "key": "ip"})
    first, second, third = [await get("/plain/") for _ in range(3)]
    assert [first.status_code, second.status_code, third.status_code] == [200, 200, 429]
    assert first["RateLimit-Policy"] == '"p-h";q=2;w=3600, "p-d";q=5;w=86400'
    assert first["RateLimit"].startswith('"p-h";r=1;t=')
    assert '"p-d";r=4;t=' in first["RateLimit"]
    assert '"p-h";r=0;t=' in third["RateLimit"]
    assert 1 <= int(third["Retry-After"]) <= 7200
    assert third["Cache-Control"] == "no-store"
    assert "X-RateLimit-Limit" not in first
    other = await get("/aplain/")
    assert other.status_code == 200
    assert "RateLimit" not in other


async def test_rules_by_view_namespace_and_method(get: Get, settings: Any) -> None:
    rules(
        settings,
        {"name": "v", "rates": "1/h", "view": "plain"},
        {"name": "n", "rates": "1/h", "namespace": "v1", "methods": ["POST"]},
        {"name": "f", "rates": "2/h", "view": "tests.ratelimit.urls.aplain"},
    )
    assert [(await get("/plain/")).status_code for _ in range(2)] == [200, 429]
    assert [(await get("/in/side/")).status_code for _ in range(2)] == [200, 200]
    assert [(await get("/in/side/", "post")).status_code for _ in range(2)] == [200, 429]
    assert [(await get("/aplain/")).status_code for _ in range(3)] == [200, 200, 429]


async def test_a_refusal_that_is_remembered_is_answered_alike(get: Get, settings: Any) -> None:
    rules(settings, {"name": "p", "rates": "1/h"}, MEMO_SECONDS=5)
    first, second, third = [await get("/plain/") for _ in range(3)]
    assert [first.status_code, second.status_code, third.status_code] == [200, 429, 429]
    assert third["RateLimit-Policy"] == second["RateLimit-Policy"]
    assert third["RateLimit"].startswith('"p";r=0;t=')
    assert int(second["Retry-After"]) - int(third["Retry-After"]) in {0, 1}


async def test_x_headers(get: Get, settings: Any) -> None:
    rules(settings, {"name": "p", "rates": "2/h"}, X_HEADERS=True)
    response = await get("/plain/")
    assert response["X-RateLimit-Limit"] == "2"
    assert response["X-RateLimit-Remaining"] == "1"
    assert int(response["X-RateLimit-Reset"]) > 1_700_000_000


async def test_no_headers(get: Get, settings: Any) -> None:
    rules(settings, {"name": "p", "rates": "1/h"}, HEADERS=False)
    assert "RateLimit" not in await get("/plain/")
    refused = await get("/plain/")
    assert "RateLimit" not in refused
    assert "Retry-After" in refused


@pytest.mark.parametrize(
    ("accept", "content_type"),
    [
        ("application/problem+json", "application/problem+json"),
        ("application/json", "application/problem+json"),
        ("*/*", "application/problem+json"),
        ("text/html,application/xhtml+xml;q=0.9,*/*;q=0.8", "text/html; charset=utf-8"),
        ("text/plain", "text/plain; charset=utf-8"),
        ("image/png", "text/plain; charset=utf-8"),
    ],
)
async def test_the_body_is_in_the_form_that_is_preferred(
    get: Get, settings: Any, accept: str, content_type: str
) -> None:
    rules(settings, {"name": "p", "rates": ["1/h", "9/d"]})
    await get("/plain/", headers={"accept": accept})
    refused = await get("/plain/", headers={"accept": accept})
    assert refused.status_code == 429
    assert refused["Content-Type"] == content_type
    if "json" in content_type:
        body = json.loads(refused.content)
        assert body["type"].endswith("#quota-exceeded")
        assert body["violated-policies"] == ["p-h"]
        assert body["status"] == 429
    else:
        assert b"Too many requests" in refused.content


async def test_decorated_views_share_a_group(get: Get, settings: Any) -> None:
    rules(settings, {"name": "all", "rates": "100/h"})
    assert (await get("/decorated/")).status_code == 200
    second = await get("/adecorated/")
    assert second.status_code == 200
    assert second["RateLimit-Policy"] == '"shared";q=2;w=3600, "all";q=100;w=3600'
    refused = await get("/decorated/")
    assert refused.status_code == 429
    assert refused["RateLimit-Policy"] == '"all";q=100;w=3600, "shared";q=2;w=3600'
    assert (await get("/adecorated/")).status_code == 429


async def test_a_view_that_is_not_blocked_is_told(get: Get, settings: Any) -> None:
    rules(settings)
    assert [(await get("/soft/")).content for _ in range(2)] == [b"free", b"limited"]


async def test_a_dry_run_only_tells(get: Get, settings: Any) -> None:
    rules(settings, {"name": "d", "rates": "1/h", "path": "/plain/", "dry_run": True})
    heard = []

    @receiver(request_limited)
    def hear(*, rule: Any, decision: Any, **_: Any) -> None:
        heard.append((rule.dry_run, decision.allowed))

    assert [(await get("/dry/")).content for _ in range(2)] == [b"free", b"free"]
    responses = [await get("/plain/") for _ in range(2)]
    assert [response.status_code for response in responses] == [200, 200]
    assert "RateLimit" not in responses[1]
    assert heard == [(True, 0), (True, 0)]


async def test_what_is_charged_after_the_response(get: Get, settings: Any) -> None:
    rules(settings)
    statuses = [(await get("/login/")).status_code for _ in range(4)]
    statuses += [(await get("/login/?wrong=1")).status_code for _ in range(3)]
    statuses += [(await get("/login/")).status_code]
    assert statuses == [200, 200, 200, 200, 403, 403, 429, 429]


@pytest.mark.parametrize("path", ["/whole/", "/awhole/"])
async def test_a_decorated_class(get: Get, settings: Any, path: str) -> None:
    rules(settings)
    assert [(await get(path)).status_code for _ in range(2)] == [200, 429]


async def test_decorated_methods(get: Get, settings: Any) -> None:
    rules(settings)
    assert [(await get("/methods/")).status_code for _ in range(3)] == [200, 200, 200]
    assert [(await get("/methods/", "post")).status_code for _ in range(2)] == [200, 429]


async def test_plans_costs_and_exemptions(get: Get, settings: Any) -> None:
    def plan(request: Any) -> Any:
        return {"gold": "4/h", "free": None}.get(request.headers.get("X-Plan", ""), "2/h")

    rules(
        settings,
        {
            "name": "p",
            "rates": plan,
            "key": "ip",
            "cost": lambda request: 2 if request.GET.get("big") else 1,
            "exempt": lambda request: request.headers.get("X-Friend") == "yes",
        },
    )
    assert [(await get("/plain/")).status_code for _ in range(3)] == [200, 200, 429]
    gold = {"X-Plan": "gold"}
    assert (await get("/plain/?big=1", headers=gold)).status_code == 200
    assert (await get("/plain/", headers=gold)).status_code == 429
    assert (await get("/plain/", headers={"X-Plan": "free"})).status_code == 200
    assert (await get("/plain/", headers={"X-Friend": "yes"})).status_code == 200


async def test_who_is_counted(get: Get, settings: Any) -> None:
    rules(settings, {"name": "p", "rates": "1/h", "key": ["ip", "header:X-Token"]})
    tokens = ["a", "b", "a"]
    statuses = [(await get("/plain/", headers={"X-Token": token})).status_code for token in tokens]
    assert statuses == [200, 200, 429]


async def _statuses_of_forwarded(get: Get, addresses: list[str]) -> list[int]:
    return [
        (await get("/plain/", headers={"X-Forwarded-For": f"evil, {address}"})).status_code
        for address in addresses
    ]


async def test_a_stranger_does_not_choose_an_address(get: Get, settings: Any) -> None:
    rules(settings, {"name": "p", "rates": "1/h", "key": "ip"})
    assert await _statuses_of_forwarded(get, ["198.51.100.1", "198.51.100.2"]) == [200, 429]


async def test_a_trusted_proxy_says_whom_it_stands_for(get: Get, settings: Any) -> None:
    rules(settings, {"name": "p", "rates": "1/h", "key": "ip"}, TRUSTED_PROXIES=["127.0.0.0/8"])
    addresses = ["198.51.100.1", "198.51.100.2", "198.51.100.1"]
    assert await _statuses_of_forwarded(get, addresses) == [200, 200, 429]


async def test_a_server_that_is_away(get: Get, settings: Any) -> None:
    options = {"CONNECTION_POOL_KWARGS": {"retry": None}, "BREAKER": 60}
    maker(settings)("redis://127.0.0.1:1/0", alias="away", options=options)
    rules(
        settings,
        {"name": "o", "rates": "1/h", "path": "/plain/", "on_failure": "open"},
        {"name": "c", "rates": "1/h", "path": "/aplain/", "on_failure": "closed"},
        {"name": "l", "rates": "1/h", "path": "/in/", "on_failure": "local"},
        CACHE="away",
    )
    assert [(await get("/plain/")).status_code for _ in range(3)] == [200, 200, 200]
    assert [(await get("/aplain/")).status_code for _ in range(2)] == [429, 429]
    assert [(await get("/in/side/")).status_code for _ in range(2)] == [200, 429]
    assert server_of("away").outages.failures >= 7


async def test_wrong_rules_are_said_at_the_start(get: Get, settings: Any) -> None:
    rules(settings, {"name": "p", "rates": "1/h", "colour": "red"})
    with pytest.raises(ImproperlyConfigured, match="unknown key 'colour'"):
        await get("/plain/")


async def test_a_view_that_is_not_limited_is_told_so_too(get: Get, settings: Any) -> None:
    rules(settings)
    assert [(await get("/told/", "post")).content for _ in range(3)] == [b"free"] * 3
    assert [(await get("/told/")).content for _ in range(2)] == [b"free", b"limited"]
    rules(settings, {"name": "p", "rates": "1/w", "path": "/other/"})
    assert (await get("/told/", "post")).content == b"free"


async def test_nothing_is_limited_where_that_is_off(get: Get, settings: Any) -> None:
    rules(settings, {"name": "p", "rates": "1/w"}, ENABLED=False)
    assert [(await get("/decorated/")).status_code for _ in range(4)] == [200] * 4
    assert [(await get("/adecorated/")).status_code for _ in range(4)] == [200] * 4


async def test_methods_are_counted_apart_unless_they_are_a_group(get: Get, settings: Any) -> None:
    rules(settings)
    assert [(await get("/apart/")).status_code for _ in range(2)] == [200, 429]
    assert [(await get("/apart/", "post")).status_code for _ in range(2)] == [200, 429]


@pytest.mark.parametrize("path", ["/raising/", "/araising/"])
async def test_what_is_raised_is_charged_as_its_response(
    get: Get, settings: Any, path: str
) -> None:
    rules(settings)
    statuses = [(await get(path)).status_code for _ in range(3)]
    assert statuses == [403, 403, 429]


async def test_a_plan_is_charged_after_the_response_too(get: Get, settings: Any) -> None:
    rules(
        settings,
        {
            "name": "p",
            "rates": lambda request: "3/w",
            "key": "ip",
            "after": lambda request, response: 1,
        },
    )
    assert [(await get("/plain/")).status_code for _ in range(3)] == [200, 200, 429]


async def test_fields_of_queries_and_forms_are_keys(get: Get, settings: Any) -> None:
    rules(
        settings,
        {"name": "g", "rates": "1/w", "key": "get:name", "methods": "GET"},
        {"name": "f", "rates": "1/w", "key": "post:name", "methods": "POST"},
    )
    statuses = [(await get("/plain/", data={"name": name})).status_code for name in "aba"]
    assert statuses == [200, 200, 429]
    statuses = [(await get("/plain/", "post", data={"name": name})).status_code for name in "aba"]
    assert statuses == [200, 200, 429]


async def test_no_rates_are_no_limit(get: Get, settings: Any) -> None:
    rules(settings, {"name": "p", "rates": None})
    assert [(await get("/plain/")).status_code for _ in range(3)] == [200] * 3
    assert [(await get("/unlimited/")).content for _ in range(3)] == [b"free"] * 3


async def test_the_page_of_a_refusal_may_do_what_only_sync_code_may(
    get: Get, settings: Any
) -> None:
    settings.TEMPLATES = [
        {
            "BACKEND": "django.template.backends.django.DjangoTemplates",
            "OPTIONS": {
                "loaders": [("django.template.loaders.locmem.Loader", {"slow.html": "{{ who }}"})],
                "context_processors": ["tests.ratelimit.urls.who"],
            },
        }
    ]
    rules(settings, {"name": "p", "rates": "0/w", "path": "/aplain/"}, TEMPLATE="slow.html")
    html = {"accept": "text/html"}
    assert (await get("/aplain/", headers=html)).content == b"of the database"
    rules(settings, TEMPLATE="slow.html")
    statuses = [(await get("/adecorated/", headers=html)).status_code for _ in range(3)]
    assert statuses == [200, 200, 429]
