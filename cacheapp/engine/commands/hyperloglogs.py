"""HyperLogLog: PFADD, PFCOUNT, PFMERGE, and the two that look inside.

The key is a string in Redis's own layout (see `structures.hyperloglog`), held as a bytearray. Any
other string is refused by its header, one with broken runs when they are walked. PFCOUNT of one
key writes the cardinality into the string, as in Redis, so it counts as a change.
"""

from __future__ import annotations

import random

from cacheapp.engine.errors import CORRUPTED_HYPERLOGLOG, NOT_A_HYPERLOGLOG, CommandError, text
from cacheapp.engine.keyspecs import key_at, keys_at
from cacheapp.engine.registry import command
from cacheapp.engine.replies import OK, Reply, Status
from cacheapp.engine.session import Session
from cacheapp.engine.structures import hyperloglog
from cacheapp.engine.structures.hyperloglog import CorruptedError
from cacheapp.engine.values import STRING

# What PFSELFTEST draws: states of all registers, and elements counted; sparse up to here.
_TEST_STATES = 100
_TEST_ELEMENTS = 10_000
_TEST_SPARSE_BYTES = 3000


def _checked(value: bytes | bytearray | int) -> bytes | bytearray:
    if isinstance(value, int) or not hyperloglog.is_hyperloglog(value):
        raise CommandError(NOT_A_HYPERLOGLOG)
    return value


def _writable(ctx: Session, key: bytes, value: bytes | bytearray) -> bytearray:
    """`value`, which is at `key`, as a bytearray that is there."""
    if isinstance(value, bytearray):
        return value
    buffer = bytearray(value)
    ctx.db.put(key, buffer, keep_deadline=True)
    return buffer


def _registers(data: bytes | bytearray) -> bytes:
    try:
        return hyperloglog.registers(data)
    except CorruptedError:
        raise CommandError(CORRUPTED_HYPERLOGLOG) from None


@command(
    "PFADD", arity=-2, flags="write denyoom fast", keys=(1, 1, 1), key_flags="RW insert",
    group="hyperloglog", since="2.8.9", complexity="O(1) an element",
    summary="Adds elements to a HyperLogLog key. Creates the key if it doesn't exist.",
)  # fmt: skip
def pfadd(ctx: Session, key: bytes, *elements: bytes) -> Reply:
    found = ctx.db.edit(key, STRING)
    warmth = ctx.engine.warmth
    if (
        len(elements) == 1
        and (shown := warmth.counters.get(key)) is not None
        and type(found) is bytearray
        and shown.holds(found, elements[0])
    ):
        return 0
    if found is None:
        data = hyperloglog.create()
        ctx.db.put(key, data)
    else:
        data = _writable(ctx, key, _checked(found))
    limit = ctx.engine.config["hll-sparse-max-bytes"]
    try:
        grown = [hyperloglog.add(data, element, limit) for element in elements]
    except CorruptedError:
        raise CommandError(CORRUPTED_HYPERLOGLOG) from None
    if found is not None and not any(grown):
        if warmth.left and hyperloglog.is_sparse(data):
            warmth.show(key, data)
        return 0
    hyperloglog.expire_count(data)
    ctx.db.changed(key, b"pfadd")
    return 1


@command(
    "PFCOUNT", arity=-2, flags="readonly",
    keys=keys_at(1, -1, 1, "RW access", note="The count that it caches may be renewed."),
    group="hyperloglog", since="2.8.9", complexity="O(N) for N keys; of one key often O(1)",
    summary="Returns about how many different elements HyperLogLog keys have seen in all.",
)  # fmt: skip
def pfcount(ctx: Session, *keys: bytes) -> Reply:
    if len(keys) > 1:
        # One after the other: the first key that is not right decides on the error.
        found = (ctx.db.read(key, STRING) for key in keys)
        several = [_registers(_checked(value)) for value in found if value is not None]
        return hyperloglog.count(hyperloglog.highest(several))
    [key] = keys
    value = ctx.db.read(key, STRING)
    if value is None:
        return 0
    data = _writable(ctx, key, _checked(value))
    cardinality = hyperloglog.cached_count(data)
    if cardinality is None:
        cardinality = hyperloglog.count(_registers(data))
        hyperloglog.cache_count(data, cardinality)
        ctx.db.changed(key)
    return cardinality


