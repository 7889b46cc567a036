"""Random commands of every group: the engine sends to its sinks what Redis sends to a replica."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from cacheapp.engine import effects
from tests.differential.effects import Attached, EffectComparison
from tests.differential.fuzz import fuzz
from tests.differential.groups import GROUPS
from tests.differential.harness import Comparison
from tests.differential.sides import RedisSide
from tests.redis_server import HOST, MISSING, RedisServer, binary

pytestmark = pytest.mark.requires_redis
COMMANDS = 300
SEED = 1
NAMES = [
    "strings", "bitmaps", "hyperloglogs", "geo", "lists", "hashes", "sets", "sortedsets", "streams",
    "keys", "transactions", "scripting", "functions", "dumps", "mixed",
]  # fmt: skip


@pytest.fixture(scope="module")
def comparison() -> Iterator[EffectComparison]:
    if binary() is None:
        pytest.skip(MISSING)
    with RedisServer(repl_diskless_sync="no") as server:
        redis, attached = RedisSide(server.port), Attached(HOST, server.port)
        yield EffectComparison(Comparison(redis), attached)
        attached.close()
        redis.close()


@pytest.mark.parametrize("name", NAMES)
def test_the_engine_sends_what_redis_does(comparison: EffectComparison, name: str) -> None:
    before = comparison.effects
    outcome = fuzz(GROUPS[name], comparison, COMMANDS, SEED)
    assert outcome.failure is None, outcome.failure
    # Else the sequences would be too tame to tell anything.
    assert comparison.effects - before > COMMANDS / 20


def test_a_planted_fault_is_found(
    comparison: EffectComparison, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(effects.EFFECTS, "SETEX")
    assert fuzz(GROUPS["strings"], comparison, 20_000, SEED).failure is not None
