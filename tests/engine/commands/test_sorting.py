"""SORT in the engine alone: events, and the order that scripts and stores get."""

from __future__ import annotations

from cacheapp.engine.engine import Engine
from tests.engine.conftest import Run
from tests.engine.events import Events


def test_events(engine: Engine, run: Run) -> None:
    run("RPUSH", "list", 2, 1)
    events = Events(engine)
    run("SORT", "list", "STORE", "to")
    run("SORT", "missing", "STORE", "to")
    run("SORT", "missing", "STORE", "to")
    assert events.seen() == ["sortstore to", "del to"]


def test_a_script_gets_an_unsorted_set_in_order(engine: Engine, run: Run) -> None:
    run("SADD", "set", "c", "a", "d", "b")
    session = engine.connect(lambda reply: None)
    session.is_script = True
    reply = engine.execute(session, [b"SORT", b"set", b"BY", b"nosort"])
    assert reply == [b"a", b"b", b"c", b"d"]


def test_sorting_counts_what_it_looks_up(engine: Engine, run: Run) -> None:
    run("RPUSH", "list", 1, 2)
    run("SET", "weight:1", 5)
    engine.stats.reset()
    run("SORT", "list", "BY", "weight:*")
    assert (engine.stats.keyspace_hits, engine.stats.keyspace_misses) == (2, 1)
