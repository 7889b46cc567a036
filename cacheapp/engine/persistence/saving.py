"""What an engine with a directory keeps on disk, and who may write there.

Without `dir` there is no file, no thread, and nothing to do anywhere. With it there is the dump
(`dumping`), and where that is asked for the log of changes (`appending`). What is large is written
in the background, one thing at a time. A thread looks once a second whether something is to be
done; it lives while there is something to look for.

A directory belongs to one engine: a locked file in it keeps out all others, also of this process.
In a forked child the engine has no directory: the files are the parent's. A server that was given
none takes the one in which it was started when it is asked for files (`home`).

Left out on purpose: LOADING errors (who is not yet there has nobody waiting), and replication.
"""

from __future__ import annotations

import atexit
import contextlib
import logging
import threading
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cacheapp.engine.config import Refusal
from cacheapp.engine.errors import SAVE_FAILED_BEFORE, CommandError, append_failed
from cacheapp.engine.persistence.appending import Log
from cacheapp.engine.persistence.background import Background
from cacheapp.engine.persistence.dumping import KIND, Dump
from cacheapp.engine.persistence.settings import NOWHERE

if TYPE_CHECKING:
    from cacheapp.engine.engine import Engine
    from cacheapp.engine.registry import Command
    from cacheapp.engine.session import Session

_logger = logging.getLogger(__name__)

LOCK_NAME = ".cacheapp.lock"
_SECOND = 1.0
# Engines that have had a directory; some save at the end of the process.
_open: weakref.WeakSet[Engine] = weakref.WeakSet()
_NEEDS_DIRECTORY = "it needs a directory to write to: give dir as well"


class Saving:
    """The files of one engine. All methods are to be called under its lock, unless they say."""

    def __init__(self, engine: Engine) -> None:
        self._engine = weakref.ref(engine)
        self.files = engine.files
        self.directory = ""
        # What becomes the directory once a client asks for files and none was given; a server's.
        self.home = ""
        # Whether writes are refused, because the disk does not take them.
        self.broken = False
        self.background: Background | None = None
        # While what is on the disk is done again, none of it is written there.
        self.loading = False
        self._lock: int | None = None
        self._watching: threading.Event | None = None
        self._ended = False
        self.dump = Dump(self)
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

    def _load(self) -> None:
        """Load the log; where there is none or none is wanted, the dump."""
        engine = self.engine
        appends = engine.config["appendonly"]
        with self.from_disk():
            found = appends and self.log.start()
            if not found:
                self.dump.load()
        if appends and not found:
            self.log.begin()
        self.dump.saved = engine.dirty
        self.watch()

    @contextlib.contextmanager
    def from_disk(self) -> Iterator[None]:
        """What is done inside comes from the disk."""
        self.loading = True
        try:
            yield
        finally:
            self.loading = False

    def _configured(self, names: frozenset[str]) -> None:
        config = self.engine.config
        if "dir" in names:
            self._move(config["dir"])
        if names & {"save", "dir"}:
            if config["save"]:
                self._need_directory("save")
            numbers = [int(word) for word in config["save"].split()]
            self.dump.points = tuple(zip(numbers[::2], numbers[1::2], strict=True))
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
        # What is being written there is done before another engine may have the directory.
        self.wait()
        self._leave_directory()
        self.directory, self._lock = directory, lock
        _open.add(self.engine)

    def _need_directory(self, parameter: str) -> None:
        """Have a directory, if need be the one at home; else a Refusal that names `parameter`."""
        if not self.settled():
            raise Refusal(parameter, _NEEDS_DIRECTORY)

    def settled(self) -> bool:
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

    # In the background

    def in_background(self, kind: str, path: str, first: Callable[[], None] | None = None) -> None:
        """Have what the engine holds now written to `path`; `first` is called before, elsewhere."""
        work = self.background = Background(kind, self.engine)
        work.begin(path, base=kind != KIND, first=first or _nothing, ended=self.finish)

    def finish(self, work: Background) -> None:
        """Take note of the end of what was written in the background. Again is no error."""
        if self.background is not work or not work.written.is_set():
            return
        self.background = None
        engine = self.engine
        now = engine.clock.time()
        if work.cancelled and work.error is not None:
            return
        if work.kind == KIND:
            self.dump.ended(work, now)
        else:
            self.log.ended(work, now)
        if work.error is not None:
            _logger.error("saving %s failed: %s", work.kind, work.error)
        self.judge()

    def wait(self) -> None:
        """Return when nothing is written in the background any more."""
        if self.background is not None:
            work = self.background
            work.written.wait()
            self.finish(work)

    def call_off(self) -> None:
        """End what is written in the background, for good; there is a successor to it."""
        if self.background is not None:
            self.background.cancel()
            self.wait()

    # Failures

    def judge(self) -> None:
        """Decide whether writes are to be refused."""
        broken = self._misses_saves or bool(self.log.failure)
        if broken != self.broken:
            self.broken = broken
            self.engine.reconsider()

    @property
    def _misses_saves(self) -> bool:
        stops: bool = self.engine.config["stop-writes-on-bgsave-error"]
        return not self.dump.saved_well and bool(self.dump.points) and stops

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
        dump, log = self.dump, self.log
        wanted = bool(dump.points) or dump.scheduled or log.on or log.scheduled
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
            if not self.log.second(now) and self.dump.is_time(now):
                with contextlib.suppress(CommandError):
                    self.dump.begin(schedule=False, later=False)

    def flushed(self) -> None:
        """All keys were removed by FLUSHALL."""
        if not self.loading:
            self.dump.flushed()

    def replaced(self) -> None:
        """All keys came from elsewhere at once, as a replica's do: no file is of them."""
        self.call_off()
        if self.log.on:
            self.log.begin_anew()

    # The end

    def end(self, *, save: bool | None = None) -> bool:
        """Before the end of the process: save if `save` (None: where there are save points).

        False where that failed; then the process should go on.
        """
        if save is False or self._ended or not (self.settled() if save else self.directory):
            self._ended = self._ended or save is False
            return not save
        saves = save or self.dump.is_wanted
        if self.background is not None and (saves or self.background.kind != KIND):
            self._call_off_unless_needed(self.background)
        self.wait()
        return self.dump.write() if saves else True

    def _call_off_unless_needed(self, work: Background) -> None:
        if work.kind == KIND or self.log.is_whole:
            self.call_off()

    def close(self) -> None:
        """Give the directory back. The engine goes on without."""
        self.dump.points, self.dump.scheduled = (), False
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
        self.background, self.dump.points, self.dump.scheduled = None, (), False
        self._watching = None
        self.log.leave()
        self._leave_directory()
        self._forget()

    def _forget(self) -> None:
        self.home = ""
        self.engine.config.values.update({"dir": NOWHERE, "save": "", "appendonly": False})
        self.dump.saved_well = True
        self.judge()

    # INFO

    def info(self) -> dict[str, Any]:
        """The fields of INFO persistence."""
        return {
            "loading": 0,
            "async_loading": 0,
            "current_cow_peak": 0,
            "current_cow_size": 0,
            "current_cow_size_age": 0,
            "current_fork_perc": "0.00",
            "current_save_keys_processed": 0,
            "current_save_keys_total": 0,
            **self.dump.info(),
            **self.log.info(),
            "module_fork_in_progress": 0,
            "module_fork_last_cow_size": 0,
        }


def _nothing() -> None:
    """What is to be done first as a rule."""


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
