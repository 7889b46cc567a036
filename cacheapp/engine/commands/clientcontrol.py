"""The CLIENT commands that act on connections: KILL, PAUSE, REPLY, NO-TOUCH."""

from __future__ import annotations

from collections.abc import Callable

from cacheapp.engine.arguments import parse_client_type, parse_int
from cacheapp.engine.errors import (
    NEGATIVE_TIMEOUT,
    SYNTAX,
    TIMEOUT_NOT_AN_INTEGER,
    CommandError,
    text,
    wrong_subcommand_arity,
)
from cacheapp.engine.registry import command, container
from cacheapp.engine.replies import NO_REPLY, OK, Reply
from cacheapp.engine.session import MUTED, MUTED_ONCE, Session

container(
    "CLIENT",
    group="connection",
    since="2.4.0",
    summary="A container for client connection commands.",
)

_NO_SUCH_CLIENT = "ERR No such client"
_REPLIES_ARE_CALLS = "ERR This client's calls return their replies: CLIENT REPLY needs a connection"
_CLIENT_ID = "ERR client-id should be greater than 0"
# 278 years: fronts wait for the end of a pause, and cannot wait for longer.
_PAUSE_MS_MAX = 2**43
_FLAGS = "noscript loading stale"

Filter = Callable[[Session], bool]


@command(
    "CLIENT|KILL", arity=-3, flags=f"admin {_FLAGS}", group="connection", since="2.4.0",
    complexity="O(N) where N is the number of client connections",
    summary="Terminates open connections.",
)  # fmt: skip
def client_kill(ctx: Session, *options: bytes) -> Reply:
    if len(options) == 1:
        address = text(options[0])
        for session in ctx.engine.sessions.values():
            # A session without a socket may have no address; nobody means it.
            if address and session.address == address:
                session.kill(by=ctx)
                return OK
        raise CommandError(_NO_SUCH_CLIENT)
    filters: dict[bytes, Filter] = {}
    skip_me = True
    for word, value in zip(options[::2], options[1::2], strict=False):
        name = word.upper()
        if name == b"SKIPME":
            if value.lower() not in (b"yes", b"no"):
                raise CommandError(SYNTAX)
            skip_me = value.lower() == b"yes"
        else:
            filters[name] = _filter(ctx, name, value)
    if len(options) % 2:
        raise CommandError(SYNTAX)
    killed = [
        session
        for session in ctx.engine.sessions.values()
        if not (skip_me and session is ctx) and all(fits(session) for fits in filters.values())
    ]
    for session in killed:
        session.kill(by=ctx)
    return len(killed)


def _filter(ctx: Session, name: bytes, value: bytes) -> Filter:
    """What an option of CLIENT KILL asks of a session; raises CommandError."""
    wanted = text(value)
    if name == b"ID":
        number = parse_int(value, _CLIENT_ID, low=1)
        return lambda session: session.id == number
    if name == b"TYPE":
        kind = parse_client_type(value)
        return lambda session: session.client_type == kind
    if name == b"ADDR":
        return lambda session: session.address == wanted
    if name == b"LADDR":
        return lambda session: session.describe()["laddr"] == wanted
    if name == b"USER":
        user = ctx.engine.acl.users.get(value)
        if user is None:
            raise CommandError(f"ERR No such user '{wanted}'")
        return lambda session: session.user is user
    if name == b"MAXAGE":
        seconds = parse_int(value, "ERR maxage is not an integer or out of range")
        if seconds <= 0:
            raise CommandError("ERR maxage should be greater than 0")
        now_ms = ctx.engine.now_ms
        return lambda session: (now_ms - session.created_ms) // 1000 >= seconds
    raise CommandError(SYNTAX)


@command(
    "CLIENT|PAUSE", arity=-3, flags=f"admin {_FLAGS}", group="connection", since="2.9.50",
    summary="Suspends commands processing.",
)  # fmt: skip
def client_pause(ctx: Session, timeout: bytes, *mode: bytes) -> Reply:
    if len(mode) > 1:
        raise wrong_subcommand_arity("CLIENT", b"PAUSE")
    if mode and mode[0].upper() not in (b"WRITE", b"ALL"):
        raise CommandError("ERR CLIENT PAUSE mode must be WRITE or ALL")
    timeout_ms = parse_int(timeout, TIMEOUT_NOT_AN_INTEGER)
    if timeout_ms < 0:
        raise CommandError(NEGATIVE_TIMEOUT)
    until_ms = ctx.engine.now_ms + min(timeout_ms, _PAUSE_MS_MAX)
    ctx.engine.pause.begin(until_ms, writes_only=bool(mode) and mode[0].upper() == b"WRITE")
    return OK


@command(
    "CLIENT|UNPAUSE", arity=2, flags=f"admin {_FLAGS}", group="connection", since="6.2.0",
    complexity="O(N) where N is the number of paused clients",
    summary="Resumes processing commands from paused clients.",
)  # fmt: skip
def client_unpause(ctx: Session) -> Reply:
    ctx.engine.pause.lift(ctx)
    return OK


@command(
    "CLIENT|REPLY", arity=3, flags=_FLAGS, group="connection", since="3.2.0",
    summary="Instructs the server whether to reply to commands.",
)  # fmt: skip
def client_reply(ctx: Session, mode: bytes) -> Reply:
    wanted = mode.upper()
    if ctx.direct and wanted in (b"OFF", b"SKIP"):
        raise CommandError(_REPLIES_ARE_CALLS)
    if wanted == b"ON":
        ctx.muted = 0
    elif wanted == b"OFF":
        ctx.muted = MUTED
    elif wanted == b"SKIP":
        ctx.muted = ctx.muted or MUTED_ONCE
    else:
        raise CommandError(SYNTAX)
    ctx.refresh()
    return NO_REPLY if ctx.muted else OK


@command(
    "CLIENT|NO-TOUCH", arity=3, flags=_FLAGS, group="connection", since="7.2.0",
    summary="Controls whether commands sent by the client affect the LRU/LFU of accessed keys.",
)  # fmt: skip
def client_no_touch(ctx: Session, switch: bytes) -> Reply:
    if switch.lower() not in (b"on", b"off"):
        raise CommandError(SYNTAX)
    ctx.no_touch = switch.lower() == b"on"
    ctx.refresh()
    return OK
