"""EngineConnection: what redis-py's pools, PubSub and clients ask of a connection."""

from __future__ import annotations

import gc
import threading
from typing import Any

import pytest
import redis
from redis.credentials import UsernamePasswordCredentialProvider
from redis.exceptions import AuthenticationError, DataError, ResponseError
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from cacheapp.clients.connection import EngineConnection
from cacheapp.clients.url import URLOptionError
from cacheapp.engine.engine import Engine


def ask(connection: EngineConnection, *args: Any, **options: Any) -> Any:
    connection.send_command(*args)
    return connection.read_response(**options)


def test_it_connects_by_itself_and_closes_again(url: str, name: str) -> None:
    connection = EngineConnection(url=url)
    engine = Engine.shared(name)
    assert not connection.is_connected
    assert ask(connection, "PING") == b"PONG"
    assert connection.is_connected
    assert len(engine.sessions) == 1
    connection.disconnect()
    connection.disconnect()
    assert not connection.is_connected
    assert not engine.sessions


def test_a_forgotten_connection_leaves_no_session(url: str, name: str) -> None:
    connection = EngineConnection(url=url)
    connection.connect()
    engine = Engine.shared(name)
    assert len(engine.sessions) == 1
    del connection
    gc.collect()
    assert not engine.sessions


@pytest.mark.parametrize("protocol", [2, 3, "2", "3", None])
def test_the_handshake_introduces_the_client(url: str, name: str, protocol: Any) -> None:
    connection = EngineConnection(
        url=f"memory://{name}/3", protocol=protocol, client_name="tester", lib_name="our-lib"
    )
    connection.connect()
    session = connection.session
    assert session.protocol == connection.get_protocol() == int(protocol or 3)
    assert session.db.index == 3
    assert session.name == b"tester"
    assert (connection.handshake_metadata is None) == (session.protocol == 2)
    assert repr(connection).endswith(f"(engine={name},db=3,client_name=tester)>")
    connection.disconnect()


@pytest.mark.parametrize("protocol", [1, 4, "x"])
def test_other_protocols_are_refused(url: str, protocol: Any) -> None:
    with pytest.raises(RedisConnectionError, match="protocol must be"):
        EngineConnection(url=url, protocol=protocol)


@pytest.mark.parametrize("protocol", [2, 3])
def test_passwords(name: str, protocol: int) -> None:
    url = f"memory://{name}/0?requirepass=hush&protocol={protocol}"
    for settings in (
        {"password": "hush"},
        {"username": "default", "password": "hush"},
        {"credential_provider": UsernamePasswordCredentialProvider("default", "hush")},
    ):
        assert ask(EngineConnection(url=url, **settings), "PING") == b"PONG"
    for settings in ({"password": "wrong"}, {"username": "ann", "password": "hush"}):
        connection = EngineConnection(url=url, **settings)
        with pytest.raises(AuthenticationError):
            connection.connect()
        assert not connection.is_connected
    with pytest.raises(AuthenticationError):
        ask(EngineConnection(url=url), "GET", "a")
    with pytest.raises(DataError):
        EngineConnection(url=url, password="hush", credential_provider=object())


def test_which_engine(name: str) -> None:
    engine = Engine({"maxmemory": "1mb"})
    assert EngineConnection(engine=engine).engine is engine
    made = EngineConnection(host=name, maxmemory="2mb", socket_keepalive=True)
    assert made.engine is Engine.shared(name)
    assert made.engine.config["maxmemory"] == 2 * 1024**2
    with pytest.raises(URLOptionError, match="already runs in this process with another 'maxmem"):
        EngineConnection(url=f"memory://{name}?maxmemory=3mb")


def test_a_read_waits_and_then_gives_up(url: str) -> None:
    connection = EngineConnection(url=url, socket_timeout=0.01)
    connection.connect()
    with pytest.raises(RedisTimeoutError, match="Timeout reading from engine"):
        connection.read_response(disconnect_on_error=False)
    assert connection.is_connected
    with pytest.raises(RedisTimeoutError):
        connection.read_response(timeout=0, disconnect_on_error=False)
    with pytest.raises(RedisTimeoutError):
        connection.read_response()
    assert not connection.is_connected
    with pytest.raises(RedisConnectionError, match="closed"):
        connection.read_response()


def test_a_delivery_from_another_thread_ends_the_wait(url: str) -> None:
    listener, publisher = EngineConnection(url=url), EngineConnection(url=url)
    ask(listener, "SUBSCRIBE", "news", push_request=True)
    assert not listener.can_read()
    assert not listener.can_read(timeout=0.01)
    thread = threading.Timer(0.05, ask, (publisher, "PUBLISH", "news", "one"))
    thread.start()
    assert listener.can_read(timeout=5)
    assert listener.can_read()
    assert listener.read_response(push_request=True) == [b"message", b"news", b"one"]
    thread.join()


