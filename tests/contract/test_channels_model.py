"""Random uses of a layer, compared with what a dict of lists does; on both servers.

One sender: every channel gets exactly the model's messages in the model's order, capacity
included. Two senders: every channel gets exactly the model's messages, those of the other sender in
its order, whoever adds channels to groups and whosever they are, and nobody waits for anybody.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import pytest
from channels.exceptions import ChannelFull
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cacheapp.channels import ChannelLayer, watch
from tests.contract.channels import SOON_S
from tests.contract.conftest import Server

CAPACITY = 4
GROUPS = ("g", "h")
# The sender's own channels, another layer's, and general ones.
CHANNELS = ("near", "near2", "far", "work", "work2")
_numbers = itertools.count()

channels, groups = st.sampled_from(CHANNELS), st.sampled_from(GROUPS)
operations = st.lists(
    st.one_of(
        st.tuples(st.just("send"), channels),
        st.tuples(st.just("receive"), channels),
        st.tuples(st.just("group_send"), groups),
        st.tuples(st.sampled_from(["group_add", "group_discard"]), groups, channels),
    ),
    max_size=40,
)


class Model:
    """What channels says, with a list a channel and a set a group."""

    def __init__(self) -> None:
        self.messages: dict[str, list[int]] = defaultdict(list)
        self.members: dict[str, set[str]] = defaultdict(set)

    def send(self, channel: str, number: int, capacity: int) -> bool:
        if len(self.messages[channel]) >= capacity:
            return False
        self.messages[channel].append(number)
        return True


class World:
    """Two layers of a server, and a loop to run them in."""

    def __init__(self, server: Server) -> None:
        capacities = {"far.*": 1000}
        self.near, self.far = (
            ChannelLayer(url=server.url, capacity=CAPACITY, channel_capacity=capacities)
            for _ in range(2)
        )
        self.loop = asyncio.new_event_loop()

    def close(self) -> None:
        async def close() -> None:
            await self.near.close()
            await self.far.close()

        self.loop.run_until_complete(close())
        self.loop.run_until_complete(self.loop.shutdown_asyncgens())
        self.loop.close()

    async def names(self, prefix: str) -> tuple[dict[str, str], dict[str, str]]:
        """New names on the server for the model's channels and groups."""
        number = next(_numbers)
        named = {
            "near": await self.near.new_channel(prefix),
            "near2": await self.near.new_channel(prefix),
            "far": await self.far.new_channel("far"),
            "work": f"{prefix}.work.{number}",
            "work2": f"{prefix}.work2.{number}",
        }
        return named, {group: f"{group}.{number}" for group in GROUPS}

    def layer_of(self, channel: str) -> ChannelLayer:
        return self.far if channel == "far" else self.near

    async def receive(self, channel: str, name: str) -> dict[str, Any]:
        layer = self.layer_of(channel)
        found: dict[str, Any] = await asyncio.wait_for(layer.receive(name), SOON_S)
        return found


@pytest.fixture(params=["reads", "watches"])
def world(
    server: Server, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Iterator[World]:
    if request.param == "watches":
        # As where there are very many groups.
        monkeypatch.setattr(watch, "WATCHED_FROM", 0)
    if server.kind == "redis" and request.node.originalname == "test_two_senders":
        # Not strict: seen once, under load. In process it may not happen, and fails.
        reason = "a discard asked for by another process may, rarely, come late (docs/channels.md)"
        request.applymarker(pytest.mark.xfail(strict=False, reason=reason))
    made = World(server)
    yield made
    made.close()


fixed = settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


@fixed
@given(steps=operations)
def test_one_sender(world: World, steps: list[tuple[str, ...]]) -> None:
    world.loop.run_until_complete(_one_sender(world, steps))


async def _one_sender(world: World, steps: list[tuple[str, ...]]) -> None:
    model, layer = Model(), world.near
    names, groups = await world.names("specific")
    for number, (verb, *what) in enumerate(steps):
        message = {"type": "m", "n": number}
        if verb == "send":
            (channel,) = what
            if model.send(channel, number, 1000 if channel == "far" else CAPACITY):
                await layer.send(names[channel], message)
            else:
                with pytest.raises(ChannelFull):
                    await layer.send(names[channel], message)
        elif verb == "receive":
            (channel,) = what
            if model.messages[channel]:
                got = await world.receive(channel, names[channel])
                assert got["n"] == model.messages[channel].pop(0)
        elif verb == "group_send":
            await layer.group_send(groups[what[0]], message)
            for channel in model.members[what[0]]:
                model.send(channel, number, 1000 if channel == "far" else CAPACITY)
        else:
            group, channel = what
            await getattr(layer, verb)(groups[group], names[channel])
            change = model.members[group]
            change.add(channel) if verb == "group_add" else change.discard(channel)
    for channel, expected in model.messages.items():
        for number in expected:
            assert (await world.receive(channel, names[channel]))["n"] == number


parts = st.tuples(st.booleans(), st.booleans(), operations.map(lambda steps: steps[:6]))


@fixed
@given(parts=st.lists(parts, max_size=8))
def test_two_senders(world: World, parts: list[tuple[bool, bool, list[tuple[str, ...]]]]) -> None:
    world.loop.run_until_complete(_two_senders(world, parts))


async def _two_senders(world: World, parts: list[tuple[bool, bool, list[tuple[str, ...]]]]) -> None:
    model = Model()
    names, groups = await world.names("far")
    layers = {False: world.near, True: world.far}
    senders: list[bool] = []
    for by_far, is_behind, steps in parts:
        # Those who read stand still meanwhile, or do not.
        locks = [layer._hub.lock for layer in layers.values()] if is_behind else []
        with contextlib.ExitStack() as stack:
            for lock in locks:
                stack.enter_context(lock)
            for verb, *what in steps:
                await _step(layers[by_far], model, (names, groups), len(senders), (verb, *what))
                senders.append(by_far)
    owners = {"near": world.near, "near2": world.near, "far": world.far}
    for channel in CHANNELS:
        got: list[int] = []
        for layer in layers.values():
            await layer.send(names[channel], {"type": "m", "n": -1})
        while got.count(-1) < 2:
            got.append((await world.receive(channel, names[channel]))["n"])
        for by_far, layer in layers.items():
            sent = {number for number, sender in enumerate(senders) if sender is by_far}
            expected = [number for number in model.messages[channel] if number in sent]
            found = [number for number in got if number in sent]
            if layer is owners.get(channel):
                # What it sends itself may overtake what comes by a membership that it was not told.
                found.sort()
            assert found == expected


async def _step(
    layer: ChannelLayer,
    model: Model,
    named: tuple[dict[str, str], dict[str, str]],
    number: int,
    step: tuple[str, ...],
) -> None:
    (names, groups), (verb, *what) = named, step
    message = {"type": "m", "n": number}
    if verb == "send":
        model.send(what[0], number, 1000)
        await layer.send(names[what[0]], message)
    elif verb == "group_send":
        await layer.group_send(groups[what[0]], message)
        for channel in model.members[what[0]]:
            model.send(channel, number, 1000)
    elif verb != "receive":
        group, channel = what
        await getattr(layer, verb)(groups[group], names[channel])
        change = model.members[group]
        change.add(channel) if verb == "group_add" else change.discard(channel)
