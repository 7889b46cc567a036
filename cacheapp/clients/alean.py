"""The asyncio twin of ``lean``: a short path over redis.asyncio's own connections.

Beside the pool's locks and the telemetry, redis.asyncio spends its time in one task and two
timeouts a command. Here a command is a write to the transport, a read of the stream, and one
timer. Cancelling a read closes the connection in the same step, without an await in between, so
its reply can never reach the next caller (CVE-2023-28858).

Left out on purpose: the same as in ``lean``.
"""

from __future__ import annotations

import asyncio
import inspect
import select
import sys
from collections.abc import Iterable
from typing import Any

import redis.asyncio
from redis._parsers.hiredis import NOT_ENOUGH_DATA, _AsyncHiredisParser
from redis.asyncio.connection import (
    Connection,
    ConnectionPool,
    SSLConnection,
    UnixDomainSocketConnection,
)
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError, ResponseError
from redis.exceptions import TimeoutError as RedisTimeoutError

from cacheapp.clients.bytelevel import ByteCommands, Commands
from cacheapp.clients.lean import READ_OPTIONS, STATEFUL_COMMANDS, is_lean, pack, queue_mset_px
from cacheapp.clients.several import Packed, pack_all, transaction, transaction_replies

__all__ = ["LeanAsyncConnectionPool", "LeanAsyncRedis"]


# How often the loop is let look at a socket that has something to read, before it is believed.
_TURNS_MAX = 5
_NO_POLL: tuple[Any, Any] = (None, None)


class LeanAsyncConnectionPool(ConnectionPool):
    """An asyncio ConnectionPool whose bookkeeping never suspends; takes the same arguments.

    As a sync pool does, it asks the socket whether the server has closed an idle connection: the
    loop hears of that only in its next turn, and the command would be lost.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # By connection: the writer of its socket, and how to ask that.
        self._polls: dict[Any, tuple[Any, Any]] = {}

    async def get_connection(self, command_name: Any = None, *keys: Any, **options: Any) -> Any:
        """Return an open connection that has nothing waiting to be read.

        Raises MaxConnectionsError when ``max_connections`` are in use, and redis-py's
        ConnectionError or TimeoutError when the server cannot be reached.
        """
        connection: Any = self.get_available_connection()  # type: ignore[no-untyped-call]
        stream = connection._reader
        if stream is not None and self._has_news(connection):
            for _ in range(_TURNS_MAX):
                if stream._buffer or stream.at_eof() or stream.exception() is not None:
                    break
                await asyncio.sleep(0)
        if stream is not None and (stream.at_eof() or stream.exception() is not None):
            abandon(connection)
            stream = None
        if stream is None or stream._buffer:
            try:
                await self.ensure_connection(connection)
            except BaseException:
                # Cancelled in the middle of a handshake, it may have replies to come.
                abandon(connection)
                self.give_back(connection)
                raise
        return connection

    def _has_news(self, connection: Any) -> bool:
        """Whether there is anything to read, the end included, that the loop may not have seen."""
        writer, poll = self._polls.get(connection, _NO_POLL)
        if sys.platform == "win32":
            return False
        if writer is not connection._writer:
            writer = connection._writer
            poller = select.poll()
            # Decrypted bytes of TLS, and its own messages, are another matter.
            if writer.get_extra_info("sslcontext") is None:
                poller.register(writer.get_extra_info("socket"), select.POLLIN)
            poll = poller.poll
            self._polls[connection] = writer, poll
        return bool(poll(0))

    def give_back(self, connection: Any) -> None:
        """Take a connection back, in one step that no cancellation can divide."""
        self._in_use_connections.discard(connection)
        if connection.should_reconnect():
            abandon(connection)
        self._available_connections.append(connection)

    async def release(self, connection: Any) -> None:
        """Take a connection back; the coroutine form that redis-py's own classes await."""
        self.give_back(connection)


