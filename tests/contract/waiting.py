"""Connections on which a command waits: a test goes on when the server says that it does."""

from __future__ import annotations

import threading

from tests.contract.conftest import Server
from tests.raw import Raw

# Looks after which a client that is not blocked never will be, and the pause between two, which
# lets a thread that is about to wait have the interpreter and the engine's lock.
LOOKS_MAX = 5_000
PAUSE_S = 0.001


def blocked(server: Server) -> int:
    """How many clients wait."""
    info = server.execute("INFO", "clients").decode()
    return int(info.partition("blocked_clients:")[2].split()[0])


def until_blocked(server: Server, count: int) -> None:
    """Return when exactly `count` clients wait; AssertionError if that does not come."""
    pause = threading.Event()
    for _ in range(LOOKS_MAX):
        if blocked(server) == count:
            return
        pause.wait(PAUSE_S)
    raise AssertionError(f"{blocked(server)} clients wait, not {count}")


def waiting(server: Server, line: str, protocol: int = 2, db: int = 0) -> Raw:
    """A connection to database `db` on which the command `line` waits."""
    # Asked first, for the first connection of a server is the one that `execute` uses.
    before = blocked(server)
    raw = server.raw(protocol)
    if db:
        raw.execute("SELECT", db)
    raw.send(*line.split())
    until_blocked(server, before + 1)
    return raw
