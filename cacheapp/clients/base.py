"""What the sync and the asyncio connection to an engine share: all but the waiting.

That is settings, parser, handshake, and executing what is sent; ``connection`` and ``aconnection``
hold what waits. The settings are redis-py's keyword arguments for a connection; those that only
sockets have (keepalive, TLS, parsers, packers, maintenance notifications …) are accepted and
ignored, because pools pass them on without asking.
"""

from __future__ import annotations

import contextlib
import copy
import os
import weakref
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from logging import getLogger
from typing import Any

from redis._defaults import DEFAULT_SOCKET_TIMEOUT
from redis._parsers import Encoder
from redis._parsers.base import AsyncPushNotificationsParser, BaseParser, PushNotificationsParser
from redis.driver_info import resolve_driver_info
from redis.exceptions import (
    AuthenticationError,
    AuthenticationWrongNumberOfArgsError,
    DataError,
    ResponseError,
)
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError
from redis.utils import DEFAULT_RESP_VERSION, SENTINEL, str_if_bytes

from cacheapp.clients.decoding import (
    CLOSED_TEXT,
    command_encoder,
    commands_encoder,
    decode_bytes,
    is_utf8,
    reply_decoder,
)
from cacheapp.clients.inbox import CLOSED, Inbox
from cacheapp.clients.url import DEFAULT_NAME, URLOptionError, parse_engine_url
from cacheapp.engine.config import ENGINE_ALIASES, ENGINE_PARAMETERS
from cacheapp.engine.engine import Engine
from cacheapp.engine.errors import CommandError, ConfigError
from cacheapp.engine.replies import BLOCKED, NO_REPLY
from cacheapp.engine.session import Session
from cacheapp.engine.shortcuts import Getter

__all__ = [
    "AsyncEngineParser",
    "EngineParser",
    "Settings",
    "connection_settings",
    "find_engine",
]

_push_logger = getLogger("push_response")

Put = Callable[[Any], None]
Step = tuple[Any, ...]
Handshake = Generator[Step, Any, None]


class EngineParser(BaseParser, PushNotificationsParser):
    """Where redis-py sets handlers for push messages; there is nothing to parse."""

    def __init__(self) -> None:
        self.pubsub_push_handler_func = self.handle_pubsub_push_response

    def handle_pubsub_push_response(self, response: Any) -> Any:
        """Note the message in the log, as redis-py's parsers do, and return it."""
        _push_logger.debug("Push response: %s", response)
        return response

    def on_connect(self, connection: Any) -> None:
        """Do nothing: there is no stream to take over."""

    def on_disconnect(self) -> None:
        """Do nothing: there is no stream to give up."""


class AsyncEngineParser(BaseParser, AsyncPushNotificationsParser):
    """The same with handlers that are awaited."""

    def __init__(self) -> None:
        self.pubsub_push_handler_func = self.handle_pubsub_push_response

    async def handle_pubsub_push_response(self, response: Any) -> Any:
        """Note the message in the log, as redis-py's parsers do, and return it."""
        _push_logger.debug("Push response: %s", response)
        return response

    def on_connect(self, connection: Any) -> None:
        """Do nothing: there is no stream to take over."""

    def on_disconnect(self) -> None:
        """Do nothing: there is no stream to give up."""


def find_engine(name: str, options: Mapping[str, str]) -> Engine:
    """Return the engine called ``name`` in this process, made with ``options`` if it is new.

    Raises URLOptionError where it runs already with other values for these options.
    """
    try:
        return Engine.shared(name, options)
    except ConfigError as error:
        raise URLOptionError(str(error)) from None


def connection_settings(url: str, **settings: Any) -> dict[str, Any]:
    """Return the keyword arguments of a connection, or of a pool, to the engine of ``url``.

    What the URL says wins over ``settings``. The engine is made here, so that options which it
    cannot take are reported now: raises URLError.
    """
    said = parse_engine_url(url)
    find_engine(said.name, said.engine_options)
    merged = {"db": 0, **settings, **said.client_options, **said.engine_options}
    if said.db is not None:
        merged["db"] = said.db
    return {**merged, "host": said.name}


