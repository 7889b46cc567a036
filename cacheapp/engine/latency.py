"""The latency monitor: what took at least `latency-monitor-threshold` milliseconds, for LATENCY.

An event has a name (`command`, `fast-command`, `expire-cycle`) and its last 160 samples, one a
second at most: within a second the longest counts. How long commands take that are not slow is
in `histogram`.
"""

from __future__ import annotations

from collections import deque

SAMPLES_MAX = 160

_ROWS = 4
_CHARACTERS = "_o#"


class Event:
    """The samples of one event, oldest first, as (second, milliseconds)."""

    __slots__ = ("max_ms", "samples")

    def __init__(self) -> None:
        self.max_ms = 0
        self.samples: deque[tuple[int, int]] = deque(maxlen=SAMPLES_MAX)


class LatencyMonitor:
    """All events by name."""

    __slots__ = ("events",)

    def __init__(self) -> None:
        self.events: dict[bytes, Event] = {}

    def add(self, name: bytes, now: float, latency_ms: int) -> None:
        """Take a sample of the event `name`."""
        event = self.events.get(name)
        if event is None:
            event = self.events[name] = Event()
        event.max_ms = max(event.max_ms, latency_ms)
        second = int(now)
        if event.samples and event.samples[-1][0] == second:
            latency_ms = max(latency_ms, event.samples.pop()[1])
        event.samples.append((second, latency_ms))


def sparkline(values: list[int], labels: list[str]) -> str:
    """A graph of `values` in four lines, with each one's label written downwards below it."""
    low = min(values)
    span = max(values) - low or 1
    steps = len(_CHARACTERS) * _ROWS
    levels = [min(steps - 1, (value - low) * steps // span) for value in values]
    lines = []
    for row in range(_ROWS):
        floor = (_ROWS - row - 1) * len(_CHARACTERS)
        lines.append("".join(_character(level - floor) for level in levels))
    lines.append(" " * len(values))
    lines += [
        "".join(label[row : row + 1] or " " for label in labels)
        for row in range(max(map(len, labels)))
    ]
    return "\n".join(lines) + "\n"


def _character(height: int) -> str:
    if height < 0:
        return " "
    return _CHARACTERS[height] if height < len(_CHARACTERS) else "|"
