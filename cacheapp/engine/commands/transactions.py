"""Transactions: a queue of commands that run together, if nothing that was watched has changed.

The queue lives in the session and `Engine.execute` fills it. EXEC runs it under the lock that
every command takes, so nothing comes between. There is no rollback: a command that fails while it
runs leaves its error in the array of answers, and the next one runs.

A session keeps its queue while EXEC runs, as in Redis, where CLIENT INFO and the SUBSCRIBE family
can tell that they run inside a transaction.
"""

from __future__ import annotations

from cacheapp.engine import watching
from cacheapp.engine.errors import (
    DISCARD_WITHOUT_MULTI,
    EXEC_ABORTED,
    EXEC_WITHOUT_MULTI,
    NESTED_MULTI,
    WATCH_IN_MULTI,
    CommandError,
)
from cacheapp.engine.registry import command
from cacheapp.engine.replies import NULL_ARRAY, OK, Reply, to_resp2
from cacheapp.engine.session import Session


@command(
    "MULTI", arity=1, flags="noscript loading stale fast allow_busy", group="transactions",
    since="1.2.0", summary="Starts a transaction.",
)  # fmt: skip
def multi(ctx: Session) -> Reply:
    if ctx.queue is not None:
        raise CommandError(NESTED_MULTI)
    ctx.queue = []
    ctx.refresh()
    return OK


@command(
    "EXEC", arity=1, flags="noscript loading stale skip_slowlog", group="transactions",
    since="1.2.0", complexity="Depends on commands in the transaction",
    summary="Executes all commands in a transaction.",
)  # fmt: skip
def exec_(ctx: Session) -> Reply:
    queue = ctx.queue
    if queue is None:
        raise CommandError(EXEC_WITHOUT_MULTI)
    try:
        if ctx.queue_failed:
            raise CommandError(EXEC_ABORTED)
        if _watch_failed(ctx):
            return NULL_ARRAY
        ctx.unwatch()
        replies: list[Reply] = []
        for row, args in queue:
            try:
                if ctx.restricted:
                    ctx.engine.acl.check_queued(ctx, row, args)
                reply = ctx.engine.call(ctx, row, args)
                if row.shaped and ctx.protocol == 2:
                    reply = to_resp2(reply)
            except CommandError as error:
                reply = error
            replies.append(reply)
        return replies
    finally:
        ctx.discard()


def _watch_failed(ctx: Session) -> bool:
    """Whether a watched key has changed; one that is due counts from the moment it is due."""
    for database, key in list(ctx.watched):
        # Looking a due key up deletes it, which marks those who watch it.
        if ctx.touched or (key not in database and ctx.touched):
            return True
    return ctx.touched


@command(
    "DISCARD", arity=1, flags="noscript loading stale fast allow_busy", group="transactions",
    since="2.0.0", complexity="O(N), when N is the number of queued commands",
    summary="Discards a transaction.",
)  # fmt: skip
def discard(ctx: Session) -> Reply:
    if ctx.queue is None:
        raise CommandError(DISCARD_WITHOUT_MULTI)
    ctx.discard()
    return OK


@command(
    "WATCH", arity=-2, flags="noscript loading stale fast allow_busy", keys=(1, -1, 1),
    key_flags="RO", group="transactions", since="2.2.0", complexity="O(1) for every key.",
    summary="Monitors changes to keys to determine the execution of a transaction.",
)  # fmt: skip
def watch(ctx: Session, *keys: bytes) -> Reply:
    if ctx.queue is not None:
        raise CommandError(WATCH_IN_MULTI)
    if ctx.touched:
        return OK
    db = ctx.db
    for key in keys:
        if (db, key) not in ctx.watched:
            # A key that is due already is gone for this session; its deletion is no change to it.
            db.deadline(key)
            ctx.watched[db, key] = False
            watching.watch(db, key, ctx)
    return OK


@command(
    "UNWATCH", arity=1, flags="noscript loading stale fast allow_busy", group="transactions",
    since="2.2.0", summary="Forgets about watched keys of a transaction.",
)  # fmt: skip
def unwatch(ctx: Session) -> Reply:
    ctx.unwatch()
    return OK
