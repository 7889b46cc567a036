"""What popping from lists leaves behind: events, and keys that go with their last element."""

from __future__ import annotations

import pytest

from cacheapp.engine.engine import Engine
from cacheapp.engine.errors import CommandError
from tests.engine.conftest import Run
from tests.engine.events import Events


def test_events_of_commands_that_found_something(engine: Engine, run: Run) -> None:
    events = Events(engine)
    run("RPUSH", "k", *"abcdefg")
    run("BLPOP", "none", "k", 0)
    run("BRPOP", "k", 0)
    run("BLMPOP", 0, 1, "k", "LEFT", "COUNT", 2)
    run("BLMOVE", "k", "to", "LEFT", "RIGHT", 0)
    run("BRPOPLPUSH", "k", "k", 0)
    run("BLMPOP", 0, 1, "k", "RIGHT", "COUNT", 99)
    assert events.seen() == [
        "rpush k", "lpop k", "rpop k", "lpop k", "rpush to", "lpop k", "lpush k", "rpop k",
        "rpop k", "del k",
    ]  # fmt: skip


def test_nothing_is_taken_where_an_argument_is_wrong(run: Run) -> None:
    run("RPUSH", "k", "a")
    for line in ("BLPOP k x", "BLMPOP -1 1 k LEFT", "BLMOVE k to LEFT LEFT nan"):
        with pytest.raises(CommandError, match="timeout"):
            run(*line.split())
    assert run("LRANGE", "k", 0, -1) == [b"a"]
