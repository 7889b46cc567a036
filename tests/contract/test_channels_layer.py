"""What channels asks of a layer, on both servers: channels, capacity, expiry, names, flush."""

from __future__ import annotations

import asyncio
import random
import re
import threading
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from asgiref.sync import async_to_sync
from channels.exceptions import ChannelFull

from cacheapp.channels import ChannelLayer
from tests.cache.aliases import maker
from tests.contract.channels import Layers, auntil, nothing, soon, types
from tests.contract.conftest import Server

HELLO = {"type": "chat.message", "text": "hello"}
NESTED = {"type": "n", "list": [1, 2.5, None, True, b"\xff", {"a": "ü"}], "dict": {"b": [[]]}}


@pytest_asyncio.fixture
async def layers(server: Server) -> AsyncIterator[Layers]:
    made = Layers(server)
    yield made
    await made.close()


async def channel_of(layer: ChannelLayer, kind: str) -> str:
    return "work.queue" if kind == "general" else await layer.new_channel()


KINDS = pytest.mark.parametrize("kind", ["general", "own"])


@KINDS
@pytest.mark.parametrize("message", [HELLO, NESTED], ids=["flat", "nested"])
async def test_a_message_arrives(layers: Layers, kind: str, message: dict[str, Any]) -> None:
    layer = layers()
    channel = await channel_of(layer, kind)
    await layer.send(channel, message)
    assert await soon(layer.receive(channel)) == message


@KINDS
async def test_a_message_is_the_receiver_s_own(layers: Layers, kind: str) -> None:
    layer = layers()
    channel = await channel_of(layer, kind)
    sent = {"type": "a", "list": [1]}
    await layer.send(channel, sent)
    sent["list"].append(2)
    sent["type"] = "b"
    assert await soon(layer.receive(channel)) == {"type": "a", "list": [1]}


@KINDS
async def test_messages_come_in_order_to_one_who_waits_before(layers: Layers, kind: str) -> None:
    layer = layers()
    channel = await channel_of(layer, kind)
    receiving = asyncio.create_task(types(layer, channel, 3))
    await asyncio.sleep(0)
    for number in range(3):
        await layer.send(channel, {"type": f"m.{number}"})
    assert await soon(receiving) == ["m.0", "m.1", "m.2"]


async def test_another_layer_s_channel(layers: Layers) -> None:
    ours, theirs = layers(), layers()
    channel = await theirs.new_channel()
    for number in range(3):
        await ours.send(channel, {"type": f"m.{number}", "n": [number]})
    assert await types(theirs, channel, 3) == ["m.0", "m.1", "m.2"]


async def test_a_general_channel_is_shared(layers: Layers) -> None:
    ours, theirs = layers(), layers()
    for number in range(4):
        await ours.send("work", {"type": f"m.{number}"})
    found = [*await types(ours, "work", 2), *await types(theirs, "work", 2)]
    assert found == ["m.0", "m.1", "m.2", "m.3"]
    waiting = [asyncio.create_task(types(layer, "work", 1)) for layer in (ours, theirs)]
    assert await nothing(ours, "work")
    await ours.send("work", {"type": "m.4"})
    await ours.send("work", {"type": "m.5"})
    first, second = await soon(asyncio.gather(*waiting))
    assert sorted([*first, *second]) == ["m.4", "m.5"]


@KINDS
async def test_capacity(layers: Layers, kind: str) -> None:
    layer = layers(capacity=3)
    channel = await channel_of(layer, kind)
    for number in range(3):
        await layer.send(channel, {"type": f"m.{number}"})
    with pytest.raises(ChannelFull):
        await layer.send(channel, {"type": "m.3"})
    with pytest.raises(ChannelFull):
        layer.send_sync(channel, {"type": "m.3"})
    assert await types(layer, channel, 1) == ["m.0"]
    await layer.send(channel, {"type": "m.4"})
    assert await types(layer, channel, 3) == ["m.1", "m.2", "m.4"]


async def test_capacity_of_another_layer_s_channel(layers: Layers) -> None:
    ours, theirs = layers(capacity=2), layers(capacity=2)
    channel = await theirs.new_channel()

    async def fill() -> None:
        # A process far away hears a moment later that a channel is full.
        while True:
            await ours.send(channel, {"type": "m"})

    with pytest.raises(ChannelFull):
        await soon(fill())
    assert await types(theirs, channel, 2) == ["m", "m"]
    # Those that were on their way when it was emptied.
    while not await nothing(theirs, channel):
        continue

    async def send() -> None:
        while True:
            try:
                return await ours.send(channel, {"type": "again"})
            except ChannelFull:
                await asyncio.sleep(0)

    await soon(send())
    assert await types(theirs, channel, 1) == ["again"]


