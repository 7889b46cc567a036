"""Two near caches of one redis-server in this process, as two processes have them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from tests.cache.aliases import MakeCache, maker
from tests.redis_server import RedisServer

LOOKS_MAX = 2_000
BOUND_S = 1.0


def until(what: Callable[[], Any]) -> None:
    """Return when `what()` is true; AssertionError if that does not come."""
    pause = threading.Event()
    for _ in range(LOOKS_MAX):
        if what():
            return
        pause.wait(0.002)
    raise AssertionError("it did not come")


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
