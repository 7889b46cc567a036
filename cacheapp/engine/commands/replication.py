"""What a server without replicas says about replication: WAIT, WAITAOF and ROLE."""

from __future__ import annotations

from cacheapp.engine.arguments import parse_int
from cacheapp.engine.errors import (
    NEGATIVE_COUNT,
    NEGATIVE_TIMEOUT,
    TIMEOUT_NOT_AN_INTEGER,
    VALUE_OUT_OF_RANGE,
    WAITAOF_WITHOUT_AOF,
    CommandError,
)
from cacheapp.engine.registry import command
from cacheapp.engine.replies import Reply
from cacheapp.engine.session import Session


@command(
    "WAIT", arity=3, flags="noscript", group="generic", since="3.0.0",
    categories="connection -keyspace -blocking",
    summary="Blocks until replicas have acknowledged writes.",
    tips=("request_policy:all_shards", "response_policy:agg_min"),
)  # fmt: skip
def wait(ctx: Session, replicas: bytes, timeout: bytes) -> Reply:
    wanted = parse_int(replicas)
    timeout_ms = parse_int(timeout, TIMEOUT_NOT_AN_INTEGER)
    if timeout_ms < 0:
        raise CommandError(NEGATIVE_TIMEOUT)
    if wanted <= 0:
        return 0
    return ctx.engine.waiters.wait(
        ctx, (), None, lambda _session, _key: None, timeout_ms=timeout_ms, timed_out=0
    )


@command(
    "WAITAOF", arity=4, flags="blocking", group="generic", since="7.2.0",
    categories="connection -keyspace -blocking",
    summary="Blocks until writes are on the disk of this server, or of replicas.",
    tips=("request_policy:all_shards", "response_policy:agg_min"),
)  # fmt: skip
def waitaof(ctx: Session, local: bytes, replicas: bytes, timeout: bytes) -> Reply:
    wanted_local = parse_int(local)
    if wanted_local not in (0, 1):
        raise CommandError(f"{VALUE_OUT_OF_RANGE}, value must between 0 and 1")
    wanted = parse_int(replicas)
    if wanted < 0:
        raise CommandError(NEGATIVE_COUNT)
    timeout_ms = parse_int(timeout, TIMEOUT_NOT_AN_INTEGER)
    if timeout_ms < 0:
        raise CommandError(NEGATIVE_TIMEOUT)
    if wanted_local:
        raise CommandError(WAITAOF_WITHOUT_AOF)
    nowhere = [0, 0]
    if not wanted:
        return nowhere
    return ctx.engine.waiters.wait(
        ctx, (), None, lambda _session, _key: None, timeout_ms=timeout_ms, timed_out=nowhere
    )


@command(
    "ROLE", arity=1, flags="noscript loading stale fast", group="server", since="2.8.12",
    categories="admin dangerous", summary="Returns the replication role.",
)  # fmt: skip
def role(_ctx: Session) -> Reply:
    return [b"master", 0, []]
