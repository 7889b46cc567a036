"""What `manage.py cacheapp_worker` runs: it gathers batches of one queue and hands them over.

One ``Worker`` is one consumer of the queue's group. It reads what is new, takes over what others
had in hand for too long (XAUTOCLAIM), calls the handler, and acknowledges and deletes in one
MULTI what was handled. How often an entry was begun is counted by the server, so one that
kills its worker each time is set aside as well, unread.

It ends on an event, after the batch in hand. What it only gathered stays pending, and is taken
over.
"""

from __future__ import annotations

import inspect
import logging
import os
import secrets
import socket
import threading
from collections.abc import Callable
from time import monotonic
from typing import Any, Final

from asgiref.sync import async_to_sync
from django.db import close_old_connections
from redis.exceptions import RedisError, ResponseError

from cacheapp.cache.writebehind import BODY, DEAD_MAX, ERROR, GROUP, ID, TRIES, Item, WriteBehind

logger = logging.getLogger("cacheapp.cache")

Entry = tuple[bytes, dict[bytes, bytes]]

#: Milliseconds that one blocking read waits at most, so that an end is noticed.
BLOCK_MS_MAX: Final = 1000
#: Seconds until a failed batch is tried again: the first, doubled each time, and the most.
RETRY_S: Final = 0.2
RETRY_S_MAX: Final = 5.0
#: Seconds between two attempts at a server that does not answer.
OUTAGE_S: Final = 2.0
#: Milliseconds after which a consumer that has nothing in hand is taken for gone.
GONE_MS: Final = 3_600_000
_ERROR_SIZE_MAX: Final = 500


def consumer_name() -> str:
    """Return a name that no other worker has, and that says where it runs."""
    return f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(4)}"


