"""What `shortcuts` and `native` do for strings, for hashes: records that many requests share.

`fields_getter` is HGETALL without the lock. `fields_setter` is the commonest of small scripts on a
hash: if it exists, PEXPIRE and HSET as one. Both hold while engine and session are at rest and the
key holds a plain hash; `fields_setter` declines otherwise, and its caller sends the script.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from cacheapp.engine.session import Session
from cacheapp.engine.structures.hash import Hash
from cacheapp.engine.watching import touch_watchers_of

FieldsGetter = Callable[[bytes], dict[bytes, bytes]]
FieldsSetter = Callable[[bytes, Sequence[bytes], int], bool | None]

_LISTPACK_ENTRIES, _LISTPACK_VALUE = "hash-max-listpack-entries", "hash-max-listpack-value"


def fields_getter(session: Session, otherwise: FieldsGetter) -> FieldsGetter:
    """A function `fetch_fields(key)` that does HGETALL for `session`; see `shortcuts.getter`."""
    engine = session.engine
    clock, stats = engine.clock.time, engine.stats

    def fetch_fields(key: bytes) -> dict[bytes, bytes]:
        epoch = engine.epoch
        now = clock()
        if not epoch & 1 and now < engine.fast_reads_until and not session.special:
            db = session.db
            try:
                slot = db.slots[key]
                held = db.values[slot]
                deadline = db.deadlines[slot]
                if type(held) is Hash and (not deadline or deadline >= now * 1000.0):
                    found = held.as_dict()
                    if engine.epoch == epoch:
                        db.accesses[slot] = now
                        stats.fast_hgetalls += 1
                        return found
            except (KeyError, IndexError):
                pass
        return otherwise(key)

    return fetch_fields


def fields_setter(session: Session) -> FieldsSetter:
    """A function `set_fields(key, pairs, ttl_ms)`.

    If there is a hash at `key`, it sets fields and values, given in turn, and has it due in
    `ttl_ms` (positive) milliseconds: True. False is for no such key. None is for a state in which
    it did nothing.
    """
    engine = session.engine
    clock, stats, limits = engine.clock.time, engine.stats, engine.config.values
    acquire, release = engine.lock.acquire, engine.lock.release

    def set_fields(key: bytes, pairs: Sequence[bytes], ttl_ms: int) -> bool | None:
        acquire()
        try:
            now, db = clock(), session.db
            if (
                now >= engine.write_until
                or db.waiters
                or session.special
                or ttl_ms <= 0
                or (db.sizes is not None and engine.used_bytes > limits["maxmemory"])
            ):
                return None
            slot = db.slots.get(key)
            deadline = 0 if slot is None else db.deadlines[slot]
            if slot is None or (deadline and deadline < now * 1000.0):
                stats.native_scripts += 1
                return False
            held = db.values[slot]
            if type(held) is not Hash:
                return None
            engine.epoch += 1
            try:
                if len(pairs) == 2:
                    held.put(pairs[0], pairs[1], limits[_LISTPACK_ENTRIES], limits[_LISTPACK_VALUE])
                elif pairs:
                    held.put_many(pairs, limits[_LISTPACK_ENTRIES], limits[_LISTPACK_VALUE])
                if not deadline:
                    db.volatile += 1
                db.deadlines[slot] = int(now * 1000) + ttl_ms
                db.accesses[slot] = now
                if db.sizes is None:
                    engine.dirty += 1
                    if db.watchers:
                        touch_watchers_of(db, key)
                else:
                    db.changed(key)
            finally:
                engine.epoch += 1
            stats.native_scripts += 1
            return True
        finally:
            release()

    return set_fields
