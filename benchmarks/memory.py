"""Memory a key, measured in processes of their own by what the process grew.

`python -m benchmarks.memory ALIAS` fills one backend with 100,000 strings of 100 bytes with a TTL
and prints the bytes a key. `python -m benchmarks.memory engine:KIND` fills a bare engine, and
`redis:KIND URL` a server, of which it reads `used_memory`; KIND is one of `SHAPES`.
"""

from __future__ import annotations

import gc
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from benchmarks.report import Row

KEYS = 100_000
VALUE_BYTES = 100
FIELDS = 5
_ALIASES = {"engine": "cacheapp", "default": "LocMemCache"}
_BATCH = 1000
_WARM_KEYS = 1000


def _string(number: int) -> list[bytes]:
    value = b"%0*d" % (VALUE_BYTES, number)
    return [b"SET", b"key:%06d" % number, value, b"EX", b"3600"]


def _hash(number: int) -> list[bytes]:
    pairs = (part for at in range(FIELDS) for part in (b"field%d" % at, b"%08d" % (number + at)))
    return [b"HSET", b"key:%06d" % number, *pairs]


# What is written for the number of a key, how the table calls it, and the target.
SHAPES: dict[str, tuple[Callable[[int], list[bytes]], str, float]] = {
    "string": (_string, "100-byte string with TTL", 1.4),
    "hash": (_hash, f"hash of {FIELDS} small fields", 2.0),
}


def _resident_bytes() -> int:
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def _warm(write: Callable[[int], object]) -> None:
    """Do what only the first keys need (imports, tables of the interpreter)."""
    for number in range(_WARM_KEYS):
        write(number)


def fill(alias: str) -> float:
    """Bytes a key that this process grew by filling the backend `alias`."""
    from benchmarks.settings import configure

    configure(None)
    from django.core.cache import caches

    cache = caches[alias]
    # Culling at 300 entries would measure something else.
    cache._max_entries = KEYS * 2

    def write(number: int) -> None:
        cache.set(f"key:{number:06}", f"{number:0{VALUE_BYTES}}", 3600)

    _warm(write)
    cache.clear()
    before = _resident_bytes()
    for number in range(KEYS):
        write(number)
    return (_resident_bytes() - before) / KEYS


def fill_engine(kind: str) -> float:
    """Bytes a key that this process grew by filling an engine with keys of `kind`."""
    from cacheapp.engine.engine import Engine

    make = SHAPES[kind][0]
    engine = Engine()
    session = engine.connect(lambda reply: None)
    _warm(lambda number: engine.execute(session, make(number)))
    engine.execute(session, [b"FLUSHALL"])
    before = _resident_bytes()
    for number in range(KEYS):
        engine.execute(session, make(number))
    return (_resident_bytes() - before) / KEYS


def fill_server(kind: str, url: str) -> float:
    """Bytes a key of `kind` by the `used_memory` of the server at `url`, which is emptied."""
    import redis

    make = SHAPES[kind][0]
    with redis.Redis.from_url(url) as client:
        client.flushall()
        before = client.info("memory")["used_memory"]
        for start in range(0, KEYS, _BATCH):
            pipeline = client.pipeline(transaction=False)
            for number in range(start, start + _BATCH):
                pipeline.execute_command(*make(number))
            pipeline.execute()
        grown: int = client.info("memory")["used_memory"] - before
        client.flushall()
    return grown / KEYS


def _median_of_three(*arguments: str) -> float:
    command = [sys.executable, "-m", "benchmarks.memory", *arguments]
    runs = [
        float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
        for _ in range(3)
    ]
    return sorted(runs)[1]


def _row(what: str, ours: float, peer: str, theirs: float, target: float) -> Row:
    what = f"memory a key, {what}, {KEYS:,} keys"
    return Row(what, f"{ours:.0f} bytes", f"{peer} {theirs:.0f} bytes", ours / theirs, target)


def measure(url: str | None) -> list[Row]:
    """The lines for the table: a process each, thrice, the median; with a server if one is there.

    What is compared with redis-server is a bare engine: the process's growth beside `used_memory`.
    """
    medians = {alias: _median_of_three(alias) for alias in _ALIASES}
    what = f"{VALUE_BYTES}-byte str with TTL"
    rows = [_row(what, medians["engine"], "LocMemCache", medians["default"], 0.85)]
    if url is not None:
        for kind, (_, what, target) in SHAPES.items():
            ours = _median_of_three(f"engine:{kind}")
            rows.append(_row(what, ours, "redis-server", fill_server(kind, url), target))
    return rows


if __name__ == "__main__":
    if sys.argv[1].startswith("engine:"):
        print(fill_engine(sys.argv[1].partition(":")[2]))
    elif sys.argv[1].startswith("redis:"):
        print(fill_server(sys.argv[1].partition(":")[2], sys.argv[2]))
    else:
        print(fill(sys.argv[1]))
