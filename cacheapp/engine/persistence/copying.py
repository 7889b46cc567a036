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
from cacheapp.engine.persistence.background import rest
from cacheapp.engine.persistence.rdb import pieces
from cacheapp.engine.persistence.snapshot import Snapshot, taken, viewed

if TYPE_CHECKING:
    from cacheapp.engine.engine import Engine

Choice = Callable[[Snapshot], Snapshot]

_logger = logging.getLogger(__name__)


def begin(
    engine: Engine,
    done: Callable[[bytes | None], None],
    *,
    keys: bool = True,
    functions: bool = True,
) -> None:
    """Make a dump of what `engine` holds now; called under its lock.

    Without `keys` or `functions` these are left out. `done` gets it later, under the lock too; None
    where it could not be made.
    """
    choose = partial(_chosen, keys, functions)
    make = (child.is_safe(engine) and _by_child(engine, choose)) or _by_thread(engine, choose)

    def run() -> None:
        copy = None
        try:
            copy = make()
        except OSError as error:
            _logger.error("no copy could be made for a replica: %s", error)
        finally:
            with engine.lock:
                done(copy)

    threading.Thread(target=run, name="cacheapp-copy", daemon=True).start()


def _chosen(keys: bool, functions: bool, snapshot: Snapshot) -> Snapshot:
    return Snapshot(snapshot.parts if keys else [], snapshot.libraries if functions else [])


def _by_thread(engine: Engine, choose: Choice) -> Callable[[], bytes]:
    snapshot, config, now = choose(taken(engine)), engine.config, engine.now
    return lambda: b"".join(pieces(snapshot, config, now, rest=rest))


def _by_child(engine: Engine, choose: Choice) -> Callable[[], bytes] | None:
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

    return read
