"""The log of changes: Redis 7's append-only file, in parts that a manifest names.

A base, which is a dump, and files of the changes since then, all in a directory of their own. Every
effect (see `propagation`) is written before the client gets its reply, so the end of the process
loses nothing that was answered; `appendfsync` says when it is on the disk as well. A rewrite begins
a new file of changes under the lock and lets the base that belongs before it be written in the
background; only when that is on the disk does the manifest name it, and the old files go. How a
log is read is `storedlog`'s.

A disk that does not take a write is an error for all writes that follow, and what was not taken is
kept and tried again. With `appendfsync always` the command itself fails as well, though its effect
stays: it was not acknowledged, and may be there or not. After an fsync that failed nobody knows
what is on the disk, so everything is written anew.
"""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING, Any, Final

from cacheapp.engine.errors import (
    REWRITE_FAILED,
    REWRITE_UNDER_WAY,
    CommandError,
    ConfigError,
    append_failed,
)
from cacheapp.engine.persistence import replay
from cacheapp.engine.persistence.manifest import Manifest
from cacheapp.engine.persistence.rdb import pieces
from cacheapp.engine.persistence.snapshot import viewed
from cacheapp.engine.persistence.storedlog import StoredLog
from cacheapp.engine.propagation import TO_FILE, ignore, listen

if TYPE_CHECKING:
    from cacheapp.engine.persistence.background import Background
    from cacheapp.engine.persistence.saving import Saving

_logger = logging.getLogger(__name__)

KIND: Final = "aof"
# After a rewrite that failed the next one is not tried at once.
_RETRY_SECONDS: Final = 5
_NOWHERE: Final = -1


