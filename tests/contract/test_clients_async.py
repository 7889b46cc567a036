"""redis-py's asyncio client behaves alike on both servers, and never hands on a stale reply."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
import redis.asyncio
from redis.exceptions import DataError, LockError, ResponseError, WatchError

from tests.contract.conftest import Server

PROTOCOLS = pytest.mark.parametrize("protocol", [2, 3])


@PROTOCOLS
async def test_replies_are_the_same_objects(server: Server, protocol: int) -> None:
    client = server.async_client(protocol=protocol)
    assert await client.set("a", "1") is True
    assert await client.get("a") == b"1"
    assert await client.get(b"a") == b"1"
    assert await client.get("missing") is None
    assert await client.incr("a") == 2
    assert await client.mget(["a", "missing"]) == [b"2", None]
    assert await client.mget("a", "missing") == [b"2", None]
    assert await client.hset("h", mapping={"x": "1"}) == 1
    assert await client.hgetall("h") == {b"x": b"1"}
    assert await client.sadd("s", "m") == 1
    assert await client.smembers("s") == {b"m"}
    assert await client.zadd("z", {"m": 1.5}) == 1
    assert await client.zscore("z", "m") == 1.5
    assert await client.set("a", "3", ex=10) is True
    assert await client.set("a", "3", nx=True) is None
    assert await client.ttl("a") == 10
    assert await client.delete("a") == 1
    assert await client.ping() is True


async def test_decode_responses(server: Server) -> None:
    client = server.async_client(decode_responses=True)
    await client.set("a", "é")
    assert await client.get("a") == "é"
    assert await client.mget(["a", "missing"]) == ["é", None]
    await client.hset("h", "x", "y")
    assert await client.hgetall("h") == {"x": "y"}


@pytest.mark.parametrize("value", [True, None, [1]])
async def test_what_redis_py_cannot_encode_is_a_data_error(
    aclient: redis.asyncio.Redis, value: Any
) -> None:
    with pytest.raises(DataError):
        await aclient.set("a", value)
    with pytest.raises(DataError):
        await aclient.execute_command("APPEND", "a", value)
    assert await aclient.get("a") is None


async def test_error_replies(aclient: redis.asyncio.Redis) -> None:
    await aclient.hset("h", "x", "1")
    with pytest.raises(ResponseError, match=r"^WRONGTYPE "):
        await aclient.get("h")
    with pytest.raises(ResponseError, match="unknown command"):
        await aclient.execute_command("NOPE")
    with pytest.raises(ResponseError, match="invalid expire time in 'set' command"):
        await aclient.mset_px([("a", 1)], 0)  # type: ignore[attr-defined]
    assert await aclient.exists("a") == 0


async def test_several_strings_with_one_deadline(aclient: Any) -> None:
    await aclient.mset_px([("a", "1"), (b"b", b"2")], 50_000)
    assert await aclient.mget(["a", "b"]) == [b"1", b"2"]
    assert 49_000 < await aclient.pttl("b") <= 50_000
    await aclient.mset_px([("a", "3")], None)
    assert (await aclient.get("a"), await aclient.pttl("a")) == (b"3", -1)


@pytest.mark.parametrize("options", [{}, {"decode_responses": True}])
async def test_bytes_in_and_bytes_out(server: Server, options: dict[str, Any]) -> None:
    client: Any = server.async_client(**options)
    # Twice, for the second round finds what the first has opened.
    for _ in range(2):
        assert await client.store(b"a", b"\xff", 50_000)
        assert await client.fetch(b"a") == b"\xff"
        assert await client.fetch(b"missing") is None
        await client.hset("hash", mapping={"a": "1"})
        assert await client.fetch_fields(b"hash") == {b"a": b"1"}
        assert await client.fetch_fields(b"missing") == {}
        await client.store_many([(b"b", b"1"), (b"c", b"2")], 0)
        assert await client.fetch_many([b"b", b"missing", b"c"]) == [b"1", None, b"2"]
        assert (await client.pttl("a") > 49_000, await client.pttl("b")) == (True, -1)
        await client.hset("h", "x", "1")
        with pytest.raises(ResponseError, match=r"^WRONGTYPE"):
            await client.fetch(b"h")


@pytest.mark.parametrize("transaction", [True, False])
async def test_pipelines(aclient: redis.asyncio.Redis, transaction: bool) -> None:
    await aclient.hset("h", "x", "1")
    pipe = aclient.pipeline(transaction=transaction)
    pipe.set("a", 1).incr("a").get("a").hgetall("h")
    assert await pipe.execute() == [True, 2, b"2", {b"x": b"1"}]
    replies = await pipe.incr("h").set("b", 1).execute(raise_on_error=False)
    assert isinstance(replies[0], ResponseError)
    assert replies[1] is True
    with pytest.raises(ResponseError, match=r"Command # 1 \(INCRBY h 1\) of pipeline"):
        await pipe.incr("h").execute()


async def test_watch(aclient: redis.asyncio.Redis) -> None:
    await aclient.set("a", 1)
    async with aclient.pipeline() as pipe:
        await pipe.watch("a")
        assert await pipe.get("a") == b"1"
        pipe.multi()
        pipe.set("a", 2)
        assert await pipe.execute() == [True]
        await pipe.watch("a")
        await aclient.set("a", 10)
        pipe.multi()
        pipe.set("a", 11)
        with pytest.raises(WatchError):
            await pipe.execute()


async def test_scripts_and_locks(aclient: redis.asyncio.Redis) -> None:
    script = aclient.register_script("return redis.call('INCRBY', KEYS[1], ARGV[1])")
    assert await script(keys=["n"], args=[2]) == 2
    lock = aclient.lock("lock", timeout=10)
    assert await lock.acquire(blocking=False)
    assert not await aclient.lock("lock", timeout=10).acquire(blocking=False)
    await lock.release()
    with pytest.raises(LockError):
        await lock.release()


async def test_a_hundred_tasks_share_a_client(aclient: redis.asyncio.Redis) -> None:
    await asyncio.gather(*(aclient.incr("n") for _ in range(100)))
    assert await aclient.get("n") == b"100"


async def test_a_single_connection_client(server: Server) -> None:
    client = server.async_client(single_connection_client=True)
    await client.execute_command("MULTI")
    assert await client.execute_command("APPEND", "a", 1) == b"QUEUED"
    assert await client.execute_command("EXEC") == [1]
    assert await client.get("a") == b"1"
    await client.aclose()


async def test_callbacks_may_be_coroutines(aclient: redis.asyncio.Redis) -> None:
    async def parsed(reply: bytes, **options: Any) -> int:
        return int(reply)

    await aclient.set("a", 1)
    aclient.set_response_callback("GET", parsed)
    assert await aclient.get("a") == 1
    assert await aclient.pipeline().get("a").execute() == [1]


# A cancelled caller and the reply that was meant for it (CVE-2023-28858)


@pytest.mark.parametrize("steps", range(14))
@pytest.mark.parametrize(
    "command",
    [
        lambda client: client.get("mine"),
        lambda client: client.execute_command("ECHO", "mine"),
        lambda client: client.pipeline().get("mine").echo("mine").execute(),
    ],
    ids=["get", "echo", "pipeline"],
)
async def test_a_cancelled_caller_leaves_nothing_for_the_next(
    server: Server, command: Callable[[redis.asyncio.Redis], Any], steps: int
) -> None:
    client = server.async_client(max_connections=1)
    await client.set("mine", "mine")
    await client.set("yours", "yours")
    task = asyncio.ensure_future(command(client))
    # Every step of the loop is a place at which the task may be waiting.
    for _ in range(steps):
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert await client.get("yours") == b"yours"
    assert await client.execute_command("ECHO", "yours") == b"yours"


async def test_quitting_closes_a_connection_and_not_the_client(
    aclient: redis.asyncio.Redis,
) -> None:
    await aclient.set("a", 1)
    assert await aclient.quit() is True
    assert await aclient.get("a") == b"1"
    assert await aclient.echo("x") == b"x"
