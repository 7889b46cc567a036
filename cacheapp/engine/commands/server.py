"""TIME, and the words that need no more than a line."""

from __future__ import annotations

from cacheapp.engine.registry import command
from cacheapp.engine.replies import Reply
from cacheapp.engine.session import Session


@command(
    "TIME", arity=1, flags="loading stale fast", group="server", since="2.6.0",
    summary="Returns the server time.", tips=("nondeterministic_output",),
)  # fmt: skip
def time(ctx: Session) -> Reply:
    microseconds = int(ctx.engine.now * 1_000_000)
    return [b"%d" % (microseconds // 1_000_000), b"%d" % (microseconds % 1_000_000)]
