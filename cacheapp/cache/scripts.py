"""The backend's Lua scripts, each beside its native form for the engine (see ``clients.scripts``).

The sources are the ``.lua`` files in ``lua/``, and say what each does.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

from cacheapp.clients.scripts import Script

_LUA: Final = Path(__file__).parent / "lua"


def _incr(
    call: Callable[..., Any], _now_us: int, keys: Sequence[bytes], arguments: Sequence[Any]
) -> Any:
    (key,), (delta, creates) = keys, arguments
    if not creates and not call(b"EXISTS", key):
        return None
    return b"%d" % call(b"INCRBY", key, b"%d" % delta)


def _move(
    call: Callable[..., Any], _now_us: int, keys: Sequence[bytes], arguments: Sequence[Any]
) -> int:
    (key, new_key), (held, value) = keys, arguments
    if call(b"GET", key) != held:
        return 0
    ttl_ms = call(b"PTTL", key)
    if ttl_ms >= 0:
        call(b"SET", new_key, value, b"PX", b"%d" % max(ttl_ms, 1))
    else:
        call(b"SET", new_key, value)
    if key != new_key:
        call(b"DEL", key)
    return 1


def _replace(
    call: Callable[..., Any], _now_us: int, keys: Sequence[bytes], arguments: Sequence[Any]
) -> int:
    (key,), (held, value) = keys, arguments
    if call(b"GET", key) != held:
        return 0
    call(b"SET", key, value, b"KEEPTTL")
    return 1


INCR: Final = Script.load(_LUA / "incr.lua", _incr)
MOVE: Final = Script.load(_LUA / "move.lua", _move)
REPLACE: Final = Script.load(_LUA / "replace.lua", _replace)
