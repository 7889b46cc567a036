"""The state of an outage: one line in the log at each end, every failure counted."""

from __future__ import annotations

import logging

import pytest

from cacheapp.cache.outage import Outages


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
