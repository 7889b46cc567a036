"""The daemon thread that keeps a near cache: started when it is needed, again if it died.

Never at import and never in a process that only writes: the first read that finds no lease starts
it, and so does the first after its death, whatever it died of. Who watches (``audience``) starts it
as well, and reads nothing, so with such it starts itself again. The child of a fork has no thread
and begins with an empty near cache. A change of CACHES (in a test) ends it.

Left out on purpose: what the thread does. See ``listener`` and ``carrier``.
"""

from __future__ import annotations

import contextlib
import os
import threading
import weakref
from abc import ABC, abstractmethod
from math import inf
from time import monotonic
from typing import Any, Final

from django.core.signals import setting_changed
from django.dispatch import receiver

from cacheapp.invalidation.audience import Audience

#: Seconds before a thread that died is replaced.
REVIVAL_S: Final = 0.5


class Revived(ABC):
    """A thread called ``name`` that runs ``run`` for the near cache ``near`` and an audience."""

    def __init__(self, name: str, near: Any, audience: Audience | None = None) -> None:
        self._name = name
        self._near = near
        self.audience = Audience(self.wake) if audience is None else audience
        self._begin()
        _all.add(self)

    def _begin(self) -> None:
        """Be as new: nothing that another process's thread may be in the middle of."""
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self._revive_at = -inf

    @abstractmethod
    def run(self, stopping: threading.Event) -> None:
        """What the thread does until ``stopping`` is set."""

    @property
    def is_alive(self) -> bool:
        """Whether the thread runs."""
        return self._thread is not None and self._thread.is_alive()

    def wake(self) -> None:
        """See that the thread runs; to be called by a read that found no lease."""
        if self.is_alive or monotonic() < self._revive_at:
            return
        with self._lock:
            if not self.is_alive:
                self._revive_at = monotonic() + REVIVAL_S
                self._thread = threading.Thread(
                    target=self._live, args=(self._stopping,), name=self._name, daemon=True
                )
                # No room for a thread, or the interpreter is ending: reads go to the server.
                with contextlib.suppress(RuntimeError):
                    self._thread.start()

    def _live(self, stopping: threading.Event) -> None:
        try:
            self.run(stopping)
        finally:
            if len(self.audience) and not stopping.wait(REVIVAL_S):
                self._thread = None
                self.wake()

    def stop(self) -> None:
        """End the thread, soon. The next read that finds no lease starts another."""
        with self._lock:
            self._stopping.set()
            self._stopping, self._thread, self._revive_at = threading.Event(), None, -inf
        self._near.renew(-inf)
        self.audience.is_live = False

    def forked(self) -> None:
        """Be as new, in the child of a fork."""
        self._near.reset()
        self.audience.reset()
        self._begin()


_all: weakref.WeakSet[Revived] = weakref.WeakSet()


def _after_fork() -> None:
    for each in list(_all):
        each.forked()


os.register_at_fork(after_in_child=_after_fork)


@receiver(setting_changed, dispatch_uid="cacheapp.invalidation.revived")
def _stop_all(*, setting: str, **_: Any) -> None:
    if setting == "CACHES":
        for each in list(_all):
            each.stop()
