"""The dump: when it is written, by whom, and how it is loaded.

It is loaded when the engine is made, before anybody can ask it anything, and written by SAVE,
BGSAVE, the save points, at the end, and by FLUSHALL, which would come undone otherwise.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cacheapp.engine.errors import (
    ANOTHER_SAVE,
    BACKGROUND_BUSY,
    NOTHING_ON_DISK,
    SAVE_FAILED,
    CommandError,
    ConfigError,
)
from cacheapp.engine.persistence.encoding import CorruptPayload
from cacheapp.engine.persistence.rdb import parsed, pieces
from cacheapp.engine.persistence.snapshot import Snapshot, load, taken, viewed

if TYPE_CHECKING:
    from cacheapp.engine.persistence.background import Background
    from cacheapp.engine.persistence.saving import Saving

_logger = logging.getLogger(__name__)

KIND = "rdb"
# After a save that failed the next one is not tried at once.
_RETRY_SECONDS = 5


class Dump:
    """The dump of one engine. Called under its lock."""

    def __init__(self, saving: Saving) -> None:
        self._saving = saving
        self._files = saving.files
        # Seconds and changes after which it is written.
        self.points: tuple[tuple[int, int], ...] = ()
        self.scheduled = False
        self.last_save = int(saving.engine.started)
        self.saved_well = True
        self.saves = 0
        self.seconds_taken = -1
        self.keys_loaded = self.keys_expired = 0
        self._tried = 0.0
        # What the engine's count of changes was when all of them had been saved.
        self.saved = 0
        # What DEBUG RELOAD wrote last where there is no directory.
        self._kept = b""

    @property
    def changes(self) -> int:
        """How many changes came after the last save."""
        return self._saving.engine.dirty - self.saved

    @property
    def _name(self) -> str:
        name: str = self._saving.engine.config["dbfilename"]
        return name

    def path(self) -> str:
        """Where it is; an error where nothing is kept on disk."""
        if not self._name or not self._saving.settled():
            raise CommandError(NOTHING_ON_DISK)
        return str(Path(self._saving.directory) / self._name)

    @property
    def is_wanted(self) -> bool:
        """Whether the end of the process would lose what save points are there to keep."""
        return bool(self.points and self.changes and self._name)

    # Loading

    def load(self) -> None:
        """Load it, if it is there; ConfigError says what is wrong with it."""
        if not self._name:
            return
        engine, path = self._saving.engine, self.path()
        try:
            self._files.sweep(self._saving.directory, self._name)
            data = self._files.read(path)
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
        """Write it now; an error where it is being written or that fails."""
        self.path()
        if self._is_under_way:
            raise CommandError(ANOTHER_SAVE)
        self.saves += 1
        if not self.write():
            raise CommandError(SAVE_FAILED)

    @property
    def _is_under_way(self) -> bool:
        work = self._saving.background
        return work is not None and work.kind == KIND

    def write(self) -> bool:
        """Write it now, whatever else is done; whether that went well."""
        engine, path = self._saving.engine, self.path()
        try:
            self._files.replace(path, pieces(viewed(engine), engine.config, engine.now))
        except OSError as error:
            _logger.error("saving %s failed: %s", path, error)
            return False
        self.saved = engine.dirty
        self.last_save = int(engine.now)
        self.saved_well = True
        self._saving.judge()
        return True

    def begin(self, *, schedule: bool, later: bool) -> bool:
        """Begin to write it in the background; False where that is left to when it can be.

        `schedule` allows to wait for another thread's end, `later` asks for it: in the middle of a
        transaction there is no consistent state.
        """
        path = self.path()
        saving, engine = self._saving, self._saving.engine
        if self._is_under_way:
            raise CommandError(ANOTHER_SAVE)
        if saving.background is not None or later:
            if not (schedule or later):
                raise CommandError(BACKGROUND_BUSY)
            self.scheduled = True
            saving.watch()
            return False
        self.saves += 1
        self._tried = engine.now
        self.scheduled = False
        saving.in_background(KIND, path)
        return True

    def ended(self, work: Background, now: float) -> None:
        """What follows from the end of a background save at `now`, in seconds."""
        self.seconds_taken = int(now - work.started)
        self.saved_well = work.error is None
        if self.saved_well:
            self.saved = work.dirty
            self.last_save = int(now)

    def flushed(self) -> None:
        """All keys are gone: what is written of them is called off, or a crash brings them back.

        With save points the dump of nothing is written now, as Redis does.
        """
        if self._is_under_way:
            self._saving.call_off()
        if self.points and self._name and self._saving.directory:
            self.write()

    def is_time(self, now: float) -> bool:
        """Whether a save point is reached, or a save was put off."""
        if self.scheduled:
            return True
        if not self.saved_well and now - self._tried <= _RETRY_SECONDS:
            return False
        dirty, passed = self.changes, now - self.last_save
        return any(dirty >= changes and passed > seconds for seconds, changes in self.points)

    # DEBUG RELOAD

    def reload(self, *, save: bool, flush: bool, merge: bool) -> None:
        """Write everything and load it back; CorruptPayload, OSError or CommandError."""
        saving, engine = self._saving, self._saving.engine
        if save:
            if saving.directory:
                saving.wait()
                self.save()
            else:
                newest = pieces(taken(engine), engine.config, engine.now, newest=True)
                self._kept = b"".join(newest)
        data = self._files.read(self.path()) if saving.directory else self._kept
        # Read before anything is removed: what is damaged costs nothing.
        snapshot = parsed(data, engine.config, engine.now) if data else Snapshot()
        if flush:
            for database in engine.databases:
                database.clear()
            engine.functions.flush()
        load(engine, snapshot, merge=merge)
        self.saved = engine.dirty

    # INFO

    def info(self) -> dict[str, Any]:
        """The fields of INFO persistence about the dump."""
        work = self._saving.background
        now = self._saving.engine.now
        running = int(now - work.started) if work is not None and work.kind == KIND else -1
        return {
            "rdb_changes_since_last_save": self.changes,
            "rdb_bgsave_in_progress": int(self._is_under_way),
            "rdb_last_save_time": self.last_save,
            "rdb_last_bgsave_status": "ok" if self.saved_well else "err",
            "rdb_last_bgsave_time_sec": self.seconds_taken,
            "rdb_current_bgsave_time_sec": running,
            "rdb_saves": self.saves,
            "rdb_last_cow_size": 0,
            "rdb_last_load_keys_expired": self.keys_expired,
            "rdb_last_load_keys_loaded": self.keys_loaded,
        }
