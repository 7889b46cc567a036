"""A redis-py connection whose other end is an engine in this process.

Give the class to whatever builds its own pool: ``redis.ConnectionPool(connection_class=
EngineConnection, url="memory://name/0")``. The pools of ``pool`` name it themselves. A connection
owns one session; sending a command executes it, and what comes back waits in an inbox until it is
read, together with what the engine delivers later (pub/sub messages, replies of blocked commands).

Left out on purpose: maintenance notifications, which belong to servers that this engine is not.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections import deque
from collections.abc import Iterable
from functools import partial
from typing import Any, Final

from redis.backoff import NoBackoff
from redis.connection import ConnectionInterface
from redis.credentials import UsernamePasswordCredentialProvider
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError, ResponseError
from redis.exceptions import TimeoutError as RedisTimeoutError
from redis.retry import Retry
from redis.utils import SENTINEL, str_if_bytes

from cacheapp.clients.base import EngineParser, Settings, connection_settings
from cacheapp.clients.decoding import CLOSED_TEXT, PLAIN, decode_bytes, reply_error
from cacheapp.clients.inbox import CLOSED, Inbox
from cacheapp.engine.errors import CommandError
from cacheapp.engine.replies import Push, Reply, Status
from cacheapp.engine.shortcuts import gets, getter, only_hits

__all__ = ["EngineConnection"]

_NOTHING: Final = object()
# A name and a key.
_GET_WORDS = 2


class _Inbox(Inbox):
    """With the thread that waits for an item."""

    __slots__ = ("_bell",)

    def __init__(self) -> None:
        super().__init__()
        self._bell: threading.Lock | None = None

    def wake(self) -> None:
        bell = self._bell
        if bell is not None:
            # Two may ring at once; the second finds it rung already.
            with contextlib.suppress(RuntimeError):
                bell.release()

    def wait(self, timeout: float | None) -> bool:
        """Wait ``timeout`` seconds, None is for ever; say whether there is an item."""
        if timeout == 0 or self.items:
            return bool(self.items)
        bell = threading.Lock()
        bell.acquire()
        self._bell = bell
        try:
            # Looked at again, for an item may have come before its bringer saw the bell.
            if not self.items:
                bell.acquire(timeout=-1 if timeout is None else max(timeout, 0))
        finally:
            self._bell = None
        return bool(self.items)


class EngineConnection(Settings, ConnectionInterface):
    """One client of an engine, for redis-py's sync pools; see ``Settings`` for the arguments.

    As with a socket, one thread at a time may use it, except that ``disconnect`` may come from
    another and ends a read that waits.
    """

    parser_type = EngineParser
    _parser: EngineParser
    _inbox: _Inbox
    # A plain attribute: the interface declares a property that nothing could be assigned to.
    handshake_metadata: Any = None

    def __init__(self, *, url: str | None = None, **settings: Any) -> None:
        self._inbox = _Inbox()
        self._items = self._inbox.items
        super().__init__(**(settings if url is None else connection_settings(url, **settings)))
        # Replies that need neither decoding nor note of the time.
        self._plain = PLAIN if self.decode is decode_bytes else PLAIN - {bytes}
        if self.health_check_interval:
            self._plain = frozenset()

    def default_retry(self, retries: int) -> Retry:
        """Return a Retry that tries ``retries`` more times at once."""
        return Retry(NoBackoff(), retries)

    # Connecting

    def connect(self) -> None:
        """Open a session and introduce the client, if that is not done yet.

        Raises AuthenticationError or another ResponseError where the engine refuses it.
        """
        if self._session is None:
            self.retry.call_with_retry(self.on_connect, self.disconnect)

    def on_connect(self) -> None:
        """Open the session, log in, name the client, select the database, tell the callbacks."""
        self._inbox = _Inbox()
        self._items = self._inbox.items
        self._session = self.engine.connect(self._inbox.deliver, address=f"memory:{self.host}")
        self._inbox.session = self._session
        self._session.hung_up = partial(self._inbox.put, CLOSED)
        self._get, self._get_each = getter(self._session), gets(self._session)
        try:
            if self.redis_connect_func is not None:
                self.redis_connect_func(self)
            else:
                self._introduce()
        except BaseException:
            self.disconnect()
            raise
        self._connect_callbacks = [ref for ref in self._connect_callbacks if ref()]
        for reference in self._connect_callbacks:
            callback = reference()
            if callback is not None:
                callback(self)

    def _introduce(self) -> None:
        credentials: Any = ()
        if self.credential_provider or self.username or self.password:
            provider = self.credential_provider or UsernamePasswordCredentialProvider(
                self.username, self.password
            )
            credentials = provider.get_credentials()
        steps = self._handshake(credentials)
        try:
            command = next(steps)
            while True:
                self.send_command(*command, check_health=False)
                try:
                    reply = self.read_response()
                except ResponseError as error:
                    command = steps.throw(error)
                else:
                    command = steps.send(reply)
        except StopIteration:
            return

    def disconnect(self, *args: Any, **kwargs: Any) -> None:
        """Close the session. What it watched, queued and subscribed to is gone; again is fine."""
        self._close()

    def re_auth(self) -> None:
        """Log in with the token that ``set_re_auth_token`` left, if there is one."""
        if self._re_auth_token is not None:
            token, self._re_auth_token = self._re_auth_token, None
            self.send_command("AUTH", token.try_get("oid"), token.get_value())
            self.read_response()

    def check_health(self) -> None:
        """PING, where ``health_check_interval`` seconds have gone by since the last reply."""
        if self.health_check_interval and time.monotonic() > self.next_health_check:
            self.retry.call_with_retry(self._ping, self.disconnect)

    def _ping(self) -> None:
        self.send_command("PING", check_health=False)
        if str_if_bytes(self.read_response()) != "PONG":
            raise RedisConnectionError("Bad response from PING health check")

    # Sending

    def send_command(self, *args: Any, **kwargs: Any) -> None:
        """Execute one command; its reply waits to be read. Raises DataError."""
        session = self._session
        if (
            args[0] != "GET"
            or len(args) != _GET_WORDS
            or session is None
            or session.closing
            or self._held
            or self.health_check_interval
        ):
            self.send_packed_command((self.encode(args),), kwargs.get("check_health", True))
            return
        # What most commands of a cache are, without the loop.
        name = args[1]
        key = name.encode() if type(name) is str and self.is_utf8 else self.encode(args)[1]
        try:
            self._items.append(self._get(key))
        except CommandError as error:
            self._items.append(error)
        except BaseException:
            self.disconnect()
            raise
        self._inbox.wake()

    def send_packed_command(
        self, command: Iterable[list[bytes]], check_health: bool = True
    ) -> None:
        """Execute the commands that ``pack_command`` or ``pack_commands`` encoded.

        Those after one that waits are executed by who reads their replies, in their turn.
        """
        if self._session is None:
            self.connect()
        if check_health and self.health_check_interval:
            self.check_health()
        if self._held:
            self._held.extend(command)
            return
        session = self._open_session()
        found = only_hits(self._get_each, command) if type(command) is list else None
        if found is not None:
            self._items.extend(found)
        else:
            self._execute(session, iter(command), self._items.append)
        # Somebody may be reading already: PubSub.ping() while another thread listens.
        self._inbox.wake()

    def _go_on(self) -> None:
        """Execute what was held back, if what it was held back for no longer waits."""
        if self._session is not None and self._session not in self.engine.waiters.by_session:
            held, self._held = self._held, deque()
            self.send_packed_command(held, check_health=False)

    # Reading

    def can_read(self, timeout: float | None = 0) -> bool:
        """Say whether a reply or message is there, or comes within ``timeout`` seconds.

        None waits without a bound. Raises ConnectionError where the connection gets closed.
        """
        if self._session is None:
            self.connect()
        inbox = self._inbox
        if not inbox.items and (timeout == 0 or not self._wait(timeout)):
            return False
        if inbox.items[0] is CLOSED:
            raise RedisConnectionError(CLOSED_TEXT)
        return True

    def read_response(
        self,
        disable_decoding: bool = False,
        *,
        timeout: float | object | None = SENTINEL,
        disconnect_on_error: bool = True,
        push_request: bool = False,
    ) -> Any:
        """Return the next reply; raise it where it is an error.

        ``timeout`` is how many seconds to wait, None for ever, by default ``socket_timeout``. Push
        messages are returned only to who asks (``push_request``), else handled and passed over.
        Raises TimeoutError, ConnectionError, or the ResponseError that the command earned; all
        but the last close the connection unless ``disconnect_on_error`` is false.
        """
        try:
            reply = self._items.popleft()
        except IndexError:
            reply = _NOTHING
        kind = type(reply)
        if kind in self._plain:
            return reply
        if kind is Status and bytes in self._plain:
            return bytes(reply)
        decode = self._decoder(disable_decoding)
        wait_s = self.socket_timeout if timeout is SENTINEL else timeout
        while True:
            try:
                reply = self._arrived(reply, wait_s)
                if isinstance(reply, CommandError):
                    break
                response = decode(reply)
                if type(reply) is not Push:
                    break
                handled = self._parser.handle_push_response(response)  # type: ignore[no-untyped-call]
                if push_request:
                    return handled
                reply = _NOTHING
            except BaseException:
                if disconnect_on_error:
                    self.disconnect()
                raise
        if self.health_check_interval:
            self.next_health_check = time.monotonic() + self.health_check_interval
        if isinstance(reply, CommandError):
            failure: RedisError = reply_error(reply)
            raise failure
        return response

    def _arrived(self, reply: Reply, timeout: Any) -> Reply:
        """``reply``, or what comes next where it is ``_NOTHING``."""
        if reply is _NOTHING:
            inbox = self._inbox
            if self._session is None and not inbox.items:
                raise RedisConnectionError(CLOSED_TEXT)
            if not self._wait(timeout):
                raise RedisTimeoutError(f"Timeout reading from {self._host_error()}")
            reply = inbox.items.popleft()
        if reply is CLOSED:
            raise RedisConnectionError(CLOSED_TEXT)
        return reply

    def _wait(self, timeout: float | None) -> bool:
        """Wait ``timeout`` seconds, None is for ever, for something to arrive."""
        inbox = self._inbox
        if self._held:
            self._go_on()
        end = None if timeout is None else time.monotonic() + timeout
        while not inbox.items:
            left = None if end is None else end - time.monotonic()
            if left is not None and left <= 0:
                return False
            due = self.due_s()
            if due is None or (left is not None and left < due):
                return inbox.wait(left)
            if not inbox.wait(due):
                self.engine.tick()
        return True
