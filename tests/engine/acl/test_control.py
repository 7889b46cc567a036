"""Users and sessions of one engine: who pays for checks, and what the deleted can still do."""

from __future__ import annotations

import pytest

from cacheapp.engine.acl import checks
from cacheapp.engine.clock import ManualClock
from cacheapp.engine.engine import Engine
from cacheapp.engine.errors import CommandError, SessionEndedError
from cacheapp.engine.session import Session
from cacheapp.engine.shortcuts import getter, setter
from tests.engine.conftest import Run


def login(engine: Engine, name: bytes) -> Session:
    session = engine.connect(lambda reply: None)
    engine.execute(session, [b"AUTH", name, b"any"])
    return session


def test_with_the_default_user_alone_nothing_is_checked(
    engine: Engine, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_args: object) -> None:
        raise AssertionError("a command asked for permissions")

    monkeypatch.setattr(checks, "_check_selector", fail)
    run("SET", "k", "v")
    run("EVAL", "return redis.call('GET', 'k')", 0)
    run("MULTI")
    run("GET", "k")
    run("EXEC")
    session = engine.connect(lambda reply: None)
    assert not session.special


@pytest.mark.parametrize(
    ("rules", "restricted"),
    [
        (["+@all", "~*", "&*"], False),
        (["(+@all ~* &*)"], False),
        (["-@all", "+@all", "-get", "+get", "~*", "&*"], False),
        (["+@all", "~*"], True),
        (["+@all", "-get", "~*", "&*"], True),
        (["(+@all ~*)", "(+@all &*)"], True),
    ],
)
def test_who_is_restricted(engine: Engine, run: Run, rules: list[str], restricted: bool) -> None:
    run("ACL", "SETUSER", "bob", "on", "nopass", *rules)
    session = login(engine, b"bob")
    assert session.restricted is session.special is restricted


def test_a_change_of_rules_reaches_the_sessions(engine: Engine, run: Run) -> None:
    run("ACL", "SETUSER", "bob", "on", "nopass", "+@all", "~*", "&*")
    session = login(engine, b"bob")
    run("ACL", "SETUSER", "bob", "-get")
    assert session.special
    run("ACL", "SETUSER", "bob", "+get")
    assert not session.special


def test_shortcuts_ask_too(engine: Engine, run: Run) -> None:
    run("SET", "k", "v")
    run("ACL", "SETUSER", "bob", "on", "nopass", "+@all", "~mine", "&*")
    session = login(engine, b"bob")
    get, set_ = getter(session), setter(session)
    set_(b"mine", b"x", 0)
    assert get(b"mine") == b"x"
    with pytest.raises(CommandError, match="NOPERM"):
        get(b"k")
    with pytest.raises(CommandError, match="NOPERM"):
        set_(b"k", b"x", 0)


def test_what_a_deleted_user_has_sent_already_is_refused(engine: Engine, run: Run) -> None:
    run("ACL", "SETUSER", "bob", "on", "nopass", "+@all", "~*", "&*")
    session = login(engine, b"bob")
    run("ACL", "DELUSER", "bob")
    assert session.closing
    with pytest.raises(SessionEndedError):
        engine.execute(session, [b"SET", b"k", b"v"])
    assert run("EXISTS", "k") == 0


def test_a_blocked_client_of_a_deleted_user_gets_no_element(engine: Engine, run: Run) -> None:
    run("ACL", "SETUSER", "bob", "on", "nopass", "+@all", "~*", "&*")
    session = login(engine, b"bob")
    engine.execute(session, [b"BLPOP", b"list", b"0"])
    run("ACL", "DELUSER", "bob")
    run("RPUSH", "list", "x")
    assert run("LLEN", "list") == 1


def test_equal_events_count_together_for_a_minute(
    engine: Engine, run: Run, clock: ManualClock
) -> None:
    run("ACL", "SETUSER", "bob", "on", "nopass")
    session = login(engine, b"bob")

    def refused() -> None:
        with pytest.raises(CommandError, match="NOPERM"):
            engine.execute(session, [b"GET", b"k"])

    refused()
    clock.advance(60.0)
    refused()
    clock.advance(60.0)
    refused()
    clock.advance(60.001)
    refused()
    clock.advance(1.5)
    entries = run("ACL", "LOG")
    assert [entry[b"count"] for entry in entries] == [1, 3]
    assert entries[0][b"age-seconds"] == 1.5


def test_passwords_are_kept_as_hashes(engine: Engine, run: Run) -> None:
    run("ACL", "SETUSER", "bob", ">SESAME")
    run("CONFIG", "SET", "requirepass", "SESAME")
    for user in engine.acl.users.values():
        assert all(len(digest) == 64 for digest in user.passwords)
    assert b"SESAME" not in b"".join(run("ACL", "LIST"))
    run("CONFIG", "SET", "requirepass", "")
