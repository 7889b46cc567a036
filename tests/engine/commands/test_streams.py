"""Streams where the clock matters, what the engine has beyond Redis 7.0, and a model.

The model is a real redis-server: Hypothesis draws operations, and the whole of both streams, with
groups and what is pending, is compared after each.
"""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from cacheapp.engine.clock import ManualClock
from cacheapp.engine.engine import Engine
from cacheapp.engine.errors import CommandError
from cacheapp.engine.replies import BLOCKED, NULL_ARRAY
from tests.differential.replies import agree
from tests.differential.sides import EngineSide, RedisSide
from tests.engine.conftest import Run
from tests.raw import encode
from tests.redis_server import MISSING, RedisServer, binary


class Client:
    """A session whose late replies are kept."""

    def __init__(self, engine: Engine) -> None:
        self.late: list[Any] = []
        self._engine = engine
        self._session = engine.connect(self.late.append)

    def run(self, line: str) -> Any:
        return self._engine.execute(self._session, [encode(word) for word in line.split()])


@pytest.fixture
def reader(engine: Engine) -> Client:
    return Client(engine)


def test_ids_come_from_the_clock(run: Run, clock: ManualClock) -> None:
    assert run("XADD", "log", "*", "a", 1) == b"1700000000000-0"
    assert run("XADD", "log", "*", "a", 1) == b"1700000000000-1"
    clock.advance(1.5)
    assert run("XADD", "log", "*", "a", 1) == b"1700000001500-0"
    clock.advance(-60)
    assert run("XADD", "log", "*", "a", 1) == b"1700000001500-1"


def test_a_wait_ends_in_time(run: Run, engine: Engine, clock: ManualClock, reader: Client) -> None:
    assert reader.run("XREAD BLOCK 1500 STREAMS log $") is BLOCKED
    assert engine.waiters.next_deadline_ms() == 1_700_000_001_500
    clock.advance(1.499)
    engine.tick()
    assert reader.late == []
    clock.advance(0.001)
    engine.tick()
    assert reader.late == [NULL_ARRAY]
    run("XADD", "log", "*", "a", 1)
    assert len(reader.late) == 1


def test_a_key_that_is_due_ends_the_wait_in_a_group(
    run: Run, engine: Engine, clock: ManualClock, reader: Client
) -> None:
    run("XGROUP", "CREATE", "log", "g", "$", "MKSTREAM")
    assert reader.run("XREADGROUP GROUP g ann BLOCK 0 STREAMS log >") is BLOCKED
    run("PEXPIRE", "log", 100)
    clock.advance(1)
    engine.tick()
    assert [str(reply) for reply in reader.late] == ["UNBLOCKED the stream key no longer exists"]


def test_a_session_that_is_gone_is_not_served(run: Run, engine: Engine, reader: Client) -> None:
    run("XGROUP", "CREATE", "log", "g", "$", "MKSTREAM")
    reader.run("XREADGROUP GROUP g ann BLOCK 0 STREAMS log >")
    engine.disconnect(reader._session)
    run("XADD", "log", "*", "a", 1)
    assert reader.late == []
    assert run("XPENDING", "log", "g")[0] == 0
    assert engine.databases[0].waiters == {}


def test_many_wait_for_one_entry(run: Run, engine: Engine) -> None:
    readers = [Client(engine) for _ in range(100)]
    for client in readers:
        client.run("XREAD BLOCK 0 STREAMS log other $ $")
    run("XADD", "log", "1-1", "a", 1)
    assert all(client.late == [[[b"log", [[b"1-1", [b"a", b"1"]]]]]] for client in readers)
    assert not engine.waiters.by_session


def test_idle_times(run: Run, clock: ManualClock) -> None:
    run("XADD", "log", "1-1", "a", 1)
    run("XGROUP", "CREATE", "log", "g", 0)
    run("XREADGROUP", "GROUP", "g", "ann", "STREAMS", "log", ">")
    clock.advance(2)
    assert run("XPENDING", "log", "g", "-", "+", 1) == [[b"1-1", b"ann", 2000, 1]]
    assert run("XPENDING", "log", "g", "IDLE", 2001, "-", "+", 1) == []
    assert run("XINFO", "CONSUMERS", "log", "g")[0][b"idle"] == 2000
    assert run("XAUTOCLAIM", "log", "g", "bob", 2001, 0)[1] == []
    assert run("XAUTOCLAIM", "log", "g", "bob", 2000, 0, "JUSTID")[1] == [b"1-1"]
    clock.advance(1)
    assert run("XCLAIM", "log", "g", "ann", 1001, "1-1") == []
    run("XCLAIM", "log", "g", "ann", 1000, "1-1", "IDLE", 300, "RETRYCOUNT", 5)
    full = run("XINFO", "STREAM", "log", "FULL")[b"groups"][0]
    assert full[b"pending"] == [[b"1-1", b"ann", 1_700_000_002_700, 5]]
    assert full[b"consumers"][0][b"seen-time"] == 1_700_000_003_000


