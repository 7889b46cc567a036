"""Messages that wait in this process: a box a channel, filled by any thread, emptied by any loop.

A waiting ``receive`` owns no message: it is told to look again, and takes one in the step in which
it returns it. So a cancelled one loses nothing; where it had been told already, it tells the next.
Boxes are made on demand and swept when they are idle, so that names that are used once (a consumer
has one) leave nothing behind. Messages expire lazily, and in the sweep.

Left out on purpose: where messages come from. A server's messages are put here by the reader.
"""

from __future__ import annotations

import asyncio
import threading
from asyncio import AbstractEventLoop, Future
from asyncio.events import _get_running_loop
from collections import deque
from collections.abc import Callable, Iterable
from time import monotonic

from cacheapp.channels.messages import Body

__all__ = ["Box", "Boxes"]

#: How many boxes there may be before idle ones are looked for ahead of time.
BOXES_BEFORE_SWEEP = 1024
#: Sweeps in the time that a message lives.
SWEEPS_AN_EXPIRY = 4


class Box:
    """One channel's messages and who waits for them; guarded by the lock of its ``Boxes``."""

    __slots__ = ("in_flight", "is_idle", "is_received", "items", "name", "waiters")

    def __init__(self, name: str) -> None:
        self.name = name
        # When each expires (of the monotonic clock), and its body.
        self.items: deque[tuple[float, Body]] = deque()
        self.waiters: deque[Future[None]] = deque()
        #: Messages that this process has sent to itself and not seen yet.
        self.in_flight = 0
        self.is_idle = False
        #: Whether somebody received here, and so the name was found to be one of ours.
        self.is_received = False


