"""Hashes in the engine alone: events, and a scan of a hash that changes meanwhile."""

from __future__ import annotations

from cacheapp.engine.engine import Engine
from tests.engine.conftest import Run
from tests.engine.events import Events


def test_events(engine: Engine, run: Run) -> None:
    events = Events(engine)
    run("HSET", "h", "a", 1, "b", 2)
    run("HMSET", "h", "c", 3)
    run("HSETNX", "h", "a", 1)
    run("HSETNX", "h", "d", 1)
    run("HINCRBY", "h", "a", 1)
    run("HINCRBYFLOAT", "h", "a", "0.5")
    run("HDEL", "h", "x")
    run("HDEL", "h", "a", "b", "c")
    run("HDEL", "h", "d")
    assert events.seen() == [
        "hset h", "hset h", "hset h", "hincrby h", "hincrbyfloat h", "hdel h", "hdel h", "del h",
    ]  # fmt: skip


def test_a_refused_command_changes_nothing(engine: Engine, run: Run) -> None:
    run("HSET", "h", "a", "x")
    dirty = engine.dirty
    for args in (("HSETNX", "h", "a", 1), ("HDEL", "h", "x"), ("HGET", "h", "a")):
        run(*args)
    assert engine.dirty == dirty


def test_a_scan_returns_what_is_there_throughout(run: Run) -> None:
    run("HSET", "h", *(part for number in range(1000) for part in (f"f{number}", number)))
    cursor, page = run("HSCAN", "h", 0, "COUNT", 100)
    seen = set(page[::2])
    number = 0
    while cursor != b"0":
        run("HDEL", "h", f"f{number}")
        run("HSET", "h", f"new{number}", 1)
        number += 1
        cursor, page = run("HSCAN", "h", cursor, "COUNT", 100)
        seen.update(page[::2])
    assert seen >= {b"f%d" % kept for kept in range(number, 1000)}


def test_memory_under_a_limit_is_accounted(run: Run, engine: Engine) -> None:
    run("CONFIG", "SET", "maxmemory", "100mb")
    run("HSET", "h", "f", "v")
    before = engine.used_memory()
    run("HSET", "h", *(part for number in range(500) for part in (f"f{number}", number)))
    assert engine.used_memory() > before + 500 * 60
    run("DEL", "h")
    assert engine.used_memory() < before
