"""The views of the tests of rate limits: every kind that a decorator may meet."""

from __future__ import annotations

import functools
from typing import Any

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.urls import include, path
from django.utils.asyncio import async_unsafe
from django.views import View

from cacheapp.ratelimit.decorators import ratelimit


def plain(_request: HttpRequest) -> HttpResponse:
    return HttpResponse("plain")


async def aplain(_request: HttpRequest) -> HttpResponse:
    return HttpResponse("plain")


@ratelimit("2/h", key="ip", group="shared")
def decorated(_request: HttpRequest) -> HttpResponse:
    return HttpResponse("decorated")


@ratelimit("2/h", key="ip", group="shared")
async def adecorated(_request: HttpRequest) -> HttpResponse:
    return HttpResponse("decorated")


@ratelimit("1/h", key="ip", block=False)
def soft(request: Any) -> HttpResponse:
    return HttpResponse("limited" if request.limited else "free")


@ratelimit("1/h", key="ip", dry_run=True)
def dry(request: Any) -> HttpResponse:
    return HttpResponse("limited" if request.limited else "free")


def only_failures(_request: HttpRequest, response: Any) -> int:
    return int(response.status_code == 403)


@ratelimit("2/h", key="ip", cost=0, after=only_failures)
def login(request: HttpRequest) -> HttpResponse:
    return HttpResponse(status=403 if request.GET.get("wrong") else 200)


@ratelimit("1/h", key="ip")
class Whole(View):
    """A class that is decorated."""

    def get(self, _request: HttpRequest) -> HttpResponse:
        return HttpResponse("get")


@ratelimit("1/h", key="ip")
class AsyncWhole(View):
    """A class of async handlers that is decorated."""

    async def get(self, _request: HttpRequest) -> HttpResponse:
        return HttpResponse("get")


class Methods(View):
    """A class with one method that is decorated."""

    @ratelimit("1/h", key="ip", method="POST")
    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        return super().dispatch(request, *args, **kwargs)

    def get(self, _request: HttpRequest) -> HttpResponse:
        return HttpResponse("get")

    @ratelimit("1/h", key="ip")
    def post(self, _request: HttpRequest) -> HttpResponse:
        return HttpResponse("post")


@ratelimit("1/w", key="ip", method="GET", block=False)
def told(request: Any) -> HttpResponse:
    return HttpResponse("limited" if request.limited else "free")


@ratelimit("1/w", key="ip", method="GET")
@ratelimit("1/w", key="ip", method="POST")
def apart(_request: HttpRequest) -> HttpResponse:
    return HttpResponse("apart")


@ratelimit("2/w", key="ip", cost=0, after=only_failures)
def raising(_request: HttpRequest) -> HttpResponse:
    raise PermissionDenied


@ratelimit("2/w", key="ip", cost=0, after=only_failures)
async def araising(_request: HttpRequest) -> HttpResponse:
    raise PermissionDenied


class Called:
    """A view that is neither function nor class."""

    def __call__(self, request: Any, word: str = "") -> HttpResponse:
        return HttpResponse(word if not request.limited else "limited")


@async_unsafe("not in async code")
def _looked_up() -> str:
    return "of the database"


def who(_request: HttpRequest) -> dict[str, Any]:
    """A context processor that asks the database."""
    return {"who": _looked_up()}


unlimited = ratelimit(None, key="ip", block=False)(functools.partial(Called(), word="free"))

urlpatterns = [
    path("plain/", plain, name="plain"),
    path("aplain/", aplain, name="aplain"),
    path("decorated/", decorated),
    path("adecorated/", adecorated),
    path("soft/", soft),
    path("dry/", dry),
    path("login/", login),
    path("whole/", Whole.as_view()),
    path("awhole/", AsyncWhole.as_view()),
    path("methods/", Methods.as_view()),
    path("told/", told),
    path("apart/", apart),
    path("raising/", raising),
    path("araising/", araising),
    path("unlimited/", unlimited),
    path("in/", include(([path("side/", plain, name="side")], "api"), namespace="v1")),
]
