"""Layers of several processes: each sends to the others' channels, and adds them to groups.

On redis-server, and on an engine behind its TCP front.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import redis
from channels.exceptions import ChannelFull

from tests.contract.channels import until
from tests.contract.layer_process import LayerProcess
from tests.server.running import RunningServer


@pytest.fixture(params=[pytest.param("redis", marks=pytest.mark.requires_redis), "front"])
def url(request: pytest.FixtureRequest) -> Iterator[str]:
    if request.param == "redis":
        yield request.getfixturevalue("redis_server").url()
        return
    with RunningServer() as server:
        yield f"redis://127.0.0.1:{server.port}/0"


@pytest.fixture
def processes(url: str) -> Iterator[list[LayerProcess]]:
    made = [LayerProcess(url, capacity=5) for _ in range(3)]
    yield made
    for process in made:
        process.close()


def test_processes(processes: list[LayerProcess], url: str) -> None:
    channels = [process("new_channel") for process in processes]
    messages(processes, channels)
    memberships(processes, channels)
    changes_by_others(processes, channels)
    a_flush(processes, channels)
    a_full_channel(processes, channels)
    a_process_that_died(processes, channels, url)


def messages(processes: list[LayerProcess], channels: list[str]) -> None:
    """Everybody's channels get what one process sends, in order; nobody else receives there."""
    first, second, third = processes
    for number in range(3):
        for channel in channels:
            first("send", channel, {"type": f"m.{number}"})
    for process, channel in zip(processes, channels, strict=True):
        assert process.types(channel, 3) == ["m.0", "m.1", "m.2"]
        with pytest.raises(AssertionError, match="client prefix"):
            processes[processes.index(process) - 1]("receive", channel)
    for waiting, channel in ((second, channels[1]), (third, "general")):
        waiting.ask("receive", channel)
        first("send", channel, {"type": "woken"})
        assert waiting.answer()["type"] == "woken"


def memberships(processes: list[LayerProcess], channels: list[str]) -> None:
    """One process adds everybody's channels to a group, and another one takes one out."""
    first, second, third = processes
    for channel in (*channels, "general"):
        first("group_add", "g", channel)
    for sender in processes:
        sender("group_send", "g", {"type": "to.all", "x": [1]})
    second("group_discard", "g", channels[2])
    third("group_send", "g", {"type": "last"})
    for process, channel in ((first, channels[0]), (second, channels[1])):
        assert process.types(channel, 4) == ["to.all"] * 3 + ["last"]
    assert third.types(channels[2], 3) == ["to.all"] * 3
    assert third.types("general", 2) + second.types("general", 2) == ["to.all"] * 3 + ["last"]
    first("send_sync", channels[2], {"type": "direct"})
    assert third.types(channels[2], 1) == ["direct"]


def changes_by_others(processes: list[LayerProcess], channels: list[str]) -> None:
    """What others changed holds for what the owner sends itself."""
    first, second, third = processes
    second("group_add", "h", channels[0])
    first("group_discard", "h", channels[0])
    second("group_add", "h", channels[1])
    third("group_discard", "h", channels[1])
    for process, channel in ((first, channels[0]), (second, channels[1])):
        process("group_send", "h", {"type": "to.nobody"})
        process("send", channel, {"type": "to.me"})
        assert process.types(channel, 1) == ["to.me"]


def a_flush(processes: list[LayerProcess], channels: list[str]) -> None:
    """It is everybody's: messages and members are gone."""
    first, second, _ = processes
    first("send", channels[1], {"type": "before"})
    first("flush")
    first("group_send", "g", {"type": "to.nobody"})
    first("send", channels[1], {"type": "after"})
    found = second.types(channels[1], 1)
    if found == ["before"]:
        # It asked before it heard of the flush.
        found = second.types(channels[1], 1)
    assert found == ["after"]


def a_full_channel(processes: list[LayerProcess], channels: list[str]) -> None:
    """A sender far away is refused, and let in again, a moment late; what was taken is there."""
    first, second, _ = processes

    def is_refused() -> bool:
        try:
            first("send", channels[1], {"type": "m"})
        except ChannelFull:
            return True
        return False

    until(is_refused)
    assert second.types(channels[1], 5) == ["m"] * 5
    until(lambda: not is_refused())


def a_process_that_died(processes: list[LayerProcess], channels: list[str], url: str) -> None:
    """Its channels in a group hinder nobody, and what it left on the server expires."""
    first, second, third = processes
    for channel in channels[:2]:
        third("group_add", "k", channel)
    second.kill()
    first("group_send", "k", {"type": "to.the.living"})
    assert first.types(channels[0], 1) == ["to.the.living"]
    third("send", channels[1], {"type": "to.the.dead"})
    client = redis.Redis.from_url(url)
    assert len(client.keys("asgi:p:*")) == 3
    assert all(0 < client.ttl(key) <= 300 for key in client.keys("asgi:[pg]:*"))
    client.close()
