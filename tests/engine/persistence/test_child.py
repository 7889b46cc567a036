"""A child that writes: what it tells its parent, what it lets go, and how it is ended."""

from __future__ import annotations

import errno
import os
import socket
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from cacheapp.engine.clock import ManualClock
from cacheapp.engine.engine import Engine
from cacheapp.engine.persistence import child, copying
from cacheapp.engine.persistence.background import Background
from cacheapp.engine.persistence.rdb import parsed
from tests.engine.persistence.test_saving import WAIT_S, FaultyFiles, ended, persistence, runner

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="only done on Linux"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]


def begun(work: Callable[[Callable[[], bool]], None]) -> child.Child:
    made = child.begun(work)
    assert made is not None
    return made


def test_how_it_ended(tmp_path: Path) -> None:
    def said(alive: Callable[[], bool]) -> None:
        (tmp_path / "made").write_text(str(alive()))

    begun(said).wait()
    assert (tmp_path / "made").read_text() == "True"

    def full(_alive: Callable[[], bool]) -> None:
        raise OSError(errno.ENOSPC, "")

    with pytest.raises(OSError, match="No space left on device"):
        begun(full).wait()

    def broken(_alive: Callable[[], bool]) -> None:
        raise RuntimeError

    with pytest.raises(OSError, match="ended with 255"):
        begun(broken).wait()


def test_it_keeps_nobody_s_connection_open_and_can_be_killed(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "gate")
    here, there = socket.socketpair()
    there.settimeout(WAIT_S)

    def work(_alive: Callable[[], bool]) -> None:
        (tmp_path / "gate").write_bytes(b".")
        (tmp_path / "gate").read_bytes()

    made = begun(work)
    with (tmp_path / "gate").open("rb") as gate:
        assert gate.read(1) == b"."
        # It has closed what it inherited by now.
        here.close()
        assert there.recv(1) == b""
        made.kill()
    with pytest.raises(OSError, match="ended with -9"):
        made.wait()
    made.kill()
    there.close()


def test_where_it_is_safe(clock: ManualClock) -> None:
    engine = Engine(clock=clock)
    assert not child.is_safe(engine)
    engine.end_process = lambda: None
    may_end = threading.Event()
    stranger = threading.Thread(target=may_end.wait, args=(WAIT_S,), name="somebody's")
    stranger.start()
    assert not child.is_safe(engine)
    may_end.set()
    stranger.join(WAIT_S)


@pytest.fixture
def engine(tmp_path: Path, clock: ManualClock, monkeypatch: pytest.MonkeyPatch) -> Engine:
    """An engine whose saves are done by children, which are held back until they are killed."""
    monkeypatch.setattr(child, "is_safe", lambda _engine: True)
    return Engine({"dir": str(tmp_path)}, clock=clock, files=FaultyFiles())


def loaded(folder: Path, clock: ManualClock) -> list[bytes]:
    engine = Engine({"dir": str(folder)}, clock=clock)
    keys = runner(engine)("KEYS", "*")
    engine.close()
    return sorted(keys)


def test_it_saves_what_was_there_when_it_was_made(
    engine: Engine, tmp_path: Path, clock: ManualClock
) -> None:
    run = runner(engine)
    run("SET", "k", "v")
    assert run("BGSAVE") == b"Background saving started"
    run("SET", "later", "v")
    ended(engine)
    info = persistence(run)
    assert info["rdb_last_bgsave_status"] == "ok"
    assert info["rdb_changes_since_last_save"] == "1"
    assert run("GET", "later") == b"v"
    engine.close()
    assert loaded(tmp_path, clock) == [b"k"]


def test_it_ends_where_what_had_to_come_first_failed(engine: Engine, tmp_path: Path) -> None:
    def failing() -> None:
        raise OSError(errno.EIO, "")

    work = Background("aof", engine)
    with engine.lock:
        work.begin(str(tmp_path / "never"), base=True, first=failing, ended=lambda _work: None)
    assert work.written.wait(WAIT_S)
    assert isinstance(work.error, OSError)
    # Nobody waits for it any more, nor does it for anybody.
    made = work._child
    assert made is not None
    assert made._pid == 0
    assert not list(tmp_path.glob("never.tmp*"))
    engine.close()


def test_a_log_is_rewritten_by_one(
    tmp_path: Path, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(child, "is_safe", lambda _engine: True)
    options = {"dir": str(tmp_path), "appendonly": "yes"}
    engine = Engine(options, clock=clock)
    run = runner(engine)
    run("SET", "k", "v")
    run("BGREWRITEAOF")
    run("SET", "later", "v")
    ended(engine)
    assert persistence(run)["aof_last_bgrewrite_status"] == "ok"
    engine.close()
    engine = Engine(options, clock=clock)
    assert sorted(runner(engine)("KEYS", "*")) == [b"k", b"later"]
    engine.close()


@pytest.mark.parametrize("refuses", [False, True])
def test_a_copy_for_a_replica(
    engine: Engine, monkeypatch: pytest.MonkeyPatch, *, refuses: bool
) -> None:
    def refused() -> int:
        raise OSError(errno.EAGAIN, "")

    if refuses:
        monkeypatch.setattr(os, "fork", refused)
    run = runner(engine)
    run("SET", "k", "x" * 100_000)
    found: list[bytes | None] = []
    done = threading.Event()

    def take(copy: bytes | None) -> None:
        found.append(copy)
        done.set()

    with engine.lock:
        copying.begin(engine, take)
        run("SET", "later", 1)
    assert done.wait(WAIT_S)
    assert found[0] is not None
    snapshot = parsed(found[0], engine.config, engine.now)
    assert [part.keys for part in snapshot.parts] == [[b"k"]]
    engine.close()


def test_flushall_ends_it(engine: Engine, tmp_path: Path) -> None:
    assert isinstance(engine.files, FaultyFiles)
    run = runner(engine)
    run("SET", "k", "v")
    engine.files.may_write.clear()
    run("BGSAVE")
    engine.files.may_write.set()
    run("FLUSHALL")
    info = persistence(run)
    assert (info["rdb_bgsave_in_progress"], info["rdb_last_bgsave_status"]) == ("0", "ok")
    engine.close()
    assert {path.name for path in tmp_path.iterdir()} == {".cacheapp.lock"}


def test_the_end_of_the_process_does_not_wait_for_it(
    engine: Engine, tmp_path: Path, clock: ManualClock
) -> None:
    assert isinstance(engine.files, FaultyFiles)
    run = runner(engine)
    run("CONFIG", "SET", "save", "900 1")
    run("SET", "k", "v")
    engine.files.may_write.clear()
    run("BGSAVE")
    engine.files.may_write.set()
    run("SET", "later", "v")
    engine.close()
    assert loaded(tmp_path, clock) == [b"k", b"later"]


def test_where_there_can_be_none_a_thread_writes(
    engine: Engine, tmp_path: Path, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused() -> int:
        raise OSError(errno.EAGAIN, "")

    monkeypatch.setattr(os, "fork", refused)
    run = runner(engine)
    run("SET", "k", "v")
    run("BGSAVE")
    ended(engine)
    engine.close()
    assert loaded(tmp_path, clock) == [b"k"]
