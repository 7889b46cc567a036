"""What the cache backend raises of its own. Everything else is redis-py's or Django's."""

from __future__ import annotations

from pickle import PicklingError

from django.core.exceptions import ImproperlyConfigured


class CacheError(Exception):
    """The base of this package's exceptions."""


class SerializationError(CacheError, PicklingError, TypeError):
    """A value that the alias's serializer cannot write. Nothing was sent to the server.

    It is a PicklingError and a TypeError because other backends raise those.
    """


class LocationError(CacheError, ImproperlyConfigured, ValueError):
    """A LOCATION whose URL has an unknown scheme or option."""


class InvalidKeyError(CacheError, ValueError):
    """A key that no Redis server takes, such as one over 512 MB. Nothing was sent."""


class LockTimeoutError(CacheError):
    """A lock that was not free in time."""


class LockLostError(CacheError):
    """A lock that ran out before its holder was done; another may have held it since."""


class ContentionError(CacheError):
    """A value that others changed at every one of many attempts to change it."""
