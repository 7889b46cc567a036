"""A memory:// URL with a directory: what clients of every kind write is there again."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

from cacheapp.clients.factory import get_client
from cacheapp.engine.engine import Engine

NAME = "kept-on-disk"
THREADS, ROUNDS = 4, 200


@pytest.fixture
def url(tmp_path: Path) -> Iterator[str]:
    yield f"memory://{NAME}/0?appendonly=yes&dir={tmp_path}&enable-debug-command=yes"
    Engine.discard(NAME)


def everything(client: redis.Redis) -> dict[Any, Any]:
    return {key: client.get(key) for key in client.keys("*")}


def test_the_next_engine_of_the_url_has_it_all(url: str) -> None:
    client = get_client(url)
    client.set("set", 1)
    client.incr("incr")
    client.mset_px([(b"a", b"1"), (b"b", b"2")], 100_000)  # type: ignore[attr-defined]
    client.store(b"stored", b"v", 0)  # type: ignore[attr-defined]
    with client.pipeline() as pipe:
        pipe.set("in a transaction", 1).incr("set").execute()
    with client.pipeline(transaction=False) as pipe:
        pipe.set("in a pipeline", 1).delete("incr").execute()
    client.eval("redis.call('SET', KEYS[1], 'v')", 1, "by a script")
    before = everything(client)
    assert len(before) == 7
    Engine.discard(NAME)
    assert everything(get_client(url)) == before


def test_rewrites_while_threads_write(url: str) -> None:
    client = get_client(url)

    def write(number: int) -> None:
        for step in range(ROUNDS):
            client.incr(f"counter:{number}")
            client.set(f"key:{number}:{step % 7}", step)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(THREADS)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        if client.info("persistence")["aof_rewrite_in_progress"] == 0:
            client.bgrewriteaof()
    engine = Engine.shared(NAME)
    before = everything(client)
    with engine.lock:
        # As after a crash: nothing more is written.
        engine.saving.wait()
        engine.saving.leave()
    Engine.discard(NAME)
    assert everything(get_client(url)) == before
    assert client.info("persistence")["aof_enabled"] == 0
