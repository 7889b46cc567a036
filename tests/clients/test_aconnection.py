"""AsyncEngineConnection: the same as its sync twin, waiting in a loop; cancellation."""

from __future__ import annotations

import asyncio
import gc
import math
from typing import Any

import pytest
import redis.asyncio
from redis.credentials import UsernamePasswordCredentialProvider
from redis.exceptions import AuthenticationError, ResponseError
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from cacheapp.clients.aconnection import AsyncEngineConnection
from cacheapp.clients.client import EngineRedis
from cacheapp.clients.pool import AsyncEngineConnectionPool
from cacheapp.engine.engine import Engine


async def ask(connection: AsyncEngineConnection, *args: Any, **options: Any) -> Any:
    await connection.send_command(*args)
    return await connection.read_response(**options)


async def test_it_connects_by_itself_and_closes_again(url: str, name: str) -> None:
    connection = AsyncEngineConnection(url=url)
    with pytest.raises(RedisConnectionError, match="closed"):
        await connection.read_response()
    assert await ask(connection, "PING") == b"PONG"
    assert connection.is_connected
    assert len(Engine.shared(name).sessions) == 1
    await connection.disconnect()
    await connection.disconnect(nowait=True)
    assert not connection.is_connected
    assert not Engine.shared(name).sessions
    with pytest.raises(RedisConnectionError, match="closed"):
        await connection.can_read()
    with pytest.raises(RedisConnectionError, match="closed"):
        await connection.read_response()


async def test_a_forgotten_connection_leaves_no_session(url: str, name: str) -> None:
    connection = AsyncEngineConnection(url=url)
    await connection.connect()
    del connection
    gc.collect()
    assert not Engine.shared(name).sessions


@pytest.mark.parametrize("protocol", [2, 3])
async def test_the_handshake_introduces_the_client(name: str, protocol: int) -> None:
    url = f"memory://{name}/3?requirepass=hush&protocol={protocol}"
    for settings in (
        {"password": "hush"},
        {"credential_provider": UsernamePasswordCredentialProvider("default", "hush")},
    ):
        connection = AsyncEngineConnection(url=url, client_name="tester", **settings)
        await connection.connect()
        session = connection.session
        assert (session.protocol, session.db.index, session.name) == (protocol, 3, b"tester")
    refused = AsyncEngineConnection(url=url, password="wrong")
    with pytest.raises(AuthenticationError):
        await refused.connect()
    assert not refused.is_connected


async def test_a_read_waits_and_then_gives_up(url: str) -> None:
    connection = AsyncEngineConnection(url=url, socket_timeout=0.01)
    await connection.connect()
    # A timeout that the caller gives ends in None, the connection's own in an error.
    assert await connection.read_response(timeout=0.01) is None
    assert await connection.read_response(timeout=0) is None
    with pytest.raises(RedisTimeoutError, match="Timeout reading from engine"):
        await connection.read_response(disconnect_on_error=False)
    assert connection.is_connected
    with pytest.raises(RedisTimeoutError):
        await connection.read_response()
    assert not connection.is_connected


@pytest.mark.parametrize("timeout", [math.inf, 5, None])
async def test_a_delivery_from_another_thread_ends_the_wait(url: str, timeout: Any) -> None:
    connection = AsyncEngineConnection(url=url)
    await ask(connection, "SUBSCRIBE", "news", push_request=True)
    read = asyncio.create_task(connection.read_response(timeout=timeout, push_request=True))
    await asyncio.sleep(0)
    await asyncio.to_thread(EngineRedis.from_url(url).publish, "news", "one")
    assert await read == [b"message", b"news", b"one"]


async def test_a_delivery_to_a_loop_that_is_closed_is_dropped(url: str) -> None:
    kept: list[Any] = []

    async def leave_a_reader_behind() -> None:
        connection = AsyncEngineConnection(url=url)
        await ask(connection, "SUBSCRIBE", "news", push_request=True)
        waiting = connection._inbox.wait()
        waiting.send(None)
        kept.extend((connection, waiting))

    await asyncio.to_thread(asyncio.run, leave_a_reader_behind())
    assert EngineRedis.from_url(url).publish("news", "one") == 1
    kept[1].close()


