"""What a command has to pass before it runs, where its session or the engine is not at rest.

`Engine.execute` comes here for sessions that are `special` and for an engine that is guarded (by a
memory limit, a pause, monitors, tracking, a script that is late). The order is Redis's own, since
which error wins is visible to clients. An error here is a command that was refused before it ran.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cacheapp.engine import registry
from cacheapp.engine.errors import (
    NO_AUTH,
    NO_MULTI,
    NO_REPLICAS,
    OUT_OF_MEMORY,
    REPLICA_KEYSPACE,
    CommandError,
    SessionEndedError,
    exec_refused,
    subscribed,
)
from cacheapp.engine.eviction import is_full
from cacheapp.engine.monitoring import show

if TYPE_CHECKING:
    from cacheapp.engine.engine import Engine
    from cacheapp.engine.registry import Command
    from cacheapp.engine.session import Session

# What a session in MULTI does at once.
UNQUEUED_COMMANDS = frozenset({"exec", "discard", "multi", "watch", "quit", "reset"})
# Of these, what a full memory refuses all the same.
_REFUSED_WHEN_FULL = frozenset({"multi", "watch"})
_SUBSCRIBED_COMMANDS = frozenset(
    {"subscribe", "psubscribe", "unsubscribe", "punsubscribe", "ssubscribe", "sunsubscribe",
     "ping", "quit", "reset"}
)  # fmt: skip
_KEYSPACE_FLAGS = frozenset({"readonly", "write"})


def goes_apart(engine: Engine, session: Session, row: Command, args: list[bytes]) -> bool:
    """The checks of a session that is not at rest; whether its command goes another way."""
    name = row.display
    if session.closing:
        session.end()
        raise SessionEndedError
    if session.login_required and "no_auth" not in row.flags:
        raise CommandError(NO_AUTH)
    if session.queue is not None and "no_multi" in row.flags:
        raise CommandError(NO_MULTI)
    if session.restricted:
        engine.acl.check(session, row, args)
    if session.protocol == 2 and session.is_subscribed and name not in _SUBSCRIBED_COMMANDS:
        raise subscribed(name)
    follows = session.replica is not None and session.replica.is_online
    if (session.monitoring or follows) and (
        row.flags & _KEYSPACE_FLAGS or row.name in registry.MAY_REPLICATE
    ):
        raise CommandError(REPLICA_KEYSPACE)
    if session.muted or session.no_touch:
        return True
    return session.queue is not None and name not in UNQUEUED_COMMANDS


def is_kept(engine: Engine, session: Session, row: Command, args: list[bytes]) -> bool:
    """The checks of an engine that is guarded; whether CLIENT PAUSE keeps the command."""
    queues = session.queue is not None and row.display not in UNQUEUED_COMMANDS
    if engine.limited:
        _check_memory(engine, session, row, queues)
    if engine.saving.broken:
        engine.saving.check(session, row)
    if engine.following is not None:
        engine.following.check(session, row, args)
    elif _writes(session, row) and not engine.replicas.are_enough():
        raise CommandError(NO_REPLICAS)
    engine.overtime.check(row)
    if engine.tracking.active:
        engine.tracking.limit()
    if engine.pause.until_ms and engine.pause.keeps(session, row, args):
        engine.pause.keep(session, args)
        return True
    if engine.monitors and "skip_monitor" in row.flags and row.name != "EXEC" and not queues:
        # Before the commands of the script.
        show(engine, session, args, engine.now)
    return False


def _writes(session: Session, row: Command) -> bool:
    """Whether a command may change keys, or EXEC one of its commands."""
    if row.name == "EXEC":
        return any(queued.is_write for queued, _ in session.queue or ())
    return row.is_write


def _check_memory(engine: Engine, session: Session, row: Command, queues: bool) -> None:
    """Evict down to the limit; raises OOM for what may need memory where that fails."""
    if engine.used_bytes > engine.config["maxmemory"]:
        engine.evictor.make_room()
    if not is_full(engine):
        return
    needs_memory = row.deny_oom or queues
    if session.queue is not None and row.display in _REFUSED_WHEN_FULL:
        needs_memory = True
    if row.name == "EXEC" and session.queue:
        needs_memory = any(queued.deny_oom for queued, _ in session.queue)
    if needs_memory:
        raise CommandError(OUT_OF_MEMORY)


def rejected(engine: Engine, session: Session, args: list[bytes], error: CommandError) -> None:
    """Count a command that was refused before it ran; inside MULTI it spoils the EXEC."""
    session.queue_failed = session.queue is not None
    engine.tracking.use_caching(session, None)
    engine.stats.count_error(error.code)
    row = registry.find(args[0])
    if row is not None:
        engine.stats.command(row.display).rejected += 1
        if row.display == "exec":
            session.discard()
            raise exec_refused(error)
