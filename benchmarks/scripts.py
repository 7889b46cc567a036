"""A Lua script of four `redis.call`, through the client and in the engine alone."""

from __future__ import annotations

import time

from benchmarks.commands import SCRIPT
from benchmarks.measure import Timing, compare
from benchmarks.report import Row
from cacheapp.clients.factory import get_client
from cacheapp.engine.engine import Engine

LIMIT_US = 15.0
READS = "redis.call('GET', KEYS[1])\n" * 3 + "return redis.call('GET', KEYS[1])"
KEYS_AND_ARGUMENTS = ("a", "b", "c", "value")


def measure() -> list[Row]:
    """EVALSHA in the engine, of four reads and of SET, INCR, HSET and GET, and through redis-py."""
    client = get_client("memory://bench-scripts/0")
    engine = Engine()
    session = engine.connect(lambda reply: None)
    sha = client.script_load(SCRIPT)
    engine.execute(session, [b"SCRIPT", b"LOAD", SCRIPT.encode()])
    reads = engine.execute(session, [b"SCRIPT", b"LOAD", READS.encode()])
    rest = [b"3", *(word.encode() for word in KEYS_AND_ARGUMENTS)]
    mixed = [b"EVALSHA", sha.encode(), *rest]
    only_reads = [b"EVALSHA", reads, *rest]
    timings = compare(
        {
            "reads": lambda: engine.execute(session, only_reads),
            "mixed": lambda: engine.execute(session, mixed),
            "client": lambda: client.evalsha(sha, 3, *KEYS_AND_ARGUMENTS),
        },
        clock=time.thread_time,
    )
    return [
        _row("Lua script of four redis.call: GET", timings["reads"]),
        _row("Lua script of four redis.call: SET, INCR, HSET, GET", timings["mixed"]),
        _row("the latter through redis.Redis", timings["client"]),
    ]


def _row(what: str, timing: Timing) -> Row:
    median_us = timing.median_us
    return Row(what, f"{median_us:.2f} µs", f"limit {LIMIT_US:.0f} µs", median_us / LIMIT_US, 1.0)