async def test_a_reply_to_another_task_s_command_ends_the_wait(url: str) -> None:
    connection = AsyncEngineConnection(url=url)
    await connection.connect()
    read = asyncio.create_task(connection.read_response())
    await asyncio.sleep(0)
    await connection.send_command("ECHO", "x")
    assert await read == b"x"


async def test_disconnecting_ends_a_read_that_waits(url: str) -> None:
    connection = AsyncEngineConnection(url=url)
    await connection.connect()
    read = asyncio.create_task(connection.read_response())
    await asyncio.sleep(0)
    await connection.disconnect()
    with pytest.raises(RedisConnectionError, match="closed"):
        await read


async def test_push_messages_are_kept_from_who_does_not_ask(url: str) -> None:
    connection = AsyncEngineConnection(url=url)
    await ask(connection, "SUBSCRIBE", "news", push_request=True)
    seen: list[Any] = []

    async def handler(message: Any) -> None:
        seen.append(message)

    connection._parser.set_pubsub_push_handler(handler)
    EngineRedis.from_url(url).publish("news", "one")
    assert await connection.can_read()
    assert await ask(connection, "PING") == b"PONG"
    assert seen == [[b"message", b"news", b"one"]]


async def test_replies_are_read_in_the_order_of_the_commands(url: str) -> None:
    connection = AsyncEngineConnection(url=url, decode_responses=True)
    commands = [("ECHO", "1"), ("GET", "a", "b"), ("SET", "a", 1), ("GET", "a")]
    await connection.send_packed_command(connection.pack_commands(commands))
    assert await connection.read_response() == "1"
    with pytest.raises(ResponseError, match="wrong number of arguments for 'get' command"):
        await connection.read_response()
    assert [await connection.read_response() for _ in range(2)] == ["OK", "1"]


async def test_health_is_checked_after_the_interval(url: str) -> None:
    connection = AsyncEngineConnection(url=url, health_check_interval=10)
    await ask(connection, "ECHO", "x")
    pings = connection.engine.stats.command("ping").calls
    await ask(connection, "ECHO", "x")
    assert connection.engine.stats.command("ping").calls == pings
    connection.next_health_check = 0
    await ask(connection, "ECHO", "x")
    assert connection.engine.stats.command("ping").calls == pings + 1


