"""Settings of the demo site: an ordinary Django project in which one variable chooses the server.

    CACHE_URL        memory://… (the default: an engine in this process) or redis://host:6379/0
    DEMO_VAR_DIR     where the SQLite file and the secret key live (default: var/ beside manage.py)
    DEMO_SECRET_KEY  the secret key, instead of the one made at the first start
    DEMO_DEBUG       1 for Django's debug pages

The default policy is volatile-lru: only keys with a lifetime are evicted, which are the cached
pages and sessions; the rankings and the registries that the invalidation reads have none and stay.
Left out on purpose: the admin, which the demo does not need.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from demo_site.secret import secret_key

BASE_DIR = Path(__file__).resolve().parent.parent
VAR_DIR = Path(os.environ.get("DEMO_VAR_DIR", BASE_DIR / "var"))
VAR_DIR.mkdir(parents=True, exist_ok=True)

CACHE_URL = os.environ.get(
    "CACHE_URL", "memory://demo?maxmemory=64mb&maxmemory-policy=volatile-lru"
)
# Copies of hot pages in each process, which an edit in any of them ends. An engine in the process
# answers as fast as a copy would.
NEAR = {} if CACHE_URL.startswith("memory:") else {"NEAR_CACHE": {"bound": 2.0}}
CACHES: dict[str, dict[str, Any]] = {
    "default": {
        "BACKEND": "cacheapp.cache.CacheBackend",
        "LOCATION": CACHE_URL,
        "KEY_PREFIX": "demo",
        "OPTIONS": {
            # A server that is away makes the pages slow, not broken.
            "IGNORE_EXCEPTIONS": True,
            "SOCKET_CONNECT_TIMEOUT": 1,
            "SOCKET_TIMEOUT": 5,
            # Live pages hear of what edits delete (demo_site.consumers).
            "ANNOUNCE": True,
            **NEAR,
        },
    }
}
# False computes every page anew: the baseline of demo_report.
DEMO_CACHE_PAGES = True

SECRET_KEY = os.environ.get("DEMO_SECRET_KEY") or secret_key(VAR_DIR / "demo-secret-key")
DEBUG = os.environ.get("DEMO_DEBUG") == "1"
ALLOWED_HOSTS = ["127.0.0.1", "localhost", "[::1]"]

INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.humanize",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "cacheapp",
    "demo_site",
]
MIDDLEWARE = [
    "demo_site.middleware.page_headers",
    "django.middleware.security.SecurityMiddleware",
    "cacheapp.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    # Behind it, since a rule counts users.
    "cacheapp.ratelimit.middleware.RateLimitMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
SESSION_ENGINE = "cacheapp.sessions"
SESSION_COOKIE_NAME = "demo-session"
LOGIN_URL = "login"
LOGIN_REDIRECT_URL = "sessions"
LOGOUT_REDIRECT_URL = "home"
CACHEAPP: dict[str, Any] = {
    "SESSIONS": {"SEEN_SECONDS": 10, "MAX_PER_USER": 20},
    "RATELIMIT": {
        "TEMPLATE": "demo_site/429.html",
        "RULES": [
            {"name": "api", "path": "/api/", "rates": ["5/10s", "60/h"]},
            # Each guess at a password counts, whoever it is about.
            {"name": "login", "path": "/login/", "methods": ["POST"], "rates": "20/m", "key": "ip"},
        ],
    },
}
MESSAGE_STORAGE = "django.contrib.messages.storage.cookie.CookieStorage"
ROOT_URLCONF = "demo_site.urls"
WSGI_APPLICATION = "demo_site.wsgi.application"
ASGI_APPLICATION = "demo_site.asgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.messages.context_processors.messages",
                "demo_site.server.context",
                "demo_site.accounts.context",
            ]
        },
    }
]
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": VAR_DIR / "demo.sqlite3",
        "OPTIONS": {"timeout": 10, "transaction_mode": "IMMEDIATE"},
    }
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
STATIC_URL = "static/"
USE_TZ = True
TIME_ZONE = "UTC"
LANGUAGE_CODE = "en-us"
