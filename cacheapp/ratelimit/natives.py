"""The algorithms' native forms for the engine: in Python what the files in ``lua/`` say in Lua.

Each does the same arithmetic in the same order, so that the two agree to the last bit; the tests
run them side by side. All but ``sliding_log`` and ``acquire`` decide over one string and are
functions of it; one rate, the usual case, is written out, because this is a hot path. What the
arguments and the results are, and what a key holds, is said in the head of each Lua file.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from struct import Struct
from typing import Any

Call = Callable[..., Any]
# Its number, its count, and the count of the window before.
Window = tuple[float, float, float]
Decided = tuple[tuple[int, int, bytes], bytes | None, int]

_ONE, _TWO, _THREE = Struct("<d"), Struct("<dd"), Struct("<ddd")
_pack, _unpack = _THREE.pack, _THREE.unpack


def sliding_window(held: bytes | None, now_us: int, arguments: Sequence[Any]) -> Decided:
    """See lua/sliding_window.lua."""
    if len(arguments) != 4:
        return _sliding_windows(held, now_us, arguments)
    cost, forced, limit, period = arguments
    now_index = now_us // period
    window: Window = now_index, 0, 0
    if held is not None and len(held) == 24:
        window = _rolled(_unpack(held), now_index)
    index, current, previous = window
    left = limit - current - cost
    if previous:
        elapsed = now_us - index * period
        left -= previous * (1 - elapsed / period) if elapsed > 0 else previous
    admitted = left >= 0
    if (admitted and cost) or forced:
        current += cost
        if current < 0:  # noqa: PLR1730 - no call on the hot path
            current = 0
        state = _pack(index, current, previous)
        ends_ms = int((index + 2) * period) // 1000
        return (admitted, now_us, state), state, ends_ms - now_us // 1000
    return (admitted, now_us, _pack(index, current, previous)), None, 0


def _rolled(window: Window, now_index: int) -> Window:
    """What is left of ``window`` in another one."""
    index, current, previous = window
    if index == now_index:
        return window
    if not index <= now_index + 1:  # the clock was put back, or it is NaN
        return now_index, 0, 0
    if now_index > index:
        return now_index, 0, current if now_index == index + 1 else 0
    return index, current, previous


def _sliding_windows(held: bytes | None, now_us: int, arguments: Sequence[Any]) -> Decided:
    cost, forced, *rates = arguments
    known = held is not None and 2 * len(held) == 24 * len(rates)
    states, admitted, longest = [], True, 0
    for number in range(0, len(rates), 2):
        limit, period = rates[number], rates[number + 1]
        now_index = now_us // period
        window: Window = now_index, 0, 0
        if known:
            assert held is not None
            window = _rolled(_THREE.unpack_from(held, 12 * number), now_index)
        index, current, previous = window
        elapsed = max(0, now_us - index * period)
        left = limit - current - cost - previous * (1 - elapsed / period)
        admitted = admitted and left >= 0
        states.append((index, current, previous))
        longest = max(longest, int((index + 2) * period) // 1000)
    charged = forced or (admitted and cost != 0)
    state = b"".join(
        _THREE.pack(index, max(0, current + cost) if charged else current, previous)
        for index, current, previous in states
    )
    return (admitted, now_us, state), state if charged else None, longest - now_us // 1000


def fixed_window(held: bytes | None, now_us: int, arguments: Sequence[Any]) -> Decided:
    """See lua/fixed_window.lua."""
    cost, forced, *rates = arguments
    known = held is not None and 2 * len(held) == 16 * len(rates)
    states, admitted, longest = [], True, 0
    for number in range(0, len(rates), 2):
        limit, period = rates[number], rates[number + 1]
        index, count = now_us // period, 0
        if known:
            assert held is not None
            held_index, held_count = _TWO.unpack_from(held, 8 * number)
            if index <= held_index <= index + 1:
                index, count = held_index, held_count
        admitted = admitted and count + cost <= limit
        states.append((index, count))
        longest = max(longest, (index + 1) * period - now_us)
    charged = forced or (admitted and cost != 0)
    state = b"".join(
        _TWO.pack(index, max(0, count + cost) if charged else count) for index, count in states
    )
    return (admitted, now_us, state), state if charged else None, int(longest) // 1000 + 1


def gcra(held: bytes | None, now_us: int, arguments: Sequence[Any]) -> Decided:
    """See lua/gcra.lua."""
    cost, forced, *rates = arguments
    known = held is not None and 2 * len(held) == 8 * len(rates)
    times, charges, admitted, longest = [], [], True, 0.0
    for number in range(0, len(rates), 2):
        limit, period = rates[number], rates[number + 1]
        back: float = now_us
        if known:
            assert held is not None
            back = max(now_us, _ONE.unpack_from(held, 4 * number)[0])
        charge = back + cost * (period / limit)
        admitted = admitted and charge - now_us <= period + 0.5
        longest = max(longest, charge - now_us)
        times.append(back)
        charges.append(charge)
    charged = forced or (admitted and cost != 0)
    after = [max(now_us, charge) for charge in charges] if charged else times
    state = b"".join(map(_ONE.pack, after))
    return (admitted, now_us, state), state if charged else None, int(longest // 1000) + 1


def token_bucket(held: bytes | None, now_us: int, arguments: Sequence[Any]) -> Decided:
    """See lua/token_bucket.lua."""
    cost, forced, *rates = arguments
    known = held is not None and 2 * len(held) == 16 * len(rates)
    tokens, admitted, longest = [], True, 0.0
    for number in range(0, len(rates), 2):
        limit, period = rates[number], rates[number + 1]
        left: float = limit
        if known:
            assert held is not None
            left, counted_us = _TWO.unpack_from(held, 8 * number)
            left = min(limit, left + max(0, now_us - counted_us) * (limit / period))
        admitted = admitted and left + 0.000001 >= cost
        longest = max(longest, (limit - left + cost) * (period / limit))
        tokens.append((left, limit))
    charged = forced or (admitted and cost != 0)
    state = b"".join(
        _TWO.pack(min(limit, left - cost) if charged else left, now_us) for left, limit in tokens
    )
    ttl_ms = max(0, int(longest // 1000)) + 1
    return (admitted, now_us, state), state if charged else None, ttl_ms


def sliding_log(
    call: Call, now_us: int, keys: Sequence[bytes], arguments: Sequence[Any]
) -> tuple[int, int, bytes]:
    """See lua/sliding_log.lua."""
    cost, forced, *rates = arguments
    key = keys[0]
    limits, periods = rates[::2], rates[1::2]
    widest, deepest = max(periods), max(limits)
    size = call(b"LLEN", key)
    if size and int(call(b"LINDEX", key, b"-1")) <= now_us - widest:
        size = _within(call, key, size, now_us - widest)
        if size:
            call(b"LTRIM", key, b"0", b"%d" % (size - 1))
        else:
            call(b"DEL", key)
    admitted, counts, blockers = True, [], []
    for limit, period in zip(limits, periods, strict=True):
        count = size if period == widest else _within(call, key, size, now_us - period)
        blocker = 0
        if count + cost > limit:
            admitted = False
            if cost <= limit:
                blocker = int(call(b"LINDEX", key, b"%d" % (limit - cost)))
        counts.append(count)
        blockers.append(blocker)
    charged = forced or (admitted and cost != 0)
    if charged:
        if cost > 0:
            call(b"LPUSH", key, *[b"%d" % now_us] * cost)
        for _ in range(min(-cost, size)):
            call(b"LPOP", key)
        if size + cost > deepest:
            call(b"LTRIM", key, b"0", b"%d" % (deepest - 1))
        call(b"PEXPIRE", key, b"%d" % (widest // 1000 + 1))
    newest = int(call(b"LINDEX", key, b"0") or 0)
    state = b"".join(
        _THREE.pack(max(0, count + cost) if charged else count, newest, blocker)
        for count, blocker in zip(counts, blockers, strict=True)
    )
    return admitted, now_us, state


def _within(call: Call, key: bytes, size: int, after_us: int) -> int:
    """How many entries are later than ``after_us``: they are the first ones."""
    low, high = 0, size
    while low < high:
        middle = (low + high) // 2
        if int(call(b"LINDEX", key, b"%d" % middle)) > after_us:
            low = middle + 1
        else:
            high = middle
    return low


def acquire(call: Call, now_us: int, keys: Sequence[bytes], arguments: Sequence[Any]) -> list[int]:
    """See lua/acquire.lua."""
    limit, lease_ms, name = arguments
    key = keys[0]
    call(b"ZREMRANGEBYSCORE", key, b"-inf", b"%d" % now_us)
    taken = call(b"ZCARD", key)
    mine = call(b"ZSCORE", key, name) is not None
    admitted = mine or taken < limit
    if admitted:
        call(b"ZADD", key, b"%d" % (now_us + lease_ms * 1000), name)
        last_us = _score(call(b"ZRANGE", key, b"-1", b"-1", b"WITHSCORES"))
        call(b"PEXPIRE", key, b"%d" % ((last_us - now_us) // 1000 + 1))
        taken += not mine
    first = call(b"ZRANGE", key, b"0", b"0", b"WITHSCORES")
    wait_us = _score(first) - now_us if first else 0
    return [int(admitted), max(0, limit - taken), wait_us]


def _score(pairs: Any) -> int:
    return int(pairs[0][1])
