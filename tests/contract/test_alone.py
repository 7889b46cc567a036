"""What a server says that has no replicas, no modules and nothing on disk, and INFO's sections."""

from __future__ import annotations

import pytest

from tests.contract.conftest import Server
from tests.raw import ReplyError


def refused(server: Server, *args: str | int) -> str:
    with pytest.raises(ReplyError) as caught:
        server.execute(*args)
    return str(caught.value)


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("FAILOVER",), "ERR FAILOVER requires connected replicas."),
        (("FAILOVER", "FORCE"), "ERR FAILOVER requires connected replicas."),
        (("FAILOVER", "TIMEOUT", 10), "ERR FAILOVER requires connected replicas."),
        (("FAILOVER", "ABORT"), "ERR No failover in progress."),
        (("FAILOVER", "NOW"), "ERR syntax error"),
        (("FAILOVER", "TIMEOUT", "x"), "ERR value is not an integer or out of range"),
        (("FAILOVER", "TO", "a", "b"), "ERR value is not an integer or out of range"),
        (("REPLICAOF", "a", "b"), "ERR Invalid master port"),
        (("SLAVEOF", "a", "65536"), "ERR Invalid master port"),
        (("SLAVEOF", "a"), "ERR wrong number of arguments for 'slaveof' command"),
        (("PSYNC", "?", "x"), "ERR value is not an integer or out of range"),
        (("REPLCONF", "a"), "ERR syntax error"),
        (("REPLCONF", "foo", "bar"), "ERR Unrecognized REPLCONF option: foo"),
        (("REPLCONF", "listening-port", "x"), "ERR value is not an integer or out of range"),
        (("BGSAVE", "x"), "ERR syntax error"),
        (("LASTSAVE", "x"), "ERR wrong number of arguments for 'lastsave' command"),
        (("MODULE", "LOAD"), "ERR wrong number of arguments for 'module|load' command"),
        (
            ("MODULE", "LOAD", "x"),
            (
            'ERR MODULE command not allowed. If the enable-module-command option is set to "local",'
            " you can run it from a local connection, otherwise you need to set this option in the"
            " configuration file, and then restart the server."
            ),
        ),
        (("MODULE", "NOPE"), "ERR unknown subcommand 'NOPE'. Try MODULE HELP."),
        (("SHUTDOWN", "NOPE"), "ERR syntax error"),
        (("SHUTDOWN", "ABORT"), "ERR No shutdown in progress."),
        (("SHUTDOWN", "SAVE", "NOSAVE"), "ERR syntax error"),
        (("SHUTDOWN", "ABORT", "NOW"), "ERR syntax error"),
        (("DEBUG", "RELOAD", "NOPE"),
         "ERR DEBUG RELOAD only supports the MERGE, NOFLUSH and NOSAVE options."),
        (("DEBUG", "PROTOCOL", "push"), "ERR RESP2 is not supported by this command"),
        (("DEBUG", "HTSTATS", 99), "ERR Out of range database"),
        (("DEBUG", "SDSLEN", "missing"), "ERR no such key"),
        (("DEBUG", "QUICKLIST", "missing"), "ERR no such key"),
        (("DEBUG", "CLIENT-EVICTION"), "ERR maxmemory-clients is disabled."),
        (("DEBUG", "REPLYBUFFER", "PEAK-RESET-TIME", "x"),
         "ERR value is not an integer or out of range"),
    ],
)  # fmt: skip
def test_refused(server: Server, args: tuple[str | int, ...], message: str) -> None:
    assert refused(server, *args) == message


@pytest.mark.parametrize("name", ["SHUTDOWN", "SAVE", "SYNC"])
def test_not_inside_a_transaction(server: Server, name: str) -> None:
    server.execute("MULTI")
    assert refused(server, name) == "ERR Command not allowed inside a transaction"
    assert refused(server, "EXEC").startswith("EXECABORT")


def test_a_master_alone(server: Server) -> None:
    assert server.execute("REPLICAOF", "NO", "ONE") == b"OK"
    assert server.execute("SLAVEOF", "no", "one") == b"OK"
    assert server.execute("REPLCONF", "capa", "eof", "listening-port", 1) == b"OK"
    assert server.execute("MODULE", "LIST") == []
    assert isinstance(server.execute("LASTSAVE"), int)
    assert server.execute("MODULE", "HELP")[-1] == b"    Prints this help."


