"""Interleaved timing: in every round each case runs once, so that a slow moment hits them all.

The figure of a case is the median of its rounds; a ratio is the median of the rounds' own ratios.
"""

from __future__ import annotations

import asyncio
import gc
import random
import statistics
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

Case = Callable[[], object]
# Seconds; `time.thread_time` for what never waits, since it stands still while others compute.
Clock = Callable[[], float]
AsyncCase = Callable[[], Awaitable[object]]

ROUNDS = 15
# How long a case should run in one round, and what it is first tried with to find out.
ROUND_SECONDS = 0.02
_TRIAL_CALLS = 20
# Before cases are compared closely: enough for the interpreter to have specialized them.
_WARMING_CALLS = 300


@dataclass(frozen=True)
class Timing:
    """Seconds a call of one case, a number a round."""

    name: str
    rounds: list[float]

    @property
    def median_us(self) -> float:
        """Microseconds a call, the median of the rounds."""
        return statistics.median(self.rounds) * 1e6

    def ratio_to(self, other: Timing) -> float:
        """How many times `other`'s time this one took, the median of the rounds."""
        pairs = zip(self.rounds, other.rounds, strict=True)
        return statistics.median(mine / theirs for mine, theirs in pairs)


def _calls_for(seconds: float) -> int:
    return max(3, int(ROUND_SECONDS * _TRIAL_CALLS / max(seconds, 1e-9)))


def _time(case: Case, calls: int, clock: Clock = time.perf_counter) -> float:
    repeat = range(calls)
    started = clock()
    for _ in repeat:
        case()
    return clock() - started


async def _atime(case: AsyncCase, calls: int, clock: Clock = time.perf_counter) -> float:
    repeat = range(calls)
    started = clock()
    for _ in repeat:
        await case()
    return clock() - started


def compare(
    cases: dict[str, Case], rounds: int = ROUNDS, clock: Clock = time.perf_counter
) -> dict[str, Timing]:
    """Time `cases` in turn, `rounds` times; the timings by name."""
    for case in cases.values():
        _time(case, _TRIAL_CALLS)  # what only the first calls do
    calls = {name: _calls_for(_time(case, _TRIAL_CALLS)) for name, case in cases.items()}
    found: dict[str, list[float]] = {name: [] for name in cases}
    for _ in range(rounds):
        gc.collect()
        for name, case in cases.items():
            found[name].append(_time(case, calls[name], clock) / calls[name])
    return {name: Timing(name, times) for name, times in found.items()}


def compare_closely(
    cases: dict[str, Case], rounds: int, calls: int, clock: Clock = time.perf_counter
) -> dict[str, Timing]:
    """Time cases that differ by a few percent: a few calls each, in a new order every round.

    In `compare` the first case of a round is the one that meets the memory as the collector left
    it, which is worth more than such a difference: a case differs from its copy by 5 to 10 %. Here
    the two agree within 1 %.
    """
    turns = random.Random(0)
    for case in cases.values():
        _time(case, _WARMING_CALLS)
    found: dict[str, list[float]] = {name: [] for name in cases}
    order = list(cases)
    for _ in range(rounds):
        turns.shuffle(order)
        for name in order:
            found[name].append(_time(cases[name], calls, clock) / calls)
    return {name: Timing(name, times) for name, times in found.items()}


def acompare(
    cases: dict[str, AsyncCase], rounds: int = ROUNDS, clock: Clock = time.perf_counter
) -> dict[str, Timing]:
    """As `compare`, for coroutine functions, all in one event loop."""

    async def run() -> dict[str, list[float]]:
        calls = {}
        for name, case in cases.items():
            calls[name] = _calls_for(await _atime(case, _TRIAL_CALLS))
        found: dict[str, list[float]] = {name: [] for name in cases}
        for _ in range(rounds):
            gc.collect()
            for name, case in cases.items():
                found[name].append(await _atime(case, calls[name], clock) / calls[name])
        return found

    return {name: Timing(name, times) for name, times in asyncio.run(run()).items()}
