"""What a pattern waits for, and two loops that wait: one for threads, one for event loops.

An operation (``steps``) only ever waits for the server. A pattern also computes, pauses, and waits
for others; so it is a generator of *effects*, and ``run`` and ``arun`` are all that differs
between sync and async code. Errors, a cancellation among them, are thrown into the generator
where the effect stands, so its ``finally`` can still ask the server to end a lease.
"""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import Callable, Generator, Sequence
from typing import TYPE_CHECKING, Any, Final, Protocol

from redis.exceptions import ResponseError

from cacheapp.cache.outage import SERVER_ERRORS, CircuitOpenError
from cacheapp.cache.singleflight import Flight, begin_computing, end_computing
from cacheapp.cache.steps import Steps

if TYPE_CHECKING:
    from cacheapp.cache.backend import CacheBackend

#: What asking gives while the server does not answer and the alias degrades.
DOWN: Final = object()


class Effect(Protocol):
    """Something to wait for, in either world."""

    def wait(self, cache: CacheBackend) -> Any:
        """Wait in this thread and return what came of it."""

    async def await_(self, cache: CacheBackend) -> Any:
        """Wait in the running loop."""


class Ask:
    """Run an operation on the primary; DOWN where it fails and the alias degrades.

    ``writes`` says what a success proves: a server that answers reads may refuse writes. Without
    ``raises`` it is DOWN in any case: for what tidies up behind another error.
    """

    def __init__(self, steps: Steps[Any], *, writes: bool = True, raises: bool = True) -> None:
        self._steps = steps
        self._writes = writes
        self._raises = raises
        #: Whether the server may have done it all the same, where the answer is DOWN.
        self.is_unsure = False

    def wait(self, cache: CacheBackend) -> Any:
        """See Effect."""
        try:
            # Also what only reads goes to the primary: a lease may not have reached the replicas.
            client = None if self._writes else cache.client.get_client(write=True)
            return cache._run(self._steps, writes=self._writes, client=client)
        except SERVER_ERRORS as error:
            return self._failed(cache, error)

    async def await_(self, cache: CacheBackend) -> Any:
        """See Effect."""
        if cache.client.runs_in_process:
            return self.wait(cache)
        try:
            client = None if self._writes else cache.client.get_async_client(write=True)
            return await cache._arun(self._steps, writes=self._writes, client=client)
        except SERVER_ERRORS as error:
            return self._failed(cache, error)

    def _failed(self, cache: CacheBackend, error: BaseException) -> Any:
        self.is_unsure = not isinstance(error, (CircuitOpenError, ResponseError))
        if not cache._failed(error, writes=self._writes) and self._raises:
            raise error
        return DOWN


class Compute:
    """Call a function, for ``flights``; in async code it may be a coroutine function."""

    def __init__(self, function: Callable[[], Any], flights: Sequence[Flight] = ()) -> None:
        self._function = function
        self._flights = flights

    def wait(self, cache: CacheBackend) -> Any:
        """See Effect."""
        before = begin_computing(self._flights)
        try:
            return self._function()
        finally:
            end_computing(before)

    async def await_(self, cache: CacheBackend) -> Any:
        """See Effect."""
        before = begin_computing(self._flights)
        try:
            value = self._function()
            return await value if inspect.isawaitable(value) else value
        finally:
            end_computing(before)


class Pause:
    """Let ``seconds`` pass."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds

    def wait(self, cache: CacheBackend) -> None:
        """See Effect."""
        time.sleep(self._seconds)

    async def await_(self, cache: CacheBackend) -> None:
        """See Effect."""
        await asyncio.sleep(self._seconds)


class Join:
    """Wait for another's flight, ``seconds`` at most. None where that is one's own."""

    def __init__(self, flight: Flight, seconds: float) -> None:
        self._flight = flight
        self._seconds = seconds

    def wait(self, cache: CacheBackend) -> Any:
        """See Effect."""
        if self._flight.is_own(blocks=True):
            return None
        return self._flight.wait(self._seconds)

    async def await_(self, cache: CacheBackend) -> Any:
        """See Effect."""
        if self._flight.is_own(blocks=False):
            return None
        return await self._flight.await_(self._seconds)


Course = Generator[Effect, Any, Any]


def run(cache: CacheBackend, course: Course) -> Any:
    """Run a pattern in this thread and return its result."""
    step: Callable[[Any], Effect] = course.send
    given: Any = None
    try:
        while True:
            effect = step(given)
            try:
                step, given = course.send, effect.wait(cache)
            except BaseException as error:  # noqa: BLE001 - thrown into the course, which decides
                step, given = course.throw, error
    except StopIteration as stop:
        return stop.value


async def arun(cache: CacheBackend, course: Course) -> Any:
    """Run a pattern in the running loop and return its result."""
    step: Callable[[Any], Effect] = course.send
    given: Any = None
    try:
        while True:
            effect = step(given)
            try:
                step, given = course.send, await effect.await_(cache)
            except GeneratorExit:
                course.close()  # the loop has gone: there is nothing to wait with
                raise
            except BaseException as error:  # noqa: BLE001 - thrown into the course, which decides
                step, given = course.throw, error
    except StopIteration as stop:
        return stop.value
