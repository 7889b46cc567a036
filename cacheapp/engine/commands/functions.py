"""FUNCTION, FCALL and FCALL_RO: the checks of arguments; the work is in `engine/scripting`.

FUNCTION KILL never finds a function, as SCRIPT KILL never finds a script: it would wait for the
lock that a running one holds.
"""

from __future__ import annotations

from cacheapp.engine.arguments import glob_matcher, parse_int
from cacheapp.engine.errors import (
    BAD_CHECKSUM,
    CommandError,
    closing_text,
    wrong_subcommand_arity,
)
from cacheapp.engine.keyspecs import keys_counted_at
from cacheapp.engine.persistence.encoding import CorruptPayload
from cacheapp.engine.persistence.payloads import dump_libraries, is_intact, restored_libraries
from cacheapp.engine.registry import command, container
from cacheapp.engine.replies import OK, Reply, SetReply, Status, help_reply
from cacheapp.engine.scripting.functions import Library
from cacheapp.engine.session import Session

_FLAGS = "noscript stale skip_monitor no_mandatory_keys"
_UNKNOWN_USE = "What the function does with a key is not known, so the most is assumed."
_ALL_SHARDS = ("request_policy:all_shards", "response_policy:all_succeeded")

_HELP = """
LOAD [REPLACE] <FUNCTION CODE>
    Create a new library with the given library name and code.
DELETE <LIBRARY NAME>
    Delete the given library.
LIST [LIBRARYNAME PATTERN] [WITHCODE]
    Return general information on all the libraries:
    * Library name
    * The engine used to run the Library
    * Library description
    * Functions list
    * Library code (if WITHCODE is given)
    It also possible to get only function that matches a pattern using LIBRARYNAME argument.
STATS
    Return information about the current function running:
    * Function name
    * Command used to run the function
    * Duration in MS that the function is running
    If no function is running, return nil
    In addition, returns a list of available engines.
KILL
    Kill the current running function.
FLUSH [ASYNC|SYNC]
    Delete all the libraries.
    When called without the optional mode argument, the behavior is determined by the
    lazyfree-lazy-user-flush configuration directive. Valid modes are:
    * ASYNC: Asynchronously flush the libraries.
    * SYNC: Synchronously flush the libraries.
DUMP
    Return a serialized payload representing the current libraries, can be restored using \
FUNCTION RESTORE command
RESTORE <PAYLOAD> [FLUSH|APPEND|REPLACE]
    Restore the libraries represented by the given payload, it is possible to give a restore \
policy to
    control how to handle existing libraries (default APPEND):
    * FLUSH: delete all existing libraries.
    * APPEND: appends the restored libraries to the existing libraries. On collision, abort.
    * REPLACE: appends the restored libraries to the existing libraries, On collision, replace \
the old
      libraries with the new libraries (notice that even on this option there is a chance of \
failure
      in case of functions name collision with another library).
"""


@command(
    "FCALL", arity=-3, flags=_FLAGS, keys=keys_counted_at(2, "RW access update", note=_UNKNOWN_USE),
    group="scripting", since="7.0.0", complexity="Depends on the function that is executed.",
    summary="Invokes a function.", shaped=True,
)  # fmt: skip
def fcall(ctx: Session, name: bytes, count: bytes, *arguments: bytes) -> Reply:
    return _call(ctx, name, count, arguments, read_only=False)


@command(
    "FCALL_RO", arity=-3, flags=f"readonly {_FLAGS}",
    keys=keys_counted_at(2, "RO access", note=_UNKNOWN_USE), group="scripting", since="7.0.0",
    complexity="Depends on the function that is executed.", summary="Invokes a read-only function.",
    shaped=True,
)  # fmt: skip
def fcall_ro(ctx: Session, name: bytes, count: bytes, *arguments: bytes) -> Reply:
    return _call(ctx, name, count, arguments, read_only=True)


def _call(
    ctx: Session, name: bytes, count: bytes, arguments: tuple[bytes, ...], *, read_only: bool
) -> Reply:
    functions = ctx.engine.functions
    function = functions.find(name)
    try:
        key_count = parse_int(count)
    except CommandError:
        raise CommandError("ERR Bad number of keys provided") from None
    if key_count > len(arguments):
        raise CommandError("ERR Number of keys can't be greater than number of args")
    if key_count < 0:
        raise CommandError("ERR Number of keys can't be negative")
    keys, rest = list(arguments[:key_count]), list(arguments[key_count:])
    return functions.call(ctx, function, keys, rest, read_only=read_only)


container(
    "FUNCTION", group="scripting", since="7.0.0", summary="A container for function commands."
)


@command(
    "FUNCTION|LOAD", arity=-3, flags="write denyoom noscript", group="scripting", since="7.0.0",
    complexity="O(1) (considering compilation time is redundant)",
    summary="Creates a library.", tips=_ALL_SHARDS,
)  # fmt: skip
def function_load(ctx: Session, *arguments: bytes) -> Reply:
    *options, code = arguments
    for option in options:
        if option.upper() != b"REPLACE":
            raise CommandError(f"ERR Unknown option given: {closing_text(option)}")
    name = ctx.engine.functions.load(code, replace=bool(options))
    ctx.engine.dirty += 1
    return name


@command(
    "FUNCTION|DELETE", arity=3, flags="write noscript", group="scripting", since="7.0.0",
    summary="Deletes a library and its functions.", tips=_ALL_SHARDS,
)  # fmt: skip
def function_delete(ctx: Session, name: bytes) -> Reply:
    ctx.engine.functions.delete(name)
    ctx.engine.dirty += 1
    return OK


