"""Two processes of 50 threads, or of 50 tasks, miss one key together: one computation.

On redis-server, and on our engine where several processes reach it: behind its TCP front.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import redis

from tests.redis_server import HOST, RedisServer
from tests.server.running import RunningServer

PATIENCE_S = 120
ROOT = Path(__file__).resolve().parents[2]


def stampede(url: str, *modes: list[str]) -> tuple[int, list[str]]:
    """Run a process a mode against ``url``. Returns how many computed, and what each printed."""
    command = [sys.executable, "-W", "error", "-m", "tests.cache.stampede", url, "50"]
    processes = [
        subprocess.Popen([*command, *mode], cwd=ROOT, stdout=subprocess.PIPE, text=True)
        for mode in modes
    ]
    # A busy machine takes long to start a process: longer than redis-py waits for a reply.
    client = redis.Redis.from_url(url, socket_timeout=None)
    for _ in processes:
        assert client.blpop(["ready"], timeout=PATIENCE_S)
    client.lpush("go", *range(len(processes)))
    printed = [process.communicate(timeout=PATIENCE_S)[0].strip() for process in processes]
    computed = int(client.get("computed") or 0)
    client.close()
    return computed, printed


@pytest.mark.parametrize("modes", [([], []), (["native"], ["native"])])
def test_one_computation(redis_server: RedisServer, modes: tuple[list[str], ...]) -> None:
    computed, printed = stampede(redis_server.url(), *modes)
    assert printed == ["50 1"] * len(modes)
    assert computed == 1


def test_one_computation_over_the_front() -> None:
    with RunningServer() as front:
        computed, printed = stampede(f"redis://{HOST}:{front.port}/0", [], ["native"])
    assert printed == ["50 1"] * 2
    assert computed == 1
