"""The engine as a replica: whom it follows, what of the stream it has taken, who may write.

A front with sockets connects to the master (`server/following`), and hands over what comes: a copy
of everything, which takes the place of all that was there, then commands. They run without the
checks that clients meet. Whether a key is due is the master's to say: here such a key only seems to
be gone until the master deletes it, and to the master's own commands it is there.

Those who follow this engine in turn get its own stream, made of what it applies; a write that a
client makes on a writable replica is not in it. When a new copy comes they have to begin anew.

Left out on purpose: taking up another master's stream in the middle after a failover (both sides
copy again), and answers while a copy is loaded (that is one step).
"""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

from cacheapp.engine import registry
from cacheapp.engine.admission import UNQUEUED_COMMANDS
from cacheapp.engine.errors import (
    MASTER_DOWN,
    READ_ONLY_REPLICA,
    READ_ONLY_SCRIPT,
    STALE_SCRIPT,
    UNBLOCKED_AS_REPLICA,
    CommandError,
)
from cacheapp.engine.persistence import rdb, snapshot
from cacheapp.engine.persistence.replay import packed
from cacheapp.engine.replies import Reply
from cacheapp.engine.scripting.scripts import SCRIPT_COMMANDS, declared_flags

if TYPE_CHECKING:
    from cacheapp.engine.engine import Engine
    from cacheapp.engine.registry import Command
    from cacheapp.engine.session import Session

__all__ = ["CONNECT", "CONNECTED", "CONNECTING", "HANDSHAKE", "SYNC", "Following", "follow", "lead"]

_logger = logging.getLogger(__name__)

# The states of the link, as ROLE names them.
CONNECT, CONNECTING, HANDSHAKE, SYNC = "connect", "connecting", "handshake", "sync"
CONNECTED = "connected"
# Commands that say when a key is due: where the time stands, and its unit in milliseconds.
_DEADLINES = {
    b"PEXPIREAT": (2, 1),
    b"EXPIREAT": (2, 1000),
    b"HPEXPIREAT": (2, 1),
    b"RESTORE": (2, 1),
}
_DEADLINE_OPTIONS = {b"PXAT": 1, b"EXAT": 1000}


