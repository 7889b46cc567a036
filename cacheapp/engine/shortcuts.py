"""The hottest commands without the way through `Engine.execute`.

A cache hit spends its time between the caller and the value, so these build, for one session,
functions that do what executing the command would: same clock, same expiry, same counters. They
hold while engine and session are at rest. In any state in which Redis's other checks matter
(MULTI, authentication, notifications, LFU, for writes a memory limit) they hand the call to
`execute`. Arguments are bytes already; replies are what `execute` returns.

Reads take no lock. `Engine.epoch` is odd while anything runs under the lock and has moved on when
it is done; a reader that finds it odd, or moved, asks again through `execute`. So a read never
sees the middle of a transaction, and pays two attribute loads for it instead of a lock.

`runner` is for all other commands: `execute` for one of them, its row looked up beforehand.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Sequence

from cacheapp.engine.registry import COMMANDS
from cacheapp.engine.replies import OK, Reply, to_resp2
from cacheapp.engine.session import Session
from cacheapp.engine.stats import TIMES_MAX
from cacheapp.engine.watching import touch_watchers_of

# Beyond it a deadline might not fit 64 bits; SET has the error for that.
_TTL_MS_MAX = 2**62
# GETs that are worth being looked at together.
_HITS_MIN = 4

Getter = Callable[[bytes], bytes | None]
MultiGetter = Callable[[Sequence[bytes]], list[bytes | None]]
Hits = Callable[[Sequence[bytes]], "list[bytes] | None"]
Setter = Callable[[bytes, bytes, int], Reply]
MultiSetter = Callable[[Iterable[tuple[bytes, bytes]], int], Reply]
Runner = Callable[..., Reply]
# What takes over where a shortcut does not apply: `Engine.execute`, or a front's own with its
# own exceptions around it.
Execute = Callable[[Session, list[bytes]], Reply]


def getter(session: Session, execute: Execute | None = None) -> Getter:
    """A function `get(key)` that does GET for `session`."""
    engine = session.engine
    clock, stats = engine.clock.time, engine.stats
    run = runner(session, b"GET")
    whole: Getter = run if execute is None else lambda key: execute(session, [b"GET", key])

    def get(key: bytes) -> bytes | None:
        epoch = engine.epoch
        now = clock()
        if not epoch & 1 and now < engine.fast_reads_until and not session.special:
            db = session.db
            try:
                slot = db.slots[key]
                value = db.values[slot]
                deadline = db.deadlines[slot]
                if (
                    type(value) is bytes
                    and (not deadline or deadline >= now * 1000.0)
                    and engine.epoch == epoch
                ):
                    db.accesses[slot] = now
                    stats.fast_gets += 1
                    return value
            except (KeyError, IndexError):
                pass
        return whole(key)

    return get


def mgetter(session: Session, execute: Execute | None = None) -> MultiGetter:
    """A function `mget(keys)` that does MGET for `session`."""
    engine = session.engine
    clock, execute, stats = engine.clock.time, execute or engine.execute, engine.stats

    def mget(keys: Sequence[bytes]) -> list[bytes | None]:
        epoch = engine.epoch
        now = clock()
        if not epoch & 1 and now < engine.fast_reads_until and not session.special:
            db = session.db
            slots, values, deadlines, accesses = db.slots, db.values, db.deadlines, db.accesses
            now_ms = now * 1000.0
            found: list[bytes | None] = []
            try:
                for key in keys:
                    slot = slots[key]
                    value = values[slot]
                    deadline = deadlines[slot]
                    if type(value) is not bytes or (deadline and deadline < now_ms):
                        break
                    accesses[slot] = now
                    found.append(value)
                else:
                    if found and engine.epoch == epoch:
                        stats.fast_mgets += 1
                        stats.keyspace_hits += len(found)
                        return found
            except (KeyError, IndexError):
                pass
        reply: list[bytes | None] = execute(session, [b"MGET", *keys])
        return reply

    return mget


def gets(session: Session) -> Hits:
    """A function `get_each(keys)` that does a GET for each of `keys`: a pipeline of hits.

    It returns None, and has done nothing, where one of them is more than a hit.
    """
    engine = session.engine
    clock, stats = engine.clock.time, engine.stats

    def get_each(keys: Sequence[bytes]) -> list[bytes] | None:
        epoch = engine.epoch
        now = clock()
        if epoch & 1 or now >= engine.fast_reads_until or session.special:
            return None
        db = session.db
        slots, values, deadlines, accesses = db.slots, db.values, db.deadlines, db.accesses
        now_ms = now * 1000.0
        found: list[bytes] = []
        try:
            for key in keys:
                slot = slots[key]
                value = values[slot]
                deadline = deadlines[slot]
                if type(value) is not bytes or (deadline and deadline < now_ms):
                    return None
                accesses[slot] = now
                found.append(value)
        except (KeyError, IndexError):
            return None
        if engine.epoch != epoch:
            return None
        stats.fast_gets += len(found)
        return found

    return get_each


def only_hits(get_each: Hits, commands: Sequence[list[bytes]]) -> list[bytes] | None:
    """The replies of `commands` where all are GETs and hits; else None, and nothing has run."""
    keys = [args[1] for args in commands if len(args) == 2 and args[0] == b"GET"]
    if len(keys) < len(commands) or len(keys) < _HITS_MIN:
        return None
    return get_each(keys)


def setter(session: Session, execute: Execute | None = None) -> Setter:
    """A function `set(key, value, ttl_ms)` that does SET key value PX ttl_ms (0: no deadline)."""
    engine = session.engine
    clock, stats = engine.clock.time, engine.stats
    # Called by name: that is a fifth of the whole cheaper than `with`.
    acquire, release = engine.lock.acquire, engine.lock.release
    execute = execute or engine.execute

    def set_(key: bytes, value: bytes, ttl_ms: int) -> Reply:
        acquire()
        try:
            now = clock()
            db = session.db
            if (
                now < engine.write_until
                and 0 <= ttl_ms < _TTL_MS_MAX
                and db.sizes is None
                and not db.waiters
                and not session.special
            ):
                slot = db.slots.get(key)
                engine.epoch += 1
                try:
                    if slot is None:
                        slot = db.insert(key, value, now)
                    else:
                        db.values[slot] = value
                        db.accesses[slot] = now
                    deadlines = db.deadlines
                    if ttl_ms:
                        if not deadlines[slot]:
                            db.volatile += 1
                        deadlines[slot] = int(now * 1000) + ttl_ms
                    elif deadlines[slot]:
                        db.volatile -= 1
                        deadlines[slot] = 0
                    engine.dirty += 1
                    stats.fast_sets += 1
                    if db.watchers:
                        touch_watchers_of(db, key)
                finally:
                    engine.epoch += 1
                return OK
        finally:
            release()
        if ttl_ms:
            return execute(session, [b"SET", key, value, b"PX", b"%d" % ttl_ms])
        return execute(session, [b"SET", key, value])

    return set_


def msetter(session: Session) -> MultiSetter:
    """A function `mset(pairs, ttl_ms)` that sets all of `pairs`, atomically (0: no deadline)."""
    engine, set_one = session.engine, setter(session)
    lock, clock, stats = engine.lock, engine.clock.time, engine.stats

    def mset(pairs: Iterable[tuple[bytes, bytes]], ttl_ms: int) -> Reply:
        with lock:
            now = clock()
            db = session.db
            if (
                now >= engine.write_until
                or session.special
                or db.sizes is not None
                or db.waiters
                or not 0 <= ttl_ms < _TTL_MS_MAX
            ):
                told = engine.propagation
                with contextlib.nullcontext() if told is None else told.together():
                    for key, value in pairs:
                        set_one(key, value, ttl_ms)
                return OK
            due = int(now * 1000) + ttl_ms if ttl_ms else 0
            slots, values, deadlines, accesses = db.slots, db.values, db.deadlines, db.accesses
            count = added = 0
            engine.epoch += 1
            try:
                for key, value in pairs:
                    slot = slots.get(key)
                    if slot is None:
                        slot = db.insert(key, value, now)
                    else:
                        values[slot] = value
                        accesses[slot] = now
                    added += (due != 0) - (deadlines[slot] != 0)
                    deadlines[slot] = due
                    count += 1
                    if db.watchers:
                        touch_watchers_of(db, key)
            finally:
                db.volatile += added
                engine.dirty += count
                stats.fast_sets += count
                engine.epoch += 1
            return OK

    return mset


def runner(session: Session, name: bytes) -> Runner:
    """A function `run(first, …)` that executes the command `name` for `session`.

    The caller sees to it that the arguments, one at least, are as many as the command takes.
    """
    engine, row = session.engine, COMMANDS[name]
    handler, display, shaped = row.handler, row.display, row.shaped
    clock, execute = engine.clock.time, engine.execute
    stats, waiters = engine.stats, engine.waiters
    acquire, release = engine.lock.acquire, engine.lock.release

    def words(*arguments: bytes | None) -> list[bytes]:
        return [name, *[argument for argument in arguments if argument is not None]]

    def run(
        first: bytes, second: bytes | None = None, third: bytes | None = None, *rest: bytes
    ) -> Reply:
        acquire()
        now = clock()
        if now >= engine.rest_until or session.special:
            release()
            return execute(session, words(first, second, third, *rest))
        engine.epoch += 1
        try:
            engine.now = session.last_active = now
            session.last_command = display
            try:
                # Passing arguments on with a star takes as long as a short handler.
                if second is None:
                    reply = handler(session, first)
                elif third is None:
                    reply = handler(session, first, second)
                elif not rest:
                    reply = handler(session, first, second, third)
                else:
                    reply = handler(session, first, second, third, *rest)
            except BaseException as error:
                engine.ended(session, row, words(first, second, third, *rest), now, None, error)
                if waiters.ready_keys:
                    waiters.serve()
                raise
            elapsed = clock() - now
            stat = stats.commands.get(display)
            if stat is None or elapsed >= engine.notable_seconds:
                engine.ended(session, row, words(first, second, third, *rest), now, reply)
            else:
                times = stat.times
                times.append(elapsed)
                if len(times) > TIMES_MAX:
                    stat.settle()
            if waiters.ready_keys:
                waiters.serve()
            if shaped and session.protocol == 2:
                return to_resp2(reply)
            return reply
        finally:
            engine.epoch += 1
            release()

    return run
