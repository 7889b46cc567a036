"""A redis-py client for real servers that spends less time between the caller and the socket.

redis-py 8 costs about 15 microseconds of Python a command: a pool with two locks, an event
dispatcher, retry through closures, several telemetry calls. ``LeanRedis`` does one command with a
list, a packed write and a read, and hands every unusual case (a lost connection, a retry, a push
message, a large reply) to redis-py's own code, so that behaviour stays redis-py's.

Left out on purpose: redis-py's OpenTelemetry recorders are not called for plain commands, and
client-side caching, credential providers, health checks, custom packers, custom parsers, Sentinel
and Cluster run wholly on redis-py's path (``is_lean`` decides once a client).
"""

from __future__ import annotations

import os
import select
import socket
import sys
import time
from collections.abc import Callable, Iterable
from typing import Any

import redis
from redis._parsers.hiredis import NOT_ENOUGH_DATA, _HiredisParser
from redis.client import EMPTY_RESPONSE, NEVER_DECODE
from redis.connection import (
    Connection,
    ConnectionPool,
    SSLConnection,
    UnixDomainSocketConnection,
)
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import MaxConnectionsError, RedisError
from redis.exceptions import TimeoutError as RedisTimeoutError
from redis.utils import HIREDIS_AVAILABLE

from cacheapp.clients.bytelevel import ByteCommands, Commands
from cacheapp.clients.several import (
    Packed,
    broken,
    exchange_all,
    transaction,
    transaction_replies,
)

if HIREDIS_AVAILABLE:
    from hiredis import pack_command

__all__ = ["LeanConnectionPool", "LeanRedis", "is_lean", "pack", "queue_mset_px"]

LookOut = Callable[[Any], None]

_NO_POLLER: tuple[Any, Any] = (None, None)
#: Connection settings that need redis-py's own path around each command.
WHOLE_PATH_OPTIONS = frozenset(
    {"command_packer", "credential_provider", "event_dispatcher", "health_check_interval"}
)
#: Commands whose wire form depends on the state of the connection (redis-py prepares field sets).
STATEFUL_COMMANDS = frozenset({"HIMPORT", "HIMPORT SET"})
#: Options of execute_command that change how the reply is read.
READ_OPTIONS = frozenset({NEVER_DECODE, EMPTY_RESPONSE})


def pack(connection: Any, args: tuple[Any, ...]) -> bytes:
    """Pack one command into bytes as ``connection`` (a redis-py connection) would.

    Raises redis.exceptions.DataError for an argument that is not str, bytes, int or float.
    """
    try:
        if " " not in args[0]:
            packed: bytes = pack_command(args)
            return packed
    except TypeError:
        pass  # bytes as a command name, or a type that only the whole packer takes or names
    return b"".join(connection.pack_command(*args))


def is_lean(pool: Any, parser: type, connection_classes: tuple[type, ...]) -> bool:
    """Say whether every connection of ``pool`` may be driven without redis-py's own path."""
    settings = pool.connection_kwargs
    return (
        HIREDIS_AVAILABLE
        and getattr(pool, "cache", None) is None
        and pool.connection_class in connection_classes
        and settings.get("parser_class", parser) is parser
        and not any(settings.get(name) for name in WHOLE_PATH_OPTIONS)
        and str(settings.get("encoding", "utf-8")).lower().replace("-", "") == "utf8"
    )


#: After a reply that took longer than all looks for it, commands go without for this many.
COMMANDS_WITHOUT_LOOKS = 50
#: A look that took longer had to wait for the interpreter: other threads are at work.
LOOK_SECONDS_MAX = 0.0002


