"""``get_or_set_many``: cache-aside for many keys, with one call of the loader for all it must load.

The course of one key (``aside``) is gone by all keys at once: a look, leases on what is missing,
stale or early, one call of the loader, and one script that stores what it gave. Each of these is
one round trip, however many keys there are. A key that another caller holds is waited for at the
end, when nobody waits for this one, and loaded alone if it never comes.

What a key cost, for ``early``, is what the whole load took: whoever loads one of them anew waits
about as long. A key that the loader leaves out loses the stale value that it had.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from time import monotonic, perf_counter
from typing import TYPE_CHECKING, Any

from django.core.cache.backends.base import DEFAULT_TIMEOUT

from cacheapp.cache import entries, operations, prefixes
from cacheapp.cache import tags as tagging
from cacheapp.cache.aside import (
    NOT_FOUND,
    UNSEEN,
    Found,
    LeftOut,
    Plan,
    draw,
    give_up,
    life_ms,
    log_stale,
    look_many,
    make_plan,
    obtain,
    share,
    store,
    take,
)
from cacheapp.cache.effects import DOWN, Ask, Compute, Course, arun, run
from cacheapp.cache.serializers import MISSING
from cacheapp.cache.singleflight import Flight, Outcome

if TYPE_CHECKING:
    from cacheapp.cache.backend import CacheBackend

Load = Callable[[list[Any]], Any]

#: What FILL_LEASED takes for "there is no value".
_GONE: tuple[int, bytes] = (-1, b"")


def get_or_set_many(
    self: CacheBackend,
    keys: Iterable[Any],
    load: Load,
    timeout: Any = DEFAULT_TIMEOUT,
    version: Any = None,
    **options: Any,
) -> dict[Any, Any]:
    """Return a dict of the values at ``keys``; the missing ones come from ``load(missing)``.

    ``load`` gets a list of keys, and returns a dict of values; a key that it leaves out is left
    out, and not stored. Keys that another caller is loading are waited for, not loaded twice.
    ``timeout`` is in seconds, or a function of a value; the keyword arguments are get_or_set()'s,
    each for every key. Raises what ``load`` raises, unless each key has a stale value.
    """
    course = _course(self, keys, load, version, make_plan(load, timeout, **options))
    return dict(run(self, course))


async def aget_or_set_many(
    self: CacheBackend,
    keys: Iterable[Any],
    load: Load,
    timeout: Any = DEFAULT_TIMEOUT,
    version: Any = None,
    **options: Any,
) -> dict[Any, Any]:
    """See get_or_set_many(). ``load`` may also be a coroutine function."""
    course = _course(self, keys, load, version, make_plan(load, timeout, **options))
    return dict(await arun(self, course))


def _course(
    cache: CacheBackend, keys: Iterable[Any], load: Load, version: Any, plan: Plan
) -> Course:
    each = list(dict.fromkeys(keys))
    return _Many(cache, each, load, version, plan).obtain()


@dataclass(slots=True)
class _Task:
    """One key that this call is to load."""

    key: Any
    name: bytes
    found: Found
    flight: Flight


class _Many:
    """One call: its keys, and the values that it has so far."""

    def __init__(
        self, cache: CacheBackend, keys: list[Any], load: Load, version: Any, plan: Plan
    ) -> None:
        self._cache = cache
        self._load = load
        self._version = version
        self._plan = plan
        self._names = dict(zip(keys, cache.storage_keys(keys, version), strict=True))
        self._values: dict[Any, Any] = {}
        # The tags that keys have by their prefixes, beside those of the plan.
        self._own: dict[Any, list[bytes]] = {}
        self._tags = plan.tags
        if cache.prefixes is not None:
            self._own = {key: prefixes.tags_of(cache, name) for key, name in self._names.items()}
            self._tags = sorted({*plan.tags, *(tag for tags in self._own.values() for tag in tags)})

    def obtain(self) -> Course:
        """The course of the call: the values by their keys."""
        until = monotonic() + self._plan.wait_s
        found = yield from self._look()
        if not found:
            return self._values
        tasks, others, unkept = self._divide(found)
        try:
            others += yield from self._lead(tasks)
        finally:
            for task in tasks:
                task.flight.finish()
        if unkept:
            loaded = yield Compute(partial(self._load, unkept))
            self._values |= {key: loaded[key] for key in unkept if key in loaded}
        for key in others:
            # Somebody else's, or changed since it was looked at.
            left_s = max(0.0, until - monotonic())
            single = replace(self._plan, compute=partial(_load_one, self._load, key), wait_s=left_s)
            with suppress(LeftOut):
                self._values[key] = yield from obtain(self._cache, self._names[key], single, None)
        return {key: self._values[key] for key in self._names if key in self._values}

    def _look(self) -> Course:
        """Take the values that are good, and return what was found of the other keys."""
        keys, cache = list(self._names), self._cache
        if cache._outages.refuses():
            if cache.near is None:
                return dict.fromkeys(keys, UNSEEN)
            self._values = cache._outlived_many(keys, self._version)
            return {key: UNSEEN for key in keys if key not in self._values}
        if not self._plan.early and (cache.near is not None or not self._plan.stale_ms):
            # What is fresh, from copies where there are such.
            values = yield Ask(operations.get_many(cache, keys, self._version), writes=False)
            if values is DOWN:
                values = cache._outlived_many(keys, self._version)
            self._values = values
            keys = [key for key in keys if key not in values]
            if not (keys and self._plan.stale_ms):
                return dict.fromkeys(keys, NOT_FOUND)
        plan = replace(self._plan, tags=self._tags)
        names = [self._names[key] for key in keys]
        seen = yield Ask(look_many(cache, names, plan), writes=False)
        if seen is DOWN:
            return dict.fromkeys(keys, NOT_FOUND)
        found = dict(zip(keys, seen, strict=True))
        good = {key: one.value for key, one in found.items() if plan.is_good(one, draw())}
        self._values |= good
        return {key: one for key, one in found.items() if key not in good}

    def _divide(self, found: dict[Any, Found]) -> tuple[list[_Task], list[Any], list[Any]]:
        """Say which keys this call loads, which it waits for, and which it may not keep."""
        tasks, others, unkept = [], [], []
        for key, one in found.items():
            flight, leads = None, False
            if not (one.is_written or one.is_leased):
                flight, leads = self._cache.state.flights.join(self._names[key])
            if flight is not None and leads:
                tasks.append(_Task(key, self._names[key], one, flight))
            elif one.is_written:
                unkept.append(key)
            elif one.value is not MISSING:
                self._values[key] = one.value
            else:
                others.append(key)
        return tasks, others, unkept

    def _lead(self, tasks: list[_Task]) -> Course:
        """Take leases, and load what they were given for. Returns the keys of the others."""
        if not tasks:
            return []
        if tasks[0].found is UNSEEN:
            yield from self._do_without(tasks)
            return []
        token, names = entries.new_token(), [task.name for task in tasks]
        taken = yield from take(token, self._plan, names, [task.found for task in tasks])
        if taken is DOWN:
            yield from self._do_without(tasks)
            return []
        ours = [task for task, is_ours in zip(tasks, taken, strict=True) if is_ours]
        lost = [task for task, is_ours in zip(tasks, taken, strict=True) if not is_ours]
        for task in lost:
            task.flight.finish()
        if ours:
            yield from self._fill(ours, token)
        return [task.key for task in lost]

    def _compute(self, tasks: list[_Task]) -> Compute:
        return Compute(
            partial(self._load, [task.key for task in tasks]), [task.flight for task in tasks]
        )

    def _encoded(self, tasks: list[_Task], loaded: Any) -> dict[Any, bytes]:
        """Return the bytes of what was loaded, by the keys; raises SerializationError."""
        given = [task for task in tasks if task.key in loaded]
        raws = self._cache.codec.encode_many(
            [loaded[task.key] for task in given], [task.name for task in given]
        )
        return dict(zip([task.key for task in given], raws, strict=True))

    def _do_without(self, tasks: list[_Task]) -> Course:
        """Load while the server does not answer, and keep nothing."""
        try:
            loaded = yield self._compute(tasks)
            encoded = self._encoded(tasks, loaded)
        except Exception as error:
            for task in tasks:
                share(task.flight, error)
            raise
        for task in tasks:
            if task.key in encoded:
                self._values[task.key] = loaded[task.key]
            task.flight.finish(Outcome(inner=encoded.get(task.key)))

    def _fill(self, tasks: list[_Task], token: bytes) -> Course:
        """Load the keys whose leases are ours, store them, and let the others have them."""
        names, plan = [task.name for task in tasks], self._plan
        versions: Any = ()
        try:
            if self._tags:
                living_ms = life_ms(self._cache, plan)
                versions = yield Ask(tagging.versions(self._cache, self._tags, living_ms))
            began = perf_counter()
            loaded = yield self._compute(tasks)
            cost_s = perf_counter() - began
            encoded = self._encoded(tasks, loaded)
            ttls_ms = {key: plan.ttl_ms(self._cache, loaded[key]) for key in encoded}
        except GeneratorExit:
            raise
        except BaseException as error:
            for task in tasks:
                task.flight.close()
            yield give_up(names, token)
            if not isinstance(error, Exception) or not self._serves_stale(tasks, error):
                raise
            return
        for task in tasks:
            task.flight.close()
        self._values |= {key: loaded[key] for key in encoded}
        if versions is DOWN:
            yield give_up(names, token)
            return
        filling: list[Any] = [token]
        current = dict(versions)
        for task in tasks:
            inner, ttl_ms = encoded.get(task.key), ttls_ms.get(task.key)
            if inner is None or ttl_ms == 0:
                filling += _GONE
            else:
                tags = [(tag, current[tag]) for tag in (*plan.tags, *self._own.get(task.key, ()))]
                filling += plan.wrapped(inner, ttl_ms, cost_s, tags)
        kept = yield from store(self._cache, names, filling)
        if kept is DOWN:
            return
        for task, is_kept in zip(tasks, kept, strict=True):
            if is_kept:
                is_tagged = plan.tags or self._own.get(task.key)
                inner = None if is_tagged else encoded.get(task.key)
                task.flight.finish(Outcome(inner=inner))
        yield from self._newer(
            [task for task, is_kept in zip(tasks, kept, strict=True) if not is_kept]
        )

    def _newer(self, tasks: list[_Task]) -> Course:
        """Prefer what somebody wrote while this was loading."""
        if tasks:
            keys = [task.key for task in tasks]
            asked = operations.get_many(self._cache, keys, self._version)
            newer = yield Ask(asked, writes=False)
            self._values |= {} if newer is DOWN else newer

    def _serves_stale(self, tasks: list[_Task], error: Exception) -> bool:
        """Serve what is stale where loading failed, if there is such for each key."""
        bare = [task for task in tasks if task.found.value is MISSING]
        for task in bare:
            share(task.flight, error)
        if bare:
            return False
        log_stale(self._cache, error)
        self._values |= {task.key: task.found.value for task in tasks}
        return True


def _load_one(load: Load, key: Any) -> Any:
    loaded = load([key])
    return _apick(loaded, key) if inspect.isawaitable(loaded) else _pick(loaded, key)


def _pick(loaded: Any, key: Any) -> Any:
    if key not in loaded:
        raise LeftOut
    return loaded[key]


async def _apick(loading: Any, key: Any) -> Any:
    return _pick(await loading, key)
