"""Users at the port: from the command line and a file, limits before a login, closed sockets."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest
import redis

from cacheapp.engine.engine import Engine
from cacheapp.engine.errors import ConfigError
from cacheapp.server.options import listening
from tests.redis_server import HOST
from tests.server.running import RunningServer
from tests.server.test_options import given

NO_AUTH = b"-NOAUTH Authentication required.\r\n"


@pytest.fixture
def guarded(tmp_path: Path) -> RunningServer:
    """A server where everybody has to log in, as bob or as root."""
    path = tmp_path / "users.acl"
    path.write_text("user default off\nuser bob on >x ~a +get +set\nuser root on >r ~* &* +@all\n")
    return RunningServer(aclfile=str(path))


def test_users_of_the_file_log_in(guarded: RunningServer) -> None:
    with guarded as server:
        url = f"redis://bob:x@{HOST}:{server.port}/0"
        client = redis.Redis.from_url(url, driver_info=None)
        assert client.set("a", 1) is True
        with pytest.raises(redis.exceptions.NoPermissionError):
            client.set("b", 1)
        client.close()
        with server.connect() as peer:
            peer.ask(b"PING\r\n", NO_AUTH)
            peer.ask(b"AUTH bob x\r\n", b"+OK\r\n")
            peer.ask(b"GET a\r\n", b"$1\r\n1\r\n")


def test_requests_are_small_until_a_login(guarded: RunningServer) -> None:
    with guarded as server:
        for request in (b"*11\r\n", b"*1\r\n$16385\r\n"):
            with server.connect() as peer:
                peer.send(request)
                assert peer.rest().startswith(b"-ERR Protocol error: unauthenticated ")
        with server.connect() as peer:
            peer.ask(b"AUTH root r\r\n", b"+OK\r\n")
            value = b"x" * 20_000
            peer.ask(b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$20000\r\n%b\r\n" % value, b"+OK\r\n")


def test_who_has_not_logged_in_and_does_not_read_is_dropped(guarded: RunningServer) -> None:
    with guarded as server, server.connect() as peer:
        # More than the sockets hold is not kept for it.
        with contextlib.suppress(ConnectionError):
            while True:
                peer.send(b"PING\r\n" * 1000)
        server.settle()
        assert not server.engine.sessions


def test_who_logs_in_is_waited_for(guarded: RunningServer) -> None:
    with guarded as server, server.connect() as peer:
        value = b"x" * 1_000_000
        peer.ask(b"AUTH root r\r\n", b"+OK\r\n")
        peer.ask(b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$1000000\r\n%b\r\n" % value, b"+OK\r\n")
        peer.send(b"GET k\r\n" * 20)
        server.settle()
        for _ in range(20):
            assert peer.receive(len(value) + 12).endswith(b"x\r\n")
        peer.ask(b"PING\r\n", b"+PONG\r\n")


def test_deleting_a_user_closes_its_sockets(guarded: RunningServer) -> None:
    with guarded as server, server.connect() as bob, server.connect() as root:
        bob.ask(b"AUTH bob x\r\n", b"+OK\r\n")
        root.ask(b"AUTH root r\r\n", b"+OK\r\n")
        root.ask(b"ACL DELUSER bob root\r\n", b":2\r\n")
        assert bob.rest() == b""
        assert root.rest() == b""


def test_taking_a_channel_away_closes_the_subscribers_socket(guarded: RunningServer) -> None:
    with guarded as server, server.connect() as bob, server.connect() as root:
        root.ask(b"AUTH root r\r\n", b"+OK\r\n")
        root.ask(b"ACL SETUSER bob +subscribe &c\r\n", b"+OK\r\n")
        bob.ask(b"AUTH bob x\r\n", b"+OK\r\n")
        bob.ask(b"SUBSCRIBE c\r\n", b"*3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n")
        root.ask(b"ACL SETUSER bob resetchannels\r\n", b"+OK\r\n")
        assert bob.rest() == b""
        root.ask(b"PUBLISH c m\r\n", b":0\r\n")


def test_save_and_load_over_the_port(guarded: RunningServer) -> None:
    with guarded as server, server.connect() as root, server.connect() as bob:
        root.ask(b"AUTH root r\r\n", b"+OK\r\n")
        bob.ask(b"AUTH bob x\r\n", b"+OK\r\n")
        root.ask(b"ACL SETUSER bob >y\r\n", b"+OK\r\n")
        root.ask(b"ACL SAVE\r\n", b"+OK\r\n")
        # It ends the connections of everybody, who are made anew: also that of who asked.
        root.ask(b"ACL LOAD\r\n", b"+OK\r\n")
        assert root.rest() == b""
        assert bob.rest() == b""
        with server.connect() as again:
            again.ask(b"AUTH bob y\r\n", b"+OK\r\n")


def test_users_of_the_command_line() -> None:
    parsed = given("--user", "default off nopass", "--user", "bob on >x ~* +@all -@dangerous")
    assert parsed.user == ["default off nopass", "bob on >x ~* +@all -@dangerous"]


def test_a_password_of_the_default_user_is_enough_for_other_machines() -> None:
    parsed = given("--bind", "0.0.0.0")
    engine = Engine({"bind": "0.0.0.0", "port": "1"})
    with pytest.raises(ConfigError, match="other machines"):
        listening(parsed, engine)
    session = engine.connect(lambda reply: None)
    engine.execute(session, [b"ACL", b"SETUSER", b"default", b">x"])
    assert listening(parsed, engine).hosts == ("0.0.0.0",)
