"""The stream of effects: every change as the command that Redis would send to replicas and append.

Nobody listens as a rule; then `Engine.propagation` is None, and nothing anywhere is slower for it.
Once there is a sink, every command ends in `Engine.ended`, which tells `performed` what it was
called with and what it answered. A command goes out as it was given, where it changed something,
unless `effects` knows another form of it (relative times become absolute, what was random is said)
or the command itself has said what to send in its place (`instead`, `also`).

What belongs together (a command with the due keys that it met, a transaction, a script) is kept
until its end, and goes out between MULTI and EXEC where it is more than one command. Due keys
that the engine reclaims on its own, and evicted ones, go out one by one.

Whether something changed is read off the engine's dirty counter. Who resets that does it inside a
command or `tick`.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Protocol

from cacheapp.engine.effects import EFFECTS
from cacheapp.engine.errors import CommandError
from cacheapp.engine.replies import Reply

if TYPE_CHECKING:
    from cacheapp.engine.database import Database
    from cacheapp.engine.engine import Engine
    from cacheapp.engine.registry import Command
    from cacheapp.engine.session import Session

# Kinds of sinks, as redis.set_repl numbers them.
TO_FILE, TO_REPLICAS = 1, 2
TO_ALL = TO_FILE | TO_REPLICAS

# What goes out although it changes no key: to everybody, or to replicas only.
_FORCED = {
    "FLUSHALL": TO_ALL, "FLUSHDB": TO_ALL, "PUBLISH": TO_REPLICAS, "SPUBLISH": TO_REPLICAS,
}  # fmt: skip
# Reads that may meet any number of due keys, which are no transaction then.
_SCATTERED = frozenset({"RANDOMKEY", "SCAN"})
# No writes, and yet they may change a key.
_WRITING_READS = frozenset({"PFCOUNT"})
_MULTI, _EXEC = [b"MULTI"], [b"EXEC"]


class Sink(Protocol):
    """Who takes the effects. Called under the engine's lock; must neither wait nor raise.

    `kind` is TO_FILE or TO_REPLICAS. Nobody but the sink knows which database was last selected.
    """

    kind: int

    def feed(self, db_index: int, args: list[bytes]) -> None:
        """Take one command, which concerns the database `db_index`. `args` is not to be changed."""

    def settle(self) -> None:
        """What was fed since the last call is complete: a command, a transaction, a script."""


class Propagation:
    """The sinks of an engine, and the effects of what runs just now."""

    __slots__ = (
        "_engine",
        "_gathers",
        "_instead",
        "_pending",
        "_prevented",
        "_seen",
        "failure",
        "sinks",
    )

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.sinks: list[Sink] = []
        # Set by a sink that could not take what was just sent: the answer to whoever did that.
        self.failure: CommandError | None = None
        # Database, command, kinds of sinks.
        self._pending: list[tuple[int, list[bytes], int]] = []
        self._instead: list[bytes] | None = None
        self._prevented = False
        # Whether the commands that run belong together.
        self._gathers = False
        # The dirty counter up to which every change has been told.
        self._seen = engine.dirty

    # From commands (see the functions below) and databases

    def instead(self, args: list[bytes]) -> None:
        """Send `args` in place of the command that runs."""
        self._instead = args

    def prevent(self) -> None:
        """Do not send the command that runs, whatever it changes."""
        self._prevented = True

    def also(self, db_index: int, args: list[bytes]) -> None:
        """Send `args`, before the command that runs if that is sent at all."""
        self._pending.append((db_index, args, TO_ALL))

    def removed(self, database: Database, key: bytes, *, evicted: bool) -> None:
        """Send that a key was due or had to go. The change is none of the command that runs."""
        lazy = "lazyfree-lazy-eviction" if evicted else "lazyfree-lazy-expire"
        word = b"UNLINK" if self._engine.config[lazy] else b"DEL"
        self._seen += 1
        self._pending.append((database.index, [word, key], TO_ALL))

    def removed_fields(
        self, database: Database, key: bytes, fields: list[bytes], changes: int
    ) -> None:
        """As `removed`, for fields of a hash that were due; it counted as so many changes."""
        self._seen += changes
        self._pending.append((database.index, [b"HDEL", key, *fields], TO_ALL))

    # From the engine

    def performed(
        self,
        session: Session,
        row: Command,
        args: list[bytes],
        reply: Reply,
        error: BaseException | None,
    ) -> None:
        """Note what a command has done, whose reply is `reply` unless it raised `error`."""
        dirty = self._engine.dirty
        changed, self._seen = dirty != self._seen, dirty
        instead, self._instead = self._instead, None
        prevented, self._prevented = self._prevented, False
        if not (row.is_write or row.name in _FORCED or row.name in _WRITING_READS) or prevented:
            return
        targets = TO_ALL if changed or instead else 0
        if error is None:
            targets |= _FORCED.get(row.name, 0)
        targets &= session.effects_to
        if not targets:
            return
        if instead is not None:
            commands = [instead]
        elif error is None and (effect := EFFECTS.get(row.name)) is not None:
            commands = effect(session, args, reply)
        else:
            commands = [args]
        index = session.db.index
        self._pending += [(index, command, targets) for command in commands]

    def ended(
        self,
        session: Session,
        row: Command,
        args: list[bytes],
        reply: Reply,
        error: BaseException | None,
    ) -> None:
        """As `performed`; and send it all, unless it is a part of something larger."""
        self.performed(session, row, args, reply, error)
        if session.is_script or session.queue is not None or self._engine.overtime.running:
            return
        if self._gathers:
            return
        self.settle(together=row.name not in _SCATTERED)
        if self.failure is not None:
            raise self.failure

    @contextlib.contextmanager
    def together(self) -> Iterator[None]:
        """What is executed inside goes out at the end, as a transaction. Under the engine's lock.

        CommandError where a sink could not take it.
        """
        self._gathers = True
        try:
            yield
        finally:
            self._gathers = False
            if not self._engine.overtime.running:
                self.settle()
        if self.failure is not None:
            raise self.failure

    def attempted(self, session: Session) -> CommandError | None:
        """Send what a command has done that had to wait; what is to be its answer instead."""
        if self._instead is not None:
            self.also(session.db.index, self._instead)
        self._instead, self._prevented = None, False
        self.settle()
        return self.failure

    def settle(self, *, together: bool = True) -> None:
        """Send what is complete, as a transaction where it is several commands `together`."""
        self._seen = self._engine.dirty
        # Of what was sent before: the answer to that has been given.
        self.failure = None
        if not self._pending:
            return
        pending, self._pending = self._pending, []
        if len(pending) == 1:
            ((index, args, targets),) = pending
            for sink in tuple(self.sinks):
                if targets & sink.kind:
                    sink.feed(index, args)
                    sink.settle()
            return
        if together:
            pending.insert(0, (pending[0][0], _MULTI, TO_ALL))
            pending.append((pending[-1][0], _EXEC, TO_ALL))
        for sink in list(self.sinks):
            kind, feed = sink.kind, sink.feed
            for index, args, targets in pending:
                if targets & kind:
                    feed(index, args)
            sink.settle()


def listen(engine: Engine, sink: Sink) -> None:
    """Let `sink` have the effects from now on. Again is no error."""
    with engine.lock:
        if engine.propagation is None:
            engine.propagation = Propagation(engine)
        if sink not in engine.propagation.sinks:
            engine.propagation.sinks.append(sink)
        engine.reconsider()


def ignore(engine: Engine, sink: Sink) -> None:
    """Let `sink` have no more effects. No error where it had none."""
    with engine.lock:
        propagation = engine.propagation
        if propagation is None or sink not in propagation.sinks:
            return
        propagation.sinks.remove(sink)
        if not propagation.sinks:
            engine.propagation = None
            engine.reconsider()


# For commands


def instead(session: Session, *args: bytes) -> None:
    """Send `args` in place of the command that runs, if anybody listens."""
    propagation = session.engine.propagation
    if propagation is not None:
        propagation.instead(list(args))


def prevent(session: Session) -> None:
    """Do not send the command that runs, if anybody listens."""
    propagation = session.engine.propagation
    if propagation is not None:
        propagation.prevent()


def also(session: Session, *args: bytes) -> None:
    """Send `args` besides, before the command that runs, if anybody listens."""
    propagation = session.engine.propagation
    if propagation is not None:
        propagation.also(session.db.index, list(args))
