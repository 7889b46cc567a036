"""A short torture run, clean; and the same with a fault of ours planted, which it has to find."""

from __future__ import annotations

import subprocess
import sys

import pytest

pytestmark = pytest.mark.requires_redis


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tests.invalidation.torture", *arguments],
        capture_output=True,
        text=True,
        timeout=150,
        check=False,
    )


def test_nothing_is_lost_and_nothing_older_than_the_bound() -> None:
    done = run("--seconds", "20", "--processes", "4")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "stale after the bound, or lost for ever: 0" in done.stdout


def test_it_finds_a_lease_that_never_ends() -> None:
    done = run("--seconds", "1", "--processes", "2", "--plant", "lease")
    assert done.returncode == 1, done.stdout + done.stderr
    assert "stale" in done.stdout
