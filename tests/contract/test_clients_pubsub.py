"""redis-py's PubSub objects behave alike on both servers, sync and asyncio."""

from __future__ import annotations

import queue
from collections.abc import Callable
from typing import Any

import pytest
import redis
import redis.asyncio

from tests.contract.conftest import Server

WAIT_S = 5
PROTOCOLS = pytest.mark.parametrize("protocol", [2, 3])


def message(kind: str, channel: bytes, data: Any, pattern: bytes | None = None) -> dict[str, Any]:
    return {"type": kind, "pattern": pattern, "channel": channel, "data": data}


@PROTOCOLS
def test_subscribing_and_getting_messages(server: Server, protocol: int) -> None:
    client = server.client(protocol=protocol)
    with client.pubsub() as pubsub:
        pubsub.subscribe("news")
        pubsub.psubscribe("sp*")
        assert pubsub.get_message(timeout=WAIT_S) == message("subscribe", b"news", 1)
        assert pubsub.get_message(timeout=WAIT_S) == message("psubscribe", b"sp*", 2)
        assert client.publish("news", "one") == 1
        assert client.publish("sport", "two") == 1
        assert client.publish("nobody", "three") == 0
        assert pubsub.get_message(timeout=WAIT_S) == message("message", b"news", b"one")
        assert pubsub.get_message(timeout=WAIT_S) == message("pmessage", b"sport", b"two", b"sp*")
        assert pubsub.get_message() is None
        assert pubsub.get_message(timeout=0.01) is None
        assert client.pubsub_numsub("news") == [(b"news", 1)]
        pubsub.unsubscribe()
        assert pubsub.get_message(timeout=WAIT_S) == message("unsubscribe", b"news", 1)
        pubsub.punsubscribe("sp*")
        assert pubsub.get_message(timeout=WAIT_S) == message("punsubscribe", b"sp*", 0)
        assert not pubsub.subscribed
    assert client.publish("news", "gone") == 0


@PROTOCOLS
def test_ping_while_subscribed(server: Server, protocol: int) -> None:
    with server.client(protocol=protocol).pubsub(ignore_subscribe_messages=True) as pubsub:
        pubsub.subscribe("news")
        assert pubsub.get_message(timeout=WAIT_S) is None
        pubsub.ping()
        assert pubsub.get_message(timeout=WAIT_S) == {**message("pong", b"", b""), "channel": None}


@PROTOCOLS
def test_messages_are_decoded(server: Server, protocol: int) -> None:
    client = server.client(protocol=protocol, decode_responses=True)
    with client.pubsub(ignore_subscribe_messages=True) as pubsub:
        pubsub.subscribe("news")
        assert pubsub.get_message(timeout=WAIT_S) is None
        client.publish("news", "é")
        assert pubsub.get_message(timeout=WAIT_S) == {
            "type": "message",
            "pattern": None,
            "channel": "news",
            "data": "é",
        }


def test_listening(client: redis.Redis) -> None:
    with client.pubsub() as pubsub:
        pubsub.subscribe("news")
        listener = pubsub.listen()
        assert next(listener)["type"] == "subscribe"
        client.publish("news", "one")
        assert next(listener) == message("message", b"news", b"one")


def test_running_in_a_thread(client: redis.Redis) -> None:
    arrived: queue.Queue[dict[str, Any]] = queue.Queue()
    pubsub = client.pubsub()
    pubsub.subscribe(news=arrived.put)
    thread = pubsub.run_in_thread(sleep_time=0.05)
    client.publish("news", "one")
    client.publish("news", "two")
    assert [arrived.get(timeout=WAIT_S)["data"] for _ in range(2)] == [b"one", b"two"]
    thread.stop()
    thread.join(WAIT_S)
    assert not thread.is_alive()


def test_a_reconnect_subscribes_again(client: redis.Redis) -> None:
    with client.pubsub(ignore_subscribe_messages=True) as pubsub:
        pubsub.subscribe("news")
        assert pubsub.get_message(timeout=WAIT_S) is None
        pubsub.connection.disconnect()
        pubsub.connection.connect()
        assert pubsub.get_message(timeout=WAIT_S) is None
        assert client.publish("news", "again") == 1
        assert pubsub.get_message(timeout=WAIT_S)["data"] == b"again"


@PROTOCOLS
async def test_asyncio_pubsub(server: Server, protocol: int) -> None:
    client = server.async_client(protocol=protocol)
    async with client.pubsub() as pubsub:
        await pubsub.subscribe("news")
        assert await pubsub.get_message(timeout=WAIT_S) == message("subscribe", b"news", 1)
        assert await client.publish("news", "one") == 1
        assert await pubsub.get_message(timeout=WAIT_S) == message("message", b"news", b"one")
        assert await pubsub.get_message(timeout=0.01) is None
        await client.publish("news", "two")
        async for found in pubsub.listen():
            assert found == message("message", b"news", b"two")
            break
        await pubsub.unsubscribe("news")
        assert await pubsub.get_message(timeout=WAIT_S) == message("unsubscribe", b"news", 0)


async def test_a_message_from_another_thread_wakes_the_loop(
    server: Server, aclient: redis.asyncio.Redis
) -> None:
    import asyncio

    publisher = server.client()
    async with aclient.pubsub(ignore_subscribe_messages=True) as pubsub:
        await pubsub.subscribe("news")
        assert await pubsub.get_message(timeout=WAIT_S) is None
        waiting = asyncio.create_task(pubsub.get_message(timeout=WAIT_S))
        await asyncio.sleep(0)
        publish: Callable[..., Any] = publisher.publish
        assert await asyncio.to_thread(publish, "news", "one") == 1
        found = await waiting
        assert found is not None
        assert found["data"] == b"one"


async def test_asyncio_run_with_a_handler(aclient: redis.asyncio.Redis) -> None:
    import asyncio

    arrived: asyncio.Queue[Any] = asyncio.Queue()
    async with aclient.pubsub() as pubsub:
        await pubsub.subscribe(news=arrived.put_nowait)
        runner = asyncio.create_task(pubsub.run())
        await aclient.publish("news", "one")
        found = await asyncio.wait_for(arrived.get(), WAIT_S)
        assert found["data"] == b"one"
        runner.cancel()
        with pytest.raises(asyncio.CancelledError):
            await runner
