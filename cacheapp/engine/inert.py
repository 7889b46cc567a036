"""Parameters of Redis that change nothing here: cluster, threads, the kernel.

Tools and test suites set them and read them back, so they are checked as Redis checks them, kept
and returned. They are no options of a memory:// URL, where one that does nothing is a mistake.
Of `lazyfree-lazy-…` only the word changes by which a deletion goes to replicas and into the log.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

from cacheapp.engine.errors import ConfigError
from cacheapp.engine.parameter import (
    INT_MAX,
    LONG_MAX,
    Parameter,
    Parse,
    choice,
    integer,
    memory,
    octal,
    parse_boolean,
    parse_shutdown,
)

_HOSTNAME_CHARACTERS_MAX = 256
_TITLE_VARIABLES = frozenset(
    {"title", "listen-addr", "server-mode", "port", "tls-port", "unixsocket", "config-file"}
)

# Yes or no, by default no.
_SWITCHES_OFF = """
activedefrag aof-disable-auto-gc aof-timestamp-enabled
cluster-allow-reads-when-down cluster-replica-no-failover=cluster-slave-no-failover
lazyfree-lazy-eviction lazyfree-lazy-expire lazyfree-lazy-server-del lazyfree-lazy-user-del
lazyfree-lazy-user-flush no-appendfsync-on-rewrite rdb-del-sync-files repl-disable-tcp-nodelay
replica-ignore-disk-write-errors replica-lazy-flush=slave-lazy-flush
tls-cluster tls-prefer-server-ciphers tls-replication
"""
_SWITCHES_ON = """
activerehashing aof-rewrite-incremental-fsync aof-use-rdb-preamble
cluster-allow-pubsubshard-when-down cluster-allow-replica-migration cluster-require-full-coverage
crash-log-enabled crash-memcheck-enabled dynamic-hz jemalloc-bg-thread
rdb-save-incremental-fsync repl-diskless-sync tls-session-caching
"""
_FIXED_SWITCHES_OFF = (
    "always-show-logo cluster-enabled daemonize io-threads-do-reads syslog-enabled"
)
_FIXED_SWITCHES_ON = "disable-thp set-proc-title"

# Any text, by default none.
_TEXTS = """
cluster-announce-ip ignore-warnings
tls-ca-cert-dir tls-ca-cert-file tls-cert-file tls-ciphers tls-ciphersuites tls-client-cert-file
tls-client-key-file tls-client-key-file-pass tls-dh-params-file tls-key-file tls-key-file-pass
tls-protocols
"""
_FIXED_TEXTS = """
aof_rewrite_cpulist bgsave_cpulist bio_cpulist logfile pidfile server_cpulist
"""

# Name, least, most, default.
_INTEGERS: tuple[tuple[str, int, int, int], ...] = (
    ("active-defrag-cycle-max", 1, 99, 25),
    ("active-defrag-cycle-min", 1, 99, 1),
    ("active-defrag-max-scan-fields", 1, LONG_MAX, 1000),
    ("active-defrag-threshold-lower", 0, 1000, 10),
    ("active-defrag-threshold-upper", 0, 1000, 100),
    ("cluster-announce-bus-port", 0, 65535, 0),
    ("cluster-announce-port", 0, 65535, 0),
    ("cluster-announce-tls-port", 0, 65535, 0),
    ("cluster-migration-barrier", 0, INT_MAX, 1),
    ("cluster-node-timeout", 0, LONG_MAX, 15000),
    ("list-compress-depth", 0, INT_MAX, 0),
    ("cluster-replica-validity-factor=cluster-slave-validity-factor", 0, INT_MAX, 10),
    ("maxmemory-eviction-tenacity", 0, 100, 10),
    ("repl-diskless-sync-delay", 0, INT_MAX, 5),
    ("repl-diskless-sync-max-replicas", 0, INT_MAX, 0),
    ("shutdown-timeout", 0, INT_MAX, 10),
    ("tls-port", 0, 65535, 0),
    ("tls-session-cache-size", 0, INT_MAX, 20480),
    ("tls-session-cache-timeout", 0, INT_MAX, 300),
)
_FIXED_INTEGERS: tuple[tuple[str, int, int, int], ...] = (
    ("cluster-port", 0, 65535, 0),
    ("io-threads", 1, 128, 1),
    ("socket-mark-id", 0, 2**32 - 1, 0),
    ("tcp-backlog", 0, INT_MAX, 511),
)
_HIDDEN_INTEGERS: tuple[tuple[str, int, int, int], ...] = (
    ("key-load-delay", -(2**31), INT_MAX, 0),
    ("loading-process-events-interval-bytes", 1024, INT_MAX, 2 * 1024**2),
    ("rdb-key-save-delay", -(2**31), INT_MAX, 0),
    ("watchdog-period", 0, INT_MAX, 0),
)

# Name, words (the first is the default).
_CHOICES: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    (
        "cluster-preferred-endpoint-type",
        "ip",
        ("ip", "hostname", "unknown-endpoint"),
    ),
    ("loglevel", "notice", ("debug", "verbose", "notice", "warning")),
    ("propagation-error-behavior", "ignore", ("ignore", "panic", "panic-on-replicas")),
    ("repl-diskless-load", "disabled", ("disabled", "on-empty-db", "swapdb")),
    ("sanitize-dump-payload", "no", ("no", "yes", "clients")),
    ("tls-auth-clients", "yes", ("no", "yes", "optional")),
)


def _parse_activedefrag(text: str) -> bool:
    if parse_boolean(text):
        raise ConfigError(
            "Active defragmentation cannot be enabled: it requires a Redis server compiled with a "
            "modified Jemalloc like the one shipped by default with the Redis source distribution"
        )
    return False


def _parse_oom_values(text: str) -> str:
    words = text.split(" ")
    if len(words) != 3:
        raise ConfigError("wrong number of arguments")
    for word in words:
        if not re.fullmatch(r"[-+]?[0-9]+", word) or abs(int(word)) > 2000:
            raise ConfigError(
                "Invalid oom-score-adj-values, elements must be between -2000 and 2000."
            )
    return " ".join(str(int(word)) for word in words)


def _parse_hostname(text: str) -> str:
    if len(text) >= _HOSTNAME_CHARACTERS_MAX:
        raise ConfigError(f"Hostnames must be less than {_HOSTNAME_CHARACTERS_MAX} characters")
    if not re.fullmatch(r"[A-Za-z0-9.-]*", text):
        raise ConfigError("Hostnames may only contain alphanumeric characters, hyphens or dots")
    return text


def _parse_title(text: str) -> str:
    plain = re.sub(r"\{([^{}]*)\}", lambda match: "" if match[1] in _TITLE_VARIABLES else "{", text)
    if "{" in plain or "}" in plain:
        raise ConfigError("template format is invalid or contains unknown variables")
    return text


def _named(words: str, default: str, parse: Parse, *, mutable: bool = True) -> Iterable[Parameter]:
    """A row for each word: a name, or a name and its alias with an equals sign between."""
    for word in words.split():
        name, _, alias = word.partition("=")
        yield Parameter(name, default, parse, mutable=mutable, alias=alias)


def _specials() -> Iterable[Parameter]:
    """Rows that are checked in a way of their own."""
    special: tuple[tuple[str, str, Parse], ...] = (
        ("activedefrag", "no", _parse_activedefrag),
        ("cluster-announce-hostname", "", _parse_hostname),
        ("oom-score-adj-values", "0 200 800", _parse_oom_values),
        ("proc-title-template", "{title} {listen-addr} {server-mode}", _parse_title),
        ("shutdown-on-sigint", "default", parse_shutdown),
        ("shutdown-on-sigterm", "default", parse_shutdown),
        ("active-defrag-ignore-bytes", "100mb", memory(1)),
        ("cluster-link-sendbuf-limit", "0", memory(0)),
    )
    for name, default, parse in special:
        yield Parameter(name, default, parse)
    adjustments = choice("no", "yes", "relative", "absolute", same={"relative": "yes"})
    yield Parameter("oom-score-adj", "no", adjustments)
    yield Parameter("use-exit-on-panic", "no", parse_boolean, hidden=True)
    fixed: tuple[tuple[str, str, Parse], ...] = (
        ("cluster-config-file", "nodes.conf", str),
        ("enable-module-command", "no", choice("no", "yes", "local")),
        ("enable-protected-configs", "no", choice("no", "yes", "local")),
        ("supervised", "no", choice("upstart", "systemd", "auto", "no")),
        ("syslog-facility", "local0", choice("user", *(f"local{n}" for n in range(8)))),
        ("syslog-ident", "redis", str),
    )
    for name, default, parse in fixed:
        yield Parameter(name, default, parse, mutable=False)
    mode: Callable[[int], str] = "{:o}".format
    yield Parameter("unixsocketperm", "0", octal(0o777), mutable=False, show=mode)
    yield Parameter("lua-enable-deprecated-api", "no", parse_boolean, mutable=False, hidden=True)


def inert_rows() -> Iterable[Parameter]:
    """Every parameter that is kept and returned, and has no effect."""
    yield from _named(_SWITCHES_OFF, "no", parse_boolean)
    yield from _named(_SWITCHES_ON, "yes", parse_boolean)
    yield from _named(_FIXED_SWITCHES_OFF, "no", parse_boolean, mutable=False)
    yield from _named(_FIXED_SWITCHES_ON, "yes", parse_boolean, mutable=False)
    yield from _named(_TEXTS, "", str)
    yield from _named(_FIXED_TEXTS, "", str, mutable=False)
    for words, low, high, default in _INTEGERS:
        yield from _named(words, str(default), integer(low, high))
    for words, low, high, default in _FIXED_INTEGERS:
        yield from _named(words, str(default), integer(low, high), mutable=False)
    for name, low, high, default in _HIDDEN_INTEGERS:
        yield Parameter(name, str(default), integer(low, high), hidden=True)
    for name, first, words_allowed in _CHOICES:
        yield Parameter(name, first, choice(*words_allowed))
    yield from _specials()
