"""The shortcuts do what executing the command would, at rest and in every other state."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cacheapp.engine.clock import ManualClock
from cacheapp.engine.database import Database
from cacheapp.engine.engine import Engine
from cacheapp.engine.errors import CommandError
from cacheapp.engine.replies import NULL_ARRAY, QUEUED
from cacheapp.engine.session import Session
from cacheapp.engine.shortcuts import getter, mgetter, msetter, setter
from tests.engine.conftest import Run

KEYS = [b"a", b"b", b"c", b"list", b"buffer", b"counter"]
KEY = st.sampled_from(KEYS)
VALUE = st.sampled_from([b"", b"1", b"text"])
TTL_MS = st.sampled_from([0, 0, 1, 500, 5000])
STEP = st.one_of(
    st.tuples(st.just("get"), KEY),
    st.tuples(st.just("mget"), st.lists(KEY, min_size=1, max_size=4)),
    st.tuples(st.just("set"), KEY, VALUE, TTL_MS),
    st.tuples(st.just("mset"), st.lists(st.tuples(KEY, VALUE), min_size=1, max_size=4), TTL_MS),
    st.tuples(st.just("wait"), st.sampled_from([0.0005, 0.001, 0.3, 2.0])),
    st.tuples(
        st.just("other"), st.sampled_from([b"DEL a", b"PERSIST b", b"APPEND c x", b"INCR a"])
    ),
)


class Twin:
    """An engine on a clock of its own, with one session."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.engine = Engine(clock=self.clock)
        self.session: Session = self.engine.connect(lambda reply: None, protocol=3)
        self.execute(b"RPUSH", b"list", b"x")
        self.execute(b"APPEND", b"buffer", b"x")
        self.execute(b"APPEND", b"buffer", b"y")
        self.execute(b"INCR", b"counter")

    def execute(self, *args: bytes) -> Any:
        try:
            return self.engine.execute(self.session, list(args))
        except CommandError as error:
            return str(error)

    def state(self) -> dict[bytes, Any]:
        """All keys that are not due, with type, deadline and, for a string, value."""
        return {
            key: (self.execute(b"TYPE", key), self.execute(b"PEXPIRETIME", key),
                  self.execute(b"GET", key))
            for key in KEYS
            if self.execute(b"EXISTS", key)
        }  # fmt: skip


class Shortened(Twin):
    """The twin whose reads and writes take the shortcuts."""

    def __init__(self) -> None:
        super().__init__()
        self._get, self._mget = getter(self.session), mgetter(self.session)
        self._set, self._mset = setter(self.session), msetter(self.session)

    def run(self, name: str, *arguments: Any) -> Any:
        shortcut = {"get": self._get, "mget": self._mget, "set": self._set, "mset": self._mset}
        try:
            return shortcut[name](*arguments)
        except CommandError as error:
            return str(error)


class Executed(Twin):
    """The twin that executes commands for the same calls."""

    def run(self, name: str, *arguments: Any) -> Any:
        if name == "get":
            return self.execute(b"GET", *arguments)
        if name == "mget":
            return self.execute(b"MGET", *arguments[0])
        if name == "set":
            return self._set(*arguments)
        pairs, ttl_ms = arguments
        return [self._set(key, value, ttl_ms) for key, value in pairs][-1]

    def _set(self, key: bytes, value: bytes, ttl_ms: int) -> Any:
        deadline = (b"PX", b"%d" % ttl_ms) if ttl_ms else ()
        return self.execute(b"SET", key, value, *deadline)


@given(st.lists(STEP, max_size=25))
def test_the_same_as_executing(steps: list[tuple[Any, ...]]) -> None:
    shortened, executed = Shortened(), Executed()
    for name, *arguments in steps:
        if name == "wait":
            for twin in (shortened, executed):
                twin.clock.advance(arguments[0])
        elif name == "other":
            command = arguments[0].split()
            assert shortened.execute(*command) == executed.execute(*command)
        else:
            assert shortened.run(name, *arguments) == executed.run(name, *arguments)
    for twin in (shortened, executed):
        twin.engine.stats.settle()
    stats = [(twin.engine.stats.keyspace_hits, twin.engine.stats.keyspace_misses)
             for twin in (shortened, executed)]  # fmt: skip
    assert stats[0] == stats[1]
    assert shortened.state() == executed.state()
    databases = [twin.engine.databases[0] for twin in (shortened, executed)]
    assert databases[0].volatile == databases[1].volatile


