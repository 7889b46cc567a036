"""Requests that arrive together at each front of the limiter: as many pass as the rate says."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.http import HttpRequest, HttpResponse
from django.test import AsyncClient, Client, RequestFactory
from rest_framework.response import Response
from rest_framework.settings import api_settings
from rest_framework.views import APIView

from cacheapp.ratelimit.decorators import ratelimit
from cacheapp.ratelimit.drf import AnonRateThrottle
from tests.cache.aliases import maker
from tests.contract.conftest import Server

THREADS, REQUESTS, LIMIT = 8, 80, 10
RULE = {
    "name": "together", "path": "/plain/", "rates": f"{LIMIT}/h", "key": "ip",
    "algorithm": "sliding-log",
}  # fmt: skip


@pytest.fixture(autouse=True)
def site(server: Server, settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    maker(settings)(server.url)
    settings.ROOT_URLCONF = "tests.ratelimit.urls"
    settings.MIDDLEWARE = ["cacheapp.ratelimit.middleware.RateLimitMiddleware"]
    settings.CACHEAPP = {"RATELIMIT": {"RULES": [RULE], "ALGORITHM": "sliding-log"}}
    monkeypatch.setattr(api_settings, "DEFAULT_THROTTLE_RATES", {"anon": f"{LIMIT}/h"})


def together(ask: Callable[[], int]) -> Counter[int]:
    """The statuses of many requests in threads."""
    with ThreadPoolExecutor(THREADS) as pool:
        return Counter(pool.map(lambda _: ask(), range(REQUESTS)))


EXPECTED = Counter({200: LIMIT, 429: REQUESTS - LIMIT})


def test_the_middleware_in_threads() -> None:
    client = Client()
    client.get("/aplain/")  # makes its handler
    assert together(lambda: client.get("/plain/").status_code) == EXPECTED


async def test_the_middleware_in_one_loop() -> None:
    client = AsyncClient()
    asked = [client.get("/plain/") for _ in range(REQUESTS)]
    assert Counter(answer.status_code for answer in await asyncio.gather(*asked)) == EXPECTED


def test_a_decorated_view_in_threads() -> None:
    @ratelimit(f"{LIMIT}/h", key="ip", group="together-view")
    def view(_request: HttpRequest) -> HttpResponse:
        return HttpResponse()

    assert together(lambda: view(RequestFactory().get("/")).status_code) == EXPECTED


async def test_a_decorated_async_view_in_one_loop() -> None:
    @ratelimit(f"{LIMIT}/h", key="ip", group="together-aview")
    async def view(_request: HttpRequest) -> HttpResponse:
        return HttpResponse()

    asked = [view(RequestFactory().get("/")) for _ in range(REQUESTS)]
    assert Counter(answer.status_code for answer in await asyncio.gather(*asked)) == EXPECTED


def test_a_throttled_view_in_threads() -> None:
    class Page(APIView):
        authentication_classes = ()
        throttle_classes = (AnonRateThrottle,)

        def get(self, _request: Any) -> Response:
            return Response()

    view = Page.as_view()
    assert together(lambda: view(RequestFactory().get("/")).status_code) == EXPECTED
