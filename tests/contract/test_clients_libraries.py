"""Libraries that know nothing of us run on both servers, ours by naming a class of ours.

django-redis, Django's own RedisCache and both layers of channels_redis, unmodified.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
import redis
import redis.asyncio
from channels_redis.core import RedisChannelLayer
from channels_redis.pubsub import RedisPubSubChannelLayer
from django.core.cache.backends.redis import RedisCache
from django_redis.cache import RedisCache as DjangoRedisCache

from cacheapp.clients.aconnection import AsyncEngineConnection
from cacheapp.clients.connection import EngineConnection
from tests.contract.conftest import Server

POOL = "cacheapp.clients.pool.EngineConnectionPool"
WAIT_S = 5


def django_redis_cache(server: Server) -> Any:
    options = {"CONNECTION_POOL_CLASS": POOL} if server.kind == "engine" else {}
    return DjangoRedisCache(server.url, {"OPTIONS": options})


def django_cache(server: Server) -> Any:
    options = {"pool_class": POOL} if server.kind == "engine" else {}
    return RedisCache(server.url, {"OPTIONS": options})


@pytest.mark.parametrize("make", [django_redis_cache, django_cache])
def test_cache_backends(server: Server, make: Callable[[Server], Any]) -> None:
    cache = make(server)
    cache.set("a", {"x": [1, 2]}, 100)
    assert cache.get("a") == {"x": [1, 2]}
    assert cache.get("missing", 7) == 7
    assert cache.add("a", 1) is False
    assert cache.add("n", 1, 100)
    assert cache.incr("n", 4) == 5
    cache.set_many({"b": 1, "c": "two"}, 100)
    assert cache.get_many(["b", "c", "missing"]) == {"b": 1, "c": "two"}
    assert cache.touch("a", 50)
    assert cache.has_key("a")
    assert cache.delete("a")
    cache.set("gone", 1, 0)
    assert cache.get("gone") is None
    cache.clear()
    assert cache.get("b") is None
    cache.close()


def test_the_extras_of_django_redis(server: Server) -> None:
    cache = django_redis_cache(server)
    cache.set("a", 1, 100)
    assert cache.ttl("a") == 100
    assert cache.persist("a")
    assert cache.ttl("a") is None
    assert cache.keys("*") == ["a"]
    with cache.lock("lock", timeout=10):
        assert cache.has_key("lock")
    assert cache.delete_pattern("*") == 1
    assert cache.client.get_client().connection_pool.connection_kwargs["db"] == 0
    cache.close()


def redis_py_client(server: Server) -> redis.Redis:
    if server.kind == "engine":
        pool = redis.ConnectionPool(connection_class=EngineConnection, url=server.url)
    else:
        pool = redis.ConnectionPool.from_url(server.url)
    return redis.Redis.from_pool(pool)


def test_redis_py_itself(server: Server) -> None:
    with redis_py_client(server) as client:
        assert client.set("a", 1)
        assert client.pipeline().incr("a").get("a").execute() == [2, b"2"]
        assert client.pipeline(transaction=False).incr("a").get("a").execute() == [3, b"3"]
        with client.pubsub(ignore_subscribe_messages=True) as pubsub:
            pubsub.subscribe("news")
            assert pubsub.get_message(timeout=WAIT_S) is None
            client.publish("news", "one")
            assert pubsub.get_message(timeout=WAIT_S)["data"] == b"one"


def host(server: Server) -> dict[str, Any]:
    if server.kind == "engine":
        return {"url": server.url, "connection_class": AsyncEngineConnection}
    return {"address": server.url}


@pytest.mark.parametrize("layer_class", [RedisChannelLayer, RedisPubSubChannelLayer])
async def test_channel_layers(server: Server, layer_class: Any) -> None:
    layer = layer_class(hosts=[host(server)])
    try:
        first, second = await layer.new_channel(), await layer.new_channel()
        await layer.group_add("group", first)
        await layer.group_add("group", second)
        await layer.group_send("group", {"type": "x", "n": 1})
        for channel in (first, second):
            found = await asyncio.wait_for(layer.receive(channel), WAIT_S)
            assert found == {"type": "x", "n": 1}
        await layer.group_discard("group", second)
        await layer.group_send("group", {"type": "x", "n": 2})
        await layer.send(second, {"type": "y"})
        assert (await asyncio.wait_for(layer.receive(first), WAIT_S))["n"] == 2
        assert (await asyncio.wait_for(layer.receive(second), WAIT_S))["type"] == "y"
    finally:
        await layer.flush()
        if layer_class is RedisChannelLayer:
            await layer.close_pools()
