"""The peers: each takes requests and a size in entries, and returns how many were hits.

Exact LRU; S3-FIFO after Yang and others, "FIFO queues are all you need for cache eviction" (SOSP
2023), with a tenth for the small queue and a ghost as long as the main one; W-TinyLFU by the
package `theine`, where it is installed.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Sequence
from importlib.util import find_spec


def lru(requests: Sequence[int], size: int) -> int:
    """Exact least recently used."""
    kept: OrderedDict[int, None] = OrderedDict()
    hits = 0
    for key in requests:
        if key in kept:
            hits += 1
            kept.move_to_end(key)
            continue
        if len(kept) >= size:
            kept.popitem(last=False)
        kept[key] = None
    return hits


class S3Fifo:
    """Three queues: small for newcomers, main for what was used twice, ghost for names gone."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.small_size = max(1, size // 10)
        self.main_size = size - self.small_size
        self.small: deque[int] = deque()
        self.main: deque[int] = deque()
        self.ghost: OrderedDict[int, None] = OrderedDict()
        self.uses: dict[int, int] = {}

    def request(self, key: int) -> bool:
        """Ask for `key`, which is kept if it was not; whether it was a hit."""
        uses = self.uses.get(key)
        if uses is not None:
            self.uses[key] = min(3, uses + 1)
            return True
        while len(self.uses) >= self.size:
            self._evict()
        if key in self.ghost:
            del self.ghost[key]
            self.main.append(key)
        else:
            self.small.append(key)
        self.uses[key] = 0
        return False

    def _evict(self) -> None:
        if len(self.small) >= self.small_size or not self.main:
            self._evict_small()
        else:
            self._evict_main()

    def _evict_small(self) -> None:
        while self.small:
            key = self.small.popleft()
            if self.uses[key] > 1:
                self.uses[key] = 0
                self.main.append(key)
                if len(self.main) > self.main_size:
                    self._evict_main()
                    return
                continue
            del self.uses[key]
            self.ghost[key] = None
            if len(self.ghost) > self.main_size:
                self.ghost.popitem(last=False)
            return

    def _evict_main(self) -> None:
        while self.main:
            key = self.main.popleft()
            if not self.uses[key]:
                del self.uses[key]
                return
            self.uses[key] -= 1
            self.main.append(key)


def s3_fifo(requests: Sequence[int], size: int) -> int:
    """S3-FIFO."""
    cache = S3Fifo(size)
    return sum(map(cache.request, requests))


def has_theine() -> bool:
    """Whether `w_tinylfu` can run here."""
    return find_spec("theine") is not None


def w_tinylfu(requests: Sequence[int], size: int) -> int:
    """W-TinyLFU with an adaptive window, as theine does it."""
    from theine import Cache

    cache = Cache[int, int](size)
    hits = 0
    for key in requests:
        if cache.get(key)[1]:
            hits += 1
        else:
            cache.set(key, key)
    cache.close()
    return hits
