"""Running a command of a session in a special state: in MULTI, muted, NO-TOUCH, or beside tracking.

`Engine.execute` comes here after admission, and only for such: everybody else's commands take the
short way there. Left out on purpose: what the states mean, which `session` and `tracking` say.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cacheapp.engine.admission import UNQUEUED_COMMANDS
from cacheapp.engine.errors import CommandError
from cacheapp.engine.registry import Command
from cacheapp.engine.replies import BLOCKED, NO_REPLY, QUEUED, Reply, to_resp2
from cacheapp.engine.session import MUTED_ONCE, Session

if TYPE_CHECKING:
    from cacheapp.engine.engine import Engine


def execute_tracked(engine: Engine, session: Session, row: Command, args: list[bytes]) -> Reply:
    """Run a command while somebody tracks keys."""
    engine.tracking.enter(session)
    try:
        reply = execute_apart(engine, session, row, args)
    except CommandError as error:
        reply = error
    except BaseException:
        engine.tracking.settle(session, row, NO_REPLY)
        raise
    reply = engine.tracking.settle(session, row, reply)
    if isinstance(reply, CommandError):
        raise reply
    return reply


def execute_apart(engine: Engine, session: Session, row: Command, args: list[bytes]) -> Reply:
    """Queue a command, run it without a reply, or without leaving a trace in its keys."""
    was = session.muted
    if session.queue is not None and row.display not in UNQUEUED_COMMANDS:
        session.queue.append((row, args))
        return mute(session, row, was) if was else QUEUED
    session.last_command = row.display
    kept = _accesses(session, row, args) if session.no_touch else {}
    try:
        reply = engine.call(session, row, args)
    except CommandError:
        if session.muted:
            return mute(session, row, was)
        raise
    finally:
        for slot, access in kept.items():
            session.db.accesses[slot] = access
        if engine.waiters.ready_keys:
            engine.waiters.serve()
    if session.muted and reply is not BLOCKED:
        return mute(session, row, was)
    if row.shaped and session.protocol == 2:
        return to_resp2(reply)
    return reply


def mute(session: Session, row: Command | None, was: int) -> Reply:
    """NO_REPLY; the end of CLIENT REPLY SKIP where a command has used it."""
    itself = row is not None and row.name == "CLIENT|REPLY"
    if was == MUTED_ONCE and session.muted == MUTED_ONCE and not itself:
        session.muted = 0
        session.refresh()
    return NO_REPLY


def _accesses(session: Session, row: Command, args: list[bytes]) -> dict[int, float]:
    """What is recorded of accesses to the keys that a command reads, by slot."""
    db = session.db
    if row.is_write or row.name == "TOUCH":
        return {}
    slots = (db.slots.get(args[index]) for index in row.key_positions(args))
    return {slot: db.accesses[slot] for slot in slots if slot is not None}
