"""Replication as a master knows it: replicas that come and confirm, WAIT, ROLE.

What replicas are sent is `engine/replicas`; what a replica does with it is `engine/following`. An
engine without sockets of its own refuses REPLICAOF, but for NO ONE. WAITAOF does not wait for the
log's turn, but for the disk. FAILOVER of a master is left out, but for what it refuses: REPLICAOF
does it in two steps.
"""

from __future__ import annotations

from cacheapp.engine.arguments import parse_int
from cacheapp.engine.errors import (
    NEGATIVE_COUNT,
    NEGATIVE_TIMEOUT,
    NO_MASTER_LINK,
    SYNTAX,
    TIMEOUT_NOT_AN_INTEGER,
    VALUE_OUT_OF_RANGE,
    WAITAOF_WITHOUT_AOF,
    CommandError,
    text,
)
from cacheapp.engine.following import CONNECTED, follow, lead
from cacheapp.engine.registry import command
from cacheapp.engine.replicas import Replica
from cacheapp.engine.replies import NO_REPLY, OK, Reply, Status
from cacheapp.engine.session import Session

_NO_REPLICATION = "ERR An engine in its clients' own process cannot be a replica"
_ALREADY = Status(b"OK Already connected to specified master")
_IS_REPLICA = "ERR Command is not valid when client is a replica."
_NO_WAIT = (
    "ERR WAIT cannot be used with replica instances. Please also note that since Redis 4.0 if a "
    "replica is configured to be writable (which is not the default) writes to replicas are just "
    "local and are not propagated."
)
_FAILOVER_OF_MASTER = "ERR PSYNC FAILOVER can't be sent to a master."
_FAILOVER_OF_ANOTHER = "ERR PSYNC FAILOVER replid must match my replid."
_FORCED_ALONE = "ERR FAILOVER with force option requires both a timeout and target HOST and IP."
_NO_FAILOVER = (
    "ERR FAILOVER is not supported by this server. Send REPLICAOF NO ONE to a replica that WAIT "
    "finds up to date, and then REPLICAOF with its address to this one."
)
_NO_SOCKET = "ERR Only a client with a connection of its own can be a replica"
_PORT_MAX = 65535
_REPLCONF_OPTIONS = frozenset(
    {b"listening-port", b"ip-address", b"capa", b"ack", b"getack", b"rdb-only",
     b"rdb-filter-only"}
)  # fmt: skip


@command(
    "WAIT", arity=3, flags="noscript", group="generic", since="3.0.0",
    categories="connection -keyspace -blocking",
    summary="Blocks until replicas have acknowledged writes.",
    tips=("request_policy:all_shards", "response_policy:agg_min"),
)  # fmt: skip
def wait(ctx: Session, replicas: bytes, timeout: bytes) -> Reply:
    wanted = parse_int(replicas)
    if ctx.engine.following is not None:
        raise CommandError(_NO_WAIT)
    timeout_ms = parse_int(timeout, TIMEOUT_NOT_AN_INTEGER)
    if timeout_ms < 0:
        raise CommandError(NEGATIVE_TIMEOUT)
    return ctx.engine.replicas.wait(ctx, wanted, timeout_ms)


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
    log = ctx.engine.saving.log
    if wanted_local and not log.on:
        raise CommandError(WAITAOF_WITHOUT_AOF)
    if wanted_local:
        log.sync()
    there = [int(log.is_on_disk), 0]
    if not wanted and there[0] >= wanted_local:
        return there
    return ctx.engine.waiters.wait(
        ctx, (), None, lambda _session, _key: None, timeout_ms=timeout_ms, timed_out=there
    )


@command(
    "ROLE", arity=1, flags="noscript loading stale fast", group="server", since="2.8.12",
    categories="admin dangerous", summary="Returns the replication role.",
)  # fmt: skip
def role(ctx: Session) -> Reply:
    replicas, following = ctx.engine.replicas, ctx.engine.following
    if following is not None:
        offset = -1 if following.session is None else following.offset
        return [
            b"slave", following.host.encode(), following.port, following.state.encode(), offset
        ]  # fmt: skip
    rows: list[Reply] = []
    for session in replicas.online():
        replica = replicas.by_session[session]
        host = replica.address or session.host
        rows.append([host.encode(), b"%d" % replica.port, b"%d" % replica.offset])
    return [b"master", replicas.offset, rows]


@command(
    "REPLICAOF", arity=3, flags="admin noscript stale no_async_loading", group="server",
    since="5.0.0", summary="Configures a server as replica of another, or promotes it.",
)  # fmt: skip
def replicaof(ctx: Session, host: bytes, port: bytes) -> Reply:
    engine = ctx.engine
    if host.lower() == b"no" and port.lower() == b"one":
        lead(engine)
        return OK
    if ctx.replica is not None and ctx.replica.is_online:
        raise CommandError(_IS_REPLICA)
    number = parse_int(port, "ERR Invalid master port", low=0, high=_PORT_MAX)
    if engine.link is None:
        raise CommandError(_NO_REPLICATION)
    name, former = text(host), engine.following
    if former is not None and (former.host.lower(), former.port) == (name.lower(), number):
        return _ALREADY
    follow(engine, name, number)
    return OK


command(
    "SLAVEOF", arity=3, flags="admin noscript stale no_async_loading", group="server",
    summary="Configures a server as replica of another, or promotes it.",
)(replicaof)  # fmt: skip


