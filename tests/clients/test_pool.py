"""Pools whose from_url understands memory:// URLs."""

from __future__ import annotations

import pytest
import redis
import redis.asyncio
from redis.exceptions import MaxConnectionsError

from cacheapp.clients.aconnection import AsyncEngineConnection
from cacheapp.clients.base import connection_settings
from cacheapp.clients.connection import EngineConnection
from cacheapp.clients.pool import AsyncEngineConnectionPool, EngineConnectionPool
from cacheapp.clients.url import UnknownSchemeError, URLOptionError
from cacheapp.engine.engine import Engine

POOLS = pytest.mark.parametrize("pool_class", [EngineConnectionPool, AsyncEngineConnectionPool])


def test_what_the_url_says_wins(name: str) -> None:
    url = f"memory://{name}/2?decode_responses=yes&maxmemory=1mb"
    settings = connection_settings(url, db=5, decode_responses=False, client_name="x")
    assert settings == {
        "host": name,
        "db": 2,
        "decode_responses": True,
        "client_name": "x",
        "maxmemory": "1mb",
    }
    assert connection_settings(f"memory://{name}", db=5)["db"] == 5
    assert connection_settings(f"memory://{name}")["db"] == 0


@POOLS
def test_errors_come_before_the_first_connection(name: str, pool_class: type) -> None:
    with pytest.raises(URLOptionError, match="'maxmemry'"):
        pool_class.from_url(f"memory://{name}?maxmemry=1mb")  # type: ignore[attr-defined]
    with pytest.raises(UnknownSchemeError):
        pool_class.from_url("redis://localhost")  # type: ignore[attr-defined]
    Engine.shared(name, {"maxmemory": "1mb"})
    with pytest.raises(URLOptionError, match="already runs"):
        pool_class.from_url(f"memory://{name}?maxmemory=2mb")  # type: ignore[attr-defined]


def test_the_pool_s_limits_hold(url: str, name: str) -> None:
    pool = EngineConnectionPool.from_url(f"{url}?max_connections=1&requirepass=&password=")
    connection = pool.get_connection()
    assert isinstance(connection, EngineConnection)
    with pytest.raises(MaxConnectionsError):
        pool.get_connection()
    pool.release(connection)
    assert pool.get_connection() is connection
    assert f"host={name}" in repr(pool)
    pool.close()
    assert not Engine.shared(name).sessions


def test_a_connection_with_an_unread_reply_is_opened_anew(url: str) -> None:
    client = redis.Redis.from_pool(EngineConnectionPool.from_url(url))
    connection = client.connection_pool.get_connection()
    connection.send_command("ECHO", "stale")
    client.connection_pool.release(connection)
    assert client.echo("fresh") == b"fresh"


async def test_the_asyncio_pool(url: str, name: str) -> None:
    pool = AsyncEngineConnectionPool.from_url(url, max_connections=1)
    client = redis.asyncio.Redis.from_pool(pool)
    connection = await pool.get_connection()
    assert isinstance(connection, AsyncEngineConnection)
    await connection.send_command("ECHO", "stale")
    with pytest.raises(MaxConnectionsError):
        await pool.get_connection()
    await pool.release(connection)
    assert await client.echo("fresh") == b"fresh"
    await client.aclose()
    assert not Engine.shared(name).sessions
