"""What this process has decided, by rule, for whoever watches: plain numbers, read at any time."""

from __future__ import annotations

import sys
import threading
from dataclasses import dataclass

from cacheapp.clients.forks import renews

#: Rules counted apart; those made beyond it (names of a loop, say) are counted together.
RULES_MAX = 1000
_REST = "(other)"


@dataclass(slots=True)
class Counter:
    """Decisions of one rule. ``memo`` are the refusals among ``refused`` that asked no server."""

    allowed: int = 0
    refused: int = 0
    memo: int = 0
    outage: int = 0


_counters: dict[str, Counter] = {}
_lock = threading.Lock()
renews(sys.modules[__name__], "_lock")


def counter_of(rule: str) -> Counter:
    """Return the counter of the rule called ``rule``."""
    counter = _counters.get(rule)
    if counter is None:
        with _lock:
            name = rule if len(_counters) < RULES_MAX else _REST
            counter = _counters.setdefault(name, Counter())
    return counter


def snapshot() -> dict[str, Counter]:
    """Return the counters by rule, as they are now."""
    return dict(_counters)
