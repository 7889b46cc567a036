"""Answering clients from inside a script that has run past `lua-time-limit`.

The event loop stands still then, in the middle of a command. As an event loop cannot be entered
twice, the server looks at the sockets itself, for no longer than there is something to read: it
hands what arrived to the connections, and puts a `Direct` in the place of their transport, which
writes to the socket at once. New clients are accepted as well (who comes to kill the script is
likely one), and become the loop's own when the script is over.

Left out on purpose: TLS, whose bytes pass through the loop (a server with TLS stops such a script
itself), clients that do not read their replies, clients in the middle of something, and those few
whom the loop had accepted, but not yet made connections of, when the script began.
"""

from __future__ import annotations

import asyncio
import os
import select
import signal
import socket
import threading
from typing import TYPE_CHECKING, Any

from cacheapp.server.connection import READ_BYTES, Connection

if TYPE_CHECKING:
    from cacheapp.server.tcp import Server

__all__ = ["Attendant"]

_ACCEPTED_MAX = 64


class Direct(asyncio.Transport):
    """A transport that writes to a socket itself; `beneath` is the loop's own, if there is one."""

    def __init__(self, sock: Any, beneath: asyncio.Transport | None = None) -> None:
        super().__init__({"socket": sock})
        self._socket = sock
        self._beneath = beneath
        self._closing = False

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """The socket and its names, as the loop's transports know them."""
        if self._beneath is not None:
            return self._beneath.get_extra_info(name, default)
        if name == "peername":
            return self._socket.getpeername()
        if name == "sockname":
            return self._socket.getsockname()
        return super().get_extra_info(name, default)

    def write(self, data: Any) -> None:
        """Write what the socket takes, and leave the rest to the loop; a guest who takes too
        little is dropped."""
        try:
            sent = os.write(self._socket.fileno(), data)
        except BlockingIOError:
            sent = 0
        except OSError:
            self.abort()
            return
        if sent == len(data):
            return
        if self._beneath is None:
            self.abort()
        else:
            self._beneath.write(data[sent:])

    def get_write_buffer_size(self) -> int:
        """Nothing is kept here."""
        return 0

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Nothing is kept here."""

    def pause_reading(self) -> None:
        """The loop will; a guest is read only while it is looked at."""
        if self._beneath is not None:
            self._beneath.pause_reading()

    def resume_reading(self) -> None:
        """See `pause_reading`."""
        if self._beneath is not None:
            self._beneath.resume_reading()

    def is_closing(self) -> bool:
        """Whether `close` or `abort` was called."""
        return self._closing

    def close(self) -> None:
        """Close, now or by the loop."""
        self._closing = True
        if self._beneath is not None:
            self._beneath.close()

    def abort(self) -> None:
        """Close without sending anything more."""
        self._closing = True
        if self._beneath is not None:
            self._beneath.abort()


class Attendant:
    """What a server does while a script keeps its loop waiting."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._thread = threading.get_ident()
        self._guests: dict[int, tuple[socket.socket, Connection]] = {}
        self._ended: set[int] = set()
        # Whether the loop has been told that it goes on; whether the signals come here.
        self._begun = self._catches = False

    def attend(self) -> bool:
        """Answer who has sent something; False in another thread than the loop's own."""
        if threading.get_ident() != self._thread:
            return False
        if not self._begun:
            self._begun = True
            self._server.loop.call_soon(self._over)
            self._catch_signals()
        self._accept()
        waiting = self._waiting()
        poll = select.poll()
        for file in waiting:
            poll.register(file, select.POLLIN)
        for file, _event in poll.poll(0):
            connection, direct = waiting[file]
            self._answer(file, connection, direct)
        return True

    def _waiting(self) -> dict[int, tuple[Connection, Direct]]:
        """By file number: who may be answered, and by which transport."""
        waiting = {}
        for connection in self._server.connections:
            transport = connection.at_rest()
            if isinstance(transport, Direct):
                sock = transport.get_extra_info("socket")
                waiting[sock.fileno()] = (connection, transport)
            elif transport is not None:
                sock = transport.get_extra_info("socket")
                if sock is not None and sock.fileno() not in self._ended:
                    waiting[sock.fileno()] = (connection, Direct(sock, transport))
        return waiting

    def _answer(self, file: int, connection: Connection, direct: Direct) -> None:
        try:
            data = os.read(file, READ_BYTES)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if data:
            connection.answer(data, direct)
            if direct.is_closing():
                self._leave(file, connection)
        else:
            self._leave(file, connection)

    def _leave(self, file: int, connection: Connection) -> None:
        """A client is gone: a guest here and now, another when the loop sees it too."""
        guest = self._guests.pop(file, None)
        if guest is None:
            self._ended.add(file)
        else:
            connection.connection_lost(None)
            guest[0].close()

    def _accept(self) -> None:
        for listener in self._server.listening_sockets():
            # A socket of ours for the same listener: the loop's own does not let itself be used.
            with socket.socket(fileno=os.dup(listener.fileno())) as own:
                for _ in range(_ACCEPTED_MAX):
                    try:
                        sock, _address = own.accept()
                    except OSError:
                        break
                    sock.setblocking(False)
                    self._admit(sock)

    def _admit(self, sock: socket.socket) -> None:
        connection = Connection(self._server)
        direct = Direct(sock)
        connection.connection_made(direct)
        if direct.is_closing():
            sock.close()
        else:
            self._guests[sock.fileno()] = (sock, connection)

    def _catch_signals(self) -> None:
        """End the server at a signal: the loop would not hear of it before the script's end."""
        if self._server.ended is not None:
            self._catches = True
            for number in (signal.SIGTERM, signal.SIGINT):
                signal.signal(number, self._signalled)

    def _signalled(self, _number: int, _frame: Any) -> None:
        self._server.end()

    def _over(self) -> None:
        """The script is over: guests become the loop's clients."""
        self._begun = False
        self._ended.clear()
        if self._catches:
            self._catches = False
            self._server.heed_signals()
        guests, self._guests = self._guests, {}
        for sock, connection in guests.values():
            self._server.adopt(sock, connection)
