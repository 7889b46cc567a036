"""The memory account beside what a process grows by, at small scale."""

from __future__ import annotations

import pytest

from benchmarks.account import KINDS, STATM, TOLERANCE, measure_apart


@pytest.mark.skipif(not STATM.exists(), reason="resident memory is read from /proc")
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("size", "keys"), [(100, 20_000), (10_000, 2_000)])
def test_the_account_is_within_15_percent(kind: str, size: int, keys: int) -> None:
    assert measure_apart(kind, size, keys) == pytest.approx(1, abs=TOLERANCE)
