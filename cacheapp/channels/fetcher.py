"""Messages of general channels come from the server when somebody waits for them.

A channel that belongs to no process is a list on the server, and whoever takes from it has the
message. So it is taken only for a ``receive`` that waits, by a thread that no cancellation
reaches, and put into the channel's box here. Where the one who waited has gone meanwhile, the
message goes back to where it was. A process that found the list empty is noted down there in the
same step, and gets an entry in its stream when something comes.

Left out on purpose: trying again after a failure. The reader does that when the server answers.
"""

from __future__ import annotations

import logging
import queue
import threading
import weakref
from time import monotonic
from typing import TYPE_CHECKING

from redis.exceptions import RedisError

from cacheapp.channels.boxes import Box
from cacheapp.channels.groups import STAMP_DIGITS, age
from cacheapp.channels.links import GENERAL
from cacheapp.channels.messages import Body

if TYPE_CHECKING:
    from cacheapp.channels.serverhub import ServerHub

__all__ = ["Fetcher"]

logger = logging.getLogger("cacheapp.channels")

#: Seconds without work after which the thread ends.
IDLE_S = 5.0


class Fetcher:
    """The thread of one hub; it runs while there is something to do."""

    def __init__(self, hub: ServerHub) -> None:
        self._hub = weakref.ref(hub)
        self._lock = threading.Lock()
        self._asked: set[str] = set()
        self._queue: queue.SimpleQueue[Box | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None

    def request(self, box: Box) -> None:
        """Have the channel's messages fetched, as many as are waited for; from any thread."""
        with self._lock:
            if box.name in self._asked:
                return
            self._asked.add(box.name)
            self._queue.put(box)
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._run, name="cacheapp-channels-fetcher", daemon=True
                )
                self._thread.start()

    def stop(self) -> None:
        """End the thread after what it was asked for so far."""
        self._queue.put(None)

    def _run(self) -> None:
        while True:
            try:
                box = self._queue.get(timeout=IDLE_S)
            except queue.Empty:
                box = None
            if box is None:
                with self._lock:
                    if self._queue.empty():
                        self._thread = None
                        return
                continue
            with self._lock:
                self._asked.discard(box.name)
            hub = self._hub()
            if hub is None:
                continue
            try:
                self._fetch(hub, box)
            except (RedisError, OSError) as error:
                logger.warning("Channel %s: fetching failed: %s", box.name, error)
            del hub, box

    def _fetch(self, hub: ServerHub, box: Box) -> None:
        with hub.boxes.lock:
            wanted = len(box.waiters) - len(box.items)
            surplus = list(box.items) if not box.waiters else []
            if surplus:
                box.items.clear()
        if surplus:
            self._give_back(hub, box, surplus)
        if wanted <= 0:
            return
        messages, groups, numbers = hub.link.run(
            GENERAL,
            hub.keys.general(box.name),
            hub.general_arguments("take", box.name, wanted, hub.process),
        )
        items = self._read(hub, messages)
        with hub.boxes.lock:
            room = len(box.waiters)
        if items:
            hub.boxes.arrived(box, items[:room])
            if items[room:]:
                self._give_back(hub, box, items[room:])
        if groups:
            pairs = zip(groups, numbers, strict=True)
            hub.watch(box, [(bytes(name).decode(), int(number)) for name, number in pairs])

    def _give_back(self, hub: ServerHub, box: Box, items: list[tuple[float, Body]]) -> None:
        try:
            hub.give_back(box.name, items)
        except (RedisError, OSError):
            # Here they wait for the next receive of this process, or for the next attempt.
            hub.boxes.arrived(box, items)
            raise

    def _read(self, hub: ServerHub, messages: list[bytes]) -> list[tuple[float, Body]]:
        items: list[tuple[float, Body]] = []
        now = monotonic()
        for value in messages:
            expires = now + hub.expiry_s - age(value)
            try:
                items.append((expires, hub.codec.body(value[STAMP_DIGITS:])))
            except ValueError as error:
                logger.error("A message could not be read: %s", error)
        return items
