"""Sessions beside Django's cache engine, and what each loses when two requests change one.

A session has a signed-in user's three keys, a text, and a counter: 1 KB in all. A request changes
the counter, or the text. Losses are counted, not timed: two threads go through the same session,
each pair of requests having both loaded it before either saves.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from typing import Any

from django.contrib.sessions.backends.cache import SessionStore as CacheSessionStore
from django.core.cache import caches
from django.test import override_settings

from benchmarks.measure import Case, Clock, compare
from benchmarks.report import Row, row
from cacheapp.sessions import SessionStore

TEXT = "x" * 800
DATA = {
    "_auth_user_id": "7",
    "_auth_user_backend": "django.contrib.auth.backends.ModelBackend",
    "_auth_user_hash": "a" * 64,
    "text": TEXT,
    "counter": 0,
}
REQUESTS = 1_000
LOADED, SAVED = "session load, 1 KB", "session load + change + save, 1 KB"


@contextlib.contextmanager
def engines(ours: str, theirs: str) -> Iterator[dict[str, Any]]:
    """The two SESSION_ENGINEs by name, on the aliases given."""
    caches[theirs].clear()
    with override_settings(CACHEAPP={"SESSIONS": {"CACHE": ours}}, SESSION_CACHE_ALIAS=theirs):
        yield {"cacheapp": SessionStore, "Django's cache engine": CacheSessionStore}


def _saved(store: Any) -> str:
    session = store()
    session.update(DATA)
    session.save()
    key: str = session.session_key
    return key


def loading(store: Any, key: str) -> Case:
    """A request that reads who is signed in."""
    return lambda: store(key)["_auth_user_id"]


def changing(store: Any, key: str) -> Case:
    """A request that counts up."""

    def change() -> None:
        session = store(key)
        session["counter"] += 1
        session.save()

    return change


def replacing(store: Any, key: str) -> Case:
    """A request that replaces the text, which is nearly all of the session."""
    turns = iter(range(10**9))

    def replace() -> None:
        session = store(key)
        session["text"] = f"{next(turns):08}{TEXT}"
        session.save()

    return replace


def _timed(
    where: str, stores: dict[str, Any], targets: tuple[float, float], clock: Clock, rounds: int
) -> list[Row]:
    rows = []
    for what, case, target in (
        (LOADED, loading, targets[0]),
        (SAVED, changing, targets[1]),
        (f"{SAVED}, most of it changed", replacing, targets[1]),
    ):
        cases = {name: case(store, _saved(store)) for name, store in stores.items()}
        timings = compare(cases, rounds, clock)
        ours, theirs = timings.values()
        rows.append(row(f"{what}, {where}", ours, theirs, target))
    return rows


def lost(store: Any, requests: int) -> int:
    """How many changes of twice as many requests, in pairs, are not there in the end."""
    session = store()
    session["a"] = 0
    session.save()
    key, together = session.session_key, threading.Barrier(2)

    def user(name: str) -> None:
        for number in range(requests):
            together.wait()
            mine = store(key)
            mine[f"{name}{number}"] = number
            together.wait()
            mine.save()

    threads = [threading.Thread(target=user, args=(name,)) for name in "ab"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    kept = store(key)
    return sum(f"{name}{number}" not in kept for name in "ab" for number in range(requests))


def _losses(where: str, stores: dict[str, Any], requests: int) -> list[Row]:
    ours, theirs = (lost(store, requests) for store in stores.values())
    return [
        Row(
            f"changes lost of 2 x {requests:,} parallel requests, {where}",
            f"{ours}",
            f"Django's cache engine {theirs}",
            ours / (2 * requests),
            0.0,
        )
    ]


def on_engine(*, quick: bool = False) -> list[Row]:
    """On memory://, against LocMemCache."""
    requests = REQUESTS // 10 if quick else REQUESTS
    with engines("engine", "default") as stores:
        rows = _timed("memory://", stores, (0.5, 0.5), time.thread_time, 31)
        return rows + _losses("memory://", stores, requests)


def on_redis(*, quick: bool = False) -> list[Row]:
    """On a real server, against django-redis."""
    requests = REQUESTS // 10 if quick else REQUESTS
    with engines("redis", "django-redis") as stores:
        rows = _timed("real Redis", stores, (0.7, 0.6), time.perf_counter, 31)
        return rows + _losses("real Redis", stores, requests)