def test_a_consumer_is_seen_when_it_asks_and_active_when_it_gets(
    run: Run, clock: ManualClock
) -> None:
    """The two times of Redis 7.2; until then there was one, of asking and getting."""

    def times() -> tuple[int, int]:
        consumer = run("XINFO", "CONSUMERS", "log", "g")[0]
        return consumer[b"idle"], consumer[b"inactive"]

    read = ("XREADGROUP", "GROUP", "g", "ann", "STREAMS", "log", ">")
    run("XGROUP", "CREATE", "log", "g", "$", "MKSTREAM")
    run("XGROUP", "CREATECONSUMER", "log", "g", "ann")
    clock.advance(1)
    assert times() == (1000, -1)
    run(*read)
    assert times() == (0, -1)
    run("XADD", "log", "1-1", "a", 1)
    run(*read)
    clock.advance(1)
    assert times() == (1000, 1000)
    run("XCLAIM", "log", "g", "ann", 5000, "1-1")
    assert times() == (0, 1000)
    run("XAUTOCLAIM", "log", "g", "ann", 5000, "0")
    clock.advance(1)
    assert times() == (1000, 2000)
    run("XAUTOCLAIM", "log", "g", "ann", 0, "0")
    assert times() == (0, 0)
    run("COPY", "log", "copy")
    consumer = run("XINFO", "STREAM", "copy", "FULL")[b"groups"][0][b"consumers"][0]
    assert consumer[b"active-time"] == consumer[b"seen-time"] == int(clock.time() * 1000)


def test_reading_the_last_entry(run: Run, reader: Client) -> None:
    """`+` is Redis 7.4's."""
    assert reader.run("XREAD STREAMS log +") is NULL_ARRAY
    assert reader.run("XREAD BLOCK 0 STREAMS log +") is BLOCKED
    run("XADD", "log", "1-1", "a", 1)
    assert reader.late == [[[b"log", [[b"1-1", [b"a", b"1"]]]]]]
    run("XADD", "log", "2-0", "a", 2)
    assert run("XREAD", "COUNT", 5, "STREAMS", "log", "+") == {b"log": [[b"2-0", [b"a", b"2"]]]}
    run("XDEL", "log", "2-0")
    assert run("XREAD", "STREAMS", "log", "+") == {b"log": [[b"1-1", [b"a", b"1"]]]}
    run("XDEL", "log", "1-1")
    assert run("XREAD", "STREAMS", "log", "+") is NULL_ARRAY
    run("XGROUP", "CREATE", "log", "g", 0)
    with pytest.raises(CommandError, match="The \\+ ID is meaningless"):
        run("XREADGROUP", "GROUP", "g", "ann", "STREAMS", "log", "+")


def test_the_account_of_memory(run: Run, engine: Engine) -> None:
    run("CONFIG", "SET", "maxmemory", "1gb")
    run("XGROUP", "CREATE", "log", "g", 0, "MKSTREAM")
    empty = engine.used_bytes
    for number in range(500):
        run("XADD", "log", f"{number + 1}-0", "field", "x" * 50)
    full = engine.used_bytes
    assert 500 * 60 < full - empty < 500 * 120
    run("XREADGROUP", "GROUP", "g", "ann", "STREAMS", "log", ">")
    assert engine.used_bytes > full + 500 * 100
    run("DEL", "log")
    assert engine.used_bytes == 0


KEYS = st.sampled_from(["log"] * 4 + ["other"])
IDS = st.builds("{}-{}".format, st.integers(0, 12), st.integers(0, 2))
VALUES = st.sampled_from(["", "1", "-70000", "abc", "x" * 70])
FIELDS = st.lists(st.tuples(st.sampled_from(["f", "f", "g"]), VALUES), min_size=1, max_size=2)
NAMES = st.sampled_from(["ann", "bob"])
WHOLE = [b"XINFO", b"STREAM", b"log", b"FULL", b"COUNT", b"0"]


