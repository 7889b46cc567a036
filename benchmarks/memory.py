"""Memory a key, measured in processes of their own by what the process grew.

`python -m benchmarks.memory ALIAS` fills one backend with 100,000 strings of 100 bytes with a TTL
and prints the bytes a key.
"""

from __future__ import annotations

import gc
import os
import subprocess
import sys
from pathlib import Path

from benchmarks.report import Row

KEYS = 100_000
VALUE_BYTES = 100
_ALIASES = {"engine": "cacheapp", "default": "LocMemCache"}


def _resident_bytes() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def fill(alias: str) -> float:
    """Bytes a key that this process grew by filling the backend `alias`."""
    from benchmarks.settings import configure

    configure(None)
    from django.core.cache import caches

    cache = caches[alias]
    # Culling at 300 entries would measure something else.
    cache._max_entries = KEYS * 2
    cache.set("warm", "up", 1000)
    gc.collect()
    before = _resident_bytes()
    for number in range(KEYS):
        cache.set(f"key:{number:06}", f"{number:0{VALUE_BYTES}}", 3600)
    gc.collect()
    return (_resident_bytes() - before) / KEYS


def measure() -> list[Row]:
    """The line for the table: a process a backend, thrice each, the median."""
    medians = {}
    for alias in _ALIASES:
        command = [sys.executable, "-m", "benchmarks.memory", alias]
        runs = [
            float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
            for _ in range(3)
        ]
        medians[alias] = sorted(runs)[1]
    ours, peer = medians["engine"], medians["default"]
    what = "memory a key, 100-byte str with TTL, 100,000 keys"
    return [Row(what, f"{ours:.0f} bytes", f"LocMemCache {peer:.0f} bytes", ours / peer, 0.85)]


if __name__ == "__main__":
    print(fill(sys.argv[1]))
