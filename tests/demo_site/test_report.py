"""The report: its figures, its table, and that it finds a stale page when there is one."""

from __future__ import annotations

import pytest
from django.core.cache import caches

from demo_site import invalidation, report
from demo_site.report import Run, measure, percentile, table
from demo_site.traffic import Request

MIX = [
    Request("home"),
    Request("airport", "EDDF"),
    Request("airport", "EDDF"),
    Request("search", "Frankfurt am Main"),
    Request("country", "DE"),
    Request("edit", "EDDF", "name"),
    Request("airport", "EDDF"),
    Request("edit", "EDDF", "lat"),
    Request("edit", "EDDF", "elevation_ft"),
    Request("airport", "EDDF"),
    Request("search", "Frankfurt am Main"),
    Request("country", "DE"),
    Request("countries"),
    Request("home"),
]


@pytest.mark.django_db
def test_both_runs_show_the_same_and_the_cache_saves_queries(cache_url: str) -> None:
    truth = measure("without", cache_url, MIX, cached=False)
    run = measure("with", cache_url, MIX, cached=True)
    assert len(run.times_ms) == len(truth.times_ms) == len(MIX)
    assert (truth.hits, truth.misses) == (0, 0)
    assert run.stale(truth) == 0
    # Four times the airport with its list, two searches, two countries, three times the counts.
    assert run.hits + run.misses == 2 * 4 + 2 + 2 + 3
    assert run.hits == 4
    assert 0 < run.queries < truth.queries


@pytest.mark.django_db
def test_a_stale_page_is_found(cache_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    truth = measure("without", cache_url, MIX, cached=False)
    monkeypatch.setattr(invalidation, "airport_edited", lambda old, new: [])
    run = measure("with", cache_url, MIX, cached=True)
    assert run.stale(truth) >= 2
    assert table([truth, run]).splitlines()[-1].endswith(str(run.stale(truth)))


@pytest.mark.django_db
def test_it_leaves_nothing_behind(cache_url: str) -> None:
    from cacheapp.clients.factory import get_client

    with get_client(cache_url) as client:
        client.set("of somebody else", "1")
        measure("with", cache_url, MIX[:6], cached=True)
        assert client.keys("*") == [b"of somebody else"]
    assert caches["default"].key_prefix == "demo"


@pytest.mark.django_db
def test_a_page_that_fails_ends_the_report(cache_url: str) -> None:
    with pytest.raises(RuntimeError, match="status 404"):
        measure("with", cache_url, [Request("airport", "ZZZZ")], cached=True)


@pytest.mark.parametrize(
    ("share", "expected"), [(0.5, 50.0), (0.99, 99.0), (1.0, 100.0), (0.001, 1.0)]
)
def test_nearest_rank_percentiles(share: float, expected: float) -> None:
    assert percentile([float(value) for value in range(100, 0, -1)], share) == expected
    assert percentile([7.0], share) == 7.0


def test_the_table_lines_up() -> None:
    truth = Run("without a cache", [40.0, 20.0], [b"a", b"b"], 0, 0, 1200)
    run = Run("embedded engine", [2.0, 40.0], [b"a", b"c"], 3, 1, 300)
    lines = table([truth, run]).splitlines()
    assert lines[0].split() == " ".join(report.HEADINGS).split()
    assert lines[2].split()[3:] == [
        "2",
        "-",
        "20.0",
        "ms",
        "40.0",
        "ms",
        "30.0",
        "ms",
        "1,200",
        "-",
        "-",
    ]
    assert lines[3].split()[2:] == [
        "2",
        "75.0%",
        "2.0",
        "ms",
        "40.0",
        "ms",
        "21.0",
        "ms",
        "300",
        "900",
        "(75%)",
        "1",
    ]
    assert len({len(line) for line in lines}) == 1
