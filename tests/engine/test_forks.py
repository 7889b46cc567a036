"""The locks around a fork; that a child works is tested with the engine."""

from __future__ import annotations

import threading

from cacheapp.engine import forks
from cacheapp.engine.engine import Engine


def is_free(lock: object) -> bool:
    """Whether another thread could take `lock` now."""
    found: list[bool] = []

    def look() -> None:
        taken = lock.acquire(blocking=False)  # type: ignore[attr-defined]
        found.append(taken)
        if taken:
            lock.release()  # type: ignore[attr-defined]

    thread = threading.Thread(target=look)
    thread.start()
    thread.join()
    return found[0]


def test_an_engine_that_is_made_during_a_fork_does_not_keep_the_others_locked() -> None:
    before = Engine()
    forks._before_fork()
    made = Engine()
    assert not is_free(before.lock)
    forks._release()
    assert is_free(before.lock)
    assert is_free(made.lock)


def test_nobody_names_an_engine_during_a_fork() -> None:
    forks._before_fork()
    assert not is_free(forks.naming)
    forks._release()
    assert is_free(forks.naming)
