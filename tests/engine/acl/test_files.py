"""The ACL file: taken whole or not at all, written in one step; users of a command line."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest

from cacheapp.engine.acl.files import defined
from cacheapp.engine.acl.users import hashed
from cacheapp.engine.engine import Engine
from cacheapp.engine.errors import CommandError, ConfigError, SessionEndedError
from cacheapp.engine.persistence.files import Files

SECRET = b"user bob on #%b ~a ~b resetchannels -@all +get (~* &* -@all +set)\n" % (b"0" * 64)


class FullDisk(Files):
    """Files of a disk on which nothing more can be written."""

    def write(self, path: Path, pieces: Iterable[bytes], mode: int) -> None:
        """Half of the content, then ENOSPC."""
        super().write(path, [piece[: len(piece) // 2] for piece in pieces], mode)
        raise OSError(28, "No space left on device")


def engine_with(path: Path, files: Files | None = None) -> Engine:
    return Engine({"aclfile": str(path)}, files=files)


def run(engine: Engine, *args: str) -> object:
    session = engine.connect(lambda reply: None, protocol=3)
    try:
        return engine.execute(session, [arg.encode() for arg in args])
    finally:
        engine.disconnect(session)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A file with one user and blank lines."""
    path = tmp_path / "users.acl"
    path.write_bytes(b"\n  " + SECRET + b"\r\n\t\n")
    return path


def test_users_are_there_from_the_start(path: Path) -> None:
    engine = engine_with(path)
    assert run(engine, "ACL", "USERS") == [b"bob", b"default"]
    assert run(engine, "ACL", "LIST") == [SECRET.strip(), b"user default on nopass ~* &* +@all"]


def test_save_writes_what_load_reads(path: Path) -> None:
    engine = engine_with(path)
    run(engine, "ACL", "SETUSER", "eve", "on", ">x", "%R~r", "&c", "+@read", "+select|0")
    run(engine, "ACL", "SETUSER", "default", "-debug")
    saved = run(engine, "ACL", "LIST")
    assert run(engine, "ACL", "SAVE") == b"OK"
    assert path.read_bytes().splitlines() == saved
    run(engine, "ACL", "DELUSER", "eve")
    run(engine, "ACL", "SETUSER", "default", "+debug")
    assert run(engine, "ACL", "LOAD") == b"OK"
    assert run(engine, "ACL", "LIST") == saved
    assert [file.name for file in path.parent.iterdir()] == ["users.acl"]


def test_a_new_file_is_its_owners_and_an_old_one_keeps_its_mode(path: Path) -> None:
    engine = engine_with(path)
    path.chmod(0o640)
    run(engine, "ACL", "SAVE")
    assert path.stat().st_mode & 0o777 == 0o640
    path.unlink()
    run(engine, "ACL", "SAVE")
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_save_that_fails_leaves_the_old_file(path: Path) -> None:
    engine = engine_with(path, FullDisk())
    before = path.read_bytes()
    run(engine, "ACL", "SETUSER", "eve")
    with pytest.raises(CommandError) as caught:
        run(engine, "ACL", "SAVE")
    assert str(caught.value) == (
        "ERR There was an error trying to save the ACLs. Please check the server logs for more "
        "information"
    )
    assert path.read_bytes() == before
    assert [file.name for file in path.parent.iterdir()] == ["users.acl"]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("nobody on", "{}:3 should start with user keyword followed by the username. "),
        ("user", "{}:3 should start with user keyword followed by the username. "),
        ("user a\tb on", "'{}:3: username 'a\tb' contains invalid characters. "),
        ("user bob on", "WARNING: Duplicate user 'bob' found on line 3. "),
        ("user eve (+get", "{}:3: Unmatched parenthesis in selector definition."),
        ("user eve nonsense ~* ~a", "{}:3: Syntax error. "),
        (
            "user eve +nope +@nope >x",
            (
                "{0}:3: Error in applying operation '+nope': Unknown command or category name in "
                "ACL. {0}:3: Error in applying operation '+@nope': Unknown command or category "
                "name in ACL. "
            ),
        ),
    ],
)
def test_a_file_with_an_error_changes_nothing(path: Path, line: str, message: str) -> None:
    engine = engine_with(path)
    before = run(engine, "ACL", "LIST")
    path.write_bytes(b"user new on nopass\n" + SECRET + line.encode() + b"\n")
    with pytest.raises(CommandError) as caught:
        run(engine, "ACL", "LOAD")
    assert str(caught.value) == (
        f"ERR {message.format(path)}WARNING: ACL errors detected, no change to the previously "
        "active ACL rules was performed"
    )
    assert run(engine, "ACL", "LIST") == before
    with pytest.raises(ConfigError, match="ACL errors detected"):
        engine_with(path)


def test_a_file_that_is_not_there(path: Path) -> None:
    engine = engine_with(path)
    path.unlink()
    with pytest.raises(CommandError) as caught:
        run(engine, "ACL", "LOAD")
    assert str(caught.value) == (
        f"ERR Error loading ACLs, opening file '{path}': No such file or directory"
    )
    with pytest.raises(ConfigError, match="No such file"):
        engine_with(path)


def test_load_ends_the_sessions_of_all_but_the_default_user(path: Path) -> None:
    path.write_bytes(b"user bob on nopass +@all ~*\n")
    engine = engine_with(path)
    bob = engine.connect(lambda reply: None)
    engine.execute(bob, [b"AUTH", b"bob", b"x"])
    run(engine, "ACL", "LOAD")
    assert bob.closing
    assert bob.id not in engine.sessions
    # It may do nothing while it is on its way out, though bob is there again.
    with pytest.raises(SessionEndedError):
        engine.execute(bob, [b"SET", b"k", b"v"])


def test_definitions() -> None:
    engine = Engine()
    engine.acl.add(defined(engine, ["bob on >x (~a +get)"]))
    assert run(engine, "ACL", "USERS") == [b"bob", b"default"]
    # The default user has what its definition says, and no more.
    engine.acl.add(defined(engine, ["default on nopass +@all"]))
    assert run(engine, "ACL", "LIST") == [
        b"user bob on #%b resetchannels -@all (~a resetchannels -@all +get)" % hashed(b"x"),
        b"user default on nopass resetchannels +@all",
    ]


@pytest.mark.parametrize(
    ("definitions", "message"),
    [
        (["bob on", "bob off"], "Duplicate user found"),
        (["bob nonsense"], "user 'bob': Syntax error"),
        (["bob (+get"], "is not closed"),
        ([""], "Usernames can't contain spaces"),
    ],
)
def test_definitions_that_are_refused(definitions: list[str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        defined(Engine(), definitions)


def test_definitions_and_a_file_are_too_much(path: Path) -> None:
    with pytest.raises(ConfigError, match="not both"):
        defined(engine_with(path), ["bob on"])
