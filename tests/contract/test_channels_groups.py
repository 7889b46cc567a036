"""Groups on both servers: members, order, capacity, and streams that tell of every gap."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
import redis
from asgiref.sync import async_to_sync

from cacheapp.channels import ChannelLayer
from cacheapp.channels.links import GENERAL
from tests.contract.channels import Layers, auntil, nothing, soon, types, until
from tests.contract.conftest import Server

HELLO = {"type": "chat.message", "text": "hello"}
KEY = "asgi:g:g"


@pytest_asyncio.fixture
async def layers(server: Server) -> AsyncIterator[Layers]:
    made = Layers(server)
    yield made
    await made.close()


class Log:
    """What a subscription was told, in order: numbers of messages, and gaps as text."""

    def __init__(self, layer: ChannelLayer, group: str = "g") -> None:
        self.told: list[Any] = []
        self.numbers: list[int] = []
        self.subscription = layer.subscribe(group, self._message, self._gap)

    def _message(self, message: dict[str, Any], number: int) -> None:
        self.told.append(message["n"])
        self.numbers.append(number)

    def _gap(self, reason: str) -> None:
        self.told.append(f"gap: {reason}")

    @property
    def gaps(self) -> int:
        return sum(isinstance(item, str) for item in self.told)


async def test_members_get_it_and_others_do_not(layers: Layers) -> None:
    ours, theirs = layers(), layers()
    first, second, third = [await layer.new_channel() for layer in (ours, ours, theirs)]
    for channel in (first, second, third, "general"):
        await ours.group_add("g", channel)
    await ours.group_discard("g", second)
    await ours.group_send("g", {"type": "m.1", "x": [1]})
    for layer, channel in ((ours, first), (theirs, third), (theirs, "general")):
        assert await soon(layer.receive(channel)) == {"type": "m.1", "x": [1]}
    assert await nothing(ours, second)
    await ours.group_discard("g", third)
    await ours.group_discard("g", "general")
    await ours.group_send("g", {"type": "m.2"})
    assert await types(ours, first, 1) == ["m.2"]
    assert await nothing(theirs, third)
    assert await nothing(ours, "general")


async def test_a_group_without_members_costs_nothing(layers: Layers) -> None:
    layer = layers()
    await layer.group_discard("g", await layer.new_channel())
    await layer.group_discard("g", "general")
    await layer.group_send("g", HELLO)
    assert not layers.server.client().exists(KEY)


async def test_what_was_sent_before_and_after_a_membership(layers: Layers) -> None:
    layer = layers()
    other, own = await layer.new_channel(), await layer.new_channel()
    await layer.group_add("g", other)
    for channel in (own, "general"):
        await layer.group_send("g", {"type": "before"})
        await layer.group_add("g", channel)
        await layer.group_send("g", {"type": "while"})
        await layer.group_discard("g", channel)
        await layer.group_send("g", {"type": "after"})
        assert await types(layer, channel, 1) == ["while"]
        assert await nothing(layer, channel)


async def test_order_between_groups_and_channels(layers: Layers) -> None:
    layer = layers()
    own = await layer.new_channel()
    for channel in (own, "general"):
        await layer.group_add("g", channel)
        await layer.group_add("h", channel)
        for number in range(5):
            await layer.group_send("g", {"type": f"g.{number}"})
            await layer.send(channel, {"type": f"c.{number}"})
            if channel == own:
                await layer.group_send("h", {"type": f"h.{number}"})
    expected = [f"{kind}.{number}" for number in range(5) for kind in "gch"]
    assert await types(layer, own, 15) == expected
    assert await types(layer, "general", 10) == [name for name in expected if name[0] != "h"]


@pytest.mark.parametrize("kind", ["own", "general"])
async def test_members_over_capacity_go_without(
    layers: Layers, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    layer = layers(capacity=3)
    channel = await layer.new_channel() if kind == "own" else "general"
    other = await layer.new_channel()
    await layer.group_add("g", channel)
    await layer.group_add("g", other)
    await layer.send(other, {"type": "m.0"})
    with caplog.at_level(logging.INFO, "cacheapp.channels"):
        for number in range(1, 5):
            await layer.group_send("g", {"type": f"m.{number}"})
        assert await types(layer, channel, 3) == ["m.1", "m.2", "m.3"]
        assert await types(layer, other, 3) == ["m.0", "m.1", "m.2"]
        assert await nothing(layer, channel)
        assert await nothing(layer, other)
    if kind == "own":
        assert "1 of 2 channels over capacity in group g" in caplog.messages


async def test_a_membership_expires(layers: Layers) -> None:
    # Long enough for a busy machine to send the first in time.
    layer = layers(group_expiry=2.0)
    own = await layer.new_channel()
    for group, channel in (("g", own), ("h", "general")):
        await layer.group_add(group, channel)
        await layer.group_send(group, {"type": "m.1"})
        assert await types(layer, channel, 1) == ["m.1"]
    until = time.monotonic() + 2.0
    while time.monotonic() < until:
        assert await nothing(layer, "elsewhere")
    for group, channel in (("g", own), ("h", "general")):
        await layer.group_send(group, {"type": "m.2"})
        assert await nothing(layer, channel)


async def test_a_general_channel_that_waits_is_told_of_new_groups(layers: Layers) -> None:
    ours, theirs = layers(), layers()
    receiving = asyncio.create_task(theirs.receive("general"))
    assert await nothing(ours, "elsewhere")
    await ours.group_add("g", "general")
    await ours.group_send("g", HELLO)
    assert await soon(receiving) == HELLO
    receiving = asyncio.create_task(theirs.receive("general"))
    assert await nothing(ours, "elsewhere")
    await ours.group_send("g", HELLO)
    assert await soon(receiving) == HELLO


def test_without_a_loop(layers: Layers) -> None:
    layer = layers()
    channel = async_to_sync(layer.new_channel)()
    layer.group_add_sync("g", channel)
    layer.group_send_sync("g", {"type": "a"})
    async_to_sync(layer.group_send)("g", {"type": "b"})
    layer.group_discard_sync("g", channel)
    layer.group_send_sync("g", {"type": "c"})
    assert async_to_sync(types)(layer, channel, 2) == ["a", "b"]
    assert async_to_sync(nothing)(layer, channel)


async def test_100_members_of_two_layers(layers: Layers) -> None:
    made = [layers(), layers()]
    channels = [(layer, await layer.new_channel()) for layer in made for _ in range(50)]
    for layer, channel in channels:
        await layer.group_add("g", channel)
    await made[0].group_send("g", HELLO)
    for layer, channel in channels:
        message = await soon(layer.receive(channel))
        assert message == HELLO
        message.clear()


async def test_a_subscription_gets_all_in_order(layers: Layers) -> None:
    layer, other = layers(), layers()
    log = Log(layer)
    for number in range(20):
        other.group_send_sync("g", {"n": number})
    await auntil(lambda: len(log.told) == 20)
    assert log.told == list(range(20))
    assert log.numbers == list(range(log.numbers[0], log.numbers[0] + 20))
    log.subscription.close()
    layer.group_send_sync("g", {"n": 20})
    assert await nothing(layer, "elsewhere")
    assert len(log.told) == 20


async def test_a_message_rides_in_a_transaction(layers: Layers) -> None:
    layer = layers()
    log = Log(layer)
    channel = await layer.new_channel()
    await layer.group_add("g", channel)
    client = layers.server.client()
    with client.pipeline() as pipeline:
        pipeline.set("key", "value")
        layer.group_send_in(pipeline, "g", {"type": "m", "n": 1})
        assert pipeline.execute()[0] is True
    await auntil(lambda: log.told == [1])
    layer.group_send_sync("g", {"type": "m", "n": 2})
    aclient = layers.server.async_client()
    async with aclient.pipeline() as pipe:
        pipe.set("key", "value")
        layer.group_send_in(pipe, "g", {"type": "m", "n": 3})
        await pipe.execute()
    await auntil(lambda: log.told == [1, 2, 3])
    assert [(await soon(layer.receive(channel)))["n"] for _ in range(3)] == [1, 2, 3]
    with client.pipeline() as pipeline:
        pipeline.watch("key")
        client.set("key", "other")
        pipeline.multi()
        pipeline.set("key", "third")
        layer.group_send_in(pipeline, "g", {"type": "m", "n": 4})
        with pytest.raises(redis.WatchError):
            pipeline.execute()
    layer.group_send_sync("g", {"type": "m", "n": 5})
    await auntil(lambda: log.told == [1, 2, 3, 5])
    await aclient.aclose()


def _delete(client: redis.Redis) -> None:
    client.delete(KEY)


def _flush(client: redis.Redis) -> None:
    client.flushall()


def _replace(client: redis.Redis) -> None:
    client.delete(KEY)
    client.xadd(KEY, {"foreign": 1})


def _delete_entry(client: redis.Redis) -> None:
    client.xdel(KEY, client.xrevrange(KEY, count=1)[0][0])


@pytest.mark.parametrize("fault", [_delete, _flush, _replace])
async def test_a_lost_stream_is_a_gap(layers: Layers, fault: Any) -> None:
    layer = layers()
    client = layers.server.client()
    log = Log(layer)
    for number in range(3):
        layer.group_send_sync("g", {"n": number})
    await auntil(lambda: log.told == [0, 1, 2])
    fault(client)
    if layers.server.kind == "engine":
        # In process a stream is looked at when somebody sends.
        if fault is _replace:
            client.delete(KEY)
        layer.group_send_sync("g", {"n": 3})
    await auntil(lambda: log.gaps == 1)
    layer.group_send_sync("g", {"n": 4})
    await auntil(lambda: log.told[-1] == 4)
    assert log.gaps == 1
    assert log.numbers[-1] > log.numbers[-2]


async def test_a_reader_that_was_slow_proves_what_it_missed(layers: Layers) -> None:
    layer = layers(group_history=10)
    log = Log(layer)
    layer.group_send_sync("g", {"n": 0})
    await auntil(lambda: log.told == [0])
    hub = layer._hub
    client = layers.server.client()
    with hub.lock:
        # The reader cannot hand anything over while the lock is held.
        with client.pipeline(transaction=False) as pipeline:
            for number in range(1, 400):
                layer.group_send_in(pipeline, "g", {"n": number})
            pipeline.execute()
        client.xtrim(KEY, maxlen=5, approximate=False)
    await auntil(lambda: log.told[-1] == 399)
    # What had been read before it was trimmed was not missed.
    numbers = [item for item in log.told if not isinstance(item, str)]
    assert numbers == sorted(set(numbers))
    assert log.gaps == (0 if len(numbers) == 400 else 1)


async def test_an_entry_that_was_taken_out_is_a_gap(layers: Layers) -> None:
    layer = layers()
    log = Log(layer)
    layer.group_send_sync("g", {"n": 0})
    await auntil(lambda: log.told == [0])
    client = layers.server.client()
    with layer._hub.lock, client.pipeline() as pipeline:
        layer.group_send_in(pipeline, "g", {"n": 1})
        pipeline.xtrim(KEY, maxlen=0, approximate=False)
        layer.group_send_in(pipeline, "g", {"n": 2})
        pipeline.execute()
    await auntil(lambda: log.told[-1] == 2)
    assert log.gaps == 1


async def test_a_failing_subscriber_stops_nobody(
    layers: Layers, caplog: pytest.LogCaptureFixture
) -> None:
    layer = layers()

    def fail(*_: Any) -> None:
        raise RuntimeError("mine")

    layer.subscribe("g", fail, fail)
    log = Log(layer)
    layer.group_send_sync("g", {"n": 0})
    await auntil(lambda: log.told == [0])
    assert "mine" in caplog.text


async def test_threads_send_to_one_group(layers: Layers) -> None:
    layer = layers(capacity=1000)
    log = Log(layer)
    channel = await layer.new_channel()
    await layer.group_add("g", channel)

    def send(start: int) -> None:
        for number in range(start, start + 50):
            layer.group_send_sync("g", {"n": number})

    threads = [threading.Thread(target=send, args=(start,)) for start in (0, 100, 200)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    until(lambda: len(log.told) == 150)
    got = [(await soon(layer.receive(channel)))["n"] for _ in range(150)]
    assert got == log.told
    assert sorted(got) == [start + n for start in (0, 100, 200) for n in range(50)]


async def test_memberships_end_and_begin_in_the_order_of_the_calls(layers: Layers) -> None:
    ours, theirs = layers(), layers()
    first, second, third, fourth = [await theirs.new_channel() for _ in range(4)]
    for channel in (first, third):
        await theirs.group_add("g", channel)
    # On a server the owner's reader hears of nothing meanwhile.
    with theirs._hub.lock:
        await ours.group_discard("g", first)
        await ours.group_add("g", second)
        await theirs.group_discard("g", second)
        await ours.group_discard("g", third)
        await theirs.group_add("g", third)
        await ours.group_add("g", fourth)
        await theirs.group_send("g", {"type": "m.1"})
    assert await types(theirs, third, 1) == ["m.1"]
    assert await types(theirs, fourth, 1) == ["m.1"]
    await theirs.group_send("g", {"type": "m.2"})
    assert await types(theirs, third, 1) == ["m.2"]
    assert await types(theirs, fourth, 1) == ["m.2"]
    assert await nothing(theirs, first)
    assert await nothing(theirs, second)


async def test_a_member_that_left_and_came_back_while_its_process_was_behind(
    layers: Layers,
) -> None:
    ours, theirs = layers(), layers()
    for by in (theirs, ours):
        channel = await theirs.new_channel()
        await theirs.group_add("g", channel)
        with theirs._hub.lock:
            await ours.group_send("g", {"type": "m.1"})
            await by.group_discard("g", channel)
            await ours.group_send("g", {"type": "m.2"})
            await ours.group_discard("g", channel)
            await ours.group_send("g", {"type": "m.3"})
            await by.group_add("g", channel)
            await ours.group_send("g", {"type": "m.4"})
        assert await types(theirs, channel, 2) == ["m.1", "m.4"]
        assert await nothing(theirs, channel)
        await ours.group_discard("g", channel)


async def test_a_member_that_was_invited_before_its_process_knew_the_group(layers: Layers) -> None:
    ours, theirs = layers(), layers()
    first, second = [await theirs.new_channel() for _ in range(2)]
    with theirs._hub.lock:
        for channel in (first, second):
            await ours.group_add("g", channel)
        await ours.group_send("g", {"type": "m", "n": 1})
        await ours.group_discard("g", first)
        await ours.group_send("g", {"type": "m", "n": 2})
        log = Log(theirs)
        await ours.group_send("g", {"type": "m", "n": 3})
    got = [(await soon(theirs.receive(second)))["n"] for _ in range(3)]
    assert got == [1, 2, 3]
    assert (await soon(theirs.receive(first)))["n"] == 1
    assert await nothing(theirs, first)
    assert log.told == [3]


async def test_a_membership_ends_where_the_stream_is_gone(layers: Layers) -> None:
    ours, theirs = layers(), layers()
    channel, other = [await theirs.new_channel() for _ in range(2)]
    for member in (channel, other):
        await theirs.group_add("g", member)
    layers.server.client().delete(KEY)
    await ours.group_discard("g", channel)
    # The stream is opened anew by who knows of members.
    await theirs.group_send("g", HELLO)
    assert await soon(theirs.receive(other)) == HELLO
    assert await nothing(theirs, channel)


async def test_the_reader_alone_delivers_first_after_a_stream_was_gone(layers: Layers) -> None:
    ours, theirs = layers(), layers()
    channel, other = [await theirs.new_channel() for _ in range(2)]
    for member in (channel, other):
        await theirs.group_add("g", member)
    with theirs._hub.lock:
        # So its reader deals with nothing meanwhile.
        layers.server.client().delete(KEY)
        await ours.group_discard("g", channel)
        await theirs.group_send("g", HELLO)
    assert await soon(theirs.receive(other)) == HELLO
    assert await nothing(theirs, channel)


async def test_a_general_member_that_is_added_again_gets_nothing_twice(layers: Layers) -> None:
    layer = layers()
    await layer.group_add("g", "general")
    for number in range(3):
        await layer.group_send("g", {"type": f"m.{number}"})
        if layers.server.kind == "redis":
            # As if these had been sent between the two steps of group_add.
            first = layers.server.client().xrange(KEY)[0][0].partition(b"-")[2]
            hub = layer._hub
            arguments = hub.general_arguments("join", "general", "g", first, 10_000)
            layer._link.run(GENERAL, hub.keys.general("general"), arguments)
        else:
            await layer.group_add("g", "general")
    assert await types(layer, "general", 3) == ["m.0", "m.1", "m.2"]
    assert await nothing(layer, "general")
