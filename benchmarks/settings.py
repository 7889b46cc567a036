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
        caches["redis"] = {"BACKEND": "cacheapp.cache.CacheBackend", "LOCATION": redis_url}
        caches["django-redis"] = {"BACKEND": "django_redis.cache.RedisCache", "LOCATION": redis_url}
        caches["django"] = {
            "BACKEND": "django.core.cache.backends.redis.RedisCache",
            "LOCATION": redis_url,
        }
    settings.configure(
        CACHES=caches,
        SECRET_KEY="benchmarks-only",
        INSTALLED_APPS=["cacheapp"],
        USE_TZ=True,
    )
    django.setup()
