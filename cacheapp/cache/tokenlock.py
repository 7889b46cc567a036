"""``cache.token_lock``: a lock that expires, knows its holder, and numbers its turns.

A lock with a deadline can be lost while its holder is paused, and nothing that the lock itself
does prevents the holder from going on (Kleppmann, "How to do distributed locking", 2016). So each
turn has a *fencing number*, larger than any before it: what is protected remembers the largest
that it has seen, and refuses a smaller one. And nothing pretends: ``release`` and ``extend`` say
whether the lock was still held, and ``with`` raises LockLostError where it was not.

Waiters look at growing, jittered intervals, until ``wait`` seconds are over. One lock object is
one holder: make one each time, as ``cache.token_lock(...)`` does.

The lock stands beside the alias's values: ``clear()`` leaves it alone, and near caches never see
it. ``cache.lock`` is redis-py's. Left out on purpose: re-entrance, and majorities of servers.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any, Final

from redis.exceptions import ResponseError

from cacheapp.cache.aside import intervals
from cacheapp.cache.effects import DOWN, Ask, Course, Pause, arun, run
from cacheapp.cache.entries import new_token
from cacheapp.cache.errors import LockLostError, LockTimeoutError
from cacheapp.cache.keys import encode_key
from cacheapp.cache.steps import run_script
from cacheapp.clients.scripts import Script

if TYPE_CHECKING:
    from cacheapp.cache.backend import CacheBackend

Call = Callable[..., Any]

_LUA: Final = Path(__file__).parent / "lua"
#: Milliseconds that a fencing number is remembered beyond its turn.
_FENCE_MS: Final = 86_400_000


def _lock(call: Call, now_us: int, keys: Sequence[bytes], arguments: Sequence[Any]) -> int:
    (key, fence_key), (token, ttl_ms) = keys, arguments
    if call(b"GET", key) not in (None, token):
        return -max(call(b"PTTL", key), 0)
    fence = max(int(call(b"GET", fence_key) or 0) + 1, now_us)
    call(b"SET", key, token, b"PX", b"%d" % ttl_ms)
    call(b"SET", fence_key, b"%d" % fence, b"PX", b"%d" % (ttl_ms + _FENCE_MS))
    return fence


def _unlock(call: Call, _now_us: int, keys: Sequence[bytes], arguments: Sequence[Any]) -> Any:
    (key,), (token,) = keys, arguments
    return call(b"DEL", key) if call(b"GET", key) == token else 0


def _extend(call: Call, _now_us: int, keys: Sequence[bytes], arguments: Sequence[Any]) -> Any:
    (key,), (token, ttl_ms) = keys, arguments
    return call(b"PEXPIRE", key, b"%d" % ttl_ms) if call(b"GET", key) == token else 0


LOCK: Final = Script.load(_LUA / "lock.lua", _lock)
UNLOCK: Final = Script.load(_LUA / "unlock.lua", _unlock)
EXTEND: Final = Script.load(_LUA / "extend.lua", _extend)


def _milliseconds(name: str, seconds: float) -> int:
    if isinstance(seconds, bool) or not (0.001 <= seconds < math.inf):
        raise ValueError(f"{name} must be a number of seconds, at least 0.001, not {seconds!r}")
    return round(seconds * 1000)


class TokenLock:
    """One holder's view of a lock. Made by ``cache.token_lock``; see the module.

    ``with`` and ``async with`` wait for it, give the lock, and release it. ``fence`` is the
    number of this turn, None before it and after its end.
    """

    def __init__(self, cache: CacheBackend, key: Any, timeout: float, wait: float) -> None:
        self.key = key
        self.fence: int | None = None
        self._cache = cache
        self._ttl_ms = _milliseconds("timeout", timeout)
        if not 0 <= wait < math.inf:
            raise ValueError(f"wait must be a finite number of seconds, not {wait!r}")
        self._wait_s = wait
        # One a turn, so that a turn that was lost cannot end a later one.
        self._token = b""
        # The braces keep the two on one server of a cluster.
        name = f"{cache.key_prefix}:lock:{{{key}}}"
        self._names = [encode_key(name), encode_key(f"{name}:fence")]

    def acquire(self, wait: float | None = None) -> bool:
        """Wait ``wait`` seconds at most (the lock's own unless given). Returns whether it is held.

        Raises redis-py's errors, or returns False where the alias degrades.
        """
        return bool(run(self._cache, self._acquire(wait)))

    async def aacquire(self, wait: float | None = None) -> bool:
        """See acquire()."""
        return bool(await arun(self._cache, self._acquire(wait)))

    def release(self) -> bool:
        """Free the lock. False if it was not held any more: another may have had a turn."""
        return bool(run(self._cache, self._release()))

    async def arelease(self) -> bool:
        """See release()."""
        return bool(await arun(self._cache, self._release()))

    def extend(self, timeout: float | None = None) -> bool:
        """Hold it ``timeout`` seconds from now on, the lock's own unless given.

        False if it was not held any more: stop, others may be at work.
        """
        return bool(run(self._cache, self._extend(timeout)))

    async def aextend(self, timeout: float | None = None) -> bool:
        """See extend()."""
        return bool(await arun(self._cache, self._extend(timeout)))

    def owned(self) -> bool:
        """Say whether the lock is held by this object, as far as the server knows."""
        return bool(run(self._cache, self._owned()))

    async def aowned(self) -> bool:
        """See owned()."""
        return bool(await arun(self._cache, self._owned()))

    def __enter__(self) -> TokenLock:
        """Acquire it. Raises LockTimeoutError."""
        return self._entered(self.acquire())

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        """Release it. Raises LockLostError if it was lost and nothing else went wrong."""
        self._left(run(self._cache, self._release(raises=error is None)), error)

    async def __aenter__(self) -> TokenLock:
        """See __enter__()."""
        return self._entered(await self.aacquire())

    async def __aexit__(self, kind: object, error: object, trace: object) -> None:
        """See __exit__()."""
        self._left(await arun(self._cache, self._release(raises=error is None)), error)

    def _entered(self, is_held: bool) -> TokenLock:
        if not is_held:
            raise LockTimeoutError(
                f"The lock {self.key!r} was not free within {self._wait_s} s, or its server does "
                "not answer: wait longer, or do without"
            )
        return self

    def _left(self, released: Any, error: object) -> None:
        if not released and error is None:
            raise LockLostError(
                f"The lock {self.key!r} ran out after {self._ttl_ms / 1000} s, before the work was "
                "done: give it a longer timeout, or call extend() in between. Where it matters, "
                "let what the lock protects compare `fence`."
            )

    def _acquire(self, wait: float | None) -> Course:
        until = monotonic() + (self._wait_s if wait is None else wait)
        pauses, token = intervals(), new_token()
        while True:
            asking = Ask(run_script(LOCK, self._names, [token, self._ttl_ms]))
            # Cancelled, or without a reply, it may have been given: nobody would release it.
            giving_back = Ask(run_script(UNLOCK, self._names[:1], [token]), raises=False)
            try:
                reply = yield asking
            except (GeneratorExit, ResponseError):
                raise
            except BaseException:
                yield giving_back
                raise
            if reply is DOWN:
                if asking.is_unsure:
                    yield giving_back
                return False
            if reply > 0:
                self.fence, self._token = reply, token
                return True
            left_s = until - monotonic()
            if left_s <= 0:
                return False
            yield Pause(min(next(pauses), left_s))

    def _release(self, *, raises: bool = True) -> Course:
        self.fence = None
        unlocking = run_script(UNLOCK, self._names[:1], [self._token])
        released = yield Ask(unlocking, raises=raises)
        return released is not DOWN and released

    def _extend(self, timeout: float | None) -> Course:
        ttl_ms = self._ttl_ms if timeout is None else _milliseconds("timeout", timeout)
        extended = yield Ask(run_script(EXTEND, self._names[:1], [self._token, ttl_ms]))
        return extended is not DOWN and extended

    def _owned(self) -> Course:
        def ask() -> Any:
            return (yield lambda client: client.get(self._names[0]))

        return (yield Ask(ask(), writes=False)) == self._token


def token_lock(
    self: CacheBackend, key: Any, timeout: float = 30.0, wait: float = 10.0
) -> TokenLock:
    """Return a lock named ``key`` that lives ``timeout`` seconds; acquiring waits ``wait`` seconds.

    Nothing is sent yet. Raises ValueError for times that cannot be.
    """
    return TokenLock(self, key, timeout, wait)