def test_a_transaction_queues_them(engine: Engine) -> None:
    session = engine.connect(lambda reply: None, protocol=3)
    engine.execute(session, [b"MULTI"])
    assert getter(session)(b"a") == QUEUED
    assert mgetter(session)([b"a"]) == QUEUED
    assert setter(session)(b"a", b"1", 0) == QUEUED
    assert engine.execute(session, [b"EXEC"]) == [None, [None], b"OK"]


def test_a_client_without_the_password_is_refused(engine: Engine) -> None:
    admin = engine.connect(lambda reply: None, protocol=3)
    engine.execute(admin, [b"SET", b"a", b"secret"])
    engine.execute(admin, [b"CONFIG", b"SET", b"requirepass", b"pw"])
    session = engine.connect(lambda reply: None, protocol=3)
    for call in (
        lambda: getter(session)(b"a"),
        lambda: mgetter(session)([b"a"]),
        lambda: setter(session)(b"a", b"1", 0),
        lambda: msetter(session)([(b"a", b"1")], 0),
    ):
        with pytest.raises(CommandError, match="NOAUTH"):
            call()
    engine.execute(session, [b"AUTH", b"pw"])
    assert getter(session)(b"a") == b"secret"


def test_watchers_are_told(engine: Engine) -> None:
    watcher = engine.connect(lambda reply: None, protocol=3)
    session = engine.connect(lambda reply: None, protocol=3)
    set_, mset = setter(session), msetter(session)
    for write in (
        lambda: set_(b"a", b"2", 0),
        lambda: mset([(b"b", b"2"), (b"a", b"3")], 1000),
    ):
        engine.execute(watcher, [b"WATCH", b"a"])
        engine.execute(watcher, [b"MULTI"])
        write()
        assert engine.execute(watcher, [b"EXEC"]) is NULL_ARRAY


def test_events_are_published(engine: Engine, run: Run) -> None:
    received: list[list[bytes]] = []
    listener = engine.connect(received.append, protocol=3)
    engine.execute(listener, [b"PSUBSCRIBE", b"__key*__:*"])
    received.clear()
    run("CONFIG", "SET", "notify-keyspace-events", "K$gm")
    session = engine.connect(lambda reply: None, protocol=3)
    setter(session)(b"a", b"1", 1000)
    msetter(session)([(b"b", b"1")], 0)
    assert getter(session)(b"missing") is None
    assert [push[3] for push in received] == [b"set", b"expire", b"set", b"keymiss"]


def test_memory_is_accounted_and_limited(engine: Engine, run: Run) -> None:
    run("CONFIG", "SET", "maxmemory", 50_000)
    session = engine.connect(lambda reply: None, protocol=3)
    set_, mset = setter(session), msetter(session)
    set_(b"a", b"x" * 10_000, 0)
    used = engine.used_bytes
    assert used > 10_000
    mset([(b"b", b"x" * 10_000)], 0)
    assert engine.used_bytes > used + 10_000
    set_(b"big", b"x" * 50_000, 0)
    with pytest.raises(CommandError, match="OOM"):
        set_(b"c", b"1", 0)


def test_lfu_counts_the_accesses(engine: Engine, run: Run) -> None:
    run("CONFIG", "SET", "maxmemory-policy", "allkeys-lfu", "lfu-log-factor", 0)
    session = engine.connect(lambda reply: None, protocol=3)
    setter(session)(b"a", b"1", 0)
    for _ in range(20):
        getter(session)(b"a")
    assert run("OBJECT", "FREQ", "a") > 20


def test_a_negative_ttl_is_an_error_and_changes_nothing(engine: Engine, run: Run) -> None:
    session = engine.connect(lambda reply: None, protocol=3)
    run("SET", "a", "old")
    with pytest.raises(CommandError, match="invalid expire time in 'set' command"):
        setter(session)(b"a", b"new", -1)
    assert run("GET", "a") == b"old"
    assert engine.epoch % 2 == 0


def test_a_fault_in_the_middle_of_a_write_leaves_an_engine_at_rest(
    engine: Engine, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = engine.connect(lambda reply: None, protocol=3)
    run("PING")

    def out_of_memory(*_args: object) -> int:
        raise MemoryError

    monkeypatch.setattr(Database, "insert", out_of_memory)
    for write in (
        lambda: setter(session)(b"a", b"1", 0),
        lambda: msetter(session)([(b"a", b"1")], 0),
    ):
        with pytest.raises(MemoryError):
            write()
        assert engine.epoch % 2 == 0
