"""AsyncEngineRedis: its session, its hot commands, and that plain commands do not suspend."""

from __future__ import annotations

import asyncio
import gc
import weakref
from typing import Any

import pytest
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import ResponseError

from cacheapp.clients.aclient import AsyncEngineRedis
from cacheapp.clients.client import EngineRedis
from cacheapp.clients.hot import HOT_COMMANDS
from cacheapp.engine.engine import Engine


async def test_one_session_serves_plain_commands(url: str, name: str) -> None:
    client = AsyncEngineRedis.from_url(url)
    engine = Engine.shared(name)
    assert not engine.sessions
    for _ in range(3):
        await client.set("a", 1)
        await client.get("a")
        await client.pipeline().get("a").execute()
    assert len(engine.sessions) == 1
    assert set(HOT_COMMANDS) <= set(vars(client))
    await client.aclose()
    await client.aclose()
    assert not engine.sessions
    assert await client.get("a") == b"1"


async def test_tasks_that_start_together_open_one_session(url: str, name: str) -> None:
    client = AsyncEngineRedis.from_url(url)
    await asyncio.gather(*(client.execute_command("INCRBY", "n", 1) for _ in range(10)))
    gc.collect()
    assert len(Engine.shared(name).sessions) == 1
    assert await client.get("n") == b"10"


async def test_a_killed_session_is_replaced(url: str, name: str) -> None:
    client = AsyncEngineRedis.from_url(url)
    await client.set("a", 1)
    killed = await client.client_id()
    assert await client.client_kill_filter(_id=str(killed), skipme=False) == 1
    with pytest.raises(RedisConnectionError, match=r"Connection closed by server\."):
        await client.get("a")
    assert killed not in Engine.shared(name).sessions
    assert await client.get("a") == b"1"
    kept, killed = client.get, await client.client_id()
    assert EngineRedis.from_url(url).client_kill_filter(_id=str(killed)) == 1
    assert await client.get("a") == b"1"
    with pytest.raises(RedisConnectionError):
        await kept("a")


async def test_a_forgotten_client_leaves_no_session(url: str, name: str) -> None:
    client = AsyncEngineRedis.from_url(url)
    await client.set("a", 1)
    reference = weakref.ref(client)
    del client
    gc.collect()
    assert reference() is None
    assert not Engine.shared(name).sessions


async def test_plain_commands_do_not_suspend(url: str) -> None:
    client = AsyncEngineRedis.from_url(url)
    await client.set("a", 1)
    for command in (
        client.get("a"),
        client.set("a", 2, px=1000),
        client.execute_command("INCRBY", "a", 1),
        client.pipeline().get("a").execute(),
    ):
        with pytest.raises(StopIteration):
            command.__await__().send(None)


async def test_what_the_hot_commands_leave_out(url: str) -> None:
    client = AsyncEngineRedis.from_url(url, decode_responses=True)
    assert await client.set("a", 1) is True
    assert await client.set("a", 2, nx=True) is None
    assert await client.set("a", 2, 10) is True
    assert await client.ttl("a") == 10
    with pytest.raises(ResponseError, match="invalid expire time"):
        await client.set("a", 3, ex=0)
    assert await client.get("a") == "2"


async def test_a_subclass_s_methods_are_not_hidden(url: str) -> None:
    class Counting(AsyncEngineRedis):
        gets = 0

        async def get(self, name: Any) -> Any:
            self.gets += 1
            return await super().get(name)

    client = Counting.from_url(url)
    assert isinstance(client, Counting)
    await client.set("a", 1)
    assert [await client.get("a"), await client.get("a")] == [b"1", b"1"]
    assert client.gets == 2


async def test_how_a_client_can_be_made(url: str, name: str) -> None:
    by_name = AsyncEngineRedis(host=name, db=1)
    await by_name.set("a", 1)
    async with AsyncEngineRedis.from_url(f"memory://{name}/1") as by_url:
        assert await by_url.get("a") == b"1"
    assert isinstance(by_name.client(), AsyncEngineRedis)
    await by_name.aclose()


async def test_a_pipeline_with_a_subscription_goes_through_a_connection(url: str) -> None:
    client = AsyncEngineRedis.from_url(url, protocol=2)
    pipe = client.pipeline(transaction=False)
    pipe.execute_command("ECHO", "x")
    pipe.execute_command("UNSUBSCRIBE", "news")
    assert await pipe.execute() == [b"x", [b"unsubscribe", b"news", 0]]
    await client.aclose()
