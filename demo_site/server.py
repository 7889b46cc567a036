"""The server behind the demo: its cache, its raw client, and its name as pages may show it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, cast
from urllib.parse import urlsplit

from django.conf import settings
from django.core.cache import caches
from django.http import HttpRequest
from django_redis import get_redis_connection
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import OutOfMemoryError, ReadOnlyError
from redis.exceptions import TimeoutError as RedisTimeoutError

if TYPE_CHECKING:
    import redis

    from cacheapp.cache import CacheBackend

# The server is out of reach, full, or a replica: not our mistakes, and no reason to break a page.
UNUSABLE = (RedisConnectionError, RedisTimeoutError, OutOfMemoryError, ReadOnlyError)


def cache() -> CacheBackend:
    """The demo's cache. Django keeps one a thread, and so it is asked for at each use."""
    return cast("CacheBackend", caches["default"])


def connection() -> redis.Redis:
    """The redis-py client of the same server, for what a cache has no words for."""
    return get_redis_connection("default")


def raw_key(name: str) -> str:
    """The name of one of the demo's own Redis keys.

    They share the cache's prefix but not its separator, so that `cache.clear()`, which removes the
    alias's keys, leaves rankings and registries alone.
    """
    return f"{cache().key_prefix}-site:{name}"


def member_text(member: bytes | str) -> str:
    """A member of a collection as text, whether or not the client decodes."""
    return member.decode() if isinstance(member, bytes) else member


def location() -> str:
    """The URL of the server, passwords included."""
    return str(settings.CACHES["default"]["LOCATION"])


def safe_url(url: str) -> str:
    """The URL without user, password and options: fit to be shown."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def context(_request: HttpRequest) -> dict[str, str]:
    """Template context: which server this page runs on."""
    url = location()
    embedded = url.startswith("memory:")
    return {
        "server_url": safe_url(url),
        "server_kind": "embedded engine, in this process" if embedded else "a Redis server",
        "worker": str(os.getpid()),
    }
