"""``get_or_set_many``: cache-aside for many keys, with one call of the loader for all it must load.

Leases on all missing keys are asked for in one round trip; those that were free are loaded and
stored together. A key that another caller holds is waited for, and loaded alone if it never
comes. What a lease is, and what ends it, is said in ``aside`` and ``entries``.

Left out on purpose: stale values and early recomputing. Which of many keys are due is different
for each, and one loader's cost says nothing of one key's.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from django.core.cache.backends.base import DEFAULT_TIMEOUT

from cacheapp.cache import entries, operations
from cacheapp.cache import tags as tagging
from cacheapp.cache.aside import Plan, life_ms, make_plan, obtain, store
from cacheapp.cache.effects import DOWN, Ask, Compute, Course, arun, run
from cacheapp.cache.leases import FILL_LEASED, GIVE_UP
from cacheapp.cache.steps import Steps, run_script

if TYPE_CHECKING:
    from cacheapp.cache.backend import CacheBackend

Load = Callable[[list[Any]], Any]


def get_or_set_many(
    self: CacheBackend,
    keys: Iterable[Any],
    load: Load,
    timeout: Any = DEFAULT_TIMEOUT,
    version: Any = None,
    *,
    tags: Iterable[Any] = (),
    jitter: float = 0,
    **limits: Any,
) -> dict[Any, Any]:
    """Return a dict of the values at ``keys``; the missing ones come from ``load(missing)``.

    ``load`` gets a list of keys, and returns a dict of values; a key that it leaves out is left
    out, and not stored. Keys that another caller is loading are waited for, not loaded twice.
    ``timeout`` is in seconds; ``tags``, ``jitter``, ``lease`` and ``wait`` are get_or_set()'s.
    """
    plan = make_plan(load, timeout, tags=tags, jitter=jitter, **limits)
    return dict(run(self, obtain_many(self, list(dict.fromkeys(keys)), load, version, plan)))


async def aget_or_set_many(
    self: CacheBackend,
    keys: Iterable[Any],
    load: Load,
    timeout: Any = DEFAULT_TIMEOUT,
    version: Any = None,
    *,
    tags: Iterable[Any] = (),
    jitter: float = 0,
    **limits: Any,
) -> dict[Any, Any]:
    """See get_or_set_many(). ``load`` may also be a coroutine function."""
    plan = make_plan(load, timeout, tags=tags, jitter=jitter, **limits)
    return dict(await arun(self, obtain_many(self, list(dict.fromkeys(keys)), load, version, plan)))


def obtain_many(
    cache: CacheBackend, keys: list[Any], load: Load, version: Any, plan: Plan
) -> Course:
    """The course of one call: the values by their keys."""
    names = dict(zip(keys, cache.storage_keys(keys, version), strict=True))
    found = yield Ask(operations.get_many(cache, keys, version), writes=False)
    values = {} if found is DOWN else dict(found)
    missing = [key for key in keys if key not in values]
    if not missing:
        return values
    token = entries.new_token()
    taken = yield Ask(_take(plan.lease_ms, token, [names[key] for key in missing]))
    if taken is DOWN:
        loaded = yield Compute(partial(load, missing))
        return values | {key: loaded[key] for key in missing if key in loaded}
    mine = [key for key, is_mine in zip(missing, taken, strict=True) if is_mine]
    if mine:
        values |= yield from _load(cache, mine, names, load, plan, token)
    left = set(missing).difference(mine)
    for key in [key for key in missing if key in left]:
        # Somebody else's lease, a value that is there by now, or a dead entry.
        single = replace(plan, compute=partial(_load_one, load, key))
        with suppress(_LeftOut):
            values[key] = yield from obtain(cache, names[key], single, None)
    return {key: values[key] for key in keys if key in values}


def _load(
    cache: CacheBackend,
    keys: list[Any],
    names: dict[Any, bytes],
    load: Load,
    plan: Plan,
    token: bytes,
) -> Course:
    """Load the keys whose leases are ours, and store them."""
    places = [names[key] for key in keys]
    versions: Any = ()
    try:
        if plan.tags:
            versions = yield Ask(tagging.versions(cache, plan.tags, life_ms(cache, plan)))
        loaded = yield Compute(partial(load, list(keys)))
        values = {key: loaded[key] for key in keys if key in loaded}
        filled = [names[key] for key in values]
        raws = cache.codec.encode_many(values.values(), filled)
        ttl_ms = plan.ttl_ms(cache, values)
    except GeneratorExit:
        raise
    except BaseException:
        yield Ask(run_script(GIVE_UP, places, [token]), raises=False)
        raise
    if ttl_ms == 0 or versions is DOWN or not values:
        yield Ask(run_script(GIVE_UP, places, [token]))
        return values
    if versions:
        head = entries.pack_head(0, 0.0, versions)
        raws = [head + raw for raw in raws]
    arguments = [token, ttl_ms or 0, *raws]
    filling = run_script(FILL_LEASED, filled, arguments, partial(cache.write, filled))
    yield from store(filling, filled, token)
    if len(filled) < len(places):
        unfilled = [place for place in places if place not in set(filled)]
        yield Ask(run_script(GIVE_UP, unfilled, [token]))
    return values


class _LeftOut(Exception):
    """The loader left a key out: there is nothing to store."""


def _load_one(load: Load, key: Any) -> Any:
    loaded = load([key])
    return _apick(loaded, key) if inspect.isawaitable(loaded) else _pick(loaded, key)


def _pick(loaded: Any, key: Any) -> Any:
    if key not in loaded:
        raise _LeftOut
    return loaded[key]


async def _apick(loading: Any, key: Any) -> Any:
    return _pick(await loading, key)


def _take(lease_ms: int, token: bytes, names: Sequence[bytes]) -> Steps[list[Any]]:
    """Take fill leases at those of ``names`` that are missing. Returns which were taken."""
    lease = b"%b%b0 0 " % (entries.FILL, token)

    def ask(client: Any) -> Any:
        pipeline = client.pipeline(transaction=False)
        for name in names:
            pipeline.set(name, lease, px=lease_ms, nx=True)
        return pipeline.execute()

    return (yield ask)
