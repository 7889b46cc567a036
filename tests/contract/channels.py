"""Layers for contract tests: made for a server, and closed when the test is over."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from typing import Any

from cacheapp.channels import ChannelLayer
from tests.contract.conftest import Server

#: Seconds in which what has to come comes, and those in which what must not does not.
SOON_S, NOT_S = 10.0, 0.15
LOOKS_MAX, PAUSE_S = 2000, 0.005


class Layers:
    """Makes layers on one server; every one is closed by ``close``."""

    def __init__(self, server: Server) -> None:
        self.server = server
        #: A client of the test's own, and the ids of connections that are not the layers'.
        self.control = server.client()
        self.spared: set[str] = set()
        self._made: list[ChannelLayer] = []

    def __call__(self, **config: Any) -> ChannelLayer:
        layer = ChannelLayer(url=self.server.url, **config)
        self._made.append(layer)
        return layer

    async def close(self) -> None:
        for layer in self._made:
            await layer.close()


async def soon(waited_for: Awaitable[Any]) -> Any:
    """What it comes to, or TimeoutError."""
    return await asyncio.wait_for(waited_for, SOON_S)


async def nothing(layer: ChannelLayer, channel: str) -> bool:
    """Whether nothing comes to the channel."""
    try:
        await asyncio.wait_for(layer.receive(channel), NOT_S)
    except TimeoutError:
        return True
    return False


async def types(layer: ChannelLayer, channel: str, count: int) -> list[str]:
    """The types of the next messages of a channel."""
    return [(await soon(layer.receive(channel)))["type"] for _ in range(count)]


def until(condition: Callable[[], bool]) -> None:
    """Return when the condition holds; AssertionError where it does not come to that."""
    pause = threading.Event()
    for _ in range(LOOKS_MAX):
        if condition():
            return
        pause.wait(PAUSE_S)
    raise AssertionError("it did not come to that")


async def auntil(condition: Callable[[], bool]) -> None:
    """See ``until``, for a test whose loop has to go on."""
    await asyncio.to_thread(until, condition)
