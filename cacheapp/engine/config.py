"""The engine's parameters: CONFIG's table of what does something here, and the current values.

One row a parameter, by its redis.conf name. Values are kept parsed, for the engine, and printed
back in Redis's form for CONFIG GET. `parameter` has the kinds of values, `inert` the parameters
of Redis that have no meaning here.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from cacheapp.engine.errors import ConfigError
from cacheapp.engine.inert import inert_rows
from cacheapp.engine.parameter import (
    INT_MAX,
    LONG_MAX,
    Parameter,
    choice,
    clamped,
    format_events,
    format_output_limits,
    format_percentiles,
    format_share,
    integer,
    memory,
    parse_boolean,
    parse_events,
    parse_master,
    parse_memory,
    parse_output_limits,
    parse_percentiles,
    parse_share,
)
from cacheapp.engine.persistence.settings import file_rows, log_rows

__all__ = [
    "ALIASES",
    "ENGINE_ALIASES",
    "ENGINE_PARAMETERS",
    "PARAMETERS",
    "POLICIES",
    "Config",
    "Parameter",
    "Refusal",
    "parameter",
    "parse_memory",
    "parse_options",
]

POLICIES = (
    "volatile-lru",
    "volatile-lfu",
    "volatile-random",
    "volatile-ttl",
    "allkeys-lru",
    "allkeys-lfu",
    "allkeys-random",
    "noeviction",
)


# Policies of our own (see `tinylfu`): accepted, and left out of the error that lists Redis's.
OWN_POLICIES = ("allkeys-tinylfu",)


def _rows() -> Iterable[Parameter]:
    size = integer(0, LONG_MAX)
    yield Parameter(
        "databases", "16", integer(1, INT_MAX), mutable=False, help="number of databases"
    )
    yield Parameter("maxmemory", "0", parse_memory, help="limit in bytes; 0 for none")
    yield Parameter(
        "maxmemory-policy",
        "noeviction",
        choice(*POLICIES, unlisted=OWN_POLICIES),
        help="what to evict at the limit",
    )
    yield Parameter("maxmemory-samples", "5", integer(1, INT_MAX), help="keys compared an eviction")
    yield Parameter("lfu-log-factor", "10", integer(0, INT_MAX), help="how slowly counters grow")
    yield Parameter("lfu-decay-time", "1", integer(0, INT_MAX), help="minutes to lose one count")
    yield Parameter(
        "notify-keyspace-events", "", parse_events, show=format_events, help="classes of events"
    )
    yield Parameter("proto-max-bulk-len", "536870912", memory(2**20), help="largest string")
    yield Parameter("active-expire-effort", "1", integer(1, 10), help="share of time for expiry")
    yield Parameter("hz", "10", clamped(1, 500), help="ticks a second")
    yield Parameter(
        "lua-time-limit", "5000", integer(0, LONG_MAX), alias="busy-reply-threshold",
        help="milliseconds before a script counts as slow",
    )  # fmt: skip
    yield Parameter("slowlog-log-slower-than", "10000", integer(-1, LONG_MAX), help="microseconds")
    yield Parameter("slowlog-max-len", "128", size, help="entries kept")
    yield Parameter("latency-monitor-threshold", "0", size, help="milliseconds; 0 watches nothing")
    yield Parameter(
        "tracking-table-max-keys", "1000000", size, help="keys remembered for clients; 0: all"
    )
    yield Parameter("requirepass", "", str, secret=True, help="password of the default user")
    yield Parameter(
        "enable-debug-command", "no", choice("no", "yes", "local"), mutable=False,
        help="whether DEBUG works",
    )  # fmt: skip
    yield Parameter("latency-tracking", "yes", parse_boolean, help="whether commands are timed")
    yield Parameter(
        "latency-tracking-info-percentiles",
        "50 99 99.9",
        parse_percentiles,
        show=format_percentiles,
        help="what INFO latencystats shows",
    )


def _encoding_rows() -> Iterable[Parameter]:
    """Where a value leaves its packed form, for OBJECT ENCODING and DEBUG."""
    size = integer(0, LONG_MAX)
    for kind, entries in (("hash", "512"), ("zset", "128")):
        for suffix, default in (("entries", entries), ("value", "64")):
            yield Parameter(
                f"{kind}-max-listpack-{suffix}",
                default,
                size if suffix == "entries" else memory(0),
                alias=f"{kind}-max-ziplist-{suffix}",
                help=f"above it a {kind} leaves the packed encoding",
            )
    yield Parameter(
        "list-max-listpack-size",
        "-2",
        integer(-(2**31), INT_MAX),
        alias="list-max-ziplist-size",
        help="size of a quicklist node, for OBJECT and DEBUG",
    )
    yield Parameter("set-max-intset-entries", "512", size, help="above it a set leaves intset")
    yield Parameter("stream-node-max-entries", "100", size, help="entries of a stream node")
    yield Parameter("stream-node-max-bytes", "4096", parse_memory, help="bytes of a stream node")
    yield Parameter("hll-sparse-max-bytes", "3000", memory(0), help="above it a counter is dense")
    yield Parameter("rdbcompression", "yes", parse_boolean, help="whether DUMP compresses strings")


def _acl_rows() -> Iterable[Parameter]:
    yield Parameter("aclfile", "", str, mutable=False, help="file of users for ACL LOAD and SAVE")
    yield Parameter("acllog-max-len", "128", integer(0, 2**63 - 1), help="entries of ACL LOG kept")
    yield Parameter(
        "acl-pubsub-default", "resetchannels", choice("allchannels", "resetchannels"),
        help="channels of new users",
    )  # fmt: skip


def _front_rows() -> Iterable[Parameter]:
    """What only the TCP front (`cacheapp.server`) reads; kept here so that CONFIG knows it."""
    yield Parameter("bind", "", str, help="addresses to listen at")
    yield Parameter("port", "0", integer(0, 65535), help="TCP port; 0 for none")
    yield Parameter("unixsocket", "", str, mutable=False, help="path to listen at")
    yield Parameter("protected-mode", "yes", parse_boolean, help="no strangers without a password")
    yield Parameter("maxclients", "10000", integer(1, 2**32 - 1), help="connections at once")
    yield Parameter("timeout", "0", integer(0, INT_MAX), help="idle seconds; 0 for ever")
    yield Parameter("tcp-keepalive", "300", integer(0, INT_MAX), help="seconds; 0 for none")
    yield Parameter(
        "client-output-buffer-limit",
        "normal 0 0 0 slave 268435456 67108864 60 pubsub 33554432 8388608 60",
        parse_output_limits,
        show=format_output_limits,
        help="bytes of replies that a client may leave unread, by class",
    )
    yield Parameter(
        "client-query-buffer-limit", "1073741824", memory(2**20), help="bytes of one request"
    )
    yield Parameter(
        "maxmemory-clients",
        "0",
        parse_share,
        show=format_share,
        help="bytes of all clients' buffers, or a share of maxmemory; 0 for no limit",
    )


def _replica_rows() -> Iterable[Parameter]:
    """What the TCP front reads about being a replica, and about replicas of its own."""
    yield Parameter(
        "replicaof", "", parse_master, mutable=False, alias="slaveof",
        help="host and port of the master to follow",
    )  # fmt: skip
    yield Parameter("bind-source-addr", "", str, help="address to connect to the master from")
    yield Parameter("masterauth", "", str, secret=True, help="password to give to the master")
    yield Parameter("masteruser", "", str, secret=True, help="user to log in as there")
    switches = (
        ("read-only", "whether a replica refuses writes"),
        ("serve-stale-data", "whether it answers while its master is out of reach"),
        ("ignore-maxmemory", "whether it evicts nothing on its own"),
    )
    for name, help_ in switches:
        yield Parameter(
            f"replica-{name}", "yes", parse_boolean, alias=f"slave-{name}", help=help_
        )  # fmt: skip
    yield Parameter(
        "replica-priority", "100", integer(0, INT_MAX), alias="slave-priority",
        help="what Sentinel goes by; INFO says it",
    )  # fmt: skip
    yield Parameter("replica-announced", "yes", parse_boolean, help="whether Sentinel lists it")
    yield Parameter(
        "replica-announce-ip", "", str, alias="slave-announce-ip", help="its address, to the master"
    )
    yield Parameter(
        "replica-announce-port", "0", integer(0, 65535), alias="slave-announce-port",
        help="its port, to the master; 0: the one that it listens at",
    )  # fmt: skip
    yield Parameter(
        "min-replicas-to-write", "0", integer(0, INT_MAX), alias="min-slaves-to-write",
        help="replicas without which writes are refused",
    )  # fmt: skip
    yield Parameter(
        "min-replicas-max-lag", "10", integer(0, INT_MAX), alias="min-slaves-max-lag",
        help="seconds after which a silent replica does not count for that",
    )  # fmt: skip
    yield Parameter(
        "repl-ping-replica-period", "10", integer(1, INT_MAX), alias="repl-ping-slave-period",
        help="seconds between two PINGs to replicas",
    )  # fmt: skip
    yield Parameter("repl-timeout", "60", integer(1, INT_MAX), help="seconds; drops a silent one")
    yield Parameter("repl-backlog-size", "1mb", memory(1), help="bytes kept for one that returns")
    yield Parameter(
        "repl-backlog-ttl", "3600", integer(0, LONG_MAX), help="seconds without any until it goes"
    )


# What an engine has in any front, which is what a memory:// URL may say.
ENGINE_PARAMETERS: dict[str, Parameter] = {
    row.name: row for row in (*_rows(), *_encoding_rows(), *_acl_rows(), *file_rows(), *log_rows())
}
PARAMETERS: dict[str, Parameter] = {
    **{row.name: row for row in inert_rows()},
    **ENGINE_PARAMETERS,
    **{row.name: row for row in (*_front_rows(), *_replica_rows())},
}
ENGINE_ALIASES: dict[str, str] = {
    row.alias: row.name for row in ENGINE_PARAMETERS.values() if row.alias
}
ALIASES: dict[str, str] = {row.alias: row.name for row in PARAMETERS.values() if row.alias}
_DEFAULTS = {name: row.parse(row.default) for name, row in PARAMETERS.items()}


class Refusal(ConfigError):
    """A value that was understood and cannot be put into effect; `name` is its parameter."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(reason)
        self.name = name


