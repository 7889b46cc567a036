"""A child process that writes a file and ends: how Redis saves.

A process whose threads nobody knows must not do this: in the child only one thread is left, and
whatever lock another one held stays locked. So it is done only where a front owns the process (see
`Engine.end_process`), and all threads are this package's or asyncio's, which are known to wait.

The child has the parent's sockets too, and would keep them open; so it closes all it has, the
locked file of the directory among it. Should the parent die, it gives up: another process may have
the directory by then. Signals to a whole group of processes (Ctrl-C) are for the parent, which
waits for the child or kills it.
"""

from __future__ import annotations

import contextlib
import gc
import os
import resource
import signal
import sys
import threading
import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, NoReturn

from cacheapp.engine import forks

if TYPE_CHECKING:
    from cacheapp.engine.engine import Engine

# What a child does; it is given a function that says whether the parent is still there.
Work = Callable[[Callable[[], bool]], None]

_KNOWN_THREADS = ("cacheapp-", "asyncio_")
_SIGNALS = (signal.SIGTERM, signal.SIGINT)
# Where it failed otherwise than with an error of the system.
_BROKEN = 255
_FIRST_FILE = 3
_FILES_MAX = 1 << 20


def is_safe(engine: Engine) -> bool:
    """Whether this process may have a child that goes on with what the engine holds."""
    if engine.end_process is None or sys.platform != "linux":
        return False
    known = {threading.current_thread(), threading.main_thread()}
    return all(
        thread in known or thread.name.startswith(_KNOWN_THREADS)
        for thread in threading.enumerate()
    )


def begun(work: Work, keep: int | None = None) -> Child | None:
    """A child that does `work`, with the file `keep` of those of the parent.

    None where there cannot be another process.
    """
    parent = os.getpid()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
    try:
        with forks.writer(), warnings.catch_warnings():
            # The threads are known.
            warnings.simplefilter("ignore", DeprecationWarning)
            pid = os.fork()
        if not pid:
            _do(work, parent, keep)
    except OSError:
        return None
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    return Child(pid)


def _do(work: Work, parent: int, keep: int | None) -> NoReturn:
    code = _BROKEN
    try:
        # Else a signal to this process would wake the parent's loop, as if it were for that.
        signal.set_wakeup_fd(-1)
        for number in _SIGNALS:
            signal.signal(number, signal.SIG_IGN)
        gc.disable()
        _close_all_but(keep)
        work(lambda: os.getppid() == parent)
        code = 0
    except OSError as error:
        code = error.errno if error.errno and 0 < error.errno < _BROKEN else _BROKEN
    finally:
        os._exit(code)


def _close_all_but(keep: int | None) -> None:
    files = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    end = files if 0 < files < _FILES_MAX else _FILES_MAX
    if keep is None:
        os.closerange(_FIRST_FILE, end)
    else:
        os.closerange(_FIRST_FILE, keep)
        os.closerange(keep + 1, end)


class Child:
    """A process that is waited for by one thread, and may be killed by another."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        # So that nobody else's process is killed, which may be given the same number.
        self._guard = threading.Lock()

    def wait(self) -> None:
        """Return once it has done its work; OSError where it could not."""
        os.waitid(os.P_PID, self._pid, os.WEXITED | os.WNOWAIT)
        with self._guard:
            _, status = os.waitpid(self._pid, 0)
            self._pid = 0
        code = os.waitstatus_to_exitcode(status)
        if 0 < code < _BROKEN:
            raise OSError(code, os.strerror(code))
        if code:
            raise OSError(f"the process that wrote it ended with {code}")

    def kill(self) -> None:
        """End it now; no error where it has ended."""
        with self._guard, contextlib.suppress(ProcessLookupError):
            if self._pid:
                os.kill(self._pid, signal.SIGKILL)
