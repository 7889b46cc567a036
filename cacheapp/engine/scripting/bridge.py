"""The functions of a script's `redis` table that need the engine: Python called from Lua.

Each takes and returns only what crosses by value (bytes, numbers, booleans) or a Lua table made
for the script. An error is raised as `_Raised`, always the same instance, and `sandbox.lua` puts a
table with the message that waits in `_message` in its place wherever a script could catch it.
"""

from __future__ import annotations

import hashlib
import logging
import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from cacheapp.engine import registry
from cacheapp.engine.acl import check
from cacheapp.engine.errors import (
    NO_REPLICAS,
    OUT_OF_MEMORY,
    READ_ONLY_REPLICA,
    CommandError,
)
from cacheapp.engine.overtime import Running
from cacheapp.engine.replies import NULL_ARRAY, OK, Reply, Status, to_resp2
from cacheapp.engine.scripting.conversion import size_bytes, to_lua
from cacheapp.engine.session import Session
from cacheapp.engine.stats import TIMES_MAX
from cacheapp.engine.version import REDIS_VERSION

if TYPE_CHECKING:
    from cacheapp.engine.engine import Engine
    from cacheapp.engine.registry import Command
    from cacheapp.engine.scripting.sandbox import Sandbox

_logger = logging.getLogger(__name__)

_LEVELS = (logging.DEBUG, logging.INFO, logging.INFO, logging.WARNING)
_REPLICATION_ALL = 3
# A script that has written may take this many times the limit before it is stopped.
_WRITTEN_FACTOR = 10
# How often a script that runs on lets others be answered, in seconds of processor time.
_ATTEND_SECONDS = 0.002
# What scripts may fill; Lua's own limit leaves the host some room above it.
MEMORY_BYTES_MAX = 128 * 1024**2

_NO_COMMAND = "ERR Please specify at least one argument for this redis lib call"
_BAD_ARGUMENT = "ERR Lua redis lib command arguments must be strings or integers"
_UNKNOWN = "ERR Unknown Redis command called from script"
_WRONG_ARITY = "ERR Wrong number of args calling Redis command from script"
_STALE = "ERR Can not execute the command on a stale replica"
_NOT_ALLOWED = "ERR This Redis command is not allowed from script"
_READ_ONLY = "ERR Write commands are not allowed from read-only scripts."
_KILLED = b"ERR Script killed by user with SCRIPT KILL..."
_INTERRUPTED = "ERR Script interrupted"
_OK_FIELDS = {b"ok": b"OK"}
_NO_MEMORY = "ERR not enough memory for the reply in Lua"


class _Raised(Exception):
    """Takes the place of a Lua error on the way through lupa."""


