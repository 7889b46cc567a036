"""The ASGI application of the demo site: pages, the style sheet, and the WebSocket of live pages.

`manage.py demo` serves it, and uvicorn or any other ASGI server may. Several worker processes need
CACHE_URL to name a real Redis: memory:// lives in one process.
"""

from __future__ import annotations

import os
from typing import Any

from channels.routing import ProtocolTypeRouter, URLRouter
from channels.security.websocket import AllowedHostsOriginValidator
from django.contrib.staticfiles.handlers import ASGIStaticFilesHandler
from django.core.asgi import get_asgi_application
from django.http import HttpRequest, HttpResponse
from django.urls import path

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "demo_site.settings")
pages = get_asgi_application()

from demo_site.consumers import Live  # noqa: E402 - once the apps are loaded


class StaticFiles(ASGIStaticFilesHandler):
    """Serves the site's few small files, each as a whole.

    Django's own way is a stream from a synchronous file, of which it warns itself under ASGI.
    """

    def serve(self, request: HttpRequest) -> HttpResponse:
        """One file. Raises Http404."""
        found: Any = super().serve(request)
        if not found.streaming:  # it did not change since the browser had it
            return found
        content = found.getvalue()
        # Not the response, whose end is the end of the request.
        found.file_to_stream.close()
        return HttpResponse(content, headers=dict(found.items()))


application = ProtocolTypeRouter(
    {
        "http": StaticFiles(pages),
        # A page of another site may not listen with its visitors' browsers.
        "websocket": AllowedHostsOriginValidator(URLRouter([path("live/", Live.as_asgi())])),
    }
)