def test_debug_switches(server: Server) -> None:
    server.execute("SET", "key", "value")
    for args in (
        ("SET-SKIP-CHECKSUM-VALIDATION", 1), ("SET-SKIP-CHECKSUM-VALIDATION", 0),
        ("REPLYBUFFER", "RESIZING", 1), ("REPLYBUFFER", "PEAK-RESET-TIME", "RESET"),
        ("PAUSE-CRON", 0), ("AOF-FLUSH-SLEEP", 0), ("LOG", "hello"), ("REPLICATE", "x"),
        ("SET-DISABLE-DENY-SCRIPTS", 0), ("RELOAD",),
    ):  # fmt: skip
        assert server.execute("DEBUG", *args) == b"OK", args
    assert server.execute("GET", "key") == b"value"
    server.execute("RPUSH", "list", "a", "b")
    fields = server.execute("DEBUG", "OBJECT", "list").split()
    assert b"ql_nodes:1" in fields
    assert b"ql_avg_node:2.00" in fields
    assert b"ql_listpack_max:-2" in fields
    assert b"ql_compressed:0" in fields
    assert server.execute("DEBUG", "QUICKLIST", "list").startswith(b"Quicklist structure")
    assert server.execute("DEBUG", "SDSLEN", "key").startswith(b"key_sds_len:3, key_sds_avail:0, ")
    assert b"[Expires HT]" in server.execute("DEBUG", "HTSTATS", 0)


def info(server: Server, *sections: str) -> dict[str, dict[str, str]]:
    """INFO as fields by section, in order."""
    found: dict[str, dict[str, str]] = {}
    for line in server.execute("INFO", *sections).decode().split("\r\n"):
        if line.startswith("# "):
            fields = found[line[2:]] = {}
        elif line:
            name, _, value = line.partition(":")
            fields[name] = value
    return found


DEFAULT = [
    "Server", "Clients", "Memory", "Persistence", "Stats", "Replication", "CPU", "Modules",
    "Errorstats", "Cluster", "Keyspace",
]  # fmt: skip
ALL = [*DEFAULT[:8], "Commandstats", "Errorstats", "Latencystats", "Cluster", "Keyspace"]


def test_the_sections_of_info(server: Server) -> None:
    assert list(info(server)) == DEFAULT
    assert list(info(server, "default")) == DEFAULT
    assert list(info(server, "all")) == ALL
    assert list(info(server, "EVERYTHING")) == ALL
    assert list(info(server, "cpu", "nope", "Stats", "cpu")) == ["Stats", "CPU"]
    assert list(info(server, "commandstats", "default")) == [
        *DEFAULT[:8], "Commandstats", *DEFAULT[8:],
    ]  # fmt: skip
    assert info(server, "nope") == {}


def test_the_fields_of_info(server: Server) -> None:
    wanted = {
        "Clients": "connected_clients cluster_connections maxclients "
        "client_recent_max_input_buffer client_recent_max_output_buffer blocked_clients "
        "tracking_clients clients_in_timeout_table",
        "Stats": "total_connections_received total_commands_processed instantaneous_ops_per_sec "
        "total_net_input_bytes total_net_output_bytes rejected_connections expired_keys "
        "evicted_keys evicted_clients keyspace_hits keyspace_misses pubsub_channels "
        "pubsub_patterns pubsubshard_channels tracking_total_keys unexpected_error_replies "
        "total_error_replies total_reads_processed total_writes_processed",
        "Memory": "used_memory used_memory_human used_memory_rss used_memory_peak "
        "used_memory_peak_perc used_memory_dataset total_system_memory number_of_cached_scripts "
        "number_of_functions number_of_libraries maxmemory maxmemory_policy "
        "mem_fragmentation_ratio mem_clients_normal mem_allocator lazyfreed_objects",
        "Persistence": "loading rdb_changes_since_last_save rdb_bgsave_in_progress "
        "rdb_last_save_time rdb_last_bgsave_status aof_enabled aof_last_write_status",
        "Replication": "role connected_slaves master_replid master_repl_offset "
        "repl_backlog_active repl_backlog_size",
        "CPU": "used_cpu_sys used_cpu_user used_cpu_sys_children used_cpu_user_children",
        "Server": "redis_version redis_mode os arch_bits process_id run_id tcp_port "
        "uptime_in_seconds uptime_in_days hz configured_hz lru_clock executable config_file",
    }
    sections = info(server, "all")
    for section, names in wanted.items():
        assert set(names.split()) <= set(sections[section]), section


