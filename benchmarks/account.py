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

from benchmarks.report import Row
from cacheapp.engine.engine import Engine

STATM = Path("/proc/self/statm")
KINDS = ("string", "list", "set", "hash", "zset", "stream")
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
    if kind == "stream":
        value = (b"%d:" % number).ljust(_ELEMENT_BYTES, b"x")
        # One entry a command: `measure` sends it as often as it takes.
        return [b"XADD", key, b"*", b"field", value]
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
        repeat = max(1, size // _ELEMENT_BYTES) if kind == "stream" else 1
        for _ in range(repeat):
            engine.execute(session, _command(kind, size, number))
    return (engine.used_bytes - accounted) / (_resident_bytes() - resident)


def measure_apart(kind: str, size: int, keys: int) -> float:
    """As `measure`, in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.account", kind, str(size), str(keys)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    return float(done.stdout)


def rows() -> list[Row]:
    """Print all, and return the worst of each kind as a line for the table."""
    found = []
    for kind in KINDS:
        parts = {}
        for size, keys in SIZES:
            parts[size] = measure_apart(kind, size, keys)
            print(f"{kind:8}{size:8} bytes  account / growth {parts[size]:.3f}", flush=True)
        worst = max(parts, key=lambda size: abs(parts[size] - 1))
        found.append(
            Row(
                f"account of memory, {kind}, worst size ({worst:,} bytes): points off",
                f"{parts[worst]:.3f}",
                "growth 1.000",
                abs(parts[worst] - 1),
                TOLERANCE,
            )
        )
    return found


def main() -> int:
    """Print all; 1 where the account is off by more than the tolerance."""
    return 1 if any(line.verdict == "MISSED" for line in rows()) else 0


if __name__ == "__main__":
    if len(sys.argv) > 1:
        print(measure(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
    else:
        sys.exit(main())
