"""An event loop that reads in place of the thread: when it does, and that nothing depends on it.

On redis-server, since in process nobody reads.
"""

from __future__ import annotations

import asyncio
import gc
import os
import threading
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from cacheapp.channels import ChannelLayer, loan
from tests.contract.channels import Layers, auntil, soon, types, until
from tests.contract.conftest import ProcessServer
from tests.contract.test_channels_groups import Log
from tests.redis_server import RedisServer

pytestmark = pytest.mark.requires_redis
HELLO = {"type": "a", "x": [1]}


@pytest_asyncio.fixture
async def layers(redis_server: RedisServer) -> AsyncIterator[Layers]:
    made = Layers(ProcessServer(redis_server))
    yield made
    await made.close()
    made.server.close()


def is_lent(layer: ChannelLayer) -> bool:
    reader = layer._hub.reader
    return reader is not None and reader._loan is not None


async def test_the_loop_that_receives_reads_and_the_thread_does_the_rest(
    layers: Layers, monkeypatch: pytest.MonkeyPatch
) -> None:
    layer, other = layers(), layers()
    channel = await layer.new_channel()
    reader = layer._hub.reader
    deal, by = reader.deal, set()

    def noted(*arguments: Any, **options: Any) -> Any:
        by.add(threading.current_thread())
        return deal(*arguments, **options)

    monkeypatch.setattr(reader, "deal", noted)
    await auntil(lambda: is_lent(layer))
    by.clear()
    for number in range(600):
        await other.send(channel, {"type": "m", "n": number})
        assert (await soon(layer.receive(channel)))["n"] == number
    assert threading.current_thread() in by
    # Entries are trimmed by the thread, which lends again.
    await auntil(lambda: is_lent(layer))
    assert layers.control.xlen(layer._hub.process_key) < 600
    assert reader.thread.is_alive()


async def test_what_tells_of_groups_is_read_by_the_thread(layers: Layers) -> None:
    layer, other = layers(), layers()
    channel = await layer.new_channel()
    for number in range(20):
        await auntil(lambda: is_lent(layer))
        await other.group_add(f"g.{number}", channel)
        await other.group_send(f"g.{number}", {"type": f"m.{number}"})
        assert await types(layer, channel, 1) == [f"m.{number}"]


async def test_who_subscribed_depends_on_no_loop(layers: Layers) -> None:
    layer, other = layers(), layers()
    await layer.new_channel()
    await auntil(lambda: is_lent(layer))
    log = Log(layer)
    other.group_send_sync("g", {"n": 0})
    # This blocks the loop.
    until(lambda: log.told == [0])
    assert not is_lent(layer)
    log.subscription.close()
    await auntil(lambda: is_lent(layer))


async def test_a_loop_that_stands_still_is_not_waited_for(
    layers: Layers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loan, "STALLED_S", 0.1)
    layer, other = layers(), layers()
    channel = await layer.new_channel()
    await auntil(lambda: is_lent(layer))
    other.send_sync(channel, HELLO)
    until(lambda: layer._hub.boxes.count(channel) == 1)
    assert await soon(layer.receive(channel)) == HELLO


def test_loops_come_and_go(layers: Layers) -> None:
    layer, other = layers(), layers()

    async def once(*, is_waited_for: bool) -> None:
        channel = await layer.new_channel()
        if is_waited_for:
            await auntil(lambda: is_lent(layer))
        receiving = asyncio.create_task(layer.receive(channel))
        await asyncio.sleep(0)
        other.send_sync(channel, HELLO)
        assert await soon(receiving) == HELLO

    for _ in range(3):
        asyncio.run(once(is_waited_for=True))
        asyncio.run(once(is_waited_for=False))
    until(lambda: not is_lent(layer))
    gc.collect()
    before = free_descriptor()
    for _ in range(5):
        asyncio.run(once(is_waited_for=True))
        asyncio.run(once(is_waited_for=False))
    gc.collect()
    # A duplicate that is kept would be one more each time.
    until(lambda: free_descriptor() < before + 5)


def free_descriptor() -> int:
    """The lowest number of a file that is not open."""
    descriptor = os.open(os.devnull, os.O_RDONLY)
    os.close(descriptor)
    return descriptor


async def test_a_second_loop_that_receives_is_served_too(layers: Layers) -> None:
    layer, other = layers(), layers()
    channel = await layer.new_channel()
    await auntil(lambda: is_lent(layer))
    found: list[Any] = []

    async def receive() -> None:
        own = await layer.new_channel()
        other.send_sync(own, HELLO)
        found.append(await soon(layer.receive(own)))

    thread = threading.Thread(target=asyncio.run, args=(receive(),))
    thread.start()
    # This loop stands still until the other one has its message.
    thread.join()
    assert found == [HELLO]
    await other.send(channel, HELLO)
    assert await soon(layer.receive(channel)) == HELLO


async def test_a_loop_that_watches_no_sockets_leaves_it_to_the_thread(
    layers: Layers, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any) -> None:
        raise NotImplementedError

    monkeypatch.setattr(asyncio.get_running_loop(), "add_reader", refuse)
    layer, other = layers(), layers()
    channel = await layer.new_channel()
    await auntil(lambda: layer._hub.reader._loan is None and layer._hub.reader.was_refused)
    other.send_sync(channel, HELLO)
    until(lambda: layer._hub.boxes.count(channel) == 1)
    assert await soon(layer.receive(channel)) == HELLO


async def test_a_layer_is_closed_while_its_loop_reads(layers: Layers) -> None:
    layer, other = layers(), layers()
    for number in range(3):
        channel = await layer.new_channel()
        await auntil(lambda: is_lent(layer))
        await other.send(channel, {"type": f"m.{number}"})
        assert await types(layer, channel, 1) == [f"m.{number}"]
        await layer.close()
        assert layer._hub.reader is None
