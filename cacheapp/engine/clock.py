"""Time, the one place in the engine that reads it.

Deadlines are absolute wall-clock milliseconds, as in Redis, so the clock is the wall clock. A
`ManualClock` makes time an argument: tests travel instead of sleeping.
"""

from __future__ import annotations

import time as _time
from typing import Protocol


class Clock(Protocol):
    """What the engine asks of a clock."""

    def time(self) -> float:
        """Return the wall clock in seconds since the epoch."""

    def sleep(self, seconds: float) -> None:
        """Let `seconds` pass (DEBUG SLEEP only)."""


class SystemClock:
    """The machine's wall clock."""

    # The builtin itself, not a method around it: it is called once a command.
    time = staticmethod(_time.time)
    sleep = staticmethod(_time.sleep)


class ManualClock:
    """A clock that stands still until it is told to move.

    `start` is in seconds since the epoch; the default is a round date that is easy to read in a
    failing test.
    """

    def __init__(self, start: float = 1_700_000_000.0) -> None:
        self._now = start

    def time(self) -> float:
        """Return the current reading in seconds."""
        return self._now

    def sleep(self, seconds: float) -> None:
        """Advance by `seconds` without waiting."""
        self._now += seconds

    def advance(self, seconds: float) -> None:
        """Move forward by `seconds` (fractions allowed)."""
        self._now += seconds

    def set(self, now: float) -> None:
        """Set the reading to `now`, in seconds since the epoch; it may lie in the past."""
        self._now = now
