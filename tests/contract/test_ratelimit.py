"""Limiters on both servers: what they admit, charge, give back and forget, in both modes."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from cacheapp.cache.servers import server_of
from cacheapp.ratelimit.algorithms import ALGORITHMS
from cacheapp.ratelimit.limiter import Limiter
from cacheapp.ratelimit.rates import Rate, parse_rates
from tests.cache.aliases import maker
from tests.contract.conftest import Server

MakeLimiter = Callable[..., Limiter]


@pytest.fixture
def limiter(server: Server, settings: Any) -> MakeLimiter:
    """A function that makes a limiter without a memo on the server's alias."""
    maker(settings)(server.url, KEY_PREFIX="p")

    def make(rates: Any, algorithm: str = "sliding-window", **options: Any) -> Limiter:
        return Limiter("rule", rates, algorithm=algorithm, **{"memo_seconds": 0, **options})

    return make


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_limit(limiter: MakeLimiter, algorithm: str) -> None:
    limit = limiter("3/h", algorithm)
    decisions = [limit.check("a") for _ in range(4)]
    assert [bool(decision) for decision in decisions] == [True, True, True, False]
    assert [decision.remaining for decision in decisions] == [2, 1, 0, 0]
    assert decisions[0].retry_after_s == 0
    assert 0 < decisions[3].retry_after_s <= 7200
    assert decisions[3].violated == (Rate(3, 3600),)
    assert limit.check("b")


@pytest.mark.parametrize("algorithm", ALGORITHMS)
async def test_a_limit_in_async_code(limiter: MakeLimiter, algorithm: str) -> None:
    limit = limiter("3/h", algorithm)
    assert [bool(await limit.acheck("a")) for _ in range(4)] == [True, True, True, False]
    assert (await limit.arefund("a")).remaining == 1
    assert (await limit.apeek("a")).allowed
    assert await limit.acheck("a")
    assert not (await limit.apeek("a")).allowed
    assert await limit.areset("a")
    assert await limit.acheck("a")


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_several_rates_are_charged_all_or_none(limiter: MakeLimiter, algorithm: str) -> None:
    limit = limiter(["5/d", "2/w"], algorithm)
    assert [bool(limit.check("a")) for _ in range(5)] == [True, True, False, False, False]
    refused = limit.check("a")
    assert [state.remaining for state in refused.states] == [3, 0]
    assert refused.violated == (Rate(2, 604_800),)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_costs(limiter: MakeLimiter, algorithm: str) -> None:
    limit = limiter("5/h", algorithm)
    assert limit.check("a", 3).remaining == 2
    assert not limit.check("a", 3)
    assert limit.check("a", 2).remaining == 0
    assert limit.refund("a", 4).remaining == 4
    assert limit.check("a", 9, force=True).remaining == 0
    assert limit.refund("a", 100).remaining == 5
    with pytest.raises(ValueError, match="whole number"):
        limit.check("a", 1.5)  # type: ignore[arg-type]


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_looking_charges_nothing(limiter: MakeLimiter, algorithm: str) -> None:
    limit = limiter("1/h", algorithm)
    for _ in range(3):
        assert limit.peek("a").remaining == 1
    assert limit.peek("a")
    assert limit.check("a")
    looked = limit.peek("a")
    assert not looked
    assert looked.retry_after_s > 0


def test_a_reset_forgets(limiter: MakeLimiter) -> None:
    limit = limiter("1/h")
    assert not limit.reset("a")
    assert limit.check("a")
    assert not limit.check("a")
    assert limit.reset("a")
    assert limit.check("a")


def test_a_limit_of_nothing(limiter: MakeLimiter) -> None:
    limit = limiter(["0/m", "5/h"])
    refused = limit.check("a")
    assert not refused
    assert refused.retry_after_s == 3600
    assert limit.check("a", rates=parse_rates(["1/m", "5/h"]))


def test_a_plan_counts_on(limiter: MakeLimiter) -> None:
    limit = limiter("2/h")
    assert [bool(limit.check("a")) for _ in range(3)] == [True, True, False]
    better = parse_rates("4/h")
    assert [bool(limit.check("a", rates=better)) for _ in range(3)] == [True, True, False]


def test_keys_are_short_and_say_nothing_of_whom(limiter: MakeLimiter) -> None:
    limit = limiter("5/h")
    for identity in ("203.0.113.7", "x" * 100_000, "\N{SNOWMAN} \n", "\ud800"):
        limit.check(identity)
    keys = list(server_of("default").client().scan_iter(count=100))
    assert len(keys) == 4
    for key in keys:
        assert key.startswith(b"p:limit:rule:w3600:")
        assert len(key) < 60
        assert server_of("default").client().pttl(key) > 0


def test_the_memo_spares_the_server(limiter: MakeLimiter) -> None:
    limit = limiter("1/h", memo_seconds=5)
    limit.check("a")
    first = limit.check("a")
    assert first.source == "server"
    client = server_of("default").client()
    before = client.info("commandstats")["cmdstat_evalsha"]["calls"]
    refusals = [limit.check("a") for _ in range(50)]
    assert {decision.source for decision in refusals} == {"memo"}
    assert all(
        first.retry_after_s - 5 < decision.retry_after_s <= first.retry_after_s
        for decision in refusals
    )
    assert {decision.remaining for decision in refusals} == {0}
    assert refusals[-1].violated == first.violated
    assert client.info("commandstats")["cmdstat_evalsha"]["calls"] == before
    assert limit.check("b")
    limit.refund("a")
    assert limit.check("a")


@pytest.mark.parametrize("algorithm", ["sliding-log", "gcra"])
def test_threads_are_admitted_exactly(limiter: MakeLimiter, algorithm: str) -> None:
    limit = limiter("100/d", algorithm)
    start = threading.Barrier(16)

    def worker(_number: int) -> int:
        start.wait()
        return sum(bool(limit.check("a")) for _ in range(20))

    with ThreadPoolExecutor(16) as pool:
        assert sum(pool.map(worker, range(16))) == 100


def test_a_refusal_is_remembered_for_its_own_rates(limiter: MakeLimiter) -> None:
    limit = limiter("1/s", memo_seconds=5)
    few, many = parse_rates("1/w"), parse_rates("9/w")
    assert [bool(limit.check("a", rates=few)) for _ in range(2)] == [True, False]
    assert limit.check("a", rates=many)
    assert limit.check("a", rates=few).source == "memo"


def test_what_is_given_back_is_there_at_once(limiter: MakeLimiter) -> None:
    limit = limiter("2/w", memo_seconds=5)
    assert [bool(limit.check("a")) for _ in range(3)] == [True, True, False]
    assert limit.check("a", -1, force=True)
    assert limit.check("a")


def test_long_identities_are_not_kept(limiter: MakeLimiter) -> None:
    limit = limiter("2/w")
    long = "header:" + "x" * 5000
    assert [bool(limit.check(long)) for _ in range(3)] == [True, True, False]
    assert long not in limit.keys