def test_a_reply_to_another_thread_s_command_ends_the_wait(url: str) -> None:
    connection = EngineConnection(url=url)
    connection.connect()
    thread = threading.Timer(0.05, connection.send_command, ("ECHO", "x"))
    thread.start()
    assert connection.read_response(timeout=5) == b"x"
    thread.join()


def test_disconnecting_ends_a_read_that_waits_in_another_thread(url: str) -> None:
    connection = EngineConnection(url=url)
    connection.connect()
    thread = threading.Timer(0.05, connection.disconnect)
    thread.start()
    with pytest.raises(RedisConnectionError, match="closed"):
        connection.read_response(timeout=5)
    thread.join()


def test_push_messages_are_kept_from_who_does_not_ask(url: str) -> None:
    connection = EngineConnection(url=url, protocol=3)
    ask(connection, "SUBSCRIBE", "news", push_request=True)
    seen: list[Any] = []
    connection._parser.set_pubsub_push_handler(seen.append)
    ask(EngineConnection(url=url), "PUBLISH", "news", "one")
    assert ask(connection, "PING") == b"PONG"
    assert seen == [[b"message", b"news", b"one"]]


def test_replies_are_read_in_the_order_of_the_commands(url: str) -> None:
    connection = EngineConnection(url=url)
    commands = [("ECHO", "1"), ("GET", "a", "b"), ("SET", "a", 1), ("GET", b"a"), ("ECHO", "2")]
    connection.send_packed_command(connection.pack_commands(commands))
    assert connection.read_response() == b"1"
    with pytest.raises(ResponseError, match="wrong number of arguments for 'get' command"):
        connection.read_response()
    assert [connection.read_response() for _ in range(3)] == [b"OK", b"1", b"2"]
    connection.send_packed_command(connection.pack_command("CONFIG GET", "maxmemory"))
    assert connection.read_response() == {b"maxmemory": b"0"}
    assert connection.is_connected


def test_decoding_can_be_left_out_of_one_read(url: str) -> None:
    connection = EngineConnection(url=url, decode_responses=True)
    assert ask(connection, "ECHO", "é") == "é"
    assert ask(connection, "ECHO", "é", disable_decoding=True) == "é".encode()
    latin = EngineConnection(url=url, decode_responses=True, encoding="latin-1")
    assert ask(latin, "ECHO", "é") == "é"
    assert ask(latin, "ECHO", "é", disable_decoding=True) == b"\xe9"


def test_health_is_checked_after_the_interval(url: str) -> None:
    connection = EngineConnection(url=url, health_check_interval=10)
    ask(connection, "PING")
    engine = connection.engine
    pings = engine.stats.command("ping").calls
    ask(connection, "ECHO", "x")
    assert engine.stats.command("ping").calls == pings
    connection.next_health_check = 0
    ask(connection, "ECHO", "x")
    assert engine.stats.command("ping").calls == pings + 1
    assert connection.next_health_check > 0


class Listener:
    """Somebody with a method, as redis-py's connect callbacks have to be."""

    def __init__(self) -> None:
        self.connected = 0

    def on_connect(self, connection: EngineConnection) -> None:
        self.connected += 1


def test_connect_callbacks_are_called_while_their_owner_lives(url: str) -> None:
    connection, first, second = EngineConnection(url=url), Listener(), Listener()
    connection.register_connect_callback(first.on_connect)
    connection.register_connect_callback(first.on_connect)
    connection.register_connect_callback(second.on_connect)
    connection.connect()
    connection.deregister_connect_callback(first.on_connect)
    connection.deregister_connect_callback(first.on_connect)
    connection.disconnect()
    connection.connect()
    assert (first.connected, second.connected) == (1, 2)
    del second
    gc.collect()
    connection.disconnect()
    connection.connect()


def test_a_connect_function_replaces_the_handshake(url: str) -> None:
    seen: list[EngineConnection] = []
    connection = EngineConnection(url=url, db=2, redis_connect_func=seen.append)
    connection.connect()
    assert seen == [connection]
    assert connection.session.protocol == 2
    assert connection.session.db.index == 0


def test_marks_for_reconnect(url: str) -> None:
    connection = EngineConnection(url=url)
    connection.connect()
    connection.mark_for_reconnect()
    assert connection.should_reconnect()
    connection.disconnect()
    assert not connection.should_reconnect()


class Token:
    """A credential provider's token."""

    def try_get(self, name: str) -> str:
        return "default"

    def get_value(self) -> str:
        return "hush"


