"""The engine's only way to the disk: small operations that a test can replace to inject faults.

`Engine.files` is one of these. An operation that fails raises OSError and leaves no half of its
work behind: a file that is replaced has either its old content or its new one, also after a crash.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

_MODE = 0o600


class Files:
    """Operations on whole files; paths are relative to the process's directory."""

    def read(self, path: str) -> bytes:
        """The content of a file; OSError where it cannot be read."""
        return Path(path).read_bytes()

    def replace(self, path: str, content: bytes) -> None:
        """Give a file this content in one step, on the disk when this returns; OSError.

        Only its owner may read a file that is new; one that is there keeps its mode.
        """
        target = Path(path)
        temporary = target.with_name(f"{target.name}.tmp-{os.getpid()}")
        try:
            mode = target.stat().st_mode & 0o777
        except FileNotFoundError:
            mode = _MODE
        try:
            self.write(temporary, content, mode)
            temporary.replace(target)
        except BaseException:
            with contextlib.suppress(OSError):
                temporary.unlink()
            raise
        self.sync_directory(target.parent)

    def write(self, path: Path, content: bytes, mode: int) -> None:
        """Write a new file and wait until it is on the disk; OSError."""
        path.unlink(missing_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(descriptor)

    def sync_directory(self, path: Path) -> None:
        """Wait until the names in a directory are on the disk; OSError."""
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
