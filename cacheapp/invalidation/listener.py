"""The listener: one daemon thread for an alias in a process, which hears what all others wrote.

It waits in a blocking XREAD on a connection of its own, and a few times within the bound asks for a
stamp of the stream (``heartbeat``), by which the lease is renewed. Every error becomes a new
connection, and whatever cannot be proven to be complete a flush: see ``protocol``.

When the thread starts, and what a fork makes of it, is said in ``revived``.

Left out on purpose: one thread for several servers, where a dead one would hold up the others.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from math import inf
from time import monotonic
from typing import Any, Final

from redis.backoff import NoBackoff
from redis.exceptions import ReadOnlyError, RedisError, ResponseError
from redis.retry import Retry

from cacheapp.clients.bytelevel import Commands
from cacheapp.clients.several import transaction_replies
from cacheapp.invalidation.audience import Audience
from cacheapp.invalidation.bus import Bus
from cacheapp.invalidation.protocol import SERIES, Follower, Stamp, sequence_of
from cacheapp.invalidation.revived import Revived

logger = logging.getLogger("cacheapp.invalidation")

#: Heartbeats within one bound, so that one or two may be late.
BEATS: Final = 4
#: Messages that one XREAD takes.
BATCH: Final = 1000
#: Seconds before it asks again after messages: under many writes they come in batches, and the
#: process whose own writes these are is not woken for each.
PACE_S: Final = 0.001
#: Seconds between attempts to connect: the first, and the longest.
PAUSE_S: Final = (0.02, 1.0)

Connect = Callable[[], Any]


class Listener(Revived):
    """Keeps the near cache of one alias. ``connect()`` gives a client with a pool of its own."""

    def __init__(
        self,
        bus: Bus,
        near: Any,
        bound_s: float,
        connect: Connect,
        audience: Audience | None = None,
    ) -> None:
        self._bus = bus
        self._bound_s = bound_s
        self._connect = connect
        super().__init__("cacheapp-near-cache", near, audience)

    def _begin(self) -> None:
        super()._begin()
        #: How often it connected, for whoever watches over it.
        self.connections = 0

    # In the thread

    def run(self, stopping: threading.Event) -> None:
        """See Revived. It ends within a heartbeat."""

        def hear(message: Sequence[bytes] | None) -> None:
            if not stopping.is_set():
                self.audience.hear(message)

        follower = Follower(self._near, self._bound_s, hear)
        pause_s = PAUSE_S[0]
        connection: Any = None
        while not stopping.is_set():
            try:
                if connection is None:
                    connection = self._new_connection()
                self._open(connection, follower)
                for heard in self._follow(connection, follower):
                    pause_s = PAUSE_S[0]
                    if heard:
                        stopping.wait(PACE_S)
                    if stopping.is_set():
                        break
            except (RedisError, OSError) as error:
                if isinstance(error, ResponseError):
                    # A refusal in the middle may be a server that became a replica.
                    follower.forget()
                logger.info("Near cache: no connection (%s: %s)", type(error).__name__, error)
                if connection is not None:
                    connection.disconnect()
                stopping.wait(pause_s)
                pause_s = min(2 * pause_s, PAUSE_S[1], self._bound_s)
        if connection is not None:
            connection.disconnect()

    def _new_connection(self) -> Any:
        pool = self._connect().connection_pool
        patience_s = max(self._bound_s / 2, 0.1)
        pool.connection_kwargs.update(
            protocol=2,  # flat lists, whatever the server
            retry=Retry(NoBackoff(), 0),
            retry_on_timeout=False,
            socket_connect_timeout=patience_s,
            socket_timeout=self._bound_s / BEATS + patience_s,
        )
        return pool.make_connection()

    def _open(self, connection: Any, follower: Follower) -> None:
        connection.connect()
        self.connections += 1
        try:
            info = ask(connection, "INFO", "server")
        except ResponseError:
            info = b""  # not permitted: each connection counts as another server's
        follower.connected(field_of(info, b"run_id"))

    def _follow(self, connection: Any, follower: Follower) -> Iterator[bool]:
        """Heartbeats and messages in turn; each step says whether there were messages."""
        every_s = self._bound_s / BEATS
        due = -inf
        stream = self._bus.stream
        while True:
            asked_at, entries = monotonic(), None
            if asked_at >= due:
                due = asked_at + every_s
                follower.beat(asked_at, heartbeat(connection, self._bus))
                if follower.needs_stream:
                    make_stream(connection, self._bus)
                    due = -inf
            elif follower.last is None:
                due = -inf  # a gap: begin anew at once
            else:
                wait_ms = max(int((due - asked_at) * 1000), 1)
                entries = read(connection, stream, follower.last, wait_ms)
                follower.hear(entries)
            while follower.needs_messages and follower.last is not None:
                entries = read(connection, stream, follower.last)
                follower.hear(entries)
                if not entries:
                    follower.heard_all()
            yield bool(entries)


def ask(connection: Any, *command: Any) -> Any:
    """Send one command and return its reply."""
    connection.send_command(*command)
    return connection.read_response()


def field_of(info: Any, name: bytes) -> bytes | None:
    """Return a field of INFO's reply, None if it is not there or INFO was refused."""
    for line in info.splitlines() if isinstance(info, bytes) else ():
        if line.startswith(name + b":"):
            return bytes(line[len(name) + 1 :])
    return None


