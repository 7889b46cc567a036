"""The demo under the servers that sites run on: a session ended from elsewhere, and a limit."""

from __future__ import annotations

import http.cookiejar
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from demo_site.accounts import PASSWORD, USERS
from tests.demo_site.processes import ROOT, TIMEOUT_S, environment, manage
from tests.redis_server import HOST, free_port

SERVERS = {
    "runserver": ["manage.py", "runserver", "--noreload", "{host}:{port}"],
    "gunicorn": ["-m", "gunicorn", "-b", "{host}:{port}", "demo_site.wsgi"],
    "gunicorn-gthread": [
        "-m", "gunicorn", "-k", "gthread", "--threads", "4", "-b", "{host}:{port}",
        "demo_site.wsgi",
    ],
    "uvicorn": [
        "-m", "uvicorn", "--host", "{host}", "--port", "{port}", "demo_site.asgi:application",
    ],
}  # fmt: skip


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the demo's database, filled once."""
    folder = tmp_path_factory.mktemp("demo") / "var"
    done = manage("demo_load", env=environment(folder))
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(params=["engine", "redis"])
def address(
    request: pytest.FixtureRequest, loaded: Path, tmp_path: Path, server_name: str
) -> Iterator[str]:
    """Where a server of the kind serves the demo, on the engine and on a redis-server."""
    folder = tmp_path / "var"
    shutil.copytree(loaded, folder)
    changes = {"PYTHONWARNINGS": "default"}
    if request.param == "redis":
        changes["CACHE_URL"] = request.getfixturevalue("redis_server").url()
    port = free_port()
    arguments = [part.format(host=HOST, port=port) for part in SERVERS[server_name]]
    with (tmp_path / "log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, *arguments],
            cwd=ROOT,
            env=environment(folder, **changes),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
        try:
            _wait(port, process)
            yield f"http://{HOST}:{port}"
        finally:
            process.terminate()
            process.wait(TIMEOUT_S)
    assert "Traceback" not in (tmp_path / "log").read_text()


def _wait(port: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + TIMEOUT_S
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with socket.create_connection((HOST, port), timeout=1):
                return
        except OSError:
            continue
    raise AssertionError("the server did not start")


class Device:
    """A browser's cookies, and no more of it than the test needs."""

    def __init__(self, address: str, name: str) -> None:
        self.address = address
        cookies = urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar())
        self.opener = urllib.request.build_opener(cookies)
        self.opener.addheaders = [("User-Agent", name)]

    def get(self, path: str, **data: str) -> tuple[int, str, str]:
        """Status, address in the end and text; a POST where there is data."""
        body = urllib.parse.urlencode(data).encode() if data else None
        try:
            with self.opener.open(self.address + path, body, timeout=TIMEOUT_S) as response:
                return response.status, response.url, response.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.url, error.read().decode()

    def token(self, path: str) -> str:
        """The form's token on a page."""
        found = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', self.get(path)[2])
        assert found is not None
        return found[1]

    def log_in(self) -> None:
        """As the first of the demo's users."""
        token = self.token("/login/")
        status, url, _ = self.get(
            "/login/", username=USERS[0], password=PASSWORD, csrfmiddlewaretoken=token
        )
        assert (status, url) == (200, f"{self.address}/sessions/")


@pytest.mark.parametrize("server_name", SERVERS)
def test_sessions_and_limits(address: str) -> None:
    laptop, phone = Device(address, "Laptop"), Device(address, "Phone")
    laptop.log_in()
    phone.log_in()
    page = laptop.get("/sessions/")[2]
    assert "Phone" in page
    assert HOST in page
    (phones,) = re.findall(r'name="id" value="([0-9a-f]+)"', page)
    token = laptop.token("/sessions/")
    assert "Ended that session" in laptop.get("/sessions/", id=phones, csrfmiddlewaretoken=token)[2]
    assert phone.get("/sessions/")[1] == f"{address}/login/?next=/sessions/"
    assert laptop.get("/sessions/")[1] == f"{address}/sessions/"

    answers = [phone.get("/api/airports/EDDF/") for _ in range(6)]
    assert [status for status, _, _ in answers] == [200] * 5 + [429]
    assert laptop.get("/api/airports/EDDF/")[0] == 200
    assert "prefers-color-scheme" in laptop.get("/static/demo_site/demo.css")[2]
