"""`allkeys-tinylfu`, a policy of this engine's own: what is admitted must be asked for again.

A cache sees many keys once. LRU lets each of them push out something useful; LFU keeps what was
popular last week. This policy has three parts, each O(1) an access or eviction, without sampling:

- a *sketch* counts how often keys were asked for, kept or not: two probes into one table of small
  counters, all of them halved after a number of accesses that grows with the cache (TinyLFU,
  Einziger, Friedman and Manes, https://arxiv.org/abs/1512.00727);
- the *window*, a tenth of the keys in order of arrival, gives a new key time to be asked for;
- the *main* queue is a clock: its hand passes over keys that were used since its last visit.

Who leaves the window must have been seen a few times and more often than the key under the hand,
or goes. A key that wins such duels without being used loses counts now and then, so that a once
popular key does not sit for ever.

A byte a slot marks what is queued and how often it was used. A slot that is freed keeps its place
in the queue for whoever takes the slot next, so a queue is never longer than the columns. Where
columns were rebuilt or exchanged (`Database.generation`) the queues are made anew.

Left out on purpose: sizes of values do not matter to the choice, and volatile keys have no
variant of it.
"""

from __future__ import annotations

import random
from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cacheapp.engine.database import Database
    from cacheapp.engine.engine import Engine

_COUNT_MAX = 15
_HALVED = bytes(count >> 1 for count in range(256))
# Table entries for each key, and the least of them; a power of two.
_WIDTH = 16
_TABLE_MIN = 16_384
# Accesses for each key after which all counts are halved.
_PERIOD = 20
# Where the second probe's bits of a hash begin.
_SECOND_SHIFT = 30
# The window's part of all keys: one in so many, at least and at most. Between the two it follows
# the sizes of values, for which now no key has to go and now several.
_WINDOW_SHARE = 10
_WINDOW_SHARE_MAX = 7
# Sightings without which a key is not admitted: while the counts are young, and later.
_ADMITTED_MIN_YOUNG = 2
_ADMITTED_MIN = 3
# One duel in so many costs the winner a count.
_DUELS_A_COUNT = 10
# Used keys that the hand passes over in one eviction, at most.
_PASSES_MAX = 200

_QUEUED = 4
_USED_MAX = 3


class Sketch:
    """About how often each key was seen of late."""

    __slots__ = ("_mask", "_seen", "_table")

    def __init__(self) -> None:
        self._table = bytearray(_TABLE_MIN)
        self._mask = _TABLE_MIN - 1
        self._seen = 0

    def add(self, key: bytes) -> None:
        """Count one access of `key`."""
        table, mask, hashed = self._table, self._mask, hash(key)
        first, second = hashed & mask, hashed >> _SECOND_SHIFT & mask
        count, other = table[first], table[second]
        if count == other:
            if count < _COUNT_MAX:
                table[first] = table[second] = count + 1
        elif count < other:
            table[first] = count + 1
        else:
            table[second] = other + 1
        self._seen += 1

    def count(self, key: bytes) -> int:
        """How often `key` was seen, at most 15; collisions can only make it more."""
        hashed = hash(key)
        return min(
            self._table[hashed & self._mask], self._table[hashed >> _SECOND_SHIFT & self._mask]
        )

    def lower(self, key: bytes) -> None:
        """Take one from the count of `key`."""
        hashed, less = hash(key), max(0, self.count(key) - 1)
        for probe in (hashed & self._mask, hashed >> _SECOND_SHIFT & self._mask):
            self._table[probe] = min(self._table[probe], less)

    def age(self, keys: int) -> None:
        """Halve all counts where enough was seen for a cache of so many keys."""
        if self._seen >= _PERIOD * keys:
            self._table = self._table.translate(_HALVED)
            self._seen //= 2

    def is_young(self, keys: int) -> bool:
        """Whether less was seen than is left after counts were halved for so many keys."""
        return self._seen < _PERIOD * keys // 2

    def fit(self, keys: int) -> None:
        """Grow for so many keys. The table is doubled by repeating it, so counts stay."""
        while len(self._table) < _WIDTH * keys:
            self._table = self._table + self._table
            self._mask = len(self._table) - 1