def heartbeat(connection: Any, bus: Bus) -> Stamp:
    """Ask for a stamp of the stream. Raises ReadOnlyError where the server is a replica.

    The epoch comes first: where somebody mends the stream in between, the next stamp shows it. Not
    in a MULTI, in which a server that is out of memory takes nothing.

    A server that became a replica has its data, and the stream, from another one, however late; it
    keeps its run id and may keep our connection. When it is a primary again its history has
    another id, and its stream may have given our numbers anew: so that id is a part of the epoch.
    """
    commands = [("GET", bus.epoch), ("XINFO", "STREAM", bus.stream), ("INFO", "replication")]
    epoch, about, info = exchange(connection, commands)
    if field_of(info, b"role") == b"slave":
        raise ReadOnlyError("the server is a replica")
    if not isinstance(epoch, bytes):
        epoch = b""  # missing, or of another type: whoever mends the stream sets it anew
    history = field_of(info, b"master_replid") or b""
    return Stamp(top_of(about), b"%b %b" % (epoch, history))


def top_of(about: Any) -> int | None:
    """Return the last sequence number from XINFO STREAM's reply, None if the stream is no good.

    Raises an error that says nothing of the stream, such as a missing permission.
    """
    if isinstance(about, Exception):
        if str(about).startswith(("no such key", "WRONGTYPE")):
            return None
        raise about
    fields = dict(zip(about[::2], about[1::2], strict=True))
    # Half of the room: nobody counts that far, so it is not one of our numbers.
    top = sequence_of(fields[b"last-generated-id"])
    return None if top is None or top >= 2**63 else top


def make_stream(connection: Any, bus: Bus) -> None:
    """Put a new stream in the place of one that is missing or no good. Raises what is refused."""
    for reply in transact(connection, bus.new_stream(in_place=True)):
        if isinstance(reply, Exception):
            raise reply


def transact(connection: Any, commands: Commands) -> list[Any]:
    """Send commands in one MULTI; the replies, errors in it as exceptions."""
    return transaction_replies(exchange(connection, [("MULTI",), *commands, ("EXEC",)]))


def exchange(connection: Any, commands: Commands) -> list[Any]:
    """Send commands in one go; the replies, errors as exceptions."""
    connection.send_packed_command(connection.pack_commands(commands))
    replies: list[Any] = []
    for _ in commands:
        try:
            replies.append(connection.read_response(disconnect_on_error=False))
        except ResponseError as error:
            replies.append(error)
    return replies


def read(
    connection: Any, stream: bytes, last: int, wait_ms: int | None = None
) -> list[tuple[bytes, Sequence[bytes]]]:
    """Return entries after ``last``; with ``wait_ms`` wait so long for the first of them."""
    block = () if wait_ms is None else ("BLOCK", wait_ms)
    reply = ask(
        connection, "XREAD", "COUNT", BATCH, *block, "STREAMS", stream, b"%d-%d" % (SERIES, last)
    )
    return reply[0][1] if reply else []
