"""The engine: sixteen databases, one lock, and one way in.

`execute()` is what every front calls. It makes Redis's checks (see `admission`), runs the handler
under the lock, and shapes the answer for the session's protocol. Nothing here waits and no thread
is needed: due keys are reclaimed from the commands themselves (`tick`), at most `hz` times a
second.

Engines are shared by name in a process (`Engine.shared`). Around a fork every engine's lock is
held, so a child starts from a state that no command was in the middle of; it has the data as of
the fork, its own lock, and no sessions. From then on the two processes share nothing.
"""

from __future__ import annotations

import math
import os
import threading
from collections.abc import Callable, Mapping
from functools import cached_property

from cacheapp.engine import forks, registry
from cacheapp.engine.acl import AccessControl
from cacheapp.engine.admission import goes_apart, is_kept, rejected
from cacheapp.engine.apart import execute_apart, execute_tracked, mute
from cacheapp.engine.blocking import Waiters
from cacheapp.engine.clock import Clock, SystemClock
from cacheapp.engine.config import Config, parse_options
from cacheapp.engine.database import Database
from cacheapp.engine.errors import CommandError, ConfigError, SubcommandError
from cacheapp.engine.eviction import TINYLFU, Evictor, Touch, touch_lfu
from cacheapp.engine.expiry import expire_cycle
from cacheapp.engine.following import Following
from cacheapp.engine.latency import LatencyMonitor
from cacheapp.engine.monitoring import note
from cacheapp.engine.notifications import notify
from cacheapp.engine.overtime import Overtime
from cacheapp.engine.pausing import Pause
from cacheapp.engine.persistence.files import Files
from cacheapp.engine.persistence.saving import Saving
from cacheapp.engine.propagation import Propagation
from cacheapp.engine.pubsub import PubSub
from cacheapp.engine.registry import COMMANDS, Command
from cacheapp.engine.replicas import Replicas
from cacheapp.engine.replies import BLOCKED, Reply, to_resp2
from cacheapp.engine.sampling import estimated_bytes
from cacheapp.engine.scripting import Functions, Scripts
from cacheapp.engine.session import Deliver, Session
from cacheapp.engine.slowlog import SlowLog
from cacheapp.engine.stats import TIMES_MAX, Stats
from cacheapp.engine.tinylfu import TinyLfu
from cacheapp.engine.tracking import TRACKED, Tracking
from cacheapp.engine.transfer import Transfer
from cacheapp.engine.warmth import Warmth

# Below it are the commands that take the way of `shortcuts`, whose time nobody measures.
_SHORTCUT_SECONDS_MAX = 0.0001

_named: dict[str, Engine] = {}


