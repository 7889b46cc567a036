"""Headers of every page: how long it took, which process answered, and a policy.

The policy allows no inline script or style, and connections to this site alone. Its WebSocket is
named as well, since not every browser takes 'self' for that.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from time import perf_counter
from typing import Any

from asgiref.sync import iscoroutinefunction
from django.core.exceptions import DisallowedHost
from django.http import HttpRequest, HttpResponse
from django.utils.decorators import sync_and_async_middleware

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; form-action 'self'; "
    "base-uri 'none'; connect-src 'self'"
)


@sync_and_async_middleware
def page_headers(get_response: Callable[[HttpRequest], Any]) -> Callable[[HttpRequest], Any]:
    """Add Server-Timing (ms), X-Worker (pid), Content-Security-Policy, Cache-Control: no-store."""
    if iscoroutinefunction(get_response):

        async def amiddleware(request: HttpRequest) -> HttpResponse:
            started = perf_counter()
            return _with_headers(request, await get_response(request), started)

        return amiddleware

    def middleware(request: HttpRequest) -> HttpResponse:
        started = perf_counter()
        return _with_headers(request, get_response(request), started)

    return middleware


def _with_headers(request: HttpRequest, response: HttpResponse, started: float) -> HttpResponse:
    took_ms = (perf_counter() - started) * 1000
    response.headers["Server-Timing"] = f"total;dur={took_ms:.2f}"
    response.headers["X-Worker"] = str(os.getpid())
    response.headers["Content-Security-Policy"] = POLICY + _sockets(request)
    response.headers.setdefault("Cache-Control", "no-store")
    return response


def _sockets(request: HttpRequest) -> str:
    """This site's WebSockets as the policy names them; nothing for a host that is not ours."""
    try:
        host = request.get_host()
    except DisallowedHost:
        return ""
    return f" ws://{host} wss://{host}"
