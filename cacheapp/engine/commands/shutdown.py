"""SHUTDOWN: the end of the process that serves the engine.

A front that owns its process sets `Engine.end_process`, and is told here. An engine that lives in
its clients' own process has none: there SHUTDOWN is refused, since it would end the program that
sent it.
"""

from __future__ import annotations

from cacheapp.engine.errors import SYNTAX, CommandError
from cacheapp.engine.registry import command
from cacheapp.engine.replies import NO_REPLY, Reply
from cacheapp.engine.session import Session

_OPTIONS = frozenset({b"NOSAVE", b"SAVE", b"NOW", b"FORCE", b"ABORT"})
_MAY_NOT_WAIT = "ERR SHUTDOWN without NOW or ABORT isn't allowed for DENY BLOCKING client"
# Redis's words where the save before the end fails.
_CANNOT_SAVE = "ERR Errors trying to SHUTDOWN. Check logs."
_IN_PROCESS = "ERR SHUTDOWN ends a server process, and this engine lives in that of its clients"


@command(
    "SHUTDOWN", arity=-1, flags="admin noscript loading stale no_multi allow_busy",
    group="server", summary="Shuts the server down.",
)  # fmt: skip
def shutdown(ctx: Session, *options: bytes) -> Reply:
    words = {option.upper() for option in options}
    if not words <= _OPTIONS or words >= {b"SAVE", b"NOSAVE"}:
        raise CommandError(SYNTAX)
    if b"ABORT" in words:
        if len(words) > 1:
            raise CommandError(SYNTAX)
        raise CommandError("ERR No shutdown in progress.")
    if b"NOW" not in words and ctx.may_not_wait:
        raise CommandError(_MAY_NOT_WAIT)
    wanted = True if b"SAVE" in words else False if b"NOSAVE" in words else None
    if ctx.engine.end_process is None:
        raise CommandError(_IN_PROCESS)
    if not ctx.engine.saving.end(save=wanted) and b"FORCE" not in words:
        raise CommandError(_CANNOT_SAVE)
    ctx.engine.end_process()
    ctx.closing = True
    return NO_REPLY