class StreamsAgainstRedis(RuleBasedStateMachine):
    """Both servers take the same commands; `redis` is set by the test."""

    redis: RedisSide

    def __init__(self) -> None:
        super().__init__()
        self.redis.begin(2, True, False)
        self.engine = EngineSide(2, True, False)
        for key in ("log", "other"):
            self.same("XGROUP", "CREATE", key, "g", "0", "MKSTREAM")

    def same(self, *args: object) -> None:
        command = [encode(str(arg)) for arg in args]
        expected = self.redis.execute(0, command)
        actual = self.engine.execute(0, command)
        assert agree(self.redis.ask, command, expected, actual), (command, expected, actual)

    @rule(key=KEYS, ms=st.integers(0, 12), fields=FIELDS)
    def add(self, key: str, ms: int, fields: list[tuple[str, str]]) -> None:
        self.same("XADD", key, f"{ms}-*", *(item for pair in fields for item in pair))

    @rule(key=KEYS, count=st.integers(5, 30))
    def add_many(self, key: str, count: int) -> None:
        for number in range(count):
            self.same("XADD", key, "12-*", "f", number)

    @rule(key=KEYS, names=st.lists(IDS, min_size=1, max_size=4))
    def delete(self, key: str, names: list[str]) -> None:
        self.same("XDEL", key, *names)

    @rule(key=KEYS, how=st.sampled_from(["=", "~"]), length=st.integers(0, 20))
    def trim(self, key: str, how: str, length: int) -> None:
        self.same("XTRIM", key, "MAXLEN", how, length)

    @rule(key=KEYS, low=IDS, high=IDS)
    def read(self, key: str, low: str, high: str) -> None:
        self.same("XRANGE", key, low, f"({high}")
        self.same("XREVRANGE", key, high, low, "COUNT", 2)
        self.same("XREAD", "COUNT", 3, "STREAMS", key, low)

    @rule(key=KEYS, name=NAMES, count=st.integers(1, 4), start=st.sampled_from([">"] * 4 + ["0"]))
    def read_in_group(self, key: str, name: str, count: int, start: str) -> None:
        self.same("XREADGROUP", "GROUP", "g", name, "COUNT", count, "STREAMS", key, start)

    @rule(key=KEYS, names=st.lists(IDS, min_size=1, max_size=4))
    def acknowledge(self, key: str, names: list[str]) -> None:
        self.same("XACK", key, "g", *names)

    @rule(
        key=KEYS, name=NAMES, names=st.lists(IDS, min_size=1, max_size=3),
        option=st.sampled_from(["FORCE", "JUSTID", "RETRYCOUNT 7", "LASTID 5-0", "IDLE 90000"]),
    )  # fmt: skip
    def claim(self, key: str, name: str, names: list[str], option: str) -> None:
        self.same("XCLAIM", key, "g", name, 0, *names, *option.split())

    @rule(key=KEYS, name=NAMES, start=IDS, count=st.integers(1, 3))
    def claim_by_itself(self, key: str, name: str, start: str, count: int) -> None:
        self.same("XAUTOCLAIM", key, "g", name, 0, start, "COUNT", count)

    @rule(key=KEYS, start=st.sampled_from(["$", "0", "5-0"]))
    def set_group(self, key: str, start: str) -> None:
        self.same("XGROUP", "SETID", key, "g", start)

    @rule(key=KEYS, name=NAMES)
    def dismiss(self, key: str, name: str) -> None:
        self.same("XGROUP", "DELCONSUMER", key, "g", name)

    @rule()
    def copy(self) -> None:
        self.same("COPY", "log", "other", "REPLACE")

    @invariant()
    def whole(self) -> None:
        self.same(*(word.decode() for word in WHOLE))
        self.same("XPENDING", "log", "g")
        self.same("XINFO", "GROUPS", "other")


@pytest.mark.requires_redis
def test_streams_and_groups_are_those_of_redis() -> None:
    if binary() is None:
        pytest.skip(MISSING)
    with RedisServer() as server:
        StreamsAgainstRedis.redis = RedisSide(server.port)
        try:
            run_state_machine_as_test(
                StreamsAgainstRedis,
                settings=settings(
                    max_examples=40, stateful_step_count=30, deadline=None, derandomize=True
                ),
            )
        finally:
            StreamsAgainstRedis.redis.close()
