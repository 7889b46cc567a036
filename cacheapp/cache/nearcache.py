"""The bounded store of copies in this process: stored bytes by the server's key.

A copy is served while two clocks allow it: its own deadline (the key's on the server, ``ttl`` at
the most) and the lease, which the listener renews and which covers all copies at once. A hit takes
no lock and moves nothing: it marks the copy as used, and eviction gives those a second round. The
lease is looked at before the copy is looked for: the other way round, a listener that comes back
from a long outage could drop the copy that was just found, and renew the lease, in between.

The fill race is closed by marks. A fill says which key it is going to ask for; an invalidation that
comes before its answer takes the mark away, and what has lost its mark is not kept.

A copy past its lease is given to nobody but ``outlived``, which is for outages, and for ``stale_s``
seconds.

Copies are bytes as stored, decoded at each hit: no two callers share an object, and the size is
known.
Left out on purpose: copies of missing keys, and I/O of any kind.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable
from math import inf
from time import monotonic
from typing import Any, Final

#: What one copy costs beside its key and its value: dict, two bytes objects, Copy, float.
OVERHEAD_BYTES: Final = 260
#: A value over this share of max_bytes is not kept: it would push out too much.
LARGEST_SHARE: Final = 8


class Copy:
    """One stored value, the moment until which it is good, and whether it was used."""

    __slots__ = ("deadline", "raw", "used")

    def __init__(self, raw: bytes, deadline: float) -> None:
        self.raw = raw
        self.deadline = deadline
        self.used = False


class Mark:
    """A fill under way, and the moment before its request was sent."""

    __slots__ = ("began",)

    def __init__(self, began: float) -> None:
        self.began = began


class NearCache:
    """The copies of one alias. Safe to use from any thread.

    ``max_bytes`` and ``max_entries`` bound it, ``ttl_s`` each copy's life (None: only the key's own
    deadline does). ``stale_s`` is for ``outlived``. ``is_excluded`` says of a storage key that it
    is never kept.
    """

    def __init__(
        self,
        *,
        max_bytes: int,
        max_entries: int,
        ttl_s: float | None,
        stale_s: float = 0.0,
        is_excluded: Callable[[bytes], bool] = lambda name: False,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self.max_bytes = max_bytes
        self.max_entries = max_entries
        self._stale_s = stale_s
        self._ttl_s = inf if ttl_s is None else ttl_s
        self.is_excluded = is_excluded
        self._clock = clock
        #: Read without the lock; always the same object.
        self.copies: OrderedDict[bytes, Copy] = OrderedDict()
        #: Until when copies may be served.
        self.until = -inf
        self.size_bytes = 0
        self.fills = self.flushes = self.drops = self.evictions = self.outlived_hits = 0
        self._filling: dict[bytes, Mark] = {}
        # Reentrant: what a cancelled task left behind may be collected, and so be ended, by any
        # allocation under it.
        self._lock = threading.RLock()

    def reader(self, fill: Callable[[bytes], Any]) -> Callable[[bytes], Any]:
        """Return ``fetch(name)``: the bytes of a good copy, or what ``fill(name)`` returns."""
        find, clock = self.copies.get, self._clock

        def fetch(name: bytes) -> Any:
            until = self.until
            copy = find(name)
            if copy is not None:
                now = clock()
                if now < until and now < copy.deadline:
                    copy.used = True
                    return copy.raw
            return fill(name)

        return fetch

    def peek(self, name: bytes) -> bytes | None:
        """Return the bytes of a good copy, or None."""
        until = self.until
        copy = self.copies.get(name)
        if copy is not None:
            now = self._clock()
            if now < until and now < copy.deadline:
                copy.used = True
                return copy.raw
        return None

    def left_s(self, name: bytes, raw: bytes) -> float:
        """Return the seconds that a good copy has left if it is the one of ``raw``; else 0."""
        until = self.until
        copy = self.copies.get(name)
        if copy is None or copy.raw != raw:
            return 0.0
        now = self._clock()
        return max(0.0, copy.deadline - now) if now < until else 0.0

    def outlived(self, name: bytes) -> bytes | None:
        """Return the bytes of a copy whose lease ended at most ``stale_s`` seconds ago, or None."""
        until = self.until + self._stale_s
        copy = self.copies.get(name)
        if copy is not None:
            now = self._clock()
            if now < until and now < copy.deadline:
                self.outlived_hits += 1
                return copy.raw
        return None

    @property
    def is_good(self) -> bool:
        """Whether the lease runs: copies are served, and fills are kept."""
        return self._clock() < self.until

    # Fills

    def begin(self, name: bytes) -> Mark | None:
        """Announce that ``name`` is about to be asked for. Returns its mark; None: do not keep it.

        To be called before the request is sent, and followed by ``keep`` or ``abandon``.
        """
        if not self.max_entries or self.is_excluded(name):
            return None
        mark = Mark(self._clock())
        with self._lock:
            self._filling[name] = mark
        return mark

    def keep(self, name: bytes, mark: Mark, raw: bytes | None, ttl_ms: int) -> None:
        """Keep what the server answered, unless an invalidation came in between.

        ``ttl_ms`` is PTTL's reply: -1 for no deadline, -2 for a missing key.
        """
        size = len(name) + OVERHEAD_BYTES + (0 if raw is None else len(raw))
        life_s = self._ttl_s if ttl_ms == -1 else min(ttl_ms / 1000, self._ttl_s)
        with self._lock:
            if self._filling.get(name) is not mark:
                return
            del self._filling[name]
            if raw is None or ttl_ms == -2 or size * LARGEST_SHARE > self.max_bytes:
                return
            self._remove(name)
            while self.copies and (
                self.size_bytes + size > self.max_bytes or len(self.copies) >= self.max_entries
            ):
                self._evict()
            self.copies[name] = Copy(raw, mark.began + life_s)
            self.size_bytes += size
            self.fills += 1

    def abandon(self, name: bytes, mark: Mark) -> None:
        """End a fill that got no answer."""
        with self._lock:
            if self._filling.get(name) is mark:
                del self._filling[name]

    # What a follower does: see cacheapp.invalidation.protocol.Copies

    def drop(self, names: Iterable[bytes]) -> None:
        """Forget the copies of ``names``, and let no fill of them that is under way be kept."""
        with self._lock:
            for name in names:
                self._filling.pop(name, None)
                self._remove(name)

    def drop_prefix(self, prefix: bytes) -> None:
        """The same for all names that begin with ``prefix``: looks at every copy."""
        with self._lock:
            for name in [name for name in self._filling if name.startswith(prefix)]:
                del self._filling[name]
            for name in [name for name in self.copies if name.startswith(prefix)]:
                self._remove(name)

    def flush(self) -> None:
        """The same for all names."""
        with self._lock:
            self._filling.clear()
            self.copies.clear()
            self.size_bytes = 0
            self.flushes += 1

    def renew(self, until: float) -> None:
        """Serve copies until that moment of the clock."""
        self.until = until

    def reset(self) -> None:
        """Be empty and without a lease, with a lock that nobody holds: for the child of a fork."""
        self._lock = threading.RLock()
        self.until = -inf
        self.flush()

    def _remove(self, name: bytes) -> None:
        copy = self.copies.pop(name, None)
        if copy is not None:
            self.size_bytes -= len(name) + len(copy.raw) + OVERHEAD_BYTES
            self.drops += 1

    def _evict(self) -> None:
        """Remove the oldest copy that was not used since it was last looked at."""
        # Each turn clears a mark or removes, so it ends after one round even if all are used.
        for _ in range(len(self.copies) + 1):
            name, copy = next(iter(self.copies.items()))
            if not copy.used or copy.deadline <= self._clock():
                break
            copy.used = False
            self.copies.move_to_end(name)
        self._remove(name)
        self.evictions += 1
