"""What happens to engines around a fork.

Every engine's lock is held while the process forks, so a child starts from a state that no command
was in the middle of. It has the data as of the fork, its own lock, and no sessions. The lock under
which engines get their names is held as well, or a child might find it locked for ever.
"""

from __future__ import annotations

import contextlib
import os
import threading
import weakref
from collections.abc import Iterator
from typing import Protocol


class Forked(Protocol):
    """What is asked of an engine."""

    lock: threading.RLock

    def reset_after_fork(self) -> None:
        """In a child: become an engine of its own."""


_engines: weakref.WeakSet[Forked] = weakref.WeakSet()
#: Held while an engine is found or made by its name.
naming = threading.Lock()
# Those whose locks are held. Not asked for again after the fork: another thread may have made an
# engine meanwhile.
_held: list[Forked] = []
# Whether the child to come only writes what the engine holds, and ends.
_for_writer = False


def watch(engine: Forked) -> None:
    """Look after `engine` around forks, as long as it lives."""
    _engines.add(engine)


def _before_fork() -> None:
    naming.acquire()
    engines = list(_engines)
    for engine in engines:
        engine.lock.acquire()
    _held[:] = engines


def _release() -> None:
    engines = _held[:]
    _held.clear()
    for engine in engines:
        engine.lock.release()
    naming.release()


@contextlib.contextmanager
def writer() -> Iterator[None]:
    """A child that is made inside finds its engines as they are: it writes them down, and ends."""
    global _for_writer  # noqa: PLW0603
    _for_writer = True
    try:
        yield
    finally:
        _for_writer = False


def _after_fork_in_child() -> None:
    for engine in [] if _for_writer else _held:
        engine.reset_after_fork()
    _release()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_before_fork,
        after_in_parent=_release,
        after_in_child=_after_fork_in_child,
    )
