"""Writes inside ``transaction.atomic()``: what is said at once, and what at the commit.

The server's value changes at once, so near caches hear of it at once, as "early": otherwise they
would serve what was overwritten for as long as the transaction takes. Everybody else who listens
(consumers that query the database when a key changes) is told by a second message, after the
commit; after a rollback by none.

What a transaction deletes is deleted again with that second message. Between the first deletion
and the commit another process may miss the key, query the old row and store it.

Writes next to each other share one message. Left out on purpose: holding the write itself back.
``add`` and ``incr`` have to answer, a transaction has to read what it wrote, and in a TestCase no
commit ever comes.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from django.db import connections
from django.db.backends.signals import connection_created
from django.dispatch import receiver

from cacheapp.clients.bytelevel import Commands
from cacheapp.invalidation.protocol import (
    KEY,
    KEY_EARLY,
    NAMES_MAX,
    PREFIX,
    PREFIX_EARLY,
    Message,
    keys_message,
    prefix_message,
)

if TYPE_CHECKING:
    from cacheapp.invalidation.bus import Bus

_EARLY = {KEY: KEY_EARLY, PREFIX: PREFIX_EARLY}
_DELETIONS = frozenset({"DEL", "UNLINK"})


class AtCommit:
    """What is to be said, and deleted again, after one commit: Django's on_commit callback."""

    def __init__(self, bus: Bus) -> None:
        self.bus = bus
        self.names: dict[bytes, bool] = {}
        self.prefixes: dict[bytes, None] = {}

    def add(self, commands: Commands, message: Message) -> None:
        """Take one write: its commands and its message."""
        deletes = all(command[0] in _DELETIONS for command in commands)
        for field, value in zip(message[::2], message[1::2], strict=True):
            if field == PREFIX:
                self.prefixes[value] = None
            elif len(self.names) < NAMES_MAX:
                self.names[value] = deletes
            else:
                self.prefixes[b""] = None

    def __call__(self) -> None:
        """The transaction was committed."""
        deleted = [name for name, deletes in self.names.items() if deletes]
        commands = [("UNLINK", *deleted)] if deleted else []
        message = sum((prefix_message(each) for each in self.prefixes), ())
        if self.names:
            message += keys_message(self.names)
        self.bus.send_now(commands, message)


def of_write(
    bus: Bus, commands: Commands, message: Message
) -> tuple[Message, Callable[[], None] | None]:
    """Return what a write is to say now, and what to call once it is done (None outside atomic)."""
    if in_atomic() is None:
        return message, None
    # Of several databases nobody knows which one the write belongs to, so after each commit.
    waiting = [connection for connection in _connections() if connection.in_atomic_block]
    early = tuple(
        _EARLY.get(part, part) if index % 2 == 0 else part for index, part in enumerate(message)
    )
    if early == message:
        return message, None

    def again() -> None:
        for connection in waiting:
            _register(connection, bus, commands, message)

    return early, again


#: The database connections that each thread ever opened: a look at them costs a write nothing,
#: where ``connections.all(initialized_only=True)`` takes 4 microseconds.
_opened = threading.local()


def _connections() -> list[Any]:
    try:
        found: list[Any] = _opened.connections
    except AttributeError:
        found = _opened.connections = list(connections.all(initialized_only=True))
    return found


@receiver(connection_created, dispatch_uid="cacheapp.invalidation.commits")
def _note(*, connection: Any, **_: Any) -> None:
    known = _connections()
    if not any(each is connection for each in known):
        known.append(connection)


def in_atomic() -> Any:
    """Return a database connection of this thread inside atomic(), None if there is none."""
    for connection in _connections():
        if connection.in_atomic_block:
            return connection
    return None


def _register(connection: Any, bus: Bus, commands: Commands, message: Message) -> None:
    waiting = connection.run_on_commit
    if waiting:
        savepoints, callback, _ = waiting[-1]
        if (
            isinstance(callback, AtCommit)
            and callback.bus is bus
            and savepoints == set(connection.savepoint_ids)
        ):
            callback.add(commands, message)
            return
    callback = AtCommit(bus)
    callback.add(commands, message)
    connection.on_commit(callback, robust=True)
