"""What redis-py promises in public, with its own clients: in the process, over TCP, on Redis.

The clients of this package have their contract tests elsewhere (`test_clients_sync` and its
siblings); here redis-py's own `Redis` stands on our connections and on our TCP front.
"""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest
import redis
import redis.asyncio
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import NoBackoff
from redis.exceptions import LockError, LockNotOwnedError
from redis.retry import Retry

from cacheapp.clients.connection import EngineConnection
from cacheapp.clients.pool import AsyncEngineConnectionPool, EngineConnectionPool
from cacheapp.engine.engine import Engine
from tests.server.running import RunningServer

WAIT_S = 5.0
# Steps of the event loop after which a command of these tests has long ended.
STEPS_MAX = 200


class Place:
    """A server, and redis-py's own clients of it, closed after the test."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._clients: list[redis.Redis] = []

    @property
    def in_process(self) -> bool:
        return self.url.startswith("memory:")

    def client(self, **settings: Any) -> redis.Redis:
        """A sync client with a pool of its own."""
        if self.in_process:
            pool = EngineConnectionPool.from_url(self.url, **settings)
            client = redis.Redis(connection_pool=pool)
        else:
            client = redis.Redis.from_url(self.url, **settings)
        self._clients.append(client)
        return client

    def aclient(self, **settings: Any) -> redis.asyncio.Redis:
        """An asyncio client, which the caller closes."""
        if self.in_process:
            pool = AsyncEngineConnectionPool.from_url(self.url, **settings)
            return redis.asyncio.Redis.from_pool(pool)
        return redis.asyncio.Redis.from_url(self.url, **settings)

    def blocking_pool(self, **settings: Any) -> redis.BlockingConnectionPool:
        """redis-py's pool that waits for a connection to come back."""
        if self.in_process:
            return redis.BlockingConnectionPool(
                connection_class=EngineConnection, url=self.url, **settings
            )
        return redis.BlockingConnectionPool.from_url(self.url, **settings)

    def close(self) -> None:
        """Close the clients."""
        for client in self._clients:
            client.close()
            client.connection_pool.disconnect()


@pytest.fixture(params=["process", "tcp", "redis"])
def place(request: pytest.FixtureRequest) -> Iterator[Place]:
    if request.param == "process":
        place = Place("memory://redis-py/0")
        yield place
        place.close()
        Engine.discard("redis-py")
    elif request.param == "tcp":
        with RunningServer() as server:
            place = Place(f"redis://127.0.0.1:{server.port}/0")
            yield place
            place.close()
    else:
        place = Place(request.getfixturevalue("redis_server").url())
        yield place
        place.close()


@pytest.fixture
def client(place: Place) -> redis.Redis:
    return place.client()


# Locks


def test_a_lock_ends_with_its_time(client: redis.Redis) -> None:
    lock = client.lock("lock", timeout=0.05)
    assert lock.acquire()
    other = client.lock("lock", timeout=10, sleep=0.005)
    assert other.acquire(blocking_timeout=WAIT_S)
    with pytest.raises(LockNotOwnedError):
        lock.release()
    for renew in (lambda: lock.extend(1), lock.reacquire):
        with pytest.raises(LockError):
            renew()
    assert other.owned()
    other.release()


def test_a_lock_is_waited_for_so_long(client: redis.Redis) -> None:
    with client.lock("lock", timeout=10):
        other = client.lock("lock", timeout=10, sleep=0.005, blocking_timeout=0.02)
        assert not other.acquire()
        with pytest.raises(LockError), other:
            raise AssertionError("it was not acquired")


def test_a_lock_gets_more_time(client: redis.Redis) -> None:
    lock = client.lock("lock", timeout=10)
    lock.acquire()
    assert lock.extend(10)
    assert 10_000 < client.pttl("lock") <= 20_000
    assert lock.extend(7, replace_ttl=True)
    assert client.pttl("lock") <= 7_000
    assert lock.reacquire()
    assert 7_000 < client.pttl("lock") <= 10_000
    lock.release()


@pytest.mark.parametrize("thread_local", [True, False])
def test_a_lock_belongs_to_its_thread_or_to_all(client: redis.Redis, thread_local: bool) -> None:
    lock = client.lock("lock", timeout=10, thread_local=thread_local)
    lock.acquire()
    released: list[bool] = []

    def release() -> None:
        try:
            lock.release()
        except (LockError, AttributeError):
            # In a thread that never took it, redis-py's lock has no attribute for the token.
            released.append(False)
        else:
            released.append(True)

    thread = threading.Thread(target=release)
    thread.start()
    thread.join()
    assert released == [not thread_local]
    assert client.exists("lock") == thread_local


def test_a_lock_lets_one_thread_in_at_a_time(client: redis.Redis) -> None:
    inside: list[int] = []
    most: list[int] = []

    def work(number: int) -> None:
        for _ in range(5):
            with client.lock("lock", timeout=10, sleep=0.001):
                inside.append(number)
                most.append(len(inside))
                client.incr("visits")
                inside.remove(number)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(most) == {1}
    assert client.get("visits") == b"20"


