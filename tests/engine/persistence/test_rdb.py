"""RDB files: what is written is read, by redis-server too, and what is damaged is refused."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cacheapp.engine.clock import ManualClock
from cacheapp.engine.config import Config
from cacheapp.engine.engine import Engine
from cacheapp.engine.persistence.encoding import CorruptPayload
from cacheapp.engine.persistence.rdb import parsed, pieces
from cacheapp.engine.persistence.snapshot import UNKNOWN, Part, Snapshot, load, taken
from tests.engine.conftest import Run
from tests.engine.persistence.filling import fill
from tests.raw import Raw, SocketRaw, encode
from tests.redis_server import HOST, RedisServer, binary

NOW = 1_700_000_000.0

needs_redis = pytest.mark.skipif(binary() is None, reason="no redis-server binary on this machine")


def file_of(snapshot: Snapshot, config: Config | None = None, **options: bool) -> bytes:
    return b"".join(pieces(snapshot, config or Config(), NOW, **options))


def test_a_file_makes_another_engine_equal(run: Run, engine: Engine) -> None:
    fill(run)
    run("HPEXPIRE", "hash", 5000, "FIELDS", 1, "g")
    data = file_of(taken(engine))
    other = Engine({"enable-debug-command": "yes"}, clock=engine.clock)
    load(other, parsed(data, other.config, NOW), merge=False)
    session = other.connect(lambda reply: None, protocol=3)
    assert other.execute(session, [b"DEBUG", b"DIGEST"]) == run("DEBUG", "DIGEST")
    assert other.execute(session, [b"PTTL", b"due"]) == run("PTTL", "due")
    assert other.execute(session, [b"FCALL", b"f", b"0"]) == b"called"


def test_a_snapshot_does_not_change_afterwards(run: Run, engine: Engine) -> None:
    fill(run)
    snapshot = taken(engine)
    before = file_of(snapshot)
    for command in (
        ("APPEND", "appended", "more"),
        ("SETBIT", "bits", 7, 1),
        ("RPUSH", "list", "more"),
        ("HSET", "large hash", "more", 1),
        ("SADD", "large set", "more"),
        ("ZADD", "large zset", 7, "more"),
        ("XADD", "stream", "*", "f", "v"),
        ("XACK", "stream", "group", "1-1"),
        ("DEL", "text"),
        ("SELECT", 5),
        ("SET", "new", 1),
    ):
        run(*command)
    assert file_of(snapshot) == before
    run("SELECT", 0)
    assert file_of(taken(engine)) != before


def test_the_version_is_as_low_as_it_can_be(run: Run, engine: Engine) -> None:
    run("HSET", "h", "f", "v")
    assert file_of(taken(engine)).startswith(b"REDIS0010")
    run("HEXPIRE", "h", 10, "FIELDS", 1, "f")
    assert file_of(taken(engine)).startswith(b"REDIS0012")


def test_large_files_come_in_pieces_and_have_a_checksum() -> None:
    config = Config({"rdbcompression": "no"})
    part = Part(0, [b"%d" % n for n in range(5)], [b"x" * 500_000] * 5, [0] * 5, [0.0] * 5)
    made = list(pieces(Snapshot([part]), config, NOW))
    assert len(made) == 7
    assert parsed(b"".join(made), config, NOW).count == 5


@pytest.mark.parametrize("place", [5, 20, 60, 100, -12, -3])
def test_damage_is_noticed(run: Run, engine: Engine, place: int) -> None:
    fill(run)
    data = bytearray(file_of(taken(engine)))
    data[place] ^= 4
    with pytest.raises(CorruptPayload):
        parsed(bytes(data), engine.config, NOW)


def test_a_file_that_ends_early_is_noticed(run: Run, engine: Engine) -> None:
    fill(run)
    data = file_of(taken(engine))
    for size in (0, 8, 9, 50, len(data) // 2, len(data) - 1):
        with pytest.raises(CorruptPayload):
            parsed(data[:size], engine.config, NOW)
        with pytest.raises(CorruptPayload):
            parsed(data[:size], engine.config, NOW, verify=False)
    with pytest.raises(CorruptPayload, match="where it says"):
        parsed(data + b"more", engine.config, NOW, verify=False)


def test_no_checksum_where_none_is_wanted() -> None:
    config = Config({"rdbchecksum": "no"})
    data = file_of(Snapshot(), config)
    assert data.endswith(bytes(8))
    assert parsed(data, Config(), NOW).count == 0


def test_accesses_are_kept_where_the_policy_reads_them(run: Run, engine: Engine) -> None:
    run("SET", "k", "v")
    engine.databases[0].accesses[0] = NOW - 100
    snapshot = taken(engine)
    lru, lfu = (Config({"maxmemory-policy": f"allkeys-{word}"}) for word in ("lru", "lfu"))
    idle = parsed(file_of(snapshot, lru), lru, NOW + 5)
    assert idle.parts[0].accesses == [NOW + 5 - 100]
    assert parsed(file_of(snapshot, lru), lfu, NOW).parts[0].accesses == [UNKNOWN]
    assert parsed(file_of(snapshot), lru, NOW).parts[0].accesses == [UNKNOWN]
    counted = parsed(file_of(snapshot, lfu), lfu, NOW).parts[0].accesses[0]
    assert counted != UNKNOWN


def test_what_has_no_place_changes_nothing(run: Run, engine: Engine) -> None:
    part = Part(99, [b"k"], [b"v"], [0], [UNKNOWN])
    with pytest.raises(CorruptPayload, match="database 99"):
        load(engine, Snapshot([Part(0, [b"k"], [b"v"], [0], [UNKNOWN]), part]), merge=True)
    twice = Part(0, [b"k", b"k"], [b"v", b"w"], [0, 0], [UNKNOWN] * 2)
    with pytest.raises(CorruptPayload, match="twice"):
        load(engine, Snapshot([twice]), merge=True)
    assert run("DBSIZE") == 0


@pytest.mark.parametrize(
    ("mark", "reason"), [(b"\xf7", "module"), (b"\xf4", "cluster"), (b"\x07", "type 7")]
)
def test_what_is_not_ours(mark: bytes, reason: str) -> None:
    with pytest.raises(CorruptPayload, match=reason):
        parsed(b"REDIS0010" + mark + b"\1k" + bytes(30), Config(), NOW)


def test_older_files(clock: ManualClock) -> None:
    entry = b"\xfd" + (1_700_000_100).to_bytes(4, "little") + b"\0\1k\1v"
    snapshot = parsed(b"REDIS0003\xfe\0" + entry + b"\xff", Config(), NOW)
    assert snapshot.parts[0].deadlines == [1_700_000_100_000]


@needs_redis
def test_redis_loads_ours(tmp_path: Path) -> None:
    engine = Engine({"dir": str(tmp_path), "enable-debug-command": "yes"})
    session = engine.connect(lambda reply: None, protocol=2)

    def run(*args: Any) -> Any:
        return engine.execute(session, [encode(arg) for arg in args])

    fill(run)
    assert run("SAVE") == b"OK"
    check = shutil.which("redis-check-rdb")
    if check is not None:
        told = subprocess.run(
            [check, str(tmp_path / "dump.rdb")], capture_output=True, text=True, check=False
        )
        assert "RDB looks OK" in told.stdout, told.stdout
    with RedisServer(dir=str(tmp_path)) as server, connected(server) as raw:
        assert raw.execute("DEBUG", "DIGEST") == run("DEBUG", "DIGEST")
        assert 0 < raw.execute("PTTL", "due") <= 5_000_000
        assert raw.execute("FCALL", "f", 0) == b"called"
        assert raw.execute("XPENDING", "stream", "group") == run("XPENDING", "stream", "group")
    engine.close()


@needs_redis
def test_ours_loads_what_redis_wrote(tmp_path: Path) -> None:
    with RedisServer(dir=str(tmp_path)) as server, connected(server) as raw:
        fill(raw.execute)
        assert raw.execute("SAVE") == b"OK"
        digest = raw.execute("DEBUG", "DIGEST")
    engine = Engine({"dir": str(tmp_path), "enable-debug-command": "yes"})
    session = engine.connect(lambda reply: None, protocol=2)
    assert engine.execute(session, [b"DEBUG", b"DIGEST"]) == digest
    assert engine.execute(session, [b"FCALL", b"f", b"0"]) == b"called"
    engine.close()


@contextlib.contextmanager
def connected(server: RedisServer) -> Iterator[Raw]:
    with contextlib.closing(SocketRaw(HOST, server.port)) as raw:
        yield raw
