"""An engine of its own for each test of the clients, under a name that nobody else has."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest

from cacheapp.engine import registry
from cacheapp.engine.engine import Engine
from cacheapp.engine.replies import Reply
from cacheapp.engine.session import Session

_numbers = itertools.count(1)


@pytest.fixture
def name() -> Iterator[str]:
    """The name of an engine, which is forgotten after the test."""
    chosen = f"clients-{next(_numbers)}"
    yield chosen
    Engine.discard(chosen)


@pytest.fixture
def url(name: str) -> str:
    """The URL of that engine."""
    return f"memory://{name}/0"


@pytest.fixture
def waiting_command() -> Iterator[str]:
    """A command that waits for the key ``k`` for so many milliseconds and then answers nil."""
    registry.load_commands()

    def wait(session: Session, timeout_ms: bytes) -> Reply:
        return session.engine.waiters.wait(
            session,
            [b"k"],
            bytes,
            lambda session, key: session.db.read_string(key),
            timeout_ms=int(timeout_ms),
            timed_out=None,
        )

    name = "TEST.WAIT"
    registry.command(name, arity=2, flags="blocking", group="list")(wait)
    yield name
    del registry.COMMANDS[name.encode()], registry.COMMANDS[name.lower().encode()]
