"""Random interleavings of clients that wait and clients that write, against redis-server."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from cacheapp.engine.blocking import Waiters
from cacheapp.engine.structures.stream import Stream
from tests.differential.blocked import Draw, Parted, compare
from tests.redis_server import MISSING, RedisServer, binary

pytestmark = pytest.mark.requires_redis
SEQUENCES = 60
STEPS = 40


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    if binary() is None:
        pytest.skip(MISSING)
    with RedisServer() as server:
        yield server.port


@pytest.mark.parametrize("protocol", [2, 3])
def test_the_same_clients_are_served_the_same(port: int, protocol: int) -> None:
    seeds = range(protocol, SEQUENCES + protocol, 2)
    waits = sum(compare(port, Draw(seed).steps(STEPS), protocol) for seed in seeds)
    # Else the sequences would be too tame to tell anything.
    assert waits >= SEQUENCES


def test_a_planted_fault_is_found(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    def last(self: Waiters, database: Any, key: bytes) -> Any:
        kind = type(database.peek(key))
        if kind is Stream:
            return None
        queue = [waiter for waiter in database.waiters.get(key, ()) if waiter.kind is kind]
        return queue[-1] if queue else None

    monkeypatch.setattr(Waiters, "_first_for", last)
    steps = [step for seed in range(SEQUENCES) for step in Draw(seed).steps(STEPS)]
    with pytest.raises(Parted):
        compare(port, steps, 2)