async def test_an_interrupted_batch_closes_the_connection(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    connection = AsyncEngineConnection(url=url)
    await ask(connection, "SET", "a", 1)
    execute = connection.engine.execute

    def interrupted(session: Any, args: list[bytes]) -> Any:
        if args[1] == b"mine":
            raise KeyboardInterrupt
        return execute(session, args)

    monkeypatch.setattr(connection.engine, "execute", interrupted)
    commands = connection.pack_commands([("GET", "a"), ("ECHO", "mine")])
    with pytest.raises(KeyboardInterrupt):
        await connection.send_packed_command(commands)
    assert not connection.is_connected
    monkeypatch.undo()
    assert await ask(connection, "ECHO", "yours") == b"yours"


class Listener:
    """Somebody with methods, as redis-py's connect callbacks have to be."""

    def __init__(self) -> None:
        self.connected = 0

    async def on_connect(self, connection: AsyncEngineConnection) -> None:
        self.connected += 1

    def at_once(self, connection: AsyncEngineConnection) -> None:
        self.connected += 10


async def test_connect_callbacks_and_functions(url: str) -> None:
    connection, listener = AsyncEngineConnection(url=url), Listener()
    connection.register_connect_callback(listener.on_connect)
    connection.register_connect_callback(listener.at_once)
    await connection.connect()
    assert listener.connected == 11
    instead = AsyncEngineConnection(url=url, redis_connect_func=listener.on_connect)
    await instead.connect()
    assert (listener.connected, instead.session.protocol) == (12, 2)


# A cancelled read and the reply that was meant for it (CVE-2023-28858)


@pytest.mark.parametrize("steps", range(1, 10))
async def test_a_cancelled_read_closes_the_connection(url: str, steps: int) -> None:
    connection = AsyncEngineConnection(url=url)
    await ask(connection, "SUBSCRIBE", "news", push_request=True)
    read = asyncio.create_task(connection.read_response(push_request=True))
    for _ in range(steps):
        await asyncio.sleep(0)
    read.cancel()
    # The message arrives in the same step of the loop as the cancellation.
    EngineRedis.from_url(url).publish("news", "late")
    with pytest.raises(asyncio.CancelledError):
        await read
    assert not connection.is_connected
    assert await ask(connection, "ECHO", "mine") == b"mine"


async def test_a_cancelled_read_that_keeps_the_connection_loses_no_message(url: str) -> None:
    connection = AsyncEngineConnection(url=url)
    await ask(connection, "SUBSCRIBE", "news", push_request=True)
    options: dict[str, Any] = {"push_request": True, "disconnect_on_error": False}
    read = asyncio.create_task(connection.read_response(**options))
    await asyncio.sleep(0)
    EngineRedis.from_url(url).publish("news", "one")
    read.cancel()
    with pytest.raises(asyncio.CancelledError):
        await read
    assert await connection.read_response(**options) == [b"message", b"news", b"one"]


@pytest.mark.parametrize("steps", range(14))
@pytest.mark.parametrize("command", ["get", "echo", "pipeline"])
async def test_a_cancelled_caller_of_redis_py_s_own_client(
    url: str, command: str, steps: int
) -> None:
    pool = AsyncEngineConnectionPool.from_url(url, max_connections=1)
    client = redis.asyncio.Redis.from_pool(pool)
    await client.set("mine", "mine")
    await client.set("yours", "yours")
    attempts = {
        "get": lambda: client.get("mine"),
        "echo": lambda: client.echo("mine"),
        "pipeline": lambda: client.pipeline().get("mine").echo("mine").execute(),
    }
    task = asyncio.ensure_future(attempts[command]())
    for _ in range(steps):
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert await client.get("yours") == b"yours"
    assert await client.echo("yours") == b"yours"
    await client.aclose()


# Commands that wait


async def test_a_waiting_command_ends_by_itself(url: str, waiting_command: str) -> None:
    connection = AsyncEngineConnection(url=url, socket_timeout=5)
    assert await ask(connection, waiting_command, 20) is None
    assert await ask(connection, waiting_command, 20, timeout=math.inf) is None
    assert connection.is_connected


async def test_a_waiting_command_is_woken_by_another_client(url: str, waiting_command: str) -> None:
    connection = AsyncEngineConnection(url=url)
    await connection.send_command(waiting_command, 5000)
    read = asyncio.create_task(connection.read_response())
    await asyncio.sleep(0)
    await asyncio.to_thread(EngineRedis.from_url(url).set, "k", "v")
    assert await read == b"v"


async def test_a_cancelled_wait_takes_nothing(url: str, waiting_command: str) -> None:
    connection = AsyncEngineConnection(url=url)
    await connection.send_command(waiting_command, 5000)
    read = asyncio.create_task(connection.read_response())
    await asyncio.sleep(0)
    read.cancel()
    with pytest.raises(asyncio.CancelledError):
        await read
    assert not connection.engine.waiters.by_session


async def test_after_quit_there_is_the_reply_and_nothing_more(url: str, name: str) -> None:
    connection = AsyncEngineConnection(url=url)
    commands = [("ECHO", "x"), ("QUIT",), ("ECHO", "ignored")]
    await connection.send_packed_command(connection.pack_commands(commands))
    assert not connection.is_connected
    assert not Engine.shared(name).sessions
    assert [await connection.read_response() for _ in range(2)] == [b"x", b"OK"]
    with pytest.raises(RedisConnectionError, match="closed"):
        await connection.read_response()
    assert await ask(connection, "ECHO", "again") == b"again"


async def test_a_subscriber_who_does_not_read_is_dropped(url: str) -> None:
    publisher, slow = AsyncEngineConnection(url=url), AsyncEngineConnection(url=url)
    await ask(publisher, "CONFIG", "SET", "client-output-buffer-limit", "pubsub 10000 0 0")
    await ask(slow, "SUBSCRIBE", "news", push_request=True)
    assert await ask(publisher, "PUBLISH", "news", "x" * 20_000) == 1
    assert await ask(publisher, "PUBLISH", "news", "x") == 0
    with pytest.raises(RedisConnectionError, match="closed"):
        await slow.read_response(push_request=True)
    assert await ask(slow, "PING") == b"PONG"
