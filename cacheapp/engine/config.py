"""The engine's parameters: CONFIG's table, its kinds of values, and its error texts.

One row a parameter, by its redis.conf name. Values are kept parsed, for the engine, and printed
back in Redis's form for CONFIG GET. Parameters that tune what does not exist (replication,
threads) are left out on purpose: CONFIG GET does not find them, as in a build of Redis that lacks
them.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from cacheapp.engine.errors import ConfigError

_MEMORY = re.compile(r"(-?[0-9]+)([a-z]*)\Z", re.IGNORECASE)
_UNITS = {
    "": 1,
    "b": 1,
    "k": 1000,
    "kb": 1024,
    "m": 1000**2,
    "mb": 1024**2,
    "g": 1000**3,
    "gb": 1024**3,
}

# Redis's letters for keyspace events, in the order in which CONFIG GET prints them back.
EVENT_LETTERS = "g$lshzxetdmnKE"
EVENTS_ALL = frozenset("g$lshzxetd")

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


def parse_memory(text: str) -> int:
    """Bytes from "256mb", "1gb", "1000"; k, m, g are powers of 1000, kb, mb, gb of 1024."""
    match = _MEMORY.match(text)
    if match is None or match[2].lower() not in _UNITS or match[1].startswith("-"):
        raise ConfigError("argument must be a memory value")
    value = int(match[1]) * _UNITS[match[2].lower()]
    if value >= 2**63:
        raise ConfigError("argument must be a memory value")
    return value


def parse_boolean(text: str) -> bool:
    """True for "yes", False for "no", in any case."""
    if text.lower() not in ("yes", "no"):
        raise ConfigError("argument must be 'yes' or 'no'")
    return text.lower() == "yes"


def parse_events(text: str) -> frozenset[str]:
    """The classes of keyspace events that a flag string such as "KEA" names."""
    flags: set[str] = set()
    for letter in text:
        if letter == "A":
            flags |= EVENTS_ALL
        elif letter in EVENT_LETTERS:
            flags.add(letter)
        else:
            raise ConfigError("Invalid event class character. Use 'Ag$lshzxeKEtmdn'.")
    return frozenset(flags)


def format_events(flags: frozenset[str]) -> str:
    """The flag string that CONFIG GET prints for `flags`."""
    shown = set(flags)
    prefix = ""
    if shown >= EVENTS_ALL:
        prefix, shown = "A", shown - EVENTS_ALL
    return prefix + "".join(letter for letter in EVENT_LETTERS if letter in shown)


def _integer(low: int, high: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        if not re.fullmatch(r"-?[0-9]+", text) or not -(2**63) <= int(text) < 2**63:
            raise ConfigError("argument couldn't be parsed into an integer")
        if not low <= int(text) <= high:
            raise ConfigError(f"argument must be between {low} and {high} inclusive")
        return int(text)

    return parse


def _memory(low: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        value = parse_memory(text)
        if value < low:
            raise ConfigError(f"argument must be between {low} and {2**63 - 1} inclusive")
        return value

    return parse


def _clamped(low: int, high: int) -> Callable[[str], int]:
    parse_any = _integer(-(2**63), 2**63 - 1)
    return lambda text: min(high, max(low, parse_any(text)))


_CLIENT_CLASSES = {"normal": "normal", "slave": "slave", "replica": "slave", "pubsub": "pubsub"}


def parse_output_limits(text: str) -> dict[str, tuple[int, int, int]]:
    """Hard bytes, soft bytes and soft seconds by class from "normal 0 0 0 pubsub 32mb 8mb 60".

    Classes that are not named are not in the answer; a change leaves them as they are.
    """
    words = text.split()
    if len(words) % 4 or not words:
        raise ConfigError("Wrong number of arguments in buffer limit configuration.")
    limits = {}
    for name, *numbers in zip(*[iter(words)] * 4, strict=True):
        if name.lower() not in _CLIENT_CLASSES:
            raise ConfigError("Invalid client class specified in buffer limit configuration.")
        try:
            hard, soft = map(parse_memory, numbers[:2])
            seconds = int(numbers[2])
        except ValueError:
            seconds = -1
        if seconds < 0:
            raise ConfigError(
                "Error in hard, soft or soft_seconds setting in buffer limit configuration."
            )
        limits[_CLIENT_CLASSES[name.lower()]] = (hard, soft, seconds)
    return limits


def format_output_limits(limits: Mapping[str, tuple[int, int, int]]) -> str:
    """The limits as CONFIG GET prints them."""
    return " ".join(
        f"{name} {hard} {soft} {seconds}" for name, (hard, soft, seconds) in limits.items()
    )


def _choice(*names: str, unlisted: tuple[str, ...] = ()) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if text.lower() not in (*names, *unlisted):
            listed = ", ".join(names)
            raise ConfigError(f"argument(s) must be one of the following: {listed}")
        return text.lower()

    return parse


def _printed(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value)


@dataclass(frozen=True, slots=True)
class Parameter:
    """A row: how a text becomes a value and back; `mutable` says whether CONFIG SET may."""

    name: str
    default: str
    parse: Callable[[str], Any]
    mutable: bool = True
    alias: str = ""
    show: Callable[[Any], str] = _printed
    secret: bool = False
    help: str = ""


def _rows() -> Iterable[Parameter]:
    int32, int64 = 2**31 - 1, 2**63 - 1
    size = _integer(0, int64)
    yield Parameter(
        "databases", "16", _integer(1, int32), mutable=False, help="number of databases"
    )
    yield Parameter("maxmemory", "0", parse_memory, help="limit in bytes; 0 for none")
    yield Parameter(
        "maxmemory-policy",
        "noeviction",
        _choice(*POLICIES, unlisted=OWN_POLICIES),
        help="what to evict at the limit",
    )
    yield Parameter("maxmemory-samples", "5", _integer(1, int32), help="keys compared an eviction")
    yield Parameter("lfu-log-factor", "10", _integer(0, int32), help="how slowly counters grow")
    yield Parameter("lfu-decay-time", "1", _integer(0, int32), help="minutes to lose one count")
    yield Parameter(
        "notify-keyspace-events", "", parse_events, show=format_events, help="classes of events"
    )
    for kind, entries in (("hash", "512"), ("zset", "128")):
        for suffix, default in (("entries", entries), ("value", "64")):
            yield Parameter(
                f"{kind}-max-listpack-{suffix}",
                default,
                size if suffix == "entries" else _memory(0),
                alias=f"{kind}-max-ziplist-{suffix}",
                help=f"above it a {kind} leaves the packed encoding",
            )
    yield Parameter(
        "list-max-listpack-size",
        "-2",
        _integer(-(2**31), int32),
        alias="list-max-ziplist-size",
        help="size of a quicklist node, for OBJECT and DEBUG",
    )
    yield Parameter("list-compress-depth", "0", _integer(0, int32), help="kept for compatibility")
    yield Parameter("set-max-intset-entries", "512", size, help="above it a set leaves intset")
    yield Parameter("stream-node-max-entries", "100", size, help="entries of a stream node")
    yield Parameter("stream-node-max-bytes", "4096", parse_memory, help="bytes of a stream node")
    yield Parameter("hll-sparse-max-bytes", "3000", _memory(0), help="above it a counter is dense")
    yield Parameter("proto-max-bulk-len", "536870912", _memory(2**20), help="largest string")
    yield Parameter("active-expire-effort", "1", _integer(1, 10), help="share of time for expiry")
    yield Parameter("hz", "10", _clamped(1, 500), help="ticks a second")
    yield Parameter(
        "lua-time-limit", "5000", _integer(0, int64), alias="busy-reply-threshold",
        help="milliseconds before a script counts as slow",
    )  # fmt: skip
    yield Parameter("slowlog-log-slower-than", "10000", _integer(-1, int64), help="microseconds")
    yield Parameter("slowlog-max-len", "128", size, help="entries kept")
    yield Parameter("latency-monitor-threshold", "0", size, help="milliseconds; 0 watches nothing")
    yield Parameter("requirepass", "", str, secret=True, help="password of the default user")
    yield Parameter(
        "enable-debug-command", "no", _choice("no", "yes", "local"), mutable=False,
        help="whether DEBUG works",
    )  # fmt: skip
    yield Parameter("appendonly", "no", _choice("no"), mutable=False, help="no persistence yet")
    yield Parameter("save", "", _choice(""), mutable=False, help="no persistence yet")


def _front_rows() -> Iterable[Parameter]:
    """What only the TCP front (`cacheapp.server`) reads; kept here so that CONFIG knows it."""
    int32 = 2**31 - 1
    yield Parameter("bind", "", str, mutable=False, help="addresses to listen at")
    yield Parameter("port", "0", _integer(0, 65535), mutable=False, help="TCP port; 0 for none")
    yield Parameter("unixsocket", "", str, mutable=False, help="path to listen at")
    yield Parameter("protected-mode", "yes", parse_boolean, help="no strangers without a password")
    yield Parameter("maxclients", "10000", _integer(1, 2**32 - 1), help="connections at once")
    yield Parameter("timeout", "0", _integer(0, int32), help="idle seconds; 0 for ever")
    yield Parameter("tcp-keepalive", "300", _integer(0, int32), help="seconds; 0 for none")
    yield Parameter(
        "client-output-buffer-limit",
        "normal 0 0 0 slave 268435456 67108864 60 pubsub 33554432 8388608 60",
        parse_output_limits,
        show=format_output_limits,
        help="bytes of replies that a client may leave unread, by class",
    )
    yield Parameter(
        "client-query-buffer-limit", "1073741824", parse_memory, help="bytes of one request"
    )


# What an engine has in any front, which is what a memory:// URL may say.
ENGINE_PARAMETERS: dict[str, Parameter] = {row.name: row for row in _rows()}
PARAMETERS: dict[str, Parameter] = {
    **ENGINE_PARAMETERS,
    **{row.name: row for row in _front_rows()},
}
ALIASES: dict[str, str] = {row.alias: row.name for row in PARAMETERS.values() if row.alias}


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
        self.values: dict[str, Any] = {
            name: row.parse(row.default) for name, row in PARAMETERS.items()
        }
        self._listeners: list[Callable[[frozenset[str]], None]] = []
        self.update(parse_options(options or {}))

    def __getitem__(self, name: str) -> Any:
        return self.values[name]

    def subscribe(self, listener: Callable[[frozenset[str]], None]) -> None:
        """Call `listener(names)` after values changed."""
        self._listeners.append(listener)

    def show(self, name: str) -> str:
        """The value of `name` as CONFIG GET prints it."""
        return PARAMETERS[name].show(self.values[name])

    def update(self, values: Mapping[str, Any]) -> None:
        """Take over parsed values, all at once, and tell the listeners."""
        for name, value in values.items():
            if isinstance(value, dict):
                # Limits by class: those that are not named stay.
                value = {**self.values[name], **value}
            self.values[name] = value
        for listener in self._listeners:
            listener(frozenset(values))
