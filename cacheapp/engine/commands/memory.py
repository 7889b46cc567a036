"""MEMORY: what keys weigh, and the engine among them.

Sizes are the engine's own account of its keys. What the process takes besides belongs to Python
and to others, so allocator figures are those of the process as a whole, and MALLOC-STATS says
that there are none.
"""

from __future__ import annotations

import gc
import resource

from cacheapp.engine import values
from cacheapp.engine.arguments import parse_int
from cacheapp.engine.errors import SYNTAX, CommandError
from cacheapp.engine.registry import command, container
from cacheapp.engine.replies import OK, Reply, Verbatim, help_reply
from cacheapp.engine.session import Session

container("MEMORY", group="server", since="4.0.0", summary="A container for memory diagnostics.")

_HELP = """
DOCTOR
    Return memory problems reports.
MALLOC-STATS
    Return internal statistics report from the memory allocator.
PURGE
    Attempt to purge dirty pages for reclamation by the allocator.
STATS
    Return information about the memory usage of the server.
USAGE <key> [SAMPLES <count>]
    Return memory in bytes used by <key> and its value. Nested values are
    sampled up to <count> times (default: 5, 0 means sample all).
"""
_TIPS = ("nondeterministic_output", "request_policy:all_shards", "response_policy:special")
# From here on the doctor warns.
_NEARLY_FULL = 0.9


@command(
    "MEMORY|USAGE", arity=-3, flags="readonly", keys=(2, 2, 1), key_flags="RO", group="server",
    since="4.0.0", complexity="O(N) in the samples",
    summary="Estimates the memory usage of a key.",
)  # fmt: skip
def memory_usage(ctx: Session, key: bytes, *options: bytes) -> Reply:
    samples = 5
    if options:
        if len(options) != 2 or options[0].upper() != b"SAMPLES":
            raise CommandError(SYNTAX)
        samples = parse_int(options[1])
        if samples < 0:
            raise CommandError(SYNTAX)
    value = ctx.db.peek(key)
    return None if value is None else values.entry_bytes(key, value, samples)


@command(
    "MEMORY|STATS", arity=2, group="server", since="4.0.0", tips=_TIPS, shaped=True,
    summary="Returns details about memory usage.",
)  # fmt: skip
def memory_stats(ctx: Session) -> Reply:
    engine = ctx.engine
    keys = sum(len(database) for database in engine.databases)
    used = engine.used_memory()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return {
        b"peak.allocated": peak,
        b"total.allocated": used,
        b"replication.backlog": 0,
        b"aof.buffer": 0,
        b"keys.count": keys,
        b"keys.bytes-per-key": used // keys if keys else 0,
        b"dataset.bytes": used,
        b"dataset.percentage": 100.0 if used else 0.0,
        b"peak.percentage": used * 100 / peak,
    }


@command(
    "MEMORY|DOCTOR", arity=2, group="server", since="4.0.0", tips=_TIPS, shaped=True,
    summary="Outputs a memory problems report.",
)  # fmt: skip
def memory_doctor(ctx: Session) -> Reply:
    used, limit = ctx.engine.used_memory(), ctx.engine.config["maxmemory"]
    if not any(len(database) for database in ctx.engine.databases):
        report = "This instance is empty.\n"
    elif not limit:
        report = f"The keys take about {used} bytes. There is no limit (maxmemory 0).\n"
    elif used < limit * _NEARLY_FULL:
        report = f"No problem was found: the keys take {used} of {limit} bytes.\n"
    else:
        report = (
            f"The keys take {used} of {limit} bytes. At the limit the engine follows "
            f"{ctx.engine.config['maxmemory-policy']}; {ctx.engine.stats.evicted_keys} keys were "
            "evicted so far.\n"
        )
    return Verbatim(report.encode())


@command(
    "MEMORY|PURGE", arity=2, group="server", since="4.0.0", summary="Asks for memory back.",
    tips=("request_policy:all_shards", "response_policy:all_succeeded"),
)  # fmt: skip
def memory_purge(_ctx: Session) -> Reply:
    gc.collect()
    return OK


@command(
    "MEMORY|MALLOC-STATS", arity=2, group="server", since="4.0.0", tips=_TIPS, shaped=True,
    summary="Returns the allocator statistics.",
)  # fmt: skip
def memory_malloc_stats(_ctx: Session) -> Reply:
    return Verbatim(b"Stats not supported for the current allocator")


@command(
    "MEMORY|HELP", arity=2, flags="loading stale", group="server", since="4.0.0",
    summary="Returns helpful text about the different subcommands.",
)  # fmt: skip
def memory_help(_ctx: Session) -> Reply:
    return help_reply("MEMORY", _HELP)
