"""Processes that race: each sets Django up by itself, waits for the others, and lets threads go.

They are spawned, not forked: the tests' process has threads and an engine of its own.
"""

from __future__ import annotations

import functools
import multiprocessing
import os
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

TIMEOUT_S = 120

Start = Callable[[], Any]


def race(work: Callable[..., list[int]], url: str, processes: int, *arguments: Any) -> list[int]:
    """What ``work(number, start, *arguments)`` returns in all processes together, on a server.

    ``work`` is a function of this module. It calls ``start()`` when it is ready to race, which
    waits for the others.
    """
    context = multiprocessing.get_context("spawn")
    found, start = context.Queue(), context.Barrier(processes)
    running = [
        context.Process(target=_run, args=(work.__name__, url, start, found, number, arguments))
        for number in range(processes)
    ]
    for process in running:
        process.start()
    try:
        return [item for _ in running for item in found.get(timeout=TIMEOUT_S)]
    finally:
        for process in running:
            process.join(TIMEOUT_S)


def _run(name: str, url: str, start: Any, found: Any, number: int, arguments: Any) -> None:
    os.environ["DJANGO_SETTINGS_MODULE"] = "tests.settings"
    import django
    from django.test import override_settings

    django.setup()
    caches = {"default": {"BACKEND": "cacheapp.cache.CacheBackend", "LOCATION": url}}
    with override_settings(CACHES=caches):
        work = globals()[name]
        found.put(work(number, functools.partial(start.wait, TIMEOUT_S), *arguments))


def check(
    _number: int, start: Start, algorithm: str, rate: str, seconds: float, threads: int
) -> list[int]:
    """Ask one limit as fast as possible; when it admitted, in microseconds by the server."""
    from cacheapp.ratelimit.limiter import Limiter

    limiter = Limiter("race", rate, algorithm=algorithm, memo_seconds=0)
    start()
    until = time.monotonic() + seconds

    def ask(_: int) -> list[int]:
        times = []
        while time.monotonic() < until:
            decision = limiter.check("ip:one")
            if decision:
                times.append(decision.reply[1])
        return times

    with ThreadPoolExecutor(threads) as pool:
        return [moment for times in pool.map(ask, range(threads)) for moment in times]


def change(number: int, start: Start, session_key: str, requests: int) -> list[int]:
    """Requests of one session by two threads, each changing a key of its own."""
    from cacheapp.sessions import SessionStore

    together = threading.Barrier(2)

    def user(name: str) -> None:
        for turn in range(requests):
            together.wait()
            session = SessionStore(session_key)
            session[f"{number}-{name}-{turn}"] = turn
            together.wait()
            session.save()

    start()
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(user, "ab"))
    return []


def end_or_save(number: int, start: Start, session_key: str) -> list[int]:
    """One process ends the session, the others go on saving it; how often they were told so."""
    from django.contrib.sessions.backends.base import UpdateError

    from cacheapp.sessions import SessionStore

    session = SessionStore(session_key)
    session["number"] = number  # Loads it: who loads after its end begins a new one.
    start()
    if number == 0:
        session.save()
        session.delete()
        return []
    for turn in range(10_000):
        session["turn"] = turn
        try:
            session.save()
        except UpdateError:
            return [turn]
    return []
