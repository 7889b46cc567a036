"""Aliases in CACHES for the length of a test, for tests on both servers and on none."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.core.cache import caches

BACKEND = "cacheapp.cache.CacheBackend"
MakeCache = Callable[..., Any]


def maker(settings: Any) -> MakeCache:
    """Return ``make(location, alias="default", options={}, **params)``, which gives a cache.

    ``settings`` is pytest-django's fixture, which takes the aliases away after the test.
    """

    def make(
        location: Any, alias: str = "default", options: dict[str, Any] | None = None, **params: Any
    ) -> Any:
        written = {"BACKEND": BACKEND, "LOCATION": location, "OPTIONS": options or {}, **params}
        settings.CACHES = {**settings.CACHES, alias: written}
        return caches[alias]

    return make
