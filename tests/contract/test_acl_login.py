"""AUTH, HELLO and requirepass with users: who is let in, and what the unknown may say."""

from __future__ import annotations

import pytest
import redis

from cacheapp.clients.factory import get_client
from tests.contract.conftest import Server
from tests.raw import Raw, ReplyError

WRONG = "WRONGPASS invalid username-password pair or user is disabled."
NO_AUTH = "NOAUTH Authentication required."


def refused(raw: Raw, *args: str | int | bytes) -> str:
    with pytest.raises(ReplyError) as caught:
        raw.execute(*args)
    return str(caught.value)


@pytest.fixture(autouse=True)
def _root(server: Server) -> None:
    """The connection of `server.execute` is that of a user who may do everything."""
    server.execute("ACL", "SETUSER", "root", "on", "nopass", "+@all", "~*", "&*")
    server.execute("AUTH", "root", "any")


def test_only_the_passwords_of_a_user_let_in(server: Server) -> None:
    raw = server.raw()
    server.execute("ACL", "SETUSER", "bob", ">one", "+acl|whoami")
    assert refused(raw, "AUTH", "bob", "one") == WRONG
    server.execute("ACL", "SETUSER", "bob", "on", ">two")
    for password in ("one", "two"):
        assert raw.execute("AUTH", "bob", password) == b"OK"
    assert refused(raw, "AUTH", "bob", "three") == WRONG
    # A login that fails changes nothing.
    assert raw.execute("ACL", "WHOAMI") == b"bob"
    server.execute("ACL", "SETUSER", "bob", "<one")
    assert refused(raw, "AUTH", "bob", "one") == WRONG
    server.execute("ACL", "SETUSER", "bob", "resetpass")
    assert refused(raw, "AUTH", "bob", "two") == WRONG
    server.execute("ACL", "SETUSER", "bob", "nopass")
    assert raw.execute("AUTH", "bob", "anything") == b"OK"


def test_hello_logs_in(server: Server) -> None:
    raw = server.raw()
    server.execute("ACL", "SETUSER", "bob", "on", ">x", "+acl|whoami", "+client|getname")
    server.execute("ACL", "SETUSER", "default", "-@all")
    try:
        assert raw.execute("HELLO", 3, "AUTH", "bob", "x", "SETNAME", "me")[b"proto"] == 3
        assert raw.execute("ACL", "WHOAMI") == b"bob"
        assert raw.execute("CLIENT", "GETNAME") == b"me"
        assert refused(raw, "HELLO", 3, "AUTH", "bob", "wrong") == WRONG
        # What stands before an error has happened.
        assert refused(raw, "HELLO", 3, "SETNAME", "you", "NOPE") == (
            "ERR Syntax error in HELLO option 'NOPE'"
        )
        assert raw.execute("CLIENT", "GETNAME") == b"you"
    finally:
        server.execute("ACL", "SETUSER", "default", "+@all")


def test_requirepass_is_the_password_of_the_default_user(server: Server) -> None:
    server.execute("CONFIG", "SET", "requirepass", "secret")
    try:
        raw = server.raw()
        assert refused(raw, "GET", "k") == NO_AUTH
        assert refused(raw, "AUTH", "wrong") == WRONG
        assert raw.execute("AUTH", "secret") == b"OK"
        # More passwords beside it; CONFIG still says the first.
        server.execute("ACL", "SETUSER", "default", ">other")
        assert raw.execute("AUTH", "default", "other") == b"OK"
        assert server.execute("CONFIG", "GET", "requirepass") == [b"requirepass", b"secret"]
        server.execute("CONFIG", "SET", "requirepass", "new")
        assert refused(raw, "AUTH", "other") == WRONG
        # Who is in stays in; who is not may not even ask after nopass was taken away.
        assert raw.execute("GET", "k") is None
    finally:
        server.execute("CONFIG", "SET", "requirepass", "")
    assert server.raw().execute("GET", "k") is None
    assert server.execute("ACL", "LIST")[0] == b"user default on nopass ~* &* +@all"


def test_a_binary_password(server: Server) -> None:
    server.execute("CONFIG", "SET", "requirepass", b"abc\0\xff")
    try:
        raw = server.raw()
        assert refused(raw, "AUTH", b"abc") == WRONG
        assert raw.execute("AUTH", b"abc\0\xff") == b"OK"
    finally:
        server.execute("CONFIG", "SET", "requirepass", "")


