"""How popular a key is under the LFU policies: Redis's logarithmic counter that forgets.

The access number of a slot packs the minute of the last decrement and an 8-bit counter,
`minute * 256 + counter`, and in its fraction how far the minute had gone at the last access, by
which keys of equal counters are told apart. A double holds all of it exactly enough. A counter
rises with a probability that falls as it grows, so 255 stands for about a million accesses, and
loses one for every `lfu-decay-time` minutes that pass: popularity that moves is followed.
"""

from __future__ import annotations

import random

LFU_INIT = 5
LFU_MAX = 255
_MINUTE_MASK = 0xFFFF
# Keeps the fraction of the last second of a minute below one.
_SECONDS_A_MINUTE = 60.001


def _stamp(now: float, counter: int) -> float:
    minute = (int(now // 60) & _MINUTE_MASK) * 256
    return minute + counter + now % 60 / _SECONDS_A_MINUTE


def lfu_start(now: float) -> float:
    """The number of a key that is created at `now` (seconds)."""
    return _stamp(now, LFU_INIT)


def lfu_number(now: float, counter: int) -> float:
    """The number of a key whose counter is `counter` at `now` (seconds)."""
    return _stamp(now, counter)


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
    if counter < LFU_MAX:
        base = max(0, counter - LFU_INIT)
        if random.random() < 1.0 / (base * log_factor + 1):
            counter += 1
    return _stamp(now, counter)


def lfu_rank(number: float, now: float, decay_minutes: int) -> float:
    """How readily a key with `number` goes: the lower its counter, then the longer it is idle."""
    minute = int(number) >> 8 & _MINUTE_MASK
    elapsed = ((int(now // 60) & _MINUTE_MASK) - minute) & _MINUTE_MASK
    idle = elapsed + (now % 60 / _SECONDS_A_MINUTE) - number % 1
    return LFU_MAX - lfu_counter(number, now, decay_minutes) + idle / (_MINUTE_MASK + 2)