class Bridge:
    """What scripts of one engine call; the session in which their commands run."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._session = Session(engine, 0, _deliver_nothing, 2)
        self._session.is_script = True
        # Whose script runs, for ACL LOG.
        self._caller = self._session
        self._raised = _Raised()
        self._message: bytes | None = None
        self._counted = False
        # What no script may handle: an interrupt, a fault of ours. `finish` raises it again.
        self._exception: BaseException | None = None
        # How a function was called; None for EVAL (see `overtime`).
        self.invocation: tuple[bytes, list[bytes]] | None = None
        self._running: Running | None = None
        # What is said when time is up, where it is not about lua-time-limit.
        self.overdue_message: bytes | None = None
        self._read_only = self._stale = False
        # Whether commands that write are refused, for that or because the disk does not take them.
        self._barred = False
        self._may_grow = True
        # Whether each command of the script has to be looked at: who calls, what it may.
        self._checked = False
        self._wrote = False
        self._extended = False
        self.sandbox: Sandbox | None = None
        self._call = self._calls()

    @property
    def protocol(self) -> int:
        """What redis.setresp chose, 2 unless it was called."""
        return self._session.protocol

    def begin(
        self, caller: Session, keys: Sequence[bytes], *, read_only: bool, may_grow: bool
    ) -> None:
        """Get ready for a script of `caller` that declares `keys`.

        `read_only` refuses commands that write, `may_grow=False` those that may need memory,
        unless the script has written already.
        """
        session = self._session
        session.db = caller.db
        session.user = caller.user
        session.name = caller.name
        session.protocol = 2
        session.effects_to = _REPLICATION_ALL
        following = self._engine.following
        self._stale = following is not None and following.is_stale
        # So that `_check_allowed` is asked.
        session.restricted = caller.restricted or self._stale
        self._caller = caller
        self._read_only = read_only
        self._barred = read_only or self._engine.bars_writes
        self._may_grow = may_grow
        self._checked = self._barred or not may_grow or caller.restricted
        self._wrote = False
        self._extended = False
        self._message = None
        self._exception = None
        self._engine.tracking.script = caller, keys

    def end(self) -> None:
        """The script is over; if it kept others waiting, they need not wait any more."""
        if self._running is not None:
            self._running = None
            self._engine.overtime.end()

    def finish(self) -> None:
        """Raise what came up under the script and is not for it (KeyboardInterrupt, a bug)."""
        self._engine.tracking.script = None
        exception, self._exception = self._exception, None
        if exception is not None:
            raise exception

    def limit_seconds(self) -> float:
        """How long a script may run before `overdue` is asked; 0 for no limit."""
        limit_ms: int = self._engine.config["lua-time-limit"]
        return limit_ms / 1000

    # For sandbox.lua

    def host_functions(self) -> dict[bytes, Any]:
        """What sandbox.lua calls for itself."""
        wide = {b"call": self._call_wide, b"pcall": self._pcall_wide}
        return {b"take_error": self._take_error, b"overdue": self._overdue, b"wide": wide}

    def _take_error(self) -> tuple[bytes | None, bool]:
        """What was raised, and whether it has been counted as an error already."""
        message, self._message = self._message, None
        return message, self._counted

    def _overdue(self) -> Any:
        """The message with which to stop the script, or (None, seconds) to let it go on."""
        if self.overdue_message is not None:
            return self.overdue_message
        if self._running is None:
            self._running = Running(self.invocation, self._engine.now)
        running = self._running
        running.wrote = self._wrote
        if self._engine.overtime.attend(running):
            return _KILLED if running.killed else (None, _ATTEND_SECONDS)
        limit_ms = self._engine.config["lua-time-limit"]
        if self._wrote and not self._extended:
            self._extended = True
            return None, limit_ms * (_WRITTEN_FACTOR - 1) / 1000
        message = b"ERR Script stopped: it ran longer than lua-time-limit (%d ms) allows" % limit_ms
        return message + b"; what it has written stays" if self._wrote else message

    # The redis table

    def constants(self) -> dict[bytes, bytes | int]:
        """The fields of `redis` that are no functions."""
        major, minor, patch = (int(part) for part in REDIS_VERSION.split("."))
        return {
            b"LOG_DEBUG": 0,
            b"LOG_VERBOSE": 1,
            b"LOG_NOTICE": 2,
            b"LOG_WARNING": 3,
            b"REPL_NONE": 0,
            b"REPL_AOF": 1,
            b"REPL_SLAVE": 2,
            b"REPL_REPLICA": 2,
            b"REPL_ALL": _REPLICATION_ALL,
            b"REDIS_VERSION": REDIS_VERSION.encode(),
            b"REDIS_VERSION_NUM": major << 16 | minor << 8 | patch,
        }

    def functions(self) -> dict[bytes, Callable[..., Any]]:
        """The fields of `redis` that are functions."""
        return {
            b"call": self._call,
            b"pcall": self._pcall,
            b"error_reply": self._error_reply,
            b"status_reply": self._status_reply,
            b"sha1hex": self._sha1hex,
            b"log": self._log,
            b"setresp": self._setresp,
            b"set_repl": self._set_repl,
            b"replicate_commands": _replicate_commands,
            b"breakpoint": _breakpoint,
            b"debug": _debug,
            b"acl_check_cmd": self._acl_check_cmd,
        }

    def _fail(self, message: str, *, counted: bool = False) -> _Raised:
        self._message = message.encode("utf-8", "surrogateescape")
        self._counted = counted
        return self._raised.with_traceback(None)

    def _calls(self) -> Callable[..., Any]:
        """redis.call. A closure that runs most commands itself, for what a script costs is calls.

        Commands that need a look at the arguments, the user or the reply go to `_perform`.
        """
        engine, session, known = self._engine, self._session, registry.COMMANDS.get
        clock, stats = engine.clock.time, engine.stats.commands

        def call(*args: Any) -> Any:
            try:
                for arg in args:
                    if type(arg) is not bytes:
                        return self._perform(args)
                row = known(args[0]) if args else None
                if (
                    row is None
                    or not row.count_min <= len(args) <= row.count_max
                    or row.no_script
                    or self._checked
                ):
                    return self._perform(args)
                if row.is_write:
                    self._wrote = True
                started = clock()
                try:
                    reply = row.handler(session, *args[1:])
                except BaseException as error:
                    engine.ended(session, row, list(args), started, None, error)
                    raise
                elapsed = clock() - started
                stat = stats.get(row.display)
                if stat is None or elapsed >= engine.notable_seconds:
                    engine.ended(session, row, list(args), started, reply)
                else:
                    stat.times.append(elapsed)
                    if len(stat.times) > TIMES_MAX:
                        stat.settle()
                return reply if type(reply) is int else self._given(row, reply)
            except CommandError as error:
                message, counted = str(error), error.counted
            except BaseException as exception:  # noqa: BLE001 - `finish` raises it again
                self._exception = exception
                message, counted = _INTERRUPTED, True
            raise self._fail(message, counted=counted)

        return call

    def _pcall(self, *args: Any) -> Any:
        try:
            return self._perform(args)
        except BaseException as error:  # noqa: BLE001 - `finish` raises it again
            if not isinstance(error, CommandError):
                self._exception = error
                raise self._fail(_INTERRUPTED) from None
            message = str(error).encode("utf-8", "surrogateescape")
            if not error.counted:
                return self._table({b"err": message})
            return self._table({b"err": message, b"ignore_error_stats_update": True})

    def _call_wide(self, texts: bytes, sizes: bytes) -> Any:
        return self._call(*_parts(texts, sizes))

    def _pcall_wide(self, texts: bytes, sizes: bytes) -> Any:
        return self._pcall(*_parts(texts, sizes))

    def _check_write(self, row: Command) -> None:
        if self._read_only:
            raise self._refused(_READ_ONLY, row)
        self._engine.saving.check(self._session, row)
        if self._engine.following is not None and self._engine.config["replica-read-only"]:
            raise self._refused(READ_ONLY_REPLICA, row)
        if not self._engine.replicas.are_enough():
            raise self._refused(NO_REPLICAS, row)

    def _perform(self, args: tuple[Any, ...]) -> Any:
        arguments = [arg if type(arg) is bytes else _printed(arg) for arg in args]
        if not arguments:
            raise CommandError(_NO_COMMAND)
        row = registry.COMMANDS.get(arguments[0])
        if row is None or not row.count_min <= len(arguments) <= row.count_max:
            row = self._row(arguments)
        session = self._session
        if session.restricted or row.no_script:
            self._check_allowed(row, arguments)
        if row.is_write:
            if self._barred and not self._wrote:
                self._check_write(row)
            if row.deny_oom and not self._may_grow and not self._wrote:
                raise self._refused(OUT_OF_MEMORY, row)
            self._wrote = True
        elif self._read_only and row.name in registry.MAY_REPLICATE:
            raise self._refused(_READ_ONLY, row)
        reply = self._engine.call(session, row, arguments)
        return reply if type(reply) is int else self._given(row, reply)

    def _given(self, row: registry.Command, reply: Reply) -> Any:
        """What Lua gets for the reply of a command. Raises CommandError where it has no room."""
        kind, sandbox = type(reply), self.sandbox
        if sandbox is None:
            raise CommandError(_NO_MEMORY)
        if kind is bytes:
            if sandbox.used() + len(reply) > MEMORY_BYTES_MAX:
                raise CommandError(_NO_MEMORY)
            return reply
        session = self._session
        if reply is None or reply is NULL_ARRAY:
            return None if session.protocol == 3 else False
        if reply is OK and sandbox.used() < MEMORY_BYTES_MAX:
            return sandbox.table(_OK_FIELDS)
        if kind is Status and sandbox.used() < MEMORY_BYTES_MAX:
            return sandbox.table({b"ok": bytes(reply)})
        if row.shaped and session.protocol == 2:
            reply = to_resp2(reply)
        if not sandbox.room_for(size_bytes(reply)):
            raise CommandError(_NO_MEMORY)
        return to_lua(reply, session.protocol, sandbox.table)

    def _row(self, arguments: list[bytes]) -> registry.Command:
        """The row of a command; an error of its own where there is none for so many arguments."""
        try:
            return registry.lookup(arguments)
        except CommandError as error:
            wrong_arity = str(error).startswith("ERR wrong number")
            message = _WRONG_ARITY if wrong_arity else _UNKNOWN
            raise self._refused(message, registry.find(arguments[0])) from None

    def _check_allowed(self, row: registry.Command, arguments: list[bytes]) -> None:
        """Raise where no script may run a command, or not one of the caller's user."""
        if row.no_script and not self._engine.scripts_may_all:
            raise self._refused(_NOT_ALLOWED, row)
        denied = self._engine.acl.script_denial(self._session, row, arguments, self._caller)
        if denied is not None:
            raise self._refused(denied, row)
        if self._stale and "stale" not in row.flags:
            raise self._refused(_STALE, row)

    def _refused(self, message: str, row: registry.Command | None) -> CommandError:
        """Count a command that a script may not run, or not so; its error."""
        error = CommandError(message)
        error.counted = True
        self._engine.stats.count_error(error.code)
        if row is not None:
            self._engine.stats.command(row.display).rejected += 1
        return error

    def _table(self, content: Any) -> Any:
        assert self.sandbox is not None
        if not self.sandbox.room_for(size_bytes(content)):
            raise self._fail(_NO_MEMORY)
        return self.sandbox.table(content)

    def _error_reply(self, *args: Any) -> Any:
        if len(args) != 1 or type(args[0]) is not bytes:
            return self._table({b"err": b"ERR wrong number or type of arguments"})
        message = args[0].removeprefix(b"-")
        return self._table({b"err": message if b" " in message else b"ERR " + message})

    def _status_reply(self, *args: Any) -> Any:
        if len(args) != 1 or type(args[0]) is not bytes:
            return self._table({b"err": b"ERR wrong number or type of arguments"})
        return self._table({b"ok": args[0]})

    def _sha1hex(self, *args: Any) -> bytes:
        if len(args) != 1:
            raise self._fail("ERR wrong number of arguments")
        raw = args[0] if type(args[0]) is bytes else _printed_or_empty(args[0])
        return hashlib.sha1(raw, usedforsecurity=False).hexdigest().encode()

    def _log(self, *args: Any) -> None:
        if len(args) < 2:
            raise self._fail("ERR redis.log() requires two arguments or more.")
        level, *parts = args
        if type(level) not in (int, float):
            raise self._fail("ERR First argument must be a number (log level).")
        if not 0 <= level < len(_LEVELS):
            raise self._fail("ERR Invalid debug level.")
        message = b" ".join(_printed_or_empty(part) for part in parts)
        _logger.log(_LEVELS[int(level)], "script: %s", message.decode("utf-8", "replace"))

    def _setresp(self, *args: Any) -> None:
        if len(args) != 1:
            raise self._fail("ERR redis.setresp() requires one argument.")
        protocol = _number(args[0])
        if protocol not in (2, 3):
            raise self._fail("ERR RESP version must be 2 or 3.")
        self._session.protocol = int(protocol)

    def _set_repl(self, *args: Any) -> None:
        if len(args) != 1:
            raise self._fail("ERR redis.set_repl() requires two arguments.")
        targets = _number(args[0])
        if not 0 <= targets <= _REPLICATION_ALL:
            raise self._fail(
                "ERR Invalid replication flags. Use REPL_AOF, REPL_REPLICA, REPL_ALL or REPL_NONE."
            )
        self._session.effects_to = int(targets)

    def _acl_check_cmd(self, *args: Any) -> bool:
        """Whether the script's user may run a command with these arguments."""
        if not args:
            raise self._fail(_NO_COMMAND)
        try:
            arguments = [arg if type(arg) is bytes else _printed(arg) for arg in args]
        except CommandError as error:
            message = str(error)
        else:
            message = ""
        if message:
            raise self._fail(message)
        row = registry.resolve(arguments)
        if row is None:
            raise self._fail("ERR Invalid command passed to redis.acl_check_cmd()")
        return check(self._session.user, row, arguments) is None


