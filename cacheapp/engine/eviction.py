"""What to drop when memory is short.

Each slot of a database has one access number: under an LFU policy the counter of `frequency`, else
the time of the last access in seconds. Changing the policy does not convert the numbers, as in
Redis: keys are reranked as they are used.

Eviction samples `maxmemory-samples` slots at random and keeps the best candidates seen in a small
pool from one call to the next, so that a few samples come close to the exact order. A policy is a
function from a candidate to its rank; the highest rank goes first. A candidate that was used since
it was put into the pool is ranked anew before it goes. `allkeys-random` needs no pool, and
`allkeys-tinylfu` has a module of its own.
"""

from __future__ import annotations

import random
from bisect import insort
from collections.abc import Callable
from typing import TYPE_CHECKING

from cacheapp.engine.frequency import lfu_rank, lfu_touch

if TYPE_CHECKING:
    from cacheapp.engine.database import Database
    from cacheapp.engine.engine import Engine

TINYLFU = "allkeys-tinylfu"

Rank = Callable[["Database", int], float]
Touch = Callable[["Database", int], None]

# What an engine without keys is said to take: no limit below it can be kept.
_EMPTY_BYTES = 512
_POOL_SIZE = 64
# Beyond it a larger maxmemory-samples changes nothing: the pool is in exact order long before.
_SAMPLES_MAX = 64
# Random probes for a sample, at most: with few volatile keys most probes find none.
_PROBES_PER_SAMPLE = 16


def touch_lfu(database: Database, slot: int) -> None:
    """Record an access under an LFU policy."""
    engine, accesses = database.engine, database.accesses
    config = engine.config
    accesses[slot] = lfu_touch(
        accesses[slot], engine.now, config["lfu-decay-time"], config["lfu-log-factor"]
    )


def _unused(database: Database, slot: int) -> float:
    # Not the idle time: ranks in the pool must compare with those of later calls.
    return -database.accesses[slot]


def _unpopular(database: Database, slot: int) -> float:
    engine = database.engine
    return lfu_rank(database.accesses[slot], engine.now, engine.config["lfu-decay-time"])


def _soonest(database: Database, slot: int) -> float:
    return float(-database.deadlines[slot])


_RANKS: dict[str, Rank] = {"lru": _unused, "lfu": _unpopular, "ttl": _soonest}


def is_full(engine: Engine) -> bool:
    """Whether more memory is in use than `maxmemory` allows."""
    limit: int = engine.config["maxmemory"]
    if _leaves_it_to_the_master(engine):
        return False
    return 0 < limit < max(engine.used_bytes, _EMPTY_BYTES)


def _leaves_it_to_the_master(engine: Engine) -> bool:
    return engine.following is not None and bool(engine.config["replica-ignore-maxmemory"])


class Evictor:
    """Keeps an engine under its `maxmemory` by dropping keys as its policy says."""

    __slots__ = ("_engine", "_policy", "_pool", "_pooled")

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._policy = ""
        # Rank, a tie-breaker that spares comparing databases, database and key; highest last.
        self._pool: list[tuple[float, float, Database, bytes]] = []
        self._pooled: set[tuple[int, bytes]] = set()

    def make_room(self) -> bool:
        """Evict until memory is within the limit; False where nothing (more) may be evicted."""
        engine = self._engine
        if _leaves_it_to_the_master(engine):
            return True
        limit, policy = engine.config["maxmemory"], engine.config["maxmemory-policy"]
        if policy != self._policy:
            self._policy = policy
            self._pool.clear()
            self._pooled.clear()
        try:
            while engine.used_bytes > limit:
                if policy == "noeviction" or not self._evict_one(policy):
                    return False
            return True
        finally:
            if engine.propagation is not None:
                engine.propagation.settle(together=False)

    def _evict_one(self, policy: str) -> bool:
        tinylfu = self._engine.tinylfu
        if tinylfu is not None and tinylfu.evict_one():
            return True
        scope, _, kind = policy.partition("-")
        volatile, rank = scope == "volatile", _RANKS.get(kind)
        if rank is None:
            return self._evict_random(volatile) or self._evict_any(volatile)
        for database in self._engine.databases:
            if database.volatile if volatile else database.slots:
                self._sample(database, rank, volatile)
        while self._pool:
            recorded, _, database, key = self._pool.pop()
            self._pooled.discard((database.index, key))
            slot = database.slots.get(key)
            if slot is None or (volatile and not database.deadlines[slot]):
                continue
            # Ranks of unused keys do not fall; one that fell was used since.
            if rank(database, slot) >= recorded:
                database.evict_slot(slot)
                return True
        return self._evict_any(volatile)

    def _sample(self, database: Database, rank: Rank, volatile: bool) -> None:
        """Add some keys of `database` to the pool."""
        pool, known, keys = self._pool, self._pooled, database.keys
        wanted = min(self._engine.config["maxmemory-samples"], _SAMPLES_MAX)
        slots, draw = len(keys), random.random
        for _ in range(wanted * _PROBES_PER_SAMPLE):
            slot = int(draw() * slots)
            key = keys[slot]
            if key is None or (volatile and not database.deadlines[slot]):
                continue
            name = database.index, key
            if name not in known:
                known.add(name)
                insort(pool, (rank(database, slot), draw(), database, key))
            wanted -= 1
            if not wanted:
                break
        excess = max(0, len(pool) - _POOL_SIZE)
        known.difference_update((entry[2].index, entry[3]) for entry in pool[:excess])
        del pool[:excess]

    def _evict_random(self, volatile: bool) -> bool:
        """Evict a key by chance; False where none was met in a bounded number of draws."""
        databases = [
            database
            for database in self._engine.databases
            if (database.volatile if volatile else database.slots)
        ]
        if not databases:
            return False
        database = random.choices(databases, [len(each.slots) for each in databases])[0]
        for _ in range(_SAMPLES_MAX):
            slot = random.randrange(len(database.keys))
            if database.deadlines[slot] if volatile else database.keys[slot] is not None:
                database.evict_slot(slot)
                return True
        return False

    def _evict_any(self, volatile: bool) -> bool:
        """Where sampling met no candidate among mostly other slots: take the first there is."""
        for database in self._engine.databases:
            if database.volatile if volatile else len(database):
                for slot in database.slots.values():
                    if not volatile or database.deadlines[slot]:
                        database.evict_slot(slot)
                        return True
        return False
