"""`python -m benchmarks.account`: the memory account beside what the process grew.

Each kind and size is measured in a process of its own, by resident memory, which unlike the
interpreter's own records has the allocator's rounding in it. `KIND BYTES KEYS` as arguments
measures one and prints the account as a part of the growth.
"""

from __future__ import annotations

import gc
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from cacheapp.engine.engine import Engine

STATM = Path("/proc/self/statm")
KINDS = ("string", "list", "set", "hash", "zset")
# Bytes of a value, and how many keys of that size.
SIZES = ((10, 60_000), (100, 60_000), (1_000, 15_000), (10_000, 2_000), (100_000, 300))
_ELEMENT_BYTES = 20
TOLERANCE = 0.15


def _resident_bytes() -> int:
    gc.collect()
    return int(STATM.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def _command(kind: str, size: int, number: int) -> list[bytes]:
    key = b"key:%08d" % number
    if kind == "string":
        return [b"SET", key, (b"%d:" % number).ljust(size, b"x")]
    name = {"list": b"RPUSH", "set": b"SADD", "hash": b"HSET", "zset": b"ZADD"}[kind]

    def words() -> Iterator[bytes]:
        for position in range(max(1, size // _ELEMENT_BYTES)):
            if kind == "hash":
                yield b"f%d" % position
            elif kind == "zset":
                yield b"%d.5" % position
            yield b"%0*d" % (_ELEMENT_BYTES, number * 10_000 + position)

    return [name, key, *words()]


def measure(kind: str, size: int, keys: int) -> float:
    """Fill an engine in this process; the account's growth as a part of the process's."""
    engine = Engine({"maxmemory": "100gb"})
    session = engine.connect(lambda reply: None)
    engine.execute(session, _command(kind, size, keys))
    resident, accounted = _resident_bytes(), engine.used_bytes
    for number in range(keys):
        engine.execute(session, _command(kind, size, number))
    return (engine.used_bytes - accounted) / (_resident_bytes() - resident)


def measure_apart(kind: str, size: int, keys: int) -> float:
    """As `measure`, in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.account", kind, str(size), str(keys)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    return float(done.stdout)


def main() -> int:
    """Print all; 1 where the account is off by more than the tolerance."""
    worst = 0.0
    for kind in KINDS:
        for size, keys in SIZES:
            part = measure_apart(kind, size, keys)
            worst = max(worst, abs(part - 1))
            print(f"{kind:8}{size:8} bytes  account / growth {part:.3f}", flush=True)
    return 1 if worst > TOLERANCE else 0


if __name__ == "__main__":
    if len(sys.argv) > 1:
        print(measure(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
    else:
        sys.exit(main())
