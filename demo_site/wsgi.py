"""The WSGI application of the demo site, for `manage.py demo` and for any WSGI server.

It serves the style sheet as well, which a deployment would leave to its web server. Several worker
processes need CACHE_URL to name a real Redis: memory:// lives in one process.
"""

from __future__ import annotations

import os

from django.contrib.staticfiles.handlers import StaticFilesHandler
from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "demo_site.settings")
application = StaticFilesHandler(get_wsgi_application())
