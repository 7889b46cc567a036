"""A server of our own in a thread of the test, on a free loopback port, and plain sockets to it."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable
from typing import Any, TypeVar

from cacheapp.engine.engine import Engine
from cacheapp.server.listening import Listening
from cacheapp.server.tcp import Server
from tests.redis_server import HOST

TIMEOUT_S = 10.0
T = TypeVar("T")


class RunningServer:
    """A context manager: an engine behind a Server whose loop runs in a thread."""

    def __init__(self, listening: Listening | None = None, **options: str) -> None:
        self.engine = Engine({name.replace("_", "-"): value for name, value in options.items()})
        self._listening = listening or Listening((HOST,))
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.port = 0

    def _run(self) -> None:
        asyncio.run(self._serve())

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._ended = asyncio.Event()
        self.server = Server(self.engine, self._listening)
        try:
            await self.server.start()
            self.port = self.server.port
            self._ready.set()
            await self._ended.wait()
        finally:
            self._ready.set()
            await self.server.stop()

    def __enter__(self) -> RunningServer:
        self._thread.start()
        assert self._ready.wait(TIMEOUT_S)
        return self

    def __exit__(self, *_error: object) -> None:
        self._loop.call_soon_threadsafe(self._ended.set)
        self._thread.join(TIMEOUT_S)
        assert not self._thread.is_alive()

    def in_loop(self, function: Callable[[], T]) -> T:
        """Call `function` in the server's thread; its result."""

        async def call() -> T:
            return function()

        return asyncio.run_coroutine_threadsafe(call(), self._loop).result(TIMEOUT_S)

    def settle(self) -> None:
        """Return after the loop has had a few turns, so that what was sent to it is done."""
        for _ in range(5):
            self.in_loop(lambda: None)

    def connect(self) -> Peer:
        """A plain connection."""
        return Peer(socket.create_connection((HOST, self.port), timeout=TIMEOUT_S))


class Peer:
    """A socket that says bytes and reads bytes."""

    def __init__(self, sock: Any) -> None:
        self.sock = sock

    def __enter__(self) -> Peer:
        return self

    def __exit__(self, *_error: object) -> None:
        self.sock.close()

    def send(self, data: bytes) -> None:
        """Send all of `data`."""
        self.sock.sendall(data)

    def receive(self, size: int) -> bytes:
        """Exactly `size` bytes."""
        data = b""
        while len(data) < size:
            chunk = self.sock.recv(size - len(data))
            assert chunk, f"closed after {data!r}"
            data += chunk
        return data

    def ask(self, data: bytes, reply: bytes) -> None:
        """Send `data` and get exactly `reply`."""
        self.send(data)
        assert self.receive(len(reply)) == reply

    def rest(self) -> bytes:
        """Everything up to the end; a reset is an end."""
        data = b""
        try:
            while chunk := self.sock.recv(65536):
                data += chunk
        except ConnectionResetError:
            pass
        return data


def exchange(port: int, data: bytes) -> bytes:
    """All that a server says to `data` when nothing follows it."""
    with Peer(socket.create_connection((HOST, port), timeout=TIMEOUT_S)) as peer:
        try:
            peer.send(data)
            peer.sock.shutdown(socket.SHUT_WR)
        except OSError:
            # Closed before it had read everything.
            pass
        return peer.rest()
