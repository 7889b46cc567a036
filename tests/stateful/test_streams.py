"""A short run of the machine of streams, the same each time; and that it finds planted faults."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from cacheapp.engine import registry
from cacheapp.engine.session import Session
from tests.differential.sides import RedisSide
from tests.redis_server import MISSING, RedisServer, binary
from tests.stateful.running import run
from tests.stateful.streams import StreamMachine

pytestmark = pytest.mark.requires_redis
SEED = 3


@pytest.fixture(scope="module")
def machine() -> Iterator[type[StreamMachine]]:
    if binary() is None:
        pytest.skip(MISSING)
    with RedisServer() as server:
        StreamMachine.redis = RedisSide(server.port)
        yield StreamMachine
        StreamMachine.redis.close()


def test_the_engine_goes_through_the_states_that_redis_goes_through(
    machine: type[StreamMachine],
) -> None:
    run(machine, examples=50, steps=40, number=SEED)


def test_an_acknowledgement_that_is_lost_is_found(
    machine: type[StreamMachine], monkeypatch: pytest.MonkeyPatch
) -> None:
    row = registry.find(b"XACK")
    assert row is not None
    right = row.handler

    def forgetful(ctx: Session, key: bytes, group: bytes, *ids: bytes) -> Any:
        return right(ctx, key, group, *ids[:1])

    monkeypatch.setattr(row, "handler", forgetful)
    with pytest.raises(AssertionError, match="XACK"):
        run(machine, examples=300, steps=40, number=SEED, shrink=False)
