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
        # What a process that only writes has, and what those have that read the same keys.
        for alias, prefix, near in (
            ("mute", "near", {"max_entries": 0}),
            ("mute-reader", "near", {}),
            ("near", "near-own", {}),
        ):
            caches[alias] = {
                "BACKEND": "cacheapp.cache.CacheBackend",
                "LOCATION": redis_url,
                "KEY_PREFIX": prefix,
                "OPTIONS": {"NEAR_CACHE": near},
            }
    settings.configure(
        CACHES=caches,
        SECRET_KEY="benchmarks-only",
        INSTALLED_APPS=["cacheapp", "django.contrib.contenttypes", "django.contrib.auth"],
        ALLOWED_HOSTS=["testserver"],
        USE_TZ=True,
    )
    django.setup()
