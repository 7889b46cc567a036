"""What happens to engines around a fork.

Every engine's lock is held while the process forks, so a child starts from a state that no command
was in the middle of. It has the data as of the fork, its own lock, and no sessions.
"""

from __future__ import annotations

import os
import threading
import weakref
from typing import Protocol


class Forked(Protocol):
    """What is asked of an engine."""

    lock: threading.RLock

    def reset_after_fork(self) -> None:
        """In a child: become an engine of its own."""


_engines: weakref.WeakSet[Forked] = weakref.WeakSet()


def watch(engine: Forked) -> None:
    """Look after `engine` around forks, as long as it lives."""
    _engines.add(engine)


def _before_fork() -> None:
    for engine in list(_engines):
        engine.lock.acquire()


def _after_fork_in_parent() -> None:
    for engine in list(_engines):
        engine.lock.release()


def _after_fork_in_child() -> None:
    for engine in list(_engines):
        engine.reset_after_fork()
        engine.lock.release()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_before_fork,
        after_in_parent=_after_fork_in_parent,
        after_in_child=_after_fork_in_child,
    )
