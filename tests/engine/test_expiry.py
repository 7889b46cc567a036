"""The active expiry cycle: it reclaims, it is bounded, and it never brings a key back."""

from __future__ import annotations

import math

from cacheapp.engine.clock import ManualClock
from cacheapp.engine.engine import Engine
from cacheapp.engine.expiry import expire_cycle
from tests.engine.conftest import Run


class RunningClock(ManualClock):
    """Each reading costs time, as if the machine were slow."""

    cost_s = 0.0

    def time(self) -> float:
        self.advance(self.cost_s)
        return super().time()


def test_ticks_reclaim_keys_that_nobody_asks_for(
    engine: Engine, clock: ManualClock, run: Run
) -> None:
    for number in range(3000):
        run("SET", f"key:{number}", 1, "PX", 100)
    run("SET", "lasting", 1)
    clock.advance(1)
    for _ in range(3):
        engine.tick()
    assert len(engine.databases[0]) == 1
    assert engine.stats.expired_keys == 3000
    assert engine.databases[0].volatile == 0


def test_commands_tick_without_a_thread(engine: Engine, clock: ManualClock, run: Run) -> None:
    run("SELECT", 3)
    run("SET", "key", 1, "PX", 100)
    run("SELECT", 0)
    clock.advance(1)
    run("PING")
    assert len(engine.databases[3]) == 0


def test_a_cycle_ends_when_its_time_is_used_up() -> None:
    clock = RunningClock()
    engine = Engine(clock=clock)
    session = engine.connect(lambda reply: None)
    for number in range(5000):
        engine.execute(session, [b"SET", b"key:%d" % number, b"1", b"PX", b"100"])
    clock.advance(60)
    engine._read_clock()
    clock.cost_s = 0.0006
    assert expire_cycle(engine) == 0, "many keys were due: the next command should go on"
    reclaimed = 5000 - len(engine.databases[0])
    assert 0 < reclaimed < 2500
    while expire_cycle(engine) < math.inf:
        pass
    for _ in range(20):
        expire_cycle(engine)
    assert len(engine.databases[0]) == 0


def test_expired_keys_are_announced(engine: Engine, clock: ManualClock, run: Run) -> None:
    heard: list[object] = []
    listener = engine.connect(heard.append, protocol=3)
    engine.execute(listener, [b"SUBSCRIBE", b"__keyevent@0__:expired"])
    run("CONFIG", "SET", "notify-keyspace-events", "Ex")
    run("SET", "key", 1, "PX", 100)
    clock.advance(1)
    run("PING")
    assert heard[-1] == [b"message", b"__keyevent@0__:expired", b"key"]


def test_switched_off_it_leaves_due_keys_where_they_are(
    engine: Engine, clock: ManualClock, run: Run
) -> None:
    run("DEBUG", "SET-ACTIVE-EXPIRE", 0)
    run("SET", "key", 1, "PX", 100)
    clock.advance(1)
    engine.tick()
    assert run("DBSIZE") == 1
    assert run("KEYS", "*") == []
