"""Django's settings for the benchmarks: every cache backend of the comparison, side by side."""

from __future__ import annotations

from typing import Any


def configure(redis_url: str | None) -> None:
    """Set Django up with an alias a backend; those on Redis only where `redis_url` is given."""
    import django
    from django.conf import settings

    caches: dict[str, dict[str, Any]] = {
        "default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"},
        "engine": {"BACKEND": "cacheapp.cache.CacheBackend", "LOCATION": "memory://bench/0"},
    }
    if redis_url:
        for alias, backend in (
            ("redis", "cacheapp.cache.CacheBackend"),
            ("django-redis", "django_redis.cache.RedisCache"),
            ("django", "django.core.cache.backends.redis.RedisCache"),
        ):
            # A prefix each: they do not read each other's values.
            caches[alias] = {"BACKEND": backend, "LOCATION": redis_url, "KEY_PREFIX": alias}
    settings.configure(
        CACHES=caches,
        SECRET_KEY="benchmarks-only",
        INSTALLED_APPS=["cacheapp", "django.contrib.contenttypes", "django.contrib.auth"],
        ALLOWED_HOSTS=["testserver"],
        USE_TZ=True,
    )
    django.setup()