class Following:
    """The master of an engine, and how far it is followed. Called under the engine's lock."""

    def __init__(self, engine: Engine, host: str, port: int) -> None:
        self._engine = engine
        self.host, self.port = host, port
        self.state = CONNECT
        # The master's stream, and how much of it was applied; an empty name before the first copy.
        self.replication_id = ""
        self.offset = 0
        # When the master was last heard, and since when the link is down, in seconds.
        self.heard = self.down_since = engine.now
        # Whether what changes now is the master's doing.
        self.applying = False
        # The master as a client, while the link is up.
        self.session: Session | None = None
        # The database that the stream has selected; it does not say so again after a break.
        self._selected = 0

    # The link

    def up(self) -> None:
        """The master sends its stream from here on; nothing where it is followed no longer."""
        engine = self._engine
        if engine.following is not self:
            return
        self.session = engine.connect(_ignore, address=f"{self.host}:{self.port}")
        self.session.db = engine.databases[self._selected]
        self.state, self.heard = CONNECTED, engine.now
        engine.reconsider()

    def down(self) -> None:
        """The link is gone, or not there yet. Again is no error."""
        engine = self._engine
        if self.state == CONNECTED:
            self.down_since = engine.now
        self.state = CONNECT
        session, self.session = self.session, None
        if session is not None:
            self._selected = session.db.index
            engine.disconnect(session)
        engine.reconsider()

    def load(self, copy: bytes, replication_id: str, offset: int) -> None:
        """Have what is in `copy`, a dump, and nothing else; a damaged one changes nothing.

        CorruptPayload where it is damaged or does not fit. Of a master that is followed no longer
        nothing is taken.
        """
        engine = self._engine
        if engine.following is not self:
            return
        engine.epoch += 1
        self.applying = True
        try:
            taken = rdb.parsed(copy, engine.config, engine.now)
            # Should it not fit, there is no place in a stream for what is left.
            self.replication_id, self._selected = "", 0
            replicas = engine.replicas
            for session in replicas.online():
                session.kill(None)
            replicas.stop()
            engine.replication_id = os.urandom(20).hex()
            for database in engine.databases:
                database.clear()
            engine.functions.flush()
            engine.tracking.flushed()
            snapshot.load(engine, taken, merge=False, due_too=True)
            engine.saving.replaced()
        finally:
            self.applying = False
            engine.epoch += 1
        self.replication_id, self.offset = replication_id, offset

    def apply(self, commands: Sequence[list[bytes]], offset: int) -> None:
        """Run commands of the master, the last of which ends at `offset` of its stream."""
        engine, session = self._engine, self.session
        if session is None:
            return
        engine.epoch += 1
        self.applying = True
        try:
            for args in commands:
                engine.now = session.last_active = self.heard = engine.clock.time()
                try:
                    self._run(session, args)
                except CommandError as error:
                    _logger.error("the master's %r failed here: %s", args[0], error)
                if engine.waiters.ready_keys:
                    engine.waiters.serve()
        finally:
            self.applying = False
            engine.now = engine.clock.time()
            engine.epoch += 1
        # A transaction counts once it is whole, so that it can be sent again.
        unfinished = 0
        if session.queue is not None:
            begun = [at for at, args in enumerate(commands) if args[0].upper() == b"MULTI"]
            if not begun:
                return
            unfinished = sum(len(packed(args)) for args in commands[begun[-1] :])
        self.offset = offset - unfinished

    def _run(self, session: Session, args: list[bytes]) -> None:
        row = registry.lookup(args)
        if session.queue is not None and row.display not in UNQUEUED_COMMANDS:
            session.queue.append((row, args))
            return
        session.last_command = row.display
        parts = session.queue if row.name == "EXEC" and session.queue else ((row, args),)
        for part in parts:
            self._go_back_before(session, *part)
        self._engine.call(session, row, args)

    def _go_back_before(self, session: Session, row: Command, args: list[bytes]) -> None:
        """Let it be so early that no key of a command is due, and no time in it has passed."""
        engine, database = self._engine, session.db
        moments = []
        if database.volatile:
            slots = (database.slots.get(args[at]) for at in row.key_positions(args))
            moments = [database.deadlines[slot] for slot in slots if slot is not None]
        moments.append(_deadline(args))
        earliest = min(filter(None, moments), default=0)
        if earliest and earliest <= engine.now_ms:
            engine.now = (earliest - 1) / 1000.0

    # What clients may do meanwhile

    def check(self, session: Session, row: Command, args: list[bytes]) -> None:
        """Refuse what a replica does not do for clients."""
        parts = [(row, args)]
        if row.name == "EXEC":
            parts += session.queue or ()
        if self._is_read_only and any(self._writes(*part) for part in parts):
            raise CommandError(READ_ONLY_REPLICA)
        if self.is_stale and not all(self._may_be_stale(*part) for part in parts):
            raise CommandError(MASTER_DOWN)

    def check_script(self, flags: frozenset[str]) -> None:
        """The same for a script that has said what it does, where it runs in a transaction."""
        if self.is_stale and "allow-stale" not in flags:
            raise CommandError(STALE_SCRIPT)
        if self._is_read_only and "no-writes" not in flags:
            raise CommandError(READ_ONLY_SCRIPT)

    def _writes(self, row: Command, args: list[bytes]) -> bool:
        if row.name not in SCRIPT_COMMANDS:
            return row.is_write
        flags = declared_flags(self._engine, row.name, args[1])
        # One that says nothing is told when it tries.
        return flags is not None and "no-writes" not in flags

    def _may_be_stale(self, row: Command, args: list[bytes]) -> bool:
        if row.name not in SCRIPT_COMMANDS:
            return "stale" in row.flags
        flags = declared_flags(self._engine, row.name, args[1])
        return "allow-stale" in flags if flags is not None else row.name.startswith("FCALL")

    @property
    def _is_read_only(self) -> bool:
        return bool(self._engine.config["replica-read-only"])

    @property
    def is_stale(self) -> bool:
        """Whether reads are refused, for what is here may be old."""
        return self.state != CONNECTED and not self._engine.config["replica-serve-stale-data"]


def follow(engine: Engine, host: str, port: int) -> None:
    """Make `engine` a replica; who waits for anything is told that, and dropped."""
    if engine.following is not None:
        engine.following.down()
    else:
        for session in list(engine.waiters.by_session):
            engine.waiters.unblock(session, with_error=UNBLOCKED_AS_REPLICA)
            session.finish()
    engine.following = Following(engine, host, port)
    _changed(engine, f"{host} {port}")


def lead(engine: Engine) -> None:
    """Make `engine` a master, with all that it has. Again is no error."""
    if engine.following is not None:
        engine.following.down()
        engine.following = None
        _changed(engine, "")


def _changed(engine: Engine, setting: str) -> None:
    engine.config.values["replicaof"] = setting
    engine.reconsider()
    if engine.link is not None:
        engine.link()


def _deadline(args: list[bytes]) -> int:
    """The time in milliseconds that a command says, 0 where it says none."""
    at, unit_ms = _DEADLINES.get(args[0].upper(), (0, 0))
    if not at:
        for index, argument in enumerate(args[3:-1], 3):
            if argument.upper() in _DEADLINE_OPTIONS:
                at, unit_ms = index + 1, _DEADLINE_OPTIONS[argument.upper()]
    return int(args[at]) * unit_ms if at and args[at].isdigit() else 0


def _ignore(_reply: Reply) -> None:
    """The master is not answered."""
