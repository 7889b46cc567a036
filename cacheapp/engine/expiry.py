"""The active expiry cycle: reclaiming keys that are due and that nobody asks for.

Commands already treat a due key as gone; this gives its memory back. The cycle walks the deadline
column from where it last stopped, a stretch at a time, and ends when it has been round or when its
time is used up. `active-expire-effort` (1 to 10) scales the time. When more than a tenth of the
keys with a deadline that it saw were due, the next command that finds the cycle unfinished goes
on, so that a wave of deadlines is followed, in small steps rather than in one pause.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cacheapp.engine.fieldexpiry import reclaim_fields

if TYPE_CHECKING:
    from cacheapp.engine.database import Database
    from cacheapp.engine.engine import Engine

_STRETCH_SLOTS = 512
_BUDGET_SECONDS = 0.001
_DUE_SHARE_MAX = 0.1


def expire_cycle(engine: Engine) -> bool:
    """Reclaim due keys in all databases within the budget; whether to go on soon."""
    started = engine.clock.time()
    budget = _BUDGET_SECONDS * engine.config["active-expire-effort"]
    go_on = False
    for database in engine.databases:
        if database.volatile:
            go_on |= _sweep(database, started + budget)
        if database.field_deadlines is not None:
            go_on |= reclaim_fields(database, started + budget)
        database.compact_if_sparse()
    elapsed = engine.clock.time() - started
    engine.stats.expire_cycle_ms += elapsed * 1000
    engine.took(b"expire-cycle", elapsed)
    return go_on


def _sweep(database: Database, until: float) -> bool:
    """Walk on from the last stop until round or out of time; whether many were due."""
    clock, now_ms = database.engine.clock, database.engine.now_ms
    left = len(database.keys)
    seen = due = 0
    while left > 0 and database.volatile:
        if database.sweep >= len(database.keys):
            database.sweep = 0
        start = database.sweep
        stretch = database.deadlines[start : start + _STRETCH_SLOTS]
        for offset, deadline in enumerate(stretch):
            if deadline:
                seen += 1
                if deadline < now_ms:
                    due += 1
                    database.expire_slot(start + offset)
        database.sweep = start + len(stretch)
        left -= len(stretch)
        if clock.time() >= until:
            return due > seen * _DUE_SHARE_MAX
    return False
