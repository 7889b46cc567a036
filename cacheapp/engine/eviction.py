"""What to drop when memory is short, and how popular a key is: LFU counters, access times.

Each slot of a database has one number. Under an LRU policy (and under none) it is the time of the
last access in seconds. Under an LFU policy it packs the minute of the last decrement and an 8-bit
logarithmic counter, `minute * 256 + counter`, which a double holds exactly. Changing the policy
does not convert the numbers, as in Redis: keys are reranked as they are used.

Eviction samples `maxmemory-samples` slots at random and keeps the best candidates seen in a small
pool from one call to the next, so that a few samples come close to the exact order. A policy is a
function from a candidate to its rank; the highest rank goes first.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cacheapp.engine.database import Database
    from cacheapp.engine.engine import Engine

LFU_INIT = 5
_LFU_MAX = 255
_MINUTE_MASK = 0xFFFF


def lfu_start(now: float) -> float:
    """The number of a key that is created at `now` (seconds)."""
    return float((int(now // 60) & _MINUTE_MASK) * 256 + LFU_INIT)


def lfu_counter(number: float, now: float, decay_minutes: int) -> int:
    """The counter in `number`, less what has decayed until `now` (seconds)."""
    packed = int(number)
    minute, counter = packed >> 8 & _MINUTE_MASK, packed & 255
    if decay_minutes:
        elapsed = ((int(now // 60) & _MINUTE_MASK) - minute) & _MINUTE_MASK
        counter -= min(counter, elapsed // decay_minutes)
    return counter


def lfu_touch(number: float, now: float, decay_minutes: int, log_factor: int) -> float:
    """The number after an access: decayed, then raised with falling probability."""
    counter = lfu_counter(number, now, decay_minutes)
    if counter < _LFU_MAX:
        base = max(0, counter - LFU_INIT)
        if random.random() < 1.0 / (base * log_factor + 1):
            counter += 1
    return float((int(now // 60) & _MINUTE_MASK) * 256 + counter)


Rank = Callable[["Database", int], float]

_POOL_SIZE = 16
# Beyond it a larger maxmemory-samples changes nothing: the pool is in exact order long before.
_SAMPLES_MAX = 64
# Random probes for a sample, at most: with few volatile keys most probes find none.
_PROBES_PER_SAMPLE = 16


def _idle(database: Database, slot: int) -> float:
    return database.engine.now - database.accesses[slot]


def _unpopular(database: Database, slot: int) -> float:
    engine = database.engine
    counter = lfu_counter(database.accesses[slot], engine.now, engine.config["lfu-decay-time"])
    return float(_LFU_MAX - counter)


def _soonest(database: Database, slot: int) -> float:
    return float(-database.deadlines[slot])


def _any(_database: Database, _slot: int) -> float:
    return random.random()


_RANKS: dict[str, Rank] = {"lru": _idle, "lfu": _unpopular, "ttl": _soonest, "random": _any}


class Evictor:
    """Keeps an engine under its `maxmemory` by dropping keys as its policy says."""

    __slots__ = ("_engine", "_pool")

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._pool: list[tuple[float, Database, bytes]] = []

    def make_room(self) -> bool:
        """Evict until memory is within the limit; False where nothing (more) may be evicted."""
        engine = self._engine
        limit = engine.config["maxmemory"]
        while engine.used_bytes > limit:
            policy = engine.config["maxmemory-policy"]
            if policy == "noeviction" or not self._evict_one(policy):
                return False
        return True

    def _evict_one(self, policy: str) -> bool:
        scope, _, kind = policy.partition("-")
        rank, volatile = _RANKS[kind], scope == "volatile"
        for database in self._engine.databases:
            self._sample(database, rank, volatile)
        while self._pool:
            _, database, key = self._pool.pop()
            slot = database.slots.get(key)
            if slot is not None and (not volatile or database.deadlines[slot]):
                database.evict_slot(slot)
                return True
        return self._evict_any(volatile)

    def _sample(self, database: Database, rank: Rank, volatile: bool) -> None:
        """Add some keys of `database` to the pool, the highest rank last."""
        if not (database.volatile if volatile else len(database)):
            return
        wanted = min(self._engine.config["maxmemory-samples"], _SAMPLES_MAX)
        known = {(id(entry[1]), entry[2]) for entry in self._pool}
        slots = len(database.keys)
        for _ in range(wanted * _PROBES_PER_SAMPLE):
            slot = random.randrange(slots)
            key = database.keys[slot]
            if key is None or (volatile and not database.deadlines[slot]):
                continue
            if (id(database), key) not in known:
                known.add((id(database), key))
                self._pool.append((rank(database, slot), database, key))
            wanted -= 1
            if not wanted:
                break
        self._pool.sort(key=lambda entry: entry[0])
        del self._pool[: max(0, len(self._pool) - _POOL_SIZE)]

    def _evict_any(self, volatile: bool) -> bool:
        """Where sampling met no candidate among mostly other slots: take the first there is."""
        for database in self._engine.databases:
            if database.volatile if volatile else len(database):
                for slot in database.slots.values():
                    if not volatile or database.deadlines[slot]:
                        database.evict_slot(slot)
                        return True
        return False
