"""The log of changes: nothing that was acknowledged is lost, whatever the disk does."""

from __future__ import annotations

import contextlib
import gc
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from cacheapp.engine.clock import ManualClock
from cacheapp.engine.engine import Engine
from cacheapp.engine.errors import CommandError, ConfigError
from cacheapp.engine.following import Following
from cacheapp.engine.persistence.rdb import pieces
from cacheapp.engine.persistence.snapshot import taken
from tests.engine.persistence.filling import fill
from tests.engine.persistence.test_saving import (
    WAIT_S,
    FaultyFiles,
    Run,
    ended,
    persistence,
    runner,
)
from tests.raw import Raw, SocketRaw
from tests.redis_server import HOST, RedisServer, binary

CHANGES = "appendonly.aof.1.incr.aof"


class FaultyLog(FaultyFiles):
    """Also logs that take no more than `room` bytes, or cannot be waited for."""

    room = 1 << 40
    sync_fails = False

    def append(self, log: int, data: bytes) -> int:
        """As much as there is room for."""
        if not self.room:
            raise OSError(28, "No space left on device")
        count = super().append(log, data[: self.room])
        self.room -= count
        return count

    def sync(self, log: int) -> None:
        """As ever, unless it fails."""
        if self.sync_fails:
            raise OSError(5, "Input/output error")
        super().sync(log)


@pytest.fixture
def files() -> FaultyLog:
    return FaultyLog()


@pytest.fixture
def made(tmp_path: Path, clock: ManualClock, files: FaultyLog) -> Iterator[Callable[..., Engine]]:
    """`made(appendfsync="always")` is an engine with a log in the test's directory."""
    engines: list[Engine] = []

    def make(**options: str) -> Engine:
        given = {
            "dir": str(tmp_path), "appendonly": "yes", "enable-debug-command": "yes", **options
        }  # fmt: skip
        engine = Engine(given, clock=clock, files=files)
        engines.append(engine)
        return engine

    yield make
    files.full = files.sync_fails = False
    files.room = 1 << 40
    files.may_write.set()
    for engine in engines:
        engine.close()


def crashed(engine: Engine) -> None:
    """What the end of a process does: nothing more is written."""
    with engine.lock:
        engine.saving.leave()


def names(folder: Path) -> set[str]:
    return {path.name for path in (folder / "appendonlydir").iterdir()}


def digest(run: Run) -> bytes:
    return bytes(run("DEBUG", "DIGEST"))


def test_everything_comes_back_after_a_crash(made: Callable[..., Engine], tmp_path: Path) -> None:
    engine = made()
    run = runner(engine)
    fill(run)
    run("HPEXPIRE", "hash", 5_000_000, "FIELDS", 1, "g")
    run("SPOP", "large set", 10)
    run("EVAL", "redis.call('SET', 'by script', 1) redis.call('INCR', 'number')", 0)
    before = digest(run)
    crashed(engine)
    assert names(tmp_path) == {"appendonly.aof.1.base.rdb", CHANGES, "appendonly.aof.manifest"}
    engine = made()
    run = runner(engine)
    assert digest(run) == before
    assert run("FCALL", "f", 0) == b"called"
    run("SET", "more", 1)
    before = digest(run)
    crashed(engine)
    assert digest(runner(made())) == before


