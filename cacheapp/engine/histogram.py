"""How long a command took, as counts by duration: for LATENCY HISTOGRAM and INFO latencystats.

Durations are nanoseconds in buckets that keep eight binary digits, so a percentile is right to
within 1 %. These are the buckets of the HDR histogram that Redis uses (two decimal digits, up to a
second), and the same figures come out for the same durations. Only what was seen takes memory.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

_DIGITS = 8
_NANOSECONDS_MAX = 1_000_000_000
# Where the distribution that LATENCY HISTOGRAM prints begins; each step doubles.
_FIRST_STEP = 1024


def _bucket(nanoseconds: int) -> int:
    """The longest duration that falls into the same bucket."""
    shift = max(0, nanoseconds.bit_length() - _DIGITS)
    return ((nanoseconds >> shift) + 1 << shift) - 1


class Histogram:
    """Counts by duration, in nanoseconds."""

    __slots__ = ("_counts", "total")

    def __init__(self) -> None:
        self._counts: dict[int, int] = {}
        self.total = 0

    def add(self, seconds: Iterable[float]) -> None:
        """Count durations that were measured in seconds."""
        for duration, count in Counter(seconds).items():
            self.count(int(duration * 1e9), count)

    def count(self, nanoseconds: int, times: int) -> None:
        """Count a duration a number of times; what took longer than a second took a second."""
        bucket = _bucket(min(max(nanoseconds, 1), _NANOSECONDS_MAX))
        self._counts[bucket] = self._counts.get(bucket, 0) + times
        self.total += times

    def percentile(self, percent: float) -> int:
        """The nanoseconds within which `percent` of all durations were; 0 where there are none."""
        wanted = max(1, int(percent / 100 * self.total + 0.5))
        seen = 0
        for bucket in sorted(self._counts):
            seen += self._counts[bucket]
            if seen >= wanted:
                return bucket
        return 0

    def distribution(self) -> list[tuple[int, int]]:
        """Microseconds, and how many durations were within them, where the number grows."""
        steps: list[tuple[int, int]] = []
        step, seen = _FIRST_STEP, 0
        for bucket in sorted(self._counts):
            while bucket > _bucket(step):
                if seen and (not steps or steps[-1][1] < seen):
                    steps.append((_bucket(step) // 1000, seen))
                step *= 2
            seen += self._counts[bucket]
        if seen:
            steps.append((_bucket(step) // 1000, seen))
        return steps
