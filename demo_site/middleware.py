"""Headers of every page: how long it took, and a policy that allows no inline script or style."""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter
from typing import Any

from asgiref.sync import iscoroutinefunction
from django.http import HttpRequest, HttpResponse
from django.utils.decorators import sync_and_async_middleware

POLICY = "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'"


@sync_and_async_middleware
def page_headers(get_response: Callable[[HttpRequest], Any]) -> Callable[[HttpRequest], Any]:
    """Add Server-Timing (total, in ms), Content-Security-Policy and Cache-Control: no-store."""
    if iscoroutinefunction(get_response):

        async def amiddleware(request: HttpRequest) -> HttpResponse:
            started = perf_counter()
            return _with_headers(await get_response(request), started)

        return amiddleware

    def middleware(request: HttpRequest) -> HttpResponse:
        started = perf_counter()
        return _with_headers(get_response(request), started)

    return middleware


def _with_headers(response: HttpResponse, started: float) -> HttpResponse:
    took_ms = (perf_counter() - started) * 1000
    response.headers["Server-Timing"] = f"total;dur={took_ms:.2f}"
    response.headers["Content-Security-Policy"] = POLICY
    response.headers.setdefault("Cache-Control", "no-store")
    return response
