"""What popping from the first of several keys has in common for lists and sorted sets.

LMPOP, ZMPOP and their blocking twins take the same arguments; and every command that waits for an
element first tries all its keys. What is taken, and what the answer looks like, is the commands'.
"""

from __future__ import annotations

from collections.abc import Sequence

from cacheapp.engine.arguments import parse_int
from cacheapp.engine.blocking import Attempt
from cacheapp.engine.errors import SYNTAX, CommandError
from cacheapp.engine.replies import NULL_ARRAY, Reply
from cacheapp.engine.session import Session


def multiple_pop_arguments(
    numkeys: bytes, arguments: tuple[bytes, ...], ends: tuple[bytes, bytes]
) -> tuple[tuple[bytes, ...], bytes, int]:
    """The keys, which of `ends` (in upper case), and how many elements at most.

    `arguments` are what follows the number of keys: `key [key …] end [COUNT count]`. Raises
    CommandError.
    """
    key_count = parse_int(numkeys, "ERR numkeys should be greater than 0", low=1)
    if key_count >= len(arguments):
        raise CommandError(SYNTAX)
    end = arguments[key_count].upper()
    if end not in ends:
        raise CommandError(SYNTAX)
    count = None
    words = iter(arguments[key_count + 1 :])
    for word in words:
        raw = next(words, None)
        if count is not None or word.upper() != b"COUNT" or raw is None:
            raise CommandError(SYNTAX)
        count = parse_int(raw, "ERR count should be greater than 0", low=1)
    return arguments[:key_count], end, count or 1


def pop_or_wait(
    ctx: Session, keys: Sequence[bytes], kind: type, attempt: Attempt, timeout_ms: int
) -> Reply:
    """`attempt` for the first key there is, or wait for one of them to become a `kind`.

    Raises WRONGTYPE where the first key that is there holds something else.
    """
    for key in keys:
        if ctx.db.edit(key, kind) is not None:
            return attempt(ctx, key)
    return ctx.engine.waiters.wait(
        ctx, keys, kind, attempt, timeout_ms=timeout_ms, timed_out=NULL_ARRAY
    )
