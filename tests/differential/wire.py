"""A RESP connection whose replies are the engine's own classes, so that nothing is lost.

hiredis gives bytes for bulk and simple strings alike and one None for every null. A comparison of
exact replies needs the difference, hence a reader of its own: small, blocking, for tests.
"""

from __future__ import annotations

import socket
from collections.abc import Sequence
from typing import Any

from cacheapp.engine.errors import CommandError
from cacheapp.engine.replies import NULL_ARRAY, Push, SetReply, Status, Verbatim

TIMEOUT_S = 10.0


def pack(args: Sequence[bytes]) -> bytes:
    """One command as a client sends it."""
    return b"*%d\r\n" % len(args) + b"".join(b"$%d\r\n%b\r\n" % (len(arg), arg) for arg in args)


class Wire:
    """One client's connection to a server at `host` and `port`."""

    def __init__(self, host: str, port: int) -> None:
        self._socket = socket.create_connection((host, port), timeout=TIMEOUT_S)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._file = self._socket.makefile("rb")

    def execute(self, args: Sequence[bytes]) -> Any:
        """Send one command; its reply, errors included as CommandError instances."""
        self._socket.sendall(pack(args))
        return self.read()

    def execute_all(self, commands: Sequence[Sequence[bytes]]) -> list[Any]:
        """Send several commands at once; their replies."""
        self._socket.sendall(b"".join(pack(args) for args in commands))
        return [self.read() for _ in commands]

    def execute_until(self, args: Sequence[bytes], marker: bytes) -> list[Any]:
        """Send one command and a PING of `marker`; all that comes before the answer to that."""
        self._socket.sendall(pack(args) + pack([b"PING", marker]))
        return self.read_until(marker)

    def settle(self, marker: bytes) -> list[Any]:
        """Send a PING of `marker`; all that was on its way before the answer to that."""
        self._socket.sendall(pack([b"PING", marker]))
        return self.read_until(marker)

    def read_until(self, marker: bytes) -> list[Any]:
        """Replies and pushes up to the answer to a PING of `marker`, which is left out."""
        frames: list[Any] = []
        while (frame := self.read()) not in (marker, [b"pong", marker]):
            frames.append(frame)
        return frames

    def reset(self, hello: Sequence[bytes]) -> None:
        """Out of any transaction or subscription, whatever is still on its way; then `hello`."""
        self._socket.sendall(pack([b"RESET"]))
        while not isinstance(frame := self.read(), Status) or frame != b"RESET":
            pass
        self.execute(hello)

    def close(self) -> None:
        """End the connection."""
        self._file.close()
        self._socket.close()

    def read(self) -> Any:
        """The next reply or push."""
        line = self._file.readline()
        if not line.endswith(b"\r\n"):
            raise ConnectionError("the server closed the connection")
        kind, rest = line[:1], line[1:-2]
        if kind in _SCALARS:
            return _SCALARS[kind](rest)
        size = int(rest)
        if kind in b"$=":
            if size < 0:
                return None
            text = self._file.read(size + 2)[:-2]
            return Verbatim(text[4:]) if kind == b"=" else text
        if size < 0:
            return NULL_ARRAY
        if kind == b"%":
            return {_hashable(self.read()): self.read() for _ in range(size)}
        items = [self.read() for _ in range(size)]
        return {b"*": list, b"~": SetReply, b">": Push}[kind](items)


_SCALARS = {
    b"+": Status,
    b"-": lambda rest: CommandError(rest.decode("utf-8", "surrogateescape")),
    b":": int,
    b",": float,
    b"#": lambda rest: rest == b"t",
    b"_": lambda rest: None,
}


def _hashable(reply: Any) -> Any:
    return tuple(reply) if isinstance(reply, list) else reply
