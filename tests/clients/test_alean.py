"""LeanAsyncRedis: redis.asyncio's behaviour by a shorter path; cancellation above all."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import pytest
import redis.asyncio
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import DataError, MaxConnectionsError, ResponseError
from redis.exceptions import TimeoutError as RedisTimeoutError

from cacheapp.clients.alean import LeanAsyncConnectionPool, LeanAsyncRedis
from tests.redis_server import RedisServer


class Echoing:
    """A server that answers each ECHO when ``go`` is set, and keeps count of connections."""

    def __init__(self) -> None:
        self.go = asyncio.Event()
        self.asked = asyncio.Event()
        self.connections = 0
        self.drops = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(65536):
                self.asked.set()
                if self.drops:
                    self.drops -= 1
                    break
                await self.go.wait()
                word = data.split(b"\r\n")[4]
                writer.write(b"$%d\r\n%s\r\n" % (len(word), word))
        writer.close()


@contextlib.asynccontextmanager
async def echoing(**options: Any) -> AsyncIterator[tuple[Echoing, LeanAsyncRedis]]:
    script = Echoing()
    server = await asyncio.start_server(script.serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    client = LeanAsyncRedis.from_url(
        f"redis://127.0.0.1:{port}/0", protocol=2, driver_info=None, max_connections=1, **options
    )
    try:
        yield script, client
    finally:
        await client.aclose()
        server.close()


async def test_a_late_reply_reaches_nobody() -> None:
    async with echoing() as (script, client):
        task = asyncio.create_task(client.echo("mine"))
        await script.asked.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        script.go.set()
        assert await client.echo("yours") == b"yours"
        assert script.connections == 2


async def test_a_reply_that_came_with_the_cancellation_reaches_nobody() -> None:
    async with echoing() as (script, client):
        script.go.set()
        for steps in range(20):
            task = asyncio.create_task(client.echo(f"mine{steps}"))
            for _ in range(steps):
                await asyncio.sleep(0)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            assert await client.echo(f"yours{steps}") == f"yours{steps}".encode()


async def test_a_read_that_takes_too_long() -> None:
    async with echoing(socket_timeout=0.02) as (script, client):
        with pytest.raises(RedisTimeoutError, match="Timeout reading from"):
            await client.echo("mine")
        script.go.set()
        assert await client.echo("yours") == b"yours"


async def test_a_lost_connection_is_an_error_or_a_retry() -> None:
    async with echoing() as (script, client):
        script.go.set()
        script.drops = 1
        with pytest.raises(RedisConnectionError, match="closed by server"):
            await client.echo("a")
        assert await client.echo("b") == b"b"
    async with echoing(retry=Retry(NoBackoff(), 2)) as (script, client):
        script.go.set()
        script.drops = 2
        assert await client.echo("a") == b"a"
        assert script.connections == 3


async def test_large_values_and_many_tasks(redis_server: RedisServer) -> None:
    client = LeanAsyncRedis.from_url(redis_server.url())
    value = b"x" * 3_000_000
    assert await client.set("large", value)
    assert await client.get("large") == value
    words = [f"w{number}" for number in range(50)]
    echoes = await asyncio.gather(*(client.echo(word) for word in words))
    assert echoes == [word.encode() for word in words]
    await client.aclose()


async def test_a_connection_that_was_closed_while_idle_is_opened_anew(
    redis_server: RedisServer,
) -> None:
    client = LeanAsyncRedis.from_url(redis_server.url())
    first = await client.client_id()
    async with redis.asyncio.Redis(port=redis_server.port) as other:
        await other.client_kill_filter(_id=first)
    stream = client.connection_pool._available_connections[0]._reader
    await asyncio.wait_for(stream.read(), 5)
    assert await client.client_id() != first
    await client.aclose()


async def test_the_loop_need_not_have_heard_that_it_was_closed(redis_server: RedisServer) -> None:
    client = LeanAsyncRedis.from_url(redis_server.url())
    with redis.Redis(port=redis_server.port) as other:
        for _ in range(3):
            first = await client.client_id()
            # Without a turn of the loop.
            assert other.client_kill_filter(_id=first) == 1
            assert await client.client_id() != first
            assert len(client.connection_pool._available_connections) == 1
    await client.aclose()


async def test_error_replies_keep_the_connection(redis_server: RedisServer) -> None:
    client = LeanAsyncRedis.from_url(redis_server.url())
    first = await client.client_id()
    with pytest.raises(ResponseError, match="unknown command"):
        await client.execute_command("NOPE")
    with pytest.raises(DataError):
        await client.set("a", None)  # type: ignore[arg-type]
    assert await client.client_id() == first
    await client.aclose()


async def test_a_push_message_before_the_reply(redis_server: RedisServer) -> None:
    client = LeanAsyncRedis.from_url(redis_server.url())
    await client.execute_command("CLIENT", "TRACKING", "ON", "BCAST")
    seen: list[Any] = []

    async def handler(message: Any) -> None:
        seen.append(message)

    connection: Any = client.connection_pool._available_connections[0]
    connection._parser.set_invalidation_push_handler(handler)
    await client.set("a", 1)
    assert await client.get("a") == b"1"
    assert await client.echo("x") == b"x"
    assert [data for _, data in seen] == [[b"a"]]
    await client.aclose()


async def test_no_more_connections_than_allowed(redis_server: RedisServer) -> None:
    client = LeanAsyncRedis.from_url(redis_server.url(), max_connections=1)
    connection = await client.connection_pool.get_connection()
    with pytest.raises(MaxConnectionsError):
        await client.get("a")
    await client.connection_pool.release(connection)
    assert await client.get("a") is None
    await client.aclose()


@pytest.mark.parametrize(
    "options",
    [
        {"health_check_interval": 10},
        {"single_connection_client": True},
        {"connection_pool_class": redis.asyncio.BlockingConnectionPool},
        {"connection_pool_class": redis.asyncio.ConnectionPool},
    ],
)
async def test_redis_py_s_own_path_serves_the_rest(
    redis_server: RedisServer, options: dict[str, Any]
) -> None:
    client = LeanAsyncRedis.from_url(redis_server.url(), **options)
    assert await client.set("a", 1)
    assert await client.get("a") == b"1"
    await client.aclose()


async def test_nobody_listens(unused_tcp_port: int) -> None:
    client = LeanAsyncRedis.from_url(f"redis://127.0.0.1:{unused_tcp_port}/0")
    with pytest.raises(RedisConnectionError):
        await client.get("a")
    assert isinstance(client.connection_pool, LeanAsyncConnectionPool)
    assert not client.connection_pool._in_use_connections
    await client.aclose()
