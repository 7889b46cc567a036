"""Raw connections: a command's arguments in, its exact reply out, the same on both servers.

redis-py drops the `ERR ` of an error and parses many replies, so a test of exact replies and
error texts speaks through these instead: hiredis on a socket here, and a Session of the engine in
`engine_raw`.

What comes back is plain: bytes for bulk and simple strings, int, float, bool, None for every
null, list for arrays, sets, pushes and pairs, dict for maps, and `ReplyError` for an error inside
an array. Left out on purpose: which of bulk and simple string, or of the nulls, it was.
"""

from __future__ import annotations

import socket
from collections import deque
from typing import Any, Protocol

import hiredis

Argument = bytes | str | int | float
RECEIVE_TIMEOUT_S = 5.0
CONFIRMED_BY_PUSH = {
    b"SUBSCRIBE",
    b"PSUBSCRIBE",
    b"SSUBSCRIBE",
    b"UNSUBSCRIBE",
    b"PUNSUBSCRIBE",
    b"SUNSUBSCRIBE",
}


class ReplyError(Exception):
    """An error reply; `str(error)` is the whole line, with its code."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ReplyError) and str(self) == str(other)

    def __hash__(self) -> int:
        return hash(str(self))


class NothingCame(AssertionError):
    """No reply or push arrived in time."""


class Raw(Protocol):
    """One client's connection."""

    def execute(self, *args: Argument) -> Any:
        """Send one command; its reply, or ReplyError raised."""

    def send(self, *args: Argument) -> None:
        """Send one command whose reply, or ReplyError, `receive` will return."""

    def receive(self) -> Any:
        """The next push or late reply; NothingCame when there is none."""

    def close(self) -> None:
        """End the connection; safe to call twice."""


def encode(argument: Argument) -> bytes:
    """One argument as the bytes that a client sends for it."""
    return argument if isinstance(argument, bytes) else str(argument).encode()


class SocketRaw:
    """A connection to a real server, over TCP."""

    def __init__(self, host: str, port: int, protocol: int = 2) -> None:
        self._reader = hiredis.Reader(
            replyError=ReplyError, errors="surrogateescape", notEnoughData=NothingCame
        )
        self._late: deque[Any] = deque()
        self._socket = socket.create_connection((host, port), timeout=RECEIVE_TIMEOUT_S)
        if protocol == 3:
            self.execute("HELLO", 3)

    def execute(self, *args: Argument) -> Any:
        """Send one command; its reply, or ReplyError raised. Pushes wait for `receive`."""
        self.send(*args)
        while isinstance(reply := self._next(), hiredis.PushNotification):
            self._late.append(list(reply))
            if encode(args[0]).upper() in CONFIRMED_BY_PUSH:
                return self._late.popleft()
        if isinstance(reply, ReplyError):
            raise reply
        return reply

    def send(self, *args: Argument) -> None:
        """Send one command whose reply, or ReplyError, `receive` will return."""
        self._socket.sendall(hiredis.pack_command(tuple(encode(arg) for arg in args)))

    def receive(self) -> Any:
        """The next push or late reply; NothingCame when none arrives in five seconds."""
        if self._late:
            return self._late.popleft()
        reply = self._next()
        return list(reply) if isinstance(reply, hiredis.PushNotification) else reply

    def close(self) -> None:
        """End the connection; safe to call twice."""
        self._socket.close()

    def _next(self) -> Any:
        while (reply := self._reader.gets()) is NothingCame:
            try:
                chunk = self._socket.recv(65536)
            except TimeoutError:
                raise NothingCame(f"nothing came in {RECEIVE_TIMEOUT_S} s") from None
            if not chunk:
                raise ConnectionError("the server closed the connection")
            self._reader.feed(chunk)
        return reply