async def test_capacities_by_glob_and_by_expression(layers: Layers) -> None:
    layer = layers(capacity=3, channel_capacity={"tiny.*": 1, re.compile(r"^http\.res.*!"): 2})
    for channel, capacity in (("tiny.a", 1), ("http.response!abc", 2), ("http.request", 3)):
        for _ in range(capacity):
            await layer.send(channel, HELLO)
        with pytest.raises(ChannelFull):
            await layer.send(channel, HELLO)


@KINDS
async def test_messages_expire_one_by_one(layers: Layers, kind: str) -> None:
    layer = layers(expiry=0.4)
    channel = await channel_of(layer, kind)
    await layer.send(channel, {"type": "m.0"})
    for _ in range(2):
        assert await nothing(layer, "elsewhere")
    await layer.send(channel, {"type": "m.1"})
    assert await nothing(layer, "elsewhere")
    assert await types(layer, channel, 1) == ["m.1"]


async def test_expired_messages_make_room_and_leave_nothing(layers: Layers) -> None:
    layer = layers(expiry=0.1, capacity=1)
    for channel in ("work", await layer.new_channel()):
        await layer.send(channel, HELLO)
        assert await nothing(layer, "elsewhere")
        await layer.send(channel, HELLO)
    assert await nothing(layer, "elsewhere")
    layer._hub.boxes.sweep()
    assert layer.channels == []
    if layers.server.kind == "redis":
        keys = layers.server.client().keys("asgi:c:*")
        assert keys == []


@KINDS
async def test_names_and_messages_that_are_refused(layers: Layers, kind: str) -> None:
    layer = layers()
    channel = await channel_of(layer, kind)
    for name in ("=+135!", "a" * 100, "", "ü", b"bytes", None, "a b"):
        with pytest.raises(TypeError):
            await layer.send(name, HELLO)
        with pytest.raises(TypeError):
            await layer.receive(name)
        with pytest.raises(TypeError):
            await layer.group_add("group", name)
        with pytest.raises(TypeError):
            await layer.group_add(name, channel)
        with pytest.raises(TypeError):
            await layer.group_send(name, HELLO)
    with pytest.raises(AssertionError):
        await layer.send(channel, "text")
    with pytest.raises(AssertionError):
        await layer.send(channel, {"__asgi_channel__": "x"})
    with pytest.raises(AssertionError):
        await layer.group_send("group", "text")
    with pytest.raises(TypeError):
        await layer.send(channel, {"type": "a", "value": object()})


async def test_the_channel_of_nobody_here(layers: Layers) -> None:
    layer = layers()
    with pytest.raises(AssertionError, match="client prefix"):
        await layer.receive("not-ours!local")
    await layer.send("not-ours!local", HELLO)
    with pytest.raises(AssertionError, match="client prefix"):
        await layer.receive("not-ours!local")


async def test_names_are_new_whatever_the_seed(layers: Layers) -> None:
    names = set()
    for _ in range(2):
        random.seed(1)
        layer = layers()
        names |= {layer.client_prefix, await layer.new_channel(), await layer.new_channel("http")}
    assert len(names) == 6
    assert sum(name.startswith("http.") for name in names) == 2
    assert all(len(name) < 100 for name in names)


@KINDS
async def test_cancelled_receives_lose_nothing(layers: Layers, kind: str) -> None:
    layer = layers(capacity=1000)
    channel = await channel_of(layer, kind)
    got = []
    for number in range(150):
        receiving = asyncio.create_task(layer.receive(channel))
        for _ in range(number % 13):
            await asyncio.sleep(0)
        await layer.send(channel, {"type": "m", "n": number})
        for _ in range(number % 7):
            await asyncio.sleep(0)
        receiving.cancel()
        try:
            got.append((await receiving)["n"])
        except asyncio.CancelledError:
            continue
    while len(got) < 150:
        got.append((await soon(layer.receive(channel)))["n"])
    assert sorted(got) == list(range(150))


