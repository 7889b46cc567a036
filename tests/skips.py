"""A pytest plugin: the run's last lines say how many tests were skipped, and why.

A skip hides a test that nobody runs. So each run ends with the count of them by reason, and with
`CACHEAPP_FAIL_ON_SKIP=1` in the environment (CI, where everything is installed) one skip fails
the whole run. Expected failures (xfail) are not skips and are not counted.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Generator

import pytest

VARIABLE = "CACHEAPP_FAIL_ON_SKIP"


def _reasons(reporter: pytest.TerminalReporter) -> Counter[str]:
    reasons: Counter[str] = Counter()
    for report in reporter.stats.get("skipped", []):
        location = report.longrepr
        reason = location[2] if isinstance(location, tuple) else str(location)
        reasons[reason.removeprefix("Skipped: ")] += 1
    return reasons


def _forbidden() -> bool:
    return os.environ.get(VARIABLE, "") not in {"", "0"}


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Turn a run that only skipped into a failed one, where skips are forbidden."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if reporter is not None and exitstatus == 0 and _forbidden() and _reasons(reporter):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter,
) -> Generator[None, None, None]:
    """Write the count of skips, and a line for each reason, after everything but pytest's last."""
    yield
    reasons = _reasons(terminalreporter)
    terminalreporter.write_line(f"skipped tests: {reasons.total()}")
    for reason, count in reasons.most_common():
        terminalreporter.write_line(f"  {count} x {reason}")
    if reasons and _forbidden():
        terminalreporter.write_line(f"FAILED: {VARIABLE} is set, and tests were skipped", red=True)
