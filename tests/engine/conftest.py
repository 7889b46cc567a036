"""An engine on a clock that the test moves, and a function that runs commands on it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from cacheapp.engine.clock import ManualClock
from cacheapp.engine.engine import Engine
from tests.raw import Argument, encode

Run = Callable[..., Any]


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def engine(clock: ManualClock) -> Engine:
    return Engine({"enable-debug-command": "yes"}, clock=clock)


@pytest.fixture
def run(engine: Engine) -> Run:
    """`run("SET", "key", 1)` executes a command on one session of the engine."""
    session = engine.connect(lambda reply: None, protocol=3)

    def execute(*args: Argument) -> Any:
        return engine.execute(session, [encode(arg) for arg in args])

    return execute
