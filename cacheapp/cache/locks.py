"""redis-py's locks under the backend's policy over outages.

Without IGNORE_EXCEPTIONS they are redis-py's locks and nothing else. With it, no method raises
for a server that does not answer, and none pretends: ``acquire`` returns False, so that
``with cache.lock(...)`` raises redis-py's LockError ("unable to acquire"). In both modes the
breaker spares them the wait.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from redis.asyncio.lock import Lock as AsyncLock
from redis.lock import Lock

from cacheapp.cache.outage import SERVER_ERRORS, Outages


def _degrading(name: str, result: bool | None) -> Callable[..., Any]:
    original = getattr(Lock, name)

    def method(self: DegradingLock, *args: Any, **kwargs: Any) -> Any:
        outages = self.outages
        try:
            if outages.is_open:
                outages.admit()
            reply = original(self, *args, **kwargs)
        except SERVER_ERRORS as error:
            if not outages.failed(error, writes=True):
                raise
            return result
        if outages.is_open:
            outages.succeeded(writes=True)
        return reply

    return method


def _adegrading(name: str, result: bool | None) -> Callable[..., Any]:
    original = getattr(AsyncLock, name)

    async def method(self: AsyncDegradingLock, *args: Any, **kwargs: Any) -> Any:
        outages = self.outages
        try:
            if outages.is_open:
                outages.admit()
            reply = await original(self, *args, **kwargs)
        except SERVER_ERRORS as error:
            if not outages.failed(error, writes=True):
                raise
            return result
        if outages.is_open:
            outages.succeeded(writes=True)
        return reply

    return method


class DegradingLock(Lock):
    """A redis.lock.Lock under the alias's policy: ``outages``."""

    def __init__(self, *args: Any, outages: Outages, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.outages = outages

    acquire = _degrading("acquire", False)
    release = _degrading("release", None)
    locked = _degrading("locked", False)
    owned = _degrading("owned", False)
    extend = _degrading("extend", False)
    reacquire = _degrading("reacquire", False)


class AsyncDegradingLock(AsyncLock):
    """The same over redis.asyncio.lock.Lock."""

    def __init__(self, *args: Any, outages: Outages, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.outages = outages

    acquire = _adegrading("acquire", False)
    release = _adegrading("release", None)
    locked = _adegrading("locked", False)
    owned = _adegrading("owned", False)
    extend = _adegrading("extend", False)
    reacquire = _adegrading("reacquire", False)
