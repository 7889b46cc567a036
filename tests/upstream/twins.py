"""A cache whose sync methods call its `a*` twins, so that a sync test tests the async ones.

Django's tests of a backend are sync and name the cache as the globals `cache` and `caches` of
their module. `install` puts twins there, and where Django's middleware and session engines look a
cache up: `cache.get(…)` then runs `cache.aget(…)` to its end in an event loop.

Which loop is the caller's choice, since both occur in life: one loop for a whole test, as under
an ASGI server, or a new loop for each call, as from `async_to_sync` in a sync view. Within a
running loop (a test that is itself a coroutine) nothing is redirected: what it calls is meant.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from types import ModuleType
from typing import Any

from asgiref.sync import async_to_sync
from django.core.cache import DEFAULT_CACHE_ALIAS, caches
from django.core.cache.backends.base import BaseCache
from django.db.models import QuerySet

# The sync methods of BaseCache that have an `a*` twin there.
TWINS = frozenset(
    name for name in dir(BaseCache) if not name.startswith("_") and hasattr(BaseCache, f"a{name}")
)

Run = Callable[..., Any]


class LoopPerTest:
    """Runs coroutine functions in one event loop, from `open` to `close`."""

    def __init__(self) -> None:
        self._runner = asyncio.Runner()

    def open(self) -> None:
        """A new loop, for the test that starts now."""
        self._runner = asyncio.Runner()

    def close(self) -> None:
        """End the loop, and what still runs in it."""
        self._runner.close()

    def run(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """What `await function(*args, **kwargs)` gives in this loop."""

        async def call() -> Any:
            return await function(*args, **kwargs)

        return self._runner.run(call())


class LoopPerCall:
    """Runs coroutine functions as sync Django code does, in a new event loop each."""

    def open(self) -> None:
        """Nothing is kept from call to call."""

    def close(self) -> None:
        """Nothing is kept from call to call."""

    def run(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """What `async_to_sync(function)(*args, **kwargs)` gives."""
        return async_to_sync(function)(*args, **kwargs)


def in_loop() -> bool:
    """Whether an event loop runs in this thread."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


class TwinCache:
    """Stands for the cache that `find` gives; its sync methods run the `a*` ones through `run`."""

    def __init__(self, find: Callable[[], BaseCache], run: Run) -> None:
        object.__setattr__(self, "_twin_find", find)
        object.__setattr__(self, "_twin_run", run)

    def __getattr__(self, name: str) -> Any:
        real = self._twin_find()
        if name not in TWINS or in_loop():
            return getattr(real, name)
        twin = getattr(real, f"a{name}")

        def call(*args: Any, **kwargs: Any) -> Any:
            _evaluate(*args, *kwargs.values())
            return self._twin_run(twin, *args, **kwargs)

        return call

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self._twin_find(), name, value)

    def __delattr__(self, name: str) -> None:
        delattr(self._twin_find(), name)

    def __contains__(self, key: str) -> bool:
        return bool(self.has_key(key))


class TwinHandler:
    """Stands for `django.core.cache.caches`; one twin for each cache, so identity holds."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._twins: dict[BaseCache, TwinCache] = {}

    def __getitem__(self, alias: str) -> TwinCache:
        real = caches[alias]
        if real not in self._twins:
            self._twins[real] = TwinCache(lambda: real, self._run)
        return self._twins[real]

    def __getattr__(self, name: str) -> Any:
        return getattr(caches, name)


def _evaluate(*values: Any) -> None:
    # A lazy QuerySet cannot run its query inside an event loop. Whoever stores one from async
    # code evaluates it first, and so do the two tests that store one.
    for value in values:
        if isinstance(value, QuerySet):
            len(value)


def install(run: Run, modules: list[ModuleType]) -> None:
    """Put twins in the place of `caches`, and of `cache` where it is there, in each module."""
    handler = TwinHandler(run)
    default = TwinCache(lambda: caches[DEFAULT_CACHE_ALIAS], run)
    for module in modules:
        vars(module)["caches"] = handler
        if "cache" in vars(module):
            vars(module)["cache"] = default
