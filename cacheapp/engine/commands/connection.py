"""The commands about the connection itself, CLIENT aside (`clients`)."""

from __future__ import annotations

from cacheapp.engine.acl.users import DEFAULT_USER
from cacheapp.engine.arguments import parse_int, parse_int32
from cacheapp.engine.errors import (
    DB_OUT_OF_RANGE,
    INVALID_CLIENT_NAME,
    NO_PASSWORD_SET,
    WRONG_PASSWORD,
    CommandError,
    text,
    wrong_arity,
)
from cacheapp.engine.registry import command
from cacheapp.engine.replies import OK, PONG, Reply, Status
from cacheapp.engine.session import Session, valid_client_name
from cacheapp.engine.version import REDIS_VERSION

_HELLO_UNAUTHENTICATED = (
    "NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO "
    "<proto> AUTH <user> <pass> option can be used to authenticate the client and select the "
    "RESP protocol version at the same time"
)


@command(
    "PING", arity=-1, flags="fast", group="connection",
    summary="Returns the server's liveliness response.",
    tips=("request_policy:all_shards", "response_policy:all_succeeded"),
)  # fmt: skip
def ping(ctx: Session, *message: bytes) -> Reply:
    if len(message) > 1:
        raise wrong_arity("ping")
    if ctx.protocol == 2 and ctx.is_subscribed:
        return [b"pong", message[0] if message else b""]
    return message[0] if message else PONG


@command(
    "ECHO", arity=2, flags="loading stale fast", group="connection",
    summary="Returns the given string.",
)  # fmt: skip
def echo(_ctx: Session, message: bytes) -> Reply:
    return message


@command(
    "SELECT", arity=2, flags="loading stale fast", group="connection",
    summary="Changes the selected database.",
)  # fmt: skip
def select(ctx: Session, number: bytes) -> Reply:
    index = parse_int32(number)
    if not 0 <= index < len(ctx.engine.databases):
        raise CommandError(DB_OUT_OF_RANGE)
    ctx.db = ctx.engine.databases[index]
    return OK


@command(
    "AUTH", arity=-2, flags="noscript loading stale fast no_auth allow_busy", group="connection",
    summary="Authenticates the connection.",
)  # fmt: skip
def auth(ctx: Session, *credentials: bytes) -> Reply:
    if len(credentials) > 2:
        raise CommandError("ERR syntax error")
    if len(credentials) == 1:
        if not ctx.engine.acl.default.needs_password:
            raise CommandError(NO_PASSWORD_SET)
        credentials = (DEFAULT_USER, credentials[0])
    if not ctx.engine.acl.log_in(ctx, credentials[0], credentials[1], b"AUTH"):
        raise CommandError(WRONG_PASSWORD)
    return OK


@command(
    "HELLO", arity=-1, flags="noscript loading stale fast no_auth allow_busy", group="connection",
    since="6.0.0", summary="Handshakes with the Redis server.", shaped=True,
)  # fmt: skip
def hello(ctx: Session, *options: bytes) -> Reply:
    protocol = 0
    words = iter(options)
    if options:
        protocol = parse_int(next(words), "ERR Protocol version is not an integer or out of range")
        if protocol not in (2, 3):
            raise CommandError("NOPROTO unsupported protocol version")
    for word in words:
        option = word.upper()
        first = next(words, None) if option in (b"AUTH", b"SETNAME") else None
        second = next(words, None) if option == b"AUTH" else first
        if first is None or second is None:
            raise CommandError(f"ERR Syntax error in HELLO option '{text(word)}'")
        if option == b"AUTH":
            if not ctx.engine.acl.log_in(ctx, first, second, b"HELLO"):
                raise CommandError(WRONG_PASSWORD)
        elif not valid_client_name(first):
            raise CommandError(INVALID_CLIENT_NAME)
        else:
            ctx.name = first
    if not ctx.authenticated:
        raise CommandError(_HELLO_UNAUTHENTICATED)
    if protocol:
        ctx.protocol = protocol
        ctx.refresh()
    return {
        b"server": b"redis",
        b"version": REDIS_VERSION.encode(),
        b"proto": ctx.protocol,
        b"id": ctx.id,
        b"mode": b"standalone",
        b"role": b"master",
        b"modules": [],
    }


@command(
    "QUIT", arity=-1, flags="noscript loading stale fast no_auth allow_busy", group="connection",
    summary="Closes the connection.",
)  # fmt: skip
def quit_(ctx: Session, *_ignored: bytes) -> Reply:
    ctx.closing = True
    ctx.refresh()
    return OK


@command(
    "RESET", arity=1, flags="noscript loading stale fast no_auth allow_busy", group="connection",
    since="6.2.0", summary="Resets the connection.",
)  # fmt: skip
def reset(ctx: Session) -> Reply:
    ctx.unwatch()
    ctx.engine.pubsub.forget(ctx)
    ctx.reset(protocol=2)
    return Status(b"RESET")