async def test_a_lock_in_asyncio(place: Place) -> None:
    client = place.aclient()
    lock = client.lock("lock", timeout=10)
    assert await lock.acquire()
    other = client.lock("lock", timeout=10, sleep=0.005)
    assert not await other.acquire(blocking_timeout=0.02)
    assert await lock.extend(10)
    assert 10_000 < await client.pttl("lock") <= 20_000
    assert await lock.reacquire()
    waiting = asyncio.create_task(other.acquire(blocking_timeout=WAIT_S))
    await lock.release()
    assert await waiting
    await client.set("lock", "somebody's")
    with pytest.raises(LockNotOwnedError):
        await other.release()
    await client.aclose()


# Pub/sub


def test_a_thread_that_listens(place: Place, client: redis.Redis) -> None:
    arrived: queue.Queue[Any] = queue.Queue()
    pubsub = client.pubsub(ignore_subscribe_messages=True)
    pubsub.subscribe(news=arrived.put)
    pubsub.psubscribe(**{"n*": arrived.put})
    thread = pubsub.run_in_thread(sleep_time=0.01, daemon=True)
    other = place.client()
    while other.publish("news", "one") < 2:
        pass
    kinds = {arrived.get(timeout=WAIT_S)["type"] for _ in range(2)}
    assert kinds == {"message", "pmessage"}
    thread.stop()
    thread.join(WAIT_S)
    assert not thread.is_alive()


@pytest.mark.parametrize("protocol", [2, 3])
def test_a_listener_that_is_killed_subscribes_again(place: Place, protocol: int) -> None:
    listener = place.client(protocol=protocol, retry=Retry(NoBackoff(), 3))
    other = place.client()
    pubsub = listener.pubsub(ignore_subscribe_messages=True)
    pubsub.subscribe("news")
    arrived: queue.Queue[Any] = queue.Queue()

    def listen() -> None:
        for message in pubsub.listen():
            arrived.put(message["data"])
            if message["data"] == b"end":
                return

    thread = threading.Thread(target=listen, daemon=True)
    thread.start()
    while not other.publish("news", "one"):
        pass
    assert arrived.get(timeout=WAIT_S) == b"one"
    assert other.client_kill_filter(_type="pubsub") == 1
    while not other.publish("news", "end"):
        pass
    assert arrived.get(timeout=WAIT_S) == b"end"
    thread.join(WAIT_S)
    pubsub.close()


# Cancellation (CVE-2023-28858): for each step of the loop at which a task can be cancelled


def _transaction(client: redis.asyncio.Redis) -> Awaitable[Any]:
    return client.pipeline().get("mine").echo("mine").execute()


def _watched(client: redis.asyncio.Redis) -> Awaitable[Any]:
    async def change(pipe: Any) -> None:
        await pipe.get("mine")
        pipe.multi()
        pipe.get("mine")

    return client.transaction(change, "watched")


COMMANDS: dict[str, Callable[[redis.asyncio.Redis], Awaitable[Any]]] = {
    "get": lambda client: client.get("mine"),
    "eval": lambda client: client.eval("return redis.call('GET', KEYS[1])", 1, "mine"),
    "blpop that is served": lambda client: client.blpop("list", 1),
    "blpop that times out": lambda client: client.blpop("none", 0.001),
    "transaction": _transaction,
    "watch": _watched,
}


@pytest.mark.parametrize("name", COMMANDS)
async def test_cancelled_at_every_await_the_next_caller_gets_its_own_reply(
    place: Place, name: str
) -> None:
    client = place.aclient(max_connections=1)
    await client.mset({"mine": "mine", "yours": "yours"})
    steps = 0
    while steps < STEPS_MAX:
        await client.rpush("list", "mine")
        task = asyncio.ensure_future(COMMANDS[name](client))
        for _ in range(steps):
            await asyncio.sleep(0)
        done = task.done()
        task.cancel()
        (result,) = await asyncio.gather(task, return_exceptions=True)
        assert not isinstance(result, Exception)
        assert await client.get("yours") == b"yours"
        assert await client.echo("yours") == b"yours"
        if done and steps > 20:
            break
        steps += 1
    await client.aclose()


async def test_a_cancelled_subscriber_loses_no_message_and_takes_nobody_s_reply(
    place: Place,
) -> None:
    client, other = place.aclient(), place.aclient()
    pubsub = client.pubsub(ignore_subscribe_messages=True)
    await pubsub.subscribe("news")
    while not await other.publish("news", 0):
        pass
    numbers = []
    for number in range(1, 30):
        task = asyncio.ensure_future(pubsub.get_message(timeout=WAIT_S))
        for _ in range(number):
            await asyncio.sleep(0)
        task.cancel()
        (message,) = await asyncio.gather(task, return_exceptions=True)
        if isinstance(message, dict):
            numbers.append(int(message["data"]))
        await other.publish("news", number)
        assert await client.echo("mine") == b"mine"
    while not numbers or numbers[-1] < 29:
        message = await pubsub.get_message(timeout=WAIT_S)
        if message is not None:
            numbers.append(int(message["data"]))
    assert numbers == list(range(30))
    await pubsub.aclose()
    await client.aclose()
    await other.aclose()