def test_re_authentication(name: str) -> None:
    connection = EngineConnection(
        url=f"memory://{name}?requirepass=hush", protocol=2, redis_connect_func=lambda _: None
    )
    connection.connect()
    connection.re_auth()
    with pytest.raises(AuthenticationError, match="Authentication required"):
        ask(connection, "GET", "a")
    connection.set_re_auth_token(Token())
    connection.re_auth()
    assert ask(connection, "GET", "a") is None


def test_retries_are_as_redis_py_counts_them(url: str) -> None:
    assert EngineConnection(url=url).retry.get_retries() == 0
    assert EngineConnection(url=url, retry_on_timeout=True).retry.get_retries() == 1
    given = redis.retry.Retry(redis.backoff.NoBackoff(), 4)
    connection = EngineConnection(url=url, retry=given, retry_on_error=[KeyError])
    assert connection.retry.get_retries() == 4
    assert connection.retry is not given
    assert KeyError in connection.retry._supported_errors
    assert KeyError not in given._supported_errors


def test_an_interrupted_batch_closes_the_connection(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    connection = EngineConnection(url=url)
    ask(connection, "SET", "a", 1)
    execute = connection.engine.execute

    def interrupted(session: Any, args: list[bytes]) -> Any:
        if args[1] == b"mine":
            raise KeyboardInterrupt
        return execute(session, args)

    monkeypatch.setattr(connection.engine, "execute", interrupted)
    with pytest.raises(KeyboardInterrupt):
        connection.send_packed_command(connection.pack_commands([("GET", "a"), ("ECHO", "mine")]))
    assert not connection.is_connected
    monkeypatch.undo()
    assert ask(connection, "ECHO", "yours") == b"yours"


# Commands that wait


def test_a_waiting_command_ends_by_itself(url: str, waiting_command: str) -> None:
    connection = EngineConnection(url=url, socket_timeout=5)
    assert ask(connection, waiting_command, 20) is None
    connection.send_command(waiting_command, 20)
    assert connection.can_read(timeout=5)
    assert connection.read_response() is None
    assert connection.is_connected


def test_a_waiting_command_is_woken_by_another_client(url: str, waiting_command: str) -> None:
    connection, other = EngineConnection(url=url), EngineConnection(url=url)
    connection.send_command(waiting_command, 5000)
    assert not connection.can_read(timeout=0.01)
    thread = threading.Timer(0.02, ask, (other, "SET", "k", "v"))
    thread.start()
    assert connection.read_response() == b"v"
    thread.join()


def test_the_connection_s_timeout_may_be_shorter(url: str, waiting_command: str) -> None:
    connection = EngineConnection(url=url, socket_timeout=0.01)
    connection.send_command(waiting_command, 5000)
    with pytest.raises(RedisTimeoutError):
        connection.read_response()
    # The session is gone, and with it the waiting: nothing is taken for nobody.
    assert not connection.engine.waiters.by_session


def test_after_quit_there_is_the_reply_and_nothing_more(url: str, name: str) -> None:
    connection = EngineConnection(url=url)
    commands = [("ECHO", "x"), ("QUIT",), ("ECHO", "ignored")]
    connection.send_packed_command(connection.pack_commands(commands))
    assert not connection.is_connected
    assert not Engine.shared(name).sessions
    assert [connection.read_response() for _ in range(2)] == [b"x", b"OK"]
    with pytest.raises(RedisConnectionError, match="closed"):
        connection.read_response()
    assert ask(connection, "ECHO", "again") == b"again"


@pytest.mark.parametrize("protocol", [2, 3])
def test_a_subscriber_who_does_not_read_is_dropped(url: str, name: str, protocol: int) -> None:
    publisher = EngineConnection(url=url)
    ask(publisher, "CONFIG", "SET", "client-output-buffer-limit", "pubsub 100000 0 0")
    slow, other = (EngineConnection(url=url, protocol=protocol) for _ in range(2))
    for connection in (slow, other):
        ask(connection, "SUBSCRIBE", "news", push_request=True)
    receivers = []
    for _ in range(20):
        receivers.append(ask(publisher, "PUBLISH", "news", "x" * 9_000))
        # Who reads may read as much as it likes.
        assert other.read_response(push_request=True)[2] == b"x" * 9_000
    assert receivers == [2] * 11 + [1] * 9
    assert len(Engine.shared(name).sessions) == 2
    with pytest.raises(RedisConnectionError, match="closed"):
        slow.read_response(push_request=True)
    assert ask(slow, "PING") == b"PONG"


def test_short_messages_take_memory_too(url: str) -> None:
    publisher, slow = EngineConnection(url=url), EngineConnection(url=url)
    ask(publisher, "CONFIG", "SET", "client-output-buffer-limit", "pubsub 10000 0 0")
    ask(slow, "SUBSCRIBE", "news", push_request=True)
    assert [ask(publisher, "PUBLISH", "news", "") for _ in range(100)][-1] == 0
