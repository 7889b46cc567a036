"""A unittest result that keeps each test's status by name.

Left out on purpose: the order and time of tests, and the output they print.
"""
# ruff: noqa: N802 -- unittest gives these hooks their names

from __future__ import annotations

import traceback
import unittest
from collections.abc import Callable
from types import TracebackType
from typing import Any

from tests.upstream.outcome import FAILED, PASSED, SKIPPED

ExcInfo = tuple[type[BaseException], BaseException, TracebackType]
CAUSE_LENGTH_MAX = 200


class Collector(unittest.TestResult):
    """Keeps each test's status; a failing subtest fails its test.

    The details of a failure are one line with its cause, and after it the traceback.
    """

    def __init__(self, opened: Callable[[], None], closed: Callable[[], None]) -> None:
        super().__init__()
        self.statuses: dict[str, str] = {}
        self.details: dict[str, str] = {}
        self._opened = opened
        self._closed = closed

    def startTest(self, test: unittest.TestCase) -> None:
        """Open the event loop for this test, where the mode has one."""
        super().startTest(test)
        self.statuses[test_name(test)] = PASSED
        self._opened()

    def stopTest(self, test: unittest.TestCase) -> None:
        """End the test's event loop."""
        self._closed()
        super().stopTest(test)

    def addError(self, test: unittest.TestCase, err: Any) -> None:
        """An exception other than a failed assertion."""
        super().addError(test, err)
        self._fail(test, err)

    def addFailure(self, test: unittest.TestCase, err: Any) -> None:
        """A failed assertion."""
        super().addFailure(test, err)
        self._fail(test, err)

    def addSubTest(self, test: unittest.TestCase, subtest: unittest.TestCase, err: Any) -> None:
        """The end of a subtest; err is None where it passed."""
        super().addSubTest(test, subtest, err)
        if err is not None:
            self._fail(test, err)

    def addSkip(self, test: unittest.TestCase, reason: str) -> None:
        """A test that skipped itself."""
        super().addSkip(test, reason)
        self.statuses[test_name(test)] = SKIPPED
        self.details[test_name(test)] = reason

    def addUnexpectedSuccess(self, test: unittest.TestCase) -> None:
        """A test that Django expects to fail, and passed."""
        super().addUnexpectedSuccess(test)
        self.statuses[test_name(test)] = FAILED
        self.details[test_name(test)] = "an expected failure passed"

    def _fail(self, test: unittest.TestCase, err: ExcInfo) -> None:
        self.statuses[test_name(test)] = FAILED
        told = traceback.format_exception_only(err[1])[-1].partition("\n")[0][:CAUSE_LENGTH_MAX]
        cause = "".join(letter if letter.isprintable() else "?" for letter in told)
        trace = "".join(traceback.format_exception(*err))
        self.details.setdefault(test_name(test), f"{cause}\n{trace}")


def test_name(test: unittest.TestCase) -> str:
    """The test's class and method; unittest's own words for a failing class fixture."""
    method = getattr(test, "_testMethodName", None)
    return f"{type(test).__name__}.{method}" if method else test.id()
