"""The asyncio twin of ``connection``: a redis.asyncio connection to an engine in this process.

Commands run at once, in the loop's own thread; only a blocked command or the wait for a message
suspends. Whatever is delivered meanwhile, from any thread, wakes the reader through its loop.

A reply is taken from the inbox in the same step in which it is returned, so a cancelled read either
took nothing or has closed the session: no reply is left for the next caller (CVE-2023-28858).

Left out on purpose: the same as in ``connection``.
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import math
import threading
from collections import deque
from collections.abc import Iterable
from functools import partial
from typing import Any

from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.credentials import UsernamePasswordCredentialProvider
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import ResponseError
from redis.exceptions import TimeoutError as RedisTimeoutError
from redis.utils import str_if_bytes

from cacheapp.clients.base import AsyncEngineParser, Settings, connection_settings
from cacheapp.clients.decoding import CLOSED_TEXT, reply_error
from cacheapp.clients.inbox import CLOSED, Inbox
from cacheapp.engine.errors import CommandError
from cacheapp.engine.replies import Push
from cacheapp.engine.shortcuts import getter

__all__ = ["AsyncEngineConnection"]


class _Inbox(Inbox):
    """With the task that waits for an item."""

    __slots__ = ("_loop", "_thread_id", "_waiter")

    def __init__(self) -> None:
        super().__init__()
        self._loop = asyncio.get_running_loop()
        self._thread_id = threading.get_ident()
        self._waiter: asyncio.Future[None] | None = None

    def wake(self) -> None:
        if self._waiter is None:
            return
        if threading.get_ident() == self._thread_id:
            self._wake()
            return
        # A RuntimeError says that the loop is closed, and so nobody waits any more.
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._wake)

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def wait(self) -> None:
        """Return when there is an item. Cancelled, it has taken nothing."""
        try:
            while not self.items:
                self._waiter = self._loop.create_future()
                # Looked at again, for another thread may have put one before it saw the waiter.
                if not self.items:
                    await self._waiter
        finally:
            self._waiter = None


class AsyncEngineConnection(Settings):
    """One client of an engine, for redis.asyncio's pools; see ``Settings`` for the arguments."""

    parser_type = AsyncEngineParser
    _parser: AsyncEngineParser
    _inbox: _Inbox
    _due: asyncio.TimerHandle | None = None

    def __init__(self, *, url: str | None = None, **settings: Any) -> None:
        # The inbox itself needs a running loop, and comes with the session.
        self._items: deque[Any] = deque()
        super().__init__(**(settings if url is None else connection_settings(url, **settings)))

    def default_retry(self, retries: int) -> Retry:
        """Return a Retry that tries ``retries`` more times at once."""
        return Retry(NoBackoff(), retries)

    # Connecting

    async def connect(self) -> None:
        """Open a session and introduce the client, if that is not done yet.

        Raises AuthenticationError or another ResponseError where the engine refuses it.
        """
        if self._session is None:
            await self.retry.call_with_retry(self.on_connect, self._failed)

    async def _failed(self, error: Exception) -> None:
        self._close()

    async def on_connect(self) -> None:
        """Open the session, log in, name the client, select the database, tell the callbacks."""
        self._inbox = _Inbox()
        self._items = self._inbox.items
        self._session = self.engine.connect(self._inbox.deliver, address=f"memory:{self.host}")
        self._inbox.session = self._session
        self._session.hung_up = partial(self._inbox.put, CLOSED)
        self._get = getter(self._session)
        try:
            if self.redis_connect_func is not None:
                done = self.redis_connect_func(self)
                if inspect.isawaitable(done):
                    await done
            else:
                await self._introduce()
        except BaseException:
            self._close()
            raise
        self._connect_callbacks = [ref for ref in self._connect_callbacks if ref()]
        for reference in self._connect_callbacks:
            callback = reference()
            done = callback(self) if callback is not None else None
            if inspect.isawaitable(done):
                await done

    async def _introduce(self) -> None:
        credentials: Any = ()
        if self.credential_provider or self.username or self.password:
            provider = self.credential_provider or UsernamePasswordCredentialProvider(
                self.username, self.password
            )
            credentials = await provider.get_credentials_async()
        steps = self._handshake(credentials)
        try:
            command = next(steps)
            while True:
                await self.send_command(*command, check_health=False)
                try:
                    reply = await self.read_response()
                except ResponseError as error:
                    command = steps.throw(error)
                else:
                    command = steps.send(reply)
        except StopIteration:
            return

    async def disconnect(self, nowait: bool = False, **kwargs: Any) -> None:
        """Close the session. What it watched, queued and subscribed to is gone; again is fine."""
        self._close()

    async def re_auth(self) -> None:
        """Log in with the token that ``set_re_auth_token`` left, if there is one."""
        if self._re_auth_token is not None:
            token, self._re_auth_token = self._re_auth_token, None
            await self.send_command("AUTH", token.try_get("oid"), token.get_value())
            await self.read_response()

    async def check_health(self) -> None:
        """PING, where ``health_check_interval`` seconds have gone by since the last reply."""
        if self.health_check_interval and self._time() > self.next_health_check:
            await self.retry.call_with_retry(self._ping, self._failed)

    async def _ping(self) -> None:
        await self.send_command("PING", check_health=False)
        if str_if_bytes(await self.read_response()) != "PONG":
            raise RedisConnectionError("Bad response from PING health check")

    @staticmethod
    def _time() -> float:
        return asyncio.get_running_loop().time()

    # Sending

    async def send_command(self, *args: Any, **kwargs: Any) -> None:
        """Execute one command; its reply waits to be read. Raises DataError."""
        await self.send_packed_command((self.encode(args),), kwargs.get("check_health", True))

    async def send_packed_command(
        self, command: Iterable[list[bytes]], check_health: bool = True
    ) -> None:
        """Execute the commands that ``pack_command`` or ``pack_commands`` encoded.

        Those after one that waits are executed by who reads their replies, in their turn.
        """
        if self._session is None:
            await self.connect()
        if check_health and self.health_check_interval:
            await self.check_health()
        session = self._open_session()
        if self._held:
            self._held.extend(command)
        else:
            self._execute(session, iter(command), self._inbox.put)

    def _go_on(self) -> None:
        """Execute what was held back, if what it was held back for no longer waits."""
        session = self._session
        if session is not None and session not in self.engine.waiters.by_session:
            held, self._held = self._held, deque()
            self._execute(session, iter(held), self._inbox.put)

    # Reading

    async def can_read(self) -> bool:
        """Say whether a reply or message is there. Raises ConnectionError on a closed one."""
        if self._session is None:
            raise RedisConnectionError(CLOSED_TEXT)
        return bool(self._items)

    async def read_response(
        self,
        disable_decoding: bool = False,
        timeout: float | None = None,
        *,
        disconnect_on_error: bool = True,
        push_request: bool | None = False,
    ) -> Any:
        """Return the next reply; raise it where it is an error.

        ``timeout`` is how many seconds to wait: None for ``socket_timeout``, infinity for ever,
        and another number for a wait that ends in None instead of an error. Push messages are
        returned only to who asks (``push_request``), else handled and passed over. Raises
        TimeoutError, ConnectionError, or the ResponseError that the command earned; all but the
        last, and a cancellation, close the session unless ``disconnect_on_error`` is false.
        """
        decode = self._decoder(disable_decoding)
        while True:
            try:
                items = self._items
                if self._held and not items:
                    self._go_on()
                if not items:
                    if self._session is None:
                        raise RedisConnectionError(CLOSED_TEXT)
                    if not await self._arrival(self._inbox, timeout):
                        return None
                reply = items.popleft()
                if reply is CLOSED:
                    raise RedisConnectionError(CLOSED_TEXT)
                if isinstance(reply, CommandError):
                    break
                response = decode(reply)
                if type(reply) is not Push:
                    break
                handled = await self._parser.handle_push_response(response)  # type: ignore[no-untyped-call]
                if push_request:
                    return handled
            except BaseException:
                if disconnect_on_error:
                    self._close()
                raise
        if self.health_check_interval:
            self.next_health_check = self._time() + self.health_check_interval
        if isinstance(reply, CommandError):
            failure = reply_error(reply)
            raise failure from None
        return response

    async def _arrival(self, inbox: _Inbox, timeout: float | None) -> bool:
        """Wait for an item; false where the ``timeout`` that the caller gave has run out."""
        seconds = self.socket_timeout if timeout is None else timeout
        self._end_when_due()
        try:
            if seconds is None or seconds == math.inf:
                await inbox.wait()
            else:
                async with asyncio.timeout(seconds):
                    await inbox.wait()
        except TimeoutError:
            if timeout is not None:
                return False
            raise RedisTimeoutError(f"Timeout reading from {self._host_error()}") from None
        finally:
            if self._due is not None:
                self._due.cancel()
                self._due = None
        return True

    def _end_when_due(self) -> None:
        """Have a blocked command's time run out even where nobody else calls the engine."""
        seconds = self.due_s()
        if seconds is not None:
            self._due = asyncio.get_running_loop().call_later(seconds, self._end_overdue)

    def _end_overdue(self) -> None:
        self._due = None
        self.engine.tick()
        self._end_when_due()
