"""Scripts in their native form: a Python function that does what a Lua script does, without Lua.

A part of this package that needs several commands as one sends a real server a Lua script. On an
engine in the same process the same steps can be a Python function, run under the engine's lock
like any command: no Lua runtime, no conversion of values, a fifth of the time. The function gets
`call`, which runs a command's handler as `redis.call` would, the time, the keys and the arguments.

It is run only where nobody could tell it from EVALSHA: not for a session inside MULTI, under an
ACL or muted, nor while MONITOR, CLIENT PAUSE or a very low slowlog threshold would have to see it,
nor where memory is short. There `run` returns NOT_NATIVE, and the caller sends the script.

Most of what needs to be atomic is smaller: look at one string, decide, replace it. `updater` does
that with a function of the string, the time and the arguments, which knows no commands at all.

Left out on purpose: the checks of arguments that `Engine.execute` makes. A native form is code of
this package, and its commands are right.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from cacheapp.engine.propagation import also
from cacheapp.engine.registry import COMMANDS
from cacheapp.engine.replies import Reply
from cacheapp.engine.watching import touch_watchers_of

if TYPE_CHECKING:
    from cacheapp.engine.session import Session

# Runs one command: its name in upper case, then bytes. The reply is RESP3-shaped; it raises
# CommandError.
Call = Callable[..., Reply]
# call, microseconds since the epoch, keys, arguments (as the caller gave them) -> result.
Native = Callable[[Call, int, Sequence[bytes], Sequence[Any]], Any]
Runner = Callable[[Native, Sequence[bytes], Sequence[Any]], Any]
# The string at the key or None, microseconds, arguments -> result, the new string or None to leave
# the old one, milliseconds until it is due.
Update = Callable[[bytes | None, int, Sequence[Any]], tuple[Any, bytes | None, int]]

# What `run` returns instead of having run.
NOT_NATIVE = object()


def runner(session: Session) -> Runner:
    """A function `run(native, keys, arguments)` that runs a native form for `session`.

    It returns what the native form does, or NOT_NATIVE; CommandError as from a script.
    """
    engine = session.engine
    acquire, release = engine.lock.acquire, engine.lock.release

    def call(name: bytes, *arguments: bytes) -> Reply:
        return COMMANDS[name].handler(session, *arguments)

    def call_and_tell(name: bytes, *arguments: bytes) -> Reply:
        reply, raised = None, None
        try:
            reply = COMMANDS[name].handler(session, *arguments)
        except BaseException as error:
            raised = error
            raise
        finally:
            if engine.propagation is not None:
                words = [name, *arguments]
                engine.propagation.performed(session, COMMANDS[name], words, reply, raised)
        return reply

    def run(native: Native, keys: Sequence[bytes], arguments: Sequence[Any]) -> Any:
        acquire()
        engine.epoch += 1
        try:
            if session.special or not engine.allows_native():
                return NOT_NATIVE
            doing = call if engine.propagation is None else call_and_tell
            try:
                return native(doing, int(engine.now * 1_000_000), keys, arguments)
            finally:
                if engine.propagation is not None:
                    engine.propagation.settle()
                if engine.waiters.ready_keys:
                    engine.waiters.serve()
                engine.stats.native_scripts += 1
        finally:
            engine.epoch += 1
            release()

    return run


def updater(session: Session, otherwise: Callable[..., Any]) -> Callable[..., Any]:
    """A function `update(script, key, arguments)`: GET, `script.update` decides, SET with PX.

    It is one command, and returns what the script's function does. While the engine is at rest it
    goes to the columns itself, as `shortcuts` do; else it hands the call to `otherwise`.
    """
    engine, limits = session.engine, session.engine.config.values
    clock, stats = engine.clock.time, engine.stats
    acquire, release = engine.lock.acquire, engine.lock.release

    def update(script: Any, key: bytes, arguments: Sequence[Any]) -> Any:
        acquire()
        try:
            now, db = clock(), session.db
            if (
                now < engine.write_until
                and not session.special
                and not db.waiters
                and (db.sizes is None or engine.used_bytes <= limits["maxmemory"])
            ):
                now_us = int(now * 1_000_000)
                now_ms = now_us // 1000
                slot = db.slots.get(key)
                if slot is None:
                    held, deadline = None, 0
                else:
                    held, deadline = db.values[slot], db.deadlines[slot]
                    if 0 < deadline < now_ms:
                        held = None
                if held is None or type(held) is bytes:
                    result, value, ttl_ms = script.update(held, now_us, arguments)
                    stats.native_scripts += 1
                    if value is None:
                        return result
                    engine.epoch += 1
                    try:
                        if slot is None:
                            slot = db.insert(key, value, now)
                        else:
                            db.values[slot] = value
                            db.accesses[slot] = now
                        if not deadline:
                            db.volatile += 1
                        db.deadlines[slot] = now_ms + ttl_ms
                        if db.sizes is None:
                            engine.dirty += 1
                            if db.watchers:
                                touch_watchers_of(db, key)
                        else:
                            db.changed(key)
                    finally:
                        engine.epoch += 1
                    return result
        finally:
            release()
        return otherwise(script, key, arguments)

    return update


def update_slowly(session: Session, decide: Update, key: bytes, arguments: Sequence[Any]) -> Any:
    """What `updater` does, for an engine in any state: the result, or NOT_NATIVE.

    Raises CommandError for a key of another type.
    """
    engine, db = session.engine, session.db
    with engine.lock:
        engine.epoch += 1
        try:
            if session.special or not engine.allows_native():
                return NOT_NATIVE
            engine.stats.native_scripts += 1
            held = db.read_string(key)
            result, value, ttl_ms = decide(held, int(engine.now * 1_000_000), arguments)
            if value is not None:
                db.put(key, value)
                db.set_deadline(key, engine.now_ms + ttl_ms)
                db.changed(key, b"set")
                db.notify(b"expire", key)
                due = b"%d" % db.deadline(key)
                also(session, b"SET", key, value, b"PXAT", due)
            return result
        finally:
            if engine.propagation is not None:
                engine.propagation.settle()
            if engine.waiters.ready_keys:
                engine.waiters.serve()
            engine.epoch += 1
