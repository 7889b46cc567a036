"""A real redis-server of the tests' own: random loopback port, own directory, nothing on disk.

The real server is the specification, so contract and differential tests start one each session
and end it by its pid. It takes DEBUG and CONFIG, keeps no files, and dies with the process that
started it (by `setpriv` where there is one), so that a killed run leaves nothing behind. To the
kernel that is the thread that started it: start one from a thread which outlives it.

Left out on purpose: Sentinel, Cluster, TLS, and using a server which somebody else operates.
"""

from __future__ import annotations

import contextlib
import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from types import TracebackType

HOST = "127.0.0.1"
START_ATTEMPTS = 5
START_TIMEOUT_S = 10.0
POLL_S = 0.02
MISSING = "no redis-server binary on this machine"


class StartError(RuntimeError):
    """redis-server did not come up; the text holds what it logged."""


def binary() -> str | None:
    """The path of redis-server, or None where it is not installed."""
    return shutil.which("redis-server")


def free_port() -> int:
    """A loopback port that nobody listens on now (another process may still take it first)."""
    with socket.create_server((HOST, 0)) as listener:
        return int(listener.getsockname()[1])


class RedisServer:
    """One redis-server process; a context manager that starts it and ends it.

    `options` are redis-server's own, by their redis.conf names with underscores for dashes
    (`maxmemory="1mb"`); a value of None leaves the default of this class out.
    """

    def __init__(self, **options: str | None) -> None:
        self.options: dict[str, str | None] = {
            "save": "",
            "appendonly": "no",
            "enable-debug-command": "yes",
            **{name.replace("_", "-"): value for name, value in options.items()},
        }
        self.port = 0
        self._process: subprocess.Popen[bytes] | None = None
        self._folder: tempfile.TemporaryDirectory[str] | None = None

    @property
    def pid(self) -> int:
        """The process id; raises RuntimeError while nothing runs."""
        if self._process is None:
            raise RuntimeError("this redis-server is not running")
        return self._process.pid

    def url(self, db: int = 0) -> str:
        """The redis:// URL of one of its databases."""
        return f"redis://{HOST}:{self.port}/{db}"

    def start(self) -> RedisServer:
        """Start it and return when it serves clients; raises StartError with its log."""
        log = ""
        for _ in range(START_ATTEMPTS):
            self.port = free_port()
            self._folder = tempfile.TemporaryDirectory(prefix="cacheapp-redis-")
            with self._log_path().open("wb") as log_file:
                self._process = subprocess.Popen(
                    self._command(), stdin=subprocess.DEVNULL, stdout=log_file, stderr=log_file
                )
            if self._answers_in_time():
                return self
            log = self._log()
            self.stop()
        raise StartError(f"redis-server did not start in {START_ATTEMPTS} attempts:\n{log}")

    def stop(self) -> None:
        """End it, and remove its directory; safe to call twice."""
        process, self._process = self._process, None
        if process is not None:
            process.terminate()
            try:
                process.wait(timeout=5)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        folder, self._folder = self._folder, None
        if folder is not None:
            folder.cleanup()

    def __enter__(self) -> RedisServer:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def _command(self) -> list[str]:
        assert self._folder is not None
        program = binary()
        if program is None:
            raise StartError(MISSING)
        command = [program, "--bind", HOST, "--port", str(self.port), "--daemonize", "no"]
        command += ["--dir", self._folder.name]
        for name, value in self.options.items():
            if value is not None:
                command += [f"--{name}", value]
        setpriv = shutil.which("setpriv")
        return [setpriv, "--pdeathsig", "KILL", *command] if setpriv else command

    def _answers_in_time(self) -> bool:
        assert self._process is not None
        deadline = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < deadline:
            try:
                self._process.wait(timeout=POLL_S)
            except subprocess.TimeoutExpired:
                if self._answers():
                    return True
            else:
                return False
        return False

    def _answers(self) -> bool:
        with contextlib.suppress(OSError), socket.create_connection((HOST, self.port), 1) as peer:
            # Whoever won a race for the port may speak PING too: ask for our own process id.
            # And INFO is answered before all of its files are loaded.
            peer.sendall(b"INFO server persistence\r\n")
            wanted = f"\r\nprocess_id:{self.pid}\r\n".encode(), b"\r\nloading:0\r\n"
            answer = b""
            while not all(line in answer for line in wanted):
                chunk = peer.recv(65536)
                if not chunk:
                    return False
                answer += chunk
                if answer.endswith(b"\r\n\r\n"):
                    break
            return all(line in answer for line in wanted)
        return False

    def _log_path(self) -> Path:
        assert self._folder is not None
        return Path(self._folder.name) / "log"

    def _log(self) -> str:
        return self._log_path().read_text(errors="replace")[-2000:]
