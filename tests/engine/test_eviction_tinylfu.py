"""`allkeys-tinylfu`: scans do not wash it out, it forgets, its queues survive upheavals."""

from __future__ import annotations

import pytest

from cacheapp.engine.clock import ManualClock
from cacheapp.engine.engine import Engine
from cacheapp.engine.tinylfu import Sketch
from tests.engine.conftest import Run

LIMIT = 100_000


@pytest.fixture
def limited(run: Run) -> Run:
    run("CONFIG", "SET", "maxmemory", LIMIT, "maxmemory-policy", "allkeys-tinylfu")
    return run


def ask(run: Run, key: str) -> bool:
    """GET, and SET where that missed; whether it was a hit."""
    if run("GET", key) is not None:
        return True
    run("SET", key, "x" * 100)
    return False


def test_a_scan_does_not_wash_out_what_is_used(limited: Run) -> None:
    for _ in range(5):
        for number in range(100):
            ask(limited, f"used:{number}")
    for number in range(5000):
        ask(limited, f"scan:{number}")
        if number % 10 == 0:
            ask(limited, f"used:{number // 10 % 100}")
    assert sum(limited("EXISTS", f"used:{number}") for number in range(100)) >= 90


def test_it_follows_popularity_that_moves(limited: Run) -> None:
    for phase in ("old", "new"):
        for turn in range(300):
            for number in range(100):
                ask(limited, f"{phase}:{number}")
            ask(limited, f"once:{phase}:{turn}")
            for number in range(20):
                ask(limited, f"noise:{phase}:{turn}:{number}")
    assert sum(limited("EXISTS", f"new:{number}") for number in range(100)) >= 95


def test_what_was_just_set_can_be_read(limited: Run) -> None:
    for number in range(2000):
        limited("SET", f"key:{number}", "x" * 100)
        assert limited("EXISTS", f"key:{number}") == 1


@pytest.mark.parametrize(
    "upheaval", [["FLUSHALL"], ["SWAPDB", 0, 1], ["SWAPDB", 0, 0], ["RENAME", "key:0", "renamed"]]
)
def test_memory_stays_within_the_limit_after(
    engine: Engine, limited: Run, upheaval: list[str | int]
) -> None:
    limited("SELECT", 1)
    limited("MSET", "other", "x" * 1000)
    limited("SELECT", 0)
    for round_ in range(3):
        limited("SET", "key:0", "x")
        limited(*upheaval)
        for number in range(1500):
            limited("SET", f"key:{round_}:{number}", "x" * 100)
            if number % 3 == 0:
                limited("DEL", f"key:{round_}:{number // 2}")
            assert engine.used_bytes <= LIMIT + 2000
    assert engine.stats.evicted_keys > 1000
    assert sum(map(len, engine.databases)) > 100


def test_keys_from_before_the_policy_are_evicted_too(engine: Engine, run: Run) -> None:
    for number in range(3000):
        run("SET", f"key:{number}", "x" * 100)
    run("CONFIG", "SET", "maxmemory", LIMIT, "maxmemory-policy", "allkeys-tinylfu")
    run("SET", "more", "x")
    assert engine.used_bytes <= LIMIT + 1000
    run("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
    assert engine.tinylfu is None


def test_idle_time_is_still_told(clock: ManualClock, limited: Run) -> None:
    limited("SET", "key", "x")
    clock.advance(7)
    assert limited("OBJECT", "IDLETIME", "key") == 7


def test_a_sketch_counts_and_forgets() -> None:
    sketch = Sketch()
    for _ in range(9):
        sketch.add(b"often")
    assert sketch.count(b"often") >= 9
    sketch.fit(5000)
    assert sketch.count(b"often") >= 9
    sketch.lower(b"often")
    counted = sketch.count(b"often")
    sketch.age(10_000)
    assert sketch.count(b"often") == counted
    sketch.age(0)
    assert sketch.count(b"often") == counted // 2
