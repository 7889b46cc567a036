"""`python -m benchmarks [--redis URL] [--only PART …] [--quick] [--trace PATH …]`: all targets.

Without `--redis` it starts a redis-server of its own on a free loopback port where the program is
installed, and leaves those lines out, saying so, where it is not.
"""

from __future__ import annotations

import argparse
import contextlib
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from benchmarks.report import Row, render
from benchmarks.settings import configure

PARTS = (
    "engine", "redis", "clients", "commands", "asyncio", "scripts", "streams", "expiry", "memory",
    "account", "server", "eviction", "channels", "sessions", "sessions-redis", "ratelimit",
    "ratelimit-redis", "nearcache", "patterns", "patterns-redis",
)  # fmt: skip
# Parts that compare with a redis-server.
ON_REDIS = ("redis", "server", "sessions-redis", "ratelimit-redis", "nearcache", "patterns-redis")
# What `--quick` leaves out: minutes, where the others take seconds.
LONG = ("eviction", "memory", "account")


@contextlib.contextmanager
def server() -> Iterator[str | None]:
    """The URL of a redis-server that lives as long as the block, or None."""
    binary = shutil.which("redis-server")
    if binary is None:
        yield None
        return
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with tempfile.TemporaryDirectory() as folder:
        process = subprocess.Popen(
            [binary, "--bind", "127.0.0.1", "--port", str(port), "--save", "", "--dir", folder],
            stdout=subprocess.DEVNULL,
        )
        try:
            _wait(port)
            yield f"redis://127.0.0.1:{port}/0"
        finally:
            process.terminate()
            process.wait()


def _wait(port: int) -> None:
    for _ in range(200):
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
            return
        time.sleep(0.02)
    raise RuntimeError("redis-server did not start")


def parts(
    url: str | None, *, quick: bool, recorded: Sequence[Path]
) -> dict[str, Callable[[], list[Row]]]:
    """What measures each part; to be called once Django is set up."""
    from benchmarks import (
        account,
        caches,
        channels,
        clients,
        commands,
        eviction,
        expiry,
        memory,
        nearcache,
        patterns,
        ratelimits,
        scripts,
        sessions,
        streams,
    )
    from benchmarks import server as front

    return {
        "engine": lambda: [*caches.on_engine(), *caches.over_many_keys()],
        "redis": caches.on_redis,
        "clients": clients.sync,
        "commands": lambda: commands.measure(5 if quick else commands.ROUNDS),
        "asyncio": clients.asynchronous,
        "scripts": scripts.measure,
        "streams": lambda: streams.measure(quick=quick),
        "expiry": lambda: expiry.measure(quick=quick),
        "memory": lambda: memory.measure(url),
        "account": account.rows,
        "nearcache": lambda: nearcache.measure(url or "", quick=quick),
        "server": lambda: front.measure(url or "", quick=quick),
        "channels": lambda: channels.measure(url, quick=quick),
        "sessions": lambda: sessions.on_engine(quick=quick),
        "sessions-redis": lambda: sessions.on_redis(quick=quick),
        "ratelimit": lambda: ratelimits.on_engine(quick=quick),
        "ratelimit-redis": lambda: ratelimits.on_redis(url or "", quick=quick),
        "patterns": lambda: patterns.on_engine(quick=quick),
        "patterns-redis": lambda: patterns.on_redis(url or "", quick=quick),
        "eviction": lambda: eviction.rows(eviction.measure(recorded, quick=quick)),
    }


def main() -> int:
    """Run the parts asked for and print one table; 1 where a target was missed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--redis", metavar="URL", help="a server to use instead of an own one")
    parser.add_argument("--only", choices=PARTS, action="append", help="run this part (repeatable)")
    parser.add_argument(
        "--quick", action="store_true", help="smaller sizes, fewer rounds, no eviction or memory"
    )
    parser.add_argument(
        "--trace", type=Path, action="append", default=[], metavar="PATH",
        help="a recorded trace for the part `eviction` (repeatable)",
    )  # fmt: skip
    options = parser.parse_args()
    quick = options.quick
    wanted = options.only or [part for part in PARTS if not (quick and part in LONG)]
    with contextlib.ExitStack() as stack:
        url = options.redis or stack.enter_context(server())
        configure(url)
        table = parts(url, quick=quick, recorded=options.trace)
        rows = []
        for name in wanted:
            if name in ON_REDIS and url is None:
                print(f"no redis-server found: the lines of {name!r} are left out")
                continue
            print(f"measuring: {name}", file=sys.stderr, flush=True)
            rows += table[name]()
        print(render(rows))
    missed = [line for line in rows if line.verdict == "MISSED"]
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
