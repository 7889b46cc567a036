"""OBJECT: how a value is kept, how often and when it was used."""

from __future__ import annotations

from cacheapp.engine import values
from cacheapp.engine.errors import CommandError
from cacheapp.engine.frequency import lfu_counter
from cacheapp.engine.registry import command, container
from cacheapp.engine.replies import Reply, help_reply
from cacheapp.engine.session import Session

container("OBJECT", group="generic", since="2.2.3", summary="A container for object introspection.")

_POLICY_CHANGE = (
    "Please note that when switching between policies at runtime LRU and LFU data will take some "
    "time to adjust."
)
# What Redis answers for the small integers that all keys share.
_SHARED_REFERENCES = 2**31 - 1
_SHARED_INTEGERS = 10_000

_OBJECT_HELP = """
ENCODING <key>
    Return the kind of internal representation used in order to store the value
    associated with a <key>.
FREQ <key>
    Return the access frequency index of the <key>. The returned integer is
    proportional to the logarithm of the recent access frequency of the key.
IDLETIME <key>
    Return the idle time of the <key>, that is the approximated number of
    seconds elapsed since the last access to the key.
REFCOUNT <key>
    Return the number of references of the value associated with the specified
    <key>.
"""


@command(
    "OBJECT|ENCODING", arity=3, flags="readonly", keys=(2, 2, 1), key_flags="RO", group="generic",
    since="2.2.3", summary="Returns the internal encoding of a Redis object.",
    tips=("nondeterministic_output",),
)  # fmt: skip
def object_encoding(ctx: Session, key: bytes) -> Reply:
    value = ctx.db.peek(key)
    return None if value is None else values.encoding(value, ctx.engine.config)


@command(
    "OBJECT|FREQ", arity=3, flags="readonly", keys=(2, 2, 1), key_flags="RO", group="generic",
    since="4.0.0", summary="Returns the logarithmic access frequency counter of a Redis object.",
    tips=("nondeterministic_output",),
)  # fmt: skip
def object_freq(ctx: Session, key: bytes) -> Reply:
    if ctx.db.peek(key) is None:
        return None
    engine = ctx.engine
    if not engine.lfu:
        raise CommandError(
            "ERR An LFU maxmemory policy is not selected, access frequency not tracked. "
            + _POLICY_CHANGE
        )
    return lfu_counter(ctx.db.access(key), engine.now, engine.config["lfu-decay-time"])


@command(
    "OBJECT|IDLETIME", arity=3, flags="readonly", keys=(2, 2, 1), key_flags="RO", group="generic",
    since="2.2.3", summary="Returns the time since the last access to a Redis object.",
    tips=("nondeterministic_output",),
)  # fmt: skip
def object_idletime(ctx: Session, key: bytes) -> Reply:
    if ctx.db.peek(key) is None:
        return None
    engine = ctx.engine
    if engine.lfu:
        raise CommandError(
            "ERR An LFU maxmemory policy is selected, idle time not tracked. " + _POLICY_CHANGE
        )
    return max(0, int(engine.now - ctx.db.access(key)))


@command(
    "OBJECT|REFCOUNT", arity=3, flags="readonly", keys=(2, 2, 1), key_flags="RO", group="generic",
    since="2.2.3", summary="Returns the reference count of a value of a key.",
    tips=("nondeterministic_output",),
)  # fmt: skip
def object_refcount(ctx: Session, key: bytes) -> Reply:
    value = ctx.db.peek(key)
    if value is None:
        return None
    config = ctx.engine.config
    if values.encoding(value, config) == b"int" and 0 <= int(value) < _SHARED_INTEGERS:
        policy = config["maxmemory-policy"]
        if not config["maxmemory"] or not policy.endswith(("-lru", "-lfu")):
            return _SHARED_REFERENCES
    return 1


@command(
    "OBJECT|HELP", arity=2, flags="loading stale", group="generic", since="6.2.0",
    summary="Returns helpful text about the different subcommands.",
)  # fmt: skip
def object_help(_ctx: Session) -> Reply:
    return help_reply("OBJECT", _OBJECT_HELP)
