"""WATCH: who has to be told, by EXEC, that a key changed since they looked at it.

A database has the sessions that watch by key; a session has the keys, and whether each was due
when it was looked at. `Database.changed` comes here only where somebody watches.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cacheapp.engine.database import Database
    from cacheapp.engine.session import Session


def watch(database: Database, key: bytes, session: Session) -> None:
    """Mark `session` as touched when `key` changes."""
    database.watchers.setdefault(key, set()).add(session)


def unwatch(database: Database, key: bytes, session: Session) -> None:
    """Undo `watch`."""
    sessions = database.watchers.get(key)
    if sessions is not None:
        sessions.discard(session)
        if not sessions:
            del database.watchers[key]


def touch_watchers_of(database: Database, key: bytes) -> None:
    """Spoil the EXEC of the sessions that watch `key`.

    Not of those that knew it as due: to them it has not been there, so its deletion is none.
    """
    gone = key not in database.slots
    for session in database.watchers.get(key, ()):
        if not session.watched.get((database, key)):
            session.touched = True
        elif gone:
            session.watched[database, key] = False


def touch_watchers(database: Database, other: Database | None) -> None:
    """Mark watchers of keys that are in `database`, or in `other`, which takes its place."""
    for key, sessions in database.watchers.items():
        was = key in database.slots
        slot = None if other is None else other.slots.get(key)
        if not was and slot is None:
            continue
        due = other is not None and slot is not None and other.is_due(slot)
        for session in sessions:
            was_due = session.watched.get((database, key), False)
            if (was_due and (slot is None or due)) or (not was and due):
                # Neither a missing key nor a due one is there: no change to who watches.
                session.watched[database, key] = due
            else:
                session.touched = True
