"""Requests in fewer steps: the same responses, the same record of them, as by the long way."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.http import HttpRequest, HttpResponse
from django.test import RequestFactory

from cacheapp.cache.servers import server_of
from cacheapp.ratelimit import enforcement, middleware
from cacheapp.ratelimit.counters import counter_of
from cacheapp.ratelimit.decorators import ratelimit
from cacheapp.ratelimit.middleware import RateLimitMiddleware
from tests.cache.aliases import maker

Through = Callable[..., list[Any]]


@ratelimit("5/w", key="ip", group="of-the-view")
def limited(_request: HttpRequest) -> HttpResponse:
    return HttpResponse("limited")


def view(request: HttpRequest) -> Any:
    """A response of every kind that the headers are added to."""
    if request.path == "/limited/":
        return limited(request)
    response = HttpResponse(f"{request.limited}")  # type: ignore[attr-defined]
    if request.path == "/upstream/":
        response["RateLimit"] = '"upstream";r=1;t=1'
    if request.path == "/refused/":
        response.status_code = 429
    return response


def _seen(request: Any, response: Any) -> Any:
    told = {name: value.partition(";t=")[0] for name, value in response.headers.items()}
    told.pop("Retry-After", None)  # seconds, which go by
    applied = [
        (rule.name, decision.allowed, decision.remaining, decision.key, identity)
        for rule, decision, identity in enforcement.applied_to(request)
    ]
    return response.status_code, response.content, told, applied, request.limited


@pytest.fixture
def through(settings: Any, monkeypatch: pytest.MonkeyPatch) -> Through:
    """A function that sends requests through the middleware, briefly or not."""
    maker(settings)("memory://brief")
    server_of("default").client().flushall()

    def run(rule: dict[str, Any], requests: list[HttpRequest], *, briefly: bool) -> list[Any]:
        settings.CACHEAPP = {"RATELIMIT": {"RULES": [{**rule, "name": f"r{briefly}"}]}}
        if not briefly:
            monkeypatch.setattr(middleware, "is_brief", lambda rule: False)
        limiting = RateLimitMiddleware(view)
        assert (limiting._handle == limiting._call) is not briefly
        return [_seen(request, limiting(request)) for request in requests]

    return run


@pytest.mark.parametrize(
    "rule",
    [
        {"rates": "3/w", "key": "ip"},
        {"rates": "3/w", "path": "/", "methods": ["GET"]},
        {"rates": "3/w", "path": "/limited/", "key": "header:X-Token"},
        {"rates": "0/w", "key": "ip"},
        {"rates": "2/w", "key": "ip", "block": False},
    ],
)
def test_the_same_comes_of_it(through: Through, rule: dict[str, Any]) -> None:
    def requests() -> list[HttpRequest]:
        factory = RequestFactory()
        made = [
            getattr(factory, method)(path, REMOTE_ADDR=address, HTTP_X_TOKEN=token)
            for path in ("/", "/limited/", "/upstream/", "/refused/", "/")
            for method in ("get", "head", "post")
            for address, token in (("198.51.100.1", "a"), ("2001:db8::1", "b"))
        ]
        for request in made:
            request.limited = False  # what a view finds that no rule is about
        return made

    briefly = through(rule, requests(), briefly=True)
    counters = counter_of("rTrue").allowed, counter_of("rTrue").refused
    server_of("default").client().delete(
        *server_of("default").client().keys("*of-the-view*") or "-"
    )
    wholly = through(rule, requests(), briefly=False)
    assert repr(briefly).replace("rTrue", "rFalse") == repr(wholly)
    assert counters == (counter_of("rFalse").allowed, counter_of("rFalse").refused)


@pytest.mark.parametrize("briefly", [True, False])
def test_what_a_view_says_itself_stays_in_front(through: Through, briefly: bool) -> None:
    requests = [RequestFactory().get("/upstream/", REMOTE_ADDR="198.51.100.3") for _ in "12"]
    for seen in through({"rates": "3/w", "key": "ip"}, requests, briefly=briefly):
        name = f"r{briefly}"
        assert seen[2]["RateLimit-Policy"] == f'"{name}";q=3;w=604800'
        assert seen[2]["RateLimit"] == '"upstream";r=1'  # cut at the first time
