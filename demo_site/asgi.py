"""The ASGI application of the demo site, for uvicorn and any other ASGI server; see `wsgi`."""

from __future__ import annotations

import os

from django.contrib.staticfiles.handlers import ASGIStaticFilesHandler
from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "demo_site.settings")
application = ASGIStaticFilesHandler(get_asgi_application())
