"""Commands straight into an engine's session: no pool, no packing, and nothing to wait for.

``EngineRedis`` and ``AsyncEngineRedis`` each keep one ``DirectSession`` and give it every command
but those that wait for something (``waits``): these go through a connection of the pool, which
has an inbox to wait at. One session serves all threads, because the engine runs one command at a
time; a transaction holds the engine's lock from MULTI to EXEC.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol

from redis.client import EMPTY_RESPONSE, NEVER_DECODE
from redis.exceptions import ExecAbortError, RedisError, ResponseError

from cacheapp.clients.base import Settings
from cacheapp.clients.decoding import (
    PLAIN,
    PLAIN_COMMANDS,
    PLAIN_OF_THEM,
    decode_bytes,
    reply_error,
)
from cacheapp.clients.parsing import Parser, parser
from cacheapp.clients.scripts import Script
from cacheapp.engine.batches import execute_batch, execute_transaction
from cacheapp.engine.errors import CommandError, SessionEndedError
from cacheapp.engine.native import NOT_NATIVE, runner, update_slowly
from cacheapp.engine.registry import COMMANDS
from cacheapp.engine.session import Session
from cacheapp.engine.shortcuts import gets, getter, msetter, only_hits

__all__ = ["DirectSession", "Queued", "pipeline_waits", "waits", "when_lost"]

#: A pipeline's queued command: its arguments, its name first, and redis-py's options for it.
Queued = tuple[tuple[Any, ...], dict[str, Any]]
Annotate = Callable[[Exception, int, tuple[Any, ...]], None]

#: redis-py's options for reading a reply, which callbacks do not take.
_READ_OPTIONS = frozenset({NEVER_DECODE, EMPTY_RESPONSE, "keys"})
# Those that redis-py gives to commands which have no others.
_NO_OPTIONS = frozenset({"keys"})
# redis-py's dict folds the case of every look-up in Python; most names are upper case already.
_look_up: Callable[[Any, Any], Any] = dict.get
# Types of replies that need no decoding, by the command.
_plain_types = dict.fromkeys(PLAIN_COMMANDS, PLAIN_OF_THEM).get

_WAITING_NAMES = (
    *("BLPOP", "BRPOP", "BLMOVE", "BRPOPLPUSH", "BLMPOP", "BZPOPMIN", "BZPOPMAX", "BZMPOP"),
    *("XREAD", "XREADGROUP", "WAIT", "WAITAOF", "MONITOR", "QUIT"),
    *("SUBSCRIBE", "PSUBSCRIBE", "SSUBSCRIBE", "UNSUBSCRIBE", "PUNSUBSCRIBE", "SUNSUBSCRIBE"),
)
_WAITING = frozenset({*_WAITING_NAMES, *(name.encode() for name in _WAITING_NAMES)})


# These wait only where they are asked to.
_READS = frozenset({"XREAD", b"XREAD", "XREADGROUP", b"XREADGROUP"})
_BLOCK = frozenset({"BLOCK", b"BLOCK"})


def waits(args: Sequence[Any]) -> bool:
    """Say whether a command has its reply delivered later, has several, or closes."""
    name = args[0]
    if name not in _WAITING and (name.isupper() or name.upper() not in _WAITING):
        return False
    if name.upper() not in _READS:
        return True
    return any(type(word) in (str, bytes) and word.upper() in _BLOCK for word in args)


def pipeline_waits(commands: Sequence[Queued]) -> bool:
    """Say whether a pipeline has to go through a connection."""
    return any(waits(args) or EMPTY_RESPONSE in opts for args, opts in commands)


class Client(Protocol):
    """What is asked of a client that has such a session."""

    def drop_session(self) -> None:
        """Have the next command open a new session."""


def when_lost(client: Client) -> Callable[[], None]:
    """Return a function that has ``client`` drop its session, and does not keep it alive."""
    reference = weakref.ref(client)

    def lost() -> None:
        alive = reference()
        if alive is not None:
            alive.drop_session()

    return lost


class DirectSession:
    """A session of an engine and what a client needs to use it.

    ``connection`` is connected and is kept, for its session and its settings; ``callbacks`` are
    redis-py's response callbacks by command name. ``lost`` is called, from any thread, when the
    session has been ended by CLIENT KILL: whoever goes on with it gets ConnectionErrors.
    ``asynchronous`` are clients whose methods are coroutine functions.
    """

    __slots__ = (
        "__weakref__",
        "_callbacks",
        "_get",
        "_get_each",
        "_run_native",
        "asynchronous",
        "connection",
        "decode",
        "encode",
        "engine",
        "forms",
        "mset",
        "parsers",
        "session",
        "uses",
    )

    def __init__(
        self,
        connection: Settings,
        callbacks: Mapping[Any, Any],
        lost: Callable[[], None],
        *,
        asynchronous: bool = False,
    ) -> None:
        self.connection = connection
        self.asynchronous = asynchronous
        self.engine = connection.engine
        self.session: Session = connection.session
        self.session.direct = True
        self.session.hung_up = lost
        self.mset = msetter(self.session)
        self._run_native = runner(self.session)
        self._get, self._get_each = getter(self.session), gets(self.session)
        self._callbacks = callbacks
        # Of commands without options, by name: how replies are parsed; see `plain`.
        self.parsers: dict[Any, Parser] = {}
        # Functions of commands that are used a lot by their names; see `forms`.
        self.forms: dict[Any, Callable[..., Any]] = {}
        self.uses: dict[str, int] = {}
        self.encode = connection.encode
        self.decode = connection.decode

    def callback(self, name: str) -> Callable[..., Any] | None:
        """Return what parses the replies of the command called ``name`` (upper case)."""
        found: Callable[..., Any] | None = _look_up(self._callbacks, name)
        return found

    def forget_callbacks(self) -> None:
        """Look for the callbacks of commands again."""
        self.parsers.clear()
        self.forms.clear()
        self.uses.clear()

    def are_plain(self, commands: Sequence[Queued]) -> bool:
        """Say whether all of them have parsers, and no options.

        Of a name that is new it finds out; of one that waits, or is unknown, each time.
        """
        parsers = self.parsers
        for args, options in commands:
            if args[0] in parsers and (not options or options.keys() == _NO_OPTIONS):
                continue
            name = args[0]
            row = COMMANDS.get(name.encode()) if type(name) is str and name.isupper() else None
            if row is None or not row.only_keys or options:
                return False
            parsers[name] = parser(self, name)
        return True

    def close(self) -> None:
        """End the session."""
        self.engine.disconnect(self.session)

    def execute(self, args: tuple[Any, ...], options: dict[str, Any]) -> Any:
        """Run one command and return its reply, parsed by redis-py's callback for it.

        Raises DataError for arguments and ResponseError for an error reply.
        """
        try:
            reply = self.engine.execute(self.session, self.encode(args))
        except CommandError as error:
            if EMPTY_RESPONSE in options:
                return options[EMPTY_RESPONSE]
            raise reply_error(error) from None
        return self._parsed(reply, args[0], options)

    def run_form(self, script: Script, keys: Sequence[bytes], arguments: Sequence[Any]) -> Any:
        """Run a script's native form and return its reply, or NOT_NATIVE. Raises ResponseError."""
        try:
            if script.update is not None:
                return update_slowly(self.session, script.update, keys[0], arguments)
            if script.native is not None:
                return self._run_native(script.native, keys, arguments)
        except CommandError as error:
            raise reply_error(error) from None
        return NOT_NATIVE

    def _parsed(self, reply: Any, name: Any, options: dict[str, Any]) -> Any:
        decode = decode_bytes if NEVER_DECODE in options else self.decode
        if decode is not decode_bytes or type(reply) not in _plain_types(name, PLAIN):
            reply = decode(reply)
        return self._called_back(reply, name, options)

    def _called_back(self, reply: Any, name: Any, options: dict[str, Any]) -> Any:
        callback = _look_up(self._callbacks, name)
        if callback is None:
            if name.isupper():
                return reply
            callback = self._callbacks.get(name)
            if callback is None:
                return reply
        if options and not _READ_OPTIONS.issuperset(options):
            return callback(
                reply, **{key: options[key] for key in options if key not in _READ_OPTIONS}
            )
        return callback(reply)

    def run_pipeline(self, commands: Sequence[Queued], *, plain: bool = False) -> list[Any]:
        """Run commands one after the other; errors stand in the list as exceptions.

        `plain` says that they `are_plain`.

        Raises DataError before any has run where an argument cannot be encoded.
        """
        session, get = self.session, self._get
        packed = self.connection.pack_commands([args for args, _ in commands])
        replies: list[Any] = []
        hits = only_hits(self._get_each, packed)
        if hits is not None:
            replies = [*hits]
        at, end = len(replies), len(packed)
        while at < end:
            encoded = packed[at]
            try:
                if encoded[0] == b"GET" and len(encoded) == 2:
                    replies.append(get(encoded[1]))
                    at += 1
                    continue
                replies += execute_batch(session, packed, at)
            except SessionEndedError as error:
                raise reply_error(error) from None
            except CommandError as error:
                replies.append(error)
            at = len(replies)
        if plain:
            return self._parsed_plainly(replies, commands)
        return [
            reply_error(reply)
            if isinstance(reply, CommandError)
            else self._parsed(reply, args[0], options)
            for reply, (args, options) in zip(replies, commands, strict=True)
        ]

    def _parsed_plainly(self, replies: Sequence[Any], commands: Sequence[Queued]) -> list[Any]:
        """The replies of commands which `are_plain`."""
        parsers = self.parsers
        found: list[Any] = []
        add = found.append
        for reply, (args, _) in zip(replies, commands, strict=True):
            plain, parse = parsers[args[0]]
            if type(reply) in plain:
                add(reply)
            elif isinstance(reply, CommandError):
                add(reply_error(reply))
            else:
                add(reply if parse is None else parse(reply))
        return found

    def run_transaction(
        self, commands: Sequence[Queued], annotate: Annotate, *, plain: bool = False
    ) -> list[Any]:
        """Run commands between MULTI and EXEC; errors stand in the list as exceptions.

        Where MULTI refuses to queue a command none runs: raises the first such error, after
        ``annotate``. Raises DataError before any has run where an argument cannot be encoded.
        """
        execute, session = self.engine.execute, self.session
        refused: RedisError | None = None
        encoded = self.connection.pack_commands([args for args, _ in commands])
        if plain:
            replies = execute_transaction(session, encoded)
            if replies is not None:
                return self._parsed_plainly(replies, commands)
        with self.engine.lock:
            try:
                execute(session, [b"MULTI"])
                for number, command in enumerate(encoded, 1):
                    try:
                        execute(session, command)
                    except CommandError as error:
                        if refused is None:
                            refused = reply_error(error)
                            annotate(refused, number, commands[number - 1][0])
                replies = execute(session, [b"EXEC"])
            except CommandError as error:
                failure = reply_error(error)
                if refused is not None and isinstance(failure, ExecAbortError):
                    raise refused from None
                raise failure from None
            finally:
                # Interrupted before EXEC, the session would go on queueing everybody's commands.
                if session.queue is not None:
                    execute(session, [b"DISCARD"])
        # redis-py decodes the whole of EXEC's reply, NEVER_DECODE or not.
        return [
            reply_error(reply)
            if isinstance(reply, CommandError)
            else self._called_back(self.decode(reply), args[0], options)
            for reply, (args, options) in zip(replies, commands, strict=True)
        ]

    def set_strings(self, pairs: Iterable[tuple[Any, Any]], ttl_ms: int | None) -> None:
        """Set several strings as one, each due in ``ttl_ms`` milliseconds; None is never.

        Raises DataError, and ResponseError for a time that is not positive, before any is set.
        """
        if ttl_ms is not None and ttl_ms <= 0:
            raise ResponseError("invalid expire time in 'set' command")
        encode = self.encode
        encoded: list[Any] = [
            (name, value)
            if type(name) is bytes and type(value) is bytes
            else encode((b"-", name, value))[1:]
            for name, value in pairs
        ]
        try:
            self.mset(encoded, ttl_ms or 0)
        except CommandError as error:
            raise reply_error(error) from None
