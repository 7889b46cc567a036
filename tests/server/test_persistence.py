"""The server as a process that keeps data: what is there after SIGTERM, SHUTDOWN and kill -9."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.raw import ReplyError, SocketRaw
from tests.redis_server import HOST, free_port

WAIT_S = 20.0


@contextlib.contextmanager
def served(folder: Path, *options: str) -> Iterator[tuple[subprocess.Popen[str], SocketRaw]]:
    """A server process over `folder`, and a connection to it; killed at the end, if need be."""
    port = free_port()
    command = [sys.executable, "-m", "cacheapp.server", "--port", str(port), f"dir={folder}"]
    command += options
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert "Ready" in process.stdout.readline()
            raw = SocketRaw(HOST, port)
            yield process, raw
            raw.close()
        finally:
            process.kill()


@pytest.mark.parametrize(
    ("options", "end", "survives"),
    [
        (["save=900 1"], "TERM", True),
        ([], "TERM", False),
        (["save=900 1"], "NOSAVE", False),
        ([], "SAVE", True),
        (["appendonly=yes"], "KILL", True),
        (["appendonly=yes", "appendfsync=always"], "TERM", True),
    ],
)
def test_what_survives(tmp_path: Path, options: list[str], end: str, *, survives: bool) -> None:
    with served(tmp_path, *options) as (process, raw):
        assert raw.execute("SET", "k", "v") == b"OK"
        if end in ("SAVE", "NOSAVE"):
            with contextlib.suppress(OSError, EOFError, AssertionError):
                raw.execute("SHUTDOWN", end)
        else:
            process.send_signal(signal.Signals[f"SIG{end}"])
        code = process.wait(WAIT_S)
        assert code == (-signal.SIGKILL if end == "KILL" else 0)
    with served(tmp_path, *options) as (_process, raw):
        assert raw.execute("GET", "k") == (b"v" if survives else None)


def test_a_directory_that_is_taken(tmp_path: Path) -> None:
    with served(tmp_path):
        command = [
            sys.executable,
            "-m",
            "cacheapp.server",
            "--port",
            str(free_port()),
            f"dir={tmp_path}",
        ]
        told = subprocess.run(command, capture_output=True, text=True, timeout=WAIT_S, check=False)
    assert told.returncode == 1
    assert "another engine keeps its data in" in told.stderr


def test_a_server_that_cannot_save_goes_on(tmp_path: Path) -> None:
    with served(tmp_path, "save=900 1", "dbfilename=taken") as (process, raw):
        (tmp_path / "taken").mkdir()
        raw.execute("SET", "k", "v")
        with pytest.raises(ReplyError, match="Errors trying to SHUTDOWN"):
            raw.execute("SHUTDOWN")
        process.send_signal(signal.SIGTERM)
        assert raw.execute("GET", "k") == b"v"
        (tmp_path / "taken").rmdir()
        process.send_signal(signal.SIGTERM)
        assert process.wait(WAIT_S) == 0
        assert (tmp_path / "taken").is_file()


@pytest.mark.parametrize("command", ["BGSAVE", "BGREWRITEAOF"])
def test_what_is_written_in_the_background(tmp_path: Path, command: str) -> None:
    log = ["appendonly=yes"] if command == "BGREWRITEAOF" else []
    with served(tmp_path, *log) as (process, raw):
        raw.execute("MSET", *(word for n in range(2000) for word in (f"key:{n}", "x" * n)))
        before = raw.execute("INFO", "persistence")
        assert b"_in_progress:1" not in before
        raw.execute(command)
        while b"_in_progress:1" in raw.execute("INFO", "persistence"):
            pass
        after = raw.execute("INFO", "persistence")
        assert b"rdb_last_bgsave_status:ok" in after
        assert b"aof_last_bgrewrite_status:ok" in after
        process.kill()
        process.wait(WAIT_S)
    with served(tmp_path, *log) as (_process, raw):
        assert raw.execute("DBSIZE") == 2000
        assert raw.execute("GET", "key:1999") == b"x" * 1999
