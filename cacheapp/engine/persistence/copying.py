"""A dump in memory, made while commands go on: what a replica is sent first.

As for files (`background`), a child makes it where that is safe, and sends it through a pipe; else
a thread does, of columns that were copied under the lock.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from cacheapp.engine.persistence import child
from cacheapp.engine.persistence.background import rest, while_true
from cacheapp.engine.persistence.rdb import pieces
from cacheapp.engine.persistence.snapshot import Snapshot, taken, viewed

if TYPE_CHECKING:
    from cacheapp.engine.engine import Engine

Choice = Callable[[Snapshot], Snapshot]
# What makes the copy, and what stops that.
Way = tuple[Callable[[], bytes], Callable[[], None]]

_logger = logging.getLogger(__name__)


def begin(
    engine: Engine,
    done: Callable[[bytes | None], None],
    *,
    keys: bool = True,
    functions: bool = True,
) -> Callable[[], None]:
    """Make a dump of what `engine` holds now; called under its lock.

    Without `keys` or `functions` these are left out. `done` gets it later, under the lock too; None
    where it could not be made. What is returned calls it off.
    """
    choose = partial(_chosen, keys, functions)
    by_child = _by_child(engine, choose) if child.is_safe(engine) else None
    make, stop = by_child or _by_thread(engine, choose)
    called_off = threading.Event()

    def call_off() -> None:
        called_off.set()
        stop()

    def run() -> None:
        copy = None
        try:
            copy = make()
        except OSError as error:
            if not called_off.is_set():
                _logger.error("no copy could be made for a replica: %s", error)
        finally:
            with engine.lock:
                done(copy)

    threading.Thread(target=run, name="cacheapp-copy", daemon=True).start()
    return call_off


def _chosen(keys: bool, functions: bool, snapshot: Snapshot) -> Snapshot:
    return Snapshot(snapshot.parts if keys else [], snapshot.libraries if functions else [])


def _by_thread(engine: Engine, choose: Choice) -> Way:
    snapshot, config, now = choose(taken(engine)), engine.config, engine.now
    stopped = threading.Event()

    def make() -> bytes:
        whole = pieces(snapshot, config, now, rest=rest)
        return b"".join(while_true(lambda: not stopped.is_set(), whole))

    return make, stopped.set


def _by_child(engine: Engine, choose: Choice) -> Way | None:
    """None where there can be no child."""
    reader, writer = os.pipe()

    def write(_alive: Callable[[], bool]) -> None:
        with os.fdopen(writer, "wb") as pipe:
            pipe.writelines(pieces(choose(viewed(engine)), engine.config, engine.now))

    made = child.begun(write, keep=writer)
    os.close(writer)
    if made is None:
        os.close(reader)
        return None

    def read() -> bytes:
        with os.fdopen(reader, "rb") as pipe:
            copy = pipe.read()
        made.wait()
        return copy

    return read, made.kill
