"""DUMP and RESTORE: a key's value as bytes that Redis understands, and back.

The formats are `engine/persistence`'s. What a payload of another make holds beyond our types is
"Bad data format", as is what Redis would take on trust and trip over later.
"""

from __future__ import annotations

from cacheapp.engine.arguments import INT64_MAX, parse_int
from cacheapp.engine.errors import (
    BAD_CHECKSUM,
    BAD_DATA_FORMAT,
    BUSY_KEY,
    SYNTAX,
    CommandError,
)
from cacheapp.engine.fieldexpiry import expect_fields
from cacheapp.engine.frequency import LFU_MAX, lfu_number
from cacheapp.engine.persistence.encoding import CorruptPayload
from cacheapp.engine.persistence.payloads import dump_value, is_intact, restored_value
from cacheapp.engine.registry import command
from cacheapp.engine.replies import OK, Reply
from cacheapp.engine.session import Session


@command(
    "DUMP", arity=2, flags="readonly", keys=(1, 1, 1), key_flags="RO access", group="generic",
    since="2.6.0", complexity="O(1) to access the key and O(N*M) to serialize it",
    summary="Returns a serialized representation of the value stored at a key.",
    tips=("nondeterministic_output",),
)  # fmt: skip
def dump(ctx: Session, key: bytes) -> Reply:
    value = ctx.db.get(key)
    return None if value is None else dump_value(value, ctx.engine.config)


@command(
    "RESTORE", arity=-4, flags="write denyoom", keys=(1, 1, 1), key_flags="OW update",
    group="generic", since="2.6.0", complexity="O(1) to create the key and O(N*M) to rebuild it",
    categories="dangerous", summary="Creates a key from the serialized representation of a value.",
)  # fmt: skip
@command(
    "RESTORE-ASKING", arity=-4, flags="write denyoom asking", keys=(1, 1, 1),
    key_flags="OW update", group="server", since="3.0.0", categories="keyspace dangerous",
    complexity="O(1) to create the key and O(N*M) to rebuild it",
    summary="An internal command for migrating keys in a cluster.",
)  # fmt: skip
def restore(ctx: Session, key: bytes, ttl: bytes, payload: bytes, *options: bytes) -> Reply:
    engine, db = ctx.engine, ctx.db
    replace, absolute, idle, frequency = _restore_options(options)
    if not replace and key in db:
        raise CommandError(BUSY_KEY)
    deadline = parse_int(ttl)
    if deadline < 0:
        raise CommandError("ERR Invalid TTL value, must be >= 0")
    if not is_intact(payload, verify=engine.verify_checksums):
        raise CommandError(BAD_CHECKSUM)
    try:
        value = restored_value(payload, engine.config)
    except CorruptPayload:
        raise CommandError(BAD_DATA_FORMAT) from None
    replaced = db.discard(key)
    if deadline and not absolute:
        deadline += engine.now_ms
    # What overflows is negative in C, hence in the past.
    if deadline and (deadline <= engine.now_ms or deadline > INT64_MAX):
        if replaced:
            db.changed(key, b"del")
        return OK
    db.put(key, value)
    expect_fields(db, key, value)
    if deadline:
        db.set_deadline(key, deadline)
    if frequency is not None and engine.lfu:
        db.accesses[db.slots[key]] = lfu_number(engine.now, frequency)
    elif idle is not None and not engine.lfu:
        db.accesses[db.slots[key]] = engine.now - idle
    db.changed(key, b"restore")
    return OK


def _restore_options(
    options: tuple[bytes, ...],
) -> tuple[bool, bool, int | None, int | None]:
    """Whether to replace, whether the TTL is a time; seconds of idleness, and a use counter."""
    replace = absolute = False
    idle: int | None = None
    frequency: int | None = None
    words = list(reversed(options))
    while words:
        option = words.pop().upper()
        if option == b"REPLACE":
            replace = True
        elif option == b"ABSTTL":
            absolute = True
        elif option == b"IDLETIME" and words and frequency is None:
            idle = parse_int(words.pop())
            if idle < 0:
                raise CommandError("ERR Invalid IDLETIME value, must be >= 0")
        elif option == b"FREQ" and words and idle is None:
            frequency = parse_int(words.pop())
            if not 0 <= frequency <= LFU_MAX:
                raise CommandError("ERR Invalid FREQ value, must be >= 0 and <= 255")
        else:
            raise CommandError(SYNTAX)
    return replace, absolute, idle, frequency
