"""ACL LOG: what was refused, where, to whom, and how often."""

from __future__ import annotations

from typing import Any

import pytest

from tests.contract.conftest import Server
from tests.raw import Raw, ReplyError


def refused(raw: Raw, *args: str | int) -> None:
    with pytest.raises(ReplyError):
        raw.execute(*args)


def login(server: Server, *rules: str, name: str = "bob") -> Raw:
    server.execute("ACL", "SETUSER", name, "on", ">secret", *rules)
    raw = server.raw()
    raw.execute("AUTH", name, "secret")
    return raw


def entries(server: Server, *argument: int) -> list[dict[bytes, Any]]:
    """The log in RESP3's shape."""
    found: list[dict[bytes, Any]] = server.raw(protocol=3).execute("ACL", "LOG", *argument)
    return found


def events(server: Server) -> list[tuple[bytes, bytes, bytes, bytes, int]]:
    """Reason, context, object, user and count of each entry."""
    return [
        (entry[b"reason"], entry[b"context"], entry[b"object"], entry[b"username"], entry[b"count"])
        for entry in entries(server)
    ]


def test_an_entry(server: Server) -> None:
    raw = login(server, "+get")
    raw.execute("RESET")
    raw.execute("AUTH", "bob", "secret")
    refused(raw, "SET", "k", "v")
    (entry,) = entries(server)
    assert list(entry) == [
        b"count", b"reason", b"context", b"object", b"username", b"age-seconds", b"client-info",
    ]  # fmt: skip
    age = entry[b"age-seconds"]
    assert isinstance(age, float)
    assert 0 <= age < 60
    assert b" cmd=set user=bob " in entry[b"client-info"]
    assert not entry[b"client-info"].endswith(b"\n")
    flat = server.execute("ACL", "LOG")[0]
    assert flat[:10] == [
        b"count", 1, b"reason", b"command", b"context", b"toplevel", b"object", b"set",
        b"username", b"bob",
    ]  # fmt: skip
    assert isinstance(flat[11], bytes)


def test_reasons_and_contexts(server: Server) -> None:
    raw = login(server, "+@all", "-config|set", "~mine", "&c")
    refused(raw, "CONFIG", "SET", "a", "b")
    refused(raw, "MGET", "mine", "other", "third")
    refused(raw, "SUBSCRIBE", "c", "x", "y")
    refused(raw, "AUTH", "eve", "wrong")
    raw.execute("MULTI")
    refused(raw, "GET", "other")
    raw.execute("DISCARD")
    refused(raw, "EVAL", "redis.call('GET', 'hidden')", 0)
    assert events(server) == [
        (b"key", b"lua", b"hidden", b"bob", 1),
        (b"key", b"multi", b"other", b"bob", 1),
        (b"auth", b"toplevel", b"AUTH", b"eve", 1),
        (b"channel", b"toplevel", b"x", b"bob", 1),
        (b"key", b"toplevel", b"other", b"bob", 1),
        (b"command", b"toplevel", b"config|set", b"bob", 1),
    ]


def test_what_exec_refuses_is_of_multi(server: Server) -> None:
    raw = login(server, "+@all", "~k")
    raw.execute("MULTI")
    raw.execute("INCR", "k")
    server.execute("ACL", "SETUSER", "bob", "-incr")
    raw.execute("EXEC")
    assert events(server) == [(b"command", b"multi", b"incr", b"bob", 1)]


def test_a_script_shows_its_client(server: Server) -> None:
    raw = login(server, "+eval")
    raw.execute("EVAL", "return redis.pcall('GET', 'k').err", 0)
    (entry,) = entries(server)
    assert b" cmd=eval user=bob " in entry[b"client-info"]


def test_logins(server: Server) -> None:
    server.execute("ACL", "SETUSER", "off", ">secret")
    raw = server.raw()
    for args in (
        ("AUTH", "nobody", "x"),
        ("AUTH", "off", "secret"),
        ("HELLO", 3, "AUTH", "off", "x"),
    ):
        refused(raw, *args)
    assert events(server) == [
        (b"auth", b"toplevel", b"HELLO", b"off", 1),
        (b"auth", b"toplevel", b"AUTH", b"off", 1),
        (b"auth", b"toplevel", b"AUTH", b"nobody", 1),
    ]
    # Its own words about itself: the password is nowhere.
    assert all(b"secret" not in entry[b"client-info"] for entry in entries(server))


def test_equal_events_are_counted_together(server: Server) -> None:
    raw = login(server, "+get", "~mine")
    for key in ("a", "b", "a", "a"):
        refused(raw, "GET", key)
    assert [event[2::2] for event in events(server)] == [(b"a", 3), (b"b", 1)]
    # Ten other events later it is a new one.
    for number in range(10):
        refused(raw, "GET", f"other:{number}")
    refused(raw, "GET", "b")
    server.execute("ACL", "LOG", 100)
    assert [event[2] for event in events(server)][:1] == [b"b"]
    assert len(entries(server, 100)) == 13


def test_with_selectors_the_last_key_that_none_allows_is_named(server: Server) -> None:
    raw = login(server, "+mget", "~key", "(+mget ~key ~otherkey)")
    refused(raw, "MGET", "otherkey", "someotherkey")
    refused(raw, "GET", "key")
    assert [event[:3:2] for event in events(server)] == [
        (b"command", b"get"),
        (b"key", b"someotherkey"),
    ]


def test_how_many(server: Server) -> None:
    raw = login(server, "+get")
    for number in range(12):
        refused(raw, "GET", number)
    assert len(entries(server)) == 10
    assert len(entries(server, 3)) == 3
    assert len(entries(server, 50)) == 12
    assert entries(server, -5) == []
    admin = server.raw()
    with pytest.raises(ReplyError, match="ERR value is not an integer or out of range"):
        admin.execute("ACL", "LOG", "x")
    with pytest.raises(ReplyError) as caught:
        admin.execute("ACL", "LOG", 1, 2)
    assert str(caught.value) == (
        "ERR unknown subcommand or wrong number of arguments for 'LOG'. Try ACL HELP."
    )
    server.execute("CONFIG", "SET", "acllog-max-len", 5)
    assert len(entries(server, 50)) == 12
    refused(raw, "GET", "again")
    assert len(entries(server, 50)) == 5
    assert server.execute("ACL", "LOG", "Reset") == b"OK"
    assert entries(server) == []
    server.execute("CONFIG", "SET", "acllog-max-len", 0)
    refused(raw, "GET", "again")
    assert entries(server) == []
