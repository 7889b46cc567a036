"""redis-py's methods for streams, sync and asyncio, waiting and cancellation included."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import pytest
import redis
import redis.asyncio

from tests.contract.conftest import Server
from tests.contract.waiting import until_blocked

BLOCK_MS = 5000
LOOKS_MAX = 10_000
PROTOCOLS = pytest.mark.parametrize("protocol", [2, 3])


def only_stream(reply: Any) -> list[Any]:
    """The entries of the one stream in a reply of xread, whose shape depends on the protocol."""
    if isinstance(reply, dict):
        ((_, entries),) = reply.items()
        return [tuple(entry) for batch in entries for entry in batch]
    ((_, entries),) = reply
    return [tuple(entry) for entry in entries]


def in_thread(call: Callable[[], Any]) -> Callable[[], Any]:
    """Run `call` in a thread; what is returned waits for its result."""
    results: list[Any] = []

    def target() -> None:
        try:
            results.append(call())
        except redis.RedisError as error:
            results.append(error)

    thread = threading.Thread(target=target)
    thread.start()

    def finish() -> Any:
        thread.join(timeout=10)
        return results[0]

    return finish


@PROTOCOLS
def test_the_methods(server: Server, protocol: int) -> None:
    client = server.client(protocol=protocol)
    name = client.xadd("log", {"a": 1, "b": "x"}, id="1-1")
    assert name == b"1-1"
    client.xadd("log", {"a": 2}, id="2-1", maxlen=10, approximate=False)
    assert client.xrange("log") == [(b"1-1", {b"a": b"1", b"b": b"x"}), (b"2-1", {b"a": b"2"})]
    assert client.xrevrange("log", count=1) == [(b"2-1", {b"a": b"2"})]
    assert client.xlen("log") == 2
    assert client.xgroup_create("log", "g", id="0")
    reply = client.xreadgroup("g", "ann", {"log": ">"}, count=1)
    assert only_stream(reply) == [(b"1-1", {b"a": b"1", b"b": b"x"})]
    assert client.xpending("log", "g")["pending"] == 1
    assert client.xpending_range("log", "g", "-", "+", 5)[0]["message_id"] == b"1-1"
    assert client.xclaim("log", "g", "bob", 0, ["1-1"], justid=True) == [b"1-1"]
    assert client.xautoclaim("log", "g", "ann", 0) == [
        b"0-0", [(b"1-1", {b"a": b"1", b"b": b"x"})], [],
    ]  # fmt: skip
    assert client.xack("log", "g", "1-1") == 1
    assert client.xinfo_stream("log")["length"] == 2
    assert client.xinfo_stream("log", full=True)["groups"][0]["name"] == b"g"
    assert client.xinfo_groups("log")[0]["lag"] == 1
    assert client.xinfo_consumers("log", "g")[1]["name"] == b"bob"
    assert client.xgroup_delconsumer("log", "g", "bob") == 0
    assert client.xgroup_destroy("log", "g") == 1
    assert client.xdel("log", "1-1") == 1
    assert client.xtrim("log", maxlen=0, approximate=False) == 1
    with pytest.raises(redis.ResponseError, match="requires the key to exist"):
        client.xgroup_create("none", "g")


@PROTOCOLS
def test_waiting(server: Server, protocol: int) -> None:
    client, other = server.client(protocol=protocol), server.client()
    finish = in_thread(lambda: client.xread({"log": "$"}, block=BLOCK_MS))
    until_blocked(server, 1)
    other.xadd("log", {"a": 1}, id="1-1")
    assert only_stream(finish()) == [(b"1-1", {b"a": b"1"})]
    other.xgroup_create("log", "g", id="$")
    finish = in_thread(lambda: client.xreadgroup("g", "ann", {"log": ">"}, block=BLOCK_MS))
    until_blocked(server, 1)
    other.xadd("log", {"a": 2}, id="2-1")
    assert only_stream(finish()) == [(b"2-1", {b"a": b"2"})]
    finish = in_thread(lambda: client.xreadgroup("g", "ann", {"log": ">"}, block=BLOCK_MS))
    until_blocked(server, 1)
    other.delete("log")
    assert "the stream key no longer exists" in str(finish())
    assert client.ping()


@PROTOCOLS
def test_waiting_in_vain(server: Server, protocol: int) -> None:
    client = server.client(protocol=protocol)
    assert not client.xread({"log": "$"}, block=5)
    client.xgroup_create("log", "g", mkstream=True)
    assert not client.xreadgroup("g", "ann", {"log": ">"}, block=5)
    assert client.ping()


@PROTOCOLS
async def test_waiting_in_asyncio(server: Server, protocol: int) -> None:
    client, other = server.async_client(protocol=protocol), server.async_client()
    try:
        task = asyncio.create_task(client.xread({"log": "$"}, block=BLOCK_MS))
        await until_blocked_async(other)
        await other.xadd("log", {"a": 1}, id="1-1")
        assert only_stream(await task) == [(b"1-1", {b"a": b"1"})]
        await other.xgroup_create("log", "g", id="$")
        task = asyncio.create_task(client.xreadgroup("g", "ann", {"log": ">"}, block=BLOCK_MS))
        await until_blocked_async(other)
        await other.xgroup_destroy("log", "g")
        with pytest.raises(redis.ResponseError, match="no longer exists"):
            await task
        assert not await client.xread({"log": "$"}, block=5)
    finally:
        await client.aclose()
        await other.aclose()


async def until_blocked_async(client: redis.asyncio.Redis, wanted: bool = True) -> None:
    """Return once a client of the server waits, or none does any more."""
    for _ in range(LOOKS_MAX):
        listed = await client.execute_command("CLIENT LIST")
        text = listed if isinstance(listed, bytes) else str(listed).encode()
        if (b"flags=b" in text or b"'flags': 'b'" in text) == wanted:
            return
        await asyncio.sleep(0)
    raise AssertionError("nobody waits" if wanted else "somebody still waits")


async def test_a_cancelled_wait_leaves_nothing_behind(server: Server) -> None:
    client, other = server.async_client(max_connections=1), server.async_client()
    try:
        await other.xgroup_create("log", "g", mkstream=True)
        for _ in range(3):
            task = asyncio.create_task(client.xreadgroup("g", "ann", {"log": ">"}, block=BLOCK_MS))
            await until_blocked_async(other)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            await until_blocked_async(other, wanted=False)
            await other.xadd("log", {"a": 1})
            assert await client.get("nothing") is None
            assert (await other.xpending("log", "g"))["pending"] == 0
            assert len(only_stream(await client.xreadgroup("g", "ann", {"log": ">"}))) == 1
            assert await other.xgroup_delconsumer("log", "g", "ann") == 1
    finally:
        await client.aclose()
        await other.aclose()