class TinyLfu:
    """The queues of one engine; all methods are called under its lock."""

    __slots__ = ("_engine", "_generations", "_main", "_marks", "_window", "sketch")

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.sketch = Sketch()
        # Entries are slot * number of databases + index of the database.
        self._window: deque[int] = deque()
        self._main: deque[int] = deque()
        self._marks: list[bytearray] = []
        self._generations: list[int] = []

    def touched(self, database: Database, slot: int) -> None:
        """An access to the key in `slot`."""
        engine = self._engine
        database.accesses[slot] = engine.now
        key = database.keys[slot]
        assert key is not None
        self.sketch.add(key)
        if self._marks:
            marks = self._marks[database.index]
            if slot < len(marks) and marks[slot] & _USED_MAX < _USED_MAX:
                marks[slot] += 1

    def arrived(self, database: Database, slot: int) -> None:
        """A new key in `slot`."""
        key = database.keys[slot]
        assert key is not None
        self.sketch.add(key)
        if not self._marks:
            return
        marks = self._marks[database.index]
        if slot >= len(marks):
            marks.extend(bytes(max(64, slot + 1 - len(marks))))
        if not marks[slot] & _QUEUED:
            self._window.append(slot * len(self._marks) + database.index)
        marks[slot] = _QUEUED

    def evict_one(self) -> bool:
        """Drop one key; False where there is none."""
        if self._generations != [database.generation for database in self._engine.databases]:
            self._rebuild()
        window, main = self._window, self._main
        queued = len(window) + len(main)
        self.sketch.fit(queued)
        self.sketch.age(queued)
        share = max(1, queued // _WINDOW_SHARE)
        if len(window) > max(2, queued // _WINDOW_SHARE_MAX):
            # Memory had room for longer than the window: these came in unopposed.
            while len(window) > share:
                main.append(window.popleft())
        candidate = self._head(window) if len(window) >= share else None
        victim = self._hand()
        if victim is None or candidate is None:
            loser = main if victim is not None else window
        else:
            loser = self._duel(candidate, victim)
        return self._drop_head(loser)

    def _duel(self, candidate: bytes, victim: bytes) -> deque[int]:
        """The queue whose head goes; an admitted candidate is moved."""
        wins, holds = self.sketch.count(candidate), self.sketch.count(victim)
        young = self.sketch.is_young(len(self._main))
        if wins >= (_ADMITTED_MIN_YOUNG if young else _ADMITTED_MIN):
            if wins > holds:
                entry = self._window.popleft()
                slot, index = divmod(entry, len(self._marks))
                self._marks[index][slot] = _QUEUED
                self._main.append(entry)
                return self._main
            if random.randrange(_DUELS_A_COUNT) == 0:
                self.sketch.lower(victim)
        return self._window

    def _hand(self) -> bytes | None:
        """Move the clock's hand to a key that was not used since; None where main is empty."""
        main = self._main
        key = self._head(main)
        for _ in range(_PASSES_MAX):
            if key is None:
                return None
            slot, index = divmod(main[0], len(self._marks))
            if not self._marks[index][slot] & _USED_MAX:
                return key
            self._marks[index][slot] -= 1
            main.rotate(-1)
            key = self._head(main)
        return key

    def _head(self, queue: deque[int]) -> bytes | None:
        """The key at the head of `queue`; entries whose slot is free are dropped on the way."""
        while queue:
            slot, index = divmod(queue[0], len(self._marks))
            key = self._engine.databases[index].keys[slot]
            if key is not None:
                return key
            queue.popleft()
            self._marks[index][slot] = 0
        return None

    def _drop_head(self, queue: deque[int]) -> bool:
        if self._head(queue) is None:
            return False
        slot, index = divmod(queue.popleft(), len(self._marks))
        self._marks[index][slot] = 0
        self._engine.databases[index].evict_slot(slot)
        return True

    def _rebuild(self) -> None:
        """Queue every key there is, as if all were admitted long ago."""
        databases = self._engine.databases
        self._window.clear()
        self._main.clear()
        self._marks = [bytearray(len(database.keys)) for database in databases]
        self._generations = [database.generation for database in databases]
        for database in databases:
            for slot in database.slots.values():
                self._marks[database.index][slot] = _QUEUED
                self._main.append(slot * len(databases) + database.index)
        newest = [self._main.pop() for _ in range(len(self._main) // _WINDOW_SHARE)]
        self._window.extend(reversed(newest))
