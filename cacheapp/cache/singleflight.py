"""One computation of a value a process: who asks while it runs waits for its end.

A ``Flight`` is one computation under way. Threads wait for it on an event, tasks of any event loop
on a future of theirs, so a thread may lead and tasks follow, and the reverse. What followers get is
bytes, for each to decode: a cache never hands one mutable object to two callers.

A follower that would wait for itself has to do without, and is told so by ``is_own``. That is who
was called, or started as a task or by ``async_to_sync``, by the very function that computes (a
context variable knows), and who would block the thread in which the leader is a task.

After a fork the child has no flights: their leaders are in the parent.
"""

from __future__ import annotations

import asyncio
import os
import threading
import weakref
from collections.abc import Sequence
from contextlib import suppress
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a flight ended: with the value's bytes, with an error, or (neither) see for yourself."""

    inner: bytes | None = None
    error: Exception | None = None


NOTHING: Final = Outcome()

# The flights for which this context computes; what is started in it computes for them too.
_computing: ContextVar[tuple[Flight, ...]] = ContextVar("cacheapp_computing", default=())


def _is_in_task() -> bool:
    try:
        return asyncio.current_task() is not None
    except RuntimeError:
        return False


class Flight:
    """One computation under way. Made by ``Flights.join``."""

    def __init__(self, flights: Flights, name: bytes) -> None:
        self._flights = flights
        self._name = name
        self._thread = threading.get_ident()
        self._is_led_by_task = _is_in_task()
        self._is_over = False
        # Made by the first thread that waits: most flights have no followers.
        self._event: threading.Event | None = None
        self._futures: dict[asyncio.Future[None], asyncio.AbstractEventLoop] = {}
        self.outcome = NOTHING

    def is_own(self, *, blocks: bool) -> bool:
        """Whether the caller, who ``blocks`` its thread or is a task, would wait for itself."""
        if self in _computing.get():
            return True
        return self._thread == threading.get_ident() and (blocks or not self._is_led_by_task)

    def close(self) -> None:
        """Let nobody join any more. To be called before the value is stored.

        So all who share the value asked before it was accepted, and none after a later write.
        """
        self._flights.forget(self._name, self)

    def finish(self, outcome: Outcome = NOTHING) -> None:
        """End the flight; a second time does nothing."""
        with self._flights.lock:
            if self._is_over:
                return
            self.close()
            self.outcome = outcome
            self._is_over = True
            if self._event is not None:
                self._event.set()
            futures = list(self._futures.items())
        for future, loop in futures:
            with suppress(RuntimeError):  # that loop has ended, and its tasks with it
                loop.call_soon_threadsafe(_wake, future)

    def wait(self, seconds: float) -> Outcome:
        """Wait for the end in a thread. After ``seconds`` it is NOTHING."""
        with self._flights.lock:
            if self._is_over:
                return self.outcome
            if self._event is None:
                self._event = threading.Event()
        self._event.wait(seconds)
        return self.outcome

    async def await_(self, seconds: float) -> Outcome:
        """Wait for the end in a task, which may be cancelled. See wait()."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[None] = loop.create_future()
        with self._flights.lock:
            if self._is_over:
                return self.outcome
            self._futures[future] = loop
        try:
            await asyncio.wait((future,), timeout=seconds)
        finally:
            future.cancel()
            with self._flights.lock:
                self._futures.pop(future, None)
        return self.outcome


def begin_computing(flights: Sequence[Flight]) -> tuple[Flight, ...]:
    """Have what runs from now on, and what that starts, compute for ``flights``.

    Returns what ``end_computing`` is to be called with. A token of the variable would not do: a
    coroutine that its loop left behind is closed in another context.
    """
    before = _computing.get()
    _computing.set((*before, *flights))
    return before


def end_computing(before: tuple[Flight, ...]) -> None:
    """See begin_computing()."""
    _computing.set(before)


def _wake(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


class Flights:
    """The flights of one alias in this process, by the server's key."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self._flights: dict[bytes, Flight] = {}
        _all.add(self)

    def __len__(self) -> int:
        return len(self._flights)

    def join(self, name: bytes) -> tuple[Flight, bool]:
        """Return the flight for ``name``, and whether the caller leads it, and so must end it."""
        with self.lock:
            flight = self._flights.get(name)
            if flight is not None:
                return flight, False
            flight = self._flights[name] = Flight(self, name)
            return flight, True

    def forget(self, name: bytes, flight: Flight) -> None:
        """Take ``flight`` out, if it is still the one for ``name``."""
        with self.lock:
            if self._flights.get(name) is flight:
                del self._flights[name]

    def forget_all(self) -> None:
        """Begin anew, in a forked child."""
        self.lock = threading.RLock()
        self._flights = {}


_all: weakref.WeakSet[Flights] = weakref.WeakSet()


def _after_fork() -> None:
    for flights in list(_all):
        flights.forget_all()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
