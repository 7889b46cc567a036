"""The layer's settings, forks, and that nothing leaks; what it does is in tests/contract."""

from __future__ import annotations

import asyncio
import gc
import itertools
import sys
import threading
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from channels.layers import channel_layers, get_channel_layer
from django.core.exceptions import ImproperlyConfigured

from cacheapp.channels import ChannelLayer
from cacheapp.clients import URLError
from tests.cache.aliases import maker
from tests.clients.forks import ignores_the_warning, in_child

HELLO = {"type": "a", "x": [1]}
_numbers = itertools.count()


def new_url() -> str:
    return f"memory://layer-{next(_numbers)}"


def test_it_is_made_from_settings(settings: Any) -> None:
    maker(settings)(new_url())
    settings.CHANNEL_LAYERS = {
        "default": {"BACKEND": "cacheapp.channels.ChannelLayer"},
        "other": {
            "BACKEND": "cacheapp.channels.ChannelLayer",
            "CONFIG": {"url": new_url(), "prefix": "p", "capacity": 1},
        },
    }
    layer = get_channel_layer()
    assert isinstance(layer, ChannelLayer)
    assert channel_layers["other"].capacity == 1
    assert layer.extensions == ["groups", "flush"]


def test_messages_are_messagepack() -> None:
    layer = ChannelLayer(url=new_url())
    assert layer.serialize({"a": True}) == b"\x81\xa1a\xc3"
    assert layer.deserialize(layer.serialize(HELLO)) == HELLO


def test_settings_that_cannot_be(settings: Any) -> None:
    with pytest.raises(ImproperlyConfigured, match="not both"):
        ChannelLayer(cache="default", url=new_url())
    with pytest.raises(ImproperlyConfigured, match="no alias"):
        ChannelLayer(cache="nowhere")
    with pytest.raises(URLError):
        ChannelLayer(url="memory://x?no-such-option=1")


async def test_layers_of_one_engine_and_prefix_are_one() -> None:
    url = new_url()
    ours, theirs, apart = (
        ChannelLayer(url=url),
        ChannelLayer(url=url),
        ChannelLayer(url=url, prefix="p"),
    )
    await ours.send("work", HELLO)
    assert apart.channels == []
    assert await theirs.receive("work") == HELLO


def test_in_process_no_thread_is_started() -> None:
    layer = ChannelLayer(url=new_url())
    channel = async_to_sync(layer.new_channel)()
    layer.group_add_sync("g", channel)
    layer.group_send_sync("g", HELLO)
    assert async_to_sync(layer.receive)(channel) == HELLO
    assert not [thread for thread in threading.enumerate() if "channels" in thread.name]


@ignores_the_warning
def test_a_child_has_channels_of_its_own() -> None:
    layer = ChannelLayer(url=new_url())
    old = async_to_sync(layer.new_channel)()
    layer.send_sync("work", HELLO)

    def child() -> str:
        new = asyncio.run(layer.new_channel())
        layer.group_add_sync("g", new)
        layer.group_send_sync("g", HELLO)
        assert asyncio.run(layer.receive(new)) == HELLO
        try:
            asyncio.run(layer.receive(old))
        except AssertionError:
            return f"{layer.channels} {new.partition('!')[0] != old.partition('!')[0]}"
        return "received from the parent's channel"

    assert in_child(child) == "[] True"
    assert asyncio.run(layer.receive("work")) == HELLO


def test_nothing_is_left_of_many_loops_and_sends() -> None:
    layer = ChannelLayer(url=new_url())
    boxes = layer._hub.boxes

    async def once() -> None:
        channel = await layer.new_channel()
        await layer.group_add("g", channel)
        await layer.group_send("g", HELLO)
        await layer.send(channel, HELLO)
        assert await layer.receive(channel) == HELLO
        assert await layer.receive(channel) == HELLO
        await layer.group_discard("g", channel)

    for _ in range(50):
        asyncio.run(once())
    grown = []
    for _ in range(3):
        gc.collect()
        before = sys.getallocatedblocks()
        for _ in range(150):
            asyncio.run(once())
        boxes.sweep()
        boxes.sweep()
        gc.collect()
        grown.append(sys.getallocatedblocks() - before)
    assert len(boxes) == 0
    assert layer._hub.groups == {}
    # What is left behind grows each time; what other threads of the run do does not.
    assert min(grown) < 1000
