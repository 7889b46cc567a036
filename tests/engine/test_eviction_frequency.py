"""LFU counters: they start, rise, forget, and tell equals apart by idle time."""

from __future__ import annotations

from cacheapp.engine.clock import ManualClock
from cacheapp.engine.frequency import LFU_INIT, LFU_MAX, lfu_counter, lfu_rank, lfu_start, lfu_touch
from tests.engine.conftest import Run

NOW = 1_700_000_000.0


def test_counters_begin_at_five_and_stop_at_255() -> None:
    number = lfu_start(NOW)
    assert lfu_counter(number, NOW, 1) == LFU_INIT
    for _ in range(1000):
        number = lfu_touch(number, NOW, 1, 0)
    assert lfu_counter(number, NOW, 1) == LFU_MAX


def test_counters_lose_one_a_decay_time() -> None:
    number = lfu_start(NOW)
    assert lfu_counter(number, NOW + 180, 1) == LFU_INIT - 3
    assert lfu_counter(number, NOW + 180, 3) == LFU_INIT - 1
    assert lfu_counter(number, NOW + 86_400, 0) == LFU_INIT
    assert lfu_counter(number, NOW + 86_400, 1) == 0


def test_of_equal_counters_the_longer_idle_goes_first() -> None:
    older, newer = lfu_start(NOW), lfu_start(NOW + 5)
    assert lfu_rank(older, NOW + 10, 1) > lfu_rank(newer, NOW + 10, 1)
    assert lfu_rank(lfu_touch(older, NOW + 5, 1, 0), NOW + 10, 1) < lfu_rank(newer, NOW + 10, 1)


def test_lfu_forgets_what_was_popular(clock: ManualClock, run: Run) -> None:
    run("CONFIG", "SET", "maxmemory", 60_000, "maxmemory-policy", "allkeys-lfu")
    for _ in range(300):
        for number in range(50):
            run("INCR", f"old:{number}")
    clock.advance(3600)
    for _ in range(30):
        for number in range(150):
            run("SET", f"new:{number}", "x" * 200)
    assert sum(run("EXISTS", f"old:{number}") for number in range(50)) <= 5
