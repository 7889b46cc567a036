"""A raw connection to the engine: a Session, with the replies that a socket would have brought.

Apart from `raw`, so that tests which need no engine do not import it.
"""

from __future__ import annotations

import queue
import time
from collections import deque
from typing import Any

from cacheapp.engine.engine import Engine
from cacheapp.engine.errors import CommandError
from cacheapp.engine.replies import BLOCKED, NO_REPLY, NULL_ARRAY, Push
from tests.raw import (
    CONFIRMED_BY_PUSH,
    RECEIVE_TIMEOUT_S,
    Argument,
    NothingCame,
    ReplyError,
    encode,
)


class EngineRaw:
    """A Session of the engine, without redis-py above it."""

    def __init__(self, engine: Engine, protocol: int = 2) -> None:
        self._engine = engine
        self._inbox: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._late: deque[Any] = deque()
        self._session = engine.connect(self._inbox.put, protocol=protocol)

    def execute(self, *args: Argument) -> Any:
        """Run one command; its reply, or ReplyError raised. Pushes wait for `receive`."""
        try:
            reply = self._engine.execute(self._session, [encode(arg) for arg in args])
        except CommandError as error:
            raise ReplyError(str(error)) from error
        if reply is not NO_REPLY and reply is not BLOCKED:
            return plain(reply)
        if encode(args[0]).upper() in CONFIRMED_BY_PUSH:
            return self.receive()
        while type(late := self._receive()) is Push:
            self._late.append(late)
        late = plain(late)
        if isinstance(late, ReplyError):
            raise late
        return late

    def send(self, *args: Argument) -> None:
        """Run one command; its reply, or ReplyError, waits for `receive`."""
        try:
            reply = self._engine.execute(self._session, [encode(arg) for arg in args])
        except CommandError as error:
            reply = error
        if reply is not NO_REPLY and reply is not BLOCKED:
            self._inbox.put(reply)

    def receive(self) -> Any:
        """The next push or late reply; NothingCame when none arrives in five seconds."""
        return plain(self._late.popleft() if self._late else self._receive())

    def _receive(self) -> Any:
        end = time.monotonic() + RECEIVE_TIMEOUT_S
        while (left_s := end - time.monotonic()) > 0:
            due_ms = self._engine.waiters.next_deadline_ms()
            if due_ms:
                # The engine does not wait: who waits for it ticks when a timeout is due.
                due_s = (due_ms + 1) / 1000 - self._engine.clock.time()
                left_s = min(left_s, max(due_s, 0))
            try:
                return self._inbox.get(timeout=left_s)
            except queue.Empty:
                self._engine.tick()
        raise NothingCame(f"nothing came in {RECEIVE_TIMEOUT_S} s")

    def close(self) -> None:
        """End the session; safe to call twice."""
        self._engine.disconnect(self._session)


def plain(reply: Any) -> Any:
    """An engine's reply as a client of a socket would hold it."""
    if reply is NULL_ARRAY:
        return None
    if isinstance(reply, CommandError):
        return ReplyError(str(reply))
    if isinstance(reply, bytes):
        return bytes(reply)
    if isinstance(reply, float):
        return float(reply)
    if isinstance(reply, dict):
        return {plain(key): plain(value) for key, value in reply.items()}
    if isinstance(reply, list):
        return [plain(item) for item in reply]
    return reply
