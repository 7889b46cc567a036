"""SAVE and its kin on both servers: what they answer, and that reloading keeps everything."""

from __future__ import annotations

import time
from typing import Any

import pytest

from tests.contract.conftest import Server
from tests.engine.persistence.filling import fill
from tests.raw import ReplyError

WAIT_S = 20.0


def persistence(server: Server) -> dict[bytes, bytes]:
    lines = bytes(server.execute("INFO", "persistence")).split(b"\r\n")
    return {name: value for name, _, value in (line.partition(b":") for line in lines)}


def wait_for(server: Server, field: bytes) -> None:
    """Return when nothing is written in the background."""
    end = time.monotonic() + WAIT_S
    while persistence(server)[field] != b"0":
        assert time.monotonic() < end


def reloaded(server: Server, *command: Any) -> None:
    before = server.execute("DEBUG", "DIGEST")
    assert server.execute(*command) == b"OK"
    assert server.execute("DEBUG", "DIGEST") == before


def test_save(server: Server) -> None:
    assert server.execute("SET", "k", "v") == b"OK"
    assert server.execute("SAVE") == b"OK"
    assert abs(server.execute("LASTSAVE") - time.time()) < WAIT_S
    assert persistence(server)[b"rdb_changes_since_last_save"] == b"0"
    server.execute("SET", "k", "w")
    assert persistence(server)[b"rdb_changes_since_last_save"] == b"1"


def test_bgsave(server: Server) -> None:
    assert server.execute("BGSAVE") == b"Background saving started"
    wait_for(server, b"rdb_bgsave_in_progress")
    assert persistence(server)[b"rdb_last_bgsave_status"] == b"ok"
    assert server.execute("BGSAVE", "schedule") == b"Background saving started"
    wait_for(server, b"rdb_bgsave_in_progress")
    for wrong in (["BGSAVE", "NOW"], ["BGSAVE", "SCHEDULE", "SCHEDULE"]):
        with pytest.raises(ReplyError, match="ERR syntax error"):
            server.execute(*wrong)


@pytest.mark.parametrize(("points", "changes"), [("900 1", b"0"), ("", b"2")])
def test_flushall_is_a_save_where_there_are_save_points(
    server: Server, points: str, changes: bytes
) -> None:
    server.execute("CONFIG", "SET", "save", "")
    server.execute("SAVE")
    server.execute("SET", "k", "v")
    server.execute("CONFIG", "SET", "save", points)
    server.execute("FLUSHALL")
    assert persistence(server)[b"rdb_changes_since_last_save"] == changes


def test_in_a_transaction(server: Server) -> None:
    server.execute("MULTI")
    server.execute("BGSAVE")
    server.execute("BGREWRITEAOF")
    assert server.execute("EXEC") == [
        b"Background saving scheduled",
        b"Background append only file rewriting scheduled",
    ]
    wait_for(server, b"aof_rewrite_scheduled")
    wait_for(server, b"aof_rewrite_in_progress")
    wait_for(server, b"rdb_bgsave_in_progress")


def test_a_log_that_is_off_is_rewritten(server: Server) -> None:
    server.execute("SET", "k", "v")
    assert server.execute("BGREWRITEAOF") == b"Background append only file rewriting started"
    wait_for(server, b"aof_rewrite_in_progress")
    info = persistence(server)
    assert (info[b"aof_enabled"], info[b"aof_last_bgrewrite_status"]) == (b"0", b"ok")
    reloaded(server, "DEBUG", "LOADAOF")


def test_everything_is_kept(server: Server) -> None:
    fill(server.execute)
    reloaded(server, "DEBUG", "RELOAD")
    assert server.execute("CONFIG", "SET", "appendonly", "yes") == b"OK"
    wait_for(server, b"aof_rewrite_in_progress")
    fill_more(server)
    reloaded(server, "DEBUG", "LOADAOF")
    assert server.execute("BGREWRITEAOF") == b"Background append only file rewriting started"
    wait_for(server, b"aof_rewrite_in_progress")
    reloaded(server, "DEBUG", "LOADAOF")
    assert server.execute("CONFIG", "SET", "appendonly", "no") == b"OK"
    assert 0 < server.execute("PTTL", "due") <= 5_000_000


def fill_more(server: Server) -> None:
    for command in (
        ["SPOP", "large set", 10],
        ["EXPIRE", "hash", 1000],
        ["SET", "new", "v", "EX", 1000],
        ["INCRBYFLOAT", "float", "0.1"],
        ["LPOP", "list", 5],
        ["XADD", "stream", "*", "f", "v"],
        ["XREADGROUP", "GROUP", "group", "other", "COUNT", 3, "STREAMS", "stream", ">"],
        ["EVAL", "redis.call('SET', 'a', 1) redis.call('RPUSH', 'b', 1, 2)", 0],
    ):
        server.execute(*command)
