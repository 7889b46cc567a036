"""Invalidation over any Channels layer, where a stream cannot carry it; with a weaker promise.

``NEAR_CACHE["channel_layer"]`` names an alias of CHANNEL_LAYERS. A write is then a plain write, and
its message goes afterwards through the group of the alias, by a daemon thread with an event loop
of its own, since a loop a write would cost milliseconds. A process hears of its own group's
pings, which renew its lease: a link that died is noticed within the bound. But a layer may drop a
message, and a writer may die between write and message; then a copy lives until ``ttl``.

Left out on purpose: numbering messages on such a layer. Nothing there could replay them.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging
import threading
from time import monotonic
from typing import Any, Final

from channels.layers import get_channel_layer

from cacheapp.invalidation.audience import Audience
from cacheapp.invalidation.listener import BEATS
from cacheapp.invalidation.protocol import Message, apply, prefix_message
from cacheapp.invalidation.revived import Revived

logger = logging.getLogger("cacheapp.invalidation")

#: Messages that wait to be sent; one more, and "everything changed" takes the place of all.
WAITING_MAX: Final = 1000
#: Seconds between attempts while the layer fails.
PAUSE_S: Final = 0.1
TYPE: Final = "cacheapp.near"


def group_of(prefix: str) -> str:
    """Return the group for aliases with this KEY_PREFIX, in the letters that a group may have."""
    return f"cacheapp.near.{hashlib.sha256(prefix.encode()).hexdigest()[:32]}"


class LayerCarrier(Revived):
    """Sends and hears the messages of one alias, in a ``Listener``'s place."""

    def __init__(
        self, layer: str, prefix: str, near: Any, bound_s: float, audience: Audience | None = None
    ) -> None:
        self._layer = layer
        self._group = group_of(prefix)
        self._bound_s = bound_s
        super().__init__("cacheapp-carrier", near, audience)

    def _begin(self) -> None:
        super()._begin()
        self._waiting: list[Message] = []
        self._wakeup: tuple[asyncio.AbstractEventLoop, asyncio.Event] | None = None

    def send(self, message: Message) -> None:
        """Have the thread send a message; from any thread, without waiting."""
        with self._lock:
            self._waiting.append(message)
            if len(self._waiting) > WAITING_MAX:
                self._waiting = [prefix_message(b"")]
            wakeup = self._wakeup
        self.wake()
        if wakeup is not None:
            with contextlib.suppress(RuntimeError):  # its loop has just ended
                wakeup[0].call_soon_threadsafe(wakeup[1].set)

    # In the thread

    def run(self, stopping: threading.Event) -> None:
        """See Revived. It ends within a ping."""
        while not stopping.is_set():
            try:
                asyncio.run(self._carry(stopping))
            except Exception as error:  # noqa: BLE001 - a layer may raise anything
                logger.warning("Near cache: its channel layer fails: %r", error)
                self._near.flush()
                stopping.wait(PAUSE_S)

    async def _carry(self, stopping: threading.Event) -> None:
        layer: Any = get_channel_layer(self._layer)
        channel = await layer.new_channel()
        await layer.group_add(self._group, channel)
        # What was said before is not known.
        self._near.flush()
        self.audience.hear(None)
        sending = asyncio.Event()
        sending.set()
        with self._lock:
            self._wakeup = (asyncio.get_running_loop(), sending)
        tasks = [
            asyncio.create_task(self._hear(layer, channel)),
            asyncio.create_task(self._say(layer, channel, sending, stopping)),
        ]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            with contextlib.suppress(Exception):
                await layer.group_discard(self._group, channel)

    async def _hear(self, layer: Any, channel: str) -> None:
        while True:
            heard = await layer.receive(channel)
            message = [part.encode("latin-1") for part in heard.get("said", ())]
            apply(message, self._near)
            self.audience.hear(message)
            if heard.get("from") == channel and heard.get("at"):
                self._near.renew(heard["at"] + self._bound_s)

    async def _say(
        self, layer: Any, channel: str, sending: asyncio.Event, stopping: threading.Event
    ) -> None:
        """Send what waits, and a ping now and then, which carries the moment it was sent at."""
        every_s = self._bound_s / BEATS
        while not stopping.is_set():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(sending.wait(), every_s)
            sending.clear()
            with self._lock:
                waiting, self._waiting = self._waiting, []
            said = [part.decode("latin-1") for message in waiting for part in message]
            try:
                await layer.group_send(
                    self._group,
                    {"type": TYPE, "from": channel, "at": monotonic(), "said": said},
                )
            except BaseException:
                with self._lock:
                    self._waiting = [*waiting, *self._waiting]
                raise
