"""Counters that INFO prints. Plain attributes: they are touched on every command."""

from __future__ import annotations


class CommandStat:
    """Calls and time of one command, for INFO commandstats."""

    __slots__ = ("calls", "failed", "rejected", "usec")

    def __init__(self) -> None:
        self.calls = 0
        self.usec = 0.0
        self.rejected = 0
        self.failed = 0


class Stats:
    """What happened since the start or the last CONFIG RESETSTAT."""

    __slots__ = (
        "commands",
        "connections_received",
        "errors",
        "evicted_keys",
        "expire_cycle_ms",
        "expired_keys",
        "expired_subkeys",
        "fast_gets",
        "fast_mgets",
        "fast_sets",
        "keyspace_hits",
        "keyspace_misses",
        "native_scripts",
    )

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Set every counter to zero."""
        self.commands: dict[str, CommandStat] = {}
        self.errors: dict[str, int] = {}
        self.connections_received = 0
        self.expired_keys = 0
        # Fields of hashes.
        self.expired_subkeys = 0
        self.evicted_keys = 0
        self.expire_cycle_ms = 0.0
        # Counted by `shortcuts` and `native`; `settle` folds them into the counters of GET, MGET,
        # SET and EVALSHA.
        self.fast_gets = 0
        self.fast_mgets = 0
        self.fast_sets = 0
        self.native_scripts = 0
        self.keyspace_hits = 0
        self.keyspace_misses = 0

    def command(self, name: str) -> CommandStat:
        """The counters of the command called `name` in lower case."""
        stat = self.commands.get(name)
        if stat is None:
            stat = self.commands[name] = CommandStat()
        return stat

    def settle(self) -> None:
        """Fold what the shortcuts counted into the counters; to be called before printing any."""
        self.keyspace_hits += self.fast_gets
        for name, count in (
            ("get", self.fast_gets), ("mget", self.fast_mgets), ("set", self.fast_sets),
            ("evalsha", self.native_scripts),
        ):  # fmt: skip
            if count:
                self.command(name).calls += count
        self.fast_gets = self.fast_mgets = self.fast_sets = self.native_scripts = 0

    def count_error(self, code: str) -> None:
        """Count an error reply by its code; the table is bounded as in Redis (128 codes)."""
        if code in self.errors or len(self.errors) < 128:
            self.errors[code] = self.errors.get(code, 0) + 1

    @property
    def commands_processed(self) -> int:
        """Commands executed, of any kind."""
        return sum(stat.calls for stat in self.commands.values())
