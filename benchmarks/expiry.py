"""Active expiry: a million keys that fall due at random, while one client goes on reading.

The share of dead keys (due, and still there) is looked at five times a second, outside of any
command. A command's time is the CPU time of its thread, so that another process on the machine is
not taken for a pause of ours.
"""

from __future__ import annotations

import gc
import random
import time
from collections.abc import Callable

from benchmarks.report import Row
from cacheapp.engine.engine import Engine

KEYS = 1_000_000
SECONDS = 20
LOOKS_A_SECOND = 5
# Slots that a look is at.
SAMPLE = 20_000
DEAD_SHARE_MAX = 0.10
COMMAND_MS_MAX = 5.0


def _filled(keys: int, seconds: float) -> Engine:
    """An engine whose keys fall due within so many seconds from now."""
    engine = Engine()
    session = engine.connect(lambda reply: None)
    for number in range(keys):
        engine.execute(session, [b"SET", b"key:%d" % number, b"x"])
    draw, database = random.Random(1).random, engine.databases[0]
    # Late enough for none to be due before the last one is set.
    base_ms = int(time.time() * 1000) + 1000 + keys // 250
    for key in database.slots:
        database.set_deadline(key, base_ms + int(draw() * seconds * 1000))
    return engine


def _dead_share(engine: Engine, draw: Callable[[], float]) -> float:
    """The part of the keys in the first database that are due, from a sample of its slots."""
    now_ms, deadlines = time.time() * 1000, engine.databases[0].deadlines
    sample = [deadlines[int(draw() * len(deadlines))] for _ in range(SAMPLE)]
    there = [due for due in sample if due]
    return sum(due < now_ms for due in there) / len(there) if there else 0.0


def observe(keys: int = KEYS, seconds: float = SECONDS) -> tuple[float, float]:
    """The largest share of dead keys that was seen, and the slowest command in milliseconds."""
    engine = _filled(keys, seconds)
    session = engine.connect(lambda reply: None)
    execute, clock, now = engine.execute, time.thread_time, time.monotonic
    gc.collect()
    draw = random.Random(2).random
    worst_share = slowest = 0.0
    database, number = engine.databases[0], 0
    # Until a tenth is left: of few keys, and of a small sample of them, one is a large part.
    while len(database) > keys // 10:
        until = now() + 1 / LOOKS_A_SECOND
        while now() < until:
            number = (number + 7919) % keys
            args = [b"GET", b"key:%d" % number]
            started = clock()
            execute(session, args)
            slowest = max(slowest, clock() - started)
        worst_share = max(worst_share, _dead_share(engine, draw))
    return worst_share, slowest * 1000


def measure(*, quick: bool = False) -> list[Row]:
    """Two rows: dead keys, and the slowest command."""
    share, slowest_ms = observe(KEYS // 5 if quick else KEYS, SECONDS / 4 if quick else SECONDS)
    count = f"{KEYS // 5 if quick else KEYS:,} keys"
    return [
        Row(f"dead keys at most, {count} due at random", f"{share:.1%}", "of all", share,
            DEAD_SHARE_MAX),
        Row("slowest command meanwhile", f"{slowest_ms:.2f} ms", "limit 5 ms",
            slowest_ms / COMMAND_MS_MAX, 1.0),
    ]  # fmt: skip