# Scripts, transactions, MONITOR


def test_a_registered_script_is_sent_again_where_it_was_forgotten(client: redis.Redis) -> None:
    script = client.register_script("return redis.call('INCRBY', KEYS[1], ARGV[1])")
    assert script(keys=["n"], args=[2]) == 2
    client.script_flush()
    assert script(keys=["n"], args=[3]) == 5
    client.script_flush()
    pipeline = client.pipeline()
    pipeline.set("other", 1)
    script(keys=["n"], args=[4], client=pipeline)
    assert pipeline.execute() == [True, 9]


def test_a_transaction_is_tried_again_until_nobody_interferes(
    place: Place, client: redis.Redis
) -> None:
    other = place.client()
    interruptions = iter(range(3))

    def add_one(pipe: Any) -> None:
        value = int(pipe.get("n") or 0)
        if next(interruptions, None) is not None:
            other.incr("n")
        pipe.multi()
        pipe.set("n", value + 1)

    assert client.transaction(add_one, "n") == [True]
    assert client.get("n") == b"4"


def test_threads_that_watch_the_same_key(client: redis.Redis) -> None:
    def add() -> None:
        for _ in range(10):
            client.transaction(
                lambda pipe: (
                    value := int(pipe.get("n") or 0),
                    pipe.multi(),
                    pipe.set("n", value + 1),
                ),
                "n",
            )

    threads = [threading.Thread(target=add) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert client.get("n") == b"40"


def test_a_monitor_sees_what_others_send(place: Place, client: redis.Redis) -> None:
    with client.monitor() as monitor:
        other = place.client()
        other.set("k", 'a "quoted" value')
        seen = []
        while not seen or not seen[-1]["command"].startswith("SET"):
            seen.append(monitor.next_command())
        assert seen[-1]["command"] == 'SET k a "quoted" value'
        assert seen[-1]["db"] == 0


# Connections


@pytest.mark.parametrize("name", ["hgetall", "zrange"])
def test_both_protocols_say_the_same(place: Place, name: str) -> None:
    clients = [place.client(protocol=protocol) for protocol in (2, 3)]
    clients[0].hset("h", mapping={"a": "1"})
    clients[0].zadd("z", {"a": 1.5})
    replies = [
        client.hgetall("h") if name == "hgetall" else client.zrange("z", 0, -1, withscores=True)
        for client in clients
    ]
    assert [list(map(list, dict(reply).items())) for reply in replies] == [
        [[b"a", b"1" if name == "hgetall" else 1.5]]
    ] * 2


def test_a_lost_connection_is_opened_again_where_one_may_retry(place: Place) -> None:
    other = place.client()
    patient = place.client(retry=Retry(NoBackoff(), 3), single_connection_client=False)
    number = patient.client_id()
    assert other.client_kill_filter(_id=number) == 1
    assert patient.set("k", 1)
    assert patient.client_id() != number


async def test_the_same_in_asyncio(place: Place) -> None:
    other = place.client()
    patient = place.aclient(retry=AsyncRetry(NoBackoff(), 3))
    number = await patient.client_id()
    assert other.client_kill_filter(_id=number) == 1
    assert await patient.set("k", 1)
    assert await patient.client_id() != number
    await patient.aclose()


def pings(client: redis.Redis) -> int:
    counters: dict[str, Any] = client.info("commandstats").get("cmdstat_ping", {})
    calls: int = counters.get("calls", 0)
    return calls


def test_health_is_checked_where_the_connection_was_idle(place: Place) -> None:
    other = place.client()
    client = place.client(health_check_interval=1000)
    client.set("k", 1)
    before = pings(other)
    client.get("k")
    assert pings(other) == before
    client.connection_pool._available_connections[0].next_health_check = 0
    client.get("k")
    assert pings(other) == before + 1


def test_a_blocking_pool_waits_for_a_connection(place: Place) -> None:
    pool = place.blocking_pool(max_connections=1, timeout=0.02)
    client = redis.Redis(connection_pool=pool)
    held = pool.get_connection()
    with pytest.raises(redis.ConnectionError):
        client.get("k")
    pool.timeout = WAIT_S
    answers: queue.Queue[Any] = queue.Queue()
    thread = threading.Thread(target=lambda: answers.put(client.set("k", 1)))
    thread.start()
    pool.release(held)
    assert answers.get(timeout=WAIT_S) is True
    thread.join()
    pool.disconnect()
