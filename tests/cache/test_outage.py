"""The state of an outage: one line in the log at each end, every failure counted."""

from __future__ import annotations

import logging

import pytest
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import OutOfMemoryError

from cacheapp.cache.outage import BREAKER_FAILURES, CircuitOpenError, Outages


def test_an_outage_is_logged_once_and_counted(caplog: pytest.LogCaptureFixture) -> None:
    outages = Outages("a", degrades=True)
    with caplog.at_level(logging.INFO, "cacheapp.cache"):
        assert [outages.failed(ConnectionError("gone"), writes=True) for _ in range(3)] == [
            True
        ] * 3
        outages.succeeded(writes=True)
        outages.succeeded(writes=True)
        assert outages.failed(TimeoutError("slow"), writes=False)
    assert outages.failures == 4
    assert [record.levelname for record in caplog.records] == ["ERROR", "WARNING", "ERROR"]
    assert "3 operations failed" in caplog.records[1].getMessage()


def test_what_raises_is_counted_and_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    outages = Outages("a", degrades=False)
    with caplog.at_level(logging.INFO, "cacheapp.cache"):
        assert not outages.failed(ConnectionError("gone"), writes=True)
        outages.succeeded(writes=True)
    assert outages.failures == 1
    assert not outages.is_open
    assert caplog.records == []


def test_a_server_that_refuses_writes_is_one_outage(caplog: pytest.LogCaptureFixture) -> None:
    outages = Outages("a", degrades=True)
    with caplog.at_level(logging.INFO, "cacheapp.cache"):
        for _ in range(3):
            outages.failed(ConnectionError("read only"), writes=True)
            outages.succeeded(writes=False)
        assert outages.is_open
        assert [record.levelname for record in caplog.records] == ["ERROR"]
        outages.succeeded(writes=True)
    assert not outages.is_open
    assert [record.levelname for record in caplog.records] == ["ERROR", "WARNING"]


class Clock:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def unreachable(outages: Outages, times: int) -> None:
    for _ in range(times):
        outages.failed(RedisConnectionError("gone"), writes=False)


def test_the_breaker_opens_after_failures_in_a_row_and_lets_one_try_through() -> None:
    clock = Clock()
    outages = Outages("a", degrades=False, breaker_seconds=2.0, clock=clock)
    unreachable(outages, BREAKER_FAILURES - 1)
    outages.admit()
    unreachable(outages, 1)
    with pytest.raises(CircuitOpenError, match="cache 'a' failed lately; the next attempt is in 2"):
        outages.admit()
    clock.now += 2.0
    outages.admit()
    with pytest.raises(CircuitOpenError):
        outages.admit()
    # What is refused by the breaker does not keep it open.
    outages.failed(CircuitOpenError("refused"), writes=False)
    clock.now += 2.0
    outages.admit()
    outages.succeeded(writes=False)
    outages.admit()
    outages.admit()


def test_a_server_that_answers_with_errors_is_not_cut_off() -> None:
    outages = Outages("a", degrades=False, breaker_seconds=2.0, clock=Clock())
    for _ in range(10):
        unreachable(outages, BREAKER_FAILURES - 1)
        outages.failed(OutOfMemoryError("full"), writes=True)
    outages.admit()


def test_without_seconds_there_is_no_breaker() -> None:
    outages = Outages("a", degrades=False, breaker_seconds=0, clock=Clock())
    unreachable(outages, 10)
    outages.admit()
