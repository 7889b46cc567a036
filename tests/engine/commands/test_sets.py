"""Sets in the engine alone: events, and that picks are even through the commands."""

from __future__ import annotations

from collections import Counter

from cacheapp.engine.engine import Engine
from tests.engine.conftest import Run
from tests.engine.events import Events


def test_events(engine: Engine, run: Run) -> None:
    events = Events(engine)
    run("SADD", "s", "a", "b", "c")
    run("SADD", "s", "a")
    run("SREM", "s", "x")
    run("SREM", "s", "a")
    run("SMOVE", "s", "t", "b")
    run("SMOVE", "t", "t", "b")
    run("SMOVE", "s", "t", "c")
    run("SPOP", "t")
    run("SPOP", "t", 5)
    run("SPOP", "t", 5)
    assert events.seen() == [
        "sadd s", "srem s", "srem s", "sadd t", "srem s", "del s", "sadd t", "spop t", "spop t",
        "del t",
    ]  # fmt: skip


def test_events_of_stores(engine: Engine, run: Run) -> None:
    run("SADD", "s", "a", "b")
    events = Events(engine)
    run("SUNIONSTORE", "to", "s")
    run("SINTERSTORE", "to", "s", "s")
    run("SDIFFSTORE", "to", "s")
    run("SDIFFSTORE", "to", "s", "s")
    run("SINTERSTORE", "to", "s", "missing")
    assert events.seen() == ["sunionstore to", "sinterstore to", "sdiffstore to", "del to"]


def test_spop_takes_every_member_once_evenly(run: Run) -> None:
    firsts: Counter[bytes] = Counter()
    for _ in range(300):
        run("SADD", "s", *range(90), "x")
        popped = [run("SPOP", "s") for _ in range(91)]
        assert len(set(popped)) == 91
        firsts.update(popped[:30])
    # 99 expected of each, a standard deviation of some 8.
    assert all(15 < count < 190 for count in firsts.values())
    assert len(firsts) == 91


def test_a_deadline_survives_spop_of_nearly_everything(run: Run) -> None:
    run("SADD", "s", *range(100))
    run("PEXPIRE", "s", 5000)
    run("SPOP", "s", 99)
    assert run("PTTL", "s") == 5000