def test_a_rewrite(made: Callable[..., Engine], tmp_path: Path, files: FaultyLog) -> None:
    engine = made()
    run = runner(engine)
    for _ in range(100):
        run("INCR", "counter")
    files.may_write.clear()
    assert run("BGREWRITEAOF") == b"Background append only file rewriting started"
    with pytest.raises(CommandError, match="rewriting already in progress"):
        run("BGREWRITEAOF")
    with pytest.raises(CommandError, match="Another child process is active"):
        run("BGSAVE")
    assert run("BGSAVE", "SCHEDULE") == b"Background saving scheduled"
    run("INCR", "counter")
    # Before its base is there, a crash loses nothing.
    copied = tmp_path / "copy"
    copied.mkdir()
    (copied / "appendonlydir").mkdir()
    for path in (tmp_path / "appendonlydir").iterdir():
        if "tmp" not in path.name:
            (copied / "appendonlydir" / path.name).write_bytes(path.read_bytes())
    with contextlib.closing(Engine({"dir": str(copied), "appendonly": "yes"})) as other:
        assert runner(other)("GET", "counter") == b"101"
    files.may_write.set()
    ended(engine)
    assert persistence(run)["aof_last_bgrewrite_status"] == "ok"
    assert names(tmp_path) == {
        "appendonly.aof.2.base.rdb", "appendonly.aof.2.incr.aof", "appendonly.aof.manifest"
    }  # fmt: skip
    run("INCR", "counter")
    crashed(engine)
    assert runner(made())("GET", "counter") == b"102"


def test_a_copy_of_a_master_is_not_mixed_with_what_was_there(
    made: Callable[..., Engine], files: FaultyLog, clock: ManualClock
) -> None:
    master = Engine(clock=clock)
    runner(master)("SET", "of the master", 1)
    copy = b"".join(pieces(taken(master), master.config, clock.time()))

    def follow_once(engine: Engine) -> None:
        with engine.lock:
            engine.following = Following(engine, "its host", 1)
            engine.following.load(copy, "0" * 40, 0)
            engine.following = None

    engine = made()
    run = runner(engine)
    run("SET", "of old", 1)
    files.may_write.clear()
    files.begun.clear()
    follow_once(engine)
    run("SET", "later", 1)
    assert files.begun.wait(WAIT_S)
    crashed(engine)
    files.may_write.set()
    engine = made()
    # Whole, if old.
    assert runner(engine)("KEYS", "*") == [b"of old"]
    follow_once(engine)
    runner(engine)("SET", "later", 1)
    ended(engine)
    crashed(engine)
    assert sorted(runner(made())("KEYS", "*")) == [b"later", b"of the master"]


def test_what_a_crash_left_of_a_rewrite_is_removed(
    made: Callable[..., Engine], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, files: FaultyLog
) -> None:
    engine = made()
    run = runner(engine)
    run("SET", "k", "v")
    # As if the process ended before anything was removed.
    monkeypatch.setattr(files, "remove", lambda _path: None)
    run("BGREWRITEAOF")
    ended(engine)
    crashed(engine)
    monkeypatch.undo()
    folder = tmp_path / "appendonlydir"
    (folder / "appendonly.aof.3.base.rdb.tmp-1-2").write_bytes(b"")
    assert CHANGES in names(tmp_path)
    engine = made()
    assert names(tmp_path) == {
        "appendonly.aof.2.base.rdb", "appendonly.aof.2.incr.aof", "appendonly.aof.manifest"
    }  # fmt: skip
    assert runner(engine)("GET", "k") == b"v"


