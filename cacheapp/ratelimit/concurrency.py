"""``ConcurrencyLimiter``: at most so many at once, by leases that end by themselves.

A lease is a place that is given back when the work is done, or taken back after ``lease_s`` when
the process that had it is gone. On the server it is a member of a sorted set, whose score is the
lease's end by the server's clock.

    exports = ConcurrencyLimiter("exports", limit=3, lease_s=60)
    with exports.slot("user:5") as slot:
        if not slot: ...       # all three are taken

Left out on purpose: waiting for a place. A web request should answer, and say when to come back.
"""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from hashlib import blake2b
from typing import Final

from django.core.exceptions import ImproperlyConfigured

from cacheapp.cache.servers import SERVER_ERRORS, server_of
from cacheapp.ratelimit.algorithms import ACQUIRE

#: The most places that one set keeps.
LIMIT_MAX: Final = 100_000
LEASE_S_MAX: Final = 7 * 86_400


@dataclass(slots=True)
class Slot:
    """A place, or its refusal. True in a boolean context if it was given.

    ``remaining`` places are free; ``retry_after_s`` is when the first lease ends at the latest.
    """

    taken: bool
    name: bytes
    remaining: int
    retry_after_s: float

    def __bool__(self) -> bool:
        return self.taken


class ConcurrencyLimiter:
    """At most ``limit`` leases at once for an identity, each for ``lease_s`` seconds.

    While the server does not answer, ``on_failure`` "open" gives places and "closed" none. Raises
    ImproperlyConfigured.
    """

    def __init__(
        self,
        name: str,
        limit: int,
        lease_s: float = 60.0,
        *,
        alias: str = "default",
        on_failure: str = "open",
    ) -> None:
        if type(limit) is not int or not 0 <= limit <= LIMIT_MAX:
            raise ImproperlyConfigured(f"limit is {limit!r}; it is from 0 to {LIMIT_MAX}")
        if not 0 < lease_s <= LEASE_S_MAX:
            raise ImproperlyConfigured(f"lease_s is {lease_s!r}; it is from 0 to {LEASE_S_MAX}")
        if on_failure not in ("open", "closed"):
            raise ImproperlyConfigured(f"on_failure is {on_failure!r}; it is open or closed")
        self.name = name
        self.limit = limit
        self.lease_ms = max(1, round(lease_s * 1000))
        self.alias = alias
        self.on_failure = on_failure

    def key(self, identity: str) -> bytes:
        """Return the server's key for ``identity``."""
        digest = blake2b(identity.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()
        return f"{server_of(self.alias).prefix}:concurrency:{self.name}:{digest}".encode()

    def acquire(self, identity: str, name: bytes | None = None) -> Slot:
        """Take a place, or keep the one called ``name`` for another lease."""
        name = name or _new_name()
        try:
            reply = server_of(self.alias).run(
                ACQUIRE, (self.key(identity),), (self.limit, self.lease_ms, name)
            )
        except SERVER_ERRORS:
            return self._unanswered(name)
        return _slot(name, reply)

    async def aacquire(self, identity: str, name: bytes | None = None) -> Slot:
        """See acquire()."""
        name = name or _new_name()
        try:
            reply = await server_of(self.alias).arun(
                ACQUIRE, (self.key(identity),), (self.limit, self.lease_ms, name)
            )
        except SERVER_ERRORS:
            return self._unanswered(name)
        return _slot(name, reply)

    def release(self, identity: str, slot: Slot) -> bool:
        """Give a place back. Returns whether it was still held; its lease may have ended."""
        if not slot.taken:
            return False
        try:
            return bool(server_of(self.alias).client().zrem(self.key(identity), slot.name))
        except SERVER_ERRORS:
            return False  # the lease ends by itself

    async def arelease(self, identity: str, slot: Slot) -> bool:
        """See release()."""
        server = server_of(self.alias)
        if server.in_process or not slot.taken:
            return self.release(identity, slot)
        try:
            return bool(await server.async_client().zrem(self.key(identity), slot.name))
        except SERVER_ERRORS:
            return False

    @contextmanager
    def slot(self, identity: str) -> Iterator[Slot]:
        """A place for the length of a block; look whether it was given."""
        slot = self.acquire(identity)
        try:
            yield slot
        finally:
            self.release(identity, slot)

    @asynccontextmanager
    async def aslot(self, identity: str) -> AsyncIterator[Slot]:
        """See slot()."""
        slot = await self.aacquire(identity)
        try:
            yield slot
        finally:
            await self.arelease(identity, slot)

    def _unanswered(self, name: bytes) -> Slot:
        return Slot(self.on_failure == "open", name, 0, self.lease_ms / 1000)


def _new_name() -> bytes:
    return secrets.token_hex(8).encode()


def _slot(name: bytes, reply: list[int]) -> Slot:
    taken, remaining, wait_us = reply
    return Slot(bool(taken), name, remaining, wait_us / 1_000_000)
