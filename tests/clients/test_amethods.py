"""The coroutine functions of `compiled` answer and raise what redis-py's own methods do."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
import redis.asyncio

from cacheapp.clients import aclient
from cacheapp.clients.aclient import AsyncEngineRedis
from cacheapp.engine.clock import ManualClock
from cacheapp.engine.engine import Engine
from tests.clients.test_methods import ARGUMENTS, KEYS, SETTINGS

METHODS = tuple(aclient._METHODS)


class Stock(AsyncEngineRedis):
    """The same client without a function of ours: redis-py's methods, and our execute_command."""

    def _use_hot_commands(self, direct: Any) -> None:
        pass


for _name in METHODS:
    setattr(Stock, _name, getattr(redis.asyncio.Redis, _name))


async def _seeded(client: AsyncEngineRedis) -> AsyncEngineRedis:
    await client.mset({"string": "text", "number": 5})
    await client.rpush("list", "a", "b", "c")
    await client.hset("hash", mapping={"a": 1, "b": 2})
    await client.sadd("set", "a", "b")
    await client.zadd("zset", {"a": 1, "b": 2.5, "c": 4})
    await client.xadd("stream", {"a": 1, "b": 2}, id="1-1")
    return client


async def _outcome(client: AsyncEngineRedis, method: str, *args: Any, **named: Any) -> Any:
    try:
        reply = await getattr(client, method)(*args, **named)
    except Exception as error:  # noqa: BLE001 - whatever it is, it has to be the same
        return type(error), str(error)
    return type(reply), reply


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
def test_methods_do_what_those_of_redis_py_do(settings: dict[str, Any]) -> None:
    async def run() -> None:
        mine, stock = [
            await _seeded(kind(engine=Engine(clock=ManualClock()), **settings))
            for kind in (AsyncEngineRedis, Stock)
        ]
        for method in METHODS:
            calls: list[tuple[Any, ...]] = [()]
            for key in KEYS[::3]:
                calls.append((key,))
                calls += [(key, argument) for argument in ARGUMENTS[::2]]
                calls += [(key, argument, "a") for argument in ARGUMENTS[1::4]]
            for args in calls:
                assert await _outcome(mine, method, *args) == await _outcome(
                    stock, method, *args
                ), (method, args)
            assert await _outcome(mine, method, wrong=1) == await _outcome(stock, method, wrong=1)
        await mine.aclose()
        await stock.aclose()

    asyncio.run(run())


def test_functions_live_in_the_client_until_it_is_closed_or_gets_a_callback(url: str) -> None:
    async def run() -> None:
        client = AsyncEngineRedis.from_url(url)
        assert await client.llen("list") == 0
        assert "llen" not in vars(client)
        assert await client.llen("list") == 0
        assert "llen" in vars(client)
        client.set_response_callback("LLEN", lambda reply, **_options: f"{reply} items")
        assert await client.llen("list") == "0 items"
        await client.aclose()
        assert "llen" not in vars(client)

    asyncio.run(run())