class Log:
    """The log of one engine; a sink of its effects. Called under the engine's lock."""

    kind = TO_FILE

    def __init__(self, saving: Saving) -> None:
        self._saving = saving
        self._files = saving.files
        self._append = saving.files.append
        self._stored = StoredLog(saving)
        self.on = False
        # Whether the base belongs to what is being written now: not before the first rewrite.
        self._begun = False
        self._manifest = self._former = self._successor = Manifest()
        self.descriptor: int | None = None
        # The former file, until it is known to be on the disk.
        self._behind: int | None = None
        # Held while the file is waited for, which happens without the engine's lock.
        self._syncing = threading.Lock()
        self._unsynced = False
        self._selected = _NOWHERE
        self._block: list[bytes] = []
        # What the disk has not taken yet.
        self._left = b""
        self.failure = ""
        # Whether nobody knows what is on the disk; only a rewrite mends that.
        self._damaged = False
        # Why a file that was left during a rewrite may not be on the disk.
        self._doubt: OSError | None = None
        self._always = False
        self.size = self.base_size = 0
        self.scheduled = False
        self.rewrites = self.failures = 0
        self.rewritten_well = True
        self.seconds_taken = -1
        self._tried = 0.0

    # Names

    def _path(self, name: str = "") -> str:
        return self._stored.path(name)

    def _name(self, number: int, kind: str) -> str:
        return f"{self._saving.engine.config['appendfilename']}.{number}.{kind}"

    # Settings

    def configured(self) -> None:
        """Turn on or off as the settings say; OSError where the first file cannot be made."""
        config = self._saving.engine.config
        self._always = config["appendfsync"] == "always"
        if config["appendonly"] and not self.on:
            self._turn_on()
        elif not config["appendonly"] and self.on:
            if self._saving.background is not None and self._saving.background.kind == KIND:
                self._saving.call_off()
            self.close()

    def _turn_on(self) -> None:
        self._saving.wait()
        self._files.make_directory(self._path())
        # A log of earlier times stays until its successor is whole.
        self._manifest = self._stored.manifest() or Manifest()
        self._begun = False
        self.on = True
        try:
            self.rewrite()
        except BaseException:
            self.on = False
            raise
        listen(self._saving.engine, self)

    def close(self) -> None:
        """Write what is left and wait for it; then there is no log."""
        self.on = False
        ignore(self._saving.engine, self)
        self._saving.wait()
        self._write()
        self._release(sync=True)
        self.failure, self._damaged, self.scheduled = "", False, False

    def leave(self) -> None:
        """In a forked child: the file is the parent's."""
        self.on = False
        self._syncing = threading.Lock()
        ignore(self._saving.engine, self)
        self._left = b""
        self._release(sync=False)
        if self._behind is not None:
            self._files.close(self._behind)
            self._behind = None

    def _release(self, *, sync: bool) -> None:
        with self._syncing:
            descriptor, self.descriptor = self.descriptor, None
            if descriptor is None:
                return
            try:
                if sync:
                    self._files.sync(descriptor)
            except OSError as error:
                _logger.error("the log may have lost its end: %s", error)
            finally:
                self._files.close(descriptor)
            self._unsynced = False

    # The sink

    def feed(self, db_index: int, args: list[bytes]) -> None:
        """Take one effect."""
        if db_index != self._selected:
            self._selected = db_index
            self._block.append(replay.packed((b"SELECT", b"%d" % db_index)))
        self._block.append(replay.packed(args))

    def settle(self) -> None:
        """Write what was fed."""
        block = self._block
        if not block:
            return
        sealed = replay.sealed(block[0] if len(block) == 1 else b"".join(block))
        self._left = self._left + sealed if self._left else sealed
        block.clear()
        self._write()
        if self._always and not self.failure:
            self.sync()
        if self._always and self.failure:
            propagation = self._saving.engine.propagation
            if propagation is not None:
                propagation.failure = CommandError(append_failed(self.failure))

    def _write(self) -> None:
        if self.descriptor is None:
            return
        try:
            while left := self._left:
                count = self._append(self.descriptor, left)
                self._left = left[count:] if count < len(left) else b""
                self.size += count
                self._unsynced = True
        except OSError as error:
            self._failed(error)
        else:
            if self.failure and not self._damaged:
                self.failure = ""
                self._saving.judge()

    @property
    def is_whole(self) -> bool:
        """Whether what the manifest names holds everything, without a rewrite that goes on."""
        return self._begun and not self._damaged

    def sync(self) -> None:
        """Wait until what was written is on the disk. Not only under the engine's lock."""
        self._sync_behind()
        with self._syncing:
            if not self._unsynced or self.descriptor is None:
                return
            self._unsynced = False
            try:
                self._files.sync(self.descriptor)
                return
            except OSError as error:
                failure = error
        with self._saving.engine.lock:
            self._damaged = True
            self._failed(failure)

    @property
    def is_on_disk(self) -> bool:
        """Whether there is a log, and everything that happened is in it on the disk."""
        in_doubt = self._unsynced or self._behind is not None or self._doubt is not None
        return self.on and not (in_doubt or self.failure)

    def _failed(self, error: OSError) -> None:
        reason = error.strerror or str(error)
        if reason != self.failure:
            _logger.error("the log of changes cannot be written: %s", reason)
        self.failure = reason
        self._saving.judge()

    # Rewriting

    def begin_rewrite(self, *, later: bool) -> bool:
        """Begin a rewrite; False where it has to wait for the end of something else."""
        work = self._saving.background
        if work is not None and work.kind == KIND:
            raise CommandError(REWRITE_UNDER_WAY)
        if work is not None or later:
            self.scheduled = True
            return False
        try:
            self.rewrite()
        except OSError:
            raise CommandError(REWRITE_FAILED) from None
        return True

    def rewrite(self) -> None:
        """Begin a new file of changes, and have a thread write its base; OSError."""
        saving = self._saving
        engine = saving.engine
        self._tried, self.scheduled = engine.now, False
        # A file whose end is missing must not be followed by another.
        self._damaged = self._damaged or bool(self._left)
        self._files.make_directory(self._path())
        if not self.on:
            # Nobody adds to it: its base is all there is to write.
            self._manifest = self._stored.manifest() or Manifest()
        former, old = self._manifest, self.descriptor
        successor = Manifest()
        if self.on:
            self._next_file(former)
            successor = Manifest(None, self._manifest.changes[-1:])
        number = former.next_base
        name = self._name(number, "base.rdb")
        successor = Manifest((name, number), successor.changes)
        self._successor, self._former = successor, former
        self._behind = old
        saving.in_background(KIND, self._path(name), self._sync_behind)

    def begin_anew(self) -> None:
        """Rewrite it since what is on the disk is of other data, which counts until that is done.

        What comes meanwhile must not be added to it.
        """
        self._damaged = True
        try:
            self.rewrite()
        except OSError as error:
            self._failed(error)

    def _sync_behind(self) -> None:
        """Wait for the former file, which counts until the base is there, and close it."""
        with self._syncing:
            old = self._behind
            if old is None:
                return
            try:
                self._files.sync(old)
            except OSError as error:
                self._doubt = error
            finally:
                self._behind = None
                self._files.close(old)

    def _next_file(self, former: Manifest) -> None:
        """Let what comes from now on go to a new file; OSError leaves everything as it was."""
        number = former.next_changes
        name = self._name(number, "incr.aof")
        wanted = former.with_changes(name, number)
        self._files.remove(self._path(name))
        descriptor = self._files.open_log(self._path(name))
        try:
            if self._begun and not self._damaged:
                self._files.replace(self._stored.manifest_path, wanted.packed())
        except BaseException:
            self._files.close(descriptor)
            raise
        with self._syncing:
            self._manifest, self.descriptor, self._unsynced = wanted, descriptor, False
        self._selected = _NOWHERE
        # Its effects are in the snapshot that follows.
        self._left = b""
        self.size = 0

    def ended(self, work: Background, now: float) -> None:
        """Take note that the base has been written, or that this failed."""
        self.seconds_taken = int(now - work.started)
        self.rewrites += 1
        if work.error is None:
            try:
                self._install(self._successor)
            except OSError as error:
                work.error = error
        self.rewritten_well = work.error is None
        self.failures = 0 if work.error is None else self.failures + 1
        doubt, self._doubt = self._doubt, None
        if work.error is None:
            self._damaged, self.failure = False, ""
        elif doubt is not None:
            self._damaged = True
            self._failed(doubt)
        if work.error is not None and self.on and not self._begun:
            # Nothing names the new file yet; another attempt takes its place.
            self._manifest = self._former

    def _install(self, successor: Manifest) -> None:
        gone = tuple(file for file in self._former.files if file not in successor.files)
        self._files.replace(self._stored.manifest_path, successor.with_past(gone).packed())
        for name, _ in gone:
            self._files.remove(self._path(name))
        self._manifest, self._begun = successor, self.on
        self.base_size = self._size_of(successor)
        self.size = self.base_size

    def _size_of(self, files: Manifest) -> int:
        return sum(self._files.size(self._path(name)) for name, _ in files.files)

    def retry(self) -> None:
        """Write what the disk has not taken, if there is such."""
        if self._left:
            self._write()

    def second(self, now: float) -> bool:
        """Begin a rewrite if it is time, when nothing is written; whether one was begun."""
        if self.scheduled or (self.on and self._is_time(now)):
            try:
                self.rewrite()
            except OSError as error:
                _logger.error("the log cannot be rewritten: %s", error)
            else:
                return True
        return False

    def _is_time(self, now: float) -> bool:
        waited = now - self._tried > _RETRY_SECONDS
        if self._damaged or not self._begun:
            return waited
        config = self._saving.engine.config
        percentage = config["auto-aof-rewrite-percentage"]
        if not percentage or self.size <= config["auto-aof-rewrite-min-size"]:
            return False
        growth = self.size * 100 // max(1, self.base_size) - 100
        return growth >= percentage and (self.rewritten_well or waited)

    # Loading

    def start(self) -> bool:
        """Load the log, if there is one, and go on with it; whether there was. ConfigError."""
        found = self._stored.manifest()
        if found is None:
            self._stored.refuse_old()
            return False
        self._stored.sweep(found)
        self._saving.dump.keys_loaded, end = self._stored.load(found)
        self._manifest = found
        self._open_last(end)
        return True

    def begin(self) -> None:
        """Begin a log with what the engine holds, before anybody uses it; ConfigError."""
        engine = self._saving.engine
        try:
            self._files.make_directory(self._path())
            base = self._name(1, "base.rdb")
            content = pieces(viewed(engine), engine.config, engine.now, base=True)
            self._files.replace(self._path(base), content)
            self._manifest = Manifest((base, 1))
            self._next_file(self._manifest)
            self._files.replace(self._stored.manifest_path, self._manifest.packed())
        except OSError as error:
            where = self._saving.directory
            raise ConfigError(f"no log can be begun in {where}: {error}") from None
        self._go_on()

    def _open_last(self, end: int) -> None:
        """Add to the last file of changes from `end` on; ConfigError."""
        try:
            if not self._manifest.changes:
                self._begun = True
                self._next_file(self._manifest)
            else:
                path = self._path(self._manifest.changes[-1][0])
                self.descriptor = self._files.open_log(path)
                if end < self._files.size(path):
                    self._files.truncate(self.descriptor, end)
        except OSError as error:
            raise ConfigError(f"the log in {self._path()}: {error.strerror}") from None
        self._go_on()

    def _go_on(self) -> None:
        self.on = self._begun = True
        self._always = self._saving.engine.config["appendfsync"] == "always"
        self.size = self.base_size = self._size_of(self._manifest)
        listen(self._saving.engine, self)

    def reload(self) -> None:
        """Put what is on the disk in place of what the engine holds; ConfigError."""
        if not self._saving.directory:
            return
        self._saving.wait()
        self._write()
        self.sync()
        found = self._stored.manifest()
        if found is not None:
            with self._saving.from_disk():
                self._stored.load(found, flush=True)

    # INFO

    def info(self) -> dict[str, Any]:
        """The fields of INFO persistence about the log."""
        work = self._saving.background
        rewriting = work if work is not None and work.kind == KIND else None
        started = 0.0 if rewriting is None else rewriting.started
        running = -1 if rewriting is None else int(self._saving.engine.now - started)
        section: dict[str, Any] = {
            "aof_enabled": int(self.on),
            "aof_rewrite_in_progress": int(rewriting is not None),
            "aof_rewrite_scheduled": int(self.scheduled),
            "aof_last_rewrite_time_sec": self.seconds_taken,
            "aof_current_rewrite_time_sec": running,
            "aof_last_bgrewrite_status": "ok" if self.rewritten_well else "err",
            "aof_rewrites": self.rewrites,
            "aof_rewrites_consecutive_failures": self.failures,
            "aof_last_write_status": "err" if self.failure else "ok",
            "aof_last_cow_size": 0,
        }
        if self.on:
            section |= {
                "aof_current_size": self.size,
                "aof_base_size": self.base_size,
                "aof_pending_rewrite": int(self.scheduled),
                "aof_buffer_length": len(self._left),
                "aof_pending_bio_fsync": 0,
                "aof_delayed_fsync": 0,
            }
        return section
