"""The demo as a process of its own, as a user starts it: with its own folder, database and port."""

from __future__ import annotations

import contextlib
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent.parent
#: Far more than anything takes: a report loads 28,298 airports three times, on whatever machine.
TIMEOUT_S = 240


def environment(folder: Path, **changes: str) -> dict[str, str]:
    """The variables of a process whose files all go to `folder`."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("DEMO_")}
    kept.pop("CACHE_URL", None)
    own = {"DJANGO_SETTINGS_MODULE": "demo_site.settings", "DEMO_VAR_DIR": str(folder)}
    return {**kept, **own, "PYTHONWARNINGS": "error", **changes}


def manage(*arguments: str, env: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Run one command of manage.py to its end."""
    return subprocess.run(
        [sys.executable, "manage.py", *arguments],
        cwd=ROOT,
        env=env,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )


def small_table(folder: Path, rows: Sequence[dict[str, Any]]) -> None:
    """Give the demo in `folder` a table that is not empty, so that it loads no other."""
    ended = manage("migrate", "--verbosity", "0", env=environment(folder))
    assert ended.returncode == 0, ended.stderr
    names = ", ".join(rows[0])
    places = ", ".join(f":{name}" for name in rows[0])
    with contextlib.closing(sqlite3.connect(folder / "demo.sqlite3")) as database, database:
        database.executemany(f"INSERT INTO demo_site_airport ({names}) VALUES ({places})", rows)


class Demo:
    """A running `manage.py demo`: its address and what it printed up to that."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.printed: list[str] = []
        assert process.stdout is not None
        for line in process.stdout:
            self.printed.append(line)
            if line.startswith("Demo:"):
                break
        if process.poll() is not None or not self.printed:
            raise AssertionError(f"the demo did not start: {process.communicate()}")
        self.address = self.printed[-1].split()[1]

    def end(self, signum: int = signal.SIGINT) -> tuple[int, str]:
        """End it by a signal; the exit code, and what it printed since it started."""
        self.process.send_signal(signum)
        out, errors = self.process.communicate(timeout=TIMEOUT_S)
        return self.process.returncode, out + errors


@contextmanager
def demo(*arguments: str, env: dict[str, str]) -> Iterator[Demo]:
    """Start the demo, and end it if the test did not."""
    process = subprocess.Popen(
        [sys.executable, "manage.py", "demo", *arguments],
        cwd=ROOT,
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        yield Demo(process)
    finally:
        if process.poll() is None:
            # Its workers too, which are in its session and in nobody else's.
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
