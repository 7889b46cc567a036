"""EVAL and its kin. The work is in `engine/scripting`; here are the checks of arguments.

SCRIPT KILL never finds a script: it would wait for the lock that a running script holds. A script
which runs too long is stopped by itself (`lua-time-limit`). There is no Lua debugger.
"""

from __future__ import annotations

from cacheapp.engine.arguments import parse_int
from cacheapp.engine.errors import NO_SCRIPT, CommandError
from cacheapp.engine.keyspecs import keys_counted_at
from cacheapp.engine.registry import command, container
from cacheapp.engine.replies import OK, Reply, help_reply
from cacheapp.engine.scripting.scripts import Script
from cacheapp.engine.session import Session

_FLAGS = "noscript stale skip_monitor no_mandatory_keys"
_UNKNOWN_USE = "What the script does with a key is not known, so the most is assumed."
_SHA_LENGTH = 40

_HELP = """
DEBUG (YES|SYNC|NO)
    Set the debug mode for subsequent scripts executed.
EXISTS <sha1> [<sha1> ...]
    Return information about the existence of the scripts in the script cache.
FLUSH [ASYNC|SYNC]
    Flush the Lua scripts cache. Very dangerous on replicas.
    When called without the optional mode argument, the behavior is determined by the
    lazyfree-lazy-user-flush configuration directive. Valid modes are:
    * ASYNC: Asynchronously flush the scripts cache.
    * SYNC: Synchronously flush the scripts cache.
KILL
    Kill the currently executing Lua script.
LOAD <script>
    Load a script into the scripts cache without executing it.
"""


@command(
    "EVAL", arity=-3, flags=_FLAGS, keys=keys_counted_at(2, "RW access update", note=_UNKNOWN_USE),
    group="scripting", since="2.6.0", complexity="Depends on the script that is executed.",
    summary="Executes a server-side Lua script.", shaped=True,
)  # fmt: skip
def eval_(ctx: Session, source: bytes, count: bytes, *arguments: bytes) -> Reply:
    key_count = _key_count(count, arguments)
    return _run(ctx, ctx.engine.scripts.cached(source), key_count, arguments)


@command(
    "EVAL_RO", arity=-3, flags=f"readonly {_FLAGS}",
    keys=keys_counted_at(2, "RO access", note=_UNKNOWN_USE), group="scripting", since="7.0.0",
    complexity="Depends on the script that is executed.",
    summary="Executes a read-only server-side Lua script.", shaped=True,
)  # fmt: skip
def eval_ro(ctx: Session, source: bytes, count: bytes, *arguments: bytes) -> Reply:
    key_count = _key_count(count, arguments)
    return _run(ctx, ctx.engine.scripts.cached(source), key_count, arguments, read_only=True)


@command(
    "EVALSHA", arity=-3, flags=_FLAGS, keys=keys_counted_at(2, "RW access update"),
    group="scripting", since="2.6.0", complexity="Depends on the script that is executed.",
    summary="Executes a server-side Lua script by SHA1 digest.", shaped=True,
)  # fmt: skip
def evalsha(ctx: Session, sha: bytes, count: bytes, *arguments: bytes) -> Reply:
    return _run_by_sha(ctx, sha, count, arguments)


@command(
    "EVALSHA_RO", arity=-3, flags=f"readonly {_FLAGS}", keys=keys_counted_at(2, "RO access"),
    group="scripting", since="7.0.0", complexity="Depends on the script that is executed.",
    summary="Executes a read-only server-side Lua script by SHA1 digest.", shaped=True,
)  # fmt: skip
def evalsha_ro(ctx: Session, sha: bytes, count: bytes, *arguments: bytes) -> Reply:
    return _run_by_sha(ctx, sha, count, arguments, read_only=True)


