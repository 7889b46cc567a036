"""Real policies over a trace: our engine's with its own code, and redis-server's over a socket.

Ours: every entry weighs one byte, so that `maxmemory` is a number of keys, and the clock moves a
millisecond a request. redis-server: each request is `SET key value NX`, which uses the key where
it is there and stores it where it is not, so that requests can be pipelined without waiting for
what came of the last. Its limit is in bytes, buffers included; it is adjusted until as many keys
stay as the cache shall hold. The clock is the machine's: in the second that a trace takes LFU
does not decay, and LRU's clock of one second is coarse.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from unittest import mock

import redis

from cacheapp.engine.clock import ManualClock
from cacheapp.engine.engine import Engine

SECONDS_A_REQUEST = 0.001
_VALUE = b"v" * 500
_BATCH = 50
# What one key takes at redis-server, roughly: where the search for the limit begins.
_KEY_BYTES = 620
_ADJUSTMENTS = 6
_HIT = b"$-1\r\n"


@contextmanager
def _unit_entries() -> Iterator[None]:
    with mock.patch("cacheapp.engine.database.entry_bytes", return_value=1):
        yield


def ours(policy: str, requests: Sequence[int], size: int) -> int:
    """Hits of our engine under `policy` with room for `size` keys."""
    clock = ManualClock()
    with _unit_entries():
        engine = Engine({"maxmemory": str(size), "maxmemory-policy": policy}, clock=clock)
        session = engine.connect(lambda reply: None)
        execute = engine.execute
        hits = 0
        for number in requests:
            clock.advance(SECONDS_A_REQUEST)
            key = b"%d" % number
            if execute(session, [b"GET", key]) is not None:
                hits += 1
            else:
                execute(session, [b"SET", key, b"value"])
    return hits


class RedisServer:
    """redis-server under one policy after the other; `port` on the loopback address."""

    def __init__(self, port: int) -> None:
        self.control = redis.Redis(port=port)
        self.stream = socket.create_connection(("127.0.0.1", port), timeout=30)

    def hits(self, policy: str, requests: Sequence[int], size: int) -> int:
        """Hits under `policy` with room for `size` keys, within two percent of it if it can."""
        self.control.config_set("maxmemory-policy", policy)
        self.control.config_set("maxmemory", 0)
        self.control.flushall()
        limit = int(self.control.info("memory")["used_memory"]) + size * _KEY_BYTES
        for _ in range(_ADJUSTMENTS):
            self.control.flushall()
            self.control.config_set("maxmemory", limit)
            hits = sum(
                self._send(requests[start : start + _BATCH])
                for start in range(0, len(requests), _BATCH)
            )
            excess = int(self.control.dbsize()) - size
            if abs(excess) <= max(1, size // 50):
                break
            limit -= excess * _KEY_BYTES
        return hits

    def _send(self, keys: Sequence[int]) -> int:
        self.stream.sendall(b"".join(map(_set_if_missing, keys)))
        replies = b""
        # Every reply, "+OK" or a null, is five bytes.
        while len(replies) < len(_HIT) * len(keys):
            replies += self.stream.recv(65536)
        return replies.count(_HIT)


def _set_if_missing(key: int) -> bytes:
    name = b"%d" % key
    return b"*4\r\n$3\r\nSET\r\n$%d\r\n%b\r\n$%d\r\n%b\r\n$2\r\nNX\r\n" % (
        len(name), name, len(_VALUE), _VALUE,
    )  # fmt: skip