class Worker:
    """One consumer of one queue. ``stop`` ends it; the timer is an argument."""

    def __init__(
        self,
        queue: WriteBehind,
        stop: threading.Event,
        *,
        name: str | None = None,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self.queue = queue
        self.name = name or consumer_name()
        self.stop = stop
        self.handled = 0
        self.set_aside = 0
        self._clock = clock
        self._claim_at = 0.0
        self._stopped_at_dead = False
        self._client = queue.server.client()
        self._stream = queue.stream
        self._block_ms = _block_ms(self._client)
        handler = queue.handler
        self._handle: Callable[[list[Item]], Any] = (
            async_to_sync(handler) if inspect.iscoroutinefunction(handler) else handler
        )

    def run(self) -> None:
        """Work until ``stop`` is set. An outage is logged once and waited for."""
        is_out = False
        while not self.stop.is_set():
            try:
                self.step()
                is_out = False
            except RedisError as error:
                if not is_out:
                    logger.error("Queue %r waits for its server: %s", self.queue.name, error)
                is_out = True
                self.stop.wait(OUTAGE_S)
        self._leave()

    def step(self, *, waits: bool = True) -> int:
        """Take over, gather and flush once. Returns how many entries were dealt with.

        Without ``waits`` it takes what is there. Raises redis-py's errors.
        """
        if self._is_blocked():
            if waits:
                self.stop.wait(OUTAGE_S)
            return 0
        dealt = 0
        if self._clock() >= self._claim_at:
            self._claim_at = self._clock() + self.queue.claim_after_s / 2
            dealt = self._take_over()
        entries = self._gather(waits=waits and not dealt)
        return dealt + self._flush(entries)

    # Gathering

    def _gather(self, *, waits: bool) -> list[Entry]:
        """Read until a batch is full, or ``max_delay`` after its first entry."""
        entries: list[Entry] = []
        due = None
        while len(entries) < self.queue.batch_size and not self.stop.is_set():
            block_ms = self._block_ms
            if due is not None:
                left_ms = int((due - self._clock()) * 1000)
                if left_ms <= 0:
                    break
                block_ms = min(block_ms, left_ms)
            entries += self._read(self.queue.batch_size - len(entries), block_ms if waits else None)
            if not waits or (not entries and due is None):
                break
            if due is None:
                due = self._clock() + self.queue.max_delay_s
        return entries

    def _read(self, count: int, block_ms: int | None) -> list[Entry]:
        try:
            found = self._client.xreadgroup(
                GROUP, self.name, {self._stream: ">"}, count=count, block=block_ms
            )
        except ResponseError as error:
            if not str(error).startswith("NOGROUP"):
                raise
            self._make_group()
            return []
        if isinstance(found, dict):  # RESP3
            found = [(stream, pages[0]) for stream, pages in found.items() if pages]
        return [entry for _, entries in found or () for entry in entries]

    def _make_group(self) -> None:
        try:
            self._client.xgroup_create(self._stream, GROUP, id="0", mkstream=True)
        except ResponseError as error:
            if not str(error).startswith("BUSYGROUP"):
                raise

    def _take_over(self) -> int:
        """Deal with what workers had in hand for too long: those that died, and none else."""
        dealt, cursor = 0, "0-0"
        idle_ms = int(self.queue.claim_after_s * 1000)
        while not self.stop.is_set():
            try:
                cursor, entries, _ = self._client.xautoclaim(
                    self._stream, GROUP, self.name, idle_ms, cursor, count=self.queue.batch_size
                )
            except ResponseError as error:
                if not str(error).startswith("NOGROUP"):
                    raise
                self._make_group()
                return dealt
            if entries:
                logger.warning(
                    "Queue %r: %d entries taken over from workers that did not finish them",
                    self.queue.name,
                    len(entries),
                )
                dealt += self._flush(self._without_killers(entries))
            if cursor in (b"0-0", "0-0"):
                break
        self._forget_the_gone()
        return dealt

    def _without_killers(self, entries: list[Entry]) -> list[Entry]:
        """Set aside those that were begun often enough, and return the others."""
        begun = {}
        for entry, _ in entries:
            for row in self._client.xpending_range(self._stream, GROUP, entry, entry, 1):
                begun[entry] = row["times_delivered"]
        kept = []
        for entry, fields in entries:
            count = begun.get(entry, 1)
            if count > self.queue.tries:
                self._put_aside(entry, fields, "Its workers ended without finishing it", count - 1)
            else:
                kept.append((entry, fields))
        return kept

    def _forget_the_gone(self) -> None:
        for row in self._client.xinfo_consumers(self._stream, GROUP):
            name = row["name"].decode() if isinstance(row["name"], bytes) else row["name"]
            if name != self.name and not row["pending"] and row["idle"] > GONE_MS:
                self._client.xgroup_delconsumer(self._stream, GROUP, name)

    def _leave(self) -> None:
        """Take this consumer out of the group, if it has nothing in hand that others need."""
        try:
            pending = self._client.xpending_range(
                self._stream, GROUP, "-", "+", 1, consumername=self.name
            )
            if not pending:
                self._client.xgroup_delconsumer(self._stream, GROUP, self.name)
        except RedisError as error:
            logger.info("Queue %r: %s stays a consumer: %s", self.queue.name, self.name, error)

    # Handing over

    def _flush(self, entries: list[Entry]) -> int:
        items: list[tuple[Entry, Item]] = []
        for entry in entries:
            item = self.queue.item(*entry)
            if item is None:
                self._put_aside(*entry, "The payload cannot be read: another key or serializer?", 0)
            else:
                items.append((entry, item))
        if items and not self._try(items):
            return len(entries) - len(items)
        return len(entries)

    def _try(self, items: list[tuple[Entry, Item]]) -> bool:
        """Hand a batch over until it works or is set aside. False if ``stop`` came before."""
        for attempt in range(1, self.queue.tries + 1):
            error = self._call([item for _, item in items])
            if error is None:
                self._done([entry for (entry, _), _ in items])
                return True
            logger.warning(
                "Queue %r: try %d of %d of a batch of %d failed: %s: %s",
                self.queue.name,
                attempt,
                self.queue.tries,
                len(items),
                type(error).__name__,
                error,
            )
            if attempt < self.queue.tries:
                # All tries together stay well within the time after which others take over.
                most = min(RETRY_S_MAX, self.queue.claim_after_s / (2 * self.queue.tries))
                if self.stop.wait(min(RETRY_S * 2 ** (attempt - 1), most)):
                    return False
        for (entry, fields), item in items:
            # One at a time, so that the healthy ones do not share the fate of one.
            alone = error if len(items) == 1 else self._call([item])
            if alone is None:
                self._done([entry])
            else:
                reason = f"{type(alone).__name__}: {alone}"
                self._put_aside(entry, fields, reason, self.queue.tries)
        return True

    def _call(self, items: list[Item]) -> Exception | None:
        close_old_connections()
        try:
            self._handle(items)
        except Exception as error:  # noqa: BLE001 - a handler may raise anything; it is kept
            return error
        finally:
            close_old_connections()
        return None

    def _done(self, entries: list[bytes]) -> None:
        pipeline = self._client.pipeline(transaction=True)
        pipeline.xack(self._stream, GROUP, *entries).xdel(self._stream, *entries).execute()
        self.handled += len(entries)

    def _put_aside(self, entry: bytes, fields: dict[bytes, bytes], error: str, tries: int) -> None:
        kept: dict[Any, Any] = {
            ID: fields.get(ID, b""),
            BODY: fields.get(BODY, b""),
            ERROR: error[:_ERROR_SIZE_MAX],
            TRIES: tries,
        }
        pipeline = self._client.pipeline(transaction=True)
        pipeline.xadd(self.queue.dead_stream, kept)
        pipeline.xack(self._stream, GROUP, entry).xdel(self._stream, entry).execute()
        self.set_aside += 1
        logger.error(
            "Queue %r: an entry was set aside, see `cacheapp_worker --dead %s`: %s",
            self.queue.name,
            self.queue.name,
            error,
        )

    def _is_blocked(self) -> bool:
        """Whether so much was set aside that it is the handler that is broken."""
        is_blocked = self._client.xlen(self.queue.dead_stream) >= DEAD_MAX
        if is_blocked and not self._stopped_at_dead:
            logger.error(
                "Queue %r stands still: %d entries are set aside. Mend the handler, then "
                "`cacheapp_worker --revive %s`, or `--discard`",
                self.queue.name,
                DEAD_MAX,
                self.queue.name,
            )
        self._stopped_at_dead = is_blocked
        return is_blocked


def _block_ms(client: Any) -> int:
    """How long a read may block: shorter than the client's own timeout."""
    timeout = client.connection_pool.connection_kwargs.get("socket_timeout")
    return BLOCK_MS_MAX if timeout is None else max(1, min(BLOCK_MS_MAX, int(timeout * 500)))
