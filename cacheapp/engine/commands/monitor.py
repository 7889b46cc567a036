"""MONITOR: every command that is executed, as it comes.

Lines go out through `Session.deliver`, so a front's limit on unread replies bounds a monitor that
does not read. A monitor's own commands are shown before their replies, not after.
"""

from __future__ import annotations

from cacheapp.engine.errors import CommandError
from cacheapp.engine.registry import command
from cacheapp.engine.replies import NO_REPLY, OK, Reply
from cacheapp.engine.session import Session


@command(
    "MONITOR", arity=1, flags="admin noscript loading stale", group="server", complexity="",
    summary="Listens for all requests received by the server in real-time.",
)  # fmt: skip
def monitor(ctx: Session) -> Reply:
    if ctx.may_not_wait:
        raise CommandError("ERR MONITOR isn't allowed for DENY BLOCKING client")
    if ctx.monitoring:
        return NO_REPLY
    ctx.engine.monitor(ctx, wanted=True)
    return OK