@command(
    "FAILOVER", arity=-1, flags="admin noscript stale", group="server", since="6.2.0",
    summary="Starts a coordinated failover from a server to one of its replicas.",
)  # fmt: skip
def failover(ctx: Session, *options: bytes) -> Reply:
    words = iter(options)
    target: tuple[str, int] | None = None
    forced = timed = False
    first = options[0].lower() if options else b""
    if len(options) == 1 and first == b"abort":
        raise CommandError("ERR No failover in progress.")
    for word in words:
        option = word.lower()
        if option == b"timeout" and not timed and (raw := next(words, None)) is not None:
            if parse_int(raw) <= 0:
                raise CommandError("ERR FAILOVER timeout must be greater than 0")
            timed = True
        elif option == b"to" and target is None:
            host, port = next(words, None), next(words, None)
            if host is None or port is None:
                raise CommandError(SYNTAX)
            target = text(host), parse_int(port)
        elif option == b"force" and not forced:
            forced = True
        else:
            raise CommandError(SYNTAX)
    if ctx.engine.following is not None:
        raise CommandError("ERR FAILOVER is not valid when server is a replica.")
    _check_target(ctx, target, forced=forced, timed=timed)
    raise CommandError(_NO_FAILOVER)


def _check_target(
    ctx: Session, target: tuple[str, int] | None, *, forced: bool, timed: bool
) -> None:
    replicas = ctx.engine.replicas
    following = {
        (replica.address or session.host, replica.port): replica
        for session, replica in replicas.by_session.items()
        if replica.is_online
    }
    if not following:
        raise CommandError("ERR FAILOVER requires connected replicas.")
    if forced and not (timed and target):
        raise CommandError(_FORCED_ALONE)
    if target is not None and target not in following:
        raise CommandError("ERR FAILOVER target HOST and PORT is not a replica.")
    if target is not None and following[target].held is not None:
        raise CommandError("ERR FAILOVER target replica is not online.")


@command(
    "PSYNC", arity=-3, flags="admin noscript no_async_loading no_multi", group="server",
    since="2.8.0", complexity="", summary="An internal command used in replication.",
)  # fmt: skip
def psync(ctx: Session, replication_id: bytes, offset: bytes, *options: bytes) -> Reply:
    start = parse_int(offset)
    if _follows_already(ctx):
        return NO_REPLY
    if options and options[0].lower() == b"failover":
        _take_over(ctx, text(replication_id))
    _check_link(ctx)
    found = ctx.engine.replicas.resumed(ctx, replication_id, start)
    return ctx.engine.replicas.copied(ctx, names_itself=True) if found is None else found


@command(
    "SYNC", arity=1, flags="admin noscript no_async_loading no_multi", group="server",
    complexity="", summary="An internal command used in replication.",
)  # fmt: skip
def sync(ctx: Session) -> Reply:
    if _follows_already(ctx):
        return NO_REPLY
    _check_link(ctx)
    return ctx.engine.replicas.copied(ctx, names_itself=False)


def _filter(replica: Replica, wanted: bytes) -> None:
    """Have in the copy for `replica` only what `wanted` names; nothing where it names nothing."""
    words = wanted.split()
    for word in words:
        if word.lower() != b"functions":
            raise CommandError(f"ERR Unsupported rdb-filter-only option: {text(word)}")
    replica.wants_keys, replica.wants_functions = False, bool(words)


def _follows_already(ctx: Session) -> bool:
    """Whether nothing is to be done; CommandError for a client without a socket to send to."""
    if ctx.front is None:
        raise CommandError(_NO_SOCKET)
    return ctx.replica is not None and ctx.replica.is_online


def _take_over(ctx: Session, replication_id: str) -> None:
    """Become a master, as the one that is followed asks."""
    following = ctx.engine.following
    if following is None:
        raise CommandError(_FAILOVER_OF_MASTER)
    if following.replication_id != replication_id:
        raise CommandError(_FAILOVER_OF_ANOTHER)
    lead(ctx.engine)


def _check_link(ctx: Session) -> None:
    following = ctx.engine.following
    if following is not None and following.state != CONNECTED:
        raise CommandError(NO_MASTER_LINK)


@command(
    "REPLCONF", arity=-1, flags="admin noscript loading stale allow_busy", group="server",
    since="3.0.0", summary="An internal command for configuring the replication stream.",
)  # fmt: skip
def replconf(ctx: Session, *options: bytes) -> Reply:
    if len(options) % 2:
        raise CommandError(SYNTAX)
    replicas = ctx.engine.replicas
    for name, value in zip(options[::2], options[1::2], strict=True):
        option = name.lower()
        if option not in _REPLCONF_OPTIONS:
            raise CommandError(f"ERR Unrecognized REPLCONF option: {text(name)}")
        if option == b"listening-port":
            replicas.known(ctx).port = parse_int(value)
        elif option == b"ip-address":
            replicas.known(ctx).address = text(value)
        elif option == b"rdb-only":
            replicas.known(ctx).copies_only = parse_int(value, low=0, high=1) == 1
        elif option == b"rdb-filter-only":
            _filter(replicas.known(ctx), value)
        elif option == b"ack":
            if ctx.replica is not None and value.isdigit():
                replicas.acknowledge(ctx, int(value))
            return NO_REPLY
        elif option == b"getack":
            return NO_REPLY
    return OK
