"""Near caches of one server in this process, as several processes have them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from cacheapp.cache.nearcache import NearCache
from cacheapp.cache.steps import drive
from cacheapp.invalidation.bus import Bus, Write
from cacheapp.invalidation.listener import Listener
from tests.cache.aliases import MakeCache, maker
from tests.redis_server import RedisServer

LOOKS_MAX = 10_000
BOUND_S = 1.0


def until(what: Callable[[], Any]) -> None:
    """Return when `what()` is true; AssertionError if that does not come."""
    pause = threading.Event()
    for _ in range(LOOKS_MAX):
        if what():
            return
        pause.wait(0.002)
    raise AssertionError("it did not come")


class Process:
    """What one process has of an alias: near cache, bus, listener."""

    def __init__(self, make_client: Callable[[], Any]) -> None:
        self.copies = NearCache(max_bytes=10**6, max_entries=1000, ttl_s=60.0)
        self.bus = Bus("p", self.copies)
        self.client = make_client()
        self.listener = Listener(self.bus, self.copies, BOUND_S, make_client)

    def start(self) -> None:
        """Return when there is a lease."""
        self.listener.wake()
        until(lambda: self.copies.is_good)

    def stop(self) -> None:
        """End the thread."""
        thread = self.listener._thread
        self.listener.stop()
        if thread is not None:
            thread.join(10)

    def put(self, name: bytes) -> None:
        """Keep a copy."""
        mark = self.copies.begin(name)
        assert mark is not None
        self.copies.keep(name, mark, b"value", -1)

    def write(self, *names: bytes) -> Any:
        """Delete and announce."""
        return drive(
            self.bus.write(Write.to(names, lambda client: client.delete(*names))), self.client
        )


@contextmanager
def two_processes(
    redis_server: RedisServer, settings: Any, prefixes: tuple[str, str] = ("p", "p")
) -> Iterator[list[Any]]:
    """Two aliases, of the same keys unless `prefixes` differ, each with a lease."""
    make: MakeCache = maker(settings)
    found = [
        make(
            redis_server.url(),
            alias,
            # Pickles are signed for one alias; in two processes it would be the same one.
            {"NEAR_CACHE": {"bound": BOUND_S, "ttl": 60 + number}, "SERIALIZER": "json"},
            KEY_PREFIX=prefixes[number],
        )
        for number, alias in enumerate(("one", "two"))
    ]
    for cache in found:
        cache.get("start")
        until(lambda cache=cache: cache.near.copies.is_good)
    try:
        yield found
    finally:
        for cache in found:
            cache.near.listener.stop()


def settle(one: Any, two: Any) -> None:
    """Return when `two` has heard all that `one` wrote so far."""
    name, copies = two.storage_key("marker"), two.near.copies
    mark = copies.begin(name)
    copies.keep(name, mark, b"1", -1)
    one.delete("marker")
    until(lambda: name not in copies.copies)


def copy(one: Any, two: Any, *keys: str) -> None:
    """Give `two` copies of what `one` wrote, which no late message takes away again."""
    settle(one, two)
    until(lambda: two.get_many(keys) and set(keys) <= set(kept(two)))


def kept(cache: Any) -> list[str]:
    """The keys of a cache's copies."""
    return [cache.reverse_key(name) for name in cache.near.copies.copies]
