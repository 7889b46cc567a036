"""How popular a key is: the LFU counter of Redis, and access times for LRU.

Each slot of a database has one number. Under an LRU policy (and under none) it is the time of the
last access in seconds. Under an LFU policy it packs the minute of the last decrement and an 8-bit
logarithmic counter, `minute * 256 + counter`, which a double holds exactly. Changing the policy
does not convert the numbers, as in Redis: keys are reranked as they are used.
"""

from __future__ import annotations

import random

LFU_INIT = 5
_LFU_MAX = 255
_MINUTE_MASK = 0xFFFF


def lfu_start(now: float) -> float:
    """The number of a key that is created at `now` (seconds)."""
    return float((int(now // 60) & _MINUTE_MASK) * 256 + LFU_INIT)


def lfu_counter(number: float, now: float, decay_minutes: int) -> int:
    """The counter in `number`, less what has decayed until `now` (seconds)."""
    packed = int(number)
    minute, counter = packed >> 8 & _MINUTE_MASK, packed & 255
    if decay_minutes:
        elapsed = ((int(now // 60) & _MINUTE_MASK) - minute) & _MINUTE_MASK
        counter -= min(counter, elapsed // decay_minutes)
    return counter


def lfu_touch(number: float, now: float, decay_minutes: int, log_factor: int) -> float:
    """The number after an access: decayed, then raised with falling probability."""
    counter = lfu_counter(number, now, decay_minutes)
    if counter < _LFU_MAX:
        base = max(0, counter - LFU_INIT)
        if random.random() < 1.0 / (base * log_factor + 1):
            counter += 1
    return float((int(now // 60) & _MINUTE_MASK) * 256 + counter)
