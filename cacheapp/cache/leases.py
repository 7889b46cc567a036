"""The scripts that take and end leases at a cache key, each beside its native form.

What the arguments and the results are is said in the head of each file in ``lua/``, and what a
lease looks like in ``entries``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from hashlib import sha1
from pathlib import Path
from typing import Any, Final

from cacheapp.cache.entries import FILL, TOKEN_SIZE, WRITE
from cacheapp.clients.scripts import Script

Call = Callable[..., Any]

_LUA: Final = Path(__file__).parent / "lua"
_LEASE = re.compile(rb"l[0-9A-Fa-f]{16}([0-9]+) ([0-9]+) (.*)", re.DOTALL)


def _parse(found: bytes) -> tuple[int, bytes]:
    match = _LEASE.fullmatch(found)
    return (int(match[1]), match[3]) if match else (0, b"")


def _take(call: Call, _now_us: int, keys: Sequence[bytes], arguments: Sequence[Any]) -> list[int]:
    token, lease_ms, *seen = arguments
    pairs = zip(keys, seen[::2], seen[1::2], strict=True)
    return [_take_one(call, key, token, lease_ms, digest, keeps) for key, digest, keeps in pairs]


def _take_one(
    call: Call, key: bytes, token: bytes, lease_ms: int, digest: bytes, keeps: int
) -> int:
    found = call(b"GET", key)
    if found is not None and found.startswith(FILL + token):
        return 1
    seen = b"" if found is None else sha1(found, usedforsecurity=False).hexdigest().encode()
    if seen != digest:
        return 0
    ttl_ms = 0 if found is None else call(b"PTTL", key)
    held, extra_ms = b"", 0
    if keeps and ttl_ms > 0:
        held = found
        if found[:1] == FILL:
            extra_ms, held = _parse(found)
    total_ms = max(ttl_ms, lease_ms)
    if held:
        extra_ms += total_ms - ttl_ms
    else:
        total_ms, extra_ms = lease_ms, 0
    head = b"l%b%d %d " % (token, extra_ms, total_ms - lease_ms)
    call(b"SET", key, head + held, b"PX", b"%d" % total_ms)
    return 1


def _put(call: Call, key: bytes, value: bytes, ttl_ms: int) -> None:
    if ttl_ms:
        call(b"SET", key, value, b"PX", b"%d" % ttl_ms)
    else:
        call(b"SET", key, value)


def _fill(call: Call, _now_us: int, keys: Sequence[bytes], arguments: Sequence[Any]) -> list[int]:
    token, *pairs = arguments
    filled = []
    for key, ttl_ms, value in zip(keys, pairs[::2], pairs[1::2], strict=True):
        is_ours = call(b"GETRANGE", key, b"0", b"16") == FILL + token
        if is_ours and ttl_ms < 0:
            call(b"DEL", key)
        elif is_ours:
            _put(call, key, value, ttl_ms)
        filled.append(int(is_ours))
    return filled


def _give_up(call: Call, _now_us: int, keys: Sequence[bytes], arguments: Sequence[Any]) -> int:
    (token,) = arguments
    ended = 0
    for key in keys:
        if call(b"GETRANGE", key, b"0", b"16") != FILL + token:
            continue
        extra_ms, held = _parse(call(b"GET", key))
        left_ms = call(b"PTTL", key) - extra_ms
        if held and left_ms > 0:
            _put(call, key, held, left_ms)
        else:
            call(b"DEL", key)
        ended += 1
    return ended


def _bury(call: Call, _now_us: int, keys: Sequence[bytes], arguments: Sequence[Any]) -> int:
    (key,), (found,) = keys, arguments
    if call(b"GET", key) != found:
        return 0
    call(b"DEL", key)
    return 1


def _open_write(call: Call, _now_us: int, keys: Sequence[bytes], arguments: Sequence[Any]) -> int:
    (key,), (token, lease_ms) = keys, arguments
    found = call(b"GET", key) if call(b"GETRANGE", key, b"0", b"0") == WRITE else None
    value = b"w0" + token if found is None else b"w1" + found[2:] + token
    left_ms = 0 if found is None else call(b"PTTL", key)
    _put(call, key, value, max(lease_ms, left_ms))
    return 1


def _close_write(call: Call, _now_us: int, keys: Sequence[bytes], arguments: Sequence[Any]) -> int:
    (key,), (token, value, ttl_ms) = keys, arguments
    if call(b"GETRANGE", key, b"0", b"0") != WRITE:
        call(b"DEL", key)
        return 0
    found = call(b"GET", key)
    tokens = [found[at : at + TOKEN_SIZE] for at in range(2, len(found), TOKEN_SIZE)]
    others = [other for other in tokens if other != token]
    if others:
        call(b"SET", key, b"w1" + b"".join(others), b"KEEPTTL")
        return 0
    if token not in tokens or found[1:2] == b"1" or ttl_ms == -1:
        call(b"DEL", key)
        return 0
    _put(call, key, value, ttl_ms)
    return 1


TAKE: Final = Script.load(_LUA / "take.lua", _take)
FILL_LEASED: Final = Script.load(_LUA / "fill.lua", _fill)
GIVE_UP: Final = Script.load(_LUA / "give_up.lua", _give_up)
BURY: Final = Script.load(_LUA / "bury.lua", _bury)
OPEN_WRITE: Final = Script.load(_LUA / "open_write.lua", _open_write)
CLOSE_WRITE: Final = Script.load(_LUA / "close_write.lua", _close_write)
