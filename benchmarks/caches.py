"""The cache backend beside LocMemCache on the engine, and beside its rivals on Redis."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

from django.core.cache import caches

from benchmarks.measure import Case, acompare, compare
from benchmarks.report import Row, row

KEY, VALUE, TIMEOUT_S = "airport:EDDF", "Frankfurt am Main", 300
KEYS_IN_TURN = 10_000
MANY = {f"airport:{number}": f"value {number}" for number in range(100)}
REDIS_ALIASES = ("redis", "django-redis", "django")


def on_engine() -> list[Row]:
    """get, set, get_many, set_many and aget against LocMemCache."""
    ours, peer = caches["engine"], caches["default"]
    for cache in (ours, peer):
        cache.set(KEY, VALUE, TIMEOUT_S)
        cache.set_many(MANY, TIMEOUT_S)
    names = list(MANY)

    def pair(call: Any) -> Any:
        return compare({"cacheapp": lambda: call(ours), "LocMemCache": lambda: call(peer)})

    rows = []
    for what, call, target in (
        ("cache.get hit, small str, memory://", lambda cache: cache.get(KEY), 0.35),
        ("cache.set with timeout", lambda cache: cache.set(KEY, VALUE, TIMEOUT_S), 0.45),
        ("get_many(100)", lambda cache: cache.get_many(names), 0.25),
        ("set_many(100)", lambda cache: cache.set_many(MANY, TIMEOUT_S), 0.25),
    ):
        timings = pair(call)
        rows.append(row(what, timings["cacheapp"], timings["LocMemCache"], target))
    timings = acompare({"cacheapp": lambda: ours.aget(KEY), "LocMemCache": lambda: peer.aget(KEY)})
    rows.append(row("aget hit", timings["cacheapp"], timings["LocMemCache"], 0.02))
    return rows


def over_many_keys() -> list[Row]:
    """get and set of 10,000 keys in turn, where no key is hot: for information."""
    ours, peer = caches["engine"], caches["default"]
    # LocMemCache would cull at 300 entries.
    peer._max_entries = 2 * KEYS_IN_TURN
    turns = {}
    for name, cache in (("cacheapp", ours), ("LocMemCache", peer)):
        for number in range(KEYS_IN_TURN):
            cache.set(f"turn:{number}", VALUE, TIMEOUT_S)
        turns[name] = (cache, itertools.cycle(range(KEYS_IN_TURN)))
    rows = []
    for what, make in (
        ("cache.get, 10,000 keys in turn", _getting),
        ("cache.set, 10,000 keys in turn", _setting),
    ):
        timings = compare({name: make(*turn) for name, turn in turns.items()})
        rows.append(row(what, timings["cacheapp"], timings["LocMemCache"], None))
    return rows


def _getting(cache: Any, turn: Iterator[int]) -> Case:
    return lambda: cache.get(f"turn:{next(turn)}")


def _setting(cache: Any, turn: Iterator[int]) -> Case:
    return lambda: cache.set(f"turn:{next(turn)}", VALUE, TIMEOUT_S)


def on_redis() -> list[Row]:
    """get on a real server against django-redis, and Django's own backend for information."""
    for alias in REDIS_ALIASES:
        caches[alias].set(KEY, VALUE, TIMEOUT_S)
    timings = compare(
        {alias: (lambda cache=caches[alias]: cache.get(KEY)) for alias in REDIS_ALIASES}, rounds=31
    )
    return [
        row("cache.get hit, real Redis", timings["redis"], timings["django-redis"], 0.75),
        row("cache.get hit, real Redis", timings["redis"], timings["django"], None),
    ]
