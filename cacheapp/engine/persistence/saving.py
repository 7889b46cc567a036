"""What an engine with a directory keeps on disk: the dump, when it is written, and who may write.

Without `dir` there is no file, no thread, and nothing to do anywhere. With it the dump is loaded
when the engine is made, before anybody can ask it anything, and written by SAVE, BGSAVE, the save
points and at the end. The log of changes is `appending`'s.

A process with threads must not fork, so BGSAVE copies the keys under the lock (see `snapshot`) and
a thread makes bytes of them and writes those. Another thread looks once a second whether a save
point is reached; it lives while there is something to look for. A directory belongs to one engine:
a locked file in it keeps out all others, also of this process. In a forked child the engine has
no directory: the files are the parent's. A server that was given none takes the one in which it
was started when it is asked for files (`home`).

Left out on purpose: LOADING errors (who is not yet there has nobody waiting), and replication.
"""

from __future__ import annotations

import atexit
import contextlib
import logging
import threading
import weakref
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cacheapp.engine.config import Refusal
from cacheapp.engine.errors import (
    ANOTHER_SAVE,
    BACKGROUND_BUSY,
    NOTHING_ON_DISK,
    SAVE_FAILED,
    SAVE_FAILED_BEFORE,
    CommandError,
    ConfigError,
    append_failed,
)
from cacheapp.engine.persistence.appending import Log
from cacheapp.engine.persistence.encoding import CorruptPayload
from cacheapp.engine.persistence.rdb import parsed, pieces
from cacheapp.engine.persistence.settings import NOWHERE
from cacheapp.engine.persistence.snapshot import Snapshot, load, taken

if TYPE_CHECKING:
    from cacheapp.engine.engine import Engine
    from cacheapp.engine.registry import Command
    from cacheapp.engine.session import Session

_logger = logging.getLogger(__name__)

LOCK_NAME = ".cacheapp.lock"
_SECOND = 1.0
# After a save that failed the next one is not tried at once.
_RETRY_SECONDS = 5
# Engines that have had a directory; some save at the end of the process.
_open: weakref.WeakSet[Engine] = weakref.WeakSet()
_NEEDS_DIRECTORY = "it needs a directory to write to: give dir as well"


@dataclass(slots=True)
class Background:
    """Something that a thread writes from a snapshot."""

    kind: str
    started: float
    dirty: int
    # Until it has been written to its end.
    error: Exception | None = field(default_factory=lambda: OSError("it broke off"))
    written: threading.Event = field(default_factory=threading.Event)


