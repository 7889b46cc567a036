"""Near caches: a hit, an invalidation, an announced write, and how soon four processes know."""

from __future__ import annotations

import multiprocessing
import random
import statistics
import time
from multiprocessing.connection import Connection
from typing import Any

import redis
from django.core.cache import caches
from redis.cache import CacheConfig

from benchmarks.caches import KEY, TIMEOUT_S, VALUE
from benchmarks.measure import compare
from benchmarks.report import Row, row
from benchmarks.server import own_server
from benchmarks.settings import configure

ENTRIES = 100_000
READERS = 4
WRITES = 400
# Microseconds, by the issue that asked for near caches.
HIT_US, INVALIDATION_US, MEDIAN_US, P99_US = 1.5, 10.0, 1500.0, 8000.0
# Between two writes, so that they meet the listeners at any moment of theirs.
PAUSE_S = 0.01
SETTLE_S = 0.5


def measure(url: str, *, quick: bool = False) -> list[Row]:
    """All lines; ``url`` is the server of the alias "near"."""
    caches["mute"].set(KEY, VALUE, TIMEOUT_S)  # no reader in this process yet, so no listener
    return [*_writes(), *_hits(), *_invalidation(), *_spread(url, WRITES // (4 if quick else 1))]


def _absolute(what: str, ours_us: float, target_us: float) -> Row:
    """A line whose peer is the target itself."""
    peer = f"target {target_us:.1f} µs"
    return Row(what, f"{ours_us:.2f} µs", peer, ours_us / target_us, 1.0)


def with_lease(alias: str) -> Any:
    """Return the cache of an alias, once its listener has a lease."""
    cache = caches[alias]
    cache.get(KEY)
    while not cache.near.copies.is_good:
        time.sleep(0.001)
        cache.get(KEY)
    return cache


def _hits() -> list[Row]:
    # redis-py caches before servers from 7.4 on only, which ours says it is; a hit asks neither.
    with own_server() as port:
        client = redis.Redis(port=int(port), protocol=3, cache_config=CacheConfig())
        try:
            return _beside(client)
        finally:
            client.close()


def _beside(client: redis.Redis) -> list[Row]:
    near, local = with_lease("near"), caches["default"]
    for cache in (near, local):
        cache.set(KEY, VALUE, TIMEOUT_S)
    client.set(KEY, VALUE)
    deadline = time.monotonic() + 5
    while near.storage_key(KEY) not in near.near.copies.copies and time.monotonic() < deadline:
        near.get(KEY)
        time.sleep(0.01)  # its own message may still be on the way
    client.get(KEY)
    timings = compare(
        {
            "near": lambda: near.get(KEY),
            "LocMemCache": lambda: local.get(KEY),
            "redis-py's client-side cache": lambda: client.get(KEY),
        },
        rounds=31,
    )
    ours = timings["near"]
    what = "near cache, hit, small str"
    return [
        _absolute(what, ours.median_us, HIT_US),
        row(what, ours, timings["LocMemCache"], 0.3),
        row(what, ours, timings["redis-py's client-side cache"], 0.03),
    ]


def _invalidation() -> list[Row]:
    from cacheapp.cache.nearcache import NearCache

    near = NearCache(max_bytes=2**30, max_entries=ENTRIES, ttl_s=None)
    names = [b":1:key:%d" % number for number in range(ENTRIES)]
    for name in names:
        mark = near.begin(name)
        assert mark is not None
        near.keep(name, mark, b"svalue", -1)
    random.Random(1).shuffle(names)
    times = []
    for name in names[:20_000]:
        began = time.perf_counter()
        near.drop((name,))
        times.append(time.perf_counter() - began)
    median_us = statistics.median(times) * 1e6
    return [_absolute(f"one invalidation, {ENTRIES:,} copies", median_us, INVALIDATION_US)]


def _writes() -> list[Row]:
    bare, announced = caches["redis"], caches["mute"]
    timings = compare(
        {
            "bare": lambda: bare.set(KEY, VALUE, TIMEOUT_S),
            "announced": lambda: announced.set(KEY, VALUE, TIMEOUT_S),
            "bare delete": lambda: bare.delete(KEY),
            "announced delete": lambda: announced.delete(KEY),
        },
        rounds=41,
    )
    lines = [
        row("set with its announcement, real Redis", timings["announced"], timings["bare"], 1.6),
        row(
            "delete with its announcement",
            timings["announced delete"],
            timings["bare delete"],
            None,
        ),
    ]
    listening = with_lease("near")
    timings = compare(
        {
            "bare": lambda: bare.set(KEY, VALUE, TIMEOUT_S),
            "announced": lambda: listening.set(KEY, VALUE, TIMEOUT_S),
        },
        rounds=41,
    )
    what = "set in a process that listens to itself"
    return [*lines, row(what, timings["announced"], timings["bare"], None)]


# How soon a write is known


def _spread(url: str, writes: int) -> list[Row]:
    context = multiprocessing.get_context("spawn")
    pipes, workers = [], []
    for _ in range(READERS):
        ours, theirs = context.Pipe()
        worker = context.Process(target=reader, args=(url, theirs), daemon=True)
        worker.start()
        pipes.append(ours)
        workers.append(worker)
    for pipe in pipes:
        pipe.recv()
    writer = caches["mute"]
    # Long before: a late message of a first write would end a copy too early.
    writer.set_many({f"spread:{number}": number for number in range(writes)})
    time.sleep(SETTLE_S)
    samples = []
    chance = random.Random(2)
    for number in range(writes):
        key = f"spread:{number}"
        for pipe in pipes:
            pipe.send(key)
        for pipe in pipes:
            pipe.recv()
        time.sleep(PAUSE_S * chance.random())
        writer.set(key, -number)
        acknowledged = time.monotonic()
        samples.append(max(pipe.recv() for pipe in pipes) - acknowledged)
    for pipe in pipes:
        pipe.send(None)
    for worker in workers:
        worker.join()
    samples.sort()
    what = f"acknowledged to gone from {READERS} other processes"
    return [
        _absolute(f"{what}, p50", statistics.median(samples) * 1e6, MEDIAN_US),
        _absolute(f"{what}, p99", samples[int(len(samples) * 0.99)] * 1e6, P99_US),
    ]


def reader(url: str, pipe: Connection) -> None:
    """A process with a near cache: fill a key when told, and say when its copy went."""
    configure(url)
    cache = with_lease("mute-reader")
    copies = cache.near.copies
    drop = copies.drop
    waited: set[bytes] = set()

    def timed(names: Any) -> None:
        names = list(names)
        drop(names)
        now = time.monotonic()
        for name in waited.intersection(names):
            waited.discard(name)
            pipe.send(now)

    copies.drop = timed
    pipe.send("ready")
    while (key := pipe.recv()) is not None:
        name = cache.storage_key(key)
        while name not in copies.copies:
            cache.get(key)
        waited.add(name)
        pipe.send("filled")
