"""The commands end to end, each in a process of its own with an empty folder."""

from __future__ import annotations

import re
import signal
import socket
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.demo_site.processes import demo, environment, manage
from tests.redis_server import HOST, free_port


def fetch(url: str) -> tuple[str, str]:
    """A page's outcome and text."""
    with urllib.request.urlopen(url, timeout=30) as response:
        return response.headers.get("X-Cache", ""), response.read().decode()


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_demo_serves_and_ends_cleanly(tmp_path: Path, signum: signal.Signals) -> None:
    with demo("--port", "0", env=environment(tmp_path)) as running:
        assert fetch(running.address + "airports/EDDF/")[0] == "MISS, MISS"
        assert fetch(running.address + "airports/EDDF/")[0] == "HIT, HIT"
        _, page = fetch(running.address)
        assert "28," in page
        assert "memory://demo" in page
        sheet = re.search(r'href="/(static/[^"]+\.css)"', page)
        assert sheet is not None
        assert "prefers-color-scheme" in fetch(running.address + sheet[1])[1]
        code, rest = running.end(signum)
    assert code == 0
    assert "Traceback" not in rest
    assert "The demo has ended." in rest
    assert (tmp_path / "demo.sqlite3").exists()


def test_visitors_at_the_same_time(tmp_path: Path) -> None:
    paths = ["", "countries/", "countries/DE/", "airports/EDDF/", "airports/EDDM/", "search/?q=a"]
    with demo("--port", "0", env=environment(tmp_path)) as running:
        with ThreadPoolExecutor(8) as visitors:
            first = list(visitors.map(fetch, [running.address + path for path in paths * 4]))
        assert all("</html>" in text for _, text in first)
        outcomes = {fetch(running.address + path)[0] for path in paths}
        assert outcomes == {"HIT", "HIT, HIT"}
        assert running.end()[0] == 0


def test_a_taken_port_is_replaced_and_said(tmp_path: Path) -> None:
    with socket.create_server((HOST, 0)) as taken:
        port = taken.getsockname()[1]
        with demo("--port", str(port), env=environment(tmp_path)) as running:
            assert f"Port {port} is taken.\n" in running.printed
            assert not running.address.endswith(f":{port}/")
            assert fetch(running.address + "search/")[1]
            assert running.end()[0] == 0


@pytest.mark.requires_redis
def test_demo_on_redis_by_one_variable(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    url = request.getfixturevalue("redis_server").url()
    with demo("--port", "0", env=environment(tmp_path, CACHE_URL=url)) as running:
        assert fetch(running.address + "airports/EDDF/")[0] == "MISS, MISS"
        assert fetch(running.address + "airports/EDDF/")[0] == "HIT, HIT"
        assert url in fetch(running.address)[1]
        assert running.end()[0] == 0
    # What a server holds outlives the process, and so do the signatures.
    with demo("--port", "0", env=environment(tmp_path, CACHE_URL=url)) as running:
        assert fetch(running.address + "airports/EDDF/")[0] == "HIT, HIT"
        assert running.end()[0] == 0


def test_a_port_that_cannot_be(tmp_path: Path) -> None:
    ended = manage("demo", "--port", "99999", env=environment(tmp_path))
    assert ended.returncode == 1
    assert "--port must be between 0 and 65535" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_report_without_redis(tmp_path: Path) -> None:
    env = environment(tmp_path, PATH=str(tmp_path))
    ended = manage("demo_report", "--requests", "40", "--seed", "3", env=env)
    assert ended.returncode == 0, ended.stderr
    assert "40 requests (" in ended.stdout
    assert "seed 3" in ended.stdout
    rows = [line for line in ended.stdout.splitlines() if " ms " in line]
    assert [row.split("  ")[0] for row in rows] == ["without a cache", "embedded engine"]
    assert re.search(r"\d+\.\d%", rows[1])
    assert rows[1].endswith(" 0")
    assert "Real Redis: not measured, no redis-server here" in ended.stdout
    assert not (tmp_path / "demo.sqlite3").exists()


@pytest.mark.requires_redis
@pytest.mark.parametrize("given", [True, False])
def test_report_on_redis(tmp_path: Path, request: pytest.FixtureRequest, given: bool) -> None:
    arguments = ["demo_report", "--requests", "30"]
    if given:
        arguments += ["--redis", request.getfixturevalue("redis_server").url()]
    ended = manage(*arguments, env=environment(tmp_path))
    assert ended.returncode == 0, ended.stderr
    rows = [line for line in ended.stdout.splitlines() if " ms " in line]
    assert [row.split()[0] for row in rows] == ["without", "embedded", "Redis"]
    assert ("its own" in rows[2]) is not given


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--requests", "0"], "must be a number from 1 to 100,000"),
        (["--requests", "many"], "must be a number from 1 to 100,000"),
        (["--redis", "redis://:pass@127.0.0.1:{port}/0"], "redis://127.0.0.1:{port}/0 cannot be"),
        (["--redis", "http://127.0.0.1/"], "cannot be used"),
    ],
)
def test_report_says_what_is_wrong(tmp_path: Path, arguments: list[str], message: str) -> None:
    port = free_port()
    filled = [argument.format(port=port) for argument in arguments]
    ended = manage("demo_report", *filled, env=environment(tmp_path))
    assert ended.returncode != 0
    assert message.format(port=port) in ended.stderr
    assert "Traceback" not in ended.stderr
    assert "pass@" not in ended.stderr
