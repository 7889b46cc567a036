"""Snapshots: everything comes back, what has come due does not, accesses as the policy wants."""

from __future__ import annotations

import pytest

from cacheapp.engine.clock import ManualClock
from cacheapp.engine.engine import Engine
from cacheapp.engine.errors import CommandError
from cacheapp.engine.persistence.encoding import CorruptPayload
from cacheapp.engine.persistence.snapshot import load, taken
from tests.engine.conftest import Run

LIBRARY = "#!lua name=lib\nredis.register_function('f', function() return 'called' end)"


def fill(run: Run) -> None:
    run("SET", "s", "v", "PX", 5000)
    run("RPUSH", "l", *range(2000))
    run("SELECT", 3)
    run("HSET", "h", "f", "v", "g", "w")
    run("HPEXPIRE", "h", 5000, "FIELDS", 1, "g")
    run("XADD", "x", "1-0", "f", "v")
    run("SELECT", 0)
    run("FUNCTION", "LOAD", LIBRARY)


def test_a_snapshot_makes_another_engine_equal(run: Run, engine: Engine) -> None:
    fill(run)
    other = Engine({"enable-debug-command": "yes"}, clock=engine.clock)
    load(other, taken(engine), merge=False)
    session = other.connect(lambda reply: None, protocol=3)
    assert other.execute(session, [b"DEBUG", b"DIGEST"]) == run("DEBUG", "DIGEST")
    assert other.execute(session, [b"PTTL", b"s"]) == 5000
    assert other.execute(session, [b"FCALL", b"f", b"0"]) == b"called"
    assert other.execute(session, [b"SELECT", b"3"]) == b"OK"
    assert other.execute(session, [b"HPTTL", b"h", b"FIELDS", b"1", b"g"]) == [5000]


def test_what_has_come_due_is_left_out(run: Run, engine: Engine, clock: ManualClock) -> None:
    fill(run)
    snapshot = taken(engine)
    clock.advance(6)
    run("FLUSHALL")
    run("FUNCTION", "FLUSH")
    load(engine, snapshot, merge=False)
    assert run("EXISTS", "s", "l") == 1


def test_names_that_are_taken(run: Run, engine: Engine) -> None:
    run("SET", "k", "old")
    snapshot = taken(engine)
    run("SET", "k", "new")
    with pytest.raises(CorruptPayload):
        load(engine, snapshot, merge=False)
    load(engine, snapshot, merge=True)
    assert run("GET", "k") == b"old"
    run("FUNCTION", "LOAD", LIBRARY)
    snapshot = taken(engine)
    with pytest.raises(CorruptPayload):
        load(engine, snapshot, merge=False)


def test_idleness_is_kept_where_it_is_read(run: Run, clock: ManualClock) -> None:
    run("SET", "k", "v")
    clock.advance(100)
    run("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
    run("DEBUG", "RELOAD")
    assert run("OBJECT", "IDLETIME", "k") == 100
    run("CONFIG", "SET", "maxmemory-policy", "noeviction")
    run("DEBUG", "RELOAD")
    assert run("OBJECT", "IDLETIME", "k") == 0


def test_the_account_of_memory_after_a_reload(run: Run, engine: Engine) -> None:
    run("CONFIG", "SET", "maxmemory", "100mb")
    fill(run)
    before = engine.used_bytes
    run("DEBUG", "RELOAD")
    assert abs(engine.used_bytes - before) < before // 20
    run("FLUSHALL")
    assert engine.used_bytes == 0


def test_options_of_reload(run: Run) -> None:
    fill(run)
    digest = run("DEBUG", "DIGEST")
    assert run("DEBUG", "RELOAD") == b"OK"
    assert run("DEBUG", "DIGEST") == digest
    run("DEL", "s")
    run("SET", "new", "v")
    run("DEBUG", "reload", "nosave", "noflush", "merge")
    assert run("EXISTS", "s", "new") == 2
    run("DEBUG", "RELOAD", "NOSAVE")
    assert run("DEBUG", "DIGEST") == digest
    for options, error in (
        (["NOFLUSH"], "Error trying to load the RDB dump"),
        (["WHAT"], "only supports the MERGE, NOFLUSH and NOSAVE"),
    ):
        with pytest.raises(CommandError, match=error):
            run("DEBUG", "RELOAD", *options)


def test_checksums_can_be_ignored(run: Run) -> None:
    payload = b"\0\1x\x0a\0" + b"\0" * 8
    with pytest.raises(CommandError, match="checksum"):
        run("RESTORE", "k", 0, payload)
    run("DEBUG", "SET-SKIP-CHECKSUM-VALIDATION", 1)
    assert run("RESTORE", "k", 0, payload) == b"OK"
    run("DEBUG", "SET-SKIP-CHECKSUM-VALIDATION", 0)
    with pytest.raises(CommandError, match="checksum"):
        run("RESTORE", "k", 0, payload, "REPLACE")
