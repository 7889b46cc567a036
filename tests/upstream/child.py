"""One run in a process of its own: a candidate, a server and a mode, to a JSON file.

Django's settings and the imported tests hold for a whole process, so each run has its own; they
run beside each other, since these tests mostly wait for keys to expire.
"""

from __future__ import annotations

import gc
import json
import sys
import time
import unittest
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any
from unittest import mock

import django
from django.conf import settings

from tests.upstream.candidates import CANDIDATES, Candidate
from tests.upstream.collector import Collector, test_name
from tests.upstream.outcome import Outcome

MODES = ("sync", "async", "async-calls")
ERRORS_MAX = 40
SLEEP_MORE_S = 0.01


@dataclass(frozen=True)
class Job:
    """What one child process does; `only` keeps the tests whose names contain it."""

    label: str
    server: str
    mode: str
    url: str
    tests_folder: str
    only: str = ""

    def text(self) -> str:
        """This job as a command line argument."""
        return json.dumps(asdict(self))


def _configure(candidate: Candidate, params: dict[str, Any]) -> None:
    # As in Django's runtests.py and test_sqlite.py, less what these tests do not use.
    apps = ["django.contrib.contenttypes", "django.contrib.auth", "django.contrib.sessions"]
    apps += ["django.contrib.messages", "cache", "sessions_tests"]
    memory = {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}
    settings.configure(
        ALLOWED_HOSTS=[],
        CACHES={"default": params},
        DATABASES={"default": memory, "other": memory},
        DEFAULT_AUTO_FIELD="django.db.models.AutoField",
        INSTALLED_APPS=[*apps, "cacheapp"] if candidate.ours else apps,
        LANGUAGE_CODE="en",
        MIGRATION_MODULES=dict.fromkeys(("auth", "contenttypes", "sessions")),
        ROOT_URLCONF="urls",
        SECRET_KEY="of these tests alone",
        TEMPLATES=[{"BACKEND": "django.template.backends.django.DjangoTemplates"}],
        USE_TZ=False,
    )
    django.setup()


def run(job: Job) -> Outcome:
    """Run the job's tests in this process, which must not have configured Django yet."""
    sys.path.append(job.tests_folder)
    candidate = CANDIDATES[job.label]
    params = candidate.params(job.server, job.url)
    _configure(candidate, params)
    unraisable: list[str] = []
    sys.unraisablehook = lambda event: unraisable.append(f"{event.object!r}: {event.exc_value!r}")
    started = time.perf_counter()
    collector, not_applicable = _collect(job, candidate, params)
    gc.collect()
    return Outcome(
        label=job.label,
        server=job.server,
        mode=job.mode,
        statuses=collector.statuses,
        details=collector.details,
        not_applicable=not_applicable,
        unraisable=unraisable[:ERRORS_MAX],
        connections=_connections(job),
        seconds=time.perf_counter() - started,
    )


def _collect(
    job: Job, candidate: Candidate, params: dict[str, Any]
) -> tuple[Collector, dict[str, str]]:
    # Imported here: they read Django's settings.
    from django.test.runner import DiscoverRunner

    from tests.upstream.suites import Suites
    from tests.upstream.twins import LoopPerCall, LoopPerTest, install

    suites = Suites(candidate, job.server, params)
    loop = LoopPerCall() if job.mode == "async-calls" else LoopPerTest()
    if job.mode != "sync":
        install(loop.run, suites.users())
    runner = DiscoverRunner(verbosity=0, interactive=False)
    suite = unittest.TestSuite(
        test
        for test in suites.tests(through_twins=job.mode != "sync")
        if job.only in test_name(test)
    )
    collector = Collector(loop.open, loop.close)
    runner.setup_test_environment()
    databases = runner.setup_databases()
    with mock.patch("time.sleep", partial(_sleep, time.sleep)):
        suite.run(collector)
    runner.teardown_databases(databases)
    runner.teardown_test_environment()
    return collector, suites.not_applicable


def _sleep(sleep: Callable[[float], None], seconds: float) -> None:
    # One test sleeps for exactly as long as its page lives. A deadline in Redis is a whole
    # millisecond and passes when that millisecond has: up to 1 ms later than one in a float.
    sleep(seconds + SLEEP_MORE_S)


def _connections(job: Job) -> int | None:
    # What is still connected, less this question's own connection: async clients of loops that
    # have ended must have closed theirs.
    if job.server != "redis":
        return None
    import redis

    with redis.Redis.from_url(job.url) as client:
        return int(client.info("clients")["connected_clients"]) - 1


if __name__ == "__main__":
    Path(sys.argv[2]).write_text(run(Job(**json.loads(sys.argv[1]))).text(), encoding="utf-8")
