"""MIGRATE: keys to another server, by RESTORE there and DEL here.

As in Redis it is one step: nothing else runs until the other server has answered, or the timeout
is over. Only fronts with sockets offer it (see `engine/transfer.py`); elsewhere the command is
unknown. Left out on purpose: kept connections, each call opens one.
"""

from __future__ import annotations

from dataclasses import dataclass

from cacheapp.engine.arguments import parse_int
from cacheapp.engine.errors import SYNTAX, CommandError, unknown_command
from cacheapp.engine.keyspecs import KeyAccess, Range, access, key_at, keys_after
from cacheapp.engine.persistence.payloads import dump_value
from cacheapp.engine.propagation import instead
from cacheapp.engine.registry import command
from cacheapp.engine.replies import OK, Reply, Status
from cacheapp.engine.session import Session
from cacheapp.engine.transfer import Request, TransferError

_TIMEOUT_MS = 1000
_CONNECTING = "IOERR error or timeout connecting to the client"
_KEY_NOT_EMPTY = (
    "ERR When using MIGRATE KEYS option, the key argument must be set to the empty string"
)


@dataclass(slots=True)
class _Options:
    keys: list[bytes]
    keep: bool = False
    replace: bool = False
    login: tuple[bytes, ...] = ()


def _find_keys(args: list[bytes]) -> list[KeyAccess]:
    """The key, or those after KEYS; none where both are there, which is a syntax error."""
    skipped, at = {b"AUTH": 1, b"AUTH2": 2}, 6
    first, last = 3, 4
    while at < len(args):
        word = args[at].upper()
        if word == b"KEYS":
            first, last = at + 1, at + 1 if args[3] else len(args)
            break
        at += 1 + skipped.get(word, 0)
    return [(position, access("RW access delete")) for position in range(first, last)]


@command(
    "MIGRATE", arity=-6, flags="write movablekeys", keys=(
        key_at(3, "RW access delete"),
        keys_after("KEYS", -2, Range(-1, 1, 0), "RW access delete incomplete"),
    ), find_keys=_find_keys, group="generic", since="2.6.0", categories="dangerous",
    complexity="O(N*M) to serialize the keys, and the time of the other server",
    summary="Atomically transfers keys from one server to another.",
    tips=("nondeterministic_output",),
)  # fmt: skip
def migrate(
    ctx: Session,
    host: bytes,
    port: bytes,
    key: bytes,
    number: bytes,
    timeout: bytes,
    *options: bytes,
) -> Reply:
    engine, db = ctx.engine, ctx.db
    if engine.transfer is None:
        raise unknown_command([b"MIGRATE", host, port, key, number, timeout, *options])
    chosen = _parse(key, options)
    timeout_ms = parse_int(timeout)
    target_db = parse_int(number)
    keys = [name for name in chosen.keys if db.get(name) is not None]
    if not keys:
        return Status(b"NOKEY")
    opening: list[Request] = [[b"AUTH", *chosen.login]] if chosen.login else []
    opening.append([b"SELECT", b"%d" % target_db])
    requests = [*opening, *(_restoring(ctx, name, chosen.replace) for name in keys)]
    failed: TransferError | None = None
    try:
        replies = engine.transfer(
            host, port, requests, timeout_ms if timeout_ms > 0 else _TIMEOUT_MS
        )
    except TransferError as error:
        failed, replies = error, error.replies
    refusals = [line for line in replies[: len(opening)] if line.startswith(b"-")]
    welcome = not refusals
    gone: list[bytes] = []
    for name, line in zip(keys, replies[len(opening) :], strict=False):
        if line.startswith(b"-"):
            refusals.append(line)
        elif welcome and not chosen.keep:
            db.delete(name)
            gone.append(name)
    if gone:
        instead(ctx, b"DEL", *gone)
    if refusals:
        shown = refusals[0][1:].decode("utf-8", "surrogateescape")
        raise CommandError(f"ERR Target instance replied with error: {shown}")
    if failed is not None:
        if failed.stage == "connecting":
            raise CommandError(_CONNECTING)
        raise CommandError(f"IOERR error or timeout {failed.stage} to target instance")
    return OK


def _restoring(ctx: Session, key: bytes, replace: bool) -> Request:
    """The RESTORE of a key that is there, for the other server."""
    deadline_ms = ctx.db.deadline(key)
    ttl_ms = max(1, deadline_ms - ctx.engine.now_ms) if deadline_ms else 0
    payload = dump_value(ctx.db.peek(key), ctx.engine.config)
    tail = [b"REPLACE"] if replace else []
    return [b"RESTORE", key, b"%d" % ttl_ms, payload, *tail]


def _parse(key: bytes, options: tuple[bytes, ...]) -> _Options:
    chosen = _Options([key])
    words = list(reversed(options))
    while words:
        option = words.pop().upper()
        if option == b"COPY":
            chosen.keep = True
        elif option == b"REPLACE":
            chosen.replace = True
        elif option == b"AUTH" and words:
            chosen.login = (words.pop(),)
        elif option == b"AUTH2" and len(words) > 1:
            chosen.login = (words.pop(), words.pop())
        elif option == b"KEYS":
            if key:
                raise CommandError(_KEY_NOT_EMPTY)
            chosen.keys = words[::-1]
            break
        else:
            raise CommandError(SYNTAX)
    return chosen