class Settings:
    """A connection's settings, and what can be done with them without waiting.

    Arguments are redis-py's, besides which engine to use: ``host`` is the engine's name, with the
    engine's parameters by their redis.conf names, or ``engine`` is one itself. The connections
    take a ``url`` for all of it (``memory://name/db?…``). ``socket_timeout`` bounds, in seconds,
    how long a read waits for a blocked command; None is no bound. Raises DataError for
    contradicting credentials, ConnectionError for a protocol other than 2 and 3, URLError for a
    URL or engine that cannot be.
    """

    parser_type: type[EngineParser | AsyncEngineParser] = EngineParser
    # What each front has in its own form, and the engine's GET for the session.
    _inbox: Inbox
    _get: Getter
    # What was sent after a command that waits: it runs when that has been answered.
    _held: deque[list[bytes]]
    retry: Any
    encoder: Encoder
    handshake_metadata: Any = None
    # redis-py prepares field sets of HIMPORT only on connections that have a registry; no server
    # of version 7 knows that command, and looking for it costs time in every pipeline.
    himport_registry = None

    def __init__(
        self,
        *,
        host: str = DEFAULT_NAME,
        engine: Engine | None = None,
        db: int = 0,
        username: str | None = None,
        password: str | None = None,
        credential_provider: Any = None,
        client_name: str | None = None,
        protocol: int | str | None = None,
        legacy_responses: bool = True,
        encoding: str = "utf-8",
        encoding_errors: str = "strict",
        decode_responses: bool = False,
        encoder_class: type[Encoder] = Encoder,
        socket_timeout: float | None = DEFAULT_SOCKET_TIMEOUT,
        retry: Any = None,
        retry_on_timeout: bool = False,
        retry_on_error: Any = SENTINEL,
        health_check_interval: float = 0,
        redis_connect_func: Callable[[Any], Any] | None = None,
        driver_info: Any = SENTINEL,
        lib_name: Any = SENTINEL,
        lib_version: Any = SENTINEL,
        event_dispatcher: Any = None,
        **others: Any,
    ) -> None:
        if (username or password) and credential_provider is not None:
            raise DataError(
                "give either a username and password, or a credential_provider, not both"
            )
        self.pid = os.getpid()
        self.host, self.port = host, 0
        self.db = int(db)
        self.username, self.password = username, password
        self.credential_provider = credential_provider
        self.client_name = client_name
        self.socket_timeout = self.socket_connect_timeout = socket_timeout
        self.health_check_interval = health_check_interval
        self.next_health_check = 0.0
        self.redis_connect_func = redis_connect_func
        self.driver_info = resolve_driver_info(driver_info, lib_name, lib_version)
        self.legacy_responses = legacy_responses
        # Read by the proxy that redis-py puts around a connection for client-side caching.
        self._event_dispatcher = event_dispatcher
        self.protocol = _protocol(protocol)
        self.engine = engine if engine is not None else find_engine(host, _parameters(others))
        self.encoder = encoder_class(encoding, encoding_errors, decode_responses)
        self.is_utf8 = is_utf8(self.encoder)
        self.encode = command_encoder(self.encoder)
        self.encode_many = commands_encoder(self.encode, self.is_utf8)
        self.decode = reply_decoder(self.encoder)
        self.retry = self._retry(retry, retry_on_timeout, retry_on_error)
        self._parser = self.parser_type()
        self._connect_callbacks: list[weakref.WeakMethod[Any]] = []
        self._session: Session | None = None
        self._held = deque()
        self._re_auth_token: Any = None
        self._should_reconnect = False

    def _retry(self, retry: Any, on_timeout: bool, on_error: Any) -> Any:
        errors = [] if on_error is SENTINEL or on_error is None else list(on_error)
        if on_timeout:
            errors.append(RedisTimeoutError)
        # Deep, since a Retry is mutable and the pool hands the same one to every connection.
        chosen = copy.deepcopy(retry) if retry else self.default_retry(1 if errors else 0)
        if errors:
            chosen.update_supported_errors(errors)
        return chosen

    def default_retry(self, retries: int) -> Any:
        """Return the front's own kind of Retry, without a delay."""
        raise NotImplementedError

    def __repr__(self) -> str:
        pieces = ",".join(f"{name}={value}" for name, value in self.repr_pieces())
        return f"<{type(self).__module__}.{type(self).__name__}({pieces})>"

    def __del__(self) -> None:
        session = getattr(self, "_session", None)
        if session is not None:
            self.engine.abandon(session)

    def repr_pieces(self) -> list[tuple[str, Any]]:
        """Return what repr() shows: the engine's name, the database, and the client's name."""
        pieces: list[tuple[str, Any]] = [("engine", self.host), ("db", self.db)]
        if self.client_name:
            pieces.append(("client_name", self.client_name))
        return pieces

    @property
    def session(self) -> Session:
        """The engine's session. Raises ConnectionError where there is none."""
        if self._session is None:
            raise RedisConnectionError(CLOSED_TEXT)
        return self._session

    @property
    def is_connected(self) -> bool:
        """Whether the connection has a session of the engine."""
        return self._session is not None

    def get_protocol(self) -> int:
        """Return 2 or 3."""
        return self.protocol

    def set_parser(self, parser_class: Any) -> None:
        """Ignore ``parser_class``: replies come as objects."""

    def extract_connection_details(self) -> str:
        """Return a line for debug logs."""
        if self._session is None:
            return "not connected"
        return f"connected to engine {self.host}, session {self._session.id}"

    def mark_for_reconnect(self) -> None:
        """Have the connection closed when it is next given back."""
        self._should_reconnect = True

    def should_reconnect(self) -> bool:
        """Say whether ``mark_for_reconnect`` was called since the last connect."""
        return self._should_reconnect

    def reset_should_reconnect(self) -> None:
        """Undo ``mark_for_reconnect``."""
        self._should_reconnect = False

    def register_connect_callback(self, callback: Any) -> None:
        """Call the bound method ``callback(connection)`` after each connect, while it lives."""
        reference = weakref.WeakMethod(callback)
        if reference not in self._connect_callbacks:
            self._connect_callbacks.append(reference)

    def deregister_connect_callback(self, callback: Any) -> None:
        """Call it no longer; no error where it was not registered."""
        reference = weakref.WeakMethod(callback)
        if reference in self._connect_callbacks:
            self._connect_callbacks.remove(reference)

    def set_re_auth_token(self, token: Any) -> None:
        """Remember a credential provider's new token, for ``re_auth``."""
        self._re_auth_token = token

    def pack_command(self, *args: Any) -> list[list[bytes]]:
        """Return the command as ``send_packed_command`` takes it. Raises DataError."""
        return [self.encode(args)]

    def pack_commands(self, commands: Iterable[Sequence[Any]]) -> list[list[bytes]]:
        """Return several commands as ``send_packed_command`` takes them. Raises DataError."""
        return self.encode_many(commands)

    def due_s(self) -> float | None:
        """In how many seconds the command that blocks gives up by itself; None for never.

        The engine does not wait: whoever waits here calls its ``tick`` then.
        """
        waiter = None
        if self._session is not None:
            waiter = self.engine.waiters.by_session.get(self._session)
        if waiter is None or not waiter.deadline_ms:
            return None
        # A millisecond more, since the engine's clock is read in whole ones.
        return max(waiter.deadline_ms + 1 - self.engine.clock.time() * 1000, 0) / 1000

    def _open_session(self) -> Session:
        """The session. Raises ConnectionError where CLIENT KILL has ended it."""
        session = self.session
        if session.closing:
            self._close()
            raise RedisConnectionError(CLOSED_TEXT)
        return session

    def _execute(self, session: Session, commands: Iterator[list[bytes]], put: Put) -> None:
        """Execute commands, each reply into ``put``; those after one that waits are held back."""
        execute, get = self.engine.execute, self._get
        try:
            for args in commands:
                try:
                    if args[0] == b"GET" and len(args) == 2:
                        put(get(args[1]))
                        continue
                    reply = execute(session, args)
                except CommandError as error:
                    put(error)
                else:
                    if reply is BLOCKED:
                        self._held.extend(commands)
                    elif reply is not NO_REPLY:
                        put(reply)
                    if session.closing:
                        self._hang_up(session)
                        return
        except BaseException:
            # Replies of the commands before it would be the next caller's.
            self._close()
            raise

    def _hang_up(self, session: Session) -> None:
        # As a server does after QUIT: what it said can still be read, and then the end.
        self._session = None
        self.engine.disconnect(session)
        self._inbox.put(CLOSED)

    def _close(self) -> None:
        """Close the session. Never suspends: a second cancellation cannot come in between."""
        session, self._session = self._session, None
        self._held.clear()
        self.reset_should_reconnect()
        if session is not None:
            self.engine.disconnect(session)
            self._inbox.put(CLOSED)

    def _decoder(self, disable_decoding: bool) -> Callable[[Any], Any]:
        return decode_bytes if disable_decoding else self.decode

    def _host_error(self) -> str:
        return f"engine {self.host}"

    def _handshake(self, credentials: Sequence[str]) -> Handshake:
        """Yield the commands of a new connection; takes each reply, or has its error thrown in.

        The order, and which errors are tolerated, are redis-py's.
        """
        if self.protocol == 3:
            # Redis wants a user's name in HELLO, even where there is only a password.
            login = ["AUTH", *credentials] if credentials else []
            if len(credentials) == 1:
                login.insert(1, "default")
            self.handshake_metadata = yield ("HELLO", self.protocol, *login)
        elif credentials:
            try:
                reply = yield ("AUTH", *credentials)
            except AuthenticationWrongNumberOfArgsError:
                reply = yield ("AUTH", credentials[-1])
            if str_if_bytes(reply) != "OK":
                raise AuthenticationError("Invalid Username or Password")
        if self.client_name:
            yield ("CLIENT", "SETNAME", self.client_name)
        if self.driver_info is not None:
            yield from _tolerant("LIB-NAME", self.driver_info.formatted_name)
            yield from _tolerant("LIB-VER", self.driver_info.lib_version)
        if self.db:
            yield ("SELECT", self.db)


def _parameters(settings: Mapping[str, Any]) -> dict[str, str]:
    """Those of ``settings`` that are the engine's own, as their text."""
    return {
        name: str(value)
        for name, value in settings.items()
        if name.lower() in ENGINE_PARAMETERS or name.lower() in ENGINE_ALIASES
    }


def _tolerant(field: str, value: Any) -> Handshake:
    if value:
        # Before 7.2 Redis has no such subcommand.
        with contextlib.suppress(ResponseError):
            yield ("CLIENT", "SETINFO", field, value)


def _protocol(protocol: int | str | None) -> int:
    if protocol is None:
        return DEFAULT_RESP_VERSION
    try:
        chosen = int(protocol)
    except ValueError:
        raise RedisConnectionError("protocol must be an integer") from None
    if chosen not in (2, 3):
        raise RedisConnectionError("protocol must be either 2 or 3")
    return chosen
