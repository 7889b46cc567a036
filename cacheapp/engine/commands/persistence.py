"""SAVE and its kin, on a server that keeps nothing on disk.

They are refused rather than answered with OK: a client that asks for a save relies on it. But
BGREWRITEAOF shortens a log that is off, which is done as soon as it is begun. LASTSAVE says when
the server started, as a Redis that has never saved does.
"""

from __future__ import annotations

from cacheapp.engine.errors import SYNTAX, CommandError
from cacheapp.engine.registry import command
from cacheapp.engine.replies import Reply, Status
from cacheapp.engine.session import Session

_NOTHING_ON_DISK = "ERR This server keeps nothing on disk"


@command(
    "SAVE", arity=1, flags="admin noscript no_async_loading no_multi", group="server",
    complexity="O(N) in the keys", summary="Synchronously saves the databases to disk.",
)  # fmt: skip
def save(_ctx: Session) -> Reply:
    raise CommandError(_NOTHING_ON_DISK)


@command(
    "BGSAVE", arity=-1, flags="admin noscript no_async_loading", group="server",
    summary="Asynchronously saves the databases to disk.",
)  # fmt: skip
def bgsave(_ctx: Session, *options: bytes) -> Reply:
    if options and (len(options) > 1 or options[0].lower() != b"schedule"):
        raise CommandError(SYNTAX)
    raise CommandError(_NOTHING_ON_DISK)


@command(
    "BGREWRITEAOF", arity=1, flags="admin noscript no_async_loading", group="server",
    summary="Asynchronously rewrites the append-only file to disk.",
)  # fmt: skip
def bgrewriteaof(_ctx: Session) -> Reply:
    return Status(b"Background append only file rewriting started")


@command(
    "LASTSAVE", arity=1, flags="loading stale fast", group="server",
    categories="admin dangerous", tips=("nondeterministic_output",),
    summary="Returns the Unix timestamp of the last successful save to disk.",
)  # fmt: skip
def lastsave(ctx: Session) -> Reply:
    return int(ctx.engine.started)
