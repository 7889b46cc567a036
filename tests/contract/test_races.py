"""Sessions and limits between real processes on a real server: nothing lost, nothing too much."""

from __future__ import annotations

from bisect import bisect_left
from typing import Any

import pytest

from cacheapp.cache.servers import server_of
from cacheapp.ratelimit.algorithms import ALGORITHMS
from cacheapp.sessions import SessionStore
from cacheapp.sessions.places import state
from tests.cache.aliases import maker
from tests.contract.racers import change, check, end_or_save, race
from tests.redis_server import RedisServer

PROCESSES, THREADS = 4, 16
SECOND_US = 1_000_000
# The most that each admits in any period, in limits.
BOUNDS = {
    "sliding-log": 1, "sliding-window": 2, "gcra": 2, "token-bucket": 2, "fixed-window": 2,
}  # fmt: skip

pytestmark = pytest.mark.requires_redis


@pytest.fixture
def url(redis_server: RedisServer, settings: Any) -> str:
    found: str = redis_server.url()
    maker(settings)(found)
    return found


def most_within(times: list[int], period_us: int) -> int:
    """The most of ``times``, which are sorted, that lie in any half-open period."""
    return max(bisect_left(times, first + period_us) - number for number, first in enumerate(times))


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_64_threads_in_4_processes_are_admitted_as_stated(url: str, algorithm: str) -> None:
    times = sorted(race(check, url, PROCESSES, algorithm, "100/m", 0.5, THREADS))
    lasted_us = times[-1] - times[0]
    assert len(times) >= 100
    if algorithm == "sliding-log":
        assert len(times) == 100
    elif algorithm in {"gcra", "token-bucket"}:
        # The burst within one emission interval, and then one each.
        assert most_within(times, 600_000) <= 101
        assert bisect_left(times, times[0] + 590_000) == 100 or lasted_us >= 590_000
        assert len(times) <= 100 + lasted_us // 600_000 + 1
    else:
        assert len(times) <= 200


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_no_period_holds_more_than_the_bound_edges_included(url: str, algorithm: str) -> None:
    times = sorted(race(check, url, PROCESSES, algorithm, "20/s", 2.5, 4))
    assert len(times) >= 20
    assert most_within(times, SECOND_US) <= 20 * BOUNDS[algorithm]


def test_no_change_of_a_session_is_lost_between_processes(url: str) -> None:
    session = SessionStore()
    session["a"] = 1
    session.save()
    race(change, url, PROCESSES, session.session_key, 50)
    assert len(SessionStore(session.session_key).keys()) == 1 + PROCESSES * 2 * 50


def test_an_ended_session_stays_ended_while_others_save_it(url: str) -> None:
    session = SessionStore()
    session["a"] = 1
    session.save()
    told = race(end_or_save, url, PROCESSES, session.session_key)
    assert len(told) == PROCESSES - 1
    key = state().key(session.store_name())
    assert not server_of("default").client().exists(key)
