"""LeanRedis: redis-py's behaviour by a shorter path, on a real server or a scripted one."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest
import redis
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import DataError, MaxConnectionsError, ResponseError
from redis.exceptions import TimeoutError as RedisTimeoutError
from redis.retry import Retry

from cacheapp.clients.lean import (
    COMMANDS_WITHOUT_LOOKS,
    LOOK_SECONDS_MAX,
    LeanConnectionPool,
    LeanRedis,
)
from tests.clients.forks import ignores_the_warning, in_child
from tests.redis_server import RedisServer


@contextlib.contextmanager
def scripted_server(*replies: bytes | None) -> Iterator[str]:
    """A server that answers the commands of one connection with ``replies``; None closes it."""
    stop = threading.Event()

    def serve(listener: socket.socket) -> None:
        pending = list(replies)
        while pending and not stop.is_set():
            with contextlib.suppress(OSError):
                peer, _ = listener.accept()
                with peer:
                    while pending and peer.recv(65536):
                        reply = pending.pop(0)
                        if reply is None:
                            break
                        peer.sendall(reply)
                    else:
                        stop.wait(5)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, args=(listener,))
        thread.start()
        try:
            yield f"redis://127.0.0.1:{listener.getsockname()[1]}/0"
        finally:
            stop.set()
            with contextlib.suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            thread.join()


def quiet(url: str, **options: Any) -> LeanRedis:
    """A client that introduces itself with nothing: each reply of the script is a command's."""
    return LeanRedis.from_url(url, protocol=2, driver_info=None, **options)


def test_large_values_and_many_replies(redis_server: RedisServer) -> None:
    client = LeanRedis.from_url(redis_server.url())
    value = b"x" * 3_000_000
    assert client.set("large", value)
    assert client.get("large") == value
    assert client.get("missing") is None
    client.close()


def test_a_reply_in_pieces() -> None:
    with scripted_server(b"$10\r\n01234") as url:
        client = quiet(url, socket_timeout=0.1)
        with pytest.raises(RedisTimeoutError, match="Timeout reading from"):
            client.get("a")
        assert not client.connection_pool._available_connections[0].is_connected
        client.close()


def test_a_lost_connection_is_an_error_or_a_retry() -> None:
    with scripted_server(None, b"$1\r\n1\r\n") as url:
        client = quiet(url)
        with pytest.raises(RedisConnectionError, match="closed by server"):
            client.get("a")
        assert client.get("a") == b"1"
        client.close()
    with scripted_server(None, None, b"$1\r\n2\r\n") as url:
        client = quiet(url, retry=Retry(NoBackoff(), 2))
        assert client.get("a") == b"2"
        client.close()


def test_a_connection_that_was_closed_while_idle_is_opened_anew(redis_server: RedisServer) -> None:
    client = LeanRedis.from_url(redis_server.url(), retry=Retry(NoBackoff(), 0))
    first = client.client_id()
    with redis.Redis(port=redis_server.port) as other:
        other.client_kill_filter(_id=first)
    assert client.client_id() != first
    client.close()


def test_a_reply_that_nobody_read_closes_the_connection(redis_server: RedisServer) -> None:
    client = LeanRedis.from_url(redis_server.url(), protocol=2)
    connection = client.connection_pool.get_connection()
    connection.send_command("ECHO", "stale")
    assert connection.can_read(timeout=5)
    client.connection_pool.release(connection)
    assert client.echo("fresh") == b"fresh"
    client.close()


