"""What goes wrong with a server and its connections, and that the layer goes on without a loss.

On redis-server, since it is about connections; the streams' own faults are in
test_channels_groups.py for both.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import signal
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
import pytest_asyncio
import redis
from asgiref.sync import async_to_sync

from cacheapp.channels import ChannelLayer
from cacheapp.channels.links import GENERAL
from cacheapp.channels.messages import local_body
from tests.clients.forks import ignores_the_warning, in_child
from tests.contract.channels import Layers, auntil, nothing, soon, types, until
from tests.contract.conftest import ProcessServer
from tests.contract.test_channels_groups import Log
from tests.redis_server import RedisServer

pytestmark = pytest.mark.requires_redis
HELLO = {"type": "a", "x": [1]}


@pytest.fixture
def own_redis() -> Iterator[RedisServer]:
    """A redis-server for one test, which keeps what it was told and may be stopped."""
    with RedisServer(appendonly="yes", appendfsync="always") as server:
        yield server


@pytest_asyncio.fixture
async def layers(redis_server: RedisServer) -> AsyncIterator[Layers]:
    made = Layers(ProcessServer(redis_server))
    made.spared = {client["id"] for client in made.control.client_list()}
    yield made
    await made.close()
    made.server.close()


@pytest_asyncio.fixture
async def own(own_redis: RedisServer) -> AsyncIterator[Layers]:
    made = Layers(ProcessServer(own_redis))
    yield made
    await made.close()
    made.server.close()


def kill_clients(layers: Layers) -> int:
    """Have the server drop the connections of the layers; how many that were."""
    client = layers.control
    found = {entry["id"] for entry in client.client_list()} - layers.spared
    return sum(client.client_kill_filter(_id=number) for number in found)


async def test_dropped_connections_lose_nothing(layers: Layers) -> None:
    layer, other = layers(capacity=1000), layers()
    log = Log(layer)
    channel = await layer.new_channel()
    await layer.group_add("g", channel)
    for number in range(100):
        if number % 10 == 5:
            assert kill_clients(layers)
        other.group_send_sync("g", {"n": number})
    await auntil(lambda: log.told and log.told[-1] == 99)
    assert log.told == list(range(100))
    got = [(await soon(layer.receive(channel)))["n"] for _ in range(100)]
    assert got == list(range(100))


async def test_a_receive_that_waits_goes_on_after_a_drop(layers: Layers) -> None:
    layer, other = layers(), layers()
    own = await layer.new_channel()
    waiting = [asyncio.create_task(layer.receive(name)) for name in (own, "general")]
    await asyncio.sleep(0)
    other.send_sync("elsewhere", HELLO)
    kill_clients(layers)
    other.send_sync(own, HELLO)
    other.send_sync("general", HELLO)
    assert await soon(asyncio.gather(*waiting)) == [HELLO, HELLO]


async def restart(layers: Layers, *flags: str) -> None:
    """Restart the server as it is; return when it answers."""
    client = redis.Redis.from_url(layers.server.url, retry=None)
    before = client.info("server")["run_id"]
    with pytest.raises(redis.ConnectionError):
        client.execute_command("DEBUG", "RESTART", *flags)

    def is_new() -> bool:
        try:
            return bool(client.info("server")["run_id"] != before)
        except redis.RedisError:
            return False

    await auntil(is_new)
    client.close()


async def test_a_restart_with_its_data_replays_and_says_that_it_was_one(own: Layers) -> None:
    layer, other = own(), own()
    log = Log(layer)
    channel = await layer.new_channel()
    await layer.group_add("g", channel)
    other.group_send_sync("g", {"type": "m", "n": 0})
    await auntil(lambda: log.told == [0])
    await restart(own)
    other.group_send_sync("g", {"type": "m", "n": 1})
    await auntil(lambda: log.told[-1] == 1)
    assert [isinstance(item, str) for item in log.told] == [False, True, False]
    assert "restarted" in log.told[1]
    assert [(await soon(layer.receive(channel)))["n"] for _ in range(2)] == [0, 1]
    await other.send(channel, HELLO)
    assert await soon(layer.receive(channel)) == HELLO


async def test_a_server_that_lost_all(own: Layers) -> None:
    layer, other = own(), own()
    log = Log(layer)
    channel = await layer.new_channel()
    await layer.group_add("g", channel)
    waiting = asyncio.create_task(types(layer, channel, 1))
    own.server.client().config_set("appendonly", "no")
    own.server.client().flushall()
    await restart(own)
    await auntil(lambda: log.gaps > 0)

    async def until_it_is_there() -> None:
        while not waiting.done():
            await other.group_send("g", {"type": "m", "n": 1})
            await asyncio.sleep(0)

    await soon(until_it_is_there())
    assert waiting.result() == ["m"]

    async def own_channel() -> str:
        name: str = await layer.new_channel()
        return name

    new = await own_channel()
    await other.send(new, HELLO)
    assert await soon(layer.receive(new)) == HELLO


async def test_what_is_sent_while_a_process_has_no_stream_arrives(own: Layers) -> None:
    layer, other = own(), own()
    waited_for, later = await layer.new_channel(), await layer.new_channel()
    waiting = asyncio.create_task(layer.receive(waited_for))
    await other.send(later, {"type": "first"})
    assert await types(layer, later, 1) == ["first"]
    own.server.client().flushall()
    for channel in (waited_for, later):
        await other.send(channel, HELLO)
        other.send_sync(channel, {"type": "second"})
    assert await soon(waiting) == HELLO
    assert await types(layer, waited_for, 1) == ["second"]
    assert await types(layer, later, 2) == ["a", "second"]
    # By the stream again, once each.
    await other.send(later, {"type": "third"})
    assert await types(layer, later, 1) == ["third"]
    assert not layer._hub.boxes.names()


async def test_a_server_that_stands_still_is_noticed(
    own_redis: RedisServer, own: Layers, caplog: pytest.LogCaptureFixture
) -> None:
    layer, other = own(), own()
    log = Log(layer)
    other.group_send_sync("g", {"n": 0})
    await auntil(lambda: log.told == [0])
    os.kill(own_redis.pid, signal.SIGSTOP)
    try:
        await auntil(lambda: "reading failed" in caplog.text)
        stood_still = log.subscription.read_at
    finally:
        os.kill(own_redis.pid, signal.SIGCONT)
    other.group_send_sync("g", {"n": 1})
    await auntil(lambda: log.told == [0, 1])
    await auntil(lambda: log.subscription.read_at > stood_still)


async def test_sends_raise_while_there_is_no_server(own_redis: RedisServer, own: Layers) -> None:
    layer = own()
    channel = await layer.new_channel()
    await layer.group_add("g", channel)
    own_redis.stop()
    for name in (f"x.{'0' * 16}!y", "general"):
        with pytest.raises(redis.ConnectionError):
            await layer.send(name, HELLO)
        with pytest.raises(redis.ConnectionError):
            layer.send_sync(name, HELLO)
    with pytest.raises(redis.ConnectionError):
        layer.group_send_sync("g", HELLO)
    # What this process sends to itself needs none.
    await layer.send(channel, HELLO)
    assert await soon(layer.receive(channel)) == HELLO
    layer._hub.reader.stop()


@ignores_the_warning
def test_a_fork_of_a_process_that_reads(layers: Layers) -> None:
    layer = layers()
    old = async_to_sync(layer.new_channel)()
    layer.group_add_sync("g", old)

    def child() -> str:
        async def use() -> str:
            new = await layer.new_channel()
            await layer.group_add("g", new)
            await layer.group_send("g", {"type": "from.child"})
            found = await types(layer, new, 1)
            await layer.send("general", HELLO)
            await soon(layer.receive("general"))
            await layer.close()
            return f"{found} {new.partition('!')[0] != old.partition('!')[0]}"

        return asyncio.run(use())

    assert in_child(child) == "['from.child'] True"
    layer.group_send_sync("g", {"type": "from.parent"})
    assert async_to_sync(types)(layer, old, 2) == ["from.child", "from.parent"]


def test_a_layer_that_nobody_holds_ends_its_threads(redis_server: RedisServer) -> None:
    layer: Any = ChannelLayer(url=redis_server.url())
    channel = async_to_sync(layer.new_channel)()
    layer.group_add_sync("g", channel)
    thread = layer._hub.reader.thread
    assert thread.is_alive()
    del layer
    gc.collect()  # async_to_sync leaves a cycle behind on some interpreters
    thread.join(10)
    assert not thread.is_alive()


def test_nothing_is_left_of_10000_sends_many_loops_and_reconnects(
    layers: Layers, caplog: pytest.LogCaptureFixture
) -> None:
    # Each line that is kept would count.
    caplog.set_level(logging.CRITICAL, "cacheapp.channels")
    layer, other = layers(), layers()
    client = layers.server.client()

    async def once(number: int) -> None:
        channel = await layer.new_channel()
        await layer.group_add("g", channel)
        for _ in range(10):
            await other.group_send("g", HELLO)
            await other.send(channel, HELLO)
            await other.send("general", HELLO)
            assert await soon(layer.receive("general")) == HELLO
        for _ in range(20):
            assert await soon(layer.receive(channel)) == HELLO
        await layer.group_discard("g", channel)

    def run(count: int) -> None:
        for number in range(count):
            asyncio.run(once(number))
            if number % 20 == 0:
                kill_clients(layers)

        gc.collect()

    # Whatever is kept once is kept by then.
    run(150)
    blocks, threads = sys.getallocatedblocks(), threading.active_count()
    for _ in range(1000):
        other.group_send_sync("g", HELLO)
    run(200)
    for _ in range(2):
        layer._hub.boxes.sweep()
    # Two layers, each with a reader, a fetcher and this thread, and none of the 350 loops.
    until(lambda: len(client.client_list()) <= len(layers.spared) + 6)
    assert threading.active_count() <= threads
    assert len(layer._hub.boxes) <= 1
    assert layer._hub.groups == {}
    assert sys.getallocatedblocks() - blocks < 2000
    assert client.xlen(layer._hub.process_key) < 1000


async def test_a_lost_stream_of_the_process_forgets_what_was_on_its_way(layers: Layers) -> None:
    layer, other = layers(capacity=2), layers()
    channel = await layer.new_channel()
    hub = layer._hub
    with hub.lock:
        # While the reader stands still, these two stay on the server.
        await layer.group_add("g", "general")
        hub._ahead["h"] = 1 << 62
        await layer.send(channel, {"type": "lost"})
        await layer.send(channel, {"type": "lost"})
        layers.control.flushall()
    hub._ahead.clear()
    assert hub.boxes.flying
    assert await nothing(other, "elsewhere")
    await other.group_add("g", channel)
    await other.group_send("g", {"type": "m"})
    await auntil(lambda: not hub.boxes.flying)
    found = await types(layer, channel, 1)
    while found == ["lost"]:
        found = await types(layer, channel, 1)
    assert found == ["m"]


async def test_a_step_whose_answer_was_lost_neither_loses_nor_doubles_a_message(
    layers: Layers, monkeypatch: pytest.MonkeyPatch
) -> None:
    layer, other = layers(), layers()
    run, lost = layer._link.run, {"take": 0, "back": 0}

    def lose(what: Any, keys: Any, arguments: Any) -> Any:
        reply = run(what, keys, arguments)
        if what is GENERAL and lost.get(arguments[0], 2) < 2:
            lost[arguments[0]] += 1
            raise redis.ConnectionError("after it was done")
        return reply

    monkeypatch.setattr(layer._link, "run", lose)
    for number in range(2):
        await other.send("work", {"type": f"m.{number}"})
    assert await types(layer, "work", 2) == ["m.0", "m.1"]
    # What was fetched for a receive that is there no longer.
    layer._hub.boxes.put("work", local_body({"type": "m.2"}), 10, lambda _: None)
    layer._hub.fetcher.request("work")
    assert await types(other, "work", 1) == ["m.2"]
    await auntil(lambda: lost == {"take": 2, "back": 2})
    await other.send("work", {"type": "m.3"})
    assert await types(layer, "work", 1) == ["m.3"]
    assert await nothing(other, "work")
    assert not layer._hub.fetcher._unanswered


async def test_a_failure_while_entries_are_dealt_with_loses_none(
    layers: Layers, monkeypatch: pytest.MonkeyPatch
) -> None:
    layer, other = layers(), layers()
    first, second = [await layer.new_channel() for _ in range(2)]
    hub = layer._hub
    join, failed = hub._join, []

    def fail(*arguments: Any) -> None:
        if not failed:
            failed.append(True)
            raise redis.ConnectionError("in the middle")
        join(*arguments)

    monkeypatch.setattr(hub, "_join", fail)
    with hub.lock:
        await other.send(first, HELLO)
        await other.group_add("g", second)
        await other.group_send("g", HELLO)
        await other.send(first, HELLO)
    assert await types(layer, first, 2) == ["a", "a"]
    assert await types(layer, second, 1) == ["a"]
    assert failed


async def test_entries_of_others_stop_nobody(
    layers: Layers, caplog: pytest.LogCaptureFixture
) -> None:
    layer, other = layers(), layers()
    log = Log(layer)
    channel = await layer.new_channel()
    for fields in (
        {"m": "x"},
        {"m": "1" * 16 + "\xff"},
        {"foreign": 1},
        {"m": 1, "n": 2},
        {"m": b"1" * 16 + b"\xc1"},
    ):
        layers.control.xadd("asgi:g:g", fields, id="1-*")
    for fields in ({"m": "x"}, {"j": "g"}, {"m": "x", "c": "y", "o": 1}, {"w": "general"}):
        layers.control.xadd(layer._hub.process_key, fields, id="1-*")
    other.group_send_sync("g", {"n": 1})
    await other.send(channel, HELLO)
    assert await soon(layer.receive(channel)) == HELLO
    await auntil(lambda: log.told == [1])
    assert "is not ours" in caplog.text
