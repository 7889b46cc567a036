"""SAVE and its kin. Without a directory they are refused: a client that asks relies on it.

But BGREWRITEAOF shortens a log that is not there, which is done as soon as it is begun. LASTSAVE
says when the server started until there is a save, as Redis does.
"""

from __future__ import annotations

from cacheapp.engine.errors import SYNTAX, CommandError
from cacheapp.engine.registry import command
from cacheapp.engine.replies import OK, Reply, Status
from cacheapp.engine.session import Session


@command(
    "SAVE", arity=1, flags="admin noscript no_async_loading no_multi", group="server",
    complexity="O(N) in the keys", summary="Synchronously saves the databases to disk.",
)  # fmt: skip
def save(ctx: Session) -> Reply:
    ctx.engine.saving.dump.save()
    return OK


@command(
    "BGSAVE", arity=-1, flags="admin noscript no_async_loading", group="server",
    summary="Asynchronously saves the databases to disk.",
)  # fmt: skip
def bgsave(ctx: Session, *options: bytes) -> Reply:
    if options and (len(options) > 1 or options[0].lower() != b"schedule"):
        raise CommandError(SYNTAX)
    in_exec = ctx.queue is not None
    begun = ctx.engine.saving.dump.begin(schedule=bool(options), later=in_exec)
    return Status(b"Background saving started" if begun else b"Background saving scheduled")


@command(
    "BGREWRITEAOF", arity=1, flags="admin noscript no_async_loading", group="server",
    summary="Asynchronously rewrites the append-only file to disk.",
)  # fmt: skip
def bgrewriteaof(ctx: Session) -> Reply:
    saving = ctx.engine.saving
    if saving.directory and not saving.log.begin_rewrite(later=ctx.queue is not None):
        saving.watch()
        return Status(b"Background append only file rewriting scheduled")
    return Status(b"Background append only file rewriting started")


@command(
    "LASTSAVE", arity=1, flags="loading stale fast", group="server",
    categories="admin dangerous", tips=("nondeterministic_output",),
    summary="Returns the Unix timestamp of the last successful save to disk.",
)  # fmt: skip
def lastsave(ctx: Session) -> Reply:
    return ctx.engine.saving.dump.last_save
