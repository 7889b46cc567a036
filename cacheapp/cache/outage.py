"""The one policy over a server that does not answer: raise, or degrade to an empty cache.

OPTIONS["IGNORE_EXCEPTIONS"] (django-redis's name; DJANGO_REDIS_IGNORE_EXCEPTIONS for all aliases)
chooses. Degraded, every operation gives what it gives on an empty cache that keeps nothing, in
its own return type, and nothing is raised. An outage is logged once when it begins and once when
it ends, and each failed operation is counted, in both modes.

A breaker spares callers the wait: after BREAKER_FAILURES connection failures in a row, operations
fail at once with CircuitOpenError for OPTIONS["BREAKER"] seconds, then one of them is let through
to try. It works in both modes, and an answer of the server, an error reply among them, closes it.

Left out on purpose: a breaker by kind of operation. A server that cannot be reached cannot be
reached for anything.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from time import monotonic
from typing import Final

from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import ResponseError
from redis.exceptions import TimeoutError as RedisTimeoutError

from cacheapp.cache.lost import Lost
from cacheapp.clients.forks import renews

logger = logging.getLogger("cacheapp.cache")

#: What counts as a failure of the server: django-redis's own list. ResponseError is in it for
#: OOM, LOADING, READONLY and their like.
SERVER_ERRORS: Final = (RedisConnectionError, RedisTimeoutError, ResponseError, TimeoutError)

#: Failures of the connection, in a row, after which the breaker opens. A single reset connection
#: among many good ones is no outage.
BREAKER_FAILURES: Final = 3
#: Seconds without an attempt, unless OPTIONS["BREAKER"] says otherwise.
BREAKER_SECONDS: Final = 1.0
_UNREACHABLE: Final = (RedisConnectionError, RedisTimeoutError, TimeoutError)


class CircuitOpenError(RedisConnectionError):
    """The server failed lately, and was not asked. Raised at once, without a wait."""


class Outages:
    """The state of one alias's server in this process. Safe to share between threads.

    ``failures`` counts the operations that failed since the process began. A server that answers
    reads and refuses writes (a replica, or one out of memory) is one outage, not one a request:
    it ends when what failed works again.
    """

    def __init__(
        self,
        alias: str,
        *,
        degrades: bool,
        breaker_seconds: float = BREAKER_SECONDS,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self.alias = alias
        self.degrades = degrades
        self._breaker_seconds = breaker_seconds
        self._clock = clock
        self._unreached = 0
        self._closed_until = 0.0
        self.failures = 0
        #: What failed writes have left on the server, while the alias degrades.
        self.lost = Lost(alias)
        #: Whether an outage lasts; read without the lock, since being late by one is no harm.
        self.is_open = False
        self._failing: set[bool] = set()  # holds True while writes fail, False while reads do
        self._failures_before = 0
        self._lock = threading.Lock()
        renews(self, "_lock")

    @property
    def is_unreached(self) -> bool:
        """Whether the server gave no answer at all when it was last asked."""
        return self._unreached > 0

    def admit(self) -> None:
        """Let an operation through, or raise CircuitOpenError; to be asked while ``is_open``.

        When the pause is over, one operation gets through and the pause begins anew; its answer
        ends it.
        """
        if self._unreached < BREAKER_FAILURES or not self._breaker_seconds:
            return
        now = self._clock()
        with self._lock:
            if now >= self._closed_until:
                self._closed_until = now + self._breaker_seconds
                return
        raise CircuitOpenError(
            f"The server of cache {self.alias!r} failed lately; the next attempt is in "
            f"{self._closed_until - now:.1f} s"
        )

    def refuses(self) -> bool:
        """Whether the breaker would refuse an operation that degrades. If so, it is counted.

        For who has more to do than to fail: an exception costs more than the rest of the call.
        """
        if not self.is_open or not self.degrades or self._unreached < BREAKER_FAILURES:
            return False
        with self._lock:
            if self._clock() >= self._closed_until:
                return False
            self.failures += 1
        return True

    def failed(self, error: BaseException, *, writes: bool) -> bool:
        """Record that an operation failed. Returns whether its caller degrades (else: raises)."""
        with self._lock:
            self.failures += 1
            if not isinstance(error, _UNREACHABLE):
                self._unreached = 0
            elif not isinstance(error, CircuitOpenError):
                self._unreached += 1
                self._closed_until = self._clock() + self._breaker_seconds
            begins = not self._failing
            self._failing.add(writes)
            if begins:
                self.is_open = True
                self._failures_before = self.failures - 1
        if begins and self.degrades:
            logger.error(
                "Cache %r is degraded, as IGNORE_EXCEPTIONS asks, until its server answers: %s: %s",
                self.alias,
                type(error).__name__,
                error,
            )
        return self.degrades

    def succeeded(self, *, writes: bool) -> None:
        """Record that the server answered. A write that works says that reads do."""
        with self._lock:
            self._unreached = 0
            self._failing.discard(False)
            if writes:
                self._failing.clear()
            ends = self.is_open and not self._failing
            if ends:
                self.is_open = False
            count = self.failures - self._failures_before
        if ends and self.degrades:
            logger.warning("Cache %r answers again; %d operations failed", self.alias, count)
