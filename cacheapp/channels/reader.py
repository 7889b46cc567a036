"""One thread and one connection a process that read every stream the process has to do with.

A blocking XREAD asks for all of them at once; what changes the set adds an entry to the
process's own stream, which is among them, and so ends the wait. Entries of several streams come
in the order in which they were sent. Whatever fails, the thread goes on: it connects anew after a
pause that grows, looks whether the server is still the same one, and reads on from where it was.

What a read cannot show, checks do: a stream that is missing, went back, or holds another type. The
process's own and those that somebody subscribed to are checked every BLOCK_MS, and all of them
every CHECK_S, which also keeps them alive. A server that does not answer for ANSWER_S is taken for
lost, however open its connection looks.

Where one event loop receives everything, it reads in the thread's place (see ``loan``). Where there
are very many streams, the server tells which of them changed (see ``watch``).

The thread knows its hub weakly, and ends with it. Left out on purpose: what an entry means, which
is the hub's.
"""

from __future__ import annotations

import contextlib
import logging
import socket
import threading
import weakref
from asyncio import AbstractEventLoop
from collections.abc import Callable
from functools import partial
from operator import itemgetter
from time import monotonic
from typing import TYPE_CHECKING, Any

from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError, ResponseError

from cacheapp.channels import watch
from cacheapp.channels.groups import Entry, Group, read_entry
from cacheapp.channels.links import STREAM
from cacheapp.channels.loan import Loan, receive
from cacheapp.channels.names import owner_of
from cacheapp.channels.watch import Watch, speaks_resp3
from cacheapp.clients.lean import LeanRedis, exchange, pack

if TYPE_CHECKING:
    from cacheapp.channels.hub import Hub

__all__ = ["BLOCK_MS", "Reader"]

logger = logging.getLogger("cacheapp.channels")

#: How long a read waits at the server, and so how often subscriptions are known to be fresh.
BLOCK_MS = 500
#: Entries of one stream that one read brings.
READ_COUNT = 1000
#: Seconds in which a server has to answer, those that it was asked to wait among them.
ANSWER_S = BLOCK_MS / 1000 + 2.0
#: Seconds between two checks of all streams.
CHECK_S = 5.0
#: Streams that one check looks at, so that no other client waits long.
CHECK_KEYS_MAX = 200
#: Seconds that a layer which is closed waits for its thread, which ends at once as a rule.
JOIN_S = 1.0
#: Seconds of the first pause after a failure, and of the longest.
PAUSE_S, PAUSE_MAX_S = 0.05, 1.0

Raw = list[tuple[bytes, list[tuple[bytes, list[bytes]]]]]


