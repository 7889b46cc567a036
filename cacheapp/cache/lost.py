"""What an outage kept from the server: deletions to be made up for when it answers again.

An alias that degrades goes on while a write or a deletion fails, and the server, if it only could
not be reached, still has the value from before. So the keys of what failed are remembered, and
deleted before this process does anything else with a server that answers again: a miss in place of
a value that somebody changed.

Left out on purpose: keys that a walk would have found (``clear``, ``delete_pattern``, prefixes that
are not declared), and a memory beyond this process: one that ends in the outage has forgotten.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Generator, Iterable
from operator import methodcaller
from typing import TYPE_CHECKING, Any, Final

from redis.exceptions import ResponseError

from cacheapp.clients.forks import renews

if TYPE_CHECKING:
    from cacheapp.cache.base import RedisBackend

logger = logging.getLogger("cacheapp.cache")

#: Keys that are remembered at most: two megabytes, and a second's work for the server.
NAMES_MAX: Final = 10_000


class Lost:
    """The keys of one alias whose writes failed. Safe to share between threads."""

    def __init__(self, alias: str) -> None:
        self._alias = alias
        self._names: dict[bytes, None] = {}
        self._is_full = False
        self._lock = threading.Lock()
        renews(self, "_lock")

    def __len__(self) -> int:
        return len(self._names)

    def add(self, names: Iterable[bytes]) -> None:
        """Remember keys, up to NAMES_MAX; what is over that is logged once an outage."""
        with self._lock:
            for name in names:
                if name in self._names or len(self._names) < NAMES_MAX:
                    self._names[name] = None
                    continue
                if not self._is_full:
                    self._is_full = True
                    logger.error(
                        "Cache %r: more than %d keys were written or deleted while the server did "
                        "not answer; what it still has of the rest stays until its timeout",
                        self._alias,
                        NAMES_MAX,
                    )
                return

    def take(self) -> list[bytes]:
        """Return the keys, which are forgotten; who could not delete them adds them again."""
        with self._lock:
            names, self._names = list(self._names), {}
            return names

    def over(self) -> None:
        """Take note that an outage is over."""
        self._is_full = False


def made_up(cache: RedisBackend) -> Generator[Any, Any, None]:
    """Steps: delete what was lost. Raises where the server still does not answer.

    A server that answers and refuses writes is as far away as before, and no reason not to read.
    """
    lost = cache._outages.lost
    names = lost.take()
    if not names:
        return
    try:
        yield cache.write(names, methodcaller("unlink", *names))
    except ResponseError:
        lost.add(names)
    except BaseException:
        lost.add(names)
        raise
    else:
        lost.over()