@command(
    "PFMERGE", arity=-2, flags="write denyoom",
    keys=(key_at(1, "RW access insert"), keys_at(2, -1, 1, "RO access")), group="hyperloglog",
    since="2.8.9", complexity="O(N) for N keys",
    summary="Merges HyperLogLog values into the first key, which takes part if it exists.",
)  # fmt: skip
def pfmerge(ctx: Session, target: bytes, *sources: bytes) -> Reply:
    several, dense = [], False
    for key in (target, *sources):
        value = ctx.db.read(key, STRING)
        if value is not None:
            several.append(_registers(_checked(value)))
            dense = dense or not hyperloglog.is_sparse(value)
    found = ctx.db.edit(target, STRING)
    if found is None:
        data = hyperloglog.create()
        ctx.db.put(target, data)
    else:
        data = _writable(ctx, target, found)
    if dense:
        hyperloglog.make_dense(data)
    values = hyperloglog.highest(several)
    hyperloglog.raise_to(data, values, ctx.engine.config["hll-sparse-max-bytes"])
    hyperloglog.expire_count(data)
    ctx.db.changed(target, b"pfadd")
    return OK


@command(
    "PFDEBUG", arity=3, flags="write denyoom admin", keys=(2, 2, 1), key_flags="RW access",
    group="hyperloglog", since="2.8.9", complexity="O(N)",
    summary="Shows the registers, the encoding or the runs of a HyperLogLog, or makes it dense.",
)  # fmt: skip
def pfdebug(ctx: Session, subcommand: bytes, key: bytes) -> Reply:
    value = ctx.db.edit(key, STRING)
    if value is None:
        raise CommandError("ERR The specified key does not exist")
    data = _writable(ctx, key, _checked(value))
    name = subcommand.upper()
    if name in (b"GETREG", b"TODENSE"):
        try:
            converted = hyperloglog.make_dense(data)
        except CorruptedError:
            raise CommandError(CORRUPTED_HYPERLOGLOG) from None
        return list(hyperloglog.registers(data)) if name == b"GETREG" else int(converted)
    if name == b"ENCODING":
        return Status(b"sparse" if hyperloglog.is_sparse(data) else b"dense")
    if name == b"DECODE":
        if not hyperloglog.is_sparse(data):
            raise CommandError("ERR HLL encoding is not sparse")
        return hyperloglog.decode(data)
    raise CommandError(f"ERR Unknown PFDEBUG subcommand '{text(subcommand)}'")


@command(
    "PFSELFTEST", arity=1, flags="admin", group="hyperloglog", since="2.8.9", complexity="O(1)",
    summary="Tests the registers of both encodings and the error of the estimate.",
)  # fmt: skip
def pfselftest(_ctx: Session) -> Reply:
    for _ in range(_TEST_STATES):
        values = bytes(random.choices(range(64), k=64)) * (hyperloglog.REGISTERS // 64)
        data = hyperloglog.create()
        hyperloglog.raise_to(data, values, _TEST_SPARSE_BYTES)
        if hyperloglog.registers(data) != values:
            raise CommandError("ERR TESTFAILED Registers do not hold what was written")
    sparse, dense = hyperloglog.create(), hyperloglog.create()
    hyperloglog.make_dense(dense)
    salt = random.randbytes(8)
    for number in range(_TEST_ELEMENTS):
        element = salt + b"%d" % number
        hyperloglog.add(sparse, element, _TEST_SPARSE_BYTES)
        hyperloglog.add(dense, element, _TEST_SPARSE_BYTES)
    if hyperloglog.registers(sparse) != hyperloglog.registers(dense):
        raise CommandError("ERR TESTFAILED Sparse and dense registers disagree")
    # Eight standard errors of 1.04 / sqrt(registers).
    error = abs(hyperloglog.count(hyperloglog.registers(dense)) - _TEST_ELEMENTS)
    if error > _TEST_ELEMENTS * 8 * 1.04 / hyperloglog.REGISTERS**0.5:
        raise CommandError(f"ERR TESTFAILED Too big error: {error} of {_TEST_ELEMENTS}")
    return OK
