"""The slow log: the last commands that took long, for SLOWLOG.

`Engine.call` compares each command's time with one number and comes here only beyond it. Long
commands are cut as in Redis: 32 arguments, 128 bytes of each.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

_ARGUMENTS_MAX = 32
_ARGUMENT_BYTES_MAX = 128


@dataclass(frozen=True, slots=True)
class SlowCommand:
    """An entry: when it was logged (seconds), how long it took, and who sent it."""

    id: int
    time: int
    duration_us: int
    args: list[bytes]
    address: bytes
    client_name: bytes


class SlowLog:
    """The entries, newest first, and the number of the next."""

    __slots__ = ("_next_id", "entries")

    def __init__(self) -> None:
        self.entries: deque[SlowCommand] = deque()
        self._next_id = 0

    def add(
        self, now: float, duration_us: int, args: list[bytes], address: str, name: bytes
    ) -> None:
        """Log a command; `args` have their secrets taken out already."""
        entry = SlowCommand(
            self._next_id, int(now), duration_us, _cut(args), address.encode(), name
        )
        self._next_id += 1
        self.entries.appendleft(entry)

    def trim(self, length_max: int) -> None:
        """Forget the oldest entries beyond `length_max`."""
        while len(self.entries) > length_max:
            self.entries.pop()


def _cut(args: list[bytes]) -> list[bytes]:
    """The arguments as the log keeps them, with a note of what is missing."""
    kept = args
    if len(args) > _ARGUMENTS_MAX:
        missing = len(args) - _ARGUMENTS_MAX + 1
        kept = [*args[: _ARGUMENTS_MAX - 1], b"... (%d more arguments)" % missing]
    return [
        argument
        if len(argument) <= _ARGUMENT_BYTES_MAX
        else argument[:_ARGUMENT_BYTES_MAX]
        + b"... (%d more bytes)" % (len(argument) - _ARGUMENT_BYTES_MAX)
        for argument in kept
    ]