class LeanAsyncRedis(redis.asyncio.Redis, ByteCommands):  # type: ignore[misc]
    """``redis.asyncio.Redis`` with a short path for plain commands.

    Takes what ``redis.asyncio.Redis`` takes; belongs to one event loop, as that does.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._replies_are_bytes = not self.get_encoder().decode_responses  # type: ignore[no-untyped-call]
        self._lean = isinstance(self.connection_pool, LeanAsyncConnectionPool) and is_lean(
            self.connection_pool,
            _AsyncHiredisParser,
            (Connection, SSLConnection, UnixDomainSocketConnection),
        )

    @classmethod
    def from_url(cls, url: str, **kwargs: Any) -> LeanAsyncRedis:  # type: ignore[override]
        """Return a client with a pool of its own for redis://, rediss:// or unix://."""
        single = kwargs.pop("single_connection_client", False)
        pool_class = kwargs.pop("connection_pool_class", LeanAsyncConnectionPool)
        client = cls(
            connection_pool=pool_class.from_url(url, **kwargs), single_connection_client=single
        )
        client.auto_close_connection_pool = True
        return client

    async def execute_command(self, *args: Any, **options: Any) -> Any:
        """Send one command and return its parsed reply.

        Raises redis-py's own exceptions; connection errors are retried as the connection's
        ``retry`` says. Cancelled, it closes its connection.
        """
        name = args[0]
        if (
            not self._lean
            or self.single_connection_client
            or name in STATEFUL_COMMANDS
            or not READ_OPTIONS.isdisjoint(options)
        ):
            return await super().execute_command(*args, **options)  # type: ignore[no-untyped-call]
        pool: Any = self.connection_pool
        connection = await pool.get_connection()
        try:
            try:
                reply = await exchange(connection, args)
            except connection.retry._supported_errors as error:
                reply = await self._retry(connection, error, args)
            if name == "QUIT":
                # The loop may not have seen the server's end yet when the next command comes.
                connection.mark_for_reconnect()
        finally:
            pool.give_back(connection)
        options.pop("keys", None)
        callbacks: Any = self.response_callbacks
        callback = dict.get(callbacks, name)
        if callback is None and not name.isupper():
            callback = callbacks.get(name)
        if callback is None:
            return reply
        parsed = callback(reply, **options)
        return await parsed if inspect.isawaitable(parsed) else parsed

    async def mset_px(self, pairs: Iterable[tuple[Any, Any]], ttl_ms: int | None) -> None:
        """Set several strings as one, each due in ``ttl_ms`` milliseconds; None is never.

        One round trip. Not in redis-py: the engine's clients and the sync ones have it too.
        """
        pairs = list(pairs)
        if ttl_ms is None and pairs:
            await self.execute_command("MSET", *(part for pair in pairs for part in pair))
        else:
            await queue_mset_px(self.pipeline(), pairs, ttl_ms).execute()

    async def together(self, commands: Packed) -> Any:
        """Send ``commands`` in one go; see ``ByteCommands``."""
        if not (self._lean and self._replies_are_bytes) or self.single_connection_client:
            return await super().together(commands)
        pool: Any = self.connection_pool
        connection = await pool.get_connection()

        async def attempt() -> list[Any]:
            return await exchange_all(connection, commands)

        async def fail(_: Exception) -> None:
            abandon(connection)

        try:
            return await connection.retry.call_with_retry(attempt, fail)
        finally:
            pool.give_back(connection)

    async def transact(self, commands: Commands) -> Any:
        """Send ``commands`` in one MULTI; see ``ByteCommands``."""
        if not (self._lean and self._replies_are_bytes) or self.single_connection_client:
            return await super().transact(commands)
        return transaction_replies(await self.together(transaction(commands)))

    async def _retry(self, connection: Any, error: Exception, args: tuple[Any, ...]) -> Any:
        """Go on as redis-py's retry does after a first attempt that ended in ``error``."""
        first: Exception | None = error

        async def attempt() -> Any:
            nonlocal first
            if first is not None:
                failed, first = first, None
                raise failed
            return await exchange(connection, args)

        async def fail(_: Exception) -> None:
            abandon(connection)

        return await connection.retry.call_with_retry(attempt, fail)


def abandon(connection: Any) -> None:
    """Close a redis.asyncio connection now, without waiting for its transport."""
    connection._reset_himport_state()
    connection._parser.on_disconnect()
    connection.reset_should_reconnect()
    connection._close()


async def connect_again(connection: Any) -> None:
    """Connect before a retry; whatever interrupts it leaves the connection closed."""
    try:
        await connection.connect_check_health(check_health=False)
    except BaseException:
        abandon(connection)
        raise


def _expire(connection: Any, stream: asyncio.StreamReader) -> None:
    message = f"Timeout reading from {connection._host_error()}"
    stream.set_exception(RedisTimeoutError(message))


async def exchange(connection: Any, args: tuple[Any, ...]) -> Any:
    """Send one command over a redis.asyncio connection and return its reply.

    Raises ResponseError for an error reply, and ConnectionError or TimeoutError after closing
    the connection. A cancellation closes it as well, before anyone else can run.
    """
    packed = pack(connection, args)
    if connection._reader is None:
        await connect_again(connection)
    stream = connection._reader
    parser = connection._parser
    reader = parser._reader
    timer = None
    if connection.socket_timeout:
        timer = asyncio.get_running_loop().call_later(
            connection.socket_timeout, _expire, connection, stream
        )
    try:
        writer = connection._writer
        writer.write(packed)
        if writer.transport.get_write_buffer_size():
            await writer.drain()
        reply = NOT_ENOUGH_DATA
        while reply is NOT_ENOUGH_DATA:
            data = await stream.read(65536)
            if not data:
                raise RedisConnectionError("Connection closed by server.")
            reader.feed(data)
            reply = reader.gets()
        pushed = type(reply) is parser._hiredis_PushNotificationType
        if pushed:
            await parser.handle_push_response(reply)
    except OSError as error:
        abandon(connection)
        raise RedisConnectionError(
            f"Error while reading from {connection._host_error()} : {error.args}"
        ) from error
    except BaseException:
        abandon(connection)
        raise
    finally:
        if timer is not None:
            timer.cancel()
    if pushed:
        return await connection.read_response()
    if isinstance(reply, RedisError):
        if isinstance(reply, RedisConnectionError):
            abandon(connection)
        raise reply
    return reply


async def exchange_all(connection: Any, commands: Packed) -> list[Any]:
    """Send several commands at once and return their replies, error replies as exceptions.

    Raises and closes as ``exchange`` does.
    """
    packed = pack_all(commands)
    if connection._reader is None:
        await connect_again(connection)
    replies: list[Any] = []
    try:
        await connection.send_packed_command(packed, check_health=False)
        for _ in commands:
            try:
                replies.append(await connection.read_response(disconnect_on_error=False))
            except ResponseError as error:
                replies.append(error)
    except BaseException:
        abandon(connection)
        raise
    return replies
