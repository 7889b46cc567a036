"""INFO: the engine about itself, section by section, in Redis's order and with its names.

A figure of something that does not exist here (replicas, forks, defragmentation) is the one that a
redis-server prints that does not use it. Fields about the build (gcc_version and the like) are
left out.
"""

from __future__ import annotations

import os
import platform
import resource
import sys
import threading
from collections.abc import Callable
from typing import Any

from cacheapp.engine import process
from cacheapp.engine.following import CONNECTED, SYNC, Following
from cacheapp.engine.parameter import format_percentile
from cacheapp.engine.registry import command
from cacheapp.engine.replies import Reply, Verbatim
from cacheapp.engine.sampling import average_ttl_ms
from cacheapp.engine.session import Session
from cacheapp.engine.version import REDIS_VERSION

Section = dict[str, Any]


def _server(ctx: Session) -> Section:
    engine = ctx.engine
    uptime = max(0, int(engine.now - engine.started))
    return {
        "redis_version": REDIS_VERSION,
        "redis_git_sha1": "00000000",
        "redis_git_dirty": 0,
        "redis_build_id": "cacheapp",
        "redis_mode": "standalone",
        "os": f"{platform.system()} {platform.release()} {platform.machine()}",
        "arch_bits": 64 if sys.maxsize > 2**32 else 32,
        "process_id": os.getpid(),
        "process_supervised": "no",
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
        "io_threads_active": 0,
    }


def _clients(ctx: Session) -> Section:
    engine = ctx.engine
    fronts = [session.front.fields() for session in engine.sessions.values() if session.front]
    return {
        "connected_clients": len(engine.sessions),
        "cluster_connections": 0,
        "maxclients": engine.config["maxclients"],
        "client_recent_max_input_buffer": max((front["qbuf"] for front in fronts), default=0),
        "client_recent_max_output_buffer": max((front["omem"] for front in fronts), default=0),
        "blocked_clients": len(engine.waiters.by_session) + len(engine.pause.kept),
        "tracking_clients": engine.tracking.clients,
        "clients_in_timeout_table": engine.waiters.timed,
    }


def _memory(ctx: Session) -> Section:
    engine, config = ctx.engine, ctx.engine.config
    used, resident = engine.used_memory(), process.resident_bytes()
    peak = engine.peak_bytes
    clients = engine.clients_memory()
    total, limit = process.machine_bytes(), config["maxmemory"]
    ratio = resident / used if used else 0.0
    return {
        "used_memory": used,
        "used_memory_human": _human(used),
        "used_memory_rss": resident,
        "used_memory_rss_human": _human(resident),
        "used_memory_peak": peak,
        "used_memory_peak_human": _human(peak),
        "used_memory_peak_perc": f"{used * 100 / peak if peak else 0:.2f}%",
        "used_memory_overhead": clients,
        "used_memory_startup": 0,
        "used_memory_dataset": used - clients,
        "used_memory_dataset_perc": f"{(used - clients) * 100 / used if used else 0:.2f}%",
        "process_peak_rss": process.peak_resident_bytes(),
        "allocator_allocated": used,
        "allocator_active": resident,
        "allocator_resident": resident,
        "total_system_memory": total,
        "total_system_memory_human": _human(total),
        **_scripts(ctx),
        "maxmemory": limit,
        "maxmemory_human": _human(limit),
        "maxmemory_policy": config["maxmemory-policy"],
        "allocator_frag_ratio": "1.00",
        "allocator_frag_bytes": 0,
        "allocator_rss_ratio": "1.00",
        "allocator_rss_bytes": 0,
        "rss_overhead_ratio": "1.00",
        "rss_overhead_bytes": 0,
        "mem_fragmentation_ratio": f"{ratio:.2f}",
        "mem_fragmentation_bytes": resident - used,
        "mem_not_counted_for_evict": 0,
        "mem_replication_backlog": len(engine.replicas.backlog),
        "mem_total_replication_buffers": 0,
        "mem_clients_slaves": 0,
        "mem_clients_normal": clients,
        "mem_cluster_links": 0,
        "mem_aof_buffer": 0,
        "mem_allocator": "python",
        "active_defrag_running": 0,
        "lazyfree_pending_objects": 0,
        "lazyfreed_objects": engine.stats.lazily_freed,
    }


