"""A log as it lies on the disk: its manifest, what its files hold, and that put into an engine.

All of it is read and checked before any of it is done.
"""

from __future__ import annotations

import contextlib
import logging
from pathlib import Path
from typing import TYPE_CHECKING

from cacheapp.engine.errors import ConfigError
from cacheapp.engine.persistence import manifest, replay
from cacheapp.engine.persistence.encoding import CorruptPayload
from cacheapp.engine.persistence.manifest import Manifest
from cacheapp.engine.persistence.rdb import MAGIC, parsed
from cacheapp.engine.persistence.snapshot import Snapshot, load

if TYPE_CHECKING:
    from cacheapp.engine.persistence.saving import Saving

_logger = logging.getLogger(__name__)


class StoredLog:
    """The files of the log of one engine."""

    def __init__(self, saving: Saving) -> None:
        self._saving = saving
        self._files = saving.files

    def path(self, name: str = "") -> str:
        """Where the file called `name` is, or all of them."""
        directory: str = self._saving.engine.config["appenddirname"]
        return str(Path(self._saving.directory) / directory / name)

    @property
    def manifest_path(self) -> str:
        """Where the manifest is."""
        return self.path(f"{self._saving.engine.config['appendfilename']}.manifest")

    def manifest(self) -> Manifest | None:
        """The manifest, None where there is none; ConfigError."""
        path = self.manifest_path
        try:
            return manifest.unpacked(self._files.read(path))
        except FileNotFoundError:
            return None
        except OSError as error:
            raise ConfigError(f"{path} cannot be read: {error.strerror}") from None
        except CorruptPayload as error:
            raise _refused(path, error) from None

    def refuse_old(self) -> None:
        """ConfigError where there is a log of an older Redis."""
        old = Path(self._saving.directory) / self._saving.engine.config["appendfilename"]
        if self._files.exists(str(old)):
            raise ConfigError(
                f"{old} is a log of a Redis before 7: let Redis 7 load and rewrite it once, or "
                "move it away to begin without it"
            )

    def sweep(self, found: Manifest) -> None:
        """Remove what a crash has left: files of the past, and what was not written to its end."""
        current = {name for name, _ in found.files}
        with contextlib.suppress(OSError):
            self._files.sweep(self.path(), self._saving.engine.config["appendfilename"])
            for name, _ in found.past:
                if name not in current:
                    self._files.remove(self.path(name))

    def load(self, found: Manifest, *, flush: bool = False) -> tuple[int, int]:
        """Put what the files hold into the engine, where `flush` in place of all it holds.

        Returns how many keys the base has and where the last file ends; ConfigError where a file
        is damaged, and then nothing has changed.
        """
        engine = self._saving.engine
        snapshot, commands, end = self._contents(found)
        if flush:
            for database in engine.databases:
                database.clear()
            engine.functions.flush()
        listening, engine.propagation = engine.propagation, None
        try:
            load(engine, snapshot, merge=False, due_too=True)
        except CorruptPayload as error:
            raise _refused(self.path(), error) from None
        finally:
            engine.propagation = listening
        replay.perform(engine, commands)
        return snapshot.count, end

    def _contents(self, found: Manifest) -> tuple[Snapshot, list[list[bytes]], int]:
        engine = self._saving.engine
        snapshot, commands, end = Snapshot(), [], 0
        for name, _ in found.files:
            path = self.path(name)
            try:
                data = self._files.read(path)
                if data.startswith(MAGIC):
                    verify = engine.config["rdbchecksum"]
                    snapshot = parsed(data, engine.config, engine.now, verify=verify)
                    continue
                found_commands, end = replay.parsed(data)
                replay.check(found_commands)
                self._check_end(name == found.files[-1][0], end, len(data))
            except FileNotFoundError:
                raise _refused(path, CorruptPayload("it is missing")) from None
            except OSError as error:
                raise ConfigError(f"{path} cannot be read: {error.strerror}") from None
            except CorruptPayload as error:
                raise _refused(path, error) from None
            # Each file begins in the first database.
            commands += [[b"SELECT", b"0"], *found_commands]
        return snapshot, commands, end

    def _check_end(self, last: bool, end: int, size: int) -> None:
        if end == size:
            return
        if not last:
            raise CorruptPayload(f"it breaks off at byte {end}, and is not the last one")
        if not self._saving.engine.config["aof-load-truncated"]:
            raise CorruptPayload(f"it breaks off at byte {end}, and aof-load-truncated is no")
        _logger.warning("the log breaks off: %d bytes after byte %d are left out", size - end, end)


def _refused(path: str, error: Exception) -> ConfigError:
    return ConfigError(
        f"{path} was not loaded: {error}. Put a good copy of the directory in place, see what "
        "redis-check-aof says of its manifest, or move the directory away to begin without it"
    )