class LeanConnectionPool(ConnectionPool):
    """A ConnectionPool whose get_connection and release are a list's pop and append.

    Takes what ``redis.ConnectionPool`` takes, and ``looks``: how many times (about 0.3
    microseconds each) to look for a reply before going to sleep for it, 0 for never; see
    ``look_out``. A connection that the server closed while it lay idle is noticed by one poll(2)
    and opened anew, a fork by the process id, as in redis-py.
    """

    _available_connections: list[Any]
    _in_use_connections: set[Any]

    def __init__(self, *args: Any, looks: int | str = 100, **settings: Any) -> None:
        super().__init__(*args, **settings)
        self._looks = range(int(looks))
        self._without_looks = 0

    def look_out(self, connection: Any) -> None:
        """Look for the reply to a command that was just sent, for a bounded time.

        A server on the same machine answers in the time that it takes a thread to fall asleep and
        be woken, so not sleeping halves the round trip. A slower server is soon left alone, and so
        is one while other threads are at work: each look lets go of the interpreter, and where
        it does not come back at once they have use for it.
        """
        if self._without_looks:
            self._without_looks -= 1
            return
        poller = self._pollers.get(connection, _NO_POLLER)[1]
        if poller is not None:
            began = time.perf_counter()
            for _ in self._looks:
                if poller.poll(0):
                    if time.perf_counter() - began < LOOK_SECONDS_MAX:
                        return
                    break
        self._without_looks = COMMANDS_WITHOUT_LOOKS

    def reset(self) -> None:
        """Forget every connection: they belong to another process."""
        self._pollers: dict[Any, tuple[Any, Any]] = {}
        super().reset()

    def get_connection(self, command_name: Any = None, *keys: Any, **options: Any) -> Any:
        """Return an open connection that has nothing waiting to be read.

        Raises MaxConnectionsError when ``max_connections`` are in use, and redis-py's
        ConnectionError or TimeoutError when the server cannot be reached.
        """
        if self.pid != os.getpid():
            self._checkpid()
        try:
            connection = self._available_connections.pop()
        except IndexError:
            connection = self._open_slot()
        self._in_use_connections.add(connection)
        sock, poller = self._pollers.get(connection, _NO_POLLER)
        if sock is None or sock is not connection._sock or poller.poll(0):
            self._make_ready(connection)
        return connection

    def _open_slot(self) -> Any:
        with self._lock:
            if self._created_connections >= self.max_connections:
                raise MaxConnectionsError("Too many connections")
            return self.make_connection()

    def _make_ready(self, connection: Any) -> None:
        """Connect, and reconnect when the socket is closed or holds an unread reply."""
        try:
            connection.connect()
            try:
                if self._holds_a_reply(connection):
                    raise RedisConnectionError("Connection has data")
            except (RedisConnectionError, RedisTimeoutError, OSError):
                connection.disconnect()
                connection.connect()
                if self._holds_a_reply(connection):
                    raise RedisConnectionError("Connection not ready") from None
        except BaseException:
            self.release(connection)
            raise
        sock = getattr(connection, "_sock", None)
        # Decrypted bytes of TLS lie above the socket, where poll(2) does not see them.
        if type(sock) is socket.socket and sys.platform != "win32":
            poller = select.poll()
            poller.register(sock, select.POLLIN)
            self._pollers[connection] = (sock, poller)

    def _holds_a_reply(self, connection: Any) -> bool:
        # A maintenance notification may lie there rightly: the next read takes it.
        return (
            connection.can_read() and self.cache is None and not self.maint_notifications_enabled()  # type: ignore[no-untyped-call]
        )

    def release(self, connection: Any) -> None:
        """Take a connection back. One that is not of this pool, or of this process, is ignored.

        A child that takes back what its parent got leaves it to ``get_connection`` to forget.
        """
        try:
            self._in_use_connections.remove(connection)
        except KeyError:
            return
        if connection.pid != self.pid:
            connection.disconnect()
            return
        if connection.should_reconnect():
            connection.disconnect()
        self._available_connections.append(connection)

    def disconnect(self, inuse_connections: bool = True) -> None:
        """Close the idle connections, and by default those in use as well."""
        self._checkpid()
        connections = list(self._available_connections)
        if inuse_connections:
            connections += list(self._in_use_connections)
        for connection in connections:
            connection.disconnect()


