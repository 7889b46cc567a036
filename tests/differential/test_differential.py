"""A short run of every group; `make fuzz` is the long one."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.differential.fuzz import fuzz
from tests.differential.groups import GROUPS
from tests.differential.harness import Comparison
from tests.differential.sides import RedisSide
from tests.redis_server import MISSING, RedisServer, binary

pytestmark = pytest.mark.requires_redis
COMMANDS = 400
SEED = 1


@pytest.fixture(scope="module")
def comparison() -> Iterator[Comparison]:
    if binary() is None:
        pytest.skip(MISSING)
    with RedisServer() as server:
        redis = RedisSide(server.port)
        yield Comparison(redis)
        redis.close()


@pytest.mark.parametrize("name", GROUPS)
def test_the_engine_answers_as_redis_does(comparison: Comparison, name: str) -> None:
    outcome = fuzz(GROUPS[name], comparison, COMMANDS, SEED)
    assert outcome.failure is None, outcome.failure
    assert outcome.total >= COMMANDS
