"""``write_through``: one call that writes the database and the cache, in the order of commits.

Written by hand it goes wrong in two ways. A reader that read the old row before the commit stores
it after the writer stored the new one; and of two writers the one that committed first may store
last. Either way the cache is wrong until the timeout.

Here a writer first puts a *write lease* at the key (see ``entries``). It ends every fill lease, so
readers that computed from the old row are refused, and what readers compute while it stands is
given to them and not kept. After the commit the value takes its place, in one step, if this was
the only write and nobody touched the key. Where several were open at once none of them knows who
committed last, so the last to end leaves the key missing, and the next reader asks the database.

A writer that dies, or whose outer transaction is rolled back, leaves its lease, which runs out
after ``lease`` seconds; until then the key is only uncached. A transaction longer than that is
still safe once it ends: the key is deleted then.

Left out on purpose: writing the cache before the commit. It may never come.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from django.core.cache.backends.base import DEFAULT_TIMEOUT
from django.db import transaction

from cacheapp.cache import entries, prefixes
from cacheapp.cache import tags as tagging
from cacheapp.cache.effects import DOWN, Ask, Course, arun, run
from cacheapp.cache.leases import CLOSE_WRITE, OPEN_WRITE
from cacheapp.cache.outage import SERVER_ERRORS
from cacheapp.cache.steps import run_script

if TYPE_CHECKING:
    from cacheapp.cache.backend import CacheBackend

logger = logging.getLogger("cacheapp.cache")

#: Seconds that a write lease lives: longer than transactions take.
LEASE_S: Final = 60.0
#: What CLOSE_WRITE takes for "nothing is to be stored".
_NOTHING_MS: Final = -1


class _Write:
    """One write: its lease, from before the transaction until after it."""

    def __init__(
        self,
        cache: CacheBackend,
        key: Any,
        timeout: Any,
        version: Any,
        tags: Iterable[Any],
        lease: float,
    ) -> None:
        if not lease > 0:
            raise ValueError(f"lease must be a number of seconds above zero, not {lease!r}")
        self._cache = cache
        self._name = cache.storage_key(key, version)
        self._tags = [*tagging.tag_names(tags), *prefixes.tags_of(cache, self._name)]
        self._ttl_ms = cache.ttl_ms(timeout)
        self._lease_ms = round(lease * 1000)
        self._token = entries.new_token()
        self._versions: Any = ()
        self._raw = b""

    def open(self) -> Course:
        """Put the lease at the key, and learn the versions of the tags."""
        arguments = [self._token, self._lease_ms]
        # Early, since nothing is committed yet.
        announced = partial(self._cache.write_computed, (self._name,))
        yield Ask(run_script(OPEN_WRITE, [self._name], arguments, announced))
        if self._tags:
            self._versions = yield Ask(tagging.versions(self._cache, self._tags, self._life_ms()))

    def _life_ms(self) -> int | None:
        return None if self._ttl_ms is None else self._ttl_ms + self._lease_ms

    def hold(self, value: Any) -> None:
        """Make the bytes to store, while the transaction can still be rolled back."""
        self._raw = self._cache.codec.encode(value, self._name)

    def close(self, *, stores: bool) -> Course:
        """End the lease; the value takes its place where it can."""
        ttl_ms, raw = _NOTHING_MS, b""
        if stores and self._ttl_ms != 0 and self._versions is not DOWN:
            ttl_ms, raw = self._ttl_ms or 0, self._raw
            if self._versions:
                raw = entries.pack_head(0, 0.0, self._versions) + raw
        arguments = [self._token, raw, ttl_ms]
        announced = partial(
            self._cache.write if stores else self._cache.write_computed, (self._name,)
        )
        steps = run_script(CLOSE_WRITE, [self._name], arguments, announced)
        if (yield Ask(steps, raises=stores)) is DOWN:
            self._cache._outages.lost.add((self._name,))


def write_through(
    self: CacheBackend,
    key: Any,
    write: Callable[[], Any],
    timeout: Any = DEFAULT_TIMEOUT,
    version: Any = None,
    *,
    using: str | None = None,
    tags: Iterable[Any] = (),
    lease: float = LEASE_S,
) -> Any:
    """Call ``write`` in a transaction, and cache what it returns when that is committed.

    ``write`` writes the database ``using`` and returns the value for ``key``. Returns that value.
    Inside an outer transaction the value is cached after the outer commit. What ``write`` raises
    is raised, with nothing written and nothing cached; so is an error of the server before the
    transaction, unless the alias degrades. ``lease`` is in seconds; see the module.
    """
    begun = _Write(self, key, timeout, version, tags, lease)
    try:
        run(self, begun.open())
        with transaction.atomic(using=using):
            value = write()
            begun.hold(value)
            # Robust: the row is committed, and a caller that got an error would think it is not.
            transaction.on_commit(
                lambda: run(self, begun.close(stores=True)), using=using, robust=True
            )
    except BaseException:
        run(self, begun.close(stores=False))
        raise
    return value


async def awrite_through(
    self: CacheBackend,
    key: Any,
    write: Callable[[], Any],
    timeout: Any = DEFAULT_TIMEOUT,
    version: Any = None,
    *,
    tags: Iterable[Any] = (),
    lease: float = LEASE_S,
) -> Any:
    """Await ``write()``, a coroutine function, and cache what it returns. See write_through().

    Django has no asynchronous transactions: ``write`` is to have committed when it returns.
    """
    begun = _Write(self, key, timeout, version, tags, lease)
    try:
        await arun(self, begun.open())
        value = await write()
        begun.hold(value)
    except BaseException:
        await arun(self, begun.close(stores=False))
        raise
    try:
        await arun(self, begun.close(stores=True))
    except SERVER_ERRORS as error:
        # As Django does with what on_commit() runs: an error would say that nothing was written.
        logger.error(
            "A row is written, but not to cache %r: its key is uncached for %s s at most: %s",
            self.state.alias,
            lease,
            error,
        )
    return value
