"""The dump of an engine: when it is written, what a fault costs, and who may write."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from cacheapp.engine.clock import ManualClock
from cacheapp.engine.engine import Engine
from cacheapp.engine.errors import CommandError, ConfigError
from cacheapp.engine.persistence import background
from cacheapp.engine.persistence.background import Background
from cacheapp.engine.persistence.files import Files
from cacheapp.engine.persistence.snapshot import load
from tests.raw import encode

WAIT_S = 20.0
Run = Callable[..., Any]


class FaultyFiles(Files):
    """Files whose writes can be held back, or fail as on a full disk."""

    def __init__(self) -> None:
        self.full = False
        self.may_write = threading.Event()
        self.may_write.set()
        # Somebody has begun to write a dump.
        self.begun = threading.Event()

    def write(self, path: Path, pieces: Iterable[bytes], mode: int) -> None:
        """As ever; a dump, when the test lets it."""
        if ".rdb" in path.name:
            self.begun.set()
            assert self.may_write.wait(WAIT_S)
        if self.full:
            super().write(path, [next(iter(pieces))[:5]], mode)
            raise OSError(28, "No space left on device")
        super().write(path, pieces, mode)


@pytest.fixture
def files() -> FaultyFiles:
    return FaultyFiles()


@pytest.fixture
def made(tmp_path: Path, clock: ManualClock, files: FaultyFiles) -> Iterator[Callable[..., Engine]]:
    """`made(save="1 1")` is an engine over the test's directory."""
    engines: list[Engine] = []

    def make(**options: str) -> Engine:
        given = {"dir": str(tmp_path), "enable-debug-command": "yes", **options}
        engine = Engine(given, clock=clock, files=files)
        engines.append(engine)
        return engine

    yield make
    files.full = False
    files.may_write.set()
    for engine in engines:
        engine.close()


def runner(engine: Engine) -> Run:
    session = engine.connect(lambda reply: None, protocol=3)
    return lambda *args: engine.execute(session, [encode(arg) for arg in args])


def persistence(run: Run) -> dict[str, str]:
    text = bytes(run("INFO", "persistence")).decode()
    return dict(line.split(":") for line in text.splitlines() if ":" in line)


def ended(engine: Engine) -> None:
    """Return when no thread writes any more."""
    with engine.lock:
        engine.saving.wait()


def test_data_survive(made: Callable[..., Engine], clock: ManualClock, tmp_path: Path) -> None:
    engine = made()
    run = runner(engine)
    run("SET", "k", "v")
    run("SET", "due", "v", "EX", 10)
    run("SET", "late", "v", "EX", 100)
    clock.advance(5)
    assert run("SAVE") == b"OK"
    assert run("LASTSAVE") == int(clock.time())
    run("SET", "lost", "v")
    engine.close()
    clock.advance(20)
    run = runner(made())
    assert sorted(run("KEYS", "*")) == [b"k", b"late"]
    assert run("TTL", "late") == 75
    info = persistence(run)
    assert info["rdb_last_load_keys_loaded"] == "2"
    assert info["rdb_last_load_keys_expired"] == "1"
    assert info["rdb_changes_since_last_save"] == "0"
    assert {path.name for path in tmp_path.iterdir()} == {"dump.rdb", ".cacheapp.lock"}


def test_a_background_save_holds_what_was_there_when_it_began(
    made: Callable[..., Engine], files: FaultyFiles
) -> None:
    engine = made()
    run = runner(engine)
    run("RPUSH", "l", "a")
    files.may_write.clear()
    assert run("BGSAVE") == b"Background saving started"
    run("RPUSH", "l", "b")
    assert persistence(run)["rdb_bgsave_in_progress"] == "1"
    for command in (["SAVE"], ["BGSAVE"], ["BGSAVE", "SCHEDULE"]):
        with pytest.raises(CommandError, match="ERR Background save already in progress"):
            run(*command)
    files.may_write.set()
    ended(engine)
    info = persistence(run)
    assert (info["rdb_bgsave_in_progress"], info["rdb_last_bgsave_status"]) == ("0", "ok")
    assert info["rdb_changes_since_last_save"] == "1"
    engine.close()
    assert runner(made())("LRANGE", "l", 0, -1) == [b"a"]