def test_an_interrupted_read_closes_the_connection(
    redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = LeanRedis.from_url(redis_server.url(), socket_timeout=5)
    client.echo("x")
    connection = client.connection_pool._available_connections[0]

    class Interrupting:
        """A parser's reader that is interrupted after the reply was read."""

        def feed(self, *args: Any) -> None:
            raise KeyboardInterrupt

    monkeypatch.setattr(connection._parser, "_reader", Interrupting())
    with pytest.raises(KeyboardInterrupt):
        client.echo("mine")
    assert not connection.is_connected
    assert client.echo("yours") == b"yours"
    client.close()


def test_error_replies_keep_the_connection(redis_server: RedisServer) -> None:
    client = LeanRedis.from_url(redis_server.url())
    first = client.client_id()
    with pytest.raises(ResponseError, match="unknown command"):
        client.execute_command("NOPE")
    with pytest.raises(DataError):
        client.set("a", None)  # type: ignore[arg-type]
    with pytest.raises(DataError):
        client.execute_command("CONFIG SET", "maxmemory", object())
    assert client.client_id() == first
    assert len(client.connection_pool._available_connections) == 1
    client.close()


def test_a_push_message_before_the_reply(redis_server: RedisServer) -> None:
    client = LeanRedis.from_url(redis_server.url())
    client.execute_command("CLIENT", "TRACKING", "ON", "BCAST")
    seen: list[Any] = []
    connection = client.connection_pool._available_connections[0]
    connection._parser.set_invalidation_push_handler(seen.append)
    client.set("a", 1)
    assert client.get("a") == b"1"
    assert client.echo("x") == b"x"
    assert [data for _, data in seen] == [[b"a"]]
    client.close()


def test_no_more_connections_than_allowed(redis_server: RedisServer) -> None:
    client = LeanRedis.from_url(redis_server.url(), max_connections=1)
    connection = client.connection_pool.get_connection()
    with pytest.raises(MaxConnectionsError):
        client.get("a")
    client.connection_pool.release(connection)
    client.connection_pool.release(connection)
    assert client.get("a") is None
    client.connection_pool.disconnect()
    assert client.get("a") is None
    client.close()


def test_threads_get_connections_of_their_own(redis_server: RedisServer) -> None:
    client = LeanRedis.from_url(redis_server.url())
    failures: list[Any] = []

    def work(number: int) -> None:
        words = [f"{number}-{step}" for step in range(50)]
        failures.extend(word for word in words if client.echo(word) != word.encode())

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    assert 1 <= len(client.connection_pool._available_connections) <= 4
    client.close()


@ignores_the_warning
def test_a_child_makes_connections_of_its_own(redis_server: RedisServer) -> None:
    client = LeanRedis.from_url(redis_server.url())
    parent = client.client_id()
    child = in_child(lambda: str(client.client_id()))
    assert int(child) != parent
    assert client.client_id() == parent
    client.close()


@pytest.mark.parametrize(
    "options",
    [
        {"health_check_interval": 10},
        {"single_connection_client": True},
        {"encoding": "latin-1", "decode_responses": True},
        {"parser_class": redis.connection._RESP2Parser, "protocol": 2},
        {"connection_pool_class": redis.BlockingConnectionPool},
        {"connection_pool_class": redis.ConnectionPool},
    ],
)
def test_redis_py_s_own_path_serves_the_rest(
    redis_server: RedisServer, options: dict[str, Any]
) -> None:
    client = LeanRedis.from_url(redis_server.url(), **options)
    assert client.set("a", 1)
    assert client.get("a") in (b"1", "1")
    with pytest.raises(ResponseError):
        client.execute_command("NOPE")
    client.close()


def test_nobody_listens(unused_tcp_port: int) -> None:
    client = LeanRedis.from_url(f"redis://127.0.0.1:{unused_tcp_port}/0")
    with pytest.raises(RedisConnectionError, match="Connection refused"):
        client.get("a")
    assert isinstance(client.connection_pool, LeanConnectionPool)
    assert not client.connection_pool._in_use_connections
    client.close()


# Looking for the reply before going to sleep


class Poller:
    """A poll object that finds something at the look number ``ready_at``."""

    def __init__(self, ready_at: int) -> None:
        self.looks, self.ready_at = 0, ready_at

    def poll(self, timeout: int) -> bool:
        self.looks += 1
        return self.looks == self.ready_at


def looking_pool(ready_at: int, **options: Any) -> tuple[LeanConnectionPool, Poller]:
    pool, poller = LeanConnectionPool(**options), Poller(ready_at)
    pool._pollers["connection"] = (None, poller)
    return pool, poller


def test_looks_end_with_the_reply() -> None:
    pool, poller = looking_pool(ready_at=3)
    pool.look_out("connection")
    assert poller.looks == 3


def test_a_slow_server_is_left_alone_for_a_while() -> None:
    pool, poller = looking_pool(ready_at=-1, looks="10")
    for _ in range(COMMANDS_WITHOUT_LOOKS + 1):
        pool.look_out("connection")
    assert poller.looks == 10
    pool.look_out("connection")
    assert poller.looks == 20


def test_looks_stop_for_a_while_where_other_threads_want_the_interpreter(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pool, poller = looking_pool(ready_at=1)
    readings = iter([0.0, 2 * LOOK_SECONDS_MAX])
    monkeypatch.setattr("cacheapp.clients.lean.time.perf_counter", lambda: next(readings))
    for _ in range(COMMANDS_WITHOUT_LOOKS + 1):
        pool.look_out("connection")
    assert poller.looks == 1


def test_no_looks_when_asked_for_none() -> None:
    pool, poller = looking_pool(ready_at=1, looks=0)
    pool.look_out("connection")
    pool.look_out("a connection without a poller")
    assert poller.looks == 0
    assert LeanConnectionPool.from_url("redis://localhost/0?looks=7")._looks == range(7)
