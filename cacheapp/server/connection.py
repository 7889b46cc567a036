"""One connection: bytes to commands, commands to the engine, replies to bytes.

All that has arrived is executed in one go and answered in one write, for a bounded time: after
`TURN_COMMANDS` the other connections get their turn. GET and SET of a session at rest take the
engine's shortcuts. What arrives while a client is blocked, or while it does not read its replies,
is held up to a bound, and then not read any more.

Replies that the engine delivers on its own (messages, the end of blocking) come through `deliver`
from any thread; only the loop's own thread touches the transport.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections import deque
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, cast

from cacheapp.engine.errors import CommandError
from cacheapp.engine.replies import BLOCKED, BUSY, NO_REPLY, OK, Push, Reply, Status
from cacheapp.engine.session import Session
from cacheapp.engine.shortcuts import getter, setter
from cacheapp.server.protocol import ProtocolError, RequestParser
from cacheapp.server.writer import encode, encode_error

if TYPE_CHECKING:
    from cacheapp.server.tcp import Server

__all__ = ["Connection"]

# What is read at once; the buffer is shared, as a loop reads for one connection at a time.
READ_BYTES = 32 * 1024
# Commands after which the other connections get their turn.
TURN_COMMANDS = 1000
# Replies that are gathered before they are written.
GATHERED_BYTES = 1024 * 1024
# Requests that are held while they cannot be executed, before reading stops.
HELD_BYTES = 256 * 1024
# Unread replies up to which a client's commands go on. High, since a client may well send a long
# pipeline before it reads the first reply.
UNREAD_BYTES = 64 * 1024 * 1024
# The same for who has not logged in yet, and is not waited for.
UNAUTHENTICATED_UNREAD_BYTES = 1024
# Shorter values are written without a count of their bytes.
_SHORT_BYTES = 4096

# What CLIENT LIST counts for a connection whose buffers are empty, and for each thing that it
# watches or is subscribed to.
_CONNECTION_BYTES = 4096
_WATCH_BYTES = 160
# The first words of HTTP: a browser was led here by somebody, to do something here.
_HTTP = frozenset({b"post", b"host:"})
# Replies whose bytes are few: they are not counted.
_SMALL = frozenset({Status, type(None), bool, float})

_NO_COMMANDS: Iterator[list[bytes]] = iter(())


class Connection(asyncio.BufferedProtocol):
    """The protocol object of one client's transport."""

    __slots__ = (
        "_admitted",
        "_blocked",
        "_buffer",
        "_ended",
        "_flushing",
        "_foreign",
        "_getters",
        "_loop",
        "_out",
        "_out_bytes",
        "_parser",
        "_reading",
        "_ready",
        "_request_bytes",
        "_resuming",
        "_server",
        "_serving",
        "_setters",
        "_soft_since",
        "_stats",
        "_thread",
        "_transport",
        "_unread",
        "_writes_end",
        "closing_since",
        "heard",
        "session",
        "weight",
    )

    def __init__(self, server: Server) -> None:
        self._server = server
        self._loop = server.loop
        self._buffer = server.read_buffer
        self._thread = threading.get_ident()
        self._parser = RequestParser()
        self._stats = server.engine.stats
        # What is being served was so long, and came in so few pieces.
        self._request_bytes = 0
        # As the server has counted it; 0 where there is no limit, or none for this client.
        self.weight = 0
        self._ready = _NO_COMMANDS
        self._out: list[bytes] = []
        self._out_bytes = 0
        # What other threads have delivered, until the loop takes it.
        self._foreign: deque[Reply] = deque()
        self._soft_since = 0.0
        self._blocked = False
        # The client does not read its replies.
        self._unread = False
        self._reading = True
        # Inside `_serve`, about to call it, about to call `_flush`.
        self._serving = self._resuming = self._flushing = False
        # The client has sent its last byte; we have written ours.
        self._ended = self._writes_end = False
        self.closing_since = 0.0
        self.heard = True
        self._admitted = False

    # From asyncio

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Open a session, or refuse the client; a client that has one keeps it (`attending`)."""
        # Not asserted: uvloop's transports are of no class of asyncio's.
        self._transport = transport = cast(asyncio.Transport, transport)
        if self._admitted:
            transport.set_write_buffer_limits(high=UNREAD_BYTES)
            self._resume_soon()
            return
        session = self._server.admit(self, transport)
        if session is None:
            self._ended = self._writes_end = True
            return
        self._admitted = True
        self.session: Session = session
        session.front = self
        self._getters = {name: getter(session, self._named(name)) for name in (b"GET", b"get")}
        self._setters = {name: setter(session, self._named(name)) for name in (b"SET", b"set")}
        unread_max = UNAUTHENTICATED_UNREAD_BYTES if session.login_required else UNREAD_BYTES
        transport.set_write_buffer_limits(high=unread_max)

    def _named(self, name: bytes) -> Callable[[Session, list[bytes]], Reply]:
        """What a shortcut calls where it does not apply: the command as the client spelled it."""
        execute = self._server.execute
        return lambda session, args: execute(session, [name, *args[1:]])

    def connection_lost(self, _error: Exception | None) -> None:
        """End the session."""
        self._ended = self._writes_end = True
        self._ready = _NO_COMMANDS
        self._out.clear()
        self._server.forget(self)

    def get_buffer(self, _size_hint: int) -> memoryview:
        """Where asyncio puts what it receives."""
        return self._buffer

    def buffer_updated(self, size: int) -> None:
        """Take what was received, and execute what is complete."""
        if self._ended:
            return
        self.heard = True
        parser, stats = self._parser, self._stats
        stats.reads += 1
        stats.net_input_bytes += size
        parser.feed(self._buffer[:size].tobytes())
        if self._server.clients_bytes_max and not self.weigh():
            return
        if self._blocked or self._unread or self._resuming:
            if parser.pending_bytes > HELD_BYTES:
                self._stop_reading()
            return
        self._request_bytes = parser.pending_bytes
        self._serve()
        self._request_bytes = 0

    def eof_received(self) -> bool:
        """The client sends no more; what it sent before is still executed and answered."""
        self._ended = True
        return self._resuming or self._unread

    def pause_writing(self) -> None:
        """The client does not read: execute nothing more for it."""
        if self.session.login_required:
            self.drop()
            return
        # It may have logged in since it came.
        self._transport.set_write_buffer_limits(high=UNREAD_BYTES)
        self._unread = True
        self._stop_reading()

    def resume_writing(self) -> None:
        """The client has caught up."""
        self._unread = False
        self._resume_soon()

    # Execution

    def _resume_soon(self) -> None:
        if not self._resuming:
            self._resuming = True
            self._loop.call_soon(self._resume)

    def _resume(self) -> None:
        self._resuming = False
        if self._blocked or self._unread or self._writes_end:
            return
        if not self._reading:
            self._reading = True
            self._transport.resume_reading()
        try:
            self._serve()
        except Exception:
            # asyncio does this for a protocol's own methods, but not for a callback.
            self._transport.abort()
            raise
        if self._ended and not self._resuming:
            self._transport.close()

    def _stop_reading(self) -> None:
        if self._reading:
            self._reading = False
            self._transport.pause_reading()

    def _serve(self) -> None:
        """Execute what has arrived, and write the replies."""
        session, parser = self.session, self._parser
        executed = 0
        parser.bulk_bytes_max = self._server.bulk_bytes_max
        self._serving = True
        try:
            while self._execute():
                if executed >= TURN_COMMANDS:
                    self._resume_soon()
                    break
                commands = parser.take(not session.login_required)
                if not commands:
                    if session.replica is not None:
                        # It sends empty lines while it loads its copy.
                        session.replica.heard = session.engine.clock.time()
                    if parser.pending_bytes > self._server.request_bytes_max:
                        self.drop()
                    break
                executed += len(commands)
                self._ready = iter(commands)
        except ProtocolError as error:
            self._out.append(encode_error(f"ERR {error}"))
            self._finish()
        finally:
            self._serving = False
        server = self._server
        if server.owing and server.engine.tracking.active:
            # Who keeps what was changed hears of it before the change is acknowledged.
            server.pay()
        self._flush()

    def _execute(self) -> bool:
        """Execute the commands that are ready; False where something stands in the way."""
        session, out = self.session, self._out
        getters, setters, append = self._getters, self._setters, out.append
        execute = self._server.execute
        for args in self._ready:
            count = len(args)
            try:
                if count == 2 and (get := getters.get(args[0])) is not None:
                    session.last_command = "get"
                    reply: Reply = get(args[1])
                elif count == 3 and (set_ := setters.get(args[0])) is not None:
                    session.last_command = "set"
                    reply = set_(args[1], args[2], 0)
                else:
                    reply = execute(session, args)
            except CommandError as error:
                if args[0].lower() in _HTTP:
                    self.drop()
                    return False
                append(encode_error(str(error)))
                continue
            kind = type(reply)
            if kind is bytes and len(reply) < _SHORT_BYTES:
                append(b"$%d\r\n%b\r\n" % (len(reply), reply))
            elif kind is int:
                append(b":%d\r\n" % reply)
            elif reply is OK:
                append(b"+OK\r\n")
            elif kind in _SMALL:
                encode(append, reply, session.protocol)
            elif reply is BLOCKED:
                self._blocked = True
                self._server.wake_in_time()
                return False
            elif reply is not NO_REPLY:
                self._put(reply)
                if self._out_bytes > GATHERED_BYTES:
                    self._flush()
            if session.closing:
                self._finish()
                return False
            if self._unread:
                return False
        return True

    # While a script keeps the loop waiting (see `attending`)

    def at_rest(self) -> asyncio.Transport | None:
        """The transport, where what arrives could be executed and answered now."""
        busy = self._serving or self._blocked or self._unread or self._resuming or self._ended
        if busy or self._transport.get_write_buffer_size() or self._transport.is_closing():
            return None
        if self._transport.get_extra_info("sslcontext") is not None:
            return None
        return self._transport

    def answer(self, data: bytes, transport: asyncio.Transport) -> None:
        """Execute what is complete with `data`, and answer by `transport`."""
        kept, self._transport = self._transport, transport
        try:
            self.heard = True
            self._parser.feed(data)
            self._serve()
        finally:
            self._transport = kept

    # Replies

    def _put(self, reply: Reply) -> None:
        """Add `reply` to what will be written."""
        out = self._out
        start = len(out)
        encode(out.append, reply, self.session.protocol)
        self._out_bytes += sum(map(len, out[start:]))

    def _flush(self) -> None:
        """Write what there is, unless the limit of the client's class is passed."""
        out = self._out
        if not out:
            if self._writes_end:
                self._transport.close()
            return
        data = out[0] if len(out) == 1 else b"".join(out)
        out.clear()
        self._out_bytes = 0
        session = self.session
        limits = self._server.output_limits["normal"]
        if session.is_subscribed or session.replica is not None:
            limits = self._server.output_limits[session.output_class]
        if limits is not None and self._over(limits, len(data), self._loop.time()):
            self.drop()
        elif not self._transport.is_closing():
            self._stats.writes += 1
            self._stats.net_output_bytes += len(data)
            self._transport.write(data)
        if self._writes_end:
            self._transport.close()
        elif self._server.clients_bytes_max:
            self.weigh()

    def _over(self, limits: tuple[int, int, int], size: int, now: float) -> bool:
        """Whether with `size` bytes more the unread replies are more than `limits` allow."""
        hard, soft, soft_seconds = limits
        unread = self._transport.get_write_buffer_size() + size
        replica = self.session.replica
        if replica is not None:
            # The copy that it was sent at first is no output that it leaves unread.
            replica.payload_bytes = min(replica.payload_bytes, unread)
            unread -= replica.payload_bytes
        if hard and unread > hard:
            return True
        if not soft or unread <= soft:
            self._soft_since = 0.0
            return False
        self._soft_since = self._soft_since or now
        return now - self._soft_since > soft_seconds

    def _finish(self) -> None:
        """Execute nothing more; close once everything is written."""
        self._ended = self._writes_end = True
        self._ready = _NO_COMMANDS
        self.closing_since = self._loop.time()

    def deliver(self, reply: Reply) -> None:
        """Take what the engine says out of turn. From any thread, under the engine's lock."""
        if threading.get_ident() == self._thread:
            if self._foreign:
                # What others have said before goes first.
                self._take_foreign()
            self._delivered(reply)
        else:
            self._foreign.append(reply)
            # A RuntimeError says that the loop is closed; the publisher cannot help it.
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._take_foreign)

    def _take_foreign(self) -> None:
        while self._foreign:
            self._delivered(self._foreign.popleft())

    def _delivered(self, reply: Reply) -> None:
        if self._writes_end:
            return
        if reply is not NO_REPLY:
            self._put(reply)
        if self._blocked and type(reply) is not Push and reply is not BUSY:
            self._blocked = False
            self._resume_soon()
        if self._out_bytes > GATHERED_BYTES:
            self._flush()
        elif not self._serving and not self._flushing:
            self._flushing = True
            self._server.owe(self)

    def flush_delivered(self) -> None:
        """Write what was delivered out of turn."""
        self._flushing = False
        self._flush()

    # For the engine (see `engine.session.Front`) and for the server

    def hang_up(self) -> None:
        """Drop the client and what it has not read yet. From any thread."""
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self.drop)

    def finish(self) -> None:
        """Close once what there is is written. From any thread."""
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self.close)

    def drop(self) -> None:
        """Drop the client and what it has not read yet. From the loop's own thread."""
        self._finish()
        self._out.clear()
        self._transport.abort()
        self._server.forget(self)

    def close(self) -> None:
        """Execute nothing more, write what there is, and close."""
        self._finish()
        self._flush()
        self._transport.close()

    def check(self, now: float, now_ms: int, timeout_ms: int) -> None:
        """Once a second: drop who idles, who stays over a soft limit, who does not let us close.

        `now` is the loop's time in seconds; `timeout_ms` is 0 for none.
        """
        session = self.session
        if self.heard:
            self.heard = False
            session.last_active = max(session.last_active, now_ms / 1000)
        limits = self._server.output_limits[session.output_class]
        idle = timeout_ms and session.client_type == "normal" and not self._blocked
        if self.closing_since:
            if now - self.closing_since > self._server.CLOSING_SECONDS_MAX:
                self._transport.abort()
        elif idle and now_ms - session.last_active * 1000 > timeout_ms:
            self.close()
        elif limits is not None and self._over(limits, 0, now):
            self.drop()

    def weigh(self) -> bool:
        """Tell the server what this client's buffers take, where that is limited.

        Other clients may be dropped then, or this one: False.
        """
        server = self._server
        weight = 0
        if server.clients_bytes_max and not self._exempt and not self._writes_end:
            weight = self.memory_bytes()
        server.clients_bytes += weight - self.weight
        self.weight = weight
        if server.clients_bytes > server.clients_bytes_max > 0:
            server.evict_clients()
        return not self._writes_end

    @property
    def _exempt(self) -> bool:
        """Whether nobody counts what this client's buffers take."""
        return self.session.no_evict or self.session.replica is not None

    def memory_bytes(self) -> int:
        """What the client's buffers take, what it has queued, watches and is subscribed to."""
        session = self.session
        kept = len(session.watched) + session.subscriptions + len(session.shard_channels)
        if session.tracking is not None:
            kept += len(session.tracking.prefixes)
        return (
            _CONNECTION_BYTES
            + self._parser.pending_bytes
            + self._transport.get_write_buffer_size()
            + session.queued_bytes()
            + kept * _WATCH_BYTES
        )

    def fields(self) -> dict[str, Any]:
        """What CLIENT LIST says of the socket."""
        transport = self._transport
        unread = transport.get_write_buffer_size()
        local = transport.get_extra_info("sockname")
        file = transport.get_extra_info("socket")
        return {
            "laddr": self._server.address_of(local),
            "fd": file.fileno() if file is not None else -1,
            "qbuf": max(self._parser.waiting_bytes, self._request_bytes),
            "multi-mem": self.session.queued_bytes(),
            "oll": 1 if unread else 0,
            "omem": unread,
            "tot-mem": self.memory_bytes(),
            "events": "rw" if unread else "r",
        }