async def test_a_cancelled_receive_hands_its_turn_on(layers: Layers) -> None:
    layer = layers()
    channel = await layer.new_channel()
    first, second = (asyncio.create_task(layer.receive(channel)) for _ in range(2))
    await asyncio.sleep(0)
    await layer.send(channel, HELLO)
    first.cancel()
    done, _ = await asyncio.wait([first, second], timeout=5, return_when=asyncio.ALL_COMPLETED)
    results = [task.result() for task in done if not task.cancelled()]
    assert results == [HELLO]


async def test_what_nobody_took_goes_back_to_the_others(layers: Layers) -> None:
    ours, theirs = layers(), layers()
    for number in range(30):
        receiving = asyncio.create_task(ours.receive("work"))
        for _ in range(number % 5):
            await asyncio.sleep(0)
        await theirs.send("work", {"type": f"m.{number}"})
        receiving.cancel()
        try:
            found = await receiving
        except asyncio.CancelledError:
            found = await soon(theirs.receive("work"))
        assert found["type"] == f"m.{number}"


def test_from_loop_to_loop(layers: Layers) -> None:
    layer = layers()
    loop = asyncio.new_event_loop()
    try:
        channel = loop.run_until_complete(layer.new_channel())
        async_to_sync(layer.send, force_new_loop=True)(channel, {"type": "a"})
        layer.send_sync(channel, {"type": "b", "x": []})
        assert loop.run_until_complete(types(layer, channel, 2)) == ["a", "b"]
        assert async_to_sync(nothing)(layer, channel)
        asyncio.run(layer.send(channel, {"type": "c"}))
        assert asyncio.run(types(layer, channel, 1)) == ["c"]
    finally:
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()


async def test_threads_send_to_a_loop_that_waits(layers: Layers) -> None:
    layer = layers(capacity=10_000)
    own = await layer.new_channel()

    def send(channel: str, name: str) -> None:
        for number in range(100):
            layer.send_sync(channel, {"type": name, "n": number})

    for channel in (own, "work"):
        threads = [threading.Thread(target=send, args=(channel, f"t.{n}")) for n in range(4)]
        for thread in threads:
            thread.start()
        found: dict[str, list[int]] = {}
        for _ in range(400):
            message = await soon(layer.receive(channel))
            found.setdefault(message["type"], []).append(message["n"])
        for thread in threads:
            thread.join()
        assert found == {f"t.{n}": list(range(100)) for n in range(4)}


async def test_flush(layers: Layers) -> None:
    ours, theirs = layers(), layers()
    own, other = await ours.new_channel(), await theirs.new_channel()
    await ours.group_add("g", own)
    await theirs.group_add("g", other)
    await ours.group_add("g", "general")
    for channel in (own, other, "work"):
        await ours.send(channel, HELLO)
    await ours.group_send("g", HELLO)
    await ours.flush()
    assert ours.channels == []
    await auntil(lambda: not theirs.channels)
    for layer, channel in ((ours, own), (theirs, other), (ours, "work"), (ours, "general")):
        await ours.group_send("g", HELLO)
        assert await nothing(layer, channel)
        await ours.send(channel, {"type": "after"})
        assert await types(layer, channel, 1) == ["after"]


async def test_a_closed_layer_can_be_used_again(layers: Layers) -> None:
    layer = layers()
    for number in range(3):
        channel = await layer.new_channel()
        await layer.group_add("g", channel)
        await layer.group_send("g", {"type": f"m.{number}"})
        assert await types(layer, channel, 1) == [f"m.{number}"]
        await layer.close_pools()
        await layer.send("work", HELLO)
        assert await soon(layer.receive("work")) == HELLO


@KINDS
async def test_messages_are_encrypted_on_the_server(layers: Layers, kind: str) -> None:
    old, new = (layers(symmetric_encryption_keys=keys) for keys in (["old"], ["new", "old"]))
    channel = await channel_of(new, kind)
    await old.send(channel, HELLO)
    assert await soon(new.receive(channel)) == HELLO
    await new.group_add("g", channel)
    await old.group_send("g", NESTED)
    assert await soon(new.receive(channel)) == NESTED
    stored = layers.server.client().xrange("asgi:g:g")
    assert stored
    assert b"list" not in stored[-1][1][b"m"]


async def test_on_an_alias(server: Server, settings: Any) -> None:
    maker(settings)(server.url, KEY_PREFIX="site")
    layer = ChannelLayer(cache="default")
    channel = await layer.new_channel()
    await layer.group_add("g", channel)
    await layer.group_send("g", HELLO)
    assert await soon(layer.receive(channel)) == HELLO
    assert server.client().exists("siteasgi:g:g")
    await layer.close()