class LeanRedis(redis.Redis, ByteCommands):
    """``redis.Redis`` with a short path for plain commands; see the module's docstring.

    Takes what ``redis.Redis`` takes, and works on any pool. Thread safe as redis.Redis is.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._replies_are_bytes = not self.get_encoder().decode_responses
        self._lean = is_lean(
            self.connection_pool,
            _HiredisParser,
            (Connection, SSLConnection, UnixDomainSocketConnection),
        )
        pool = self.connection_pool
        self._look_out = pool.look_out if isinstance(pool, LeanConnectionPool) else None

    @property
    def is_lean(self) -> bool:
        """Whether ``exchange`` may be used on a connection of this client's pool."""
        return self._lean

    @classmethod
    def from_url(cls, url: str, **kwargs: Any) -> LeanRedis:
        """Return a client with a pool of its own for redis://, rediss:// or unix://."""
        single = kwargs.pop("single_connection_client", False)
        pool_class = kwargs.pop("connection_pool_class", LeanConnectionPool)
        client = cls(
            connection_pool=pool_class.from_url(url, **kwargs), single_connection_client=single
        )
        client.auto_close_connection_pool = True
        return client

    def execute_command(self, *args: Any, **options: Any) -> Any:
        """Send one command and return its parsed reply.

        Raises redis-py's own exceptions; connection errors are retried as the connection's
        ``retry`` says.
        """
        name = args[0]
        if (
            not self._lean
            or self.connection is not None
            or name in STATEFUL_COMMANDS
            or not READ_OPTIONS.isdisjoint(options)
        ):
            return self._execute_command(*args, **options)  # type: ignore[no-untyped-call]
        pool = self.connection_pool
        connection = pool.get_connection()
        try:
            try:
                reply = exchange(connection, args, self._look_out)
            except connection.retry._supported_errors as error:
                reply = self._retry(connection, error, args)
            # After QUIT the server closes too, but perhaps not before the next command is sent.
            if connection.should_reconnect() or name == "QUIT":
                connection.disconnect()
        finally:
            pool.release(connection)
        options.pop("keys", None)
        callback = dict.get(self.response_callbacks, name)
        if callback is None and not name.isupper():
            callback = self.response_callbacks.get(name)
        return reply if callback is None else callback(reply, **options)

    def fetch(self, key: bytes) -> Any:
        """Return the string at ``key``, or None: GET without what other commands may need."""
        if not (self._lean and self._replies_are_bytes) or self.connection is not None:
            return super().fetch(key)
        pool = self.connection_pool
        connection = pool.get_connection()
        try:
            return exchange(connection, ("GET", key), self._look_out)
        except connection.retry._supported_errors as error:
            return self._retry(connection, error, ("GET", key))
        finally:
            pool.release(connection)

    def mset_px(self, pairs: Iterable[tuple[Any, Any]], ttl_ms: int | None) -> None:
        """Set several strings as one, each due in ``ttl_ms`` milliseconds; None is never.

        One round trip. Not in redis-py: the engine's clients and the asyncio ones have it too.
        """
        pairs = list(pairs)
        if ttl_ms is None and pairs:
            self.execute_command("MSET", *(part for pair in pairs for part in pair))
        else:
            queue_mset_px(self.pipeline(), pairs, ttl_ms).execute()

    def together(self, commands: Packed) -> Any:
        """Send ``commands`` in one go; see ``ByteCommands``."""
        if not (self._lean and self._replies_are_bytes) or self.connection is not None:
            return super().together(commands)
        pool = self.connection_pool
        connection = pool.get_connection()
        try:
            return exchange_all(connection, commands, self._look_out)
        except connection.retry._supported_errors as error:
            return self._retry(connection, error, commands, exchange_all)
        finally:
            pool.release(connection)

    def transact(self, commands: Commands) -> Any:
        """Send ``commands`` in one MULTI; see ``ByteCommands``."""
        if not (self._lean and self._replies_are_bytes) or self.connection is not None:
            return super().transact(commands)
        return transaction_replies(self.together(transaction(commands)))

    def _retry(
        self,
        connection: Any,
        error: Exception,
        args: Any,
        send: Callable[[Any, Any], Any] | None = None,
    ) -> Any:
        """Go on as redis-py's retry does after a first attempt that ended in ``error``."""
        first: Exception | None = error

        def attempt() -> Any:
            nonlocal first
            if first is not None:
                failed, first = first, None
                raise failed
            return (send or exchange)(connection, args)

        return connection.retry.call_with_retry(attempt, lambda _: connection.disconnect())


def queue_mset_px(pipeline: Any, pairs: Iterable[tuple[Any, Any]], ttl_ms: int | None) -> Any:
    """Queue a SET for each of ``pairs`` on a redis-py pipeline, and return it."""
    due = () if ttl_ms is None else ("PX", ttl_ms)
    for name, value in pairs:
        pipeline.execute_command("SET", name, value, *due)
    return pipeline


def exchange(connection: Any, args: tuple[Any, ...], look_out: LookOut | None = None) -> Any:
    """Send one command over a redis-py connection and return its reply, decoded if it says so.

    ``look_out(connection)`` is called between the two. Raises ResponseError for an error reply,
    and ConnectionError or TimeoutError after closing the connection. Whatever else interrupts it
    closes the connection as well, so that no reply is left for the next caller.
    """
    packed = pack(connection, args)
    if connection._sock is None:
        connection.connect_check_health(check_health=False)
    sock = connection._sock
    try:
        sock.sendall(packed)
        if look_out is not None:
            look_out(connection)
        parser = connection._parser
        reader = parser._reader
        buffer = parser._buffer
        reply = NOT_ENOUGH_DATA
        while reply is NOT_ENOUGH_DATA:
            size = sock.recv_into(buffer)
            if size == 0:
                raise RedisConnectionError("Connection closed by server.")
            reader.feed(buffer, 0, size)
            reply = reader.gets()
        pushed = type(reply) is parser._hiredis_PushNotificationType
        if pushed:
            parser.handle_push_response(reply)
    except OSError as error:
        raise broken(connection, error) from error
    except BaseException:
        connection.disconnect()
        raise
    if pushed:
        return connection.read_response()
    if isinstance(reply, RedisError):
        if isinstance(reply, RedisConnectionError):
            connection.disconnect()
        raise reply
    return reply
