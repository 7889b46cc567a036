"""The channel layer beside channels' own and channels_redis's: a message, and a group of 100.

A group's line is one ``group_send`` and the ``receive`` of all its members, once with the receives
timed and, for the engine, once without: what a sender waits for. All cases of a line run in one
event loop and in the same rounds. The peers on Redis are channels_redis's two layers, at the same
server.
"""

from __future__ import annotations

import asyncio
import gc
import itertools
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from channels.layers import InMemoryChannelLayer
from channels_redis.core import RedisChannelLayer
from channels_redis.pubsub import RedisPubSubChannelLayer

from benchmarks.measure import Timing
from benchmarks.report import Row, row
from cacheapp.channels import ChannelLayer

MESSAGE = {"type": "chat.message", "text": "Hello, world", "number": 5}
MEMBERS = 100
ROUNDS = 15
# Seconds between two cases, for what the one before left to do.
SETTLE_S = 0.03
IN_PROCESS, PUBSUB, CORE = "InMemoryChannelLayer", "channels_redis pubsub", "channels_redis core"
OURS = "cacheapp"

_numbers = itertools.count()
# One call of what is timed; it says how many seconds of it count.
Case = Callable[[], Awaitable[float]]


def measure(url: str | None, *, quick: bool = False) -> list[Row]:
    """Both parts; the second only where there is a server at ``url``."""
    rounds = 5 if quick else ROUNDS
    rows = asyncio.run(_in_process(rounds))
    if url is None:
        print("no redis-server found: the lines of the layer on Redis are left out")
        return rows
    return [*rows, *asyncio.run(_on_redis(url, rounds))]


async def _in_process(rounds: int) -> list[Row]:
    """An engine of this process against channels' InMemoryChannelLayer."""
    layers = {OURS: ChannelLayer(url="memory://bench-channels"), IN_PROCESS: InMemoryChannelLayer()}
    one = await _timings(layers, _one, 400, rounds)
    sent = await _timings(layers, _group_sent, 10, rounds)
    whole = await _timings(layers, _group, 10, rounds)
    return [
        row("layer in process: send + receive", one[OURS], one[IN_PROCESS], 0.25),
        row("layer in process: group_send to 100", sent[OURS], sent[IN_PROCESS], 0.1),
        row("the same, and 100 receives", whole[OURS], whole[IN_PROCESS], None),
    ]


async def _on_redis(url: str, rounds: int) -> list[Row]:
    """A redis-server against both layers of channels_redis, each with two processes' layers."""
    layers: dict[str, Any] = {
        OURS: ChannelLayer(url=url, prefix="bench-ours"),
        PUBSUB: RedisPubSubChannelLayer(hosts=[url], prefix="bench-pubsub"),
        CORE: RedisChannelLayer(hosts=[url], prefix="bench-core", capacity=1000),
    }
    other = ChannelLayer(url=url, prefix="bench-ours")
    pairs = {name: (layer, layer) for name, layer in layers.items()}
    pairs[OURS] = (other, layers[OURS])
    one = await _timings(layers, _one, 30, rounds)
    whole = await _timings(layers, _group, 5, rounds)
    far = await _timings(pairs, _one_from, 30, rounds)
    far_whole = await _timings(pairs, _group_from, 5, rounds)
    for layer in layers.values():
        await layer.flush()
    await layers[OURS].close()
    await other.close()
    return [
        row("layer on Redis: send + receive", one[OURS], one[PUBSUB], 1.0),
        row("layer on Redis: send + receive", one[OURS], one[CORE], 0.25),
        row("the same, from another layer of ours", far[OURS], far[PUBSUB], 1.0),
        row("the same, from another layer of ours", far[OURS], far[CORE], 0.25),
        row("layer on Redis: group_send to 100, received", whole[OURS], whole[PUBSUB], 0.8),
        row("layer on Redis: group_send to 100, received", whole[OURS], whole[CORE], 0.25),
        row("the same, from another layer of ours", far_whole[OURS], far_whole[PUBSUB], 0.8),
        row("the same, from another layer of ours", far_whole[OURS], far_whole[CORE], 0.25),
    ]


async def _one(layer: Any) -> Case:
    return await _one_from((layer, layer))


async def _one_from(pair: tuple[Any, Any]) -> Case:
    sender, layer = pair
    channel = await layer.new_channel()

    async def case() -> float:
        began = time.perf_counter()
        await sender.send(channel, MESSAGE)
        await layer.receive(channel)
        return time.perf_counter() - began

    return case


async def _members(layer: Any) -> tuple[str, list[str]]:
    group = f"bench-{next(_numbers)}"
    channels = [await layer.new_channel() for _ in range(MEMBERS)]
    for channel in channels:
        await layer.group_add(group, channel)
    return group, channels


async def _group(layer: Any) -> Case:
    return await _group_from((layer, layer))


async def _group_from(pair: tuple[Any, Any]) -> Case:
    sender, layer = pair
    group, channels = await _members(layer)

    async def case() -> float:
        began = time.perf_counter()
        await sender.group_send(group, MESSAGE)
        for channel in channels:
            await layer.receive(channel)
        return time.perf_counter() - began

    return case


async def _group_sent(layer: Any) -> Case:
    group, channels = await _members(layer)

    async def case() -> float:
        began = time.perf_counter()
        await layer.group_send(group, MESSAGE)
        seconds = time.perf_counter() - began
        for channel in channels:
            await layer.receive(channel)
        return seconds

    return case


async def _timings(
    layers: Mapping[str, Any], make: Callable[[Any], Awaitable[Case]], calls: int, rounds: int
) -> dict[str, Timing]:
    """Seconds a call for each layer, a number a round, the rounds interleaved."""
    cases = {name: await make(layer) for name, layer in layers.items()}
    for case in cases.values():
        await case()
    found: dict[str, list[float]] = {name: [] for name in cases}
    for _ in range(rounds):
        gc.collect()
        for name, case in cases.items():
            # The core layer goes on cleaning up after its receives have returned.
            await asyncio.sleep(SETTLE_S)
            found[name].append(sum([await case() for _ in range(calls)]) / calls)
    return {name: Timing(name, times) for name, times in found.items()}
