"""The two-counter window of rate limits, written out: what most checks of an engine come to.

A check is a script about one string, which `native.updater` runs as a function of it: two calls,
whose arguments and results travel as tuples. In the middle of a request, where nothing of it is in
the processor's caches, that is an eighth of what Django does. Here is the same for the commonest
case, in one function: the string is there and alive, one rate, a charge of one that is admitted,
and the same window as at the charge before. For anything else it does nothing.

The string holds what the algorithm keeps (`cacheapp/ratelimit/lua/sliding_window.lua`): the
window's number, its count, and the count of the window before, as doubles.
`tests/ratelimit/test_natives.py` compares the two.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cacheapp.engine.session import Session

# Key, limit, period (us) -> True, the time (us), the new string, how much of the limit is left, and
# how much of the window has passed (us); None where nothing was done.
WindowCounter = Callable[[bytes, int, int], tuple[bool, int, bytes, float, float] | None]

_WINDOW = struct.Struct("<ddd")


def window_counter(session: Session) -> WindowCounter:
    """A function `count_window(key, limit, period_us)`: charge one, or do nothing."""
    engine = session.engine
    clock, stats = engine.clock.time, engine.stats
    acquire, release = engine.lock.acquire, engine.lock.release
    pack, unpack = _WINDOW.pack, _WINDOW.unpack

    def count_window(
        key: bytes, limit: int, period_us: int
    ) -> tuple[bool, int, bytes, float, float] | None:
        acquire()
        try:
            now, db = clock(), session.db
            if (
                now < engine.write_until
                and db.sizes is None
                and not (db.watchers or session.special)
            ):
                slot = db.slots[key]
                index, current, previous = unpack(db.values[slot])
                now_us = int(now * 1_000_000)
                elapsed_us = now_us - index * period_us
                if 0 <= elapsed_us < period_us and db.deadlines[slot] > now * 1000.0:
                    left = limit - current - 1
                    if previous:
                        left -= previous * (1 - elapsed_us / period_us)
                    if left >= 0:
                        # The deadline is the window's, and stays. So whoever reads without the
                        # lock finds the old string or the new one, and needs no epoch.
                        state = db.values[slot] = pack(index, current + 1, previous)
                        db.accesses[slot] = now
                        engine.dirty += 1
                        stats.native_scripts += 1
                        return True, now_us, state, left, elapsed_us
        except (KeyError, TypeError, struct.error):
            pass  # no such key, or what another wrote
        finally:
            release()
        return None

    return count_window