def test_flushall_calls_a_save_off(
    made: Callable[..., Engine], monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = made()
    run = runner(engine)
    for number in range(200):
        run("SET", number, "x" * 100)
    may_go_on = threading.Event()
    cancel = Background.cancel

    def cancelled(work: Background) -> None:
        work.cancelled = True
        may_go_on.set()
        cancel(work)

    monkeypatch.setattr(background, "rest", lambda: may_go_on.wait(WAIT_S) and None)
    monkeypatch.setattr(Background, "cancel", cancelled)
    run("BGSAVE")
    run("FLUSHALL")
    info = persistence(run)
    assert (info["rdb_bgsave_in_progress"], info["rdb_last_bgsave_status"]) == ("0", "ok")
    engine.close()
    assert runner(made())("DBSIZE") == 0


def test_flushall_is_saved_where_there_are_save_points(
    made: Callable[..., Engine], tmp_path: Path
) -> None:
    engine = made(save="900 1", appendonly="no")
    run = runner(engine)
    run("SET", "k", "v")
    run("SAVE")
    run("SELECT", 1)
    run("SET", "k", "v")
    assert run("FLUSHALL") == b"OK"
    assert persistence(run)["rdb_changes_since_last_save"] == "0"
    with engine.lock:
        engine.saving.leave()
    assert runner(made())("DBSIZE") == 0


def test_what_a_crash_left_in_the_middle_of_a_save_is_removed(
    made: Callable[..., Engine], tmp_path: Path
) -> None:
    others = {"dump.rdb.tmp-mine", "other.tmp-1-2", "dump.rdb.bak"}
    for name in (*others, "dump.rdb.tmp-12-345678"):
        (tmp_path / name).write_bytes(b"")
    made()
    assert {path.name for path in tmp_path.iterdir()} == others | {".cacheapp.lock"}


def test_a_save_in_a_transaction_comes_after_it(made: Callable[..., Engine]) -> None:
    engine = made()
    run = runner(engine)
    for command in (["MULTI"], ["SET", "a", 1], ["BGSAVE"], ["SET", "b", 1]):
        run(*command)
    assert run("EXEC")[1] == b"Background saving scheduled"
    engine.saving.second()
    ended(engine)
    engine.close()
    assert runner(made())("DBSIZE") == 2


def test_save_points(made: Callable[..., Engine], clock: ManualClock, tmp_path: Path) -> None:
    engine = made(save="100 1 10 3")
    run = runner(engine)
    dump = tmp_path / "dump.rdb"
    run("SET", "k", 1)
    clock.advance(11)
    engine.saving.second()
    assert not dump.exists()
    run("MSET", "a", 1, "b", 2)
    engine.saving.second()
    ended(engine)
    assert dump.exists()
    dump.unlink()
    clock.advance(200)
    engine.saving.second()
    ended(engine)
    assert not dump.exists()


def test_nothing_is_saved_while_only_a_part_is_loaded(
    made: Callable[..., Engine], monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = made(save="1 1")
    runner(engine)("SET", "k", "v")
    engine.close()
    refused: list[bool] = []

    def loading(engine: Engine, *arguments: Any, **options: Any) -> int:
        # A thread that looks after save points would have to wait.
        def look() -> None:
            found = engine.lock.acquire(blocking=False)
            refused.append(not found)
            if found:
                engine.lock.release()

        other = threading.Thread(target=look)
        other.start()
        other.join(WAIT_S)
        return load(engine, *arguments, **options)

    monkeypatch.setattr("cacheapp.engine.persistence.dumping.load", loading)
    assert runner(made(save="1 1"))("GET", "k") == b"v"
    assert refused == [True]


def test_a_full_disk(
    made: Callable[..., Engine], files: FaultyFiles, clock: ManualClock, tmp_path: Path
) -> None:
    engine = made(save="10 1")
    run = runner(engine)
    run("SET", "k", "old")
    run("SAVE")
    before = (tmp_path / "dump.rdb").read_bytes()
    run("SET", "k", "new")
    files.full = True
    with pytest.raises(CommandError, match=r"^ERR$"):
        run("SAVE")
    clock.advance(11)
    engine.saving.second()
    ended(engine)
    assert persistence(run)["rdb_last_bgsave_status"] == "err"
    assert (tmp_path / "dump.rdb").read_bytes() == before
    assert {path.name for path in tmp_path.iterdir()} == {"dump.rdb", ".cacheapp.lock"}
    for command in (["SET", "k", 1], ["PING"], ["EVAL", "redis.call('SET', 'k', 1)", 0]):
        with pytest.raises(CommandError, match="MISCONF"):
            run(*command)
    run("MULTI")
    with pytest.raises(CommandError, match="MISCONF"):
        run("SET", "k", 1)
    with pytest.raises(CommandError, match="EXECABORT"):
        run("EXEC")
    assert run("GET", "k") == b"new"
    files.full = False
    clock.advance(6)
    engine.saving.second()
    ended(engine)
    assert run("SET", "k", "newer") == b"OK"


def test_writes_may_go_on_all_the_same(made: Callable[..., Engine], files: FaultyFiles) -> None:
    engine = made(save="10 1")
    run = runner(engine)
    files.full = True
    run("BGSAVE")
    ended(engine)
    with pytest.raises(CommandError, match="MISCONF"):
        run("SET", "k", 1)
    run("CONFIG", "SET", "stop-writes-on-bgsave-error", "no")
    assert run("SET", "k", 1) == b"OK"


@pytest.mark.parametrize("damage", ["bit", "end", "no file at all"])
def test_a_damaged_dump_is_refused_as_a_whole(
    made: Callable[..., Engine], tmp_path: Path, damage: str
) -> None:
    engine = made()
    run = runner(engine)
    for number in range(100):
        run("SET", number, "x" * 50)
    run("SAVE")
    engine.close()
    dump = tmp_path / "dump.rdb"
    data = bytearray(dump.read_bytes())
    if damage == "bit":
        data[500] ^= 1
    elif damage == "end":
        del data[-100:]
    dump.write_bytes(data if damage != "no file at all" else b"something else")
    with pytest.raises(ConfigError, match=r"dump.rdb was not loaded: .*move it away"):
        made()
    dump.unlink()
    assert runner(made())("DBSIZE") == 0


def test_a_dump_that_cannot_be_read(made: Callable[..., Engine], tmp_path: Path) -> None:
    (tmp_path / "dump.rdb").mkdir()
    with pytest.raises(ConfigError, match=r"dump\.rdb cannot be read: Is a directory"):
        made()


def test_one_directory_is_one_engine_s(made: Callable[..., Engine], tmp_path: Path) -> None:
    engine = made()
    with pytest.raises(ConfigError, match="another engine keeps its data in"):
        made()
    engine.close()
    made()


def test_what_needs_a_directory(clock: ManualClock) -> None:
    run = runner(Engine(clock=clock))
    for command in (["SAVE"], ["BGSAVE"]):
        with pytest.raises(CommandError, match="keeps nothing on disk"):
            run(*command)
    with pytest.raises(CommandError, match="give dir"):
        run("CONFIG", "SET", "save", "900 1")
    with pytest.raises(ConfigError, match="give dir"):
        Engine({"save": "900 1"})
    with pytest.raises(ConfigError, match="No such file"):
        Engine({"dir": "no/such/directory"})


@pytest.fixture
def homely(tmp_path: Path, clock: ManualClock) -> Iterator[Engine]:
    """An engine that was given no directory, with one to take where it is asked for files."""
    engine = Engine(clock=clock)
    engine.saving.home = str(tmp_path)
    engine.end_process = lambda: None
    yield engine
    engine.close()


@pytest.mark.parametrize(
    ("asked", "file"),
    [
        (["SAVE"], "dump.rdb"),
        (["BGSAVE"], "dump.rdb"),
        (["SHUTDOWN", "SAVE"], "dump.rdb"),
        (["CONFIG", "SET", "save", "900 1"], ".cacheapp.lock"),
        (["CONFIG", "SET", "appendonly", "yes"], "appendonlydir"),
    ],
)
def test_a_directory_at_home_is_taken_when_files_are_asked_for(
    homely: Engine, tmp_path: Path, asked: list[str], file: str
) -> None:
    run = runner(homely)
    run("SET", "k", "v")
    assert not any(tmp_path.iterdir())
    run(*asked)
    ended(homely)
    assert file in {path.name for path in tmp_path.iterdir()}
    assert run("CONFIG", "GET", "dir") == {b"dir": str(tmp_path).encode()}


def test_a_home_that_another_engine_has_is_left_alone(
    homely: Engine, made: Callable[..., Engine], tmp_path: Path
) -> None:
    owner = made()
    run = runner(homely)
    for asked in (["SAVE"], ["CONFIG", "SET", "appendonly", "yes"]):
        with pytest.raises(CommandError, match=r"without dir|give dir"):
            run(*asked)
    owner.close()
    run("SET", "k", "v")
    assert run("SAVE") == b"OK"
    homely.close()
    assert runner(made())("GET", "k") == b"v"


def test_a_name_that_is_empty_is_no_file(made: Callable[..., Engine]) -> None:
    run = runner(made(dbfilename=""))
    with pytest.raises(CommandError, match="keeps nothing on disk"):
        run("SAVE")


def test_reload_by_the_file(made: Callable[..., Engine], tmp_path: Path) -> None:
    engine = made()
    run = runner(engine)
    run("SET", "k", "v")
    assert run("DEBUG", "RELOAD") == b"OK"
    assert (tmp_path / "dump.rdb").exists()
    run("SET", "k", "w")
    (tmp_path / "dump.rdb").write_bytes(b"REDIS0010\xff" + bytes(8))
    run("DEBUG", "RELOAD", "NOSAVE")
    assert run("DBSIZE") == 0
    (tmp_path / "dump.rdb").write_bytes(b"nonsense")
    run("SET", "k", "v")
    with pytest.raises(CommandError, match="Error trying to load"):
        run("DEBUG", "RELOAD", "NOSAVE")
    assert run("GET", "k") == b"v"


def test_the_end_saves_where_there_are_save_points(made: Callable[..., Engine]) -> None:
    engine = made(save="900 1")
    runner(engine)("SET", "k", "v")
    engine.close()
    run = runner(made())
    assert run("GET", "k") == b"v"
    run("SET", "k", "w")


def test_the_directory_may_change(
    made: Callable[..., Engine], tmp_path: Path, clock: ManualClock
) -> None:
    other = tmp_path / "other"
    other.mkdir()
    engine = made(**{"enable-protected-configs": "yes"})
    run = runner(engine)
    run("SET", "k", "v")
    assert run("CONFIG", "SET", "dir", str(other), "dbfilename", "name.rdb") == b"OK"
    assert run("SAVE") == b"OK"
    assert (other / "name.rdb").exists()
    taker = Engine({"dir": str(tmp_path)}, clock=clock)
    with pytest.raises(CommandError, match="another engine keeps its data"):
        run("CONFIG", "SET", "dir", str(tmp_path))
    assert run("CONFIG", "GET", "dir") == {b"dir": str(other).encode()}
    taker.close()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this machine")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_child_does_not_write(made: Callable[..., Engine], tmp_path: Path) -> None:
    engine = made(save="900 1")
    run = runner(engine)
    run("SET", "k", "v")
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            run = runner(engine)
            run("SET", "k", "child")
            engine.close()
            try:
                run("SAVE")
            except CommandError:
                code = 0 if not (tmp_path / "dump.rdb").exists() else 2
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    with pytest.raises(ConfigError, match="another engine"):
        made()
    engine.close()
    assert runner(made())("GET", "k") == b"v"
