"""The clients on the engine, beside fakeredis and burner-redis."""

from __future__ import annotations

import time

import burner_redis
import fakeredis
import redis
import redis.asyncio

from benchmarks.measure import acompare, compare
from benchmarks.report import Row, row
from cacheapp.clients.connection import EngineConnection
from cacheapp.clients.factory import get_async_client, get_client

KEY, VALUE = "key", b"x" * 20


def sync() -> list[Row]:
    """GET through our client and through a stock client on our connection; pipelines of 100."""
    direct = get_client("memory://bench-clients/0")
    pool = redis.ConnectionPool(connection_class=EngineConnection, url="memory://bench-clients/0")
    stock = redis.Redis(connection_pool=pool)
    fake = fakeredis.FakeRedis()
    for client in (direct, fake):
        client.set(KEY, VALUE)
    timings = compare(
        {
            "direct": lambda: direct.get(KEY),
            "stock": lambda: stock.get(KEY),
            "fakeredis": lambda: fake.get(KEY),
        },
        clock=time.thread_time,
    )

    def pipeline(client: redis.Redis) -> list[object]:
        pipe = client.pipeline(transaction=False)
        for _ in range(100):
            pipe.get(KEY)
        return pipe.execute()

    batches = compare(
        {
            "stock": lambda: pipeline(stock),
            "direct": lambda: pipeline(direct),
            "fakeredis": lambda: pipeline(fake),
        },
        clock=time.thread_time,
    )
    return [
        row("redis.Redis subclass: GET", timings["direct"], timings["fakeredis"], 0.06),
        row("stock redis.Redis: GET", timings["stock"], timings["fakeredis"], 0.40),
        row("stock redis.Redis: pipeline of 100", batches["stock"], batches["fakeredis"], 0.15),
        row("our pipeline of 100", batches["direct"], batches["fakeredis"], 0.15),
    ]


def asynchronous() -> list[Row]:
    """GET through the asyncio client, beside an engine in Rust."""

    async def seed() -> None:
        await rust.set(KEY, VALUE)

    rust = burner_redis.BurnerRedis()
    get_client("memory://bench-clients/0").set(KEY, VALUE)
    holder: dict[str, redis.asyncio.Redis] = {}

    async def ours() -> object:
        client = holder.get("client")
        if client is None:
            client = holder["client"] = get_async_client("memory://bench-clients/0")
            await seed()
        return await client.get(KEY)

    timings = acompare({"asyncio": ours, "burner-redis": lambda: rust.get(KEY)})
    return [row("asyncio client: GET", timings["asyncio"], timings["burner-redis"], 3.0)]
