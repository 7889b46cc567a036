"""Counters that INFO prints. Plain attributes: they are touched on every command.

A command leaves only its duration behind, in a list; `CommandStat.settle` makes calls, sums and a
histogram of them when somebody asks, or when the list has grown.
"""

from __future__ import annotations

from collections import deque

from cacheapp.engine.histogram import Histogram

# Durations that a command keeps before they are added up.
TIMES_MAX = 4096
# What `shortcuts` serves is not timed. It takes about this long.
_SHORTCUT_NANOSECONDS = 1000
_ERROR_CODES_MAX = 128


class CommandStat:
    """Calls and time of one command, for INFO commandstats and latencystats."""

    __slots__ = ("_calls", "_usec", "failed", "histogram", "rejected", "times", "tracked")

    def __init__(self, *, tracked: bool) -> None:
        self.tracked = tracked
        # Seconds that calls took which are not in the sums yet.
        self.times: list[float] = []
        self.reset()

    def reset(self) -> None:
        """Forget all calls. In place: the command that asks for it is counted afterwards."""
        self._calls = 0
        self._usec = 0.0
        self.rejected = 0
        self.failed = 0
        self.histogram: Histogram | None = None
        self.times.clear()

    def settle(self) -> None:
        """Add up the durations that have come together."""
        # Another thread may append meanwhile: only what is seen here is taken off.
        times = self.times[:]
        if times:
            del self.times[: len(times)]
            self._calls += len(times)
            self._usec += sum(times) * 1_000_000
            if self.tracked:
                self._distribution().add(times)

    def count_untimed(self, calls: int) -> None:
        """Add calls that nobody timed."""
        self._calls += calls
        if self.tracked:
            self._distribution().count(_SHORTCUT_NANOSECONDS, calls)

    def _distribution(self) -> Histogram:
        if self.histogram is None:
            self.histogram = Histogram()
        return self.histogram

    @property
    def calls(self) -> int:
        """How often the command ran."""
        return self._calls + len(self.times)

    @property
    def usec(self) -> float:
        """The microseconds that all calls took together."""
        self.settle()
        return self._usec


class Stats:
    """What happened since the start or the last CONFIG RESETSTAT."""

    # Rather too many attributes than a lookup more at each of them.
    __slots__ = (
        "commands",
        "connections_received",
        "connections_rejected",
        "errors",
        "evicted_clients",
        "evicted_keys",
        "expire_cycle_ms",
        "expired_keys",
        "expired_subkeys",
        "fast_gets",
        "fast_hgetalls",
        "fast_mgets",
        "fast_sets",
        "full_syncs",
        "keyspace_hits",
        "keyspace_misses",
        "lazily_freed",
        "native_scripts",
        "net_input_bytes",
        "net_output_bytes",
        "partial_syncs",
        "rates",
        "reads",
        "refused_partial_syncs",
        "tracked",
        "writes",
    )

    def __init__(self) -> None:
        self.commands: dict[str, CommandStat] = {}
        self.tracked = True
        self.reset()

    def reset(self) -> None:
        """Set every counter to zero."""
        for stat in self.commands.values():
            stat.reset()
        self.errors: dict[str, int] = {}
        self.connections_received = 0
        self.connections_rejected = 0
        self.expired_keys = 0
        # Fields of hashes.
        self.expired_subkeys = 0
        self.evicted_keys = 0
        self.evicted_clients = 0
        self.expire_cycle_ms = 0.0
        self.lazily_freed = 0
        # Counted by the shortcuts and `native`; `settle` folds them into the counters of GET,
        # HGETALL, MGET, SET and EVALSHA.
        self.fast_gets = 0
        self.fast_hgetalls = 0
        self.fast_mgets = 0
        self.fast_sets = 0
        self.native_scripts = 0
        self.keyspace_hits = 0
        self.full_syncs = self.partial_syncs = self.refused_partial_syncs = 0
        self.keyspace_misses = 0
        # Counted by the front that has sockets.
        self.net_input_bytes = 0
        self.net_output_bytes = 0
        self.reads = 0
        self.writes = 0
        self.rates = Rates()

    def command(self, name: str) -> CommandStat:
        """The counters of the command called `name` in lower case."""
        stat = self.commands.get(name)
        if stat is None:
            stat = self.commands[name] = CommandStat(tracked=self.tracked)
        return stat

    def track(self, *, wanted: bool) -> None:
        """Whether durations go into histograms from now on (`latency-tracking`)."""
        if wanted != self.tracked:
            self.settle()
            self.tracked = wanted
            for stat in self.commands.values():
                stat.tracked = wanted

    def settle(self) -> None:
        """Fold what the shortcuts counted into the counters; to be called before printing any."""
        self.keyspace_hits += self.fast_gets + self.fast_hgetalls
        for name, count in (
            ("get", self.fast_gets), ("mget", self.fast_mgets), ("set", self.fast_sets),
            ("hgetall", self.fast_hgetalls), ("evalsha", self.native_scripts),
        ):  # fmt: skip
            if count:
                self.command(name).count_untimed(count)
        self.fast_gets = self.fast_mgets = self.fast_sets = self.native_scripts = 0
        self.fast_hgetalls = 0
        for stat in self.commands.values():
            stat.settle()

    def count_error(self, code: str) -> None:
        """Count an error reply by its code; the table is bounded as in Redis (128 codes)."""
        if code in self.errors or len(self.errors) < _ERROR_CODES_MAX:
            self.errors[code] = self.errors.get(code, 0) + 1

    @property
    def commands_processed(self) -> int:
        """Commands executed, of any kind."""
        fast = self.fast_gets + self.fast_mgets + self.fast_sets + self.native_scripts
        fast += self.fast_hgetalls
        return fast + sum(stat.calls for stat in self.commands.values())

    def sample(self, now: float) -> None:
        """Take a sample of what grows, for the figures by the second."""
        self.rates.sample(
            now, (self.commands_processed, self.net_input_bytes, self.net_output_bytes)
        )


class Rates:
    """The last samples of commands, bytes in and bytes out: what INFO calls instantaneous."""

    SAMPLES = 16
    SECONDS_BETWEEN = 0.1

    __slots__ = ("_samples",)

    def __init__(self) -> None:
        self._samples: deque[tuple[float, tuple[int, int, int]]] = deque(maxlen=self.SAMPLES)

    def sample(self, now: float, counts: tuple[int, int, int]) -> None:
        """Take a sample, unless the last one is too young."""
        if not self._samples or now - self._samples[-1][0] >= self.SECONDS_BETWEEN:
            self._samples.append((now, counts))

    def per_second(self, now: float) -> tuple[float, float, float]:
        """Commands, bytes in and bytes out a second, lately."""
        if len(self._samples) < 2:
            return (0.0, 0.0, 0.0)
        (start, first), (_, last) = self._samples[0], self._samples[-1]
        seconds = max(self.SECONDS_BETWEEN, now - start)
        commands, inward, outward = (b - a for a, b in zip(first, last, strict=True))
        return (commands / seconds, inward / seconds, outward / seconds)