def parameter(name: str) -> Parameter:
    """The row of `name` or of its alias; ConfigError names the nearest known one."""
    lowered = name.lower()
    row = PARAMETERS.get(ALIASES.get(lowered, lowered))
    if row is None:
        near = difflib.get_close_matches(lowered, PARAMETERS, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise ConfigError(f"the engine has no parameter {name!r}{hint}")
    return row


def parse_options(options: Mapping[str, str]) -> dict[str, Any]:
    """Parsed values for `options`; ConfigError says which parameter refused what."""
    values = {}
    for name, text in options.items():
        row = parameter(name)
        try:
            values[row.name] = row.parse(text)
        except ConfigError as error:
            raise ConfigError(f"parameter {name!r} cannot be {text!r}: {error}") from None
    return values


class Config:
    """Current values by name, and who is to be told when one changes."""

    __slots__ = ("_listeners", "values")

    def __init__(self, options: Mapping[str, str] | None = None) -> None:
        self.values: dict[str, Any] = dict(_DEFAULTS)
        self._listeners: list[Callable[[frozenset[str]], None]] = []
        self.update(parse_options(options or {}))

    def __getitem__(self, name: str) -> Any:
        return self.values[name]

    def subscribe(self, listener: Callable[[frozenset[str]], None]) -> None:
        """Call `listener(names)` after values changed; it may raise Refusal."""
        self._listeners.append(listener)

    def show(self, name: str) -> str:
        """The value of `name` as CONFIG GET prints it."""
        return PARAMETERS[name].show(self.values[name])

    def update(self, values: Mapping[str, Any]) -> None:
        """Take over parsed values, all at once, and tell the listeners.

        Raises the Refusal of a listener, after the former values have been put back.
        """
        former = {name: self.values[name] for name in values}
        for name, value in values.items():
            if isinstance(value, dict):
                # Limits by class: those that are not named stay.
                value = {**self.values[name], **value}
            self.values[name] = value
        names = frozenset(values)
        try:
            self._tell(names)
        except Refusal:
            self.values.update(former)
            self._tell(names)
            raise

    def _tell(self, names: frozenset[str]) -> None:
        for listener in self._listeners:
            listener(names)
