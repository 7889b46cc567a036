"""Where a server listens: its sockets, opened at start and moved by CONFIG SET port and bind.

Addresses are redis.conf's: names and numbers, `*` for every IPv4 address, `::*` for every IPv6
one, and with a minus in front those that need not exist. A unix socket can be opened by nobody
but our own user.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import os
import socket
import ssl
import stat
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cacheapp.engine.config import Refusal

__all__ = ["Listeners", "Listening", "is_loopback"]

BACKLOG = 511
# Asked for by name; protected mode looks at who comes.
_ANY = {"*": "0.0.0.0", "::*": "::"}  # noqa: S104

# An address as it is written, and a port.
Place = tuple[str, int]


def is_loopback(host: str) -> bool:
    """Whether nothing outside this machine can have the address `host`."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.partition("%")[0]).is_loopback
    except ValueError:
        return False


@dataclass(frozen=True, slots=True)
class Listening:
    """Where to listen: addresses with a port (0: the system chooses), a unix socket, or both.

    `tls` wraps the TCP sockets; `trusted` says that only clients we know can get through it.
    """

    hosts: tuple[str, ...] = ()
    port: int = 0
    unixsocket: str = ""
    tls: ssl.SSLContext | None = None
    trusted: bool = False


class Listeners:
    """The sockets of a server, and asyncio's servers on them."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        listening: Listening,
        connection: Callable[[], asyncio.BaseProtocol],
    ) -> None:
        self._loop = loop
        self._listening = listening
        self._connection = connection
        self._unix: asyncio.Server | None = None
        # By place; more than one where a name has several addresses.
        self._sockets: dict[Place, list[socket.socket]] = {}
        self._servers: dict[socket.socket, asyncio.Server] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def open(self) -> None:
        """Listen everywhere. Raises OSError where an address is taken."""
        place = self._listening
        for host in place.hosts:
            self._sockets[host, place.port] = _tcp_sockets(host, place.port)
        for sockets in self._sockets.values():
            for sock in sockets:
                await self._accept(sock)
        if place.unixsocket:
            self._unix = await self._loop.create_unix_server(
                self._connection, sock=private_socket(place.unixsocket), backlog=BACKLOG
            )

    @property
    def port(self) -> int:
        """The TCP port that was taken; 0 where there is none."""
        for sockets in self._sockets.values():
            for sock in sockets:
                return int(sock.getsockname()[1])
        return 0

    def move(self, hosts: Iterable[str], port: int, changed: str) -> None:
        """Listen at `hosts` and `port` instead; what stays is not touched.

        Raises Refusal, for the parameter `changed`, where that is not possible: then everything is
        as before. From the loop's own thread.
        """
        wanted = {(host, port) for host in hosts} if port else set()
        opened: dict[Place, list[socket.socket]] = {}
        try:
            for host, number in wanted - set(self._sockets):
                opened[host, number] = _tcp_sockets(host, number)
        except OSError:
            _close(sock for sockets in opened.values() for sock in sockets)
            if changed == "port":
                raise Refusal("port", "Unable to listen on this port. Check server logs.") from None
            raise Refusal("bind", "Failed to bind to specified addresses.") from None
        for place in set(self._sockets) - wanted:
            for sock in self._sockets.pop(place):
                server = self._servers.pop(sock, None)
                if server is None:
                    # Moved away from again before it could accept anybody (see `_accept`).
                    sock.close()
                else:
                    server.close()
        self._sockets.update(opened)
        for sockets in opened.values():
            for sock in sockets:
                task = self._loop.create_task(self._accept(sock))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)

    async def _accept(self, sock: socket.socket) -> None:
        if sock.fileno() >= 0:
            self._servers[sock] = await self._loop.create_server(
                self._connection, sock=sock, backlog=BACKLOG, ssl=self._listening.tls
            )

    def stop_accepting(self) -> None:
        """Take no more connections from the system; `close` follows some turns later."""
        for server in self._every():
            for sock in server.sockets:
                self._loop.remove_reader(sock.fileno())

    def close(self) -> None:
        """Close all sockets."""
        for server in self._every():
            server.close()

    def listening_sockets(self) -> list[Any]:
        """What clients connect to."""
        return [sock for server in self._every() for sock in server.sockets]

    def _every(self) -> list[asyncio.Server]:
        return [*self._servers.values(), *([self._unix] if self._unix is not None else [])]


def _close(sockets: Iterable[socket.socket]) -> None:
    for sock in sockets:
        sock.close()


def _tcp_sockets(host: str, port: int) -> list[socket.socket]:
    """Sockets that listen at all addresses of `host`; none where it may be missing, and is."""
    name = host.removeprefix("-")
    sockets: list[socket.socket] = []
    try:
        found = socket.getaddrinfo(
            _ANY.get(name, name), port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
        for family, _, _, _, address in dict.fromkeys(found):
            sock = socket.create_server(address[:2], family=family, backlog=BACKLOG)
            sock.setblocking(False)
            sockets.append(sock)
    except OSError:
        _close(sockets)
        if name == host:
            raise
        return []
    return sockets


def private_socket(path: str) -> socket.socket:
    """A unix socket at `path` which only our own user can open.

    Takes the place of a socket that a dead server left; raises OSError where one is alive, or
    where the path is something else.
    """
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        with contextlib.suppress(FileNotFoundError):
            if stat.S_ISSOCK(Path(path).stat().st_mode) and not _answers(path):
                Path(path).unlink()
        # The mode of the file comes from the mask at bind time; a chmod later would be too late.
        mask = os.umask(0o177)
        try:
            sock.bind(path)
        finally:
            os.umask(mask)
    except OSError:
        sock.close()
        raise
    return sock


def _answers(path: str) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(path)
        except ConnectionRefusedError:
            return False
        return True
