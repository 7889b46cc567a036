"""`python -m benchmarks [--redis URL] [--only PART …]`: the table of ratios.

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
from collections.abc import Iterator

from benchmarks.report import render
from benchmarks.settings import configure

PARTS = ("engine", "redis", "clients", "commands", "asyncio", "memory", "server")
# Parts that compare with a redis-server.
ON_REDIS = ("redis", "server")


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


def main() -> int:
    """Run the parts asked for and print one table; 1 where a target was missed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--redis", metavar="URL", help="a server to use instead of an own one")
    parser.add_argument("--only", choices=PARTS, action="append", help="run this part (repeatable)")
    options = parser.parse_args()
    wanted = options.only or PARTS
    with contextlib.ExitStack() as stack:
        url = options.redis or stack.enter_context(server())
        configure(url)
        from benchmarks import caches, clients, commands, memory
        from benchmarks import server as front

        parts = {
            "engine": lambda: [*caches.on_engine(), *caches.over_many_keys()],
            "redis": caches.on_redis,
            "clients": clients.sync,
            "commands": commands.measure,
            "asyncio": clients.asynchronous,
            "memory": lambda: memory.measure(url),
            "server": lambda: front.measure(url or ""),
        }
        rows = []
        for name in wanted:
            if name in ON_REDIS and url is None:
                print(f"no redis-server found: the lines of {name!r} are left out")
                continue
            rows += parts[name]()
        print(render(rows))
    missed = [line for line in rows if line.verdict == "MISSED"]
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
