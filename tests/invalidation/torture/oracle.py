"""What was written and acknowledged, in a file that all processes map: a ring of writes a key.

Versions of a key only grow, and one process writes a key. A read that began at `t` and returned
version `u` breaks the promise if a higher one was acknowledged before `t - bound`. Writes that
began before `floor` do not count: the server may have been restarted with older data since.
"""

from __future__ import annotations

import math
import mmap
import struct
from pathlib import Path

RING = 2048
HEADER = struct.Struct("d")
COUNT = struct.Struct("q")
ENTRY = struct.Struct("qdd")
KEY_SIZE = COUNT.size + RING * ENTRY.size


class Oracle:
    """The mapped file at `path`, with room for `keys` keys."""

    def __init__(self, path: Path, keys: int) -> None:
        size = HEADER.size + keys * KEY_SIZE
        if not path.exists():
            path.write_bytes(bytes(size))
        with path.open("r+b") as file:
            self._map = mmap.mmap(file.fileno(), size)

    @property
    def floor(self) -> float:
        """Since when what was acknowledged is surely on the server; infinite during a restart."""
        (floor,) = HEADER.unpack_from(self._map, 0)
        return float(floor)

    @floor.setter
    def floor(self, value: float) -> None:
        HEADER.pack_into(self._map, 0, value)

    def acknowledged(self, key: int, version: int, began: float, ended: float) -> None:
        """Note a write of `key`."""
        at = HEADER.size + key * KEY_SIZE
        (count,) = COUNT.unpack_from(self._map, at)
        ENTRY.pack_into(
            self._map, at + COUNT.size + count % RING * ENTRY.size, version, began, ended
        )
        COUNT.pack_into(self._map, at, count + 1)

    def due(self, key: int, moment: float) -> int:
        """The highest version that a read of `key` has to know which may miss what came after."""
        floor = self.floor
        if math.isinf(floor):
            return 0
        at = HEADER.size + key * KEY_SIZE
        (count,) = COUNT.unpack_from(self._map, at)
        for number in range(count - 1, max(count - RING, 0) - 1, -1):
            version, began, ended = ENTRY.unpack_from(
                self._map, at + COUNT.size + number % RING * ENTRY.size
            )
            if began <= floor:
                return 0
            if ended <= moment:
                return int(version)
        return 0
