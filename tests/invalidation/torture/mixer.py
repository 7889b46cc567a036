"""Messages that arrive in another order, twice or late: XREAD's replies changed on their way.

A TCP link keeps its order, so what can go wrong is what a proxy, a cluster's router or a server of
another make puts into one reply. A `Mixer` reads what a listener's connection receives (RESP2, one
reply to each request), finds the replies that hold messages, and changes some of them; all others
pass as they are.
"""

from __future__ import annotations

import random
from collections import Counter, deque
from typing import Any

NIL = b"*-1\r\n"
#: Messages that may come again.
REMEMBERED = 50


class Mixer:
    """What stands between the server and one listener. `mixes` switches it on."""

    def __init__(self, chance: random.Random, done: Counter[str]) -> None:
        #: Whether this connection is a listener's; others are not read.
        self.is_needed = False
        self.mixes = False
        self._chance = chance
        self._done = done
        self._buffer = b""
        self._older: deque[Any] = deque(maxlen=REMEMBERED)

    def feed(self, data: bytes) -> bytes:
        """Take what came from the server; return what the listener is to get of it."""
        self._buffer += data
        passed = []
        while (parsed := parse(self._buffer, 0)) is not None:
            reply, end = parsed
            self._buffer = self._buffer[end:]
            entries = entries_of(reply)
            if entries is None:
                passed.append(pack(reply))
                continue
            if self.mixes:
                reply[0][1] = self._mixed(list(entries))
            self._older.extend(entries)
            passed.append(pack(reply) if reply[0][1] else NIL)
        return b"".join(passed)

    def _mixed(self, entries: list[Any]) -> list[Any]:
        kind = self._chance.choice(["reordered", "twice", "late", "as it is"])
        if kind == "reordered" and len(entries) > 1:
            before = list(entries)
            self._chance.shuffle(entries)
            self._done[kind] += entries != before
        elif kind == "twice" and self._older:
            for _ in range(self._chance.randint(1, 3)):
                at = self._chance.randint(0, len(entries))
                entries.insert(at, self._chance.choice([*self._older, *entries]))
            self._done[kind] += 1
        elif kind == "late":
            # The listener asks again from before it, and gets it then, with what came after it.
            del entries[self._chance.randrange(len(entries))]
            self._done[kind] += 1
        return entries


def parse(data: bytes, at: int) -> tuple[Any, int] | None:
    """The reply at `at`, arrays as lists and all else as bytes, and its end; None for a part."""
    line_end = data.find(b"\r\n", at)
    if line_end < 0:
        return None
    kind, end = data[at : at + 1], line_end + 2
    if kind == b"$" and (size := int(data[at + 1 : line_end])) >= 0:
        end += size + 2
    elif kind == b"*" and (count := int(data[at + 1 : line_end])) >= 0:
        items = []
        for _ in range(count):
            parsed = parse(data, end)
            if parsed is None:
                return None
            item, end = parsed
            items.append(item)
        return items, end
    return (data[at:end], end) if len(data) >= end else None


def pack(reply: Any) -> bytes:
    """The bytes of what `parse` returned."""
    if isinstance(reply, bytes):
        return reply
    return b"*%d\r\n%b" % (len(reply), b"".join(map(pack, reply)))


def entries_of(reply: Any) -> list[Any] | None:
    """The messages in a reply to XREAD of one stream; None for any other reply."""
    if not (isinstance(reply, list) and len(reply) == 1):
        return None
    of_stream = reply[0]
    if not (isinstance(of_stream, list) and len(of_stream) == 2 and isinstance(of_stream[1], list)):
        return None
    return of_stream[1] or None
