"""SLOWLOG: the commands that took long."""

from __future__ import annotations

from cacheapp.engine.arguments import parse_int
from cacheapp.engine.errors import wrong_subcommand_arity
from cacheapp.engine.registry import command, container
from cacheapp.engine.replies import OK, Reply, help_reply
from cacheapp.engine.session import Session

container("SLOWLOG", group="server", since="2.2.12", summary="A container for slow log commands.")

_HELP = """
GET [<count>]
    Return top <count> entries from the slowlog (default: 10, -1 mean all).
    Entries are made of:
    id, timestamp, time in microseconds, arguments array, client IP and port,
    client name
LEN
    Return the length of the slowlog.
RESET
    Reset the slowlog.
"""
_COUNT = "ERR count should be greater than or equal to -1"
_FLAGS = "admin loading stale"


@command(
    "SLOWLOG|GET", arity=-2, flags=_FLAGS, group="server", since="2.2.12",
    complexity="O(N) in the entries returned", summary="Returns the slow log's entries.",
    tips=("request_policy:all_nodes", "nondeterministic_output"),
)  # fmt: skip
def slowlog_get(ctx: Session, *count: bytes) -> Reply:
    if len(count) > 1:
        raise wrong_subcommand_arity("SLOWLOG", b"GET")
    entries = list(ctx.engine.slowlog.entries)
    wanted = parse_int(count[0], _COUNT, low=-1) if count else 10
    return [
        [entry.id, entry.time, entry.duration_us, entry.args, entry.address, entry.client_name]
        for entry in (entries if wanted == -1 else entries[:wanted])
    ]


@command(
    "SLOWLOG|LEN", arity=2, flags=_FLAGS, group="server", since="2.2.12",
    summary="Returns the number of entries in the slow log.",
    tips=("request_policy:all_nodes", "response_policy:agg_sum", "nondeterministic_output"),
)  # fmt: skip
def slowlog_len(ctx: Session) -> Reply:
    return len(ctx.engine.slowlog.entries)


@command(
    "SLOWLOG|RESET", arity=2, flags=_FLAGS, group="server", since="2.2.12",
    complexity="O(N)", summary="Clears all entries from the slow log.",
    tips=("request_policy:all_nodes", "response_policy:all_succeeded"),
)  # fmt: skip
def slowlog_reset(ctx: Session) -> Reply:
    ctx.engine.slowlog.entries.clear()
    return OK


@command(
    "SLOWLOG|HELP", arity=2, flags="loading stale", group="server", since="6.2.0",
    summary="Returns helpful text about the different subcommands.",
)  # fmt: skip
def slowlog_help(_ctx: Session) -> Reply:
    return help_reply("SLOWLOG", _HELP)
