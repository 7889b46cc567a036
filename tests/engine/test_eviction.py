"""maxmemory: the account, the policies, and where OOM is said."""

from __future__ import annotations

import pytest

from cacheapp.engine.clock import ManualClock
from cacheapp.engine.engine import Engine
from cacheapp.engine.errors import CommandError
from tests.engine.conftest import Run

LIMIT = 200_000


def fill(run: Run, count: int, *options: str | int) -> None:
    for number in range(count):
        run("SET", f"key:{number}", "x" * 100, *options)


def fill_lasting(run: Run, count: int) -> None:
    for number in range(count):
        run("SET", f"lasting:{number}", "x" * 100)


def test_noeviction_refuses_what_needs_memory_and_nothing_else(engine: Engine, run: Run) -> None:
    run("CONFIG", "SET", "maxmemory", LIMIT)
    with pytest.raises(CommandError, match=r"^OOM command not allowed when used memory"):
        fill(run, 5000)
    assert engine.used_bytes > LIMIT
    assert run("GET", "key:0") == b"x" * 100
    run("MULTI")
    with pytest.raises(CommandError, match=r"^OOM "):
        run("SET", "one", "more")
    with pytest.raises(CommandError, match=r"^EXECABORT"):
        run("EXEC")
    for number in range(100):
        run("DEL", f"key:{number}")
    assert run("SET", "one", "more") == b"OK"


@pytest.mark.parametrize("policy", ["allkeys-lru", "allkeys-lfu", "allkeys-random"])
def test_allkeys_policies_stay_within_the_limit(engine: Engine, run: Run, policy: str) -> None:
    run("CONFIG", "SET", "maxmemory", LIMIT, "maxmemory-policy", policy)
    fill(run, 3000)
    assert engine.used_bytes <= LIMIT + 1000
    assert engine.stats.evicted_keys > 1000
    assert engine.used_memory() == engine.used_bytes


@pytest.mark.parametrize(
    "policy", ["volatile-lru", "volatile-lfu", "volatile-random", "volatile-ttl"]
)
def test_volatile_policies_leave_lasting_keys(engine: Engine, run: Run, policy: str) -> None:
    run("CONFIG", "SET", "maxmemory", LIMIT, "maxmemory-policy", policy)
    fill_lasting(run, 50)
    fill(run, 3000, "EX", 1000)
    assert run("EXISTS", *(f"lasting:{number}" for number in range(50))) == 50
    with pytest.raises(CommandError, match=r"^OOM "):
        fill_lasting(run, 5000)


def test_lru_keeps_what_is_used(clock: ManualClock, run: Run) -> None:
    run("CONFIG", "SET", "maxmemory", LIMIT, "maxmemory-policy", "allkeys-lru")
    fill(run, 100)
    for number in range(3000):
        clock.advance(1)
        run("SET", f"new:{number}", "x" * 100)
        run("GET", f"key:{number % 100}")
    assert sum(run("EXISTS", f"key:{number}") for number in range(100)) >= 95


def test_volatile_ttl_drops_the_soonest(run: Run) -> None:
    run("CONFIG", "SET", "maxmemory", LIMIT, "maxmemory-policy", "volatile-ttl")
    fill(run, 300, "EX", 100_000)
    for number in range(3000):
        run("SET", f"soon:{number}", "x" * 100, "EX", 10)
    assert sum(run("EXISTS", f"key:{number}") for number in range(300)) >= 295


def test_the_account_follows_every_change(engine: Engine, run: Run) -> None:
    run("SET", "before", "x" * 1000)
    run("CONFIG", "SET", "maxmemory", "100mb")
    with_one = engine.used_bytes
    assert with_one > 1000
    run("APPEND", "before", "x" * 5000)
    run("RPUSH", "list", *["y" * 50] * 100)
    assert engine.used_bytes > with_one + 10_000
    run("RENAME", "list", "renamed")
    run("MOVE", "renamed", 1)
    run("SWAPDB", 0, 1)
    run("DEL", "renamed")
    run("SELECT", 1)
    run("DEL", "before")
    assert engine.used_bytes == 0
    fill(run, 10)
    run("FLUSHALL")
    assert engine.used_bytes == 0


def test_evicted_keys_are_announced(engine: Engine, run: Run) -> None:
    heard: list[list[bytes]] = []
    listener = engine.connect(heard.append, protocol=3)
    engine.execute(listener, [b"SUBSCRIBE", b"__keyevent@0__:evicted"])
    run("CONFIG", "SET", "notify-keyspace-events", "Ee")
    run("CONFIG", "SET", "maxmemory", LIMIT, "maxmemory-policy", "allkeys-random")
    fill(run, 2000)
    assert len(heard) - 1 == engine.stats.evicted_keys > 0


def test_a_lower_limit_evicts_at_once(engine: Engine, run: Run) -> None:
    run("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
    fill(run, 50)
    run("CONFIG", "SET", "maxmemory", "1")
    assert run("DBSIZE") == 0
    assert engine.stats.evicted_keys == 50
