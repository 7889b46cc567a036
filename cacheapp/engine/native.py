"""Scripts in their native form: a Python function that does what a Lua script does, without Lua.

A part of this package that needs several commands as one sends a real server a Lua script. On an
engine in the same process the same steps can be a Python function, run under the engine's lock
like any command: no Lua runtime, no conversion of values, a fifth of the time. The function gets
`call`, which runs a command's handler as `redis.call` would, the time, the keys and the arguments.

It is run only where nobody could tell it from EVALSHA: not for a session inside MULTI, under an
ACL or muted, nor while MONITOR, CLIENT PAUSE or a very low slowlog threshold would have to see it,
nor where memory is short. There `run` returns NOT_NATIVE, and the caller sends the script.

Left out on purpose: the checks of arguments that `Engine.execute` makes. A native form is code of
this package, and its commands are right.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from cacheapp.engine.registry import COMMANDS
from cacheapp.engine.replies import Reply

if TYPE_CHECKING:
    from cacheapp.engine.session import Session

# Runs one command: its name in upper case, then bytes. The reply is RESP3-shaped; it raises
# CommandError.
Call = Callable[..., Reply]
# call, microseconds since the epoch, keys, arguments (as the caller gave them) -> result.
Native = Callable[[Call, int, Sequence[bytes], Sequence[Any]], Any]
Runner = Callable[[Native, Sequence[bytes], Sequence[Any]], Any]

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

    def run(native: Native, keys: Sequence[bytes], arguments: Sequence[Any]) -> Any:
        acquire()
        try:
            if session.special or not engine.allows_native():
                return NOT_NATIVE
            engine.epoch += 1
            try:
                return native(call, int(engine.now * 1_000_000), keys, arguments)
            finally:
                if engine.waiters.ready_keys:
                    engine.waiters.serve()
                engine.stats.native_scripts += 1
                engine.epoch += 1
        finally:
            release()

    return run