def _scripts(ctx: Session) -> Section:
    """What scripts take. Lua's own memory is not known."""
    engine = ctx.engine
    return {
        "used_memory_lua": 0,
        "used_memory_vm_eval": 0,
        "used_memory_lua_human": _human(0),
        "used_memory_scripts_eval": 0,
        "number_of_cached_scripts": len(engine.scripts),
        "number_of_functions": len(engine.functions),
        "number_of_libraries": len(engine.functions.libraries),
        "used_memory_vm_functions": 0,
        "used_memory_vm_total": 0,
        "used_memory_vm_total_human": _human(0),
        "used_memory_functions": 0,
        "used_memory_scripts": 0,
        "used_memory_scripts_human": _human(0),
    }


def _human(size_bytes: int) -> str:
    """A number of bytes as INFO prints it for people."""
    if size_bytes < 1024:
        return f"{size_bytes}B"
    power = min(5, (size_bytes.bit_length() - 1) // 10)
    return f"{size_bytes / 1024**power:.2f}{'KMGTP'[power - 1]}"


def _persistence(ctx: Session) -> Section:
    return ctx.engine.saving.info()


def _stats(ctx: Session) -> Section:
    engine, stats = ctx.engine, ctx.engine.stats
    commands, inward, outward = stats.rates.per_second(engine.now)
    return {
        "total_connections_received": stats.connections_received,
        "total_commands_processed": stats.commands_processed,
        "instantaneous_ops_per_sec": int(commands),
        "total_net_input_bytes": stats.net_input_bytes,
        "total_net_output_bytes": stats.net_output_bytes,
        "total_net_repl_input_bytes": 0,
        "total_net_repl_output_bytes": 0,
        "instantaneous_input_kbps": f"{inward / 1024:.2f}",
        "instantaneous_output_kbps": f"{outward / 1024:.2f}",
        "instantaneous_input_repl_kbps": "0.00",
        "instantaneous_output_repl_kbps": "0.00",
        "rejected_connections": stats.connections_rejected,
        "sync_full": stats.full_syncs,
        "sync_partial_ok": stats.partial_syncs,
        "sync_partial_err": stats.refused_partial_syncs,
        "expired_keys": stats.expired_keys,
        "expired_subkeys": stats.expired_subkeys,
        "expired_stale_perc": "0.00",
        "expired_time_cap_reached_count": 0,
        "expire_cycle_cpu_milliseconds": int(stats.expire_cycle_ms),
        "evicted_keys": stats.evicted_keys,
        "evicted_clients": stats.evicted_clients,
        "total_eviction_exceeded_time": 0,
        "current_eviction_exceeded_time": 0,
        "keyspace_hits": stats.keyspace_hits,
        "keyspace_misses": stats.keyspace_misses,
        "pubsub_channels": len(engine.pubsub.channels),
        "pubsub_patterns": len(engine.pubsub.patterns),
        "pubsubshard_channels": len(engine.pubsub.shard_channels),
        "latest_fork_usec": 0,
        "total_forks": 0,
        "migrate_cached_sockets": 0,
        "slave_expires_tracked_keys": 0,
        "active_defrag_hits": 0,
        "active_defrag_misses": 0,
        "active_defrag_key_hits": 0,
        "active_defrag_key_misses": 0,
        "total_active_defrag_time": 0,
        "current_active_defrag_time": 0,
        "tracking_total_keys": len(engine.tracking.keys),
        "tracking_total_items": engine.tracking.items,
        "tracking_total_prefixes": engine.tracking.prefixes,
        "unexpected_error_replies": 0,
        "total_error_replies": sum(stats.errors.values()),
        "dump_payload_sanitizations": 0,
        "total_reads_processed": stats.reads,
        "total_writes_processed": stats.writes,
        "io_threaded_reads_processed": 0,
        "io_threaded_writes_processed": 0,
        "reply_buffer_shrinks": 0,
        "reply_buffer_expands": 0,
    }


def _replication(ctx: Session) -> Section:
    engine = ctx.engine
    replicas, config = engine.replicas, engine.config
    online = replicas.online()
    following = engine.following
    section: Section = {"role": "master" if following is None else "slave"}
    if following is not None:
        section |= _following(following, ctx)
    section["connected_slaves"] = len(online)
    if config["min-replicas-to-write"] and config["min-replicas-max-lag"]:
        section["min_slaves_good_slaves"] = replicas.good()
    for number, session in enumerate(online):
        replica = replicas.by_session[session]
        lag = int(engine.now - replica.heard) if replica.heard else 0
        section[f"slave{number}"] = (
            f"ip={replica.address or session.host},port={replica.port},state=online,"
            f"offset={replica.offset},lag={lag}"
        )
    kept = len(replicas.backlog)
    section |= {
        "master_failover_state": "no-failover",
        "master_replid": engine.replication_id if following is None else following.replication_id,
        "master_replid2": "0" * 40,
        "master_repl_offset": replicas.offset if following is None else following.offset,
        "second_repl_offset": -1,
        "repl_backlog_active": int(replicas.is_active),
        "repl_backlog_size": config["repl-backlog-size"],
        "repl_backlog_first_byte_offset": replicas.offset - kept + 1 if replicas.is_active else 0,
        "repl_backlog_histlen": kept,
    }
    return section


def _following(following: Following, ctx: Session) -> Section:
    """What a replica says of its master."""
    engine = ctx.engine
    config, state = engine.config, following.state
    is_up = state == CONNECTED
    section: Section = {
        "master_host": following.host,
        "master_port": following.port,
        "master_link_status": "up" if is_up else "down",
        "master_last_io_seconds_ago": int(engine.now - following.heard) if is_up else -1,
        "master_sync_in_progress": int(state == SYNC),
        "slave_read_repl_offset": following.offset,
        "slave_repl_offset": following.offset,
    }
    if not is_up:
        section["master_link_down_since_seconds"] = int(engine.now - following.down_since)
    section |= {
        "slave_priority": config["replica-priority"],
        "slave_read_only": int(config["replica-read-only"]),
        "replica_announced": int(config["replica-announced"]),
    }
    return section


def _cpu(_ctx: Session) -> Section:
    own = resource.getrusage(resource.RUSAGE_SELF)
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    section = {
        "used_cpu_sys": f"{own.ru_stime:.6f}",
        "used_cpu_user": f"{own.ru_utime:.6f}",
        "used_cpu_sys_children": f"{children.ru_stime:.6f}",
        "used_cpu_user_children": f"{children.ru_utime:.6f}",
    }
    # Linux knows it by thread; the figures are those of the main thread only if asked from it.
    here = threading.current_thread() is threading.main_thread()
    if here and hasattr(resource, "RUSAGE_THREAD"):
        main = resource.getrusage(resource.RUSAGE_THREAD)
        section["used_cpu_sys_main_thread"] = f"{main.ru_stime:.6f}"
        section["used_cpu_user_main_thread"] = f"{main.ru_utime:.6f}"
    return section


def _modules(_ctx: Session) -> Section:
    return {}


def _commandstats(ctx: Session) -> Section:
    return {
        f"cmdstat_{name}": f"calls={stat.calls},usec={int(stat.usec)},usec_per_call="
        f"{stat.usec / stat.calls if stat.calls else 0:.2f},rejected_calls={stat.rejected},"
        f"failed_calls={stat.failed}"
        for name, stat in ctx.engine.stats.commands.items()
        if stat.calls or stat.rejected or stat.failed
    }


def _errorstats(ctx: Session) -> Section:
    errors = ctx.engine.stats.errors
    return {f"errorstat_{code}": f"count={count}" for code, count in sorted(errors.items())}


def _latencystats(ctx: Session) -> Section:
    percents = ctx.engine.config["latency-tracking-info-percentiles"]
    return {
        f"latency_percentiles_usec_{name}": ",".join(
            f"p{format_percentile(percent)}={stat.histogram.percentile(percent) / 1000:.3f}"
            for percent in percents
        )
        for name, stat in ctx.engine.stats.commands.items()
        if stat.histogram is not None
    }


def _cluster(_ctx: Session) -> Section:
    return {"cluster_enabled": 0}


def _keyspace(ctx: Session) -> Section:
    return {
        f"db{db.index}": f"keys={len(db)},expires={db.volatile},avg_ttl={average_ttl_ms(db)},"
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
    "latencystats": _latencystats,
    "cluster": _cluster,
    "keyspace": _keyspace,
}
_TITLES = {"cpu": "CPU"}
_NOT_BY_DEFAULT = frozenset({"commandstats", "latencystats"})


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