class Reader:
    """The thread of one hub. ``start`` it once; ``stop`` ends it, at once if it is waiting."""

    def __init__(self, hub: Hub) -> None:
        self._hub = weakref.ref(hub)
        self._stopped = threading.Event()
        self._connection: Any = None
        self._pool: Any = None
        self._run_id: bytes | None = None
        self._check_at = 0.0
        self._fresh_at = 0.0
        self._pause_s = PAUSE_S
        self._is_lean = False
        self._can_lend = self._can_watch = False
        self._watch: Watch | None = None
        #: Whether a loop was found to watch no sockets.
        self.was_refused = False
        self._loan: Loan | None = None
        self._waited_at = (b"", 0)
        self.thread = threading.Thread(
            target=self._run, name="cacheapp-channels-reader", daemon=True
        )

    def start(self) -> None:
        """Start the thread."""
        self.thread.start()

    def stop(self) -> None:
        """End the thread; it closes its connection."""
        self._stopped.set()
        self.ask_back()
        connection = self._connection
        if connection is None:
            return
        if self._is_lean:
            # Only the thread itself may close it; this ends its wait.
            sock = connection._sock
            if sock is not None:
                with contextlib.suppress(OSError):
                    sock.shutdown(socket.SHUT_RDWR)
        else:
            connection.disconnect()

    def join(self) -> None:
        """Wait until the stopped thread has let go of its connection, which its pool may close."""
        if threading.current_thread() is not self.thread:
            self.thread.join(JOIN_S)

    def _run(self) -> None:
        try:
            while not self._stopped.is_set():
                hub = self._hub()
                if hub is None:
                    return
                try:
                    self._step(hub)
                    self._pause_s = PAUSE_S
                except (RedisError, OSError, ValueError) as error:
                    self._failed(hub, error)
                del hub
        finally:
            self._disconnect()

    def _failed(self, hub: Hub, error: Exception) -> None:
        if self._stopped.is_set():
            return
        if self._pause_s == PAUSE_S:
            logger.warning("Channels of %s: reading failed: %s", hub.link.name, error)
        self._disconnect()
        self._stopped.wait(self._pause_s)
        self._pause_s = min(2 * self._pause_s, PAUSE_MAX_S)

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        self._watch = None
        if connection is not None:
            connection.disconnect()
            self._pool.release(connection)

    # One round

    def _step(self, hub: Hub) -> None:
        if self._connection is None:
            self._connect(hub)
        now = monotonic()
        if now >= self._check_at:
            self._check(hub, self._groups(hub, every=True))
            self._check_at = now + CHECK_S
            self._fresh_at = now + BLOCK_MS / 1000
            hub.checked()
        elif now >= self._fresh_at:
            self._check(hub, self._groups(hub, every=False))
            self._fresh_at = now + BLOCK_MS / 1000
        if self._stopped.is_set():
            return
        self._read(hub)
        hub.after_reading()

    def _groups(self, hub: Hub, *, every: bool) -> list[Group]:
        with hub.lock:
            if every:
                hub.forget_expired()
            for group in [group for group in hub.groups.values() if not group.is_wanted]:
                hub.drop_unwanted(group)
            return [group for group in hub.groups.values() if every or group.subscriptions]

    def _ask(self, *command: Any) -> Any:
        connection = self._connection
        if self._watch is not None:
            return self._watch.ask(*command)
        if self._is_lean:
            return exchange(connection, command)
        connection.send_command(*command)
        return connection.read_response(disable_decoding=True, timeout=ANSWER_S)

    def _script(self, keys: list[bytes], *arguments: Any) -> Any:
        try:
            return self._ask("EVALSHA", STREAM.sha, len(keys), *keys, *arguments)
        except ResponseError as error:
            if not str(error).startswith(("NOSCRIPT", "No matching script")):
                raise
            return self._ask("EVAL", STREAM.text, len(keys), *keys, *arguments)

    def _connect(self, hub: Hub) -> None:
        client = hub.link.client()
        self._pool = client.connection_pool
        self._connection = self._pool.get_connection()
        self._is_lean = isinstance(client, LeanRedis) and client.is_lean
        self._can_lend = self._can_watch = False
        if self._is_lean:
            sock = self._connection._sock
            if sock is None:
                raise RedisConnectionError("closed while it was opened")
            sock.settimeout(ANSWER_S)
            self._can_lend = type(sock) is socket.socket
            self._can_watch = speaks_resp3(self._connection)
        run_id = self._server_run()
        if self._run_id not in (None, run_id) or (run_id == b"" and self._check_at):
            # It may have lost its last entries, and have written others with their numbers.
            with hub.lock:
                for group in list(hub.groups.values()):
                    group.gap("the server is another one, or was restarted")
        self._run_id = run_id
        self._check_at = 0.0

    def _server_run(self) -> bytes:
        """What tells one run of a server from the next; nothing where we may not ask."""
        try:
            text: bytes = self._ask("INFO", "server")
        except ResponseError:
            return b""
        for line in bytes(text).splitlines():
            if line.startswith(b"run_id:"):
                return line
        return b""

    # Checks

    def _check(self, hub: Hub, groups: list[Group]) -> None:
        """Compare the own stream and groups' with what was read, and open the missing ones."""
        from cacheapp.channels.hub import STREAM_TTL_S

        began = monotonic()
        if self._watch is not None:
            self._watch.look_again()
        last = self._script([hub.process_key], STREAM_TTL_S, 1)[0]
        number = 0 if last == b"!" else int(last)
        if number < hub.position:
            with hub.lock:
                hub.own_opened(number)
        for start in range(0, len(groups), CHECK_KEYS_MAX):
            part = groups[start : start + CHECK_KEYS_MAX]
            # A sender of this process may move on while the server is asked.
            before = [group.position for group in part]
            found = self._script([group.key for group in part], STREAM_TTL_S, 0)
            with hub.lock:
                missing = [
                    group
                    for group, last, position in zip(part, found, before, strict=True)
                    if not self._compare(group, last, position, began)
                ]
            for group in missing:
                last = self._script([group.key], STREAM_TTL_S, 1)[0]
                with hub.lock:
                    hub.reopened(group, 0 if last == b"!" else int(last), "the stream was gone")

    def _compare(self, group: Group, last: bytes, before: int, began: float) -> bool:
        """Whether the stream is there; says of a subscribed one that it is fresh, or has a gap."""
        if last == b"":
            return False
        if last == b"!":
            # It stays out of the reads until its key holds a stream again.
            if group.position:
                group.gap("the key holds something that is not a stream")
                group.position = 0
            return True
        number = int(last)
        if not group.position:
            group.position = number
        if number < before:
            group.gap("the stream went back")
            group.position = number
        if number == group.position:
            for subscription in group.subscriptions:
                subscription.read_at = began
        return True

    # Reads

    def _read(self, hub: Hub) -> None:
        if self._watches(hub):
            assert self._watch is not None
            self._watch.step(hub)
            return
        loop = hub.reading_loop() if self._can_lend and not self.was_refused else None
        if loop is not None:
            self._lend(hub, loop)
            return
        began = monotonic()
        self.deal(hub, self._ask(*self._read_arguments(hub)), began)

    def _watches(self, hub: Hub) -> bool:
        """Whether to have the server tell which streams changed, as there are so many."""
        count = len(hub.groups)
        if self._watch is not None:
            if count >= watch.WATCHED_FROM / 2:
                return True
            self._ask("CLIENT", "TRACKING", "OFF")
            self._watch = None
        elif self._can_watch and count >= watch.WATCHED_FROM:
            found = Watch(self, self._connection, ANSWER_S, BLOCK_MS / 1000)
            try:
                found.start()
            except ResponseError as error:
                logger.info("Channels of %s: no tracking: %s", hub.link.name, error)
                self._can_watch = False
                return False
            self._watch = found
            return True
        return False

    def _lend(self, hub: Hub, loop: AbstractEventLoop) -> None:
        """Have the loop read, until something else is due."""
        connection = self._connection
        sock = connection._sock
        if sock is None:
            raise RedisConnectionError("closed meanwhile")
        sock.sendall(self.read_command(hub))
        loan = self._loan = Loan(self, hub, loop, connection)
        if self._stopped.is_set():
            loan.ask_back()
        loan.run(self._check_at, self._fresh_at)
        self._loan = None
        sock.settimeout(ANSWER_S)
        self.was_refused = loan.is_refused
        if loan.error is not None:
            raise loan.error
        reply = receive(connection) if loan.is_asked else loan.reply
        self.deal(hub, reply, loan.began)

    def check_soon(self) -> None:
        """Have all streams checked before the next read; in the reader's thread."""
        self._check_at = 0.0

    def ask_back(self) -> None:
        """Have the thread read itself, at once; from any thread."""
        loan = self._loan
        if loan is not None:
            loan.ask_back()

    def _read_arguments(self, hub: Hub) -> list[Any]:
        with hub.lock:
            positions = {group.key: group.position for group in hub.groups.values()}
        # A position of nothing: not a stream now.
        positions = {key: number for key, number in positions.items() if number}
        positions[hub.process_key] = hub.position
        return [
            *("XREAD", "COUNT", READ_COUNT, "BLOCK", BLOCK_MS, "STREAMS"),
            *positions,
            *(f"1-{number}" for number in positions.values()),
        ]

    def read_command(self, hub: Hub) -> bytes:
        """Return the bytes that ask for what follows what was read."""
        return pack(self._connection, tuple(self._read_arguments(hub)))

    def deal(self, hub: Hub, reply: Any, began: float, *, may_wait: bool = True) -> bool:
        """Deal with a reply to what was asked at ``began``.

        Returns False, and leaves it, where that may take a server and ``may_wait`` is False.
        """
        if not reply:
            return True
        found = reply.items() if isinstance(reply, dict) else reply
        streams = [(bytes(key), entries) for key, entries in found]
        if len(streams) == 1 and streams[0][0] == hub.process_key:
            # The commonest reply by far.
            with hub.lock:
                if hub.own_messages(streams[0][1]):
                    return True
        if not may_wait:
            for key, entries in streams:
                if key == hub.process_key and any(fields[0] != b"m" for _, fields in entries):
                    return False
        with hub.lock:
            self._feed(hub, streams, began)
        return True

    def _must_wait(self, hub: Hub, group: Group, entry: Entry, streams: Raw) -> bool:
        """Whether the process was told of a membership what it has not read, as the entry says.

        A read that had to wait brings one stream only; the next one brings the others.
        """
        mark = (group.key, entry.number)
        if owner_of(entry.channel) != hub.process or self._waited_at == mark:
            return False
        if any(key == hub.process_key for key, _ in streams):
            return False
        self._waited_at = mark
        return True

    def _feed(self, hub: Hub, streams: Raw, began: float) -> None:
        """Hand the entries to the hub, in the order in which they were sent."""
        # Whatever raises does so before anything is dealt with, so that all is read again.
        sent = [
            (key, [read_entry(*entry) for entry in entries])
            for key, entries in streams
            if key != hub.process_key
        ]
        actions: list[tuple[int, Callable[[], None]]] = []
        stop_us = None
        for key, entries in streams:
            if key == hub.process_key:
                actions, stop_us = hub.own_entries(entries)
                if len(entries) >= READ_COUNT:
                    # There is more, memberships perhaps, which come before what groups got.
                    sent = []
        for key, group_entries in sent:
            group = hub.by_key.get(key)
            if group is None:
                continue
            latest = 0
            for entry in group_entries:
                latest = max(latest, entry.sent_us)
                if stop_us is not None and latest > stop_us:
                    break
                if entry.channel and self._must_wait(hub, group, entry, streams):
                    break
                actions.append((latest, partial(hub.feed, group, entry)))
        if len(streams) > 1:
            actions.sort(key=itemgetter(0))
        for _, act in actions:
            try:
                act()
            except Exception:
                logger.exception("Channels of %s: an entry could not be dealt with", hub.link.name)
        for key, group_entries in sent:
            group = hub.by_key.get(key)
            if group is not None and len(group_entries) < READ_COUNT and stop_us is None:
                for subscription in group.subscriptions:
                    subscription.read_at = began
