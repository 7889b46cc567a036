"""CLIENT PAUSE: commands that are kept until a time, and then run in the order they came.

A kept command is answered like one that blocks: `Engine.execute` returns BLOCKED, and the reply
is delivered. What its session sends meanwhile is kept behind it. The time is the engine's clock,
looked at by commands, by `Engine.tick` and by fronts, through `Waiters.next_deadline_ms`.

Not kept are the commands of sessions that cannot wait for a delivery (`Session.direct`): clients
in the engine's own process whose calls return at once. Keys that are due meanwhile seem to be gone,
and go when the pause has ended.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cacheapp.engine import registry
from cacheapp.engine.errors import CommandError
from cacheapp.engine.replies import BLOCKED, Reply
from cacheapp.engine.scripting.scripts import declared_flags

if TYPE_CHECKING:
    from cacheapp.engine.engine import Engine
    from cacheapp.engine.registry import Command
    from cacheapp.engine.session import Session

_SCRIPTS = frozenset({"EVAL", "EVALSHA", "FCALL"})


class Pause:
    """The pause of an engine, and the commands that it keeps."""

    __slots__ = ("_engine", "_writes_only", "kept", "until_ms")

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        # 0 where there is no pause.
        self.until_ms = 0
        self._writes_only = True
        self.kept: dict[Session, list[list[bytes]]] = {}

    def begin(self, until_ms: int, *, writes_only: bool) -> None:
        """Pause until a time in milliseconds; a pause that is on gets longer and stricter only."""
        if self.until_ms:
            writes_only = writes_only and self._writes_only
            until_ms = max(until_ms, self.until_ms)
        self.until_ms, self._writes_only = until_ms, writes_only
        self._engine.reconsider()

    def keeps(self, session: Session, row: Command, args: list[bytes]) -> bool:
        """Whether a command has to wait; ends a pause whose time is up."""
        if self._engine.now_ms >= self.until_ms:
            self.end()
            return False
        if session.direct:
            return False
        return not self._writes_only or session in self.kept or _may_write(session, row, args)

    def keep(self, session: Session, args: list[bytes]) -> Reply:
        """Run `args` after the pause, and deliver the reply then."""
        self.kept.setdefault(session, []).append(args)
        self._engine.waiters.paused_until_ms = self.until_ms
        return BLOCKED

    def end(self) -> None:
        """End the pause and run what was kept."""
        kept, self.kept = self.kept, {}
        self.until_ms = self._engine.waiters.paused_until_ms = 0
        self._engine.reconsider()
        for session, commands in kept.items():
            for args in commands:
                try:
                    reply = self._engine.run_locked(session, args)
                except CommandError as error:
                    reply = error
                if reply is not BLOCKED:
                    session.deliver(reply)

    def lift(self, caller: Session) -> None:
        """End the pause before its time; after the transaction where `caller` is in one."""
        if not caller.may_not_wait:
            self.end()
        elif self.until_ms:
            self.until_ms = self._engine.now_ms
            self._engine.waiters.paused_until_ms = self.until_ms if self.kept else 0

    def forget(self, session: Session) -> None:
        """Drop what a session that is gone has sent."""
        self.kept.pop(session, None)


def _may_write(session: Session, row: Command, args: list[bytes]) -> bool:
    """Whether a command changes keys, or what a replica would have to know."""
    if row.name == "EXEC":
        return any(_may_write(session, *queued) for queued in session.queue or ())
    if row.name in _SCRIPTS:
        return "no-writes" not in (declared_flags(session.engine, row.name, args[1]) or ())
    return row.is_write or row.name in registry.MAY_REPLICATE
