"""The engine's only way to the disk: small operations that a test can replace to inject faults.

`Engine.files` is one of these. An operation that fails raises OSError and leaves no half of its
work behind: a file that is replaced has either its old content or its new one, also after a crash.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import threading
from collections.abc import Iterable
from pathlib import Path

_MODE = 0o600
# How names end as long as a file is written.
_TEMPORARY = re.compile(r"\.tmp-[0-9]+-[0-9]+\Z")


class Files:
    """Operations on whole files; paths are relative to the process's directory."""

    def read(self, path: str) -> bytes:
        """The content of a file; OSError where it cannot be read."""
        return Path(path).read_bytes()

    def replace(self, path: str, content: bytes | Iterable[bytes]) -> None:
        """Give a file this content in one step, on the disk when this returns; OSError.

        Content in pieces may be made while it is written. Only its owner may read a file that is
        new; one that is there keeps its mode.
        """
        pieces = (content,) if isinstance(content, bytes) else content
        target = Path(path)
        temporary = target.with_name(f"{target.name}.tmp-{os.getpid()}-{threading.get_ident()}")
        try:
            mode = target.stat().st_mode & 0o777
        except FileNotFoundError:
            mode = _MODE
        try:
            self.write(temporary, pieces, mode)
            temporary.replace(target)
        except BaseException:
            with contextlib.suppress(OSError):
                temporary.unlink()
            raise
        self.sync_directory(target.parent)

    def sweep(self, directory: str, name: str) -> None:
        """Remove what was not written to its end of files whose names begin with `name`; OSError.

        A process that was killed leaves such files behind.
        """
        for path in Path(directory).iterdir():
            if path.name.startswith(name) and _TEMPORARY.search(path.name):
                path.unlink(missing_ok=True)

    def write(self, path: Path, pieces: Iterable[bytes], mode: int) -> None:
        """Write a new file and wait until it is on the disk; OSError."""
        path.unlink(missing_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        with os.fdopen(descriptor, "wb") as file:
            for piece in pieces:
                file.write(piece)
            file.flush()
            os.fsync(descriptor)

    def sync_directory(self, path: Path) -> None:
        """Wait until the names in a directory are on the disk; OSError."""
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    # Logs: files that only grow. They are known by their descriptors.

    def open_log(self, path: str) -> int:
        """Open a file to write at its end, made if it is not there; OSError."""
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, _MODE)

    def append(self, log: int, data: bytes) -> int:
        """Write at the end of a log; how many bytes of `data` went out; OSError."""
        return os.write(log, data)

    def truncate(self, log: int, size: int) -> None:
        """Cut a log to `size` bytes; OSError."""
        os.ftruncate(log, size)

    def sync(self, log: int) -> None:
        """Wait until a log is on the disk; OSError."""
        os.fsync(log)

    def close(self, log: int) -> None:
        """Close a log, or give a lock back."""
        os.close(log)

    # Directories

    def lock(self, path: str) -> int:
        """Take the lock that a file stands for; BlockingIOError where somebody has it, OSError.

        It ends with `close`, and with the process.
        """
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, _MODE)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BaseException:
            os.close(descriptor)
            raise
        return descriptor

    def make_directory(self, path: str) -> None:
        """Make a directory, only for its owner, unless it is there; OSError."""
        Path(path).mkdir(mode=0o700, exist_ok=True)

    def exists(self, path: str) -> bool:
        """Whether there is such a file or directory."""
        return Path(path).exists()

    def size(self, path: str) -> int:
        """How many bytes a file has; OSError."""
        return Path(path).stat().st_size

    def remove(self, path: str) -> None:
        """Remove a file; OSError unless it is gone."""
        Path(path).unlink(missing_ok=True)
