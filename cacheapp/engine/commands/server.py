"""TIME and INFO: the engine about itself."""

from __future__ import annotations

import os
import platform
import resource
import sys
from collections.abc import Callable
from typing import Any

from cacheapp.engine.registry import command
from cacheapp.engine.replies import Reply, Verbatim
from cacheapp.engine.session import Session
from cacheapp.engine.version import REDIS_VERSION

Section = dict[str, Any]


@command(
    "TIME", arity=1, flags="loading stale fast", group="server", since="2.6.0",
    summary="Returns the server time.", tips=("nondeterministic_output",),
)  # fmt: skip
def time(ctx: Session) -> Reply:
    microseconds = int(ctx.engine.now * 1_000_000)
    return [b"%d" % (microseconds // 1_000_000), b"%d" % (microseconds % 1_000_000)]


def _server(ctx: Session) -> Section:
    engine = ctx.engine
    uptime = max(0, int(engine.now - engine.started))
    return {
        "redis_version": REDIS_VERSION,
        "redis_mode": "standalone",
        "os": f"{platform.system()} {platform.release()} {platform.machine()}",
        "arch_bits": 64 if sys.maxsize > 2**32 else 32,
        "process_id": os.getpid(),
        "run_id": engine.run_id,
        "tcp_port": engine.config["port"],
        "server_time_usec": int(engine.now * 1_000_000),
        "uptime_in_seconds": uptime,
        "uptime_in_days": uptime // 86400,
        "hz": engine.config["hz"],
        "configured_hz": engine.config["hz"],
        "lru_clock": int(engine.now) & 0xFFFFFF,
        "executable": sys.executable,
        "config_file": "",
    }


def _clients(ctx: Session) -> Section:
    return {
        "connected_clients": len(ctx.engine.sessions),
        "tracking_clients": ctx.engine.tracking.clients,
        "blocked_clients": len(ctx.engine.waiters.by_session),
    }


def _memory(ctx: Session) -> Section:
    config = ctx.engine.config
    used = ctx.engine.used_memory()
    peak_bytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return {
        "used_memory": used,
        "used_memory_human": _human(used),
        "process_peak_rss": peak_bytes,
        "maxmemory": config["maxmemory"],
        "maxmemory_human": _human(config["maxmemory"]),
        "maxmemory_policy": config["maxmemory-policy"],
        "mem_allocator": "python",
    }


def _human(size_bytes: int) -> str:
    """A number of bytes as INFO prints it for people."""
    if size_bytes < 1024:
        return f"{size_bytes}B"
    power = min(5, (size_bytes.bit_length() - 1) // 10)
    return f"{size_bytes / 1024**power:.2f}{'KMGTP'[power - 1]}"


def _persistence(ctx: Session) -> Section:
    return {
        "loading": 0,
        "rdb_changes_since_last_save": ctx.engine.dirty,
        "rdb_bgsave_in_progress": 0,
        "aof_enabled": 0,
        "aof_rewrite_in_progress": 0,
    }


def _stats(ctx: Session) -> Section:
    engine = ctx.engine
    stats = engine.stats
    return {
        "total_connections_received": stats.connections_received,
        "total_commands_processed": stats.commands_processed,
        "expired_subkeys": stats.expired_subkeys,
        "expired_keys": stats.expired_keys,
        "expire_cycle_cpu_milliseconds": int(stats.expire_cycle_ms),
        "evicted_keys": stats.evicted_keys,
        "keyspace_hits": stats.keyspace_hits,
        "keyspace_misses": stats.keyspace_misses,
        "pubsub_channels": len(engine.pubsub.channels),
        "pubsub_patterns": len(engine.pubsub.patterns),
        "tracking_total_keys": len(engine.tracking.keys),
        "tracking_total_items": engine.tracking.items,
        "tracking_total_prefixes": engine.tracking.prefixes,
        "total_error_replies": sum(stats.errors.values()),
    }


def _replication(ctx: Session) -> Section:
    return {
        "role": "master",
        "connected_slaves": 0,
        "master_failover_state": "no-failover",
        "master_replid": ctx.engine.replication_id,
        "master_replid2": "0" * 40,
        "master_repl_offset": 0,
        "second_repl_offset": -1,
        "repl_backlog_active": 0,
    }


def _cpu(_ctx: Session) -> Section:
    own = resource.getrusage(resource.RUSAGE_SELF)
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return {
        "used_cpu_sys": f"{own.ru_stime:.6f}",
        "used_cpu_user": f"{own.ru_utime:.6f}",
        "used_cpu_sys_children": f"{children.ru_stime:.6f}",
        "used_cpu_user_children": f"{children.ru_utime:.6f}",
    }


def _modules(_ctx: Session) -> Section:
    return {}


def _commandstats(ctx: Session) -> Section:
    return {
        f"cmdstat_{name}": f"calls={stat.calls},usec={int(stat.usec)},usec_per_call="
        f"{stat.usec / stat.calls if stat.calls else 0:.2f},rejected_calls={stat.rejected},"
        f"failed_calls={stat.failed}"
        for name, stat in ctx.engine.stats.commands.items()
        if stat.calls or stat.rejected
    }


def _errorstats(ctx: Session) -> Section:
    errors = ctx.engine.stats.errors
    return {f"errorstat_{code}": f"count={count}" for code, count in errors.items()}


def _cluster(_ctx: Session) -> Section:
    return {"cluster_enabled": 0}


def _keyspace(ctx: Session) -> Section:
    return {
        f"db{db.index}": f"keys={len(db)},expires={db.volatile},avg_ttl={db.average_ttl_ms()},"
        f"subexpiry={len(db.field_deadlines or ())}"
        for db in ctx.engine.databases
        if len(db)
    }


_SECTIONS: dict[str, Callable[[Session], Section]] = {
    "server": _server,
    "clients": _clients,
    "memory": _memory,
    "persistence": _persistence,
    "stats": _stats,
    "replication": _replication,
    "cpu": _cpu,
    "modules": _modules,
    "commandstats": _commandstats,
    "errorstats": _errorstats,
    "cluster": _cluster,
    "keyspace": _keyspace,
}
_TITLES = {"cpu": "CPU"}
_NOT_BY_DEFAULT = frozenset({"commandstats"})


@command(
    "INFO", arity=-1, flags="loading stale", group="server", categories="dangerous",
    summary="Returns information and statistics about the server.", shaped=True,
    tips=("nondeterministic_output", "request_policy:all_shards", "response_policy:special"),
)  # fmt: skip
def info(ctx: Session, *wanted: bytes) -> Reply:
    names = {raw.decode("utf-8", "replace").lower() for raw in wanted} or {"default"}
    if names & {"all", "everything"}:
        names.update(_SECTIONS)
    if "default" in names:
        names.update(set(_SECTIONS) - _NOT_BY_DEFAULT)
    ctx.engine.stats.settle()
    parts = []
    for name, section in _SECTIONS.items():
        if name in names:
            lines = [f"# {_TITLES.get(name, name.capitalize())}"]
            lines += [f"{field}:{value}" for field, value in section(ctx).items()]
            parts.append("\r\n".join(lines) + "\r\n")
    return Verbatim("\r\n".join(parts).encode("utf-8", "surrogateescape"))
