"""Sorted sets in the engine alone: events, and which commands count as a change."""

from __future__ import annotations

from cacheapp.engine.engine import Engine
from tests.engine.conftest import Run
from tests.engine.events import Events


def test_events(engine: Engine, run: Run) -> None:
    events = Events(engine)
    run("ZADD", "z", 1, "a", 2, "b", 3, "c", 4, "d", 5, "e", 6, "f", 7, "g")
    run("ZADD", "z", 1, "a")
    run("ZADD", "z", "XX", 9, "new")
    run("ZINCRBY", "z", 1, "a")
    run("ZADD", "z", "INCR", 1, "a")
    run("ZREM", "z", "x")
    run("ZREM", "z", "a")
    run("ZPOPMIN", "z")
    run("ZPOPMAX", "z", 1)
    run("ZREMRANGEBYSCORE", "z", 3, 3)
    run("ZREMRANGEBYRANK", "z", 0, 0)
    run("ZREMRANGEBYRANK", "z", 9, 9)
    run("ZMPOP", 1, "z", "MIN", "COUNT", 9)
    run("ZADD", "lex", 0, "a")
    run("ZREMRANGEBYLEX", "lex", "-", "+")
    assert events.seen() == [
        "zadd z", "zincr z", "zincr z", "zrem z", "zpopmin z", "zpopmax z", "zremrangebyscore z",
        "zremrangebyrank z", "zpopmin z", "del z", "zadd lex", "zremrangebylex lex", "del lex",
    ]  # fmt: skip


def test_events_of_stores(engine: Engine, run: Run) -> None:
    run("ZADD", "z", 1, "a")
    events = Events(engine)
    run("ZRANGESTORE", "to", "z", 0, -1)
    run("ZUNIONSTORE", "to", 1, "z")
    run("ZINTERSTORE", "to", 1, "z")
    run("ZDIFFSTORE", "to", 1, "z")
    run("ZDIFFSTORE", "to", 2, "z", "z")
    run("ZRANGESTORE", "to", "missing", 0, -1)
    assert events.seen() == [
        "zrangestore to", "zunionstore to", "zinterstore to", "zdiffstore to", "del to",
    ]  # fmt: skip


def test_a_scan_returns_what_is_there_throughout_while_scores_change(run: Run) -> None:
    run("ZADD", "z", *(part for number in range(1000) for part in (number, f"m{number}")))
    cursor, page = run("ZSCAN", "z", 0, "COUNT", 100)
    seen = set(page[::2])
    number = 0
    while cursor != b"0":
        run("ZADD", "z", -number, f"m{999 - number}")
        run("ZREM", "z", f"m{number}")
        number += 1
        cursor, page = run("ZSCAN", "z", cursor, "COUNT", 100)
        seen.update(page[::2])
    assert seen >= {b"m%d" % kept for kept in range(number, 1000)}
