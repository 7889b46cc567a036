"""The skip report: counted with reasons, and a failure where skips are forbidden."""

from __future__ import annotations

import pytest

from tests import skips

SKIPPING = """
    import pytest

    def test_runs():
        assert 1 + 1 == 2

    @pytest.mark.parametrize("number", [1, 2])
    def test_marked(number):
        pytest.skip("no such server")

    @pytest.mark.skip(reason="no browser")
    def test_browser():
        raise AssertionError
"""
CLEAN = "def test_runs(): assert 1 + 1 == 2"


def run(pytester: pytest.Pytester, source: str) -> pytest.RunResult:
    pytester.makeconftest("from tests.skips import *")
    pytester.makepyfile(source)
    return pytester.runpytest_inprocess("-p", "no:django", "-p", "no:asyncio")


def test_the_last_lines_count_skips_by_reason(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(skips.VARIABLE, raising=False)
    result = run(pytester, SKIPPING)
    assert result.ret == pytest.ExitCode.OK
    assert result.outlines[-4:-1] == [
        "skipped tests: 3",
        "  2 x no such server",
        "  1 x no browser",
    ]


def test_skips_fail_the_run_where_they_are_forbidden(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(skips.VARIABLE, "1")
    result = run(pytester, SKIPPING)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert "FAILED: CACHEAPP_FAIL_ON_SKIP is set, and tests were skipped" in result.outlines


def test_a_run_without_skips_passes_and_says_zero(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(skips.VARIABLE, "1")
    result = run(pytester, CLEAN)
    assert result.ret == pytest.ExitCode.OK
    assert "skipped tests: 0" in result.outlines


def test_a_module_that_skips_itself_counts_too(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(skips.VARIABLE, "1")
    result = run(pytester, "import pytest\npytest.importorskip('no_such_module')")
    assert result.ret != pytest.ExitCode.OK
    assert "skipped tests: 1" in result.outlines
