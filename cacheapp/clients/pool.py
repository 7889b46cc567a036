"""Pools of engine connections, sync and asyncio, whose ``from_url`` understands memory:// URLs.

Name them where a library takes a pool class: django-redis (``CONNECTION_POOL_CLASS``), Django's
own Redis cache (``pool_class``), or redis-py itself. Those that insist on a pool of redis-py's
own (channels_redis) name the connection class instead; see ``connection`` and ``aconnection``.
"""

from __future__ import annotations

from typing import Any

import redis.asyncio.connection
import redis.connection

from cacheapp.clients.aconnection import AsyncEngineConnection
from cacheapp.clients.base import connection_settings
from cacheapp.clients.connection import EngineConnection

__all__ = ["AsyncEngineConnectionPool", "EngineConnectionPool"]


class EngineConnectionPool(redis.connection.ConnectionPool):
    """``redis.ConnectionPool`` over ``EngineConnection``: their arguments, or a ``url``."""

    def __init__(
        self, connection_class: Any = EngineConnection, *, url: str | None = None, **settings: Any
    ) -> None:
        if url is not None:
            settings = connection_settings(url, **settings)
        super().__init__(connection_class, **settings)

    @classmethod
    def from_url(cls, url: str, **settings: Any) -> EngineConnectionPool:
        """Return a pool for a memory:// URL. Raises URLError."""
        return cls(url=url, **settings)


class AsyncEngineConnectionPool(redis.asyncio.connection.ConnectionPool):
    """The same of ``redis.asyncio``, over ``AsyncEngineConnection``; for one event loop."""

    def __init__(
        self,
        connection_class: Any = AsyncEngineConnection,
        *,
        url: str | None = None,
        **settings: Any,
    ) -> None:
        if url is not None:
            settings = connection_settings(url, **settings)
        super().__init__(connection_class, **settings)

    @classmethod
    def from_url(cls, url: str, **settings: Any) -> AsyncEngineConnectionPool:
        """Return a pool for a memory:// URL. Raises URLError."""
        return cls(url=url, **settings)
