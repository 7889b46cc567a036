"""Which channels of a process are full: what it tells on the server, and when others ask.

Only the owner of a channel knows how many messages wait there. ``Told`` is what an owner noted down
on the server. ``Asked`` is a sender's: asking with each message would cost a script where one
command does, so it asks with some, and with each one as long as the answer is that it is full.
"""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic

__all__ = ["Asked", "Told"]

#: Messages to one process, and seconds, after which a sender asks again.
UNASKED_MAX, UNASKED_S = 16, 0.1
#: Processes of which a sender remembers when it asked.
PROCESSES_MAX = 1000


class Told:
    """The channels of which the server was told that they are full."""

    def __init__(self, is_full: Callable[[str], bool]) -> None:
        self._is_full = is_full
        self._told: set[str] = set()
        self._fresh: set[str] = set()

    def __bool__(self) -> bool:
        """Whether there is anything to tell, or to look at again."""
        return bool(self._told or self._fresh)

    def add(self, channel: str) -> None:
        """A message came that filled the channel."""
        self._fresh.add(channel)

    def clear(self) -> None:
        """The server was told nothing, or has forgotten it."""
        self._told.clear()

    def changes(self) -> tuple[set[str], set[str]]:
        """Return the channels that have room again, and those that became full."""
        fresh, self._fresh = self._fresh, set()
        drained = {name for name in self._told if not self._is_full(name)}
        fresh = {name for name in fresh if self._is_full(name)}
        self._told = (self._told - drained) | fresh
        return drained, fresh


class Asked:
    """When a sender asked whether channels of a process are full."""

    def __init__(self) -> None:
        self._left: dict[str, list[float]] = {}

    def is_due(self, process: str) -> bool:
        """Whether to ask with this message to the process; if so, it counts as asked."""
        now = monotonic()
        left = self._left.get(process)
        if left is not None and left[0] > 0 and now < left[1]:
            left[0] -= 1
            return False
        if len(self._left) >= PROCESSES_MAX:
            self._left.clear()
        self._left[process] = [UNASKED_MAX, now + UNASKED_S]
        return True

    def was_full(self, process: str) -> None:
        """Ask with the next message again."""
        self._left.pop(process, None)
