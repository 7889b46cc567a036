"""Workers of gunicorn and uvicorn: copies that a write ends, and one killed while it computes."""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import redis

from tests.redis_server import HOST, RedisServer, free_port

pytestmark = pytest.mark.requires_redis

ROOT = Path(__file__).resolve().parents[2]
SITE = "tests.invalidation.website"
PATIENCE_S = 30.0
WORKERS = 3
GUNICORN = ["gunicorn", "--workers", str(WORKERS), "--log-level", "error"]
SERVERS = {
    "gunicorn sync": [*GUNICORN, f"{SITE}:application", "--bind"],
    "gunicorn sync preload": [*GUNICORN, "--preload", f"{SITE}:application", "--bind"],
    "gunicorn gthread": [*GUNICORN, "--threads", "4", f"{SITE}:application", "--bind"],
    "gunicorn gthread preload": [
        *(*GUNICORN, "--preload", "--threads", "4", f"{SITE}:application", "--bind"),
    ],
    "uvicorn": ["uvicorn", "--workers", str(WORKERS), "--log-level", "error", f"{SITE}:asgi"],
}


class Site:
    """A running server."""

    def __init__(self, port: int) -> None:
        self._url = f"http://{HOST}:{port}/"

    def ask(self, query: str = "", path: str = "") -> dict[str, Any]:
        """One request on a connection of its own."""
        with urllib.request.urlopen(f"{self._url}{path}?{query}", timeout=PATIENCE_S) as answer:
            found: dict[str, Any] = json.load(answer)
        return found

    def until(self, what: Any) -> None:
        """Ask until `what(answer)` is true for some answer in time."""
        pause, deadline = threading.Event(), time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            try:
                if what(self.ask()):
                    return
            except OSError:
                pass
            pause.wait(0.01)
        raise AssertionError("it did not come")


@pytest.fixture(params=list(SERVERS))
def site(request: pytest.FixtureRequest, redis_server: RedisServer) -> Iterator[Site]:
    command = SERVERS[request.param]
    if importlib.util.find_spec(command[0]) is None:
        pytest.skip(f"{command[0]} is not installed")
    port = free_port()
    place = [f"{HOST}:{port}"] if command[0] == "gunicorn" else ["--port", str(port)]
    process = subprocess.Popen(
        [sys.executable, "-m", *command, *place],
        cwd=ROOT,
        env={**os.environ, "TORTURE_REDIS": redis_server.url(), "PYTHONPATH": str(ROOT)},
    )
    site = Site(port)
    try:
        site.until(lambda answer: True)
        yield site
    finally:
        process.terminate()
        process.wait(20)


def test_a_write_is_seen_by_every_worker(site: Site) -> None:
    site.ask("set=1")
    holding: set[int] = set()

    def all_hold(answer: dict[str, Any]) -> bool:
        if answer["near"]:
            holding.add(answer["pid"])
        return len(holding) == WORKERS

    site.until(all_hold)
    for number in range(2, 7):
        writer = site.ask(f"set={number}")
        assert writer["value"] == number
        # Far sooner than the copies' deadlines: this is the listeners' work.
        site.until(lambda _, number=number: {site.ask()["value"] for _ in range(20)} == {number})


@pytest.mark.parametrize(
    ("site", "path"),
    [("gunicorn sync", "slow"), ("gunicorn gthread", "slow"), ("uvicorn", "aslow")],
    indirect=["site"],
)
def test_a_worker_killed_in_a_computation_is_followed_by_another(
    site: Site, path: str, redis_server: RedisServer
) -> None:
    client = redis.Redis.from_url(redis_server.url(), socket_timeout=None)
    with ThreadPoolExecutor(1) as pool:
        doomed = pool.submit(site.ask, "lease=1", path)
        _, pid = client.blpop(["computing"], timeout=PATIENCE_S)
        os.kill(int(pid), signal.SIGKILL)
        assert doomed.exception(PATIENCE_S) is not None
        heir = pool.submit(site.ask, "lease=60", path)
        _, other = client.blpop(["computing"], timeout=PATIENCE_S)
        client.rpush("go", 1)
        assert heir.result(PATIENCE_S)["value"] == int(other) != int(pid)
    assert site.ask("lease=60", path)["value"] == int(other)
    assert client.llen("computing") == 0
    client.close()
