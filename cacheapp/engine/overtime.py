"""A script past `lua-time-limit`, where others can still be answered: BUSY, and the way to kill it.

A front that can serve its clients from inside a script (the TCP front: it reads and writes its
sockets itself, since its loop stands still) adds itself to `fronts`. Such a script runs on, every
command but a few is refused with BUSY, and SCRIPT KILL or FUNCTION KILL ends it unless it has
written. Without such a front nobody could, and the script is stopped at the limit (decision 089).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cacheapp.engine.errors import BUSY_FUNCTION, BUSY_SCRIPT, NOT_BUSY, UNKILLABLE, CommandError

if TYPE_CHECKING:
    from cacheapp.engine.engine import Engine
    from cacheapp.engine.registry import Command

# Asks a front to answer those who wait; False where it cannot, as in another thread than its own.
Attend = Callable[[], bool]


@dataclass(slots=True)
class Running:
    """The script that keeps everybody waiting.

    `invocation` is how a function was called (its name, the command's arguments), None for EVAL;
    `killed` is for good: the script gets an error at each further instruction.
    """

    invocation: tuple[bytes, list[bytes]] | None
    started: float
    wrote: bool = False
    killed: bool = False

    @property
    def busy(self) -> str:
        """The error for those who want something else meanwhile."""
        return BUSY_SCRIPT if self.invocation is None else BUSY_FUNCTION

    def kill(self, *, function: bool) -> None:
        """End it; CommandError where it has written, or is of the other kind."""
        if self.wrote:
            raise CommandError(UNKILLABLE)
        if function != (self.invocation is not None):
            raise CommandError(self.busy)
        self.killed = True


class Overtime:
    """Who answers while a script runs on, and that script."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.fronts: list[Attend] = []
        self.running: Running | None = None

    def attend(self, running: Running) -> bool:
        """Let others be answered in the middle of `running`; False where no front can."""
        self.running = running
        engine = self._engine
        engine.reconsider()
        # For the script the time stands still, and whom it made ready waits for its end.
        kept = engine.now, engine.next_tick, engine.waiters.ready_keys
        engine.next_tick, engine.waiters.ready_keys = math.inf, {}
        answered = False
        try:
            for attend in self.fronts:
                answered = attend() or answered
        finally:
            engine.now, engine.next_tick, engine.waiters.ready_keys = kept
        if not answered:
            self.end()
        return answered

    def end(self) -> None:
        """The script is over."""
        self.running = None
        self._engine.reconsider()

    def kill(self, *, function: bool) -> None:
        """SCRIPT KILL, or FUNCTION KILL; NOTBUSY where nothing runs."""
        if self.running is None:
            raise CommandError(NOT_BUSY)
        self.running.kill(function=function)

    def check(self, row: Command) -> None:
        """BUSY for what has to wait."""
        if self.running is not None and "allow_busy" not in row.flags:
            raise CommandError(self.running.busy)