@command(
    "FUNCTION|FLUSH", arity=-2, flags="write noscript", group="scripting", since="7.0.0",
    complexity="O(N) where N is the number of functions deleted",
    summary="Deletes all libraries and functions.", tips=_ALL_SHARDS,
)  # fmt: skip
def function_flush(ctx: Session, *mode: bytes) -> Reply:
    if len(mode) > 1:
        raise wrong_subcommand_arity("FUNCTION", b"FLUSH")
    if mode and mode[0].upper() not in (b"ASYNC", b"SYNC"):
        raise CommandError("ERR FUNCTION FLUSH only supports SYNC|ASYNC option")
    ctx.engine.functions.flush()
    ctx.engine.dirty += 1
    return OK


@command(
    "FUNCTION|DUMP", arity=2, flags="noscript", group="scripting", since="7.0.0",
    complexity="O(N) where N is the number of functions",
    summary="Dumps all libraries into a serialized binary payload.",
)  # fmt: skip
def function_dump(ctx: Session) -> Reply:
    libraries = ctx.engine.functions.libraries.values()
    return dump_libraries((library.code for library in libraries), ctx.engine.config)


@command(
    "FUNCTION|RESTORE", arity=-3, flags="write denyoom noscript", group="scripting", since="7.0.0",
    complexity="O(N) where N is the number of functions on the payload",
    summary="Restores all libraries from a payload.", tips=_ALL_SHARDS,
)  # fmt: skip
def function_restore(ctx: Session, payload: bytes, *policies: bytes) -> Reply:
    if len(policies) > 1:
        raise wrong_subcommand_arity("FUNCTION", b"RESTORE")
    policy = policies[0].upper() if policies else b"APPEND"
    if policy not in (b"FLUSH", b"APPEND", b"REPLACE"):
        raise CommandError(
            "ERR Wrong restore policy given, value should be either FLUSH, APPEND or REPLACE."
        )
    if not is_intact(payload, verify=ctx.engine.verify_checksums):
        raise CommandError(BAD_CHECKSUM)
    try:
        codes = restored_libraries(payload)
    except CorruptPayload as error:
        raise CommandError(f"ERR {error}") from None
    ctx.engine.functions.restore(codes, replace=policy == b"REPLACE", flush=policy == b"FLUSH")
    ctx.engine.dirty += 1
    return OK


@command(
    "FUNCTION|LIST", arity=-2, flags="noscript", group="scripting", since="7.0.0",
    complexity="O(N) where N is the number of functions",
    summary="Returns information about all libraries.", tips=("nondeterministic_output_order",),
    shaped=True,
)  # fmt: skip
def function_list(ctx: Session, *options: bytes) -> Reply:
    pattern: bytes | None = None
    with_code = False
    rest = iter(options)
    for option in rest:
        word = option.upper()
        if word == b"WITHCODE" and not with_code:
            with_code = True
        elif word == b"LIBRARYNAME" and pattern is None:
            pattern = next(rest, None)
            if pattern is None:
                raise CommandError("ERR library name argument was not given")
        else:
            raise CommandError(f"ERR Unknown argument {closing_text(option)}")
    matches = glob_matcher(b"*" if pattern is None else pattern.lower())
    libraries = ctx.engine.functions.libraries.values()
    # Redis does not tell cases apart here.
    return [_described(item, with_code) for item in libraries if matches(item.name.lower())]


def _described(library: Library, with_code: bool) -> Reply:
    functions = [
        {
            b"name": function.name,
            b"description": function.description,
            b"flags": SetReply(Status(flag) for flag in function.flags),
        }
        for function in library.functions.values()
    ]
    fields: dict[bytes, Reply] = {
        b"library_name": library.name,
        b"engine": b"LUA",
        b"functions": functions,
    }
    if with_code:
        fields[b"library_code"] = library.code
    return fields


@command(
    "FUNCTION|STATS", arity=2, flags="noscript allow_busy", group="scripting", since="7.0.0",
    summary="Returns information about a function during execution.",
    tips=("nondeterministic_output", "request_policy:all_shards", "response_policy:special"),
    shaped=True,
)  # fmt: skip
def function_stats(ctx: Session) -> Reply:
    functions = ctx.engine.functions
    counts = {b"libraries_count": len(functions.libraries), b"functions_count": len(functions)}
    running = ctx.engine.overtime.running
    described: Reply = None
    if running is not None:
        if running.invocation is None:
            raise CommandError(running.busy)
        name, command_line = running.invocation
        described = {
            b"name": name,
            b"command": command_line,
            b"duration_ms": int((ctx.engine.now - running.started) * 1000),
        }
    return {b"running_script": described, b"engines": {b"LUA": counts}}


@command(
    "FUNCTION|KILL", arity=2, flags="noscript allow_busy", group="scripting", since="7.0.0",
    summary="Terminates a function during execution.",
    tips=("request_policy:all_shards", "response_policy:one_succeeded"),
)  # fmt: skip
def function_kill(ctx: Session) -> Reply:
    ctx.engine.overtime.kill(function=True)
    return OK


@command(
    "FUNCTION|HELP", arity=2, flags="loading stale", group="scripting", since="7.0.0",
    summary="Returns helpful text about the different subcommands.",
)  # fmt: skip
def function_help(_ctx: Session) -> Reply:
    return help_reply("FUNCTION", _HELP)