class Engine:
    """A Redis server without the server: databases, sessions, settings, counters.

    `options` are redis.conf parameters by name with their values as text. Raises ConfigError for
    an unknown parameter or a value that it cannot take.
    """

    # None while nobody listens to what changes.
    propagation: Propagation | None = None
    # None for a master. `link` is set by a front that can connect to one: whom has changed.
    following: Following | None = None
    link: Callable[[], None] | None = None

    def __init__(
        self,
        options: Mapping[str, str] | None = None,
        clock: Clock | None = None,
        files: Files | None = None,
    ) -> None:
        registry.load_commands()
        self.lock = threading.RLock()
        self._acquire, self._release = self.lock.acquire, self.lock.release
        self.clock: Clock = clock or SystemClock()
        self._time = self.clock.time
        self.options = parse_options(options or {})
        self.config = Config(options)
        self.stats = Stats()
        self.pubsub = PubSub()
        self.files = files or Files()
        self.scripts = Scripts(self)
        self.functions = Functions(self)
        self.sessions: dict[int, Session] = {}
        self._abandoned: list[Session] = []
        self.acl = AccessControl(self)
        self.waiters = Waiters()
        self.monitors: dict[Session, None] = {}
        self.pause = Pause(self)
        self.slowlog = SlowLog()
        self.latency = LatencyMonitor()
        self.tracking = Tracking(self)
        self.overtime, self.warmth = Overtime(self), Warmth()
        # Odd while a command runs; lets readers go without the lock (see `shortcuts`).
        self.epoch = 0
        self.dirty = self.used_bytes = 0
        # The most that `used_memory` has seen.
        self.peak_bytes = 0
        self.active_expire = True
        # DEBUG PAUSE-CRON: what the engine does on its own account waits.
        self.cron_paused = False
        # Whether RESTORE looks at checksums; DEBUG can say no.
        self.verify_checksums = True
        # Whether scripts may run what is flagged noscript; DEBUG can say yes.
        self.scripts_may_all = False
        # Set by a front that owns its process: begins the end of it (SHUTDOWN).
        self.end_process: Callable[[], None] | None = None
        # Set by a front that has sockets (MIGRATE).
        self.transfer: Transfer | None = None
        self._next_session_id = 1
        self.now: float = self.clock.time()
        self.started = self.next_tick = self.now
        self.saving = Saving(self)
        self.fast_until = self.rest_until = self.write_until = 0.0
        self.fast_reads_until = self.rest_reads_until = 0.0
        self.run_id, self.replication_id = os.urandom(20).hex(), os.urandom(20).hex()
        self.evictor = Evictor(self)
        self.tinylfu: TinyLfu | None = None
        self.databases = [Database(self, index) for index in range(self.config["databases"])]
        self._configured(frozenset(self.config.values))
        self.config.subscribe(self._configured)
        self.acl.load_configured()
        self.saving.start()
        forks.watch(self)

    @classmethod
    def shared(cls, name: str, options: Mapping[str, str] | None = None) -> Engine:
        """The engine called `name` in this process, made with `options` at its first use.

        Later callers may leave the options out or repeat them; other values raise ConfigError,
        since an engine has one set of parameters.
        """
        wanted = parse_options(options or {})
        with forks.naming:
            engine = _named.get(name)
            if engine is None:
                engine = _named[name] = cls(options)
                return engine
        for parameter, value in wanted.items():
            if engine.options.get(parameter, engine.config[parameter]) != value:
                raise ConfigError(
                    f"the engine {name!r} already runs in this process with another "
                    f"{parameter!r}; give both URLs the same options, or another name"
                )
        return engine

    @classmethod
    def discard(cls, name: str) -> None:
        """Forget the engine called `name`; those who hold it keep it. No error if unknown.

        Its files are given up, so that another engine can have them.
        """
        with forks.naming:
            engine = _named.pop(name, None)
        if engine is not None:
            engine.close()

    def close(self) -> None:
        """Save as at the end of a process, and keep nothing on disk any more."""
        with self.lock:
            self.saving.end()
            self.saving.close()

    def _configured(self, names: frozenset[str]) -> None:
        """Take what is read on every command out of the settings."""
        config = self.config
        self.lfu = config["maxmemory-policy"].endswith("-lfu")
        self.limited = config["maxmemory"] > 0
        if not self.limited or config["maxmemory-policy"] != TINYLFU:
            self.tinylfu = None
        elif self.tinylfu is None:
            self.tinylfu = TinyLfu(self)
        # How an access is recorded; None: by its time alone, which `shortcuts` can do.
        self.touch: Touch | None = touch_lfu if self.lfu else None
        if self.tinylfu is not None:
            self.touch = self.tinylfu.touched
        if names & {"maxmemory"}:
            self.used_bytes = self.used_bytes if self.limited else 0
            for database in self.databases:
                database.keep_account(self.limited)
            # Not at once: this may be the middle of a transaction.
            self.next_tick = 0.0
        self._tick_interval = 1.0 / config["hz"]
        self.slowlog.trim(config["slowlog-max-len"])
        self.stats.track(wanted=config["latency-tracking"])
        self.reconsider()

    def reconsider(self) -> None:
        """Derive what commands test from the settings, the monitors, the pause, the tracking."""
        config, tracking = self.config, self.tracking.active
        # Who is told of changes: subscribers by class, and clients that track.
        self.event_flags: frozenset[str] = config["notify-keyspace-events"]
        if not self.event_flags & {"K", "E"}:
            self.event_flags = frozenset()
        if tracking:
            self.event_flags |= {TRACKED}
        slow_us = config["slowlog-log-slower-than"]
        latency_ms = config["latency-monitor-threshold"]
        # A command that takes as long, in seconds, is looked at once more.
        self.notable_seconds = math.inf
        if slow_us >= 0 and config["slowlog-max-len"]:
            self.notable_seconds = slow_us / 1_000_000
        if latency_ms:
            self.notable_seconds = min(self.notable_seconds, latency_ms / 1000)
        # Whether commands may take the way of `shortcuts`, until the next tick.
        self._plain = (
            not self.event_flags
            and self.touch is None
            and self.notable_seconds >= _SHORTCUT_SECONDS_MAX
        )
        # The same for reads: clients that track hear of changes, not of what others read.
        reads_plain = (
            self.event_flags <= {TRACKED}
            and self.touch is None
            and self.notable_seconds >= _SHORTCUT_SECONDS_MAX
        )
        if self.monitors or tracking:
            self.notable_seconds = -math.inf
        follows = self.following is not None
        halted = self.pause.until_ms > 0 or self.overtime.running is not None
        # Whether what is due only seems to be gone.
        self.keeps_due = self.pause.until_ms > 0 or follows
        halted = halted or (self.following is not None and self.following.is_stale)
        # Whether a write may be refused for what has nothing to do with it.
        self.bars_writes = self.saving.broken or config["min-replicas-to-write"] > 0 or follows
        self._guarded = self.limited or bool(self.monitors) or halted or tracking
        self._reads_guarded = self.limited or bool(self.monitors) or halted
        self._guarded |= self.bars_writes
        if self.monitors or halted or self.bars_writes:
            self._plain = False
        self._reads_plain = reads_plain and not (self.monitors or halted)
        # Whether nobody could tell a script's native form from the script (see `native`).
        self._remarked = (
            bool(self.monitors)
            or halted
            or self.bars_writes
            or tracking
            or self.notable_seconds < _SHORTCUT_SECONDS_MAX
        )
        # From here on it is shown to those who look at commands; below, only told to sinks.
        self._noted_seconds = self.notable_seconds
        if self.propagation is not None:
            self.notable_seconds = -math.inf
        self._set_fast_until()

    def _set_fast_until(self) -> None:
        self.fast_until = self.next_tick if self._plain else 0.0
        # As it, for shortcuts that write.
        self.write_until = self.fast_until if self.propagation is None else 0.0
        # As it, but only for the checks of `_execute`: until then none but the session's matter.
        self.rest_until = 0.0 if self._guarded else self.next_tick
        # As both, for commands that only read, of sessions that do not track.
        self.fast_reads_until = self.next_tick if self._reads_plain else 0.0
        self.rest_reads_until = 0.0 if self._reads_guarded else self.next_tick

    @cached_property
    def replicas(self) -> Replicas:
        """Who follows this engine."""
        return Replicas(self)

    # Sessions

    def connect(self, deliver: Deliver, protocol: int = 2, address: str = "") -> Session:
        """A new session whose out-of-order replies go to `deliver`; see `Session`."""
        with self.lock:
            session_id = self._next_session_id
            self._next_session_id += 1
            self._read_clock()
            session = Session(self, session_id, deliver, protocol)
            session.address = address
            self.sessions[session_id] = session
            self.stats.connections_received += 1
            return session

    def disconnect(self, session: Session) -> None:
        """Forget `session`: its queue, its watches, its subscriptions. Again is no error."""
        with self.lock:
            self.sessions.pop(session.id, None)
            session.queue = None
            session.unwatch()
            self.pubsub.forget(session)
            self.waiters.forget(session)
            self.pause.forget(session)
            self.tracking.stop(session)
            self.replicas.forget(session)
            self.monitor(session, wanted=False)

    def abandon(self, session: Session) -> None:
        """Disconnect `session` now, or where that would have to wait, with a later tick.

        For finalisers: they run in the middle of anything, of a command of this engine as well.
        """
        if self.epoch & 1 or not self.lock.acquire(blocking=False):
            self._abandoned.append(session)
            return
        try:
            self.disconnect(session)
        finally:
            self.lock.release()

    def monitor(self, session: Session, *, wanted: bool) -> None:
        """Show every command to `session` from now on, or no more."""
        if wanted:
            self.monitors[session] = None
        else:
            self.monitors.pop(session, None)
        if session.monitoring != wanted:
            session.monitoring = wanted
            session.refresh()
            self.reconsider()

    # Execution

    def execute(self, session: Session, args: list[bytes]) -> Reply:
        """Run one command for `session`; `args` begins with its name.

        Returns the reply in the shape of the session's protocol (see `replies`), NO_REPLY where
        the answer was delivered, or raises CommandError.
        """
        self._acquire()
        self.epoch += 1
        try:
            row, now = COMMANDS.get(args[0]), self._time()
            if (
                now >= self.rest_until
                or row is None
                or session.special
                or not row.count_min <= len(args) <= row.count_max
            ):
                return self._execute(session, args)
            # What `_execute` and `call` do for a session at rest, without the calls between.
            self.now = session.last_active = now
            session.last_command = row.display
            try:
                reply = row.handler(session, *args[1:])
            except BaseException as error:
                self.ended(session, row, args, now, None, error)
                if self.waiters.ready_keys:
                    self.waiters.serve()
                raise
            elapsed = self._time() - now
            stat = self.stats.commands.get(row.display)
            if stat is None or elapsed >= self.notable_seconds:
                self.ended(session, row, args, now, reply)
            else:
                stat.times.append(elapsed)
                if len(stat.times) > TIMES_MAX:
                    stat.settle()
            if self.waiters.ready_keys:
                self.waiters.serve()
            if row.shaped and session.protocol == 2:
                return to_resp2(reply)
            return reply
        finally:
            self.epoch += 1
            self._release()

    def _execute(self, session: Session, args: list[bytes]) -> Reply:
        self._read_clock()
        if self.now >= self.next_tick:
            self._tick()
        session.last_active = self.now
        try:
            row = registry.lookup(args)
            apart = session.special and goes_apart(self, session, row, args)
            if self._guarded:
                if is_kept(self, session, row, args):
                    return BLOCKED
                apart = apart or self.tracking.active
        except CommandError as error:
            rejected(self, session, args, error)
            if session.muted:
                return mute(session, None, session.muted)
            raise
        if apart:
            if self.tracking.active:
                return execute_tracked(self, session, row, args)
            return execute_apart(self, session, row, args)
        session.last_command = row.display
        try:
            reply = self.call(session, row, args)
        finally:
            if self.waiters.ready_keys:
                self.waiters.serve()
        if row.shaped and session.protocol == 2:
            return to_resp2(reply)
        return reply

    def call(self, session: Session, row: Command, args: list[bytes]) -> Reply:
        """Run the handler of `row` and count it; no checks (EXEC and scripts come here too)."""
        started = self._time()
        try:
            reply = row.handler(session, *args[row.skip :])
        except BaseException as error:
            self.ended(session, row, args, started, None, error)
            raise
        elapsed = self._time() - started
        stat = self.stats.commands.get(row.display)
        if stat is None or elapsed >= self.notable_seconds:
            self.ended(session, row, args, started, reply)
        else:
            stat.times.append(elapsed)
            if len(stat.times) > TIMES_MAX:
                stat.settle()
        return reply

    def ended(
        self,
        session: Session,
        row: Command,
        args: list[bytes],
        started: float,
        reply: Reply,
        error: BaseException | None = None,
    ) -> None:
        """Count and tell of a command that has run since `started`, in seconds, or raised."""
        stats = self.stats
        stat = stats.commands.get(row.display)
        if stat is None:
            stat = stats.command(row.display)
        elapsed = self._time() - started
        times = stat.times
        times.append(elapsed)
        if len(times) > TIMES_MAX:
            stat.settle()
        if elapsed >= self._noted_seconds:
            note(self, session, row, args, started, elapsed)
        if isinstance(error, CommandError):
            stat.failed += 1
            if isinstance(error, SubcommandError) and row.parent is not None:
                error.quote(args[1])
            if not error.counted:
                error.counted = True
                stats.count_error(error.code)
        if self.propagation is not None:
            self.propagation.ended(session, row, args, reply, error)

    def run_locked(self, session: Session, args: list[bytes]) -> Reply:
        """As `execute`, for who holds the lock and has raised the epoch."""
        return self._execute(session, args)

    def allows_native(self) -> bool:
        """Whether a script may run in its native form now; reads the clock as a command does."""
        self._read_clock()
        if self.now >= self.next_tick:
            self._tick()
        if self._remarked:
            return False
        if not self.limited or self.used_bytes <= self.config["maxmemory"]:
            return True
        return self.evictor.make_room()

    # Time

    def _read_clock(self) -> None:
        self.now = self.clock.time()

    @property
    def now_ms(self) -> int:
        """`now` in whole milliseconds: few commands need it, so none pays for it."""
        return int(self.now * 1000)

    def tick(self) -> None:
        """Answer waiters whose time is up, and reclaim due keys for a bounded time.

        Commands do it unasked, `hz` times a second. A front that waits for a reply calls it at
        `waiters.next_deadline_ms()`.
        """
        with self.lock:
            self.epoch += 1
            try:
                self._read_clock()
                self._tick()
                if self.waiters.ready_keys:
                    # A key that was due is gone, which readers of a stream's group are told.
                    self.waiters.serve()
            finally:
                self.epoch += 1

    def _tick(self) -> None:
        while self._abandoned:
            self.disconnect(self._abandoned.pop())
        self.waiters.end_overdue(self.now_ms)
        if self.pause.until_ms and self.now_ms >= self.pause.until_ms:
            self.pause.end()
        self.stats.sample(self.now)
        if self.limited and self.used_bytes > self.config["maxmemory"]:
            self.evictor.make_room()
        rest_seconds = math.inf
        if self.active_expire and not self.cron_paused and not self.keeps_due:
            rest_seconds = expire_cycle(self)
        if self.tracking.active:
            self.tracking.tick()
        self.warmth.tick(limited=self.limited)
        if self.propagation is not None:
            self.replicas.tick()
        self.next_tick = self.now + min(rest_seconds, self._tick_interval)
        self._set_fast_until()

    def seconds_to_tick(self) -> float:
        """In how many seconds `tick` is of use; commands call it unasked."""
        return max(0.0, self.next_tick - self._time())

    def announce(self, key: bytes, event: bytes | None, db_index: int) -> None:
        """Tell clients that track of a change, and subscribers of its event."""
        if self.tracking.active:
            self.tracking.changed(key, event)
        if event is not None:
            self.notify(event, key, db_index)

    def notify(self, event: bytes, key: bytes, db_index: int) -> None:
        """Publish a keyspace event where the settings ask for its class."""
        notify(self.pubsub.publish, self.event_flags, event, key, db_index)

    def used_memory(self) -> int:
        """Bytes that keys and the buffers of clients take.

        For the keys the account under a limit, else an estimate from a sample.
        """
        used = self.used_bytes
        if not self.limited:
            used = sum(estimated_bytes(database) for database in self.databases)
        used += self.clients_memory()
        self.peak_bytes = max(self.peak_bytes, used)
        return used

    def clients_memory(self) -> int:
        """Bytes that the buffers of clients with a socket take."""
        return sum(session.memory_bytes for session in self.sessions.values())

    # Forks

    def reset_after_fork(self) -> None:
        """In a child: no sessions, no subscriptions, an identity of its own."""
        for session in list(self.sessions.values()):
            self.disconnect(session)
        self.saving.leave()
        self.run_id = os.urandom(20).hex()
