"""PING, HELLO, AUTH, SELECT, RESET, and CLIENT."""

from __future__ import annotations

import pytest

from tests.contract.conftest import Server
from tests.raw import ReplyError


def refused(server: Server, *args: str | int) -> str:
    with pytest.raises(ReplyError) as caught:
        server.execute(*args)
    return str(caught.value)


def test_ping_and_echo(server: Server) -> None:
    assert server.execute("PING") == b"PONG"
    assert server.execute("PING", "hello") == b"hello"
    assert server.execute("ECHO", "hello") == b"hello"
    assert refused(server, "PING", "a", "b") == ("ERR wrong number of arguments for 'ping' command")


def test_ping_while_subscribed(server: Server) -> None:
    listener = server.raw(protocol=2)
    listener.execute("SUBSCRIBE", "news")
    assert listener.execute("PING") == [b"pong", b""]
    assert listener.execute("PING", "x") == [b"pong", b"x"]
    with pytest.raises(ReplyError) as caught:
        listener.execute("GET", "key")
    assert str(caught.value) == (
        "ERR Can't execute 'get': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET "
        "are allowed in this context"
    )
    modern = server.raw(protocol=3)
    modern.execute("SUBSCRIBE", "news")
    assert modern.execute("PING") == b"PONG"
    assert modern.execute("GET", "key") is None


def test_select(server: Server) -> None:
    server.execute("SET", "key", 1)
    assert server.execute("SELECT", 15) == b"OK"
    assert server.execute("GET", "key") is None
    assert refused(server, "SELECT", 16) == "ERR DB index is out of range"
    assert refused(server, "SELECT", "x") == "ERR value is not an integer or out of range"


def test_hello_switches_the_protocol(server: Server) -> None:
    raw = server.raw(protocol=2)
    flat = raw.execute("HELLO")
    assert flat[:2] == [b"server", b"redis"]
    answer = raw.execute("HELLO", 3, "SETNAME", "me")
    assert list(answer) == [b"server", b"version", b"proto", b"id", b"mode", b"role", b"modules"]
    assert answer[b"proto"] == 3
    assert raw.execute("CLIENT", "GETNAME") == b"me"
    assert isinstance(raw.execute("HELLO", 2), list)


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("HELLO", "x"), "ERR Protocol version is not an integer or out of range"),
        (("HELLO", 4), "NOPROTO unsupported protocol version"),
        (("HELLO", 3, "NONSENSE"), "ERR Syntax error in HELLO option 'NONSENSE'"),
        (("HELLO", 3, "AUTH", "x"), "ERR Syntax error in HELLO option 'AUTH'"),
        (
            ("HELLO", 3, "SETNAME", "a b"),
            "ERR Client names cannot contain spaces, newlines or special characters.",
        ),
        (
            ("HELLO", 3, "AUTH", "nobody", "x"),
            "WRONGPASS invalid username-password pair or user is disabled.",
        ),
        (
            ("AUTH", "x"),
            (
                "ERR AUTH <password> called without any password configured for the default user. "
                "Are you sure your configuration is correct?"
            ),
        ),
        (("AUTH", "a", "b"), "WRONGPASS invalid username-password pair or user is disabled."),
        (("AUTH", "a", "b", "c"), "ERR syntax error"),
    ],
)
def test_refused(server: Server, args: tuple[str | int, ...], message: str) -> None:
    assert refused(server, *args) == message


