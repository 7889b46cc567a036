"""Messages of general channels come from the server when somebody waits for them.

A channel that belongs to no process is a list on the server, and whoever takes from it has the
message. So it is taken only for a ``receive`` that waits, by a thread that no cancellation
reaches, and put into the channel's box here. Where the one who waited has gone meanwhile, the
message goes back to where it was. A process that found the list empty is noted down there in the
same step, and gets an entry in its stream when something comes.

A channel of this process has such a list where its stream was gone for a while; all of that goes
into the box, whoever waits.

Each step has a number, by which the server knows it: one whose answer was lost is asked for again,
and neither takes nor gives back anything a second time. Left out on purpose: messages that were
taken for a process that then died.
"""

from __future__ import annotations

import itertools
import logging
import queue
import threading
import weakref
from time import monotonic
from typing import TYPE_CHECKING, Any

from redis.exceptions import RedisError

from cacheapp.channels.groups import STAMP_DIGITS, age
from cacheapp.channels.links import GENERAL
from cacheapp.channels.messages import Body

if TYPE_CHECKING:
    from cacheapp.channels.serverhub import ServerHub

__all__ = ["Fetcher"]

logger = logging.getLogger("cacheapp.channels")

#: Seconds without work after which the thread ends.
IDLE_S = 5.0
#: Seconds of the first pause after a failure, and of the longest.
PAUSE_S, PAUSE_MAX_S = 0.05, 1.0


class Fetcher:
    """The thread of one hub; it runs while there is something to do."""

    def __init__(self, hub: ServerHub) -> None:
        self._hub = weakref.ref(hub)
        self._lock = threading.Lock()
        self._asked: set[str] = set()
        self._queue: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._numbers = itertools.count(1)
        #: What the server was asked and has not answered, by channel, and until when it knows.
        self._unanswered: dict[str, tuple[tuple[Any, ...], float]] = {}
        self._pause_s = PAUSE_S
        self._is_stopped = threading.Event()

    def request(self, channel: str) -> None:
        """Have the channel's messages fetched, as many as are waited for; from any thread."""
        with self._lock:
            if channel in self._asked:
                return
            self._asked.add(channel)
            self._queue.put(channel)
            if self._thread is None:
                self._is_stopped.clear()
                self._thread = threading.Thread(
                    target=self._run, name="cacheapp-channels-fetcher", daemon=True
                )
                self._thread.start()

    def stop(self) -> None:
        """End the thread after what it was asked for so far."""
        self._is_stopped.set()
        self._queue.put(None)

    def _run(self) -> None:
        while True:
            try:
                channel = self._queue.get(timeout=IDLE_S)
            except queue.Empty:
                channel = None
            if channel is None:
                with self._lock:
                    if self._queue.empty():
                        self._thread = None
                        return
                continue
            with self._lock:
                self._asked.discard(channel)
            hub = self._hub()
            if hub is None:
                continue
            try:
                self._fetch(hub, channel)
                self._pause_s = PAUSE_S
            except (RedisError, OSError) as error:
                self._failed(channel, error)
            except Exception:
                logger.exception("Channel %s: fetching failed", channel)
            del hub

    def _failed(self, channel: str, error: Exception) -> None:
        if self._pause_s == PAUSE_S:
            logger.warning("Channel %s: fetching failed: %s", channel, error)
        if not self._is_stopped.wait(self._pause_s):
            self.request(channel)
        self._pause_s = min(2 * self._pause_s, PAUSE_MAX_S)

    def _fetch(self, hub: ServerHub, channel: str) -> None:
        earlier = self._unanswered.get(channel)
        if earlier is not None:
            self._ask(hub, channel, *earlier)
        if "!" in channel:
            wanted = hub.room(channel)
        else:
            wanted, surplus = hub.boxes.wanted(channel)
            if surplus:
                self._give_back(hub, channel, surplus)
        if wanted <= 0:
            return
        arguments = ("take", channel, next(self._numbers), wanted, hub.process)
        self._ask(hub, channel, arguments, monotonic() + hub.expiry_s)

    def _give_back(self, hub: ServerHub, channel: str, items: list[tuple[float, Body]]) -> None:
        values = hub.stored(items)
        arguments = ("back", channel, next(self._numbers), *values)
        self._ask(hub, channel, arguments, monotonic() + hub.expiry_s)

    def _ask(
        self, hub: ServerHub, channel: str, arguments: tuple[Any, ...], known_until: float
    ) -> None:
        """Run a step, which may be one that was run before and whose answer was lost."""
        if monotonic() < known_until:
            self._unanswered[channel] = arguments, known_until
            keys = hub.keys.general(channel, hub.process)
            reply = hub.link.run(GENERAL, keys, hub.general_arguments(*arguments))
        else:
            reply = 1
        self._unanswered.pop(channel, None)
        if arguments[0] == "take" and reply != 1:
            self._took(hub, channel, *reply)

    def _took(
        self,
        hub: ServerHub,
        channel: str,
        messages: list[bytes],
        groups: list[bytes],
        numbers: list[bytes],
    ) -> None:
        if "!" in channel:
            hub.strays(channel, messages)
            return
        surplus = hub.boxes.arrived(channel, self._read(hub, messages))
        if surplus:
            self._give_back(hub, channel, surplus)
        if groups:
            pairs = zip(groups, numbers, strict=True)
            hub.watch(channel, [(bytes(name).decode(), int(number)) for name, number in pairs])

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
