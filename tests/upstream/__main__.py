"""`python -m tests.upstream`: run the suites and print a table.

Exits with 0 when everything of ours passed, 1 when something of ours failed or ran on fewer
servers than CI asks for (CACHEAPP_FAIL_ON_SKIP), 2 when there was nothing to run. What fails on a
peer is shown, and is that peer's affair.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import django

from tests.redis_server import MISSING, RedisServer, binary
from tests.upstream.candidates import CANDIDATES, ENGINE_URL, OURS
from tests.upstream.child import MODES, Job
from tests.upstream.outcome import Outcome, bad, failures, not_run, table
from tests.upstream.sdist import SdistError, unpacked_tests

ROOT = Path(__file__).parents[2]
JOBS = 6
RUN_TIMEOUT_S = 600
Run = tuple[str, str, str]


def main(argv: list[str] | None = None) -> int:
    """Parse the command line, run, print; gives the exit code."""
    options = _parser().parse_args(argv)
    runs, left_out = _plan(options)
    if not runs:
        print(f"nothing to run: {'; '.join(left_out) or 'no such backend and server'}")
        return 2
    try:
        folder = unpacked_tests(options.sdist)
    except SdistError as error:
        print(error, file=sys.stderr)
        return 2
    python = ".".join(map(str, sys.version_info[:3]))
    print(f"Django {django.__version__}, Python {python}: {len(runs)} runs", flush=True)
    work = partial(_one, folder=folder, only=options.only)
    with ThreadPoolExecutor(options.jobs) as pool:
        outcomes = list(pool.map(work, runs))
    return _report(outcomes, left_out, verbose=options.verbose)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.upstream", description=__doc__)
    backends = [*CANDIDATES, "all"]
    parser.add_argument(
        "--backend", action="append", choices=backends, help="ours and its peers unless given"
    )
    parser.add_argument("--server", choices=["engine", "redis", "process", "all"], default="all")
    parser.add_argument("--mode", choices=["sync", "async", "all"], default="all")
    parser.add_argument("--quick", action="store_true", help="ours alone, one loop a test")
    parser.add_argument("--only", default="", help="tests whose names contain this")
    parser.add_argument("--sdist", type=Path, help="Django's source distribution, on disk")
    parser.add_argument("--jobs", type=int, default=JOBS, help="runs beside each other")
    parser.add_argument("--verbose", action="store_true", help="whole tracebacks")
    return parser


def _plan(options: argparse.Namespace) -> tuple[list[Run], list[str]]:
    labels = options.backend or ([OURS] if options.quick else ["all"])
    runs: list[Run] = []
    left_out: list[str] = []
    for label, candidate in CANDIDATES.items():
        if label not in labels and "all" not in labels:
            continue
        if not candidate.installed:
            left_out.append(f"{label}: {candidate.package} is not installed")
            continue
        for server in candidate.servers:
            if options.server not in {server, "all"}:
                continue
            if server == "redis" and binary() is None:
                left_out.append(f"{label} on redis: {MISSING}")
                continue
            runs += [(label, server, mode) for mode in _modes(label, options)]
    return runs, left_out


def _modes(label: str, options: argparse.Namespace) -> list[str]:
    modes = [mode for mode in MODES if options.mode == "all" or mode.startswith(options.mode)]
    # A new loop for each call matters where clients belong to a loop; quick leaves it out.
    if options.quick or not CANDIDATES[label].ours:
        modes = [mode for mode in modes if mode != "async-calls"]
    return modes


def _one(run: Run, *, folder: Path, only: str) -> Outcome:
    label, server, mode = run
    with _url(server) as url, tempfile.TemporaryDirectory() as scratch:
        job = Job(label, server, mode, url, str(folder), only)
        result = Path(scratch) / "outcome.json"
        command = [sys.executable, "-m", "tests.upstream.child", job.text(), str(result)]
        try:
            done = subprocess.run(
                command,
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=RUN_TIMEOUT_S,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return Outcome(label, server, mode, crash=f"did not end in {RUN_TIMEOUT_S} s")
        if done.returncode != 0 or not result.exists():
            return Outcome(label, server, mode, crash=(done.stdout + done.stderr)[-3000:])
        return Outcome.parse(result.read_text(encoding="utf-8"))


@contextlib.contextmanager
def _url(server: str) -> Iterator[str]:
    # A server for each run: runs are beside each other, and Django's RedisCache clears by FLUSHDB.
    if server == "redis":
        with RedisServer() as process:
            yield process.url().rpartition("/")[0]
    else:
        yield ENGINE_URL if server == "engine" else ""


def _report(outcomes: list[Outcome], left_out: list[str], *, verbose: bool) -> int:
    print(table(outcomes))
    for outcome in outcomes:
        if not outcome.good:
            print(f"\n{failures(outcome, verbose=verbose)}")
    ours = next((run for run in outcomes if CANDIDATES[run.label].ours and not run.crash), None)
    if ours is not None:
        print(f"\n{not_run(ours)}")
    for reason in left_out:
        print(f"left out: {reason}")
    faults = bad(outcomes)
    if left_out and os.environ.get("CACHEAPP_FAIL_ON_SKIP", "") not in {"", "0"}:
        faults.append("runs were left out, and CACHEAPP_FAIL_ON_SKIP is set")
    for fault in faults:
        print(f"FAILED: {fault}")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
