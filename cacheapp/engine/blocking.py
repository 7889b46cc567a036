"""Clients that wait for keys: who waits for what, who is served first, and when waiting ends.

The engine never waits. A handler that finds nothing to do calls `Waiters.wait` and returns what
that returns: `BLOCKED`, or the answer of a timeout at once where waiting is not allowed (inside
MULTI and scripts). The waiter keeps an `attempt`, which is the work of the command for one key.

A database reports keys that somebody waits for: lists and sorted sets when they are made, streams
at each change and when they go. Once the command (or the transaction, or the script) is done,
`serve` looks at what each key then holds, key by key in the order in which they became ready.
Lists and sorted sets go to those who wait for their kind, in the order in which they began to
wait, until the key is gone; a stream is shown to all who wait for streams, and so is its end.
What an attempt changes may make further keys ready; `serve` ends when there are none.

As in Redis 7.0, a list or sorted set that takes the place of another value, without that having
been deleted first, is not one that is made (SORT and ZUNIONSTORE do this): nobody is served.

Deadlines are a heap, looked at by `Engine.tick` and by fronts, which ask when the next is due.
Nothing polls: a front that waits for a reply sleeps until its own deadline or its delivery.
"""

from __future__ import annotations

import heapq
import itertools
import math
from collections import Counter, OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cacheapp.engine.errors import CommandError
from cacheapp.engine.monitoring import log_slow
from cacheapp.engine.replies import BLOCKED, Reply
from cacheapp.engine.structures.stream import Stream

if TYPE_CHECKING:
    from cacheapp.engine.database import Database
    from cacheapp.engine.session import Session

# The work of a blocking command for a key that holds what it waits for: its reply. Of a stream,
# which is shown after each change and at its end, the answer None says that it is of no use yet.
Attempt = Callable[["Session", bytes], Reply]

# Longer waits (278 years) are for ever: operating systems do not take their length.
_NOISE_MS = 0.001
_TIMEOUT_MS_MAX = 2**43

_UNBLOCKED = "UNBLOCKED client unblocked via CLIENT UNBLOCK"


@dataclass(slots=True, eq=False)
class Waiter:
    """A session that waits: for which keys, until when, and what it will then be told."""

    session: Session
    database: Database
    keys: tuple[bytes, ...]
    kind: type | None
    attempt: Attempt
    deadline_ms: int
    timed_out: Reply
    order: int
    # Microseconds and arguments of a command that the slow log is to have once it is done.
    slow: tuple[int, list[bytes]] | None = None


