"""The server: sockets to listen at, who is admitted, the timer, and the end.

One event loop in one thread runs one engine. A timer calls `engine.tick`, at `hz` and whenever
the waiting of a blocked client is to end, so that keys expire and clients are answered while
nobody sends commands. SIGTERM and SIGINT end the server: it stops listening, writes what it owes
and closes.

Left out on purpose: several processes (they would not share the keys), cluster.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cacheapp.engine.engine import Engine
from cacheapp.engine.following import follow
from cacheapp.engine.session import Session
from cacheapp.server.attending import Attendant
from cacheapp.server.connection import READ_BYTES, Connection
from cacheapp.server.following import Link
from cacheapp.server.listening import Listeners, Listening, is_loopback
from cacheapp.server.transfer import transfer

__all__ = ["Server"]

_FULL = b"-ERR max number of clients reached\r\n"
_DENIED = (
    b"-DENIED Protected mode: connections from other machines are accepted only with a password "
    b"(requirepass) or with TLS client certificates.\r\n"
)
# How long an ending server waits for clients to take their last replies.
STOPPING_SECONDS_MAX = 1.0
SIGNALS = (signal.SIGTERM, signal.SIGINT)
_CLASSES = ("normal", "pubsub", "slave")


class Server:
    """An engine behind sockets, in the running event loop."""

    CLOSING_SECONDS_MAX = 10.0

    def __init__(self, engine: Engine, listening: Listening) -> None:
        self.engine = engine
        self.execute = engine.execute
        engine.transfer = transfer
        self._link = Link(self)
        self.listening = listening
        self.loop = asyncio.get_running_loop()
        self.read_buffer = memoryview(bytearray(READ_BYTES))
        self.connections: set[Connection] = set()
        # What all clients' buffers take, where that is limited (see `Connection.weigh`).
        self.clients_bytes = 0
        # To whom something was delivered that is not written yet.
        self.owing: list[Connection] = []
        self.output_limits: dict[str, tuple[int, int, int] | None] = {}
        self._listeners = Listeners(self.loop, listening, self._connection)
        self._thread = threading.get_ident()
        # Referenced, or the loop might forget them.
        self._adopting: set[asyncio.Task[Any]] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._checked = self.loop.time()
        # SIGTERM and SIGINT set it, inside `run`.
        self.ended: asyncio.Event | None = None
        # Set when the last connection has gone, for `stop`.
        self._deserted = asyncio.Event()
        self._configured(frozenset())
        engine.config.subscribe(self._configured)
        self._attend = Attendant(self).attend

    def _configured(self, names: frozenset[str]) -> None:
        config = self.engine.config
        self.bulk_bytes_max: int = config["proto-max-bulk-len"]
        self.request_bytes_max: int = config["client-query-buffer-limit"]
        self.timeout_ms: int = config["timeout"] * 1000
        for name in _CLASSES:
            limits = config["client-output-buffer-limit"][name]
            self.output_limits[name] = limits if any(limits[:2]) else None
        share = config["maxmemory-clients"]
        # 0: no limit.
        self.clients_bytes_max: int = share if share >= 0 else config["maxmemory"] * -share // 100
        if names & {"maxmemory-clients", "maxmemory"}:
            self.loop.call_soon_threadsafe(self._weigh_all)
        moved = names & {"port", "bind"}
        if moved and threading.get_ident() == self._thread:
            changed = "port" if "port" in moved else "bind"
            self._listeners.move(config["bind"].split(), config["port"], changed)

    def owe(self, connection: Connection) -> None:
        """Have what was delivered to `connection` written in the loop's next turn."""
        if not self.owing:
            self.loop.call_soon(self.pay)
        self.owing.append(connection)

    def pay(self) -> None:
        """Write what was delivered, to all."""
        owing, self.owing = self.owing, []
        for connection in owing:
            connection.flush_delivered()

    # Start and end

    async def start(self) -> None:
        """Listen. Raises OSError where an address is taken."""
        await self._listeners.open()
        if self.listening.tls is None:
            self.engine.overtime.fronts.append(self._attend)
        self._wake_after(0.0)
        if self.engine.config["replicaof"]:
            host, _, port = self.engine.config["replicaof"].partition(" ")
            with self.engine.lock:
                follow(self.engine, host, int(port))

    @property
    def port(self) -> int:
        """The TCP port that was taken; 0 where there is none."""
        return self._listeners.port

    async def stop(self) -> None:
        """Stop listening, write what is owed, close. Clients get no later replies."""
        await self._link.stop()
        if self._attend in self.engine.overtime.fronts:
            self.engine.overtime.fronts.remove(self._attend)
        if self._timer is not None:
            self._timer.cancel()
        # What was accepted just before becomes a connection before its listener closes: asyncio
        # would lose the socket.
        self._listeners.stop_accepting()
        await _turns()
        self._listeners.close()
        self._deserted.clear()
        for connection in list(self.connections):
            connection.close()
        if self.connections:
            # Most are gone in the next turn; those who do not read are not waited for long.
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._deserted.wait(), STOPPING_SECONDS_MAX)
        for connection in list(self.connections):
            connection.hang_up()
        await _turns()
        self._remove_socket()

    def _remove_socket(self) -> None:
        if self.listening.unixsocket:
            with contextlib.suppress(FileNotFoundError):
                Path(self.listening.unixsocket).unlink()

    async def run(self, started: Callable[[], object]) -> None:
        """Start, call `started`, serve until SIGTERM, SIGINT or SHUTDOWN, stop."""
        self.ended = asyncio.Event()
        self.engine.end_process = self.end
        self.heed_signals()
        await self.start()
        started()
        try:
            await self.ended.wait()
            while not self._may_end():
                self.ended.clear()
                await self.ended.wait()
        finally:
            await self.stop()
            self.engine.close()

    def _may_end(self) -> bool:
        """Save while clients are still served; False where that failed and data would be lost."""
        with self.engine.lock:
            return self.engine.saving.end()

    def end(self) -> None:
        """Begin the end of `run`, and of a script that keeps the loop. From any thread."""
        if self.ended is not None:
            self.loop.call_soon_threadsafe(self.ended.set)
        running = self.engine.overtime.running
        if running is not None:
            running.killed = True

    def heed_signals(self) -> None:
        """Let the signals end `run`, by way of the loop."""
        if self.ended is not None:
            for number in SIGNALS:
                self.loop.add_signal_handler(number, self.ended.set)

    # Connections

    def _connection(self) -> Connection:
        return Connection(self)

    def admit(self, connection: Connection, transport: asyncio.Transport) -> Session | None:
        """A session for a new client; None where it was refused (it has been told why)."""
        peer = transport.get_extra_info("peername")
        refusal = self._refusal(peer)
        if refusal:
            self.engine.stats.connections_rejected += 1
            transport.write(refusal)
            transport.close()
            return None
        seconds = self.engine.config["tcp-keepalive"]
        sock = transport.get_extra_info("socket")
        if isinstance(peer, tuple) and sock is not None:
            # asyncio does it only for sockets of its own making. Without it a message that follows
            # a reply waits for the client to confirm the reply, up to 40 ms.
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if seconds:
                _keep_alive(sock, seconds)
        self.connections.add(connection)
        return self.engine.connect(connection.deliver, protocol=2, address=self.address_of(peer))

    def listening_sockets(self) -> list[Any]:
        """The sockets that clients connect to."""
        return self._listeners.listening_sockets()

    def adopt(self, sock: socket.socket, connection: Connection) -> None:
        """Let the loop serve a client who came, and got its session, while it stood still."""
        task = self.loop.create_task(self.loop.connect_accepted_socket(lambda: connection, sock))
        self._adopting.add(task)
        task.add_done_callback(self._adopting.discard)

    def _refusal(self, peer: Any) -> bytes:
        config = self.engine.config
        if len(self.connections) >= config["maxclients"]:
            return _FULL
        open_to_all = not (self.engine.acl.default.needs_password or self.listening.trusted)
        stranger = isinstance(peer, tuple) and not is_loopback(peer[0])
        if config["protected-mode"] and open_to_all and stranger:
            return _DENIED
        return b""

    def forget(self, connection: Connection) -> None:
        """Drop the session of a connection that is gone."""
        if connection in self.connections:
            self.connections.discard(connection)
            self.clients_bytes -= connection.weight
            self.engine.disconnect(connection.session)
            if not self.connections:
                self._deserted.set()

    def address_of(self, name: Any) -> str:
        """A socket's name as CLIENT LIST shows it; a unix socket is its path and port 0."""
        if isinstance(name, tuple):
            host = f"[{name[0]}]" if ":" in name[0] else name[0]
            return f"{host}:{name[1]}"
        return f"{self.listening.unixsocket}:0"

    # Memory of clients

    def _weigh_all(self) -> None:
        """Take up a new limit for the buffers of all clients."""
        for connection in list(self.connections):
            connection.weigh()
        if self.clients_bytes_max:
            self.evict_clients()

    def evict_clients(self) -> None:
        """Drop those clients whose buffers take most, until all are within `maxmemory-clients`."""
        heaviest = sorted(self.connections, key=lambda connection: connection.weight)
        while heaviest and self.clients_bytes > self.clients_bytes_max:
            connection = heaviest.pop()
            if connection.weight:
                self.engine.stats.evicted_clients += 1
                connection.drop()

    # Time

    def wake_in_time(self) -> None:
        """A client waits: let the timer fire no later than its deadline."""
        self._wake_after(self._pause())

    def _pause(self) -> float:
        """Seconds until the engine has something to do by itself."""
        engine = self.engine
        seconds = min(1.0 / engine.config["hz"], max(0.001, engine.seconds_to_tick()))
        deadline_ms = engine.waiters.next_deadline_ms()
        if deadline_ms:
            remaining = deadline_ms / 1000.0 - engine.clock.time()
            seconds = min(seconds, max(0.001, remaining))
        return float(seconds)

    def _wake_after(self, seconds: float) -> None:
        when = self.loop.time() + seconds
        if self._timer is not None:
            if not self._timer.cancelled() and self.loop.time() < self._timer.when() <= when:
                return
            self._timer.cancel()
        self._timer = self.loop.call_at(when, self._tick)

    def _tick(self) -> None:
        try:
            if not self.engine.cron_paused:
                self.engine.tick()
            now = self.loop.time()
            if now - self._checked >= 1.0:
                self._checked = now
                for connection in list(self.connections):
                    connection.check(now, self.engine.now_ms, self.timeout_ms)
        finally:
            self._timer = None
            self._wake_after(self._pause())


async def _turns() -> None:
    """Let the loop finish what takes asyncio several turns (accepting, aborting)."""
    for _ in range(4):
        await asyncio.sleep(0)


def _keep_alive(sock: socket.socket, seconds: int) -> None:
    """Let the kernel notice a peer that is gone, after `seconds` of silence."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    if hasattr(socket, "TCP_KEEPIDLE"):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, seconds)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, max(1, seconds // 3))
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3)
