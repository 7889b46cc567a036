"""Invalidation over a Channels layer that is not ours: channels' own, in this process."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from channels.layers import InMemoryChannelLayer, channel_layers

from cacheapp.cache.nearcache import NearCache
from cacheapp.cache.steps import drive
from cacheapp.invalidation.audience import Watch
from cacheapp.invalidation.bus import Bus, Write
from cacheapp.invalidation.carrier import WAITING_MAX, LayerCarrier, group_of
from cacheapp.invalidation.protocol import keys_message
from tests.cache.aliases import MakeCache
from tests.contract.nearcaches import until


class Lossy(InMemoryChannelLayer):
    """Fails, or loses what is sent, when it is told to."""

    fails = loses = False

    async def group_send(self, group: str, message: Any) -> None:
        if self.fails:
            raise OSError("the layer is away")
        if not self.loses:
            await super().group_send(group, message)


@pytest.fixture
def layer(monkeypatch: pytest.MonkeyPatch) -> Lossy:
    made = Lossy()
    monkeypatch.setitem(channel_layers.backends, "near", made)
    return made


@pytest.fixture
def carrier(layer: Lossy) -> Iterator[LayerCarrier]:
    """One of a process that reads, with a lease."""
    near = NearCache(max_bytes=10**6, max_entries=100, ttl_s=None)
    made = LayerCarrier("near", "p", near, 0.4)
    made.wake()
    until(lambda: near.is_good)
    yield made
    thread = made._thread
    made.stop()
    if thread is not None:
        thread.join(10)
        assert not thread.is_alive()


def put(near: NearCache, name: bytes) -> None:
    mark = near.begin(name)
    assert mark is not None
    near.keep(name, mark, b"value", -1)


def test_a_message_drops_copies(carrier: LayerCarrier) -> None:
    near = carrier._near
    put(near, b"p:1:\xff")
    put(near, b"p:1:b")
    carrier.send(keys_message([b"p:1:\xff"]))
    until(lambda: list(near.copies) == [b"p:1:b"])


async def test_who_watches_hears_of_it_and_of_what_may_be_missing(
    carrier: LayerCarrier, layer: Lossy
) -> None:
    watch = Watch()
    carrier.audience.add(watch, [b"p:1:\xff"], [])
    carrier.send(keys_message([b"p:1:b"]))
    carrier.send(keys_message([b"p:1:\xff"], early=True))
    carrier.send(keys_message([b"p:1:\xff"]))
    await asyncio.wait_for(watch.rung.wait(), 30)
    assert list(carrier.audience.take(watch).names) == [b"p:1:\xff"]
    layer.fails = True
    until(lambda: not carrier._near.is_good)
    layer.fails = False
    await asyncio.wait_for(watch.rung.wait(), 30)
    assert carrier.audience.take(watch).everything


def test_a_dead_link_ends_the_lease_and_a_live_one_brings_it_back(
    carrier: LayerCarrier, layer: Lossy
) -> None:
    layer.loses = True
    until(lambda: not carrier._near.is_good)
    layer.loses = False
    until(lambda: carrier._near.is_good)


def test_what_could_not_be_sent_is_sent_later(carrier: LayerCarrier, layer: Lossy) -> None:
    near = carrier._near
    layer.fails = True
    until(lambda: not near.is_good)
    carrier.send(keys_message([b"a"]))
    put(near, b"b")
    layer.fails = False
    until(lambda: near.is_good)
    assert b"a" not in near.copies
    until(lambda: carrier._waiting == [])


def test_too_many_messages_become_one(layer: Lossy) -> None:
    near = NearCache(max_bytes=10**6, max_entries=100, ttl_s=None)
    carrier = LayerCarrier("near", "p", near, 0.4)
    carrier._revive_at = float("inf")  # no thread: nothing is sent
    for _ in range(WAITING_MAX + 5):
        carrier.send(keys_message([b"a"]))
    assert len(carrier._waiting) == 5
    assert carrier._waiting[0] == (b"p", b"")


def test_a_write_goes_alone_and_its_message_after_it(carrier: LayerCarrier) -> None:
    sent: list[Any] = []

    class Client:
        def pipeline(self, transaction: bool) -> Client:
            return self

        def execute_command(self, *command: Any) -> None:
            sent.append(command)

        def execute(self, raise_on_error: bool) -> list[Any]:
            return [1]

    bus = Bus("p", carrier._near)
    bus.carrier = carrier
    put(carrier._near, b"a")
    assert drive(bus.write(Write.to((b"a",), lambda client: client.delete("a"))), Client()) == 1
    assert sent == [("DEL", "a")]
    put(carrier._near, b"a")
    assert bus.store(Client(), b"a", ("SET", b"a", b"x")) is True
    assert sent[1:] == [("SET", b"a", b"x")]
    until(lambda: not carrier._near.copies)


def test_the_option_puts_the_layer_in_the_stream_s_place(
    make_cache: MakeCache, layer: Lossy
) -> None:
    options = {"NEAR_CACHE": {"channel_layer": "near"}}
    cache = make_cache("redis://127.0.0.1:1/0", "layered", options)
    assert isinstance(cache.near.listener, LayerCarrier)
    assert cache.near.bus.carrier is cache.near.listener
    assert not cache.near.listener.is_alive


def test_a_group_s_name_is_legal() -> None:
    layer = InMemoryChannelLayer()
    assert layer.require_valid_group_name(group_of("a prefix: ü" * 50))
    assert group_of("a") != group_of("b")


@pytest.fixture
def make_cache(settings: Any) -> MakeCache:
    from tests.cache.aliases import maker

    return maker(settings)
