"""redis-py's clients that wait: in threads, in pipelines, and cancelled at every await."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import pytest
import redis.asyncio

from tests.contract.conftest import EngineServer, Server
from tests.contract.waiting import blocked, until_blocked

# A bound for what answers at once.
PATIENCE_S = 5
LOOKS_MAX = 10_000


def in_a_thread(call: Callable[[], Any]) -> Callable[[], Any]:
    """Begin `call` in a thread; what comes back waits for its result."""
    results: list[Any] = []
    thread = threading.Thread(target=lambda: results.append(call()), daemon=True)
    thread.start()

    def result() -> Any:
        thread.join(PATIENCE_S)
        return results[0]

    return result


async def until_as_many(server: Server, count: int) -> None:
    """As `until_blocked`, for clients of the running loop."""
    for _ in range(LOOKS_MAX):
        if blocked(server) == count:
            return
        await asyncio.sleep(0)
    raise AssertionError(f"{blocked(server)} clients wait, not {count}")


def test_threads_share_a_client(server: Server) -> None:
    client = server.client()
    results = []
    for number in range(3):
        results.append(in_a_thread(lambda: client.blpop(["q"], timeout=PATIENCE_S)))
        until_blocked(server, number + 1)
    assert client.rpush("q", "a", "b", "c") == 3
    assert [result() for result in results] == [(b"q", b"a"), (b"q", b"b"), (b"q", b"c")]


def test_every_command(server: Server) -> None:
    client = server.client()
    for call, made, expected in (
        (lambda: client.brpop("k", PATIENCE_S), "RPUSH k a", (b"k", b"a")),
        (lambda: client.blmove("k", "to", PATIENCE_S), "RPUSH k a", b"a"),
        (lambda: client.brpoplpush("k", "to", PATIENCE_S), "RPUSH k a", b"a"),
        (
            lambda: client.blmpop(PATIENCE_S, 1, "k", direction="LEFT"),
            "RPUSH k a",
            [b"k", [b"a"]],
        ),
        (lambda: client.bzpopmin("k", PATIENCE_S), "ZADD k 1 a", (b"k", b"a", 1.0)),
        (lambda: client.bzpopmax("k", PATIENCE_S), "ZADD k 1 a", (b"k", b"a", 1.0)),
    ):
        result = in_a_thread(call)
        until_blocked(server, 1)
        server.execute(*made.split())
        assert result() == expected


def test_timeouts(server: Server) -> None:
    client = server.client()
    assert client.blpop("k", 0.01) is None
    assert client.bzpopmin("k", 0.01) is None
    assert client.blmove("k", "to", 0.01) is None
    assert client.blmpop(0.01, 1, "k", direction="LEFT") is None
    assert client.wait(1, 5) == 0


def test_what_follows_in_a_pipeline_runs_afterwards(server: Server) -> None:
    client = server.client()
    pipeline = client.pipeline(transaction=False)
    pipeline.set("before", 1).blpop("q", PATIENCE_S).blpop("q", PATIENCE_S).incr("after")
    result = in_a_thread(pipeline.execute)
    until_blocked(server, 1)
    assert client.mget("before", "after") == [b"1", None]
    client.rpush("q", "a")
    until_blocked(server, 1)
    assert client.get("after") is None
    client.rpush("q", "b")
    assert result() == [True, (b"q", b"a"), (b"q", b"b"), 1]


def test_a_transaction_does_not_wait(server: Server) -> None:
    pipeline = server.client().pipeline()
    assert pipeline.blpop("q", 0).bzpopmin("z", 0).incr("n").execute() == [None, None, 1]


def test_who_is_disconnected_stops_waiting(server: Server) -> None:
    client = server.client()
    number = client.client_id()
    assert number > 0
    connection = client.connection_pool.get_connection()
    connection.send_command("BLPOP", "q", 0)
    until_blocked(server, 1)
    connection.disconnect()
    until_blocked(server, 0)
    client.connection_pool.release(connection)
    client.rpush("q", "a")
    assert client.blpop("q", PATIENCE_S) == (b"q", b"a")


async def test_tasks_are_served_in_turn(server: Server, aclient: redis.asyncio.Redis) -> None:
    tasks = []
    for number in range(3):
        tasks.append(asyncio.create_task(aclient.bzpopmin("z", PATIENCE_S)))
        await until_as_many(server, number + 1)
    await aclient.zadd("z", {"a": 1, "b": 2, "c": 3})
    served = await asyncio.wait_for(asyncio.gather(*tasks), PATIENCE_S)
    assert served == [(b"z", b"a", 1.0), (b"z", b"b", 2.0), (b"z", b"c", 3.0)]


async def test_timeouts_in_asyncio(aclient: redis.asyncio.Redis) -> None:
    answers = asyncio.gather(aclient.blpop("k", 0.02), aclient.brpoplpush("k", "to", 0.01))
    assert await asyncio.wait_for(answers, PATIENCE_S) == [None, None]


async def test_what_follows_in_an_asyncio_pipeline(
    server: Server, aclient: redis.asyncio.Redis
) -> None:
    pipeline = aclient.pipeline(transaction=False)
    pipeline.blpop("q", PATIENCE_S).blpop("none", 0.01).incr("after")
    task = asyncio.create_task(pipeline.execute())
    await until_as_many(server, 1)
    assert await aclient.get("after") is None
    await aclient.rpush("q", "a")
    assert await asyncio.wait_for(task, PATIENCE_S) == [(b"q", b"a"), None, 1]


async def test_who_is_cancelled_takes_nothing(server: Server, aclient: redis.asyncio.Redis) -> None:
    task = asyncio.create_task(aclient.blpop("q", 0))
    await until_as_many(server, 1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await until_as_many(server, 0)
    await aclient.rpush("q", "a")
    assert await aclient.blpop("q", PATIENCE_S) == (b"q", b"a")


@pytest.mark.parametrize("served", [False, True])
@pytest.mark.parametrize("steps", range(8))
async def test_cancelled_at_every_await(steps: int, served: bool) -> None:
    server = EngineServer()
    client = server.async_client()
    results = []
    for steps_after in range(8):
        task = asyncio.create_task(client.blpop("q", PATIENCE_S))
        for _ in range(steps):
            await asyncio.sleep(0)
        if served:
            await client.rpush("q", "mine")
        for _ in range(steps_after):
            await asyncio.sleep(0)
        task.cancel()
        results += await asyncio.gather(task, return_exceptions=True)
        assert blocked(server) == 0
        # Whichever connection is next, its reply is its own.
        await client.rpush("other", "theirs")
        assert await client.blpop("other", PATIENCE_S) == (b"other", b"theirs")
        pipeline = client.pipeline(transaction=False).blpop("none", 0.001).echo("x").delete("q")
        assert (await pipeline.execute())[:2] == [None, b"x"]
    ended = {(b"q", b"mine")} if served else set()
    assert {reply for reply in results if isinstance(reply, tuple)} == ended
    assert all(isinstance(reply, tuple | asyncio.CancelledError) for reply in results)
    assert any(isinstance(reply, asyncio.CancelledError) for reply in results)
    await client.aclose()
    server.close()
