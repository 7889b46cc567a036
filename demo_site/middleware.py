"""Headers of every page: how long it took, and a policy that allows no inline script or style."""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter

from django.http import HttpRequest, HttpResponse

POLICY = "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'"


def page_headers(
    get_response: Callable[[HttpRequest], HttpResponse],
) -> Callable[..., HttpResponse]:
    """Add Server-Timing (total, in ms), Content-Security-Policy and Cache-Control: no-store."""

    def middleware(request: HttpRequest) -> HttpResponse:
        started = perf_counter()
        response = get_response(request)
        took_ms = (perf_counter() - started) * 1000
        response.headers["Server-Timing"] = f"total;dur={took_ms:.2f}"
        response.headers["Content-Security-Policy"] = POLICY
        response.headers.setdefault("Cache-Control", "no-store")
        return response

    return middleware
