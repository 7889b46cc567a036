"""The scripts of sessions, each beside its native form for the engine; the Lua says what for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

from cacheapp.clients.scripts import Script

_LUA: Final = Path(__file__).parent / "lua"
Call = Callable[..., Any]


def _save(call: Call, now_us: int, keys: Sequence[bytes], arguments: Sequence[Any]) -> list[Any]:
    mode, life_ms, sets = arguments[:3]
    key = keys[0]
    if (call(b"PEXPIRE", key, b"%d" % life_ms) == 1) == (mode == b"create"):
        return [0]
    if life_ms <= 0:
        return [1]
    if mode == b"replace":
        call(b"DEL", key)
    place = 3 + 2 * sets
    if sets:
        call(b"HSET", key, *arguments[3:place])
    deletions = arguments[place]
    if deletions:
        call(b"HDEL", key, *arguments[place + 1 : place + 1 + deletions])
    if mode != b"update":
        call(b"PEXPIRE", key, b"%d" % life_ms)
    if len(keys) == 1:
        return [1]
    return [1, *_indexed(call, now_us // 1000, keys[1], arguments[place + 1 + deletions :])]


def _indexed(call: Call, now_ms: int, index: bytes, arguments: Sequence[Any]) -> list[bytes]:
    name, stay_ms, most, head = arguments
    call(b"ZREMRANGEBYSCORE", index, b"-inf", b"%d" % now_ms)
    call(b"ZADD", index, b"%d" % (now_ms + stay_ms), name)
    last_ms = int(call(b"ZRANGE", index, b"-1", b"-1", b"WITHSCORES")[0][1])
    call(b"PEXPIRE", index, b"%d" % max(1, last_ms - now_ms))
    if most <= 0 or call(b"ZCARD", index) <= most:
        return []
    others = []
    for other in call(b"ZRANGE", index, b"0", b"-1"):
        if not call(b"EXISTS", head + other):
            call(b"ZREM", index, other)
        elif other != name:
            others.append(other)
    gone = others[: max(0, len(others) + 1 - most)]
    for other in gone:
        call(b"ZREM", index, other)
        call(b"DEL", head + other)
    return gone


def _cycle(call: Call, _now_us: int, keys: Sequence[bytes], arguments: Sequence[Any]) -> int:
    life_ms, count = arguments[:2]
    size = call(b"HLEN", keys[0])
    if size == 0:
        return -1
    if size != count or call(b"EXISTS", keys[1]):
        return 0
    place = 2 + 2 * count
    for number in range(2, place, 2):
        if call(b"HGET", keys[0], arguments[number]) != arguments[number + 1]:
            return 0
    end = place + 1 + 2 * arguments[place]
    call(b"HSET", keys[1], *arguments[place + 1 : end])
    call(b"PEXPIRE", keys[1], b"%d" % life_ms)
    call(b"DEL", keys[0])
    if len(keys) == 3:
        call(b"ZREM", keys[2], arguments[-1])
    return 1


SAVE: Final = Script.load(_LUA / "save.lua", _save)
CYCLE: Final = Script.load(_LUA / "cycle.lua", _cycle)