def _run_by_sha(
    ctx: Session, sha: bytes, count: bytes, arguments: tuple[bytes, ...], read_only: bool = False
) -> Reply:
    if len(sha) != _SHA_LENGTH:
        raise CommandError(NO_SCRIPT)
    key_count, scripts = _key_count(count, arguments), ctx.engine.scripts
    return scripts.run(ctx, scripts.find(sha), key_count, arguments, read_only=read_only)


def _key_count(count: bytes, arguments: tuple[bytes, ...]) -> int:
    number = parse_int(count)
    if number > len(arguments):
        raise CommandError("ERR Number of keys can't be greater than number of args")
    if number < 0:
        raise CommandError("ERR Number of keys can't be negative")
    return number


def _run(
    ctx: Session,
    script: Script,
    key_count: int,
    arguments: tuple[bytes, ...],
    *,
    read_only: bool = False,
) -> Reply:
    return ctx.engine.scripts.run(ctx, script, key_count, arguments, read_only=read_only)


container(
    "SCRIPT", group="scripting", since="2.6.0",
    summary="A container for Lua scripts management commands.",
)  # fmt: skip


@command(
    "SCRIPT|LOAD", arity=3, flags="noscript stale", group="scripting", since="2.6.0",
    complexity="O(N) with N being the length in bytes of the script body.",
    summary="Loads a server-side Lua script to the script cache.",
    tips=("request_policy:all_nodes", "response_policy:all_succeeded"),
)  # fmt: skip
def script_load(ctx: Session, source: bytes) -> Reply:
    return ctx.engine.scripts.load(source).sha.encode()


@command(
    "SCRIPT|EXISTS", arity=-3, flags="noscript", group="scripting", since="2.6.0",
    complexity="O(N) with N being the number of scripts to check.",
    summary="Determines whether server-side Lua scripts exist in the script cache.",
    tips=("request_policy:all_shards", "response_policy:agg_logical_and"),
)  # fmt: skip
def script_exists(ctx: Session, *digests: bytes) -> Reply:
    return [int(ctx.engine.scripts.exists(sha)) for sha in digests]


@command(
    "SCRIPT|FLUSH", arity=-2, flags="noscript", group="scripting", since="2.6.0",
    complexity="O(N) with N being the number of scripts in cache.",
    summary="Removes all server-side Lua scripts from the script cache.",
    tips=("request_policy:all_nodes", "response_policy:all_succeeded"),
)  # fmt: skip
def script_flush(ctx: Session, *mode: bytes) -> Reply:
    if len(mode) > 1 or (mode and mode[0].upper() not in (b"ASYNC", b"SYNC")):
        raise CommandError("ERR SCRIPT FLUSH only support SYNC|ASYNC option")
    ctx.engine.scripts.flush()
    return OK


@command(
    "SCRIPT|KILL", arity=2, flags="noscript allow_busy", group="scripting", since="2.6.0",
    summary="Terminates a server-side Lua script during execution.",
    tips=("request_policy:all_shards", "response_policy:one_succeeded"),
)  # fmt: skip
def script_kill(ctx: Session) -> Reply:
    ctx.engine.overtime.kill(function=False)
    return OK


@command(
    "SCRIPT|DEBUG", arity=3, flags="noscript", group="scripting", since="3.2.0",
    summary="Sets the debug mode of server-side Lua scripts.",
)  # fmt: skip
def script_debug(_ctx: Session, mode: bytes) -> Reply:
    if mode.upper() == b"NO":
        return OK
    if mode.upper() in (b"YES", b"SYNC"):
        raise CommandError("ERR the Lua debugger is not part of this engine")
    raise CommandError("ERR Use SCRIPT DEBUG YES/SYNC/NO")


@command(
    "SCRIPT|HELP", arity=2, flags="loading stale", group="scripting", since="5.0.0",
    summary="Returns helpful text about the different subcommands.",
)  # fmt: skip
def script_help(_ctx: Session) -> Reply:
    return help_reply("SCRIPT", _HELP)
