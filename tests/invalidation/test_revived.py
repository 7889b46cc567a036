"""The thread that is started when it is needed, and again when it died."""

from __future__ import annotations

import asyncio
import threading
from math import inf
from typing import Any

import pytest

from cacheapp.invalidation import revived
from cacheapp.invalidation.audience import Watch
from cacheapp.invalidation.revived import REVIVAL_S, Revived


class Near:
    """Notes what is done to it."""

    def __init__(self) -> None:
        self.done: list[object] = []

    def renew(self, until: float) -> None:
        self.done.append(until)

    def reset(self) -> None:
        self.done.append("reset")


class Waiting(Revived):
    """Waits until it is stopped, or told to die."""

    def __init__(self, near: Near) -> None:
        self.runs = 0
        self.dies = threading.Event()
        super().__init__("waiting", near, None)

    def run(self, stopping: threading.Event) -> None:
        self.runs += 1
        while not (stopping.is_set() or self.dies.is_set()):
            self.dies.wait(0.001)

    def ended(self) -> None:
        assert self._thread is not None
        self._thread.join(10)
        assert not self._thread.is_alive()


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """A clock to set."""
    clock = [100.0]
    monkeypatch.setattr(revived, "monotonic", lambda: clock[0])
    return clock


def test_many_wakes_start_one_thread(now: list[float]) -> None:
    thread = Waiting(Near())
    assert not thread.is_alive
    for _ in range(3):
        thread.wake()
        assert thread.is_alive
        now[0] += 10
    thread.dies.set()
    thread.ended()
    assert thread.runs == 1


def test_a_dead_one_is_replaced_after_a_while(now: list[float]) -> None:
    thread = Waiting(Near())
    thread.dies.set()
    thread.wake()
    thread.ended()
    thread.wake()
    assert not thread.is_alive
    now[0] += REVIVAL_S
    thread.wake()
    thread.ended()
    assert thread.runs == 2


def test_where_no_thread_can_start_nothing_is_raised(
    now: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    thread = Waiting(Near())
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        thread.wake()
    assert not thread.is_alive
    now[0] += REVIVAL_S
    thread.dies.set()
    thread.wake()
    thread.ended()
    assert thread.runs == 1


def test_a_stop_ends_the_lease_and_the_next_wake_begins_at_once(now: list[float]) -> None:
    near = Near()
    thread = Waiting(near)
    thread.wake()
    first: Any = thread._thread
    thread.stop()
    assert near.done == [-inf]
    first.join(10)
    assert not first.is_alive()
    thread.wake()
    assert thread.is_alive
    thread.stop()


def test_the_child_of_a_fork_begins_anew(now: list[float]) -> None:
    near = Near()
    thread = Waiting(near)
    thread.wake()
    first: Any = thread._thread
    thread._lock.acquire()  # as another thread may have held it when the process forked
    thread.forked()
    assert near.done == ["reset"]
    assert not thread.is_alive
    thread.wake()
    assert thread.is_alive
    thread.dies.set()
    thread.ended()
    first.join(10)


async def test_with_somebody_who_watches_it_starts_itself_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(revived, "REVIVAL_S", 0.0)
    thread = Waiting(Near())
    thread.audience.add(Watch(), [b"a"], [])
    first: Any = thread._thread
    assert first is not None
    thread.dies.set()
    first.join(10)
    # What lives on dies at once as well, again and again.
    pause = threading.Event()
    for _ in range(10_000):
        if thread.runs >= 3:
            break
        pause.wait(0.001)
    thread.stop()
    assert thread.runs >= 3


def test_a_stop_and_a_fork_leave_an_audience_that_knows_nothing(now: list[float]) -> None:
    thread = Waiting(Near())
    thread.audience.hear(None)
    thread.stop()
    assert not thread.audience.is_live

    async def begin() -> None:
        thread.audience.add(Watch(), [b"a"], [])

    asyncio.run(begin())
    thread.forked()
    assert thread.audience.is_empty
