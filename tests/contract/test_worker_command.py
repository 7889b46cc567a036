"""`manage.py cacheapp_worker` as processes over a real redis-server: crashes, SIGTERM, lists."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from django.core.management import CommandError, call_command

from cacheapp.cache.writebehind import WriteBehind, queues
from tests.cache.aliases import MakeCache, maker
from tests.redis_server import RedisServer

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def make_cache(settings: Any) -> MakeCache:
    return maker(settings)


@pytest.fixture
def queue(redis_server: RedisServer, settings: Any) -> Iterator[WriteBehind]:
    settings.SECRET_KEY = "x" * 50
    maker(settings)(redis_server.url())
    yield WriteBehind("writes", print)
    del queues["writes"]


def start(url: str, *arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-W", "error", "-m", "tests.cache.flushing", url, *arguments]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)


def until(condition: Callable[[], Any]) -> None:
    deadline, pause = time.monotonic() + 30, threading.Event()
    while not condition():
        assert time.monotonic() < deadline
        pause.wait(0.02)


def test_one_killed_one_ended_nothing_lost(redis_server: RedisServer, queue: WriteBehind) -> None:
    client = redis.Redis.from_url(redis_server.url(), decode_responses=True)
    ids = [queue.append("hold")] + [queue.append(number) for number in range(200)]
    first = start(redis_server.url())
    assert client.blpop(["held"], timeout=30)
    second = start(redis_server.url())
    until(lambda: client.llen("written") >= 190)
    first.kill()
    first.wait(10)
    until(lambda: queue.counts()["waiting"] == 0)
    second.terminate()
    output, _ = second.communicate(timeout=20)
    assert second.returncode == 0
    assert output.splitlines()[-1] == "writes: 201 handled, 0 set aside"
    written = client.lrange("written", 0, -1)
    assert sorted(set(written)) == sorted(ids)
    (left,) = client.xinfo_consumers(queue.stream.decode(), "cacheapp")
    assert left["pending"] == 0  # of the one that was killed
    first.communicate()
    client.close()


def test_once_and_the_lists(
    redis_server: RedisServer, queue: WriteBehind, capsys: pytest.CaptureFixture[str]
) -> None:
    queue.append("a")
    queue.append("poison", id="bad")
    process = start(redis_server.url(), "--once")
    assert process.communicate(timeout=30)[0].splitlines() == ["writes: 1 handled, 1 set aside"]

    def said(*arguments: str) -> str:
        call_command("cacheapp_worker", *arguments)
        return capsys.readouterr().out.strip()

    assert said("--list") == "writes: 0 waiting, 1 set aside"
    assert 'id=bad tries=2 LookupError: no such row "poison"' in said("--dead", "writes")
    assert said("--revive", "writes", "--entry", "0-1") == "0 put back"
    assert said("--revive", "writes") == "1 put back"
    assert said("--discard", "writes") == "0 discarded"
    assert said("--list", "writes") == "writes: 1 waiting, 0 set aside"
    with pytest.raises(CommandError, match="no queue 'other'; there is writes"):
        said("other")


def test_where_it_cannot_work(make_cache: MakeCache) -> None:
    with pytest.raises(CommandError, match="No app makes a WriteBehind"):
        call_command("cacheapp_worker")
    make_cache("memory://worker")
    WriteBehind("inside", print)
    try:
        with pytest.raises(CommandError, match="an engine inside each process"):
            call_command("cacheapp_worker")
    finally:
        del queues["inside"]