def test_counters_of_info(server: Server) -> None:
    server.execute("CONFIG", "RESETSTAT")
    server.execute("SET", "key", 1)
    for args in (("LPUSH", "key", 1), ("NOPE",), ("GET",)):
        refused(server, *args)
    server.execute("GET", "key")
    sections = info(server, "all")
    commands = sections["Commandstats"]
    assert commands["cmdstat_lpush"].startswith("calls=1,usec=")
    assert commands["cmdstat_lpush"].endswith("rejected_calls=0,failed_calls=1")
    assert commands["cmdstat_get"].startswith("calls=1,usec=")
    assert commands["cmdstat_get"].endswith("rejected_calls=1,failed_calls=0")
    assert commands["cmdstat_config|resetstat"].startswith("calls=1,")
    assert sections["Errorstats"] == {
        "errorstat_ERR": "count=2", "errorstat_WRONGTYPE": "count=1",
    }  # fmt: skip
    assert sections["Stats"]["total_error_replies"] == "3"
    assert sections["Stats"]["keyspace_hits"] == "1"


def test_latencystats(server: Server) -> None:
    server.execute("CONFIG", "RESETSTAT")
    server.execute("DEBUG", "SLEEP", "0.02")
    server.execute("CLIENT", "ID")
    line = info(server, "latencystats")["Latencystats"]["latency_percentiles_usec_debug"]
    figures = dict(part.split("=") for part in line.split(","))
    assert list(figures) == ["p50", "p99", "p99.9"]
    assert float(figures["p50"]) >= 20_000
    assert figures["p50"] == figures["p99.9"]
    names = info(server, "latencystats")["Latencystats"]
    assert "latency_percentiles_usec_client|id" in names
    server.execute("CONFIG", "SET", "latency-tracking-info-percentiles", "0 100")
    try:
        line = info(server, "latencystats")["Latencystats"]["latency_percentiles_usec_debug"]
        assert [part.split("=")[0] for part in line.split(",")] == ["p0", "p100"]
    finally:
        server.execute("CONFIG", "SET", "latency-tracking-info-percentiles", "50 99 99.9")


def test_latency_is_tracked_only_where_it_is_wanted(server: Server) -> None:
    server.execute("CONFIG", "RESETSTAT")
    server.execute("CONFIG", "SET", "latency-tracking", "no")
    try:
        server.execute("SET", "key", 1)
        assert server.raw(protocol=3).execute("LATENCY", "HISTOGRAM", "set") == {}
    finally:
        server.execute("CONFIG", "SET", "latency-tracking", "yes")
    server.execute("SET", "key", 1)
    assert server.raw(protocol=3).execute("LATENCY", "HISTOGRAM", "set")[b"set"][b"calls"] == 1


def test_latency_histogram(server: Server) -> None:
    raw = server.raw(protocol=3)
    raw.execute("CONFIG", "RESETSTAT")
    assert list(raw.execute("LATENCY", "HISTOGRAM")) == [b"config|resetstat"]
    for number in range(3):
        raw.execute("SET", "key", number)
    raw.execute("CLIENT", "ID")
    found = raw.execute("LATENCY", "HISTOGRAM", "set", "nope", "client")
    assert list(found) == [b"set", b"client|id"]
    assert found[b"set"][b"calls"] == 3
    steps = found[b"set"][b"histogram_usec"]
    assert max(steps.values()) == 3
    assert list(steps.values()) == sorted(steps.values())
    assert set(steps) <= {1, 2, 4, 8, 16, 33, 66, 132, 264, 528, 1056, 2113, 4227, 8454, 16908}
    assert list(raw.execute("LATENCY", "HISTOGRAM", "client|id")) == [b"client|id"]
    assert raw.execute("LATENCY", "HISTOGRAM", "nope") == {}


def test_a_slow_command_takes_its_place_in_the_histogram(server: Server) -> None:
    raw = server.raw(protocol=3)
    raw.execute("CONFIG", "RESETSTAT")
    raw.execute("DEBUG", "SLEEP", "0.0180")
    steps = raw.execute("LATENCY", "HISTOGRAM", "debug")[b"debug"][b"histogram_usec"]
    (step,) = steps
    # Each step is twice the last; a busy machine sleeps longer.
    assert step in {33816 << n | (1 << n) - 1 for n in range(6)}, step


def test_what_is_freed_lazily_is_counted(server: Server) -> None:
    server.execute("CONFIG", "RESETSTAT")
    server.execute("SADD", "large", *(f"m:{number}" for number in range(200)))
    server.execute("SADD", "small", "a", "b")
    server.execute("SET", "string", "x" * 1000)
    assert server.execute("UNLINK", "large", "small", "string", "missing") == 3
    while info(server, "memory")["Memory"]["lazyfree_pending_objects"] != "0":
        pass
    assert info(server, "memory")["Memory"]["lazyfreed_objects"] == "1"
    server.execute("MSET", "a", 1, "b", 2)
    server.execute("FLUSHALL", "ASYNC")
    while info(server, "memory")["Memory"]["lazyfree_pending_objects"] != "0":
        pass
    assert info(server, "memory")["Memory"]["lazyfreed_objects"] == "3"