def _deliver_nothing(_reply: Reply) -> None:
    """Scripts cannot subscribe, so nothing is ever delivered to their session."""


def _replicate_commands(*_args: Any) -> bool:
    return True


def _breakpoint(*_args: Any) -> bool:
    """False: no debugger is attached."""
    return False


def _debug(*_args: Any) -> None:
    """No debugger is attached, so there is nothing to print to."""


def _parts(texts: bytes, sizes: bytes) -> list[bytes]:
    """`texts` cut into parts of `sizes`, numbers with spaces between."""
    parts, at = [], 0
    for size in map(int, sizes.split()):
        parts.append(texts[at : at + size])
        at += size
    return parts


def _printed(argument: Any) -> bytes:
    """A number as a command's argument; CommandError for what is neither number nor string."""
    if type(argument) is int or type(argument) is float:
        if math.isnan(argument):
            # C prints the sign, and what 0/0 gives has one.
            return b"-nan" if math.copysign(1, argument) < 0 else b"nan"
        return b"%.17g" % argument
    raise CommandError(_BAD_ARGUMENT)


def _number(argument: Any) -> float:
    """As lua_tonumber: a number, the number that a string spells, 0 for the rest."""
    if type(argument) is bytes:
        try:
            return float(argument)
        except ValueError:
            return 0
    return argument if type(argument) in (int, float) else 0


def _printed_or_empty(argument: Any) -> bytes:
    """As lua_tolstring: strings, numbers as Lua prints them, nothing for the rest."""
    if type(argument) is bytes:
        return argument
    if type(argument) is int or type(argument) is float:
        return b"%.14g" % argument
    return b""
