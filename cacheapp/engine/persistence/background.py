"""A dump that is written while commands go on: by a child where that is safe, else by a thread.

A child (see `child`) has a copy of everything, which the kernel makes as pages change, and an
interpreter of its own. A thread gets copies of the columns, made under the engine's lock; it rests
every few keys, or whoever waits for the interpreter would wait five milliseconds each time.
"""

from __future__ import annotations

import contextlib
import errno
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from cacheapp.engine.persistence import child
from cacheapp.engine.persistence.rdb import pieces
from cacheapp.engine.persistence.snapshot import taken, viewed

if TYPE_CHECKING:
    from cacheapp.engine.engine import Engine

# As long as it takes others to notice that they may go on.
_REST_SECONDS = 0.0001


class Background:
    """One dump on its way to the disk, with all that was there when it was begun.

    `error` is there until it has been written to its end.
    """

    def __init__(self, kind: str, engine: Engine) -> None:
        self.kind = kind
        self.started, self.dirty = engine.now, engine.dirty
        self.error: Exception | None = OSError("it broke off")
        self.cancelled = False
        self.written = threading.Event()
        self._engine = engine
        self._path = ""
        self._child: child.Child | None = None

    def begin(
        self,
        path: str,
        *,
        base: bool,
        first: Callable[[], None],
        ended: Callable[[Background], None],
    ) -> None:
        """Have the file at `path` written; called under the engine's lock.

        In a thread `first` is called before that, and `ended`, under the lock, at the end.
        """
        self._path = path
        engine = self._engine
        files, config, now = engine.files, engine.config, engine.now
        if child.is_safe(engine):
            self._child = child.begun(
                lambda alive: files.replace(
                    path, while_true(alive, pieces(viewed(engine), config, now, base=base))
                )
            )
        if self._child is not None:
            write = self._child.wait
        else:
            snapshot = taken(engine)

            def write() -> None:
                rested = pieces(snapshot, config, now, base=base, rest=rest)
                files.replace(path, while_true(lambda: not self.cancelled, rested))

        def run() -> None:
            try:
                self._prepared(first)
                write()
                self.error = None
            except OSError as error:
                self.error = error
            finally:
                self.written.set()
                with engine.lock:
                    ended(self)

        threading.Thread(target=run, name=f"cacheapp-{self.kind}", daemon=True).start()

    def _prepared(self, first: Callable[[], None]) -> None:
        try:
            first()
        except OSError:
            if self._child is not None:
                # Else it would write on, and nobody would wait for its end.
                self._child.kill()
                with contextlib.suppress(OSError):
                    self._child.wait()
                self._sweep()
            raise

    def cancel(self) -> None:
        """End it early, unless it is through; nothing is written any more when this returns."""
        self.cancelled = True
        if self._child is not None:
            self._child.kill()
        self.written.wait()
        if self._child is not None:
            self._sweep()

    def _sweep(self) -> None:
        path = Path(self._path)
        self._engine.files.sweep(str(path.parent), path.name)


def while_true(condition: Callable[[], bool], content: Iterator[bytes]) -> Iterator[bytes]:
    """`content` while `condition` holds; then OSError."""
    for piece in content:
        if not condition():
            raise OSError(errno.ECANCELED, "it was called off")
        yield piece


def rest() -> None:
    """Let others have the interpreter."""
    threading.Event().wait(_REST_SECONDS)