def test_without_a_default_user_everybody_has_to_log_in(server: Server) -> None:
    server.execute("ACL", "SETUSER", "bob", "on", ">x", "+@all", "~*")
    here = server.raw()
    server.execute("ACL", "SETUSER", "default", "off")
    try:
        raw = server.raw()
        assert refused(raw, "PING") == NO_AUTH
        assert refused(raw, "MULTI") == NO_AUTH
        assert refused(raw, "NOPE").startswith("ERR unknown command")
        assert refused(raw, "HELLO", 2).startswith("NOAUTH HELLO must be called with the client")
        assert raw.execute("AUTH", "bob", "x") == b"OK"
        assert raw.execute("PING") == b"PONG"
        # Who was there before is let be, until RESET.
        assert here.execute("PING") == b"PONG"
        here.execute("RESET")
        assert refused(here, "PING") == NO_AUTH
    finally:
        server.execute("ACL", "SETUSER", "default", "on")
    # The door is open again, also for who stands before it.
    assert here.execute("PING") == b"PONG"


def test_auth_with_one_argument_needs_a_password_to_be_set(server: Server) -> None:
    raw = server.raw()
    assert refused(raw, "AUTH", "x").startswith("ERR AUTH <password> called without any password")
    assert raw.execute("AUTH", "default", "anything") == b"OK"
    server.execute("ACL", "SETUSER", "default", ">x")
    try:
        assert raw.execute("AUTH", "x") == b"OK"
    finally:
        server.execute("ACL", "SETUSER", "default", "nopass")


def test_auth_inside_multi(server: Server) -> None:
    server.execute("ACL", "SETUSER", "bob", "on", ">x", "+get", "~k")
    raw = server.raw()
    raw.execute("MULTI")
    raw.execute("AUTH", "bob", "x")
    raw.execute("GET", "k")
    raw.execute("GET", "other")
    raw.execute("AUTH", "bob", "wrong")
    replies = raw.execute("EXEC")
    assert replies[:2] == [b"OK", None]
    assert str(replies[2]).endswith("no permission to touch the specified keys")
    assert str(replies[3]) == WRONG
    assert refused(raw, "SET", "k", 1).startswith("NOPERM")


def test_no_password_is_shown(server: Server) -> None:
    server.execute("CONFIG", "SET", "slowlog-log-slower-than", 0)
    server.execute("SLOWLOG", "RESET")
    monitor = server.raw()
    monitor.execute("MONITOR")
    raw = server.raw()
    raw.execute("ACL", "SETUSER", "bob", "on", ">SESAME", "+@all")
    raw.execute("AUTH", "bob", "SESAME")
    raw.execute("HELLO", 2, "AUTH", "bob", "SESAME")
    refused(raw, "AUTH", "bob", "SESAME2")
    refused(raw, "ACL", "SETUSER", "bob", "<SESAME3", "nope")
    raw.execute("PING")
    lines = []
    while not lines or b'"PING"' not in lines[-1]:
        lines.append(monitor.receive())
    shown = b"\n".join(lines) + repr(server.execute("SLOWLOG", "GET", -1)).encode()
    shown += repr(server.execute("ACL", "LOG")).encode() + server.execute("INFO")
    assert b"(redacted)" in shown
    assert b"SESAME" not in shown


@pytest.mark.parametrize("protocol", [2, 3])
def test_a_client_with_a_name_and_a_password_is_that_user(server: Server, protocol: int) -> None:
    server.execute("ACL", "SETUSER", "bob", "on", ">x:@", "+@all", "~mine")
    scheme, _, place = server.url.partition("://")
    client = get_client(f"{scheme}://bob:x%3A%40@{place}?protocol={protocol}")
    assert client.acl_whoami() in ("bob", b"bob")
    assert client.set("mine", 1) is True
    with pytest.raises(redis.exceptions.NoPermissionError):
        client.set("other", 1)
    with pytest.raises(redis.exceptions.NoPermissionError), client.pipeline() as pipe:
        pipe.get("mine").get("other").execute()
    client.close()
    wrong = get_client(f"{scheme}://bob:y@{place}?protocol={protocol}")
    with pytest.raises(redis.exceptions.AuthenticationError):
        wrong.get("mine")
    wrong.close()
