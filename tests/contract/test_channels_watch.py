"""A reader of very many streams: when it has the server tell, and that nothing is missed then.

The model's random uses run with it too (test_channels_model.py). On redis-server and on the TCP
front, since in process nobody reads.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio

from cacheapp.channels import ChannelLayer, watch
from tests.contract.channels import Layers, auntil, soon, types
from tests.contract.conftest import ProcessServer, Server
from tests.contract.test_channels_groups import Log
from tests.server.running import RunningServer

WATCHED_FROM = 6


class Front(Server):
    """An engine behind its TCP front, as contract tests know a server."""

    kind = "front"

    def __init__(self, running: RunningServer) -> None:
        super().__init__()
        self.url = f"redis://127.0.0.1:{running.port}/0"


@pytest.fixture(params=[pytest.param("redis", marks=pytest.mark.requires_redis), "front"])
def behind(request: pytest.FixtureRequest) -> Iterator[Server]:
    if request.param == "redis":
        yield ProcessServer(request.getfixturevalue("redis_server"))
        return
    with RunningServer() as running:
        yield Front(running)


@pytest_asyncio.fixture
async def layers(behind: Server, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Layers]:
    monkeypatch.setattr(watch, "WATCHED_FROM", WATCHED_FROM)
    made = Layers(behind)
    yield made
    await made.close()
    behind.close()


def is_watching(layer: ChannelLayer) -> bool:
    reader = layer._hub.reader
    return reader is not None and reader._watch is not None


async def test_it_watches_while_there_are_many(layers: Layers) -> None:
    layer, other = layers(), layers()
    channel = await layer.new_channel()
    groups = [f"g.{number}" for number in range(2 * WATCHED_FROM)]

    async def sends_to(members: list[str]) -> None:
        for group in members:
            await other.group_send(group, {"type": group})
            await other.send(channel, {"type": "direct"})
        expected = [name for group in members for name in (group, "direct")]
        assert await types(layer, channel, len(expected)) == expected

    for _ in range(2):
        for number, group in enumerate(groups):
            await (other if number % 2 else layer).group_add(group, channel)
        await sends_to(groups)
        await auntil(lambda: is_watching(layer))
        await sends_to(groups)
        for group in groups[1:]:
            await layer.group_discard(group, channel)
        await sends_to(groups[:1])
        await auntil(lambda: not is_watching(layer))
        await sends_to(groups[:1])


async def test_a_group_that_goes_and_comes_back_while_it_watches(layers: Layers) -> None:
    layer, other = layers(), layers()
    channel = await layer.new_channel()
    for number in range(WATCHED_FROM):
        await layer.group_add(f"g.{number}", channel)
    await auntil(lambda: is_watching(layer))
    for number in range(20):
        await layer.group_add("h", channel)
        await other.group_send("h", {"type": f"m.{number}"})
        await layer.group_discard("h", channel)
        await other.group_send("h", {"type": "to.nobody"})
        assert await types(layer, channel, 1) == [f"m.{number}"]


async def test_what_is_lost_while_it_watches_is_told(layers: Layers) -> None:
    layer, other = layers(), layers()
    channel = await layer.new_channel()
    for number in range(WATCHED_FROM):
        await layer.group_add(f"g.{number}", channel)
    log = Log(layer, "g.0")
    await auntil(lambda: is_watching(layer))
    other.group_send_sync("g.0", {"type": "m", "n": 0})
    await auntil(lambda: log.told == [0])
    layers.control.flushall()
    await auntil(lambda: log.gaps == 1)
    other.group_send_sync("g.0", {"type": "m", "n": 1})
    await auntil(lambda: log.told[-1] == 1)
    assert [(await soon(layer.receive(channel)))["n"] for _ in range(2)] == [0, 1]


async def test_more_than_one_read_brings(layers: Layers) -> None:
    layer, other = layers(capacity=5000, group_history=5000), layers(group_history=5000)
    channel = await layer.new_channel()
    for number in range(WATCHED_FROM):
        await layer.group_add(f"g.{number}", channel)
    await auntil(lambda: is_watching(layer))
    count = 2 * watch.READ_COUNT + 10
    with layers.control.pipeline(transaction=False) as pipeline:
        for number in range(count):
            other.group_send_in(pipeline, "g.0", {"type": "m", "n": number})
        pipeline.execute()
    got = [(await soon(layer.receive(channel)))["n"] for _ in range(count)]
    assert got == list(range(count))


async def test_a_connection_that_cannot_be_told_reads(
    behind: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch, "WATCHED_FROM", 0)
    layer = ChannelLayer(url=f"{behind.url}?protocol=2")
    other = ChannelLayer(url=behind.url)
    channel = await layer.new_channel()
    await layer.group_add("g", channel)
    for number in range(3):
        await other.group_send("g", {"type": f"m.{number}"})
    assert await types(layer, channel, 3) == ["m.0", "m.1", "m.2"]
    assert not is_watching(layer)
    await layer.close()
    await other.close()
    behind.close()
