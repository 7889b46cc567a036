"""Our TCP server beside redis-server, by redis-benchmark: 50 clients, plain and with pipelines.

Rounds alternate between the two servers; a ratio is the median of the rounds' own. The table holds
times, so that lower is better as everywhere: 2.0 is half of redis-server's throughput.
"""

from __future__ import annotations

import csv
import io
import re
import shutil
import socket
import statistics
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

from benchmarks.report import Row

COMMANDS: dict[str, list[str]] = {
    "SET": ["-t", "set"],
    "GET": ["-t", "get"],
    "INCR": ["-t", "incr"],
    "LPUSH": ["-t", "lpush"],
    "ZADD": ["-t", "zadd"],
    "XADD": ["XADD", "stream", "*", "field", "value"],
}
ROUNDS = 5
# Commands in flight on a connection, requests a round, and the target.
DEPTHS = ((1, 30_000, 2.0), (16, 100_000, 5.0))


def measure(url: str, *, quick: bool = False) -> list[Row]:
    """The ratios for each command and depth; no lines where redis-benchmark is not installed."""
    program = shutil.which("redis-benchmark")
    if program is None:
        print("no redis-benchmark found: the lines on the TCP server are left out")
        return []
    rows = []
    with own_server() as ours:
        theirs = str(urlsplit(url).port)
        for depth, requests, target in DEPTHS:
            for name, command in COMMANDS.items():
                count = requests // 3 if quick else requests
                plan = [program, "-c", "50", "-P", str(depth), "-n", str(count), "--csv"]
                rounds = [
                    (_rate(plan, ours, command), _rate(plan, theirs, command))
                    for _ in range(3 if quick else ROUNDS)
                ]
                rows.append(_row(f"TCP server: {name}, -P {depth}", rounds, target))
    return rows


def _row(what: str, rounds: list[tuple[float, float]], target: float) -> Row:
    mine, others = (statistics.median(rates) for rates in zip(*rounds, strict=True))
    return Row(
        what,
        f"{mine:,.0f}/s",
        f"redis-server {others:,.0f}/s",
        statistics.median(theirs / ours for ours, theirs in rounds),
        target,
    )


def _rate(plan: list[str], port: str, command: list[str]) -> float:
    """Requests a second, from the same few keys: GET finds its value, and nothing has grown."""
    with socket.create_connection(("127.0.0.1", int(port)), timeout=30) as peer:
        for line in (b"FLUSHALL\r\n", b"SET key:__rand_int__ xxx\r\n"):
            peer.sendall(line)
            assert peer.recv(100) == b"+OK\r\n"
    done = subprocess.run(
        [*plan, "-p", port, *command], capture_output=True, text=True, check=True, timeout=120
    )
    header, line = csv.reader(io.StringIO(done.stdout))
    return float(dict(zip(header, line, strict=True))["rps"])


@contextmanager
def own_server() -> Iterator[str]:
    """The port of a server of ours that lives as long as the block."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = str(probe.getsockname()[1])
    process = subprocess.Popen(
        [sys.executable, "-m", "cacheapp.server", "--port", port],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert re.search(rf":{port}/", line), line
        yield port
    finally:
        process.terminate()
        process.communicate()
