"""An event loop reads in place of the reader's thread, where one loop receives all that comes.

A thread that wakes for a message, takes the interpreter from the loop, and wakes the loop in its
turn costs more than everything else that a message needs. So the thread lends its connection: it
asks the server, and the loop watches the socket, deals with the reply and asks again. The thread
sleeps meanwhile, and takes over when something else is due, when the loop did not go on for
STALLED_S, or whenever it is asked to. What may wait for a server is left to it.

The loop watches a duplicate of the socket, so that neither closes what the other uses. Left out on
purpose: TLS, whose decrypted bytes a selector does not see, and loops that watch no sockets.
"""

from __future__ import annotations

import math
import os
import threading
import weakref
from asyncio import AbstractEventLoop
from collections.abc import Callable
from time import monotonic
from typing import TYPE_CHECKING, Any

from redis._parsers.hiredis import NOT_ENOUGH_DATA
from redis.exceptions import ConnectionError as RedisConnectionError

if TYPE_CHECKING:
    from cacheapp.channels.hub import Hub
    from cacheapp.channels.reader import Reader

__all__ = ["Loan", "receive"]

#: Seconds without a reply, which the server sends twice a second, after which the thread reads.
STALLED_S = 1.0


class Loan:
    """One time for which ``loop`` reads. The command to read was sent; see the module.

    When it is over, ``reply`` is one that the thread has to deal with, ``error`` what went wrong,
    and ``is_asked`` whether the server still owes a reply; ``began`` is when it was asked.
    """

    def __init__(self, reader: Reader, hub: Hub, loop: AbstractEventLoop, connection: Any) -> None:
        self._reader = reader
        self._hub = weakref.ref(hub)
        self._loop = loop
        self._connection = connection
        # Held by who reads; whoever holds it may say that the loan is over.
        self._lock = threading.Lock()
        self._is_over = False
        self._ended = threading.Event()
        self._fd = os.dup(connection._sock.fileno())
        self._close = weakref.finalize(self, os.close, self._fd)
        self._close.atexit = False
        self.began = self._replied_at = monotonic()
        self._due_at = math.inf
        self.reply: Any = None
        self.error: Exception | None = None
        self.is_asked = True
        self.is_refused = False

    # The thread's

    def run(self, until: float, due_at: float) -> None:
        """Have the loop read until then (of the monotonic clock), or until the loan is over.

        From ``due_at`` on it is over with the next reply, when the thread need not wait for one.
        """
        self._due_at = due_at
        self._connection._sock.setblocking(False)
        try:
            self._call(self._begin)
            while (now := monotonic()) < until and now - self._replied_at < STALLED_S:
                if self._ended.wait(min(until - now, STALLED_S)):
                    break
        finally:
            with self._lock:
                is_over, self._is_over = self._is_over, True
            if not is_over:
                self._call(self._forget)

    def _call(self, function: Callable[[], None]) -> None:
        try:
            self._loop.call_soon_threadsafe(function)
        except RuntimeError:
            # The loop is closed, and so is what it watched with.
            self._ended.set()
            self._close()

    def ask_back(self) -> None:
        """Have the thread take over; from any thread."""
        self._ended.set()

    # The loop's

    def _begin(self) -> None:
        with self._lock:
            if self._is_over:
                return
            try:
                self._loop.add_reader(self._fd, self._readable)
            except NotImplementedError:
                self.is_refused = True
                self._end()

    def _forget(self) -> None:
        self._loop.remove_reader(self._fd)
        self._close()

    def _end(self) -> None:
        self._is_over = True
        if not self.is_refused:
            self._loop.remove_reader(self._fd)
        self._close()
        self._ended.set()

    def _readable(self) -> None:
        self._guard(self._take)

    def _guard(self, step: Callable[[Hub], bool]) -> None:
        """Do a step, unless the loan is over; it is where the step says False, or raises."""
        with self._lock:
            if self._is_over:
                return
            hub = self._hub()
            goes_on = False
            try:
                # A reader that is not its hub's is that of a parent process.
                if hub is not None and hub.reader is self._reader:
                    goes_on = step(hub)
            except Exception as error:  # noqa: BLE001 - the thread raises it
                self.error = error
            if not goes_on:
                self._end()

    def _take(self, hub: Hub) -> bool:
        """Read what came, and deal with it once it is whole."""
        try:
            reply = read_some(self._connection)
        except BlockingIOError:
            return True
        if reply is NOT_ENOUGH_DATA:
            return True
        self.is_asked = False
        self._replied_at = monotonic()
        if not self._reader.deal(hub, reply, self.began, may_wait=False):
            self.reply = reply
            return False
        if self._replied_at >= self._due_at or hub.needs_thread():
            return False
        # Those who wait for what came go first, and what they do about it.
        self._loop.call_soon(self._loop.call_soon, self._guard, self._ask)
        return True

    def _ask(self, hub: Hub) -> bool:
        """Ask for what follows."""
        packed = self._reader.read_command(hub)
        self.began = monotonic()
        if self._connection._sock.send(packed) != len(packed):
            raise RedisConnectionError("the server does not take what it is asked")
        self.is_asked = True
        return True


def read_some(connection: Any) -> Any:
    """Read once from a redis-py connection: a reply, or NOT_ENOUGH_DATA. Raises what it says."""
    parser = connection._parser
    size = connection._sock.recv_into(parser._buffer)
    if size == 0:
        raise RedisConnectionError("Connection closed by server.")
    reader = parser._reader
    reader.feed(parser._buffer, 0, size)
    reply = reader.gets()
    while type(reply) is parser._hiredis_PushNotificationType:
        reply = reader.gets()
    if isinstance(reply, Exception):
        raise reply
    return reply


def receive(connection: Any) -> Any:
    """Return the reply to what was sent on a redis-py connection. Raises an error that it is."""
    reply = NOT_ENOUGH_DATA
    while reply is NOT_ENOUGH_DATA:
        reply = read_some(connection)
    return reply
