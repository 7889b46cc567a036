"""How ``get`` and ``set`` of an alias with OPTIONS["PREFIXES"] reach the server.

A backend reads through a ``fetch(name)`` and writes through a ``store(name, raw, ttl_ms)``, so
these two stand in their place, and an alias without prefixes never comes here. The reader knows
from the key which tags the entry has to have, and asks for their versions in the same round trip.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cacheapp.cache import entries, operations, prefixes
from cacheapp.cache import tags as tagging

if TYPE_CHECKING:
    from cacheapp.cache.backend import CacheBackend


class TaggedReader:
    """A backend's reader where keys have tags by their prefixes."""

    def __init__(self, cache: CacheBackend, client: Any) -> None:
        self._cache = cache
        self._client = client

    def fetch(self, name: bytes) -> Any:
        """GET. What is dead is None; what has more to it than these tags comes as it is."""
        tags = prefixes.tags_of(self._cache, name)
        keys = [tagging.version_key(self._cache, tag) for tag in tags]
        raw, *tokens = tagging.get_all(self._client, [name, *keys])
        kept = entries.unpack(raw) if raw and raw[:1] == entries.VALUE else None
        if kept is None or kept.stale_ms or len(kept.tags) != len(tags):
            return raw
        return kept.inner if dict(kept.tags) == dict(zip(tags, tokens, strict=True)) else None


class TaggingWriter:
    """A backend's writer where keys have tags by their prefixes."""

    def __init__(self, cache: CacheBackend) -> None:
        self._cache = cache

    def store(self, key: bytes, value: bytes, ttl_ms: int) -> Any:
        """SET, due in ``ttl_ms`` milliseconds; 0 is never."""
        cache = self._cache
        return cache._run(operations.store(cache, key, value, ttl_ms or None, False, False))
