"""A site of one view for real web servers: it reads or writes one key, and says which process did.

`TORTURE_REDIS` is the server's URL. Used before any request too, as code at import time does.
"""

from __future__ import annotations

import asyncio
import os
import threading
from typing import Any

import django
from django.conf import settings
from django.core.asgi import get_asgi_application
from django.core.cache import cache
from django.core.wsgi import get_wsgi_application
from django.http import HttpRequest, JsonResponse
from django.urls import path

settings.configure(
    SECRET_KEY="website",
    ALLOWED_HOSTS=["*"],
    ROOT_URLCONF=__name__,
    CACHES={
        "default": {
            "BACKEND": "cacheapp.cache.CacheBackend",
            "LOCATION": os.environ["TORTURE_REDIS"],
            "OPTIONS": {"NEAR_CACHE": {"bound": 2.0}},
        }
    },
)
django.setup()

cache.set("at import", 1)
cache.get("at import")  # in a server that preloads, this starts a listener before the fork


def view(request: HttpRequest) -> JsonResponse:
    """`?set=N` writes; the answer says what this process reads, and whether from a copy."""
    if "set" in request.GET:
        cache.set("key", int(request.GET["set"]))
    near: Any = cache.near  # type: ignore[attr-defined]
    held = near.copies.peek(cache.storage_key("key")) is not None  # type: ignore[attr-defined]
    return JsonResponse({"pid": os.getpid(), "value": cache.get("key"), "near": held})


def compute() -> int:
    """Say who is at work, and go on when told so."""
    client: Any = cache.client.get_client()  # type: ignore[attr-defined]
    client.rpush("computing", os.getpid())
    pause = threading.Event()
    while not client.lpop("go"):
        pause.wait(0.01)
    return os.getpid()


def limits(request: HttpRequest) -> dict[str, float]:
    """For how long `?lease=` lets others wait, should this process die."""
    return {"lease": float(request.GET["lease"]), "wait": 60}


def slow(request: HttpRequest) -> JsonResponse:
    """A value that takes as long as the test wants."""
    return JsonResponse({"value": cache.get_or_set("slow", compute, 60, **limits(request))})


async def aslow(request: HttpRequest) -> JsonResponse:
    """The same natively."""

    async def acompute() -> int:
        return await asyncio.to_thread(compute)

    found = await cache.aget_or_set("slow", acompute, 60, **limits(request))
    return JsonResponse({"value": found})


urlpatterns = [path("", view), path("slow", slow), path("aslow", aslow)]
application = get_wsgi_application()
asgi = get_asgi_application()