def test_a_password_is_asked_of_new_connections(server: Server) -> None:
    server.execute("CONFIG", "SET", "requirepass", "secret")
    try:
        raw = server.raw(protocol=2)
        for args in (("GET", "key"), ("PING",)):
            with pytest.raises(ReplyError) as caught:
                raw.execute(*args)
            assert str(caught.value) == "NOAUTH Authentication required."
        with pytest.raises(ReplyError) as caught:
            raw.execute("HELLO", 3)
        assert str(caught.value).startswith("NOAUTH HELLO must be called with the client already")
        with pytest.raises(ReplyError) as caught:
            raw.execute("AUTH", "wrong")
        assert str(caught.value).startswith("WRONGPASS ")
        assert raw.execute("AUTH", "default", "secret") == b"OK"
        assert raw.execute("GET", "key") is None
        assert server.raw().execute("AUTH", "secret") == b"OK"
    finally:
        server.execute("CONFIG", "SET", "requirepass", "")


def test_reset_forgets_the_state_of_the_connection(server: Server) -> None:
    raw = server.raw(protocol=3)
    raw.execute("SELECT", 5)
    raw.execute("CLIENT", "SETNAME", "me")
    raw.execute("MULTI")
    raw.execute("SET", "key", 1)
    assert raw.execute("RESET") == b"RESET"
    assert raw.execute("CLIENT", "GETNAME") is None
    assert isinstance(raw.execute("HELLO"), list)
    assert b" db=0 " in raw.execute("CLIENT", "INFO")
    assert raw.execute("DBSIZE") == 0


def test_client_names_and_ids(server: Server) -> None:
    one, other = server.raw(), server.raw()
    assert one.execute("CLIENT", "ID") < other.execute("CLIENT", "ID")
    assert one.execute("CLIENT", "GETNAME") is None
    assert one.execute("CLIENT", "SETNAME", "worker") == b"OK"
    assert one.execute("CLIENT", "GETNAME") == b"worker"
    assert one.execute("CLIENT", "SETNAME", "") == b"OK"
    assert one.execute("CLIENT", "GETNAME") is None


def test_client_list(server: Server) -> None:
    one = server.raw()
    one.execute("CLIENT", "SETNAME", "findme")
    number = one.execute("CLIENT", "ID")
    listed = server.execute("CLIENT", "LIST", "ID", number)
    assert f"id={number} ".encode() in listed
    assert b"name=findme" in listed
    assert b"findme" in server.execute("CLIENT", "LIST")
    assert b"findme" in server.execute("CLIENT", "LIST", "TYPE", "normal")
    assert b"findme" not in server.execute("CLIENT", "LIST", "TYPE", "pubsub")
    info = one.execute("CLIENT", "INFO")
    assert b"cmd=client|info" in info
    assert b"sub=0 psub=0 ssub=0 multi=-1" in info


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("LIST", "TYPE", "x"), "ERR Unknown client type 'x'"),
        (("LIST", "ID", "x"), "ERR Invalid client ID"),
        (("LIST", "ID"), "ERR syntax error"),
        (("NO-EVICT", "x"), "ERR syntax error"),
        (("NONSENSE",), "ERR unknown subcommand 'NONSENSE'. Try CLIENT HELP."),
        (("ID", "x"), "ERR wrong number of arguments for 'client|id' command"),
        (
            ("SETNAME", "a\nb"),
            "ERR Client names cannot contain spaces, newlines or special characters.",
        ),
    ],
)
def test_client_refuses(server: Server, args: tuple[str, ...], message: str) -> None:
    assert refused(server, "CLIENT", *args) == message


def test_client_no_evict(server: Server) -> None:
    assert server.execute("CLIENT", "NO-EVICT", "on") == b"OK"
    assert server.execute("CLIENT", "NO-EVICT", "OFF") == b"OK"


def test_unknown_commands_quote_their_arguments(server: Server) -> None:
    assert refused(server, "NONSENSE") == (
        "ERR unknown command 'NONSENSE', with args beginning with: "
    )
    assert refused(server, "nonsense", "a", "b\r\nc") == (
        "ERR unknown command 'nonsense', with args beginning with: 'a' 'b  c' "
    )
    assert refused(server, "nonsense", "x" * 200, "y") == (
        "ERR unknown command 'nonsense', with args beginning with: '" + "x" * 128 + "' "
    )
