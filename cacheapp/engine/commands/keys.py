"""The commands that do not care what a key holds, except those on deadlines (`deadlines`)."""

from __future__ import annotations

from collections.abc import Iterable, Sized
from typing import Any

from cacheapp.engine import values
from cacheapp.engine.arguments import glob_matcher, parse_cursor, parse_int32
from cacheapp.engine.database import Database
from cacheapp.engine.errors import (
    DB_OUT_OF_RANGE,
    NO_SUCH_KEY,
    SAME_OBJECT,
    SYNTAX,
    CommandError,
)
from cacheapp.engine.fieldexpiry import expect_fields
from cacheapp.engine.keyspecs import key_at
from cacheapp.engine.registry import command
from cacheapp.engine.replies import OK, Reply, Status
from cacheapp.engine.sampling import random_key
from cacheapp.engine.session import Session
from cacheapp.engine.walking import typed_scan_options

_FLUSH_FLAGS = "write"
_LARGE_PARTS = 64


@command(
    "DEL", arity=-2, flags="write", keys=(1, -1, 1), key_flags="RM delete", group="generic",
    complexity="O(N)", summary="Deletes one or more keys.",
    tips=("request_policy:multi_shard", "response_policy:agg_sum"),
)  # fmt: skip
def delete(ctx: Session, *keys: bytes) -> Reply:
    if len(keys) == 1:
        return int(ctx.db.delete(keys[0]))
    return sum(map(ctx.db.delete, keys))


@command(
    "UNLINK", arity=-2, flags="write fast", keys=(1, -1, 1), key_flags="RM delete", group="generic",
    since="4.0.0", complexity="O(N)", summary="Asynchronously deletes one or more keys.",
    tips=("request_policy:multi_shard", "response_policy:agg_sum"),
)  # fmt: skip
def unlink(ctx: Session, *keys: bytes) -> Reply:
    _count_large(ctx, map(ctx.db.peek, keys))
    return delete(ctx, *keys)


def _count_large(ctx: Session, gone: Iterable[Any]) -> None:
    """Count the values that Redis would free in another thread, those of more than 64 parts."""
    large = sum(
        isinstance(value, Sized)
        and not isinstance(value, bytes | bytearray)
        and len(value) > _LARGE_PARTS
        for value in gone
    )
    ctx.engine.stats.lazily_freed += large


@command(
    "EXISTS", arity=-2, flags="readonly fast", keys=(1, -1, 1), key_flags="RO", group="generic",
    complexity="O(N)", summary="Determines whether one or more keys exist.",
    tips=("request_policy:multi_shard", "response_policy:agg_sum"),
)  # fmt: skip
def exists(ctx: Session, *keys: bytes) -> Reply:
    if len(keys) == 1:
        return 0 if ctx.db.look(keys[0]) is None else 1
    return sum(ctx.db.look(key) is not None for key in keys)


@command(
    "TOUCH", arity=-2, flags="readonly fast", keys=(1, -1, 1), key_flags="RO", group="generic",
    since="3.2.1", complexity="O(N)", summary="Updates the last access time of keys.",
    tips=("request_policy:multi_shard", "response_policy:agg_sum"),
)  # fmt: skip
def touch(ctx: Session, *keys: bytes) -> Reply:
    return sum(ctx.db.get(key) is not None for key in keys)


@command(
    "TYPE", arity=2, flags="readonly fast", keys=(1, 1, 1), key_flags="RO", group="generic",
    summary="Determines the type of value stored at a key.",
)  # fmt: skip
def type_(ctx: Session, key: bytes) -> Reply:
    value = ctx.db.look(key)
    return Status(b"none" if value is None else values.type_name(value))


@command(
    "RENAME", arity=3, flags="write", keys=(key_at(1, "RW access delete"), key_at(2, "OW update")),
    group="generic", summary="Renames a key and overwrites the destination.",
)  # fmt: skip
def rename(ctx: Session, source: bytes, target: bytes) -> Reply:
    _rename(ctx, source, target, only_new=False)
    return OK


@command(
    "RENAMENX", arity=3, flags="write fast",
    keys=(key_at(1, "RW access delete"), key_at(2, "OW insert")), group="generic",
    summary="Renames a key only when the target key name doesn't exist.",
)  # fmt: skip
def renamenx(ctx: Session, source: bytes, target: bytes) -> Reply:
    return int(_rename(ctx, source, target, only_new=True))


def _rename(ctx: Session, source: bytes, target: bytes, *, only_new: bool) -> bool:
    db = ctx.db
    if source not in db:
        raise CommandError(NO_SUCH_KEY)
    if source == target:
        return not only_new
    if only_new and target in db:
        return False
    _transfer(db, source, db, target, b"rename_from", b"rename_to")
    return True


def _transfer(
    origin: Database, key: bytes, target: Database, new_key: bytes, left: bytes, arrived: bytes
) -> None:
    """Take `key` with its deadline from `origin` to `new_key` in `target`, and say so."""
    value, deadline = origin.peek(key), origin.deadline(key)
    target.discard(new_key)
    target.put(new_key, value)
    expect_fields(target, new_key, value)
    if deadline:
        target.set_deadline(new_key, deadline)
    origin.discard(key)
    origin.changed(key, left)
    target.changed(new_key, arrived)


