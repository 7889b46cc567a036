"""The stream of effects, as sinks get it; the differential tests compare it with that of Redis."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest

from cacheapp.engine import propagation
from cacheapp.engine.clock import ManualClock
from cacheapp.engine.engine import Engine
from cacheapp.engine.errors import CommandError
from cacheapp.engine.native import NOT_NATIVE, runner
from cacheapp.engine.propagation import TO_FILE, TO_REPLICAS
from cacheapp.engine.shortcuts import getter, msetter, setter

NOW_MS = 1_700_000_000_000


class Heard:
    """A sink that remembers; an empty line stands for the end of what belongs together."""

    def __init__(self, kind: int = TO_REPLICAS) -> None:
        self.kind = kind
        self.lines: list[str] = []

    def feed(self, db_index: int, args: list[bytes]) -> None:
        self.lines.append(f"{db_index}> " + b" ".join(args).decode())

    def settle(self) -> None:
        self.lines.append("")

    def take(self) -> list[str]:
        lines, self.lines = [line for line in self.lines if line], []
        return lines


class Told:
    """An engine with a sink and a client."""

    def __init__(self, **options: str) -> None:
        self.clock = ManualClock(NOW_MS / 1000)
        names = {name.replace("_", "-"): value for name, value in options.items()}
        self.engine = Engine(names, clock=self.clock)
        self.received: list[Any] = []
        self.session = self.engine.connect(self.received.append)
        self.other = self.engine.connect(self.received.append)
        self.heard = Heard()
        propagation.listen(self.engine, self.heard)

    def run(self, line: str) -> list[str]:
        """The effects of a command."""
        with suppress(CommandError):
            self.engine.execute(self.session, line.encode().split())
        return self.heard.take()


@pytest.fixture
def told() -> Told:
    return Told()


def test_a_command_goes_out_as_it_was_given_if_it_changed_something(told: Told) -> None:
    assert told.run("sadd t a b") == ["0> sadd t a b"]
    assert told.run("sadd t a b") == []
    assert told.run("get t") == []
    assert told.run("select 3") == []
    assert told.run("INCR n") == ["3> INCR n"]


@pytest.mark.parametrize(
    ("line", "effect"),
    [
        ("SET k v EX 10", f"SET k v PXAT {NOW_MS + 10_000}"),
        ("SETEX k 10 v", f"SET k v PXAT {NOW_MS + 10_000}"),
        ("SET k v GET KEEPTTL", "SET k v KEEPTTL"),
        ("GETSET k v", "SET k v"),
        ("INCRBYFLOAT n 1.5", "SET n 1.5 KEEPTTL"),
        ("HINCRBYFLOAT h f 2.5", "HSET h f 2.5"),
        ("HPEXPIRE old 5 FIELDS 1 f", f"HPEXPIREAT old {NOW_MS + 5} FIELDS 1 f"),
        ("HPEXPIRE old 0 FIELDS 1 f", "HDEL old f"),
        ("XADD x * a 1", f"XADD x {NOW_MS}-0 a 1"),
        ("FLUSHALL", "FLUSHALL"),
        ("PUBLISH c m", "PUBLISH c m"),
    ],
)
def test_what_depends_on_the_time_or_the_reply_is_written_out(
    told: Told, line: str, effect: str
) -> None:
    told.run("HSET old f v g w")
    assert told.run(line) == [f"0> {effect}"]


def test_a_number_in_a_hash_keeps_its_deadline(told: Told) -> None:
    told.run("HSET h f 1")
    told.run("HPEXPIRE h 500 FIELDS 1 f")
    assert told.run("HINCRBYFLOAT h f 1.5") == [
        "0> MULTI", "0> HSET h f 2.5", f"0> HPEXPIREAT h {NOW_MS + 500} FIELDS 1 f", "0> EXEC",
    ]  # fmt: skip


@pytest.mark.parametrize("command", ["HPERSIST h", "HPEXPIRE h 900", "HEXPIREAT h 9999999999"])
def test_a_due_field_is_gone_before_others_get_a_new_deadline(told: Told, command: str) -> None:
    told.engine.active_expire = False
    told.run("HSET h due 1 f 1")
    told.run("HPEXPIRE h 5 FIELDS 1 due")
    told.run("HPEXPIRE h 900 FIELDS 1 f")
    told.clock.advance(0.1)
    lines = told.run(f"{command} FIELDS 2 due f")
    assert lines[:2] == ["0> MULTI", "0> HDEL h due"]


def test_a_due_key_goes_out_with_the_command_that_met_it_or_alone(told: Told) -> None:
    told.run("SET a 1 PX 5")
    told.run("SET b 1 PX 5")
    told.run("SET c 1 PX 5")
    told.engine.active_expire = False
    told.clock.advance(1)
    assert told.run("SET a 2") == ["0> MULTI", "0> DEL a", "0> SET a 2", "0> EXEC"]
    assert told.run("GET b") == ["0> DEL b"]
    told.engine.active_expire = True
    told.clock.advance(1)
    told.engine.tick()
    assert told.heard.take() == ["0> DEL c"]


def test_evicted_keys_go_out_one_by_one_and_unlinked_where_that_is_lazy() -> None:
    told = Told(maxmemory_policy="allkeys-random", lazyfree_lazy_eviction="yes")
    told.run("MSET a 1 b 2 c 3")
    told.run("CONFIG SET maxmemory 1")
    # A limit takes effect after the command, or the transaction, that set it.
    lines = told.run("PING")
    assert sorted(lines) == ["0> UNLINK a", "0> UNLINK b", "0> UNLINK c"]


def test_a_transaction_and_a_script_are_wrapped_where_they_do_several_things(told: Told) -> None:
    for line in ("MULTI", "SET a 1", "GET a", "EXEC"):
        assert told.run(line) == ([] if line != "EXEC" else ["0> SET a 1"])
    for line in ("MULTI", "SET a 1", "SELECT 2", "SET b 1"):
        told.run(line)
    assert told.run("EXEC") == ["0> MULTI", "0> SET a 1", "2> SET b 1", "2> EXEC"]
    script = b"redis.call('SET','a','1') redis.call('INCR','b') return redis.call('GET','a')"
    told.engine.execute(told.session, [b"EVAL", script, b"0"])
    assert told.heard.take() == ["2> MULTI", "2> SET a 1", "2> INCR b", "2> EXEC"]


def test_a_script_chooses_who_is_told(told: Told) -> None:
    file = Heard(TO_FILE)
    propagation.listen(told.engine, file)
    script = b"redis.set_repl(redis.REPL_AOF) redis.call('SET','a','1')"
    told.engine.execute(told.session, [b"EVAL", script, b"0"])
    assert (told.heard.take(), file.take()) == ([], ["0> SET a 1"])
    told.run("SET a 2")
    told.run("PUBLISH c m")
    assert file.take() == ["0> SET a 2"]


def test_who_waited_is_told_of_as_the_plain_command(told: Told) -> None:
    told.engine.execute(told.other, [b"BLPOP", b"l", b"0"])
    assert told.run("RPUSH l a") == ["0> RPUSH l a", "0> LPOP l"]
    told.engine.execute(told.other, [b"BLMOVE", b"l", b"m", b"LEFT", b"RIGHT", b"0"])
    assert told.run("RPUSH l a") == ["0> RPUSH l a", "0> LMOVE l m LEFT RIGHT"]


def test_shortcuts_that_write_are_told_of_and_those_that_read_stay(told: Told) -> None:
    setter(told.session)(b"a", b"1", 5)
    msetter(told.session)([(b"b", b"2"), (b"c", b"3")], 0)
    assert told.heard.take() == [
        f"0> SET a 1 PXAT {NOW_MS + 5}", "0> MULTI", "0> SET b 2", "0> SET c 3", "0> EXEC"
    ]  # fmt: skip
    before = told.engine.stats.fast_gets
    assert getter(told.session)(b"a") == b"1"
    assert told.engine.stats.fast_gets == before + 1


def test_what_is_set_together_goes_out_together_though_it_ends_early(told: Told) -> None:
    mset = msetter(told.session)
    mset([(b"b", b"2")], 5)
    assert told.heard.take() == [f"0> SET b 2 PXAT {NOW_MS + 5}"]
    assert told.run("MULTI") == []
    mset([(b"b", b"3"), (b"c", b"3")], 0)
    assert told.heard.take() == []
    assert told.run("EXEC") == ["0> MULTI", "0> SET b 3", "0> SET c 3", "0> EXEC"]

    def breaking() -> Iterator[tuple[bytes, bytes]]:
        yield b"b", b"4"
        yield b"c", b"4"
        raise ValueError

    with pytest.raises(ValueError):  # noqa: PT011
        mset(breaking(), 0)
    assert told.heard.take() == ["0> MULTI", "0> SET b 4", "0> SET c 4", "0> EXEC"]
    assert told.run("INCR n") == ["0> INCR n"]


def test_a_native_script_is_told_of_by_its_commands(told: Told) -> None:
    def native(call: Any, _now_us: int, keys: Any, _arguments: Any) -> Any:
        call(b"SET", keys[0], b"1", b"PX", b"5")
        return call(b"INCR", b"n")

    assert runner(told.session)(native, [b"k"], []) not in (NOT_NATIVE, None)
    assert told.heard.take() == [
        "0> MULTI", f"0> SET k 1 PXAT {NOW_MS + 5}", "0> INCR n", "0> EXEC",
    ]  # fmt: skip


def test_nothing_is_left_of_it_once_nobody_listens(told: Told) -> None:
    propagation.ignore(told.engine, told.heard)
    assert told.engine.propagation is None
    assert told.run("SET a 1") == []
    before = told.engine.stats.fast_sets
    setter(told.session)(b"a", b"1", 0)
    assert told.engine.stats.fast_sets == before + 1
