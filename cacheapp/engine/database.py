"""One numbered database: keys, values, deadlines, and the cursor of SCAN.

A key owns a *slot*, an index into parallel columns (key, value, deadline, last access), and one
dict leads from key to slot. Against one dict a column this costs one hash look-up a command
instead of three, about a third less memory, and gives the garbage collector nothing to visit. It
also makes SCAN right by construction: an entry never moves while it lives, so walking the slots
in order returns everything that is there throughout, at O(COUNT) a call.

Slots of deleted keys are reused. Where hardly any slot of a large database is in use any more, the
columns are rebuilt; the cursor carries a generation, and a scan that was under way begins again,
which may repeat keys (SCAN allows that) but never misses one.

Every mutation by a command ends in `changed()`. Handlers use the lookups below and never touch the
columns; `shortcuts`, `expiry` and `eviction` of this package do.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from cacheapp.engine.errors import WRONG_TYPE, CommandError
from cacheapp.engine.frequency import lfu_start
from cacheapp.engine.values import STRING, entry_bytes, string_bytes
from cacheapp.engine.watching import touch_watchers, touch_watchers_of

if TYPE_CHECKING:
    from cacheapp.engine.blocking import Waiter
    from cacheapp.engine.engine import Engine
    from cacheapp.engine.fieldexpiry import FieldDeadlines
    from cacheapp.engine.session import Session

# The cursor's low bits are the slot, the rest the generation.
_GENERATION_SHIFT = 40
# Slots a SCAN call looks at, at most, for each key that it was asked for, and at least in all.
_SCAN_SLOTS_PER_COUNT = 10
_SCAN_SLOTS_MIN = 1000
# Columns are rebuilt when free slots exceed this multiple of the live ones, beyond a minimum; and
# only for as few live ones, since nobody goes on meanwhile.
_SPARSE_FACTOR = 15
_SPARSE_SLOTS_MIN = 4096
_REBUILT_SLOTS_MAX = 2048


class Database:
    """Keys with their values and deadlines (milliseconds since the epoch, 0 for none)."""

    __slots__ = (
        "accesses",
        "deadlines",
        "engine",
        "field_deadlines",
        "free",
        "generation",
        "index",
        "keys",
        "sizes",
        "slots",
        "sweep",
        "values",
        "volatile",
        "waiters",
        "watchers",
    )

    def __init__(self, engine: Engine, index: int) -> None:
        self.engine = engine
        self.index = index
        self.watchers: dict[bytes, set[Session]] = {}
        # Sessions blocked on a key, in the order in which they began to wait.
        self.waiters: dict[bytes, dict[Waiter, None]] = {}
        self.generation = 0
        self._clear_columns()

    def _clear_columns(self) -> None:
        self.slots: dict[bytes, int] = {}
        self.keys: list[bytes | None] = []
        self.values: list[Any] = []
        self.deadlines = array("q")
        self.accesses = array("d")
        # Estimated bytes of each slot; kept only under a memory limit.
        self.sizes: array[int] | None = None
        # An array: a list would hold an int object a slot, and take its time to give them back.
        self.free = array("q")
        # Hashes with deadlines of fields; None until there is one.
        self.field_deadlines: FieldDeadlines | None = None
        self.volatile = 0
        self.sweep = 0

    def __len__(self) -> int:
        """The number of keys, those included that are due but not yet reclaimed (as DBSIZE)."""
        return len(self.slots)

    # Looking up

    def _slot(self, key: bytes) -> int:
        """The slot of a key that is there and not due, else -1; a due key is deleted here.

        But for a CLIENT PAUSE and on a replica, where nothing expires: there it only seems gone.
        """
        slot = self.slots.get(key)
        if slot is None:
            return -1
        deadline = self.deadlines[slot]
        # Most deadlines lie beyond this very moment, which needs no whole milliseconds to tell.
        if not deadline or deadline >= self.engine.now * 1000.0:
            return slot
        if deadline < self.engine.now_ms:
            if not self.engine.keeps_due:
                self.expire_slot(slot)
            return -1
        return slot

    def is_due(self, slot: int) -> bool:
        """Whether the key in `slot` is past its deadline, and not yet reclaimed."""
        return 0 < self.deadlines[slot] < self.engine.now_ms

    def touch_slot(self, slot: int) -> None:
        """Record an access, as the policy wants it."""
        engine = self.engine
        touch = engine.touch
        if touch is None:
            self.accesses[slot] = engine.now
        else:
            touch(self, slot)

    def get(self, key: bytes) -> Any:
        """The value for reading, or None; counts a hit or a miss and an access."""
        value = self.look(key)
        if value is not None:
            self.touch_slot(self.slots[key])
        return value

    def read(self, key: bytes, kind: Any) -> Any:
        """As `get`, for a value of the class or classes `kind`; raises WRONGTYPE for others."""
        slot = self.slots.get(key)
        engine = self.engine
        if slot is None:
            engine.stats.keyspace_misses += 1
            if engine.event_flags:
                self.notify(b"keymiss", key)
            return None
        deadline = self.deadlines[slot]
        if deadline and deadline < engine.now * 1000.0 and deadline < engine.now_ms:
            return self.get(key)
        engine.stats.keyspace_hits += 1
        if engine.touch is None:
            self.accesses[slot] = engine.now
        else:
            engine.touch(self, slot)
        value = self.values[slot]
        if type(value) is kind or isinstance(value, kind):
            return value
        raise CommandError(WRONG_TYPE)

    def edit(self, key: bytes, kind: Any) -> Any:
        """The value for changing, or None; counts an access; raises WRONGTYPE for another kind."""
        slot = self.slots.get(key)
        if slot is None:
            return None
        engine = self.engine
        deadline = self.deadlines[slot]
        if deadline and deadline < engine.now_ms:
            self.expire_slot(slot)
            return None
        if engine.touch is None:
            self.accesses[slot] = engine.now
        else:
            engine.touch(self, slot)
        value = self.values[slot]
        if type(value) is kind or isinstance(value, kind):
            return value
        raise CommandError(WRONG_TYPE)

    def read_string(self, key: bytes) -> bytes | None:
        """The bytes of a string for reading, None where the key is missing; else WRONGTYPE."""
        value = self.read(key, STRING)
        return value if value is None or type(value) is bytes else string_bytes(value)

    def look(self, key: bytes) -> Any:
        """As `get`, but no access is recorded (EXISTS, TYPE, TTL)."""
        engine = self.engine
        slot = self.slots.get(key)
        if slot is not None:
            deadline = self.deadlines[slot]
            if not deadline or deadline >= engine.now * 1000.0 or self._slot(key) >= 0:
                engine.stats.keyspace_hits += 1
                return self.values[slot]
        engine.stats.keyspace_misses += 1
        self.notify(b"keymiss", key)
        return None

    def look_deadline(self, key: bytes) -> int:
        """As `look`, for when the key is due; see `deadline`."""
        engine = self.engine
        slot = self.slots.get(key)
        if slot is not None:
            deadline = self.deadlines[slot]
            if not deadline or deadline >= engine.now * 1000.0 or self._slot(key) >= 0:
                engine.stats.keyspace_hits += 1
                return deadline
        engine.stats.keyspace_misses += 1
        self.notify(b"keymiss", key)
        return -1

    def peek(self, key: bytes) -> Any:
        """The value or None, without counting anything (OBJECT, TTL, DEBUG …)."""
        slot = self._slot(key)
        return None if slot < 0 else self.values[slot]

    def __contains__(self, key: bytes) -> bool:
        """Whether the key is there and not due; counts nothing."""
        return self._slot(key) >= 0

    def access(self, key: bytes) -> float:
        """The access number of a key that is there (see `eviction`)."""
        return self.accesses[self.slots[key]]

    # Changing

    def put(self, key: bytes, value: Any, *, keep_deadline: bool = False) -> None:
        """Bind `key` to `value`; an old value goes, and its deadline unless `keep_deadline`.

        The caller still calls `changed`.
        """
        engine = self.engine
        slot = self.slots.get(key, -1)
        if (
            slot >= 0
            and (deadline := self.deadlines[slot])
            and deadline < engine.now * 1000.0
            and deadline < engine.now_ms
        ):
            self.expire_slot(slot)
            slot = -1
        if slot < 0:
            self.insert(key, value, lfu_start(engine.now) if engine.lfu else engine.now)
            if engine.event_flags:
                self.notify(b"new", key)
            if self.waiters and key in self.waiters:
                engine.waiters.made(self, key, value)
            return
        if self.waiters and key in self.waiters:
            engine.waiters.changed(self, key, self.values[slot])
        if self.field_deadlines is not None:
            self.field_deadlines.forget(key)
        self.values[slot] = value
        if not keep_deadline and self.deadlines[slot]:
            self.deadlines[slot] = 0
            self.volatile -= 1
        if engine.touch is None:
            self.accesses[slot] = engine.now
        else:
            engine.touch(self, slot)

    def put_strings(self, pairs: Sequence[bytes]) -> None:
        """Bind keys to strings, given in turn, as SET does for each, `changed` included."""
        engine = self.engine
        slots, values, deadlines, accesses = self.slots, self.values, self.deadlines, self.accesses
        now = engine.now
        # Whether to overwrite a value is all that there is to do.
        plain = (
            engine.touch is None
            and not engine.event_flags
            and not self.waiters
            and self.sizes is None
            and self.field_deadlines is None
        )
        nothing: dict[bytes, int] = {}
        find = (slots if plain else nothing).get
        watchers, others = self.watchers, 0
        for key, value in zip(pairs[::2], pairs[1::2], strict=True):
            slot = find(key)
            if slot is None or deadlines[slot]:
                self.put(key, value)
                self.changed(key, b"set")
                others += 1
                continue
            values[slot] = value
            accesses[slot] = now
            if watchers:
                touch_watchers_of(self, key)
        engine.dirty += len(pairs) // 2 - others

    def replace(self, key: bytes, value: Any) -> None:
        """Let another representation of the same value take its place; no change to anybody."""
        self.values[self.slots[key]] = value

    def insert(self, key: bytes, value: Any, access: float) -> int:
        """Give the new `key` a slot; `access` is its first access number."""
        if self.free:
            slot = self.free.pop()
            self.keys[slot] = key
            self.values[slot] = value
            self.accesses[slot] = access
        else:
            slot = len(self.keys)
            self.keys.append(key)
            self.values.append(value)
            self.deadlines.append(0)
            self.accesses.append(access)
            if self.sizes is not None:
                self.sizes.append(0)
        self.slots[key] = slot
        return slot

    def _release(self, slot: int) -> None:
        key = self.keys[slot]
        assert key is not None
        if self.waiters and key in self.waiters:
            self.engine.waiters.changed(self, key, self.values[slot])
        if self.field_deadlines is not None:
            self.field_deadlines.forget(key)
        del self.slots[key]
        self.keys[slot] = None
        self.values[slot] = None
        if self.sizes is not None:
            self.engine.used_bytes -= self.sizes[slot]
            self.sizes[slot] = 0
        if self.deadlines[slot]:
            self.deadlines[slot] = 0
            self.volatile -= 1
        self.free.append(slot)

    def discard(self, key: bytes) -> bool:
        """Take `key` away without event or mark; whether it was there. See `delete`."""
        slot = self._slot(key)
        if slot < 0:
            return False
        self._release(slot)
        return True

    def delete(self, key: bytes, event: bytes = b"del") -> bool:
        """Take `key` away and announce it as `event`; whether it was there."""
        if not self.discard(key):
            return False
        self.changed(key, event)
        return True

    def changed(self, key: bytes, event: bytes | None = None) -> None:
        """The one call that ends every mutation of `key`: WATCH, dirty counter, notification."""
        engine = self.engine
        engine.dirty += 1
        if self.sizes is not None:
            self._weigh(key)
        if self.watchers:
            touch_watchers_of(self, key)
        if self.waiters and key in self.waiters and (slot := self.slots.get(key)) is not None:
            engine.waiters.changed(self, key, self.values[slot])
        if engine.event_flags:
            engine.announce(key, event, self.index)

    def noted(self, key: bytes, event: bytes | None = None) -> None:
        """As `changed`, for what WATCH and waiting clients do not see: the groups of a stream."""
        engine = self.engine
        engine.dirty += 1
        if self.sizes is not None:
            self._weigh(key)
        if event is not None and engine.event_flags:
            engine.notify(event, key, self.index)

    def _weigh(self, key: bytes) -> None:
        """Bring the memory account up to date for `key`."""
        slot = self.slots.get(key)
        if slot is not None and self.sizes is not None:
            size, before = entry_bytes(key, self.values[slot]), self.sizes[slot]
            self.engine.used_bytes += size - before
            self.sizes[slot] = size
            if not before and self.engine.tinylfu is not None:
                self.engine.tinylfu.arrived(self, slot)

    def keep_account(self, wanted: bool) -> None:
        """Begin (weighing every key) or cease to account for memory."""
        if not wanted:
            self.sizes = None
        elif self.sizes is None:
            self.sizes = array("q", bytes(8 * len(self.keys)))
            for key in self.slots:
                self._weigh(key)

    def removed_from(self, key: bytes, value: Any, event: bytes) -> None:
        """End a command that took elements out of a collection: an empty one goes with its key."""
        self.changed(key, event)
        if not value:
            self.delete(key)

    def notify(self, event: bytes, key: bytes) -> None:
        """Publish an event that is not a change (keymiss, new) where notifications ask for it."""
        if self.engine.event_flags:
            self.engine.notify(event, key, self.index)

    # Deadlines

    def deadline(self, key: bytes) -> int:
        """When `key` is due, in milliseconds since the epoch; 0 for never, -1 if it is missing."""
        slot = self.slots.get(key)
        if slot is not None:
            deadline = self.deadlines[slot]
            if not deadline or deadline >= self.engine.now * 1000.0:
                return deadline
            slot = self._slot(key)
        return -1 if slot is None or slot < 0 else self.deadlines[slot]

    def set_deadline(self, key: bytes, deadline_ms: int) -> None:
        """Make the existing `key` due at `deadline_ms`; 0 takes its deadline away."""
        slot = self.slots[key]
        if not self.deadlines[slot]:
            self.volatile += 1
        if not deadline_ms:
            self.volatile -= 1
        self.deadlines[slot] = deadline_ms

    def postpone(self, key: bytes, deadline_ms: int) -> None:
        """As `set_deadline`, with an access."""
        self.touch_slot(self.slots[key])
        self.set_deadline(key, deadline_ms)

    def expire_slot(self, slot: int) -> None:
        """Delete the key in `slot`, which is due, and say so."""
        key = self.keys[slot]
        assert key is not None
        self._release(slot)
        self.engine.stats.expired_keys += 1
        self.changed(key, b"expired")
        if self.engine.propagation is not None:
            self.engine.propagation.removed(self, key, evicted=False)

    def evict_slot(self, slot: int) -> None:
        """Drop the key in `slot` because memory is short, and say so."""
        key = self.keys[slot]
        assert key is not None
        self._release(slot)
        self.engine.stats.evicted_keys += 1
        self.changed(key, b"evicted")
        if self.engine.propagation is not None:
            self.engine.propagation.removed(self, key, evicted=True)

    # Walking

    def scan(self, cursor: int, count: int) -> tuple[int, list[bytes]]:
        """Keys from `cursor` on, about `count`, and the cursor to go on from (0: all seen)."""
        generation, start = cursor >> _GENERATION_SHIFT, cursor & (1 << _GENERATION_SHIFT) - 1
        if generation != self.generation & 0xFFFFFF:
            start = 0
        keys: list[bytes] = []
        end = min(len(self.keys), start + max(count * _SCAN_SLOTS_PER_COUNT, _SCAN_SLOTS_MIN))
        position = start
        while position < end and len(keys) < count:
            key = self.keys[position]
            if key is not None and self._slot(key) >= 0:
                keys.append(key)
            position += 1
        if position >= len(self.keys):
            return 0, keys
        return (self.generation & 0xFFFFFF) << _GENERATION_SHIFT | position, keys

    def __iter__(self) -> Iterator[bytes]:
        """All keys that are not due, over a snapshot (KEYS, DEBUG DIGEST)."""
        return (key for key in list(self.slots) if self._slot(key) >= 0)

    def compact_if_sparse(self) -> None:
        """Rebuild the columns where nearly all slots are free."""
        live = len(self.slots)
        if live > _REBUILT_SLOTS_MAX:
            return
        if len(self.free) <= max(_SPARSE_SLOTS_MIN, live * _SPARSE_FACTOR):
            return
        slots = self.slots
        order = list(slots.values())
        self.keys = [self.keys[slot] for slot in order]
        self.values = [self.values[slot] for slot in order]
        self.deadlines = array("q", [self.deadlines[slot] for slot in order])
        self.accesses = array("d", [self.accesses[slot] for slot in order])
        if self.sizes is not None:
            self.sizes = array("q", [self.sizes[slot] for slot in order])
        # The dict stays: to free one that was large takes longer than all the rest.
        for slot, key in enumerate(self.keys):
            assert key is not None
            slots[key] = slot
        self.free = array("q")
        self.sweep = 0
        self.generation += 1

    # The whole database

    def clear(self) -> int:
        """Drop every key, without events; return how many there were."""
        count = len(self.slots)
        touch_watchers(self, None)
        for key in self.waiters:
            if (slot := self.slots.get(key)) is not None:
                self.engine.waiters.changed(self, key, self.values[slot])
        accounted = self.sizes is not None
        if self.sizes is not None:
            self.engine.used_bytes -= sum(self.sizes)
        self._clear_columns()
        self.keep_account(accounted)
        self.generation += 1
        self.engine.dirty += count
        return count

    def swap_contents(self, other: Database) -> None:
        """Exchange all keys with `other`; sessions and watchers stay where they are."""
        engine = self.engine
        touch_watchers(self, other)
        touch_watchers(other, self)
        for name in (
            "slots", "keys", "values", "deadlines", "accesses", "sizes", "free", "volatile",
            "sweep", "field_deadlines",
        ):  # fmt: skip
            mine, theirs = getattr(self, name), getattr(other, name)
            setattr(self, name, theirs)
            setattr(other, name, mine)
        self.generation += 1
        other.generation += 1
        for database, before in ((self, other), (other, self)):
            for key in database.waiters:
                for place, report in (
                    (database, engine.waiters.made), (before, engine.waiters.changed)
                ):  # fmt: skip
                    if (slot := place.slots.get(key)) is not None:
                        report(database, key, place.values[slot])
