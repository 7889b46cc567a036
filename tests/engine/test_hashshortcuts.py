"""Hashes without the lock, and fields set where a hash exists: as the commands do it."""

from __future__ import annotations

import pytest

from cacheapp.engine.clock import ManualClock
from cacheapp.engine.engine import Engine
from cacheapp.engine.hashshortcuts import fields_getter, fields_setter
from cacheapp.engine.replies import NULL_ARRAY
from cacheapp.engine.session import Session

KEY = b"h"


def engine_with(**options: str) -> tuple[Engine, Session]:
    named = {name.replace("_", "-"): value for name, value in options.items()}
    engine = Engine(named, ManualClock(1_000.5))
    session = engine.connect(lambda reply: None, protocol=3)
    engine.execute(session, [b"HSET", KEY, b"a", b"1"])
    return engine, session


def by_commands(session: Session, key: bytes, pairs: list[bytes], ttl_ms: int) -> bool:
    execute = session.engine.execute
    if not execute(session, [b"PEXPIRE", key, b"%d" % ttl_ms]):
        return False
    if pairs:
        execute(session, [b"HSET", key, *pairs])
    return True


def seen(engine: Engine, session: Session, key: bytes) -> list[object]:
    return [
        engine.execute(session, list(args))
        for args in (
            (b"HGETALL", key), (b"PEXPIRETIME", key), (b"OBJECT", b"ENCODING", key), (b"DBSIZE",),
            (b"OBJECT", b"IDLETIME", key),
        )
    ]  # fmt: skip


@pytest.mark.parametrize("limit", ["0", "100mb"])
@pytest.mark.parametrize(
    "pairs",
    [[], [b"a", b"2"], [b"b", b"2"], [b"b", b"2", b"c", b"x" * 100], [b"a", b"\xff"]],
)
def test_fields_are_set_as_the_commands_set_them(limit: str, pairs: list[bytes]) -> None:
    engine, session = engine_with(maxmemory=limit)
    twin, twins_session = engine_with(maxmemory=limit)
    set_fields = fields_setter(session)
    for ttl_ms in (5_000, 7_000):
        assert set_fields(KEY, pairs, ttl_ms) is True
        assert by_commands(twins_session, KEY, pairs, ttl_ms) is True
        assert seen(engine, session, KEY) == seen(twin, twins_session, KEY)
        assert engine.used_bytes == twin.used_bytes
    assert engine.databases[0].volatile == 1
    engine.clock.advance(8)  # type: ignore[attr-defined]
    engine.tick()
    assert engine.execute(session, [b"EXISTS", KEY]) == 0


def test_nothing_is_made_where_there_is_nothing() -> None:
    engine, session = engine_with()
    assert fields_setter(session)(b"other", [b"a", b"1"], 1_000) is False
    engine.execute(session, [b"PEXPIRE", KEY, b"10"])
    engine.clock.advance(0.02)  # type: ignore[attr-defined]
    assert fields_setter(session)(KEY, [b"a", b"1"], 1_000) is False
    assert engine.execute(session, [b"EXISTS", KEY, b"other"]) == 0


def test_it_declines_what_others_would_have_to_see() -> None:
    engine, session = engine_with()
    set_fields = fields_setter(session)
    engine.execute(session, [b"SET", b"text", b"x"])
    assert set_fields(b"text", [b"a", b"1"], 1_000) is None
    assert set_fields(KEY, [b"a", b"2"], 0) is None
    engine.execute(session, [b"HEXPIRE", KEY, b"100", b"FIELDS", b"1", b"a"])
    assert set_fields(KEY, [b"a", b"2"], 1_000) is None
    engine, session = engine_with(notify_keyspace_events="KA")
    assert fields_setter(session)(KEY, [b"a", b"2"], 1_000) is None
    engine, session = engine_with(maxmemory="1mb")
    engine.used_bytes += 2 * 1024 * 1024
    assert fields_setter(session)(KEY, [b"a", b"2"], 1_000) is None
    engine, session = engine_with()
    engine.execute(session, [b"MULTI"])
    assert fields_setter(session)(KEY, [b"a", b"2"], 1_000) is None


def test_a_watch_sees_it() -> None:
    engine, session = engine_with()
    watching = engine.connect(lambda reply: None)
    engine.execute(watching, [b"WATCH", KEY])
    assert fields_setter(session)(KEY, [b"a", b"2"], 1_000) is True
    engine.execute(watching, [b"MULTI"])
    engine.execute(watching, [b"GET", b"x"])
    assert engine.execute(watching, [b"EXEC"]) is NULL_ARRAY


def test_a_hash_is_read_without_the_lock_and_counted() -> None:
    engine, session = engine_with()
    fetch_fields = fields_getter(session, lambda key: pytest.fail("the long way"))
    with engine.lock:
        found = fetch_fields(KEY)
    assert found == {b"a": b"1"}
    found[b"b"] = b"mine"
    assert fetch_fields(KEY) == {b"a": b"1"}
    engine.stats.settle()
    assert engine.stats.commands["hgetall"].calls == 2
    assert engine.stats.keyspace_hits == 2


@pytest.mark.parametrize("state", ["missing", "due", "another type", "running", "expiring"])
def test_the_rest_goes_the_long_way(state: str) -> None:
    engine, session = engine_with()
    asked: list[bytes] = []

    def otherwise(key: bytes) -> dict[bytes, bytes]:
        asked.append(key)
        return {}

    key = b"missing" if state == "missing" else KEY
    if state == "due":
        engine.execute(session, [b"PEXPIRE", KEY, b"10"])
        engine.clock.advance(0.02)  # type: ignore[attr-defined]
    elif state == "another type":
        engine.execute(session, [b"SET", KEY, b"x"])
    elif state == "running":
        engine.epoch += 1
    elif state == "expiring":
        engine.execute(session, [b"HEXPIRE", KEY, b"100", b"FIELDS", b"1", b"a"])
    assert fields_getter(session, otherwise)(key) == {}
    assert asked == [key]