@command(
    "COPY", arity=-3, flags="write denyoom", keys=(key_at(1, "RO access"), key_at(2, "OW update")),
    group="generic", since="6.2.0", complexity="O(N)",
    summary="Copies the value of a key to a new key.",
)  # fmt: skip
def copy(ctx: Session, source: bytes, target: bytes, *options: bytes) -> Reply:
    replace, target_db = False, ctx.db
    words = iter(options)
    for word in words:
        option = word.upper()
        if option == b"REPLACE":
            replace = True
        elif option == b"DB" and (raw := next(words, None)) is not None:
            target_db = _database(ctx, raw)
        else:
            raise CommandError(SYNTAX)
    if target_db is ctx.db and source == target:
        raise CommandError(SAME_OBJECT)
    value = ctx.db.get(source)
    if value is None or (target in target_db and not replace):
        return 0
    deadline = ctx.db.deadline(source)
    target_db.discard(target)
    target_db.put(target, twin := values.copy(value))
    expect_fields(target_db, target, twin)
    if deadline:
        target_db.set_deadline(target, deadline)
    target_db.changed(target, b"copy_to")
    return 1


def _database(ctx: Session, raw: bytes, error: str | None = None) -> Database:
    """The database that `raw` numbers; `error` is the text where it is no number."""
    index = parse_int32(raw, error)
    databases = ctx.engine.databases
    if not 0 <= index < len(databases):
        raise CommandError(DB_OUT_OF_RANGE)
    return databases[index]


@command(
    "MOVE", arity=3, flags="write fast", keys=(1, 1, 1), key_flags="RW access update",
    group="generic", summary="Moves a key to another database.",
)  # fmt: skip
def move(ctx: Session, key: bytes, number: bytes) -> Reply:
    target = _database(ctx, number)
    if target is ctx.db:
        raise CommandError(SAME_OBJECT)
    if key not in ctx.db or key in target:
        return 0
    _transfer(ctx.db, key, target, key, b"move_from", b"move_to")
    return 1


@command(
    "SWAPDB", arity=3, flags="write fast", group="server", since="4.0.0", complexity="O(N)",
    categories="keyspace dangerous", summary="Swaps two Redis databases.",
)  # fmt: skip
def swapdb(ctx: Session, first: bytes, second: bytes) -> Reply:
    one = parse_int32(first, "ERR invalid first DB index")
    other = parse_int32(second, "ERR invalid second DB index")
    databases = ctx.engine.databases
    if not (0 <= one < len(databases) and 0 <= other < len(databases)):
        raise CommandError(DB_OUT_OF_RANGE)
    if one != other:
        databases[one].swap_contents(databases[other])
    ctx.engine.dirty += 1
    return OK


@command(
    "FLUSHDB", arity=-1, flags=_FLUSH_FLAGS, group="server", complexity="O(N)",
    categories="keyspace dangerous", summary="Removes all keys from the current database.",
    tips=("request_policy:all_shards", "response_policy:all_succeeded"),
)  # fmt: skip
def flushdb(ctx: Session, *options: bytes) -> Reply:
    _check_flush_options(options)
    if options and options[0].upper() == b"ASYNC":
        ctx.engine.stats.lazily_freed += len(ctx.db)
    ctx.db.clear()
    ctx.engine.tracking.flushed()
    return OK


@command(
    "FLUSHALL", arity=-1, flags=_FLUSH_FLAGS, group="server", complexity="O(N)",
    categories="keyspace dangerous", summary="Removes all keys from all databases.",
    tips=("request_policy:all_shards", "response_policy:all_succeeded"),
)  # fmt: skip
def flushall(ctx: Session, *options: bytes) -> Reply:
    _check_flush_options(options)
    if options and options[0].upper() == b"ASYNC":
        ctx.engine.stats.lazily_freed += sum(map(len, ctx.engine.databases))
    for database in ctx.engine.databases:
        database.clear()
    ctx.engine.tracking.flushed()
    ctx.engine.saving.flushed()
    return OK


def _check_flush_options(options: tuple[bytes, ...]) -> None:
    """ASYNC and SYNC are the same here: dropping a dict is the interpreter's work."""
    if options and (len(options) > 1 or options[0].upper() not in (b"ASYNC", b"SYNC")):
        raise CommandError(SYNTAX)


@command(
    "DBSIZE", arity=1, flags="readonly fast", group="server", categories="keyspace",
    summary="Returns the number of keys in the database.",
    tips=("request_policy:all_shards", "response_policy:agg_sum"),
)  # fmt: skip
def dbsize(ctx: Session) -> Reply:
    return len(ctx.db)


@command(
    "RANDOMKEY", arity=1, flags="readonly", group="generic",
    summary="Returns a random key name from the database.",
    tips=("request_policy:all_shards", "nondeterministic_output"),
)  # fmt: skip
def randomkey(ctx: Session) -> Reply:
    return random_key(ctx.db)


@command(
    "KEYS", arity=2, flags="readonly", group="generic", complexity="O(N)", categories="dangerous",
    summary="Returns all key names that match a pattern.",
    tips=("request_policy:all_shards", "nondeterministic_output_order"),
)  # fmt: skip
def keys(ctx: Session, pattern: bytes) -> Reply:
    if pattern == b"*":
        return list(ctx.db)
    matches = glob_matcher(pattern)
    return [key for key in ctx.db if matches(key)]


@command(
    "SCAN", arity=-2, flags="readonly", group="generic", since="2.8.0", complexity="O(1) a call",
    summary="Iterates over the key names in the database.",
    tips=("nondeterministic_output", "request_policy:special"),
)  # fmt: skip
def scan(ctx: Session, cursor: bytes, *options: bytes) -> Reply:
    position = parse_cursor(cursor)
    count, pattern, wanted = typed_scan_options(options)
    db = ctx.db
    following, found = db.scan(position, count)
    if pattern is not None:
        found = [key for key in found if pattern(key)]
    if wanted is not None:
        found = [key for key in found if values.type_name(db.peek(key)) == wanted]
    return [b"%d" % following, found]
