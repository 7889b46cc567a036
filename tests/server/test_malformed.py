"""Malformed and odd input, byte for byte as redis-server answers it, while other clients go on."""

from __future__ import annotations

import contextlib
import random

import pytest

from tests.redis_server import RedisServer
from tests.server.mutate import make
from tests.server.running import RunningServer, exchange

PING = b"*1\r\n$4\r\nPING\r\n"
ARRAYS = [
    b"*-1\r\n" + PING, b"*0\r\n" + PING, b"*1\r\n:5\r\n", b"*1\r\n\r\n", b"*1\r\n+PING\r\n",
    b"*3\r\n$3\r\nSET\r\n$1\r\nx\r\nfoo\r\n", b"*99999999999\r\n", b"*2147483648\r\n",
    b"*2147483647\r\n", b"*-9223372036854775808\r\n" + PING, b"*-9223372036854775809\r\n",
    b"*abc\r\n", b"*+1\r\n", b"*01\r\n$4\r\nPING\r\n", b"*-0\r\n", b"*\r\n", b"*1 \r\n", b"* 1\r\n",
    b"*1\r\n$-1\r\n", b"*1\r\n$04\r\nPING\r\n", b"*1\r\n$99999999999\r\n", b"*1\r\n$536870913\r\n",
    b"*1\r\n$abc\r\n", b"*1\r\n$\r\n", b"*1\r\n$4 \r\nPING\r\n", b"*1\r\n$4\r\nPINGxx" + PING,
    b"*1\r\n\xe9abc\r\n", b"*1\r\n\n$4\r\n", b"*1\r\n*1\r\n$4\r\nPING\r\n", b"*1\n$4\nPING\n",
    b"*1\rx$4\rxPINGyy", b"*\x001\r\n$4\r\nPING\r\n", b"*1\r\n$4\r\nPI", b"*1\r\n$0\r\n\r\n",
    b"*2\r\n$0\r\n\r\n$0\r\n\r\n", b"*2\r\n$4\r\nECHO\r\n$2\r\n\r\n\r\n", b"$4\r\nPING\r\n",
    b"*2\r\n$4\r\nECHO\r\n$4\r\na\r\nb\r\n" + PING, PING + b"*1\r\n!\r\n" + PING,
    b"*" + b"1" * 65540, b"*1\r\n$" + b"1" * 65540,
]  # fmt: skip
LINES = [
    b"PING\r\n", b"PING\n", b"PING\r\r\n", b"\r\n\r\nPING\r\n", b"  PING  \r\n", b"ECHO a\x0bb\r\n",
    b'ECHO "a b\\x41\\n\\"q"\r\n', b"ECHO 'a b\\'c\\n'\r\n", b'ECHO "abc\r\n', b'ECHO "abc"d\r\n',
    b"ECHO 'abc\r\n", b"ECHO 'a'b\r\n", b'ECHO foo"bar"\r\n', b'ECHO foo"bar baz" x\r\n',
    b'ECHO ""\r\n', b"ECHO ''\r\n", b'ECHO "\\\r\n', b"ECHO\x0ba\r\n", b"ECHO a\x00b\r\nPING\r\n",
    b"\x00PING\r\n", b"\xff\xfe\r\n", b'""\r\n', b"foo\rbar\r\n", b"SET a 'x'\t\"y\"\r\n",
    b"a" * 65540, b"a" * 65536 + b"\r\nPING\r\n",
]  # fmt: skip
ENDS = [
    b"QUIT\r\nPING\r\n", b"*1\r\n$4\r\nQUIT\r\n*1\r\n:", b"POST / HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"PING\r\nhost: a\r\n", b"PI",
]  # fmt: skip


@pytest.mark.requires_redis
def test_every_answer_is_redis_s(redis_server: RedisServer, running: RunningServer) -> None:
    for data in [*ARRAYS, *LINES, *ENDS]:
        ours, theirs = exchange(running.port, data), exchange(redis_server.port, data)
        assert ours == theirs, data[:80]


@pytest.mark.requires_redis
def test_mutated_requests_are_answered_as_redis_does(
    redis_server: RedisServer, running: RunningServer
) -> None:
    rng = random.Random(30)
    for _ in range(400):
        data = make(rng)
        ours, theirs = exchange(running.port, data), exchange(redis_server.port, data)
        assert ours == theirs, data[:200]


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"*x\r\n", b"invalid multibulk length"),
        (b"*1\r\n$x\r\n", b"invalid bulk length"),
        (b"*1\r\n:1\r\n", b"expected '$', got ':'"),
        (b"a" * 65540, b"too big inline request"),
        (b"*" + b"1" * 65540, b"too big mbulk count string"),
        (b"*1\r\n$" + b"1" * 65540, b"too big bulk count string"),
        (b'"a\r\n', b"unbalanced quotes in request"),
    ],
)
def test_a_malformed_request_closes_that_connection_and_no_other(
    running: RunningServer, data: bytes, text: bytes
) -> None:
    with running.connect() as other, running.connect() as peer:
        other.send(b"*2\r\n$4\r\nECHO\r\n$3\r\na")
        peer.send(data)
        assert peer.rest() == b"-ERR Protocol error: " + text + b"\r\n"
        other.ask(b"bc\r\n", b"$3\r\nabc\r\n")


@pytest.mark.parametrize("data", [b"*11\r\n", b"*1\r\n$16385\r\n"])
def test_strangers_get_small_limits_until_they_say_the_password(data: bytes) -> None:
    with RunningServer(requirepass="secret") as server:
        with server.connect() as peer:
            peer.ask(PING, b"-NOAUTH Authentication required.\r\n")
            peer.send(data)
            assert peer.rest().startswith(b"-ERR Protocol error: unauthenticated ")
        with server.connect() as peer:
            large = b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$20000\r\n" + b"x" * 20_000 + b"\r\n"
            peer.ask(b"AUTH secret\r\n" + large, b"+OK\r\n+OK\r\n")


def test_a_slow_sender_is_served_byte_by_byte(running: RunningServer) -> None:
    with running.connect() as slow, running.connect() as other:
        for byte in b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$3\r\nabc\r\n":
            slow.send(bytes([byte]))
            other.ask(PING, b"+PONG\r\n")
        assert slow.receive(5) == b"+OK\r\n"


def test_a_request_over_the_query_buffer_limit_ends_the_connection() -> None:
    with (
        RunningServer(client_query_buffer_limit="1mb") as server,
        server.connect() as peer,
        server.connect() as other,
    ):
        with contextlib.suppress(ConnectionError):
            peer.send(b"*2\r\n$4\r\nECHO\r\n$3000000\r\n" + b"x" * 2_000_000)
        assert peer.rest() == b""
        other.ask(PING, b"+PONG\r\n")


def test_the_limit_of_a_bulk_may_change_while_clients_are_connected(running: RunningServer) -> None:
    with running.connect() as peer:
        peer.ask(b"CONFIG SET proto-max-bulk-len 2mb\r\n", b"+OK\r\n")
        peer.send(b"*2\r\n$4\r\nECHO\r\n$2097153\r\n")
        assert peer.rest() == b"-ERR Protocol error: invalid bulk length\r\n"