class Saving:
    """The files of one engine. All methods are to be called under its lock, unless they say."""

    def __init__(self, engine: Engine) -> None:
        self._engine = weakref.ref(engine)
        self.files = engine.files
        self.directory = ""
        # What becomes the directory once a client asks for files and none was given; a server's.
        self.home = ""
        self.points: tuple[tuple[int, int], ...] = ()
        # Whether writes are refused, because the disk does not take them.
        self.broken = False
        self.background: Background | None = None
        self.scheduled = False
        self.last_save = int(engine.started)
        self.saved_well = True
        self.saves = 0
        self.seconds_taken = -1
        self.keys_loaded = self.keys_expired = 0
        self._tried = 0.0
        # What the engine's count of changes was when all of them had been saved.
        self._saved = 0
        self._lock: int | None = None
        # What DEBUG RELOAD wrote last where there is no directory.
        self._kept = b""
        self._watching: threading.Event | None = None
        self._ended = False
        self.log = Log(self)

    def __del__(self) -> None:
        # Of an engine that nobody has closed: another one can have the directory.
        for descriptor in (self._lock, self.log.descriptor):
            if descriptor is not None:
                with contextlib.suppress(OSError):
                    self.files.close(descriptor)

    @property
    def engine(self) -> Engine:
        """The engine; only its threads outlive it."""
        engine = self._engine()
        assert engine is not None
        return engine

    @property
    def changes(self) -> int:
        """How many changes came after the last save."""
        return self.engine.dirty - self._saved

    # Settings

    def start(self) -> None:
        """Take the directory and load what is in it; ConfigError says what stands in the way."""
        config = self.engine.config
        try:
            # A thread may look after save points already, and must not save a part of the keys.
            with self.engine.lock:
                self._configured(frozenset({"dir", "save"}))
                if config["appendonly"] and not self.directory:
                    raise Refusal("appendonly", _NEEDS_DIRECTORY)
                if self.directory:
                    self._load()
        except BaseException:
            self.log.leave()
            self._leave_directory()
            raise
        config.subscribe(self._configured)

    def _configured(self, names: frozenset[str]) -> None:
        config = self.engine.config
        if "dir" in names:
            self._move(config["dir"])
        if names & {"save", "dir"}:
            if config["save"]:
                self._need_directory("save")
            numbers = [int(word) for word in config["save"].split()]
            self.points = tuple(zip(numbers[::2], numbers[1::2], strict=True))
            self.watch()
        if names & {"appendonly", "appendfsync"}:
            if config["appendonly"]:
                self._need_directory("appendonly")
            try:
                self.log.configured()
            except OSError as error:
                raise Refusal("appendonly", f"Unable to turn on AOF: {error.strerror}") from None
            self.watch()
        if "stop-writes-on-bgsave-error" in names:
            self.judge()

    def _move(self, wanted: str) -> None:
        directory = "" if wanted == NOWHERE else wanted
        if directory == self.directory:
            return
        if self.log.on:
            raise Refusal("dir", "it cannot change while appendonly is on")
        lock = None
        if directory:
            path = str(Path(directory) / LOCK_NAME)
            try:
                lock = self.files.lock(path)
            except BlockingIOError:
                raise Refusal(
                    "dir",
                    f"another engine keeps its data in {directory}: give each process and each "
                    "name a directory of its own, or share one engine by cacheapp_server",
                ) from None
            except OSError as error:
                raise Refusal("dir", f"{path}: {error.strerror}") from None
        self._leave_directory()
        self.directory, self._lock = directory, lock
        _open.add(self.engine)

    def _need_directory(self, parameter: str) -> None:
        """Have a directory, if need be the one at home; else a Refusal that names `parameter`."""
        if not self._settled():
            raise Refusal(parameter, _NEEDS_DIRECTORY)

    def _settled(self) -> bool:
        """Whether there is a directory, after the one at home was taken where that can be."""
        if not self.directory and self.home:
            with contextlib.suppress(Refusal):
                self._move(self.home)
                self.engine.config.values["dir"] = self.directory
        return bool(self.directory)

    def _leave_directory(self) -> None:
        lock, self._lock = self._lock, None
        self.directory = ""
        if lock is not None:
            self.files.close(lock)

    def path(self) -> str:
        """Where the dump is; an error where nothing is kept on disk."""
        name = self.engine.config["dbfilename"]
        if not name or not self._settled():
            raise CommandError(NOTHING_ON_DISK)
        return str(Path(self.directory) / name)

    # Loading

    def _load(self) -> None:
        """Load the log; where there is none or none is wanted, the dump."""
        engine = self.engine
        appends = engine.config["appendonly"]
        if not (appends and self.log.start()):
            self._load_dump()
            if appends:
                try:
                    self.log.begin()
                except OSError as error:
                    where = self.directory
                    raise ConfigError(f"no log can be begun in {where}: {error}") from None
        self._saved = engine.dirty
        self.watch()

    def _load_dump(self) -> None:
        engine = self.engine
        if not engine.config["dbfilename"]:
            return
        path = self.path()
        try:
            data = self.files.read(path)
        except FileNotFoundError:
            return
        except OSError as error:
            raise ConfigError(f"{path} cannot be read: {error.strerror}") from None
        try:
            snapshot = parsed(data, engine.config, engine.now, verify=engine.config["rdbchecksum"])
            self.keys_expired = load(engine, snapshot, merge=False)
        except CorruptPayload as error:
            raise ConfigError(
                f"{path} was not loaded: {error}. Put a good copy in its place, see what "
                "redis-check-rdb says of it, or move it away to begin without data"
            ) from None
        self.keys_loaded = snapshot.count - self.keys_expired

    # Saving

    def save(self) -> None:
        """Write the dump now; an error where one is being written or that fails."""
        path = self.path()
        if self.background is not None and self.background.kind == "rdb":
            raise CommandError(ANOTHER_SAVE)
        self.saves += 1
        if not self._write(path):
            raise CommandError(SAVE_FAILED)

    def _write(self, path: str) -> bool:
        engine = self.engine
        try:
            self.files.replace(path, pieces(taken(engine), engine.config, engine.now))
        except OSError as error:
            _failed(path, error)
            return False
        self._saved = engine.dirty
        self.last_save = int(engine.now)
        self.saved_well = True
        self.judge()
        return True

    def begin_save(self, *, schedule: bool, later: bool) -> bool:
        """Begin to write the dump in a thread; False where that is left to when it can.

        `schedule` allows to wait for another thread's end, `later` asks for it: in the middle of a
        transaction there is no consistent state.
        """
        path = self.path()
        if self.background is not None and self.background.kind == "rdb":
            raise CommandError(ANOTHER_SAVE)
        if self.background is not None or later:
            if not (schedule or later):
                raise CommandError(BACKGROUND_BUSY)
            self.scheduled = True
            self.watch()
            return False
        self.saves += 1
        self._tried = self.engine.now
        self.scheduled = False
        engine = self.engine
        snapshot, config, now = taken(engine), engine.config, engine.now
        self.in_background("rdb", lambda: self.files.replace(path, pieces(snapshot, config, now)))
        return True

    def in_background(self, kind: str, write: Callable[[], None]) -> None:
        """Have a thread `write` what was taken of the engine just now."""
        engine = self.engine
        work = self.background = Background(kind, engine.now, engine.dirty)

        def run() -> None:
            try:
                write()
                work.error = None
            except OSError as error:
                work.error = error
            finally:
                work.written.set()
                with engine.lock:
                    self.finish(work)

        threading.Thread(target=run, name=f"cacheapp-{kind}", daemon=True).start()

    def finish(self, work: Background) -> None:
        """Take note of the end of what a thread has written. Again is no error."""
        if self.background is not work or not work.written.is_set():
            return
        self.background = None
        engine = self.engine
        now = engine.clock.time()
        if work.kind == "rdb":
            self.ended(work, now)
        else:
            self.log.ended(work, now)
        if work.error is not None:
            _failed(work.kind, work.error)
        self.judge()

    def ended(self, work: Background, now: float) -> None:
        """What follows from the end of a background save at `now`, in seconds."""
        self.seconds_taken = int(now - work.started)
        self.saved_well = work.error is None
        if self.saved_well:
            self._saved = work.dirty
            self.last_save = int(now)

    def wait(self) -> None:
        """Return when no thread writes any more."""
        if self.background is not None:
            work = self.background
            work.written.wait()
            self.finish(work)

    def judge(self) -> None:
        """Decide whether writes are to be refused."""
        broken = self._misses_saves or bool(self.log.failure)
        if broken != self.broken:
            self.broken = broken
            self.engine.reconsider()

    @property
    def _misses_saves(self) -> bool:
        stops: bool = self.engine.config["stop-writes-on-bgsave-error"]
        return not self.saved_well and bool(self.points) and stops

    def check(self, session: Session, row: Command) -> None:
        """Refuse a command that writes while the disk does not take it; PING tells it too."""
        writes = row.is_write or row.name == "PING"
        if row.name == "EXEC" and session.queue:
            writes = any(queued.is_write for queued, _ in session.queue)
        if self.broken and writes:
            missed = self._misses_saves
            raise CommandError(SAVE_FAILED_BEFORE if missed else append_failed(self.log.failure))

    # Time

    def watch(self) -> None:
        """Have a thread look after the files each second, if there is anything to look for."""
        log = self.log
        wanted = bool(self.points) or self.scheduled or log.on or log.scheduled
        wanted = wanted and bool(self.directory)
        if wanted and self._watching is None:
            self._watching = threading.Event()
            arguments = (weakref.ref(self), self._watching)
            threading.Thread(
                target=_each_second, args=arguments, name="cacheapp-files", daemon=True
            ).start()
        elif not wanted and self._watching is not None:
            self._watching.set()
            self._watching = None

    def second(self) -> None:
        """What is to be done each second. Takes the lock itself."""
        engine = self._engine()
        if engine is None:
            return
        if engine.config["appendfsync"] != "no":
            self.log.sync()
        with engine.lock:
            self.log.retry()
            if self.background is not None or not self.directory:
                return
            engine.now = now = engine.clock.time()
            if self.log.second(now):
                return
            if self.scheduled or self._is_time(now):
                with contextlib.suppress(CommandError):
                    self.begin_save(schedule=False, later=False)

    def _is_time(self, now: float) -> bool:
        if not self.saved_well and now - self._tried <= _RETRY_SECONDS:
            return False
        dirty, passed = self.changes, now - self.last_save
        return any(dirty >= changes and passed > seconds for seconds, changes in self.points)

    # DEBUG RELOAD

    def reload(self, *, save: bool, flush: bool, merge: bool) -> None:
        """Write everything and load it back; CorruptPayload, OSError or CommandError."""
        engine = self.engine
        if save:
            if self.directory:
                self.wait()
                self.save()
            else:
                newest = pieces(taken(engine), engine.config, engine.now, newest=True)
                self._kept = b"".join(newest)
        data = self.files.read(self.path()) if self.directory else self._kept
        # Read before anything is removed: what is damaged costs nothing.
        snapshot = parsed(data, engine.config, engine.now) if data else Snapshot()
        if flush:
            for database in engine.databases:
                database.clear()
            engine.functions.flush()
        load(engine, snapshot, merge=merge)
        self._saved = engine.dirty

    # The end

    def end(self, *, save: bool | None = None) -> bool:
        """Before the end of the process: save if `save` (None: where there are save points).

        False where that failed; then the process should go on.
        """
        if save is False or self._ended or not (self._settled() if save else self.directory):
            self._ended = self._ended or save is False
            return not save
        self.wait()
        if not (save or self.points) or (not self.changes and save is None):
            return True
        return self._write(self.path())

    def close(self) -> None:
        """Give the directory back. The engine goes on without."""
        self.points, self.scheduled = (), False
        self.wait()
        self.log.close()
        self.watch()
        self._leave_directory()
        self._forget()

    def leave(self) -> None:
        """In a forked child: the files are the parent's."""
        if self.directory:
            _logger.warning(
                "a forked process keeps nothing on disk: %s is its parent's. Let each worker make "
                "its engine after the fork (gunicorn: without preload_app)",
                self.directory,
            )
        self.background, self.points, self.scheduled = None, (), False
        self._watching = None
        self.log.leave()
        self._leave_directory()
        self._forget()

    def _forget(self) -> None:
        self.home = ""
        self.engine.config.values.update({"dir": NOWHERE, "save": "", "appendonly": False})
        self.saved_well = True
        self.judge()

    # INFO

    def info(self) -> dict[str, Any]:
        """The fields of INFO persistence."""
        engine, work = self.engine, self.background
        running = -1 if work is None else int(engine.now - work.started)
        return {
            "loading": 0,
            "async_loading": 0,
            "current_cow_peak": 0,
            "current_cow_size": 0,
            "current_cow_size_age": 0,
            "current_fork_perc": "0.00",
            "current_save_keys_processed": 0,
            "current_save_keys_total": 0,
            "rdb_changes_since_last_save": self.changes,
            "rdb_bgsave_in_progress": int(work is not None and work.kind == "rdb"),
            "rdb_last_save_time": self.last_save,
            "rdb_last_bgsave_status": "ok" if self.saved_well else "err",
            "rdb_last_bgsave_time_sec": self.seconds_taken,
            "rdb_current_bgsave_time_sec": running if work and work.kind == "rdb" else -1,
            "rdb_saves": self.saves,
            "rdb_last_cow_size": 0,
            "rdb_last_load_keys_expired": self.keys_expired,
            "rdb_last_load_keys_loaded": self.keys_loaded,
            **self.log.info(),
            "module_fork_in_progress": 0,
            "module_fork_last_cow_size": 0,
        }


def _failed(what: str, error: Exception) -> None:
    _logger.error("saving %s failed: %s", what, error)


def _each_second(reference: weakref.ref[Saving], stop: threading.Event) -> None:
    while not stop.wait(_SECOND):
        saving = reference()
        if saving is None:
            return
        saving.second()
        del saving


@atexit.register
def _end_all() -> None:
    for engine in list(_open):
        engine.close()
