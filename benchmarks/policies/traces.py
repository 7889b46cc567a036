"""Sequences of keys: five kinds drawn from seeded generators, and recorded ones from files.

A recorded trace is an xz file of big-endian signed 32-bit integers, one a request. A long one is
thinned by key, not by request: all requests of a part of the keys are kept, so that the distances
between uses of a key scale with the number of keys.
"""

from __future__ import annotations

import lzma
import random
import struct
from bisect import bisect
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path

SEED = 20_26
KEYS = 10_000
REQUESTS = 150_000
# Beyond this many requests a recorded trace is thinned.
_RECORDED_MAX = 300_000
_SCAN_EVERY = 10_000
_SCAN_LENGTH = 2_500
_SHIFT_EVERY = 30_000
_THINNING_PRIME = 2_654_435_761


@dataclass(frozen=True)
class Trace:
    """Requests in order; sizes of caches are parts of `keys`, the number of keys in play."""

    name: str
    requests: list[int]
    keys: int


def _zipf(exponent: float, count: int, rng: random.Random) -> list[int]:
    weights = list(accumulate(1 / rank**exponent for rank in range(1, KEYS + 1)))
    return [bisect(weights, rng.random() * weights[-1]) for _ in range(count)]


def synthetic(requests: int = REQUESTS, seed: int = SEED) -> list[Trace]:
    """Zipf of three exponents; Zipf 1.0 with scans; Zipf 1.0 whose popular keys change."""
    rng = random.Random(seed)
    traces = [
        Trace(f"zipf {exponent}", _zipf(exponent, requests, rng), KEYS)
        for exponent in (0.8, 1.0, 1.2)
    ]
    scanned: list[int] = []
    base, fresh = _zipf(1.0, requests, rng), KEYS
    for start in range(0, requests, _SCAN_EVERY):
        scanned += base[start : start + _SCAN_EVERY]
        scanned += range(fresh, fresh + _SCAN_LENGTH)
        fresh += _SCAN_LENGTH
    traces.append(Trace("scans", scanned, KEYS))
    shifting = [
        (rank + position // _SHIFT_EVERY * KEYS // 5) % KEYS
        for position, rank in enumerate(_zipf(1.0, requests, rng))
    ]
    traces.append(Trace("shifting", shifting, KEYS))
    return traces


def recorded(path: Path) -> Trace:
    """The trace in the file `path`, thinned where it is long."""
    content = lzma.decompress(path.read_bytes())
    requests = [key for (key,) in struct.iter_unpack(">i", content)]
    part = -(-len(requests) // _RECORDED_MAX)
    if part > 1:
        requests = [key for key in requests if (key * _THINNING_PRIME >> 16) % part == 0]
    return Trace(path.name.split(".")[0], requests, len(set(requests)))
