"""What popping from sorted sets leaves behind: events, and keys that go with their last member."""

from __future__ import annotations

import pytest

from cacheapp.engine.engine import Engine
from cacheapp.engine.errors import CommandError
from tests.engine.conftest import Run
from tests.engine.events import Events


def test_events_of_commands_that_found_something(engine: Engine, run: Run) -> None:
    events = Events(engine)
    run("ZADD", "z", 1, "a", 2, "b", 3, "c", 4, "d", 5, "e")
    assert run("BZPOPMIN", "none", "z", 0) == [b"z", b"a", 1.0]
    assert run("BZPOPMAX", "z", 0) == [b"z", b"e", 5.0]
    assert run("BZMPOP", 0, 1, "z", "MAX", "COUNT", 2) == [b"z", [[b"d", 4.0], [b"c", 3.0]]]
    assert run("BZMPOP", 0, 1, "z", "MIN", "COUNT", 99) == [b"z", [[b"b", 2.0]]]
    assert events.seen() == ["zadd z", "zpopmin z", "zpopmax z", "zpopmax z", "zpopmin z", "del z"]


def test_ties_go_by_member(run: Run) -> None:
    run("ZADD", "z", 0, "b", 0, "a", 0, "c")
    assert run("BZPOPMIN", "z", 0) == [b"z", b"a", 0.0]
    assert run("BZPOPMAX", "z", 0) == [b"z", b"c", 0.0]


def test_nothing_is_taken_where_an_argument_is_wrong(run: Run) -> None:
    run("ZADD", "z", 1, "a")
    for line in ("BZPOPMIN z x", "BZMPOP -1 1 z MIN", "BZPOPMAX z nan"):
        with pytest.raises(CommandError, match="timeout"):
            run(*line.split())
    assert run("ZCARD", "z") == 1
