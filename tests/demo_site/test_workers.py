"""Four workers on a real redis-server: after an edit each of them serves the new value."""

from __future__ import annotations

import re
import signal
import threading
import time
import urllib.parse
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from http.cookiejar import CookieJar
from pathlib import Path

import pytest

from tests.demo_site.processes import Demo, demo, environment, manage
from tests.redis_server import RedisServer

WORKERS = 4
PATIENCE_S = 120.0
ADDRESS = "airports/EDDF/"
OLD, NEW = "Frankfurt am Main International Airport", "Rhein-Main"


class Seen:
    """What each worker answered last, and how: its heading and its outcomes."""

    def __init__(self, running: Demo) -> None:
        self._url = running.address + ADDRESS
        self.answers: dict[str, tuple[str, str]] = {}

    def _ask(self, _number: int) -> tuple[str, tuple[str, str]]:
        with urllib.request.urlopen(self._url, timeout=60) as answer:
            heading = re.search(r"<h1>(.*)</h1>", answer.read().decode())
            assert heading is not None
            return answer.headers["X-Worker"], (heading[1], answer.headers["X-Cache"])

    def until(self, wanted: tuple[str, str]) -> None:
        """Ask until each worker's last answer is `wanted`."""
        pause, deadline = threading.Event(), time.monotonic() + PATIENCE_S
        with ThreadPoolExecutor(8) as visitors:
            while time.monotonic() < deadline:
                self.answers.update(visitors.map(self._ask, range(8)))
                if list(self.answers.values()) == [wanted] * WORKERS:
                    return
                pause.wait(0.01)
        raise AssertionError(f"the workers' last answers are {self.answers}")


def edit(running: Demo, name: str) -> str:
    """Rename the airport as a browser does; the page that follows."""
    browser = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(CookieJar()))
    url = running.address + ADDRESS + "edit/"
    with browser.open(url, timeout=60) as answer:
        page = answer.read().decode()
    # All fields of the form but the button are inputs with a value.
    inputs = [
        dict(re.findall(r'(name|value)="([^"]*)"', tag))
        for tag in re.findall(r"<input[^>]*>", page)
    ]
    data = {field["name"]: field.get("value", "") for field in inputs if field["name"] != "q"}
    said = urllib.parse.urlencode({**data, "name": name}).encode()
    with browser.open(urllib.request.Request(url, said), timeout=60) as answer:
        return str(answer.read().decode())


@pytest.mark.requires_redis
def test_each_worker_serves_an_edit(redis_server: RedisServer, small_folder: Path) -> None:
    arguments = ["--port", "0", "--workers", str(WORKERS), "--redis", redis_server.url()]
    with demo(*arguments, env=environment(small_folder)) as running:
        assert f"Cache: {redis_server.url()}, {WORKERS} workers\n" in running.printed
        seen = Seen(running)
        seen.until((OLD, "HIT, HIT"))  # so that each has a copy
        assert "Saved. Deleted from the cache: airport:EDDF" in edit(running, NEW)
        seen.until((NEW, "HIT, HIT"))
        code, rest = running.end(signal.SIGTERM)
    assert code == 0
    assert "The demo has ended." in rest
    assert "Traceback" not in rest


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--workers", "2"], "Several workers need a server that they share"),
        (["--workers", "0"], "--workers must be between 1 and 64, not 0"),
        (["--redis", "http://127.0.0.1/"], "--redis: "),
    ],
)
def test_what_cannot_be_is_said(tmp_path: Path, arguments: list[str], message: str) -> None:
    ended = manage("demo", *arguments, env=environment(tmp_path))
    assert ended.returncode == 1
    assert message in ended.stderr
    assert "Traceback" not in ended.stderr
