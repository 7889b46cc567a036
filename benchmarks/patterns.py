"""The caching patterns: a stampede, what a tag costs, and a call while the breaker is open.

The stampede is real: two processes of 50 threads miss one key together on one Redis, and each
computation counts itself. Beside it stands what Django's own Redis backend does then.
"""

from __future__ import annotations

import logging
import multiprocessing
import socket
import threading
import time
from typing import Any

import redis
from django.core.cache import caches
from django.test import override_settings

from benchmarks.measure import Case, Timing, acompare, compare
from benchmarks.report import Row, row
from benchmarks.server import own_server

PROCESSES, THREADS = 2, 50
#: Seconds that the value takes to compute: a query worth caching.
COMPUTING_S = 0.1
#: Microseconds that a call may cost while the server is dead and the breaker open.
OPEN_US_MAX = 20.0
TAGGED = 10_000
OURS = "cacheapp.cache.CacheBackend"
PEER = "django.core.cache.backends.redis.RedisCache"


def on_engine(*, quick: bool = False) -> list[Row]:
    """In the process, and without a server at all."""
    cache, local = caches["engine"], caches["default"]
    cache.set("plain", "value", None)
    local.set("plain", "value", None)
    timings = compare(
        {
            "cacheapp": lambda: cache.get_or_set("plain", str, None),
            "LocMemCache": lambda: local.get_or_set("plain", str, None),
        },
        rounds=11 if quick else 31,
        clock=time.thread_time,
    )
    ours, peer = timings.values()
    return [row("get_or_set, hit, in process", ours, peer, None), *_tags(cache), *_open_breaker()]


def on_redis(url: str, *, quick: bool = False) -> list[Row]:
    """On a real server."""
    ours, peer = (_stampede(url, backend) for backend in (OURS, PEER))
    with own_server() as port:
        front = _stampede(f"redis://127.0.0.1:{port}/0", OURS)
    cache, other = caches["redis"], caches["django"]

    def missing(target: Any) -> Case:
        def miss() -> None:
            target.delete("missing")
            target.get_or_set("missing", str, 60)

        return miss

    timings = compare(
        {"cacheapp": missing(cache), "Django": missing(other)}, rounds=11 if quick else 31
    )
    return [
        Row(
            f"computations, {PROCESSES} processes of {THREADS} threads miss one key",
            f"{ours}",
            f"Django {peer}",
            float(ours),
            1.0,
        ),
        Row("the same over our TCP front", f"{front}", "none", float(front), 1.0),
        row("delete and get_or_set of it, real Redis", *timings.values(), None),
    ]


def _tags(cache: Any) -> list[Row]:
    cache.set("tagged", "value", None, tags=["all"])
    found = compare(
        {"tagged": lambda: cache.get("tagged"), "plain": lambda: cache.get("plain")},
        clock=time.thread_time,
    )
    rows = [row("get of a tagged value, in process", found["tagged"], found["plain"], None)]
    figures: dict[int, Timing] = {}
    for count in (10, TAGGED):
        for first in range(0, count, 1000):
            keys = range(first, min(first + 1000, count))
            cache.set_many({f"tagged:{key}": key for key in keys}, tags=["many"])
        figures[count] = compare(
            {f"of {count} entries": lambda: cache.invalidate_tags(["many"])},
            clock=time.thread_time,
        )[f"of {count} entries"]
    few, many = figures.values()
    rows.append(row(f"invalidate_tags at {TAGGED:,} entries", many, few, 1.5))
    return rows


def _open_breaker() -> list[Row]:
    """What calls cost while nobody listens at the server's port; of most kinds only the dearest."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        url = f"redis://127.0.0.1:{probe.getsockname()[1]}/0"
    options = {
        "IGNORE_EXCEPTIONS": True,
        "BREAKER": 3600,
        "CONNECTION_POOL_KWARGS": {"retry": None},
    }
    logging.getLogger("cacheapp.cache").setLevel(logging.CRITICAL)
    with override_settings(CACHES={"dead": {"BACKEND": OURS, "LOCATION": url, "OPTIONS": options}}):
        cache: Any = caches["dead"]
        for _ in range(5):
            cache.get("key")
        timings = compare(
            {
                "get": lambda: cache.get("key"),
                "set": lambda: cache.set("key", "value"),
                "get_many": lambda: cache.get_many(["a", "b"]),
                "get_or_set": lambda: cache.get_or_set("key", "value"),
                "get_or_set, stale_ttl": lambda: cache.get_or_set("key", "value", stale_ttl=9),
                "get_or_set_many": lambda: cache.get_or_set_many(["a", "b"], dict.fromkeys),
                "a lock": lambda: cache.lock("key").acquire(blocking=False),
                "a token lock": lambda: cache.token_lock("key").acquire(wait=0),
                "all keys": lambda: list(cache.iter_keys("*")),
            },
            clock=time.thread_time,
        )
        timings |= acompare(
            {
                "aget": lambda: cache.aget("key"),
                "aset": lambda: cache.aset("key", "value"),
                "aget_or_set": lambda: cache.aget_or_set("key", "value"),
                "aget_or_set_many": lambda: cache.aget_or_set_many(["a", "b"], dict.fromkeys),
                "awrite_through": lambda: cache.awrite_through("key", cache.aclose),
                "an async token lock": lambda: cache.token_lock("key").aacquire(wait=0),
            },
            clock=time.thread_time,
        )
    return [
        Row(
            f"{name}, the server dead and the breaker open",
            f"{timing.median_us:.2f} µs",
            f"limit {OPEN_US_MAX} µs",
            timing.median_us / OPEN_US_MAX,
            1.0,
        )
        for name, timing in timings.items()
    ]


def _miss(url: str, backend: str, start: Any) -> None:
    """One process of the stampede."""
    with override_settings(CACHES={"flood": {"BACKEND": backend, "LOCATION": url}}):
        client = redis.Redis.from_url(url)

        def compute() -> str:
            client.incr("computations")
            time.sleep(COMPUTING_S)
            return "value"

        gate = threading.Barrier(THREADS)

        def call() -> None:
            gate.wait()
            caches["flood"].get_or_set("flooded", compute, 60)

        threads = [threading.Thread(target=call) for _ in range(THREADS)]
        start.wait()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()


def _stampede(url: str, backend: str) -> int:
    """How often the value was computed, by all processes together."""
    client = redis.Redis.from_url(url)
    client.delete("computations", ":1:flooded")
    context = multiprocessing.get_context("fork")
    start = context.Barrier(PROCESSES)
    processes = [
        context.Process(target=_miss, args=(url, backend, start)) for _ in range(PROCESSES)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    computations = int(client.get("computations") or 0)
    client.close()
    return computations
