"""The cache backend: ``CACHES = {"default": {"BACKEND": "cacheapp.cache.CacheBackend", ...}}``."""

from cacheapp.cache.backend import CacheBackend
from cacheapp.cache.cached import cached
from cacheapp.cache.client import CacheClient, SentinelCacheClient
from cacheapp.cache.errors import (
    CacheError,
    ContentionError,
    InvalidKeyError,
    LocationError,
    LockLostError,
    LockTimeoutError,
    SerializationError,
)

__all__ = [
    "CacheBackend",
    "CacheClient",
    "CacheError",
    "ContentionError",
    "InvalidKeyError",
    "LocationError",
    "LockLostError",
    "LockTimeoutError",
    "SentinelCacheClient",
    "SerializationError",
    "cached",
]
