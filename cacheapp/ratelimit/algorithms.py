"""The algorithms by name, each one script: one key, one round trip, the server's clock.

=================  ====================================================  ==================
name               admits in any period, at most                         keeps
=================  ====================================================  ==================
``sliding-log``    the limit                                             a time a request
``sliding-window`` the limit where traffic is even, else twice that      two counters
``gcra``           twice the limit: all at once, then evenly             one time
``token-bucket``   as ``gcra``                                           tokens and a time
``fixed-window``   twice the limit: a window's end and the next's start  a counter
=================  ====================================================  ==================

One key holds the state of all rates of a rule for one client, so several rates are checked in one
step and charged all or none. It always has a deadline, after which nothing of it matters.

Left out on purpose: a leaky bucket that makes requests wait. A web server has nothing to wait in.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import floor
from pathlib import Path
from struct import Struct
from types import MappingProxyType
from typing import Final

from cacheapp.clients.scripts import Script
from cacheapp.ratelimit import natives

_LUA: Final = Path(__file__).parent / "lua"

#: The most that a rate of ``sliding-log`` may admit: it keeps and searches that many times.
LOG_LIMIT_MAX: Final = 10_000


# Doubles a rate in what a script returns, now (us), limit, period (us), cost
# -> remaining, us until all is back, us to wait until the cost would be admitted.
Report = Callable[[Sequence[float], int, int, int, int], tuple[int, float, float]]


@dataclass(frozen=True, slots=True)
class Algorithm:
    """A script, how to read its reply, the letter that its keys carry, and its highest limit.

    ``doubles`` are those that it keeps for each rate.
    """

    name: str
    letter: str
    script: Script
    doubles: Struct
    report: Report
    limit_max: int = 10**9


def _fixed_window(
    state: Sequence[float], now_us: int, limit: int, period_us: int, cost: int
) -> tuple[int, float, float]:
    index, count = state
    ends_us = (index + 1) * period_us - now_us
    wait_us = ends_us if count + cost > limit else 0
    return max(0, int(limit - count)), ends_us if count else 0, wait_us


def _sliding_window(
    state: Sequence[float], now_us: int, limit: int, period_us: int, cost: int
) -> tuple[int, float, float]:
    index, current, previous = state
    elapsed_us = max(0, now_us - index * period_us)
    weight = previous * (1 - elapsed_us / period_us)
    room = limit - cost
    wait_us = 0.0
    if weight + current > room:
        if room < 0:
            wait_us = 2 * period_us - elapsed_us
        elif current <= room:
            wait_us = period_us * (1 - (room - current) / previous) - elapsed_us
        else:
            wait_us = period_us - elapsed_us + period_us * (1 - room / current)
    back_us = 0.0
    if current:
        back_us = 2 * period_us - elapsed_us
    elif weight:
        back_us = period_us - elapsed_us
    return max(0, floor(limit - weight - current)), back_us, wait_us


def _gcra(
    state: Sequence[float], now_us: int, limit: int, period_us: int, cost: int
) -> tuple[int, float, float]:
    used_us = max(0.0, state[0] - now_us)
    interval_us = period_us / limit
    over_us = used_us + cost * interval_us - period_us
    remaining = max(0, floor((period_us + 0.5 - used_us) / interval_us))
    return remaining, used_us, over_us if over_us > 0.5 else 0


def _token_bucket(
    state: Sequence[float], now_us: int, limit: int, period_us: int, cost: int
) -> tuple[int, float, float]:
    tokens, interval_us = state[0], period_us / limit
    wait_us = (cost - tokens) * interval_us if tokens + 0.000001 < cost else 0
    return max(0, floor(tokens + 0.000001)), (limit - tokens) * interval_us, wait_us


def _sliding_log(
    state: Sequence[float], now_us: int, limit: int, period_us: int, cost: int
) -> tuple[int, float, float]:
    count, newest_us, blocker_us = state
    wait_us: float = 0
    if count + cost > limit:
        wait_us = blocker_us + period_us - now_us if blocker_us else period_us
    return max(0, int(limit - count)), newest_us + period_us - now_us if count else 0, wait_us


ALGORITHMS: Final[Mapping[str, Algorithm]] = MappingProxyType(
    {
        algorithm.name: algorithm
        for algorithm in (
            Algorithm(
                "sliding-window",
                "w",
                Script.load(_LUA / "sliding_window.lua", update=natives.sliding_window),
                Struct("<ddd"),
                _sliding_window,
            ),
            Algorithm(
                "sliding-log",
                "l",
                Script.load(_LUA / "sliding_log.lua", native=natives.sliding_log),
                Struct("<ddd"),
                _sliding_log,
                LOG_LIMIT_MAX,
            ),
            Algorithm(
                "gcra",
                "g",
                Script.load(_LUA / "gcra.lua", update=natives.gcra),
                Struct("<d"),
                _gcra,
            ),
            Algorithm(
                "token-bucket",
                "t",
                Script.load(_LUA / "token_bucket.lua", update=natives.token_bucket),
                Struct("<dd"),
                _token_bucket,
            ),
            Algorithm(
                "fixed-window",
                "f",
                Script.load(_LUA / "fixed_window.lua", update=natives.fixed_window),
                Struct("<dd"),
                _fixed_window,
            ),
        )
    }
)
#: Two numbers a client, no burst at a window's edge, and the answer that people expect.
DEFAULT_ALGORITHM: Final = "sliding-window"

ACQUIRE: Final = Script.load(_LUA / "acquire.lua", natives.acquire)
