"""What may stand at a cache key beside a plain value: a wrapped value, or a marker.

    v   a value with its tags, the time for which it is served stale, and what it cost to make
    l   a fill lease: somebody computes the value; what was there before may be kept inside
    w   a write lease: a transaction that changes the value is open; there is nothing to read

They stand at the key itself, not beside it. So whatever is done to the key by anybody, a plain
``set``, a ``delete``, a ``clear``, FLUSHALL, ends a lease, and whoever held it finds its token gone
and its late value refused. There is no second key that could be forgotten or evicted alone.

How long a wrapped value is fresh is told by the key's own deadline (PTTL), in the server's time:
no two machines have to agree on the clock, and ``touch`` works. This module is bytes only; who
asks the server and when is in ``tags`` and ``aside``.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from struct import Struct
from typing import Final

VALUE: Final = b"v"
FILL: Final = b"l"
WRITE: Final = b"w"
#: First bytes of what is not a plain value.
WRAPPED: Final = VALUE + FILL + WRITE

#: Tags of one entry at most: each is read on every read of the entry.
TAGS_MAX: Final = 64
#: Hexadecimal digits of a token: 64 bits, which no two writers draw within a lease or a tag's life.
TOKEN_SIZE: Final = 16

# Stale time in milliseconds, seconds that the value cost, number of tags.
_HEAD = Struct("<QdB")
_TAG = Struct(f"<H{TOKEN_SIZE}s")
_HEAD_SIZE: Final = 1 + _HEAD.size

Tag = tuple[bytes, bytes]


def new_token() -> bytes:
    """Return a token that nobody else has."""
    return secrets.token_hex(TOKEN_SIZE // 2).encode()


@dataclass(frozen=True, slots=True)
class Wrapped:
    """A value's bytes as the codec wrote them, and what is kept with them.

    ``tags`` are pairs of a tag's name and the version that it had when the value was begun.
    """

    inner: bytes
    stale_ms: int = 0
    cost_s: float = 0.0
    tags: Sequence[Tag] = ()

    def pack(self) -> bytes:
        """Return the bytes to store."""
        return pack_head(self.stale_ms, self.cost_s, self.tags) + self.inner


def pack_head(stale_ms: int, cost_s: float, tags: Sequence[Tag]) -> bytes:
    """Return what stands before the codec's bytes."""
    parts = [VALUE, _HEAD.pack(stale_ms, cost_s, len(tags))]
    for name, token in tags:
        parts += [_TAG.pack(len(name), token), name]
    return b"".join(parts)


def unpack(raw: bytes) -> Wrapped | None:
    """Return the wrapped value that ``raw`` (which begins with VALUE) is; None if it is none."""
    if len(raw) < _HEAD_SIZE:
        return None
    stale_ms, cost_s, count = _HEAD.unpack_from(raw, 1)
    position, tags = _HEAD_SIZE, []
    for _ in range(count):
        if len(raw) < position + _TAG.size:
            return None
        length, token = _TAG.unpack_from(raw, position)
        position += _TAG.size
        tags.append((raw[position : position + length], token))
        position += length
    inner = raw[position:]
    # Nothing is wrapped twice: a reader that unwraps in a loop could be fed without end.
    if not inner or inner[:1] in (VALUE, FILL, WRITE):
        return None
    return Wrapped(inner, stale_ms, cost_s, tags)


def stale_ms_of(raw: bytes) -> int:
    """Return the stale time of stored bytes; 0 for what has none."""
    if raw[:1] != VALUE or len(raw) < _HEAD_SIZE:
        return 0
    stale_ms: int = _HEAD.unpack_from(raw, 1)[0]
    return stale_ms


@dataclass(frozen=True, slots=True)
class Lease:
    """A fill lease as found at a key, whose PTTL tells how much of it is left.

    It is alive while PTTL is above ``floor_ms``. ``held`` is what was there before, empty for
    nothing; of the key's PTTL, ``extra_ms`` are the lease's and not that value's.
    """

    extra_ms: int
    floor_ms: int
    held: bytes


def unpack_lease(raw: bytes) -> Lease | None:
    """Return the lease that ``raw`` (which begins with FILL) is; None if it is none.

    The scripts write it: the token, then decimal numbers and a space after each.
    """
    parts = raw[1 + TOKEN_SIZE :].split(b" ", 2)
    if len(parts) != 3 or not (parts[0].isdigit() and parts[1].isdigit()):
        return None
    if len(parts[0]) > 20 or len(parts[1]) > 20 or parts[2][:1] in (FILL, WRITE):
        return None
    return Lease(int(parts[0]), int(parts[1]), parts[2])
