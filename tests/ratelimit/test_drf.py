"""Throttles for Django REST framework: whom they count, their scopes, and their headers."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.test import RequestFactory
from rest_framework.response import Response
from rest_framework.settings import api_settings
from rest_framework.views import APIView

from cacheapp.ratelimit.drf import (
    AnonRateThrottle,
    RateThrottle,
    ScopedRateThrottle,
    UserRateThrottle,
)
from tests.cache.aliases import maker

USERS = [SimpleNamespace(pk=number, is_authenticated=True) for number in range(2)]


@pytest.fixture(autouse=True)
def site(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    maker(settings)("memory://drf").client.get_client().flushall()
    settings.CACHEAPP = {"RATELIMIT": {"MEMO_SECONDS": 0}}
    rates = {"anon": "1/h", "user": "2/h", "export": ["1/h", "5/d"], "free": None}
    monkeypatch.setattr(api_settings, "DEFAULT_THROTTLE_RATES", rates)


def statuses(throttle: type, users: list[Any], scope: str | None = None) -> list[int]:
    class Page(APIView):
        authentication_classes = ()
        throttle_classes = (throttle,)
        throttle_scope = scope

        def perform_authentication(self, request: Any) -> None:
            if self.user is not None:
                request.user = self.user

        user: Any = None

        def get(self, _request: Any) -> Response:
            return Response()

    return [Page.as_view(user=user)(RequestFactory().get("/")).status_code for user in users]


def test_users() -> None:
    first, second = USERS
    assert statuses(UserRateThrottle, [first, first, second, first]) == [200, 200, 200, 429]


def test_those_who_are_not_signed_in_count_by_address() -> None:
    assert statuses(UserRateThrottle, [None, None, None]) == [200, 200, 429]
    assert statuses(AnonRateThrottle, [None, None, USERS[0]]) == [200, 429, 200]


def test_scopes() -> None:
    assert statuses(ScopedRateThrottle, [None, None], "export") == [200, 429]
    assert statuses(ScopedRateThrottle, [None, None], "user") == [200, 200]
    assert statuses(ScopedRateThrottle, [None, None], "free") == [200, 200]
    assert statuses(ScopedRateThrottle, [None, None]) == [200, 200]
    with pytest.raises(ImproperlyConfigured, match="no rate for the scope 'other'"):
        statuses(ScopedRateThrottle, [None], "other")


def test_a_rate_of_its_own() -> None:
    class Burst(RateThrottle):
        rate = "1/h"
        key = "ip"

    assert statuses(Burst, [None, None]) == [200, 429]

    class Nothing(RateThrottle):
        pass

    with pytest.raises(ImproperlyConfigured, match="needs a scope or a rate"):
        statuses(Nothing, [None])


def test_a_refusal_says_when_to_come_back() -> None:
    throttle = AnonRateThrottle()
    request = SimpleNamespace(_request=RequestFactory().get("/"), user=None)
    assert throttle.allow_request(request, None)
    assert throttle.wait() is None
    assert not throttle.allow_request(request, None)
    wait = throttle.wait()
    assert wait is not None
    assert 1 <= wait <= 7200


def test_hooks_of_drf() -> None:
    class ByToken(RateThrottle):
        scope = "token"
        THROTTLE_RATES = {"token": "1/w"}  # noqa: RUF012 - as DRF's documentation has it

        def get_cache_key(self, request: Any, view: Any) -> str | None:
            return request.META.get("HTTP_X_TOKEN")

    class Page(APIView):
        authentication_classes = ()
        throttle_classes = (ByToken,)

        def get(self, _request: Any) -> Response:
            return Response()

    def status(**headers: str) -> int:
        found: int = Page.as_view()(RequestFactory().get("/", **headers)).status_code
        return found

    tokens = [{"HTTP_X_TOKEN": token} for token in "aba"]
    assert [status(**headers) for headers in tokens] == [200, 200, 429]
    assert [status() for _ in range(2)] == [200, 200]


def test_nothing_is_throttled_where_that_is_off(settings: Any) -> None:
    settings.CACHEAPP = {"RATELIMIT": {"ENABLED": False}}
    assert statuses(AnonRateThrottle, [None, None, None]) == [200, 200, 200]
