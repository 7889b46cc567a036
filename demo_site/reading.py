"""One cached read as the demo shows it: HIT or MISS, how long, under which key, for how long still.

The pattern is cache-aside by `get_or_set`, so that of the live pages which all ask anew after an
edit one computes, and what it stores is told to nobody. What is added is the measuring, and the
second look at the count of edits that closes the fill race with the registries (see
invalidation.py).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from time import perf_counter
from typing import Any, Literal, TypeVar

from django.conf import settings
from django.db import connection as database

from demo_site import invalidation
from demo_site.server import UNUSABLE, cache

T = TypeVar("T")
Outcome = Literal["HIT", "MISS", "OFF"]
MISSING = object()
logger = logging.getLogger("demo_site")


@dataclass(frozen=True)
class Reading:
    """What one read was like: `key` is the name on the server, `ttl_s` None if nothing is kept."""

    outcome: Outcome
    key: str
    took_ms: float
    ttl_s: int | None
    queries: int


class Reader:
    """The readings of one page, in order."""

    def __init__(self) -> None:
        self.readings: list[Reading] = []
        # Asked for before anything is read: a page may be older than it says, never newer.
        self.edits: bytes | str | None = None
        try:
            self.edits = invalidation.edits_seen()
        except UNUSABLE as error:
            logger.warning("the cache server cannot be used: %s", type(error).__name__)

    def read(
        self,
        name: str,
        compute: Callable[[], T | None],
        ttl_s: int,
        register: Callable[[T], None] | None = None,
    ) -> T | None:
        """The value under `name`, from the cache or computed and then kept for `ttl_s` seconds.

        `register` is called before the value is stored. None, which says that there is no such
        thing, is not kept. Errors of `compute` come through; those of the server make the read a
        MISS.
        """
        started = perf_counter()
        value: Any = cache().get(name, MISSING) if settings.DEMO_CACHE_PAGES else MISSING
        if value is not MISSING:
            took_ms = (perf_counter() - started) * 1000
            self._note("HIT", name, took_ms, cache().ttl(name), 0)
            return value
        outcome: Outcome = "OFF"
        with counted_queries() as queries:
            if settings.DEMO_CACHE_PAGES:
                value, kept, outcome = _fill(name, compute, ttl_s, register)
            else:
                value, kept = compute(), False
        took_ms = (perf_counter() - started) * 1000
        self._note(outcome, name, took_ms, ttl_s if kept else None, queries[0])
        return value

    def _note(self, outcome: Outcome, name: str, took_ms: float, ttl_s: Any, queries: int) -> None:
        key = str(cache().make_key(name))
        self.readings.append(Reading(outcome, key, took_ms, ttl_s, queries))


class _NothingThere(Exception):
    """There is no such thing, which is not kept."""


def _fill(
    name: str,
    compute: Callable[[], T | None],
    ttl_s: int,
    register: Callable[[T], None] | None,
) -> tuple[T | None, bool, Outcome]:
    """Compute and store; then, whether the value was kept, and HIT where another reader did it."""
    computed: list[T | None] = []

    def make() -> T:
        value = compute()
        computed.append(value)
        if value is None:
            raise _NothingThere
        if register:
            register(value)
        return value

    try:
        edits = invalidation.edits_seen()
    except UNUSABLE as error:
        logger.warning("the cache server cannot be used: %s", type(error).__name__)
        return compute(), False, "MISS"
    try:
        value = cache().get_or_set(name, make, ttl_s)
        if not computed:
            return value, True, "HIT"
        overtaken = invalidation.edits_seen() != edits
    except _NothingThere:
        return None, False, "MISS"
    except UNUSABLE as error:
        logger.warning("a page was not kept: %s", type(error).__name__)
        return computed[0] if computed else compute(), False, "MISS"
    if overtaken:
        cache().delete(name)
    return value, not overtaken, "MISS"


@contextmanager
def counted_queries() -> Iterator[list[int]]:
    """Count this thread's database queries while inside; the list's one number is the count."""
    count = [0]

    def wrapper(execute: Any, sql: Any, params: Any, many: Any, context: Any) -> Any:
        count[0] += 1
        return execute(sql, params, many, context)

    with database.execute_wrapper(wrapper):
        yield count