class Waiters:
    """All waiting sessions of an engine."""

    __slots__ = ("_deadlines", "_kinds", "_numbers", "by_session", "paused_until_ms", "ready_keys")

    def __init__(self) -> None:
        self.by_session: dict[Session, Waiter] = {}
        # How many wait for each kind of value.
        self._kinds: Counter[type | None] = Counter()
        self._deadlines: list[tuple[int, int, Waiter]] = []
        # When commands that CLIENT PAUSE keeps are to run; 0 where there are none.
        self.paused_until_ms = 0
        # In the order in which they became ready; the engine looks whether there are any.
        self.ready_keys: dict[tuple[Database, bytes], None] = {}
        self._numbers = itertools.count()

    def wait(
        self,
        session: Session,
        keys: Sequence[bytes],
        kind: type | None,
        attempt: Attempt,
        *,
        timeout_ms: int,
        timed_out: Reply,
    ) -> Reply:
        """Let `session` wait for `keys` for `timeout_ms` (0: for ever) and return BLOCKED.

        `kind` is the class of the values that it waits for, None where it waits for none. Where
        waiting is not allowed, returns `timed_out` instead.
        """
        if session.may_not_wait:
            return timed_out
        ends = 0 < timeout_ms <= _TIMEOUT_MS_MAX
        # From the next whole millisecond on, lest it end early; a clock's last bits do not count.
        begun_ms = math.ceil(session.engine.now * 1000 - _NOISE_MS)
        deadline_ms = begun_ms + timeout_ms if ends else 0
        unique = tuple(dict.fromkeys(keys))
        waiter = Waiter(
            session, session.db, unique, kind, attempt, deadline_ms, timed_out, next(self._numbers)
        )
        self.by_session[session] = waiter
        self._kinds[kind] += 1
        for key in unique:
            # An OrderedDict, since a dict takes longer to find its first the more were taken.
            session.db.waiters.setdefault(key, OrderedDict())[waiter] = None
        if deadline_ms:
            heapq.heappush(self._deadlines, (deadline_ms, waiter.order, waiter))
        return BLOCKED

    def made(self, database: Database, key: bytes, value: Any) -> None:
        """Note that `key`, which somebody waits for, has come to be with this `value`."""
        if type(value) in self._kinds:
            self.ready_keys[database, key] = None

    def changed(self, database: Database, key: bytes, value: Any) -> None:
        """Note that the `value` of `key` changes or goes, if it is a stream that somebody reads."""
        if type(value) is Stream and Stream in self._kinds:
            self.ready_keys[database, key] = None

    def serve(self) -> None:
        """Give what has become ready to those who wait, until nothing more can be given."""
        while self.ready_keys:
            database, key = next(iter(self.ready_keys))
            del self.ready_keys[database, key]
            # What has fallen due since the command began is not given any more.
            database.engine.now = database.engine.clock.time()
            while (waiter := self._first_for(database, key)) is not None:
                self._attempt(waiter, key)
            if Stream in self._kinds:
                for waiter in list(database.waiters.get(key, ())):
                    if waiter.kind is Stream:
                        self._attempt(waiter, key)
            if database.engine.propagation is not None:
                # The key may have been due.
                database.engine.propagation.settle()

    def _first_for(self, database: Database, key: bytes) -> Waiter | None:
        """Who is next to be given the list or sorted set at `key`; None where that is nobody."""
        kind = type(database.peek(key))
        if kind is Stream or kind not in self._kinds:
            return None
        queue = database.waiters.get(key, ())
        return next((waiter for waiter in queue if waiter.kind is kind), None)

    def _attempt(self, waiter: Waiter, key: bytes) -> None:
        session = waiter.session
        tracking = session.engine.tracking
        act = tracking.enter(session)
        try:
            reply = waiter.attempt(session, key)
        except CommandError as error:
            reply = error
        if session.engine.propagation is not None:
            failure = session.engine.propagation.attempted(session)
            reply = reply if reply is None else failure or reply
        if reply is not None:
            self._end(waiter, reply)
        tracking.leave(act)

    def _end(self, waiter: Waiter, reply: Reply) -> None:
        session = waiter.session
        self.forget(session)
        if isinstance(reply, CommandError):
            stats = session.engine.stats
            stats.count_error(reply.code)
            stats.command(session.last_command).failed += 1
        if waiter.slow is not None:
            log_slow(session.engine, session, *waiter.slow)
        session.deliver(reply)

    def forget(self, session: Session) -> None:
        """Take `session` out of all queues without an answer (it is gone, or was answered)."""
        waiter = self.by_session.pop(session, None)
        if waiter is None:
            return
        self._kinds[waiter.kind] -= 1
        if not self._kinds[waiter.kind]:
            # So that `in` tells whether anybody waits.
            del self._kinds[waiter.kind]
        waiters = waiter.database.waiters
        for key in waiter.keys:
            queue = waiters.get(key)
            if queue is not None:
                queue.pop(waiter, None)
                if not queue:
                    del waiters[key]
        if len(self._deadlines) > 64 and len(self._deadlines) > 2 * len(self.by_session):
            self._deadlines = [
                entry
                for entry in self._deadlines
                if self.by_session.get(entry[2].session) is entry[2]
            ]
            heapq.heapify(self._deadlines)

    def unblock(self, session: Session, *, with_error: bool | str) -> bool:
        """End the waiting of `session` as if by timeout, or by an error; whether it waited.

        The error says that it was CLIENT UNBLOCK, or what `with_error` says.
        """
        waiter = self.by_session.get(session)
        if waiter is None:
            return False
        text = with_error if isinstance(with_error, str) else _UNBLOCKED
        self._end(waiter, CommandError(text) if with_error else waiter.timed_out)
        return True

    def end_overdue(self, now_ms: int) -> None:
        """Answer those whose time is up."""
        while self._deadlines and self._deadlines[0][0] <= now_ms:
            _, _, waiter = heapq.heappop(self._deadlines)
            if self.by_session.get(waiter.session) is waiter:
                self._end(waiter, waiter.timed_out)

    @property
    def timed(self) -> int:
        """How many clients wait for a bounded time."""
        return sum(self.by_session.get(entry[2].session) is entry[2] for entry in self._deadlines)

    def next_deadline_ms(self) -> int:
        """When the next waiting ends by itself, in milliseconds since the epoch; 0 for never."""
        paused_until_ms = self.paused_until_ms
        if not self._deadlines:
            return paused_until_ms
        deadline_ms = self._deadlines[0][0]
        return min(deadline_ms, paused_until_ms) if paused_until_ms else deadline_ms
