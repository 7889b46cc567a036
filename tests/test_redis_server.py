"""The tests' own redis-server: it starts, takes options, and is gone afterwards."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.raw import SocketRaw
from tests.redis_server import HOST, RedisServer, StartError

pytestmark = pytest.mark.requires_redis


def test_it_listens_on_loopback_with_its_options_and_ends_by_its_pid() -> None:
    with RedisServer(maxmemory="2mb") as server:
        raw = SocketRaw(HOST, server.port)
        assert raw.execute("CONFIG", "GET", "maxmemory") == [b"maxmemory", b"2097152"]
        assert raw.execute("CONFIG", "GET", "bind") == [b"bind", HOST.encode()]
        folder = Path(raw.execute("CONFIG", "GET", "dir")[1].decode())
        assert f"process_id:{server.pid}".encode() in raw.execute("INFO", "server")
        pid = server.pid
        raw.close()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    assert not folder.exists()
    with pytest.raises(RuntimeError, match="not running"):
        _ = server.pid


def test_a_server_that_cannot_start_says_what_it_logged() -> None:
    with pytest.raises(StartError, match="Bad directive"):
        RedisServer(no_such_option="1").start()
