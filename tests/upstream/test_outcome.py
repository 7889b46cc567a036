"""The report counts what happened, and fails the whole for what is ours."""

from __future__ import annotations

import unittest
from typing import Any

import pytest

from tests.upstream.collector import Collector
from tests.upstream.outcome import (
    CONNECTIONS_MAX,
    FAILED,
    NAMES_MAX,
    PASSED,
    SKIPPED,
    Outcome,
    bad,
    failures,
    not_run,
    table,
)


def outcome(label: str = "cacheapp", server: str = "engine", **changes: Any) -> Outcome:
    fields: dict[str, Any] = {"statuses": {"A.test_a": PASSED, "A.test_b": SKIPPED}}
    return Outcome(label, server, "sync", **{**fields, **changes})


def failing(label: str, server: str, *names: str) -> Outcome:
    statuses = {"A.test_a": PASSED, **dict.fromkeys(names, FAILED)}
    return outcome(
        label, server, statuses=statuses, details=dict.fromkeys(names, "why\na traceback")
    )


def test_a_run_is_good_when_nothing_failed_and_something_passed() -> None:
    assert outcome().good
    assert not outcome(statuses={}).good
    assert "no test passed" in failures(outcome(statuses={}), verbose=False)
    assert not outcome(statuses={"A.test_a": SKIPPED}).good
    assert not outcome(crash="Traceback").good
    assert not failing("cacheapp", "engine", "A.test_c").good


@pytest.mark.parametrize(
    "leak", [{"unraisable": ["unclosed socket"]}, {"connections": CONNECTIONS_MAX + 1}]
)
def test_a_leak_fails_a_run(leak: dict[str, Any]) -> None:
    assert not outcome(**leak).good
    assert "open" in failures(outcome(**leak), verbose=False)


def test_table_counts_passed_run_failed_and_skipped() -> None:
    run = outcome(
        statuses={"A.a": PASSED, "A.b": SKIPPED, "A.c": FAILED, "A.d": PASSED}, connections=3
    )
    assert table([run]).splitlines()[1].split() == [
        *("cacheapp", "engine", "sync"),
        *("2/4", "1", "1", "3", "0.0"),
    ]
    assert "crashed" in table([outcome(crash="Traceback")])


def test_failures_name_each_test_with_its_cause() -> None:
    run = failing("cacheapp", "engine", "A.test_c")
    assert failures(run, verbose=False).splitlines()[1:] == ["  A.test_c", "      why"]
    assert failures(run, verbose=True).splitlines()[1:] == ["  A.test_c", "a traceback"]


def test_failures_with_one_cause_are_told_once() -> None:
    names = [f"A.test_{number}" for number in range(NAMES_MAX + 3)]
    (_, told, cause) = failures(failing("cacheapp", "engine", *names), verbose=False).splitlines()
    assert told.endswith(f"A.test_{NAMES_MAX - 1} and 3 more")
    assert cause.strip() == "why"


def test_an_outcome_survives_its_json() -> None:
    run = failing("cacheapp", "redis", "A.test_c")
    assert Outcome.parse(run.text()) == run


def test_what_does_not_apply_is_listed_by_reason() -> None:
    run = outcome(not_applicable={"A.test_x": "no rows", "A.test_y": "no rows"})
    assert not_run(run).splitlines()[1] == "  no rows: A.test_x, A.test_y"


def test_failures_of_ours_fail_the_whole_and_those_of_a_peer_do_not() -> None:
    assert bad([outcome(), failing("django-redis", "redis", "A.test_c")]) == []
    assert bad([failing("cacheapp", "redis", "A.test_c")]) == ["cacheapp on redis, sync: failed"]


def test_a_peer_on_the_engine_must_do_as_on_redis() -> None:
    real = failing("django", "redis", "A.test_c")
    assert bad([real, failing("django", "engine", "A.test_c")]) == []
    (line,) = bad([real, failing("django", "engine", "A.test_c", "A.test_d")])
    assert line.endswith("not as on redis: A.test_d")
    assert bad([real, outcome("django", "engine", crash="Traceback")])


class Sample(unittest.TestCase):
    """One test for each way to end."""

    def passes(self) -> None:
        pass

    def fails(self) -> None:
        self.fail("no")

    def breaks(self) -> None:
        raise KeyError("gone")

    def skips(self) -> None:
        self.skipTest("not here")

    def fails_in_a_subtest(self) -> None:
        for part in ("one", "two"):
            with self.subTest(part):
                self.assertEqual(part, "two")  # noqa: PT009


def test_the_collector_keeps_the_status_of_every_test() -> None:
    opened: list[str] = []
    names = ["passes", "fails", "breaks", "skips", "fails_in_a_subtest"]
    collector = Collector(lambda: opened.append("open"), lambda: opened.append("close"))
    unittest.TestSuite(map(Sample, names)).run(collector)
    assert list(collector.statuses.values()) == [PASSED, FAILED, FAILED, SKIPPED, FAILED]
    assert collector.details["Sample.breaks"].startswith("KeyError: 'gone'\nTraceback")
    assert "'one' != 'two'" in collector.details["Sample.fails_in_a_subtest"]
    assert opened == ["open", "close"] * len(names)
