"""A Lua script of four `redis.call`, through the client and in the engine alone."""

from __future__ import annotations

from benchmarks.commands import SCRIPT
from benchmarks.measure import Timing, compare
from benchmarks.report import Row
from cacheapp.clients.factory import get_client
from cacheapp.engine.engine import Engine

LIMIT_US = 15.0
KEYS_AND_ARGUMENTS = ("a", "b", "c", "value")


def measure() -> list[Row]:
    """EVALSHA through redis-py, and `Engine.execute` of it."""
    client = get_client("memory://bench-scripts/0")
    engine = Engine()
    session = engine.connect(lambda reply: None)
    sha = client.script_load(SCRIPT)
    engine.execute(session, [b"SCRIPT", b"LOAD", SCRIPT.encode()])
    args = [b"EVALSHA", sha.encode(), b"3", *(word.encode() for word in KEYS_AND_ARGUMENTS)]
    timings = compare(
        {
            "engine": lambda: engine.execute(session, args),
            "client": lambda: client.evalsha(sha, 3, *KEYS_AND_ARGUMENTS),
        }
    )
    return [
        _row("Lua script of four redis.call, in the engine", timings["engine"]),
        _row("the same through redis.Redis", timings["client"]),
    ]


def _row(what: str, timing: Timing) -> Row:
    median_us = timing.median_us
    return Row(what, f"{median_us:.2f} µs", f"limit {LIMIT_US:.0f} µs", median_us / LIMIT_US, 1.0)
