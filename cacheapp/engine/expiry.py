"""The active expiry cycle: reclaiming keys that are due and that nobody asks for.

Commands already treat a due key as gone; this gives its memory back. The cycle walks the deadline
column from where it last stopped, a stretch at a time, and ends when it has been round or when its
time is used up. `active-expire-effort` (1 to 10) scales the time. When more than a few percent of
the keys with a deadline that it saw were due, it goes on soon instead of at the next tick, and when
it falls behind, with the next command: a wave of deadlines is followed, in small steps rather than
in one pause.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from cacheapp.engine.fieldexpiry import reclaim_fields
from cacheapp.engine.monitoring import took

if TYPE_CHECKING:
    from cacheapp.engine.database import Database
    from cacheapp.engine.engine import Engine

_STRETCH_SLOTS = 512
_BUDGET_SECONDS = 0.001
# A third of what the dead may be of all keys: those swept longest ago have the most of them.
_DUE_SHARE_MAX = 0.03
# From the beginning of a cycle that has not caught up to that of the next; and from which share of
# dead keys on there is none.
_REST_SECONDS = 0.003
_BEHIND_SHARE = 0.05


def expire_cycle(engine: Engine) -> float:
    """Reclaim due keys in all databases within the budget; in how many seconds to go on.

    Infinity where it has caught up.
    """
    started = engine.clock.time()
    budget = _BUDGET_SECONDS * engine.config["active-expire-effort"]
    share = 0.0
    for database in engine.databases:
        if database.volatile:
            share = max(share, _sweep(database, started + budget))
        if database.field_deadlines is not None and reclaim_fields(database, started + budget):
            share = 1.0
        database.compact_if_sparse()
    if engine.propagation is not None:
        engine.propagation.settle(together=False)
    elapsed = engine.clock.time() - started
    engine.stats.expire_cycle_ms += elapsed * 1000
    took(engine, b"expire-cycle", elapsed)
    if share > _BEHIND_SHARE:
        return 0.0
    return _REST_SECONDS if share > _DUE_SHARE_MAX else math.inf


def _sweep(database: Database, until: float) -> float:
    """Walk on from the last stop until round or out of time; the part that was due, then 0."""
    clock, now_ms = database.engine.clock, database.engine.now_ms
    left = len(database.keys)
    seen = due = 0
    while left > 0 and database.volatile:
        if database.sweep >= len(database.keys):
            database.sweep = 0
        start = database.sweep
        stretch = database.deadlines[start : start + _STRETCH_SLOTS]
        if any(stretch):
            seen += len(stretch) - stretch.count(0)
            found = [at for at, deadline in enumerate(stretch) if 0 < deadline < now_ms]
            due += len(found)
            for offset in found:
                database.expire_slot(start + offset)
        database.sweep = start + len(stretch)
        left -= len(stretch)
        if clock.time() >= until:
            return due / seen if seen else 0.0
    return 0.0