class Boxes:
    """The boxes of one layer. ``expiry_s`` is how long a message may wait.

    ``on_wait(box)`` is called, without the lock, whenever a ``receive`` goes to sleep;
    ``on_leave(box)`` when one is cancelled.
    """

    def __init__(
        self,
        expiry_s: float,
        on_wait: Callable[[Box], None] | None = None,
        on_leave: Callable[[Box], None] | None = None,
    ) -> None:
        self.expiry_s = expiry_s
        self.lock = threading.Lock()
        self._boxes: dict[str, Box] = {}
        self._on_wait = on_wait
        self._on_leave = on_leave
        #: Messages that this process has sent to itself and not seen yet, in all boxes.
        self.flying = 0
        self._sweep_at = 0.0
        self._sweep_size = BOXES_BEFORE_SWEEP

    # Looking

    def names(self) -> list[str]:
        """Return the channels that have messages, expired ones that were not swept yet included."""
        with self.lock:
            return [name for name, box in self._boxes.items() if box.items]

    def waiting(self) -> list[Box]:
        """Return the boxes that somebody waits at."""
        with self.lock:
            return [box for box in self._boxes.values() if box.waiters]

    def count(self, name: str) -> int:
        """Return how many messages wait in a channel, expired ones included."""
        with self.lock:
            box = self._boxes.get(name)
            return 0 if box is None else len(box.items)

    def __len__(self) -> int:
        return len(self._boxes)

    def box(self, name: str) -> Box:
        """Return the channel's box; to be called with the lock held."""
        box = self._boxes.get(name)
        if box is None:
            box = self._boxes[name] = Box(name)
        box.is_idle = False
        return box

    def _new_box(self, name: str, now: float) -> Box:
        """Make a box for a message; a process that only sends clears away here."""
        if len(self._boxes) > self._sweep_size:
            self._sweep(now, None)
        box = self._boxes[name] = Box(name)
        return box

    # Filling

    def put(self, name: str, body: Body, capacity: int, check: Callable[[str], object]) -> bool:
        """Put a message into a channel's box. Returns False where ``capacity`` wait already.

        ``check(name)`` is called for a channel without a box, and raises what is wrong with it.
        """
        now = monotonic()
        with self.lock:
            box = self._boxes.get(name)
            if box is None:
                check(name)
                box = self._new_box(name, now)
            items = box.items
            box.is_idle = False
            if len(items) >= capacity and not self._drop_expired(box, now, capacity):
                return False
            items.append((now + self.expiry_s, body))
            if box.waiters:
                woken: dict[AbstractEventLoop, list[Future[None]]] = {}
                _wake(box, _get_running_loop(), woken)
                _tell(woken)
        return True

    def put_all(self, names: Iterable[tuple[str, int]], body: Body, age_s: float = 0.0) -> int:
        """Put one message into several boxes, each with its capacity; how many were full."""
        now = monotonic()
        expires = now + self.expiry_s - age_s
        full = 0
        if expires <= now:
            return 0
        running = _get_running_loop()
        woken: dict[AbstractEventLoop, list[Future[None]]] = {}
        boxes = self._boxes
        item = (expires, body)
        with self.lock:
            for name, capacity in names:
                box = boxes.get(name)
                if box is None:
                    box = self._new_box(name, now)
                box.is_idle = False
                if len(box.items) >= capacity and not self._drop_expired(box, now, capacity):
                    full += 1
                    continue
                box.items.append(item)
                if box.waiters:
                    _wake(box, running, woken)
            if woken:
                _tell(woken)
        return full

    def wanted(self, name: str) -> tuple[int, list[tuple[float, Body]]]:
        """Return how many messages are waited for, and take out what nobody waits for."""
        with self.lock:
            box = self._boxes.get(name)
            if box is None:
                return 0, []
            if box.waiters:
                return len(box.waiters) - len(box.items), []
            surplus = list(box.items)
            box.items.clear()
            return 0, surplus

    def arrived(self, name: str, items: list[tuple[float, Body]]) -> list[tuple[float, Body]]:
        """Put what a server held for the channel, and wake as many; return what nobody awaits."""
        woken: dict[AbstractEventLoop, list[Future[None]]] = {}
        with self.lock:
            box = self.box(name)
            awaited = len(box.waiters)
            for item in items[:awaited]:
                box.items.append(item)
                _wake(box, None, woken)
            _tell(woken)
        return items[awaited:]

    # Emptying

    def take(self, name: str) -> Body | None:
        """Return the channel's oldest message; None to be on the safe side, see ``receive``."""
        box = self._boxes.get(name)
        if box is None or not box.is_received:
            return None
        with self.lock:
            now = monotonic()
            if now >= self._sweep_at:
                self._sweep(now, box)
            items = box.items
            while items:
                expires, body = items.popleft()
                if expires > now:
                    return body
        return None

    async def receive(self, name: str) -> Body:
        """Return the channel's oldest message, waiting for one as long as it takes."""
        while True:
            with self.lock:
                box = self._boxes.get(name)
                if box is None:
                    box = self._boxes[name] = Box(name)
                items = box.items
                box.is_idle = False
                box.is_received = True
                now = monotonic()
                if now >= self._sweep_at or len(self._boxes) > self._sweep_size:
                    self._sweep(now, box)
                while items:
                    expires, body = items.popleft()
                    if expires > now:
                        return body
                future: Future[None] = asyncio.get_running_loop().create_future()
                box.waiters.append(future)
            if self._on_wait is not None:
                self._on_wait(box)
            try:
                await future
            except BaseException:
                self._leave(box, future)
                raise

    def _leave(self, box: Box, future: Future[None]) -> None:
        """Take a receive that was interrupted out of its box."""
        with self.lock:
            try:
                box.waiters.remove(future)
            except ValueError:
                # It had been told of a message, which is now somebody else's.
                if box.items:
                    woken: dict[AbstractEventLoop, list[Future[None]]] = {}
                    _wake(box, _get_running_loop(), woken)
                    _tell(woken)
        if self._on_leave is not None:
            self._on_leave(box)

    # Messages that go to this process by way of a server

    def depart(self, name: str, capacity: int) -> bool:
        """Count a message that this process sends to itself; False where it has no room."""
        now = monotonic()
        with self.lock:
            box = self.box(name)
            if len(box.items) + box.in_flight >= capacity:
                self._drop_expired(box, now, capacity)
                if len(box.items) + box.in_flight >= capacity:
                    return False
            box.in_flight += 1
            self.flying += 1
            return True

    def arrive(self, name: str) -> None:
        """The message came, or did not get away."""
        with self.lock:
            box = self.box(name)
            if box.in_flight:
                box.in_flight -= 1
                self.flying -= 1

    def forget_flights(self) -> None:
        """What was on its way from this process to itself will not come."""
        with self.lock:
            self._forget_flights()

    def _forget_flights(self) -> None:
        self.flying = 0
        for box in self._boxes.values():
            box.in_flight = 0

    def clear(self) -> None:
        """Forget every message; who waits goes on waiting."""
        with self.lock:
            self._forget_flights()
            for box in self._boxes.values():
                box.items.clear()

    # Cleaning

    def _drop_expired(self, box: Box, now: float, capacity: int) -> bool:
        """Drop what has expired; whether there is room now."""
        items = box.items
        while items and items[0][0] <= now:
            items.popleft()
        return len(items) < capacity

    def sweep(self, *, only_if_due: bool = False) -> None:
        """Drop expired messages, and boxes that were idle since the sweep before."""
        now = monotonic()
        with self.lock:
            if now >= self._sweep_at or not only_if_due:
                self._sweep(now, None)

    def _sweep(self, now: float, kept: Box | None) -> None:
        crowded = len(self._boxes) > self._sweep_size
        for name, box in list(self._boxes.items()):
            if box.items:
                self._drop_expired(box, now, 0)
            if box.items or box.waiters or box.in_flight or box is kept:
                continue
            if box.is_idle or crowded:
                del self._boxes[name]
            box.is_idle = True
        self._sweep_at = now + self.expiry_s / SWEEPS_AN_EXPIRY
        self._sweep_size = max(BOXES_BEFORE_SWEEP, 2 * len(self._boxes))


def _wake(
    box: Box,
    running: AbstractEventLoop | None,
    woken: dict[AbstractEventLoop, list[Future[None]]],
) -> None:
    """Tell one of those who wait to look again: in its own loop at once, else by ``woken``.

    One whose loop does not run now is told only where there is no other.
    """
    waiters = box.waiters
    idle: list[Future[None]] = []
    told = False
    while waiters and not told:
        future = waiters.popleft()
        loop = future.get_loop()
        if loop is running:
            if not future.done():
                future.set_result(None)
                told = True
        elif loop.is_running():
            woken.setdefault(loop, []).append(future)
            told = True
        elif not (loop.is_closed() or future.done()):
            idle.append(future)
    if idle:
        if not told:
            first = idle.pop(0)
            woken.setdefault(first.get_loop(), []).append(first)
        waiters.extendleft(reversed(idle))


def _tell(woken: dict[AbstractEventLoop, list[Future[None]]]) -> None:
    for loop, futures in woken.items():
        try:
            loop.call_soon_threadsafe(_resolve, futures)
        except RuntimeError:
            # Closed in this moment, with its receives; the messages are still in their boxes.
            continue


def _resolve(futures: list[Future[None]]) -> None:
    for future in futures:
        if not future.done():
            future.set_result(None)
