"""Hashes, sets and streams that are used a lot are kept unpacked for a while; see `structures`.

A packed hash takes a third of the memory of a dict, and several times as long to look into. So the
first few commands on such values after each tick warm the one that they use, which is likely
to be one that most commands use. There are never more than some dozens of them; the one that has
been warm for longest is packed again, one at each tick and one for each that comes beyond the
number.

Under a memory limit nothing is warmed: each write would have to weigh a dict.
"""

from __future__ import annotations

from collections import deque

from cacheapp.engine.structures.hash import Hash
from cacheapp.engine.structures.hyperloglog import CorruptedError, Shown
from cacheapp.engine.structures.set import Set
from cacheapp.engine.structures.stream import Stream

_WARM_MAX = 64
_OFFERS_A_TICK = 16
# Twenty kilobytes each.
_COUNTERS_MAX = 8


class Warmth:
    """The warm values of one engine. Used under its lock."""

    __slots__ = ("_warm", "counters", "left")

    def __init__(self) -> None:
        self._warm: deque[Hash | Set | Stream] = deque()
        # Sparse HyperLogLogs by a key that they are at in some database.
        self.counters: dict[bytes, Shown] = {}
        # How many offers are taken until the next tick: no command needs to ask where it is 0.
        self.left = 0

    def offer(self, found: Hash | Set | Stream) -> None:
        """Warm a value that a command uses."""
        self.left -= 1
        if found.warm():
            self._warm.append(found)
            if len(self._warm) > _WARM_MAX:
                self._warm.popleft().cool()

    def show(self, key: bytes, data: bytearray) -> None:
        """Keep the registers at hand of a sparse HyperLogLog that PFADD did not change."""
        self.left -= 1
        try:
            self.counters[key] = Shown(data)
        except CorruptedError:
            return
        if len(self.counters) > _COUNTERS_MAX:
            del self.counters[next(iter(self.counters))]

    def tick(self, *, limited: bool) -> None:
        """Pack the one that has been warm for longest; take offers unless memory is `limited`."""
        self.left = 0 if limited else _OFFERS_A_TICK
        if self._warm:
            self._warm.popleft().cool()
        if limited:
            self.counters.clear()
