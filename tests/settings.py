"""Django's settings for the tests: the demo site's project, and nothing outside this process.

A test that needs other settings overrides them; a test that needs a real server asks for the
`redis_server` or the `server` fixture and never reads a URL from here.
"""

from __future__ import annotations

import os

# The demo makes itself a key file at its first start; the tests leave none behind.
os.environ.setdefault("DEMO_SECRET_KEY", "the tests' own key, which protects nothing")

from demo_site import settings as demo

SECRET_KEY = demo.SECRET_KEY
ALLOWED_HOSTS = ["testserver", *demo.ALLOWED_HOSTS]
DEFAULT_AUTO_FIELD = demo.DEFAULT_AUTO_FIELD
DEMO_CACHE_PAGES = demo.DEMO_CACHE_PAGES
MESSAGE_STORAGE = demo.MESSAGE_STORAGE
ROOT_URLCONF = demo.ROOT_URLCONF
STATIC_URL = demo.STATIC_URL
TEMPLATES = demo.TEMPLATES
TIME_ZONE = demo.TIME_ZONE
USE_TZ = demo.USE_TZ

INSTALLED_APPS = ["django.contrib.sessions", *demo.INSTALLED_APPS]
MIDDLEWARE = demo.MIDDLEWARE
LOGIN_URL = demo.LOGIN_URL
LOGIN_REDIRECT_URL = demo.LOGIN_REDIRECT_URL
LOGOUT_REDIRECT_URL = demo.LOGOUT_REDIRECT_URL
# Quick, and as good as any for passwords that protect nothing.
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]

DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}}

CACHES = {
    "default": {
        **demo.CACHES["default"],
        "LOCATION": "memory://tests",
        # A test must see the error that a site in production would ride out.
        "OPTIONS": {},
    }
}