def test_a_former_file_counts_until_it_is_on_the_disk(
    made: Callable[..., Engine], files: FaultyLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = made()
    run = runner(engine)
    run("SET", "k", "v")
    given_up = threading.Event()
    close = files.close

    def closed(log: int) -> None:
        close(log)
        given_up.set()

    monkeypatch.setattr(files, "close", closed)
    files.sync_fails = True
    files.may_write.clear()
    run("BGREWRITEAOF")
    assert given_up.wait(WAIT_S)
    run("MULTI")
    run("WAITAOF", 1, 0, 0)
    assert run("EXEC") == [[0, 0]]


def test_flushall_in_the_log_saves_nothing(made: Callable[..., Engine], tmp_path: Path) -> None:
    engine = made(save="900 1")
    run = runner(engine)
    run("FLUSHALL")
    run("SET", "k", "v")
    run("SAVE")
    before = (tmp_path / "dump.rdb").read_bytes()
    crashed(engine)
    made(save="900 1")
    assert (tmp_path / "dump.rdb").read_bytes() == before


def test_a_rewrite_that_fails(
    made: Callable[..., Engine], files: FaultyLog, clock: ManualClock
) -> None:
    engine = made()
    run = runner(engine)
    run("SET", "a", 1)
    run("BGREWRITEAOF")
    ended(engine)
    files.full = True
    with pytest.raises(CommandError, match="Can't execute an AOF background rewriting"):
        run("BGREWRITEAOF")
    run("SET", "b", 1)
    crashed(engine)
    files.full = False
    assert runner(made())("DBSIZE") == 2


def test_turning_it_on_and_off(made: Callable[..., Engine], tmp_path: Path) -> None:
    engine = made(appendonly="no")
    run = runner(engine)
    run("SET", "before", 1)
    assert run("CONFIG", "SET", "appendonly", "yes") == b"OK"
    run("SET", "after", 1)
    ended(engine)
    assert run("DEBUG", "LOADAOF") == b"OK"
    assert run("DBSIZE") == 2
    assert persistence(run)["aof_enabled"] == "1"
    run("CONFIG", "SET", "appendonly", "no")
    run("SET", "not logged", 1)
    assert persistence(run)["aof_enabled"] == "0"
    run("CONFIG", "SET", "appendonly", "yes")
    run("DEBUG", "LOADAOF")
    assert run("DBSIZE") == 3
    crashed(engine)
    assert runner(made())("DBSIZE") == 3


def test_the_log_goes_before_the_dump(made: Callable[..., Engine], tmp_path: Path) -> None:
    engine = made(appendonly="no")
    run = runner(engine)
    run("SET", "k", "of the dump")
    run("SAVE")
    crashed(engine)
    # Where there is no log yet, the dump is what it begins with.
    engine = made()
    run = runner(engine)
    assert run("GET", "k") == b"of the dump"
    run("SET", "k", "of the log")
    crashed(engine)
    assert runner(made())("GET", "k") == b"of the log"


def test_a_torn_end(made: Callable[..., Engine], tmp_path: Path) -> None:
    engine = made()
    run = runner(engine)
    run("SET", "a", 1)
    run("SET", "b", 1)
    crashed(engine)
    path = tmp_path / "appendonlydir" / CHANGES
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(ConfigError, match=r"breaks off at byte .* aof-load-truncated is no"):
        made(**{"aof-load-truncated": "no"})
    engine = made()
    run = runner(engine)
    assert run("KEYS", "*") == [b"a"]
    run("SET", "c", 1)
    crashed(engine)
    assert sorted(runner(made())("KEYS", "*")) == [b"a", b"c"]


@pytest.mark.parametrize("name", [CHANGES, "appendonly.aof.1.base.rdb", "appendonly.aof.manifest"])
def test_damage_is_refused(made: Callable[..., Engine], tmp_path: Path, name: str) -> None:
    engine = made()
    run = runner(engine)
    for number in range(20):
        run("SET", number, "v")
    crashed(engine)
    path = tmp_path / "appendonlydir" / name
    data = bytearray(path.read_bytes())
    data[30] ^= 1
    path.write_bytes(data)
    with pytest.raises(ConfigError, match=r"was not loaded: .*move the directory away"):
        made()
    path.unlink()
    if name != "appendonly.aof.manifest":
        with pytest.raises(ConfigError, match="it is missing"):
            made()


@pytest.mark.parametrize("policy", ["always", "everysec"])
def test_a_full_disk(made: Callable[..., Engine], files: FaultyLog, policy: str) -> None:
    engine = made(appendfsync=policy)
    run = runner(engine)
    run("SET", "a", 1)
    files.room = 20
    if policy == "always":
        with pytest.raises(CommandError, match="MISCONF Errors writing to the AOF file: No space"):
            run("SET", "b", 1)
    else:
        assert run("SET", "b", 1) == b"OK"
    for command in (["SET", "c", 1], ["PING"]):
        with pytest.raises(CommandError, match="MISCONF Errors writing to the AOF file: No space"):
            run(*command)
    assert persistence(run)["aof_last_write_status"] == "err"
    assert run("EXISTS", "a", "c") == 1
    files.room = 1 << 40
    engine.saving.second()
    assert run("SET", "d", 1) == b"OK"
    crashed(engine)
    assert sorted(runner(made())("KEYS", "*")) == [b"a", b"b", b"d"]


def test_a_full_disk_is_told_to_who_met_it_and_to_nobody_else(
    made: Callable[..., Engine], files: FaultyLog, clock: ManualClock
) -> None:
    engine = made(appendfsync="always")
    run = runner(engine)
    received: list[Any] = []
    waiting = engine.connect(received.append)
    run("SET", "due", 1, "PX", 5)
    engine.execute(waiting, [b"BLPOP", b"l", b"0"])
    files.room = 0
    with pytest.raises(CommandError, match="MISCONF"):
        run("RPUSH", "l", "lost")
    assert run("EXISTS", "l") == 1
    assert [str(reply) for reply in received] == [
        "MISCONF Errors writing to the AOF file: No space left on device"
    ]
    assert run("EXISTS", "l") == 0
    clock.advance(1)
    assert run("EXISTS", "due") == 0


def test_a_crash_while_the_disk_is_full(made: Callable[..., Engine], files: FaultyLog) -> None:
    engine = made(appendfsync="always")
    run = runner(engine)
    run("SET", "a", 1)
    files.room = 20
    with pytest.raises(CommandError, match="MISCONF"):
        run("SET", "b", 1)
    crashed(engine)
    files.room = 1 << 40
    assert runner(made())("KEYS", "*") == [b"a"]


@pytest.mark.parametrize("policy", ["always", "everysec"])
def test_a_disk_that_cannot_be_waited_for(
    made: Callable[..., Engine], files: FaultyLog, clock: ManualClock, policy: str
) -> None:
    engine = made(appendfsync=policy)
    run = runner(engine)
    files.sync_fails = files.full = True
    if policy == "always":
        with pytest.raises(CommandError, match="MISCONF Errors writing to the AOF file: Input"):
            run("SET", "a", 1)
    else:
        run("SET", "a", 1)
        engine.saving.second()
    with pytest.raises(CommandError, match="MISCONF"):
        run("SET", "b", 1)
    ended(engine)
    files.sync_fails = files.full = False
    clock.advance(6)
    engine.saving.second()
    ended(engine)
    assert run("SET", "c", 1) == b"OK"
    assert persistence(run)["aof_last_write_status"] == "ok"
    crashed(engine)
    assert sorted(runner(made())("KEYS", "*")) == [b"a", b"c"]


def test_a_file_that_is_left_unsure(made: Callable[..., Engine], files: FaultyLog) -> None:
    engine = made()
    run = runner(engine)
    run("SET", "a", 1)
    files.sync_fails = True
    files.may_write.clear()
    run("BGREWRITEAOF")
    files.full = True
    files.may_write.set()
    ended(engine)
    with pytest.raises(CommandError, match="MISCONF"):
        run("SET", "b", 1)


def test_it_is_rewritten_when_it_has_grown(made: Callable[..., Engine], clock: ManualClock) -> None:
    engine = made(**{"auto-aof-rewrite-min-size": "1kb"})
    run = runner(engine)
    for _ in range(100):
        run("SET", "k", "x" * 100)
    clock.advance(10)
    engine.saving.second()
    ended(engine)
    info = persistence(run)
    assert info["aof_rewrites"] == "1"
    assert int(info["aof_current_size"]) < 1000


def test_what_needs_a_directory(clock: ManualClock, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="give dir"):
        Engine({"appendonly": "yes"})
    run = runner(Engine({"enable-debug-command": "yes"}, clock=clock))
    with pytest.raises(CommandError, match="give dir"):
        run("CONFIG", "SET", "appendonly", "yes")
    run("SET", "k", 1)
    assert run("DEBUG", "LOADAOF") == b"OK"
    assert run("DBSIZE") == 1
    (tmp_path / "appendonly.aof").write_bytes(b"")
    with pytest.raises(ConfigError, match="of a Redis before 7"):
        Engine({"appendonly": "yes", "dir": str(tmp_path)})


def test_an_engine_that_nobody_closed(tmp_path: Path, files: FaultyLog) -> None:
    options = {"dir": str(tmp_path), "appendonly": "yes"}
    runner(Engine(options))("SET", "k", "v")
    gc.collect()
    with contextlib.closing(Engine(options)) as engine:
        assert runner(engine)("GET", "k") == b"v"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this machine")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_child_adds_nothing(made: Callable[..., Engine]) -> None:
    engine = made()
    run = runner(engine)
    run("SET", "k", "parent")
    pid = os.fork()
    if pid == 0:
        with contextlib.suppress(BaseException):
            runner(engine)("SET", "k", "child")
            engine.close()
        os._exit(0)
    os.waitpid(pid, 0)
    crashed(engine)
    assert runner(made())("GET", "k") == b"parent"


WRITER = """
import sys
from cacheapp.engine.engine import Engine
engine = Engine({"dir": sys.argv[1], "appendonly": "yes", "appendfsync": sys.argv[2]})
session = engine.connect(lambda reply: None)
for number in range(1_000_000):
    engine.execute(session, [b"RPUSH", b"l", b"%d" % number])
    sys.stdout.write(f"{number}\\n")
    sys.stdout.flush()
"""


@pytest.mark.parametrize("policy", ["always", "everysec", "no"])
def test_kill_loses_nothing_that_was_acknowledged(tmp_path: Path, policy: str) -> None:
    command = [sys.executable, "-c", WRITER, str(tmp_path), policy]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        seen = -1
        while seen < 500:
            seen = int(process.stdout.readline())
        process.send_signal(signal.SIGKILL)
        rest = process.stdout.read().split(b"\n")
        acknowledged = max([seen, *(int(line) for line in rest[:-1])])
    with contextlib.closing(Engine({"dir": str(tmp_path), "appendonly": "yes"})) as engine:
        items = runner(engine)("LRANGE", "l", 0, -1)
    assert items[: acknowledged + 1] == [b"%d" % n for n in range(acknowledged + 1)]
    assert len(items) <= acknowledged + 2


needs_redis = pytest.mark.skipif(binary() is None, reason="no redis-server binary on this machine")


@contextlib.contextmanager
def real(folder: Path) -> Iterator[Raw]:
    with (
        RedisServer(dir=str(folder), appendonly="yes") as server,
        contextlib.closing(SocketRaw(HOST, server.port)) as raw,
    ):
        yield raw


@needs_redis
def test_redis_goes_on_with_our_log_and_we_with_its(
    made: Callable[..., Engine], tmp_path: Path
) -> None:
    engine = made()
    run = runner(engine)
    fill(run)
    run("BGREWRITEAOF")
    ended(engine)
    run("SADD", "set", "c")
    run("SPOP", "large set", 3)
    # The test's clock stands still, in the past of redis-server.
    run("PERSIST", "due")
    before = digest(run)
    engine.close()
    with real(tmp_path) as raw:
        assert raw.execute("DEBUG", "DIGEST") == before
        raw.execute("RPUSH", "list", "of redis")
        before = raw.execute("DEBUG", "DIGEST")
    engine = made()
    run = runner(engine)
    assert digest(run) == before
    run("RPUSH", "list", "ours again")
    before = digest(run)
    crashed(engine)
    assert digest(runner(made())) == before
