"""MIGRATE, from our TCP front and from redis-server, to another front of ours."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from cacheapp.engine.transfer import TransferError
from cacheapp.server.transfer import transfer
from tests.raw import ReplyError, SocketRaw
from tests.redis_server import HOST, free_port
from tests.server.running import RunningServer


@pytest.fixture(params=["front", "redis"])
def source(request: pytest.FixtureRequest) -> Iterator[SocketRaw]:
    """A connection to the server that sends: another front, then redis-server."""
    if request.param == "redis":
        raw = SocketRaw(HOST, request.getfixturevalue("redis_server").port)
        yield raw
        raw.close()
        return
    with RunningServer() as server:
        raw = SocketRaw(HOST, server.port)
        yield raw
        raw.close()


@pytest.fixture
def target(running: RunningServer) -> Iterator[SocketRaw]:
    raw = SocketRaw(HOST, running.port)
    yield raw
    raw.close()


def refused(raw: SocketRaw, *args: str | int) -> str:
    with pytest.raises(ReplyError) as caught:
        raw.execute(*args)
    return str(caught.value)


def test_a_key_moves(source: SocketRaw, target: SocketRaw, running: RunningServer) -> None:
    source.execute("RPUSH", "k", "a", "b" * 10_000)
    source.execute("PEXPIRE", "k", 100_000)
    assert source.execute("MIGRATE", HOST, running.port, "k", 9, 5000) == b"OK"
    assert source.execute("EXISTS", "k") == 0
    target.execute("SELECT", 9)
    assert target.execute("LRANGE", "k", 0, -1) == [b"a", b"b" * 10_000]
    assert 90_000 < target.execute("PTTL", "k") <= 100_000


def test_copy_and_replace(source: SocketRaw, target: SocketRaw, running: RunningServer) -> None:
    source.execute("SET", "k", "new")
    target.execute("SET", "k", "old")
    busy = "ERR Target instance replied with error: BUSYKEY Target key name already exists."
    assert refused(source, "MIGRATE", HOST, running.port, "k", 0, 5000, "COPY") == busy
    assert source.execute("MIGRATE", HOST, running.port, "k", 0, 5000, "copy", "replace") == b"OK"
    assert source.execute("GET", "k") == b"new"
    assert target.execute("GET", "k") == b"new"
    assert target.execute("PTTL", "k") == -1


def test_several_keys(source: SocketRaw, target: SocketRaw, running: RunningServer) -> None:
    source.execute("MSET", "a", 1, "b", 2, "c", 3)
    target.execute("SET", "b", "busy")
    keys = ("KEYS", "missing", "a", "b", "c")
    error = refused(source, "MIGRATE", HOST, running.port, "", 0, 5000, *keys)
    assert error.startswith("ERR Target instance replied with error: BUSYKEY")
    # What the other server has taken is gone, the rest is not.
    assert source.execute("EXISTS", "a", "b", "c") == 1
    assert target.execute("MGET", "a", "b", "c") == [b"1", b"busy", b"3"]
    assert source.execute("MIGRATE", HOST, running.port, "", 0, 5000, "KEYS", "x", "y") == b"NOKEY"


def test_logging_in(source: SocketRaw, target: SocketRaw, running: RunningServer) -> None:
    target.execute("CONFIG", "SET", "requirepass", "secret")
    source.execute("MSET", "a", 1, "b", 2, "c", 3)
    to = ("MIGRATE", HOST, running.port)
    assert "NOAUTH" in refused(source, *to, "a", 0, 5000)
    assert "WRONGPASS" in refused(source, *to, "a", 0, 5000, "AUTH", "wrong")
    assert source.execute("EXISTS", "a", "b", "c") == 3
    assert source.execute(*to, "a", 0, 5000, "AUTH", "secret") == b"OK"
    assert source.execute(*to, "b", 0, 5000, "AUTH2", "default", "secret") == b"OK"
    assert source.execute("EXISTS", "a", "b", "c") == 1


def test_errors_of_arguments(source: SocketRaw, running: RunningServer) -> None:
    source.execute("SET", "k", "v")
    to = ("MIGRATE", HOST, running.port)
    integer = "ERR value is not an integer or out of range"
    for arguments, error in (
        (("k", 0, 5000, "NOPE"), "ERR syntax error"),
        (("k", 0, 5000, "AUTH"), "ERR syntax error"),
        (("k", 0, 5000, "AUTH2", "user"), "ERR syntax error"),
        (("k", "x", 5000), integer),
        (("k", 0, "x"), integer),
        (("missing", 0, "x"), integer),
        (("k", 99, 5000), "ERR Target instance replied with error: ERR DB index is out of range"),
    ):
        assert refused(source, *to, *arguments) == error
    assert "empty string" in refused(source, *to, "k", 0, 5000, "KEYS", "k")
    assert source.execute("MIGRATE", "nowhere", 1, "missing", 0, 5000) == b"NOKEY"
    assert source.execute("EXISTS", "k") == 1


def test_nobody_listens(source: SocketRaw) -> None:
    source.execute("SET", "k", "v")
    error = refused(source, "MIGRATE", HOST, free_port(), "k", 0, 5000)
    assert error == "IOERR error or timeout writing to target instance"
    error = refused(source, "MIGRATE", "a host", 1, "k", 0, 5000)
    assert error == "IOERR error or timeout connecting to the client"
    assert source.execute("EXISTS", "k") == 1


def test_nobody_answers(source: SocketRaw) -> None:
    source.execute("SET", "k", "v")
    with socket.create_server((HOST, 0)) as listener:
        error = refused(source, "MIGRATE", HOST, listener.getsockname()[1], "k", 0, 50)
    assert error == "IOERR error or timeout reading to target instance"
    assert source.execute("EXISTS", "k") == 1


def test_passwords_are_not_shown(source: SocketRaw, running: RunningServer) -> None:
    source.execute("CONFIG", "SET", "slowlog-log-slower-than", 0)
    source.execute("SET", "k", "v")
    to = ("MIGRATE", HOST, running.port, "k", 0, 5000)
    refused(source, *to, "COPY", "AUTH", "secret-one", "AUTH2", "secret-two", "secret-three")
    shown = repr(source.execute("SLOWLOG", "GET", -1))
    assert "MIGRATE" in shown
    assert "secret" not in shown


def test_what_a_transfer_raises() -> None:
    for host, port in ((b"\xff", b"1"), (b"127.0.0.1", b"x")):
        with pytest.raises(TransferError, match="connecting"):
            transfer(host, port, [[b"PING"]], 100)
