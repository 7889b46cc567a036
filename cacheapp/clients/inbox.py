"""What arrived for one session of an engine in this process, and waits to be read.

A front adds how to wake who waits. What the engine delivers to a subscriber is bounded as over TCP:
beyond the hard limit of ``client-output-buffer-limit`` for the class ``pubsub`` its session is
killed (docs/decisions/157-unread-in-process.md). Left out on purpose: the soft limit, which needs
a timer.
"""

from __future__ import annotations

from collections import deque
from typing import Any, Final

from cacheapp.engine.session import Session

__all__ = ["CLOSED", "Inbox"]

#: An item after which none comes.
CLOSED: Final = object()
# What a message takes beside its bytes.
_MESSAGE_BYTES = 100


class Inbox:
    """Items in the order in which they came. ``session`` is whose they are, once there is one."""

    __slots__ = ("_counted_bytes", "items", "session")

    def __init__(self) -> None:
        self.items: deque[Any] = deque()
        self.session: Session | None = None
        # At least what the messages in ``items`` take: those that were read are still in it.
        self._counted_bytes = 0

    def put(self, item: Any) -> None:
        """Add an item, from any thread."""
        self.items.append(item)
        self.wake()

    def wake(self) -> None:
        """Wake who waits, after something was added to ``items``. From any thread."""
        raise NotImplementedError

    def deliver(self, item: Any) -> None:
        """Add what the engine says out of turn; a subscriber who leaves too much is dropped."""
        self.put(item)
        session = self.session
        if session is None or not session.is_subscribed:
            return
        self._counted_bytes += _weight(item)
        hard: int = session.engine.config["client-output-buffer-limit"]["pubsub"][0]
        if 0 < hard < self._counted_bytes:
            # A list first: another thread may be reading.
            self._counted_bytes = sum(map(_weight, list(self.items)))
            if self._counted_bytes > hard:
                self.items.clear()
                session.kill(by=None)


def _weight(item: Any) -> int:
    if not isinstance(item, list):
        return _MESSAGE_BYTES
    return _MESSAGE_BYTES + sum(len(part) for part in item if type(part) is bytes)
