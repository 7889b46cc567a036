"""A redis-server of demo_report's own: random loopback port, nothing on disk, gone afterwards.

Left out on purpose: options. The report measures Redis as it is installed.
"""

from __future__ import annotations

import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager

import redis

HOST = "127.0.0.1"
START_TIMEOUT_S = 10.0
POLL_S = 0.05


def binary() -> str | None:
    """The path of redis-server, or None where it is not installed."""
    return shutil.which("redis-server")


@contextmanager
def own_redis(program: str) -> Iterator[str]:
    """Start `program` and give its URL; raises RuntimeError if there is no answer in time."""
    with socket.create_server((HOST, 0)) as listener:
        port = listener.getsockname()[1]
    with tempfile.TemporaryDirectory(prefix="cacheapp-demo-") as folder:
        options = ["--bind", HOST, "--port", str(port), "--dir", folder, "--daemonize", "no"]
        process = subprocess.Popen(  # noqa: S603 - a fixed program with fixed options
            [program, *options, "--save", "", "--appendonly", "no"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            _wait(process, port)
            yield f"redis://{HOST}:{port}/0"
        finally:
            process.terminate()
            process.wait()


def _wait(process: subprocess.Popen[bytes], port: int) -> None:
    """Return when the server answers PING."""
    deadline = time.monotonic() + START_TIMEOUT_S
    with redis.Redis(host=HOST, port=port, socket_connect_timeout=1) as client:
        while time.monotonic() < deadline:
            try:
                process.wait(timeout=POLL_S)
            except subprocess.TimeoutExpired:
                try:
                    client.ping()
                except redis.exceptions.ConnectionError:
                    continue
                return
            break
    raise RuntimeError("redis-server was started and did not answer")
