"""manage.py demo_report: what the cache is worth on this machine, in a table.

Left out on purpose: concurrency. One visitor at a time gives times that can be compared; load is
what load generators are for.
"""

from __future__ import annotations

import os
import platform
import secrets
import tempfile
from argparse import ArgumentParser, ArgumentTypeError
from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import django
import redis
from django.core.management.base import BaseCommand, CommandError

from cacheapp.clients.factory import get_client
from demo_site import report
from demo_site.load import load_airports
from demo_site.own_redis import binary, own_redis
from demo_site.server import location, safe_url
from demo_site.traffic import requests

REQUESTS_DEFAULT = 500
REQUESTS_MAX = 100_000


class Command(BaseCommand):
    """Exit code 0 if every page showed what it shows without a cache."""

    help = "Run a realistic mix of requests with and without the cache, on both servers."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """--requests, --seed, --redis."""
        parser.add_argument("--requests", type=_count, default=REQUESTS_DEFAULT, metavar="N")
        parser.add_argument("--seed", type=int, default=1, help="which visitors; default 1")
        parser.add_argument(
            "--redis",
            metavar="URL",
            default=os.environ.get("DEMO_REDIS_URL"),
            help="a real Redis (or DEMO_REDIS_URL); else CACHE_URL, else a redis-server is started",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Measure without a cache, on the engine, on Redis; print the table."""
        with ExitStack() as stack:
            redis_label, redis_url = self._redis(options["redis"], stack)
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="cacheapp-demo-"))
            stack.enter_context(report.scratch_database(Path(folder)))
            airports = load_airports()
            mix = requests(report.places(), options["requests"], options["seed"])
            self._say(_opening(mix, airports, options["seed"]))
            name = f"memory://demo-report-{secrets.token_hex(6)}"
            embedded = f"{name}?maxmemory=64mb&maxmemory-policy=volatile-lru"
            runs = [
                report.measure("without a cache", embedded, mix, cached=False),
                report.measure("embedded engine", embedded, mix, cached=True),
            ]
            if redis_url:
                runs.append(report.measure(redis_label, redis_url, mix, cached=True))
        self._say(report.table(runs))
        if not redis_url:
            self._say(f"Real Redis: not measured, {redis_label}.")
        if any(run.stale(runs[0]) for run in runs):
            raise CommandError("Some pages were stale: they differ from those without a cache.")

    def _redis(self, wanted: str | None, stack: ExitStack) -> tuple[str, str | None]:
        """The real Redis to measure: its label and URL; or why there is none, and None."""
        configured = location()
        url = wanted or (None if configured.startswith("memory:") else configured)
        if url:
            return f"Redis {_version(url)}, {safe_url(url)}", url
        program = binary()
        if program is None:
            return "no redis-server here and no --redis", None
        url = stack.enter_context(own_redis(program))
        return f"Redis {_version(url)}, its own", url

    def _say(self, text: str) -> None:
        self.stdout.write(text)
        self.stdout.flush()


def _version(url: str) -> str:
    """The version of the server at this URL; raises CommandError if it cannot be reached."""
    try:
        with get_client(url, socket_connect_timeout=3) as client:
            return str(client.info("server")["redis_version"])
    except (ValueError, redis.exceptions.RedisError) as error:
        raise CommandError(f"{safe_url(url)} cannot be used: {error}") from error


def _opening(mix: list[Any], airports: int, seed: int) -> str:
    """What is about to be measured."""
    kinds = ", ".join(
        f"{count} {kind}" for kind, count in Counter(r.kind for r in mix).most_common()
    )
    return (
        f"{len(mix):,} requests ({kinds}), seed {seed}\n"
        f"{airports:,} airports; "
        f"Python {platform.python_version()}, Django {django.__version__}\n\n"
    )


def _count(text: str) -> int:
    """A number of requests within the bounds."""
    try:
        count = int(text)
    except ValueError:
        count = 0
    if not 1 <= count <= REQUESTS_MAX:
        raise ArgumentTypeError(f"must be a number from 1 to {REQUESTS_MAX:,}, not {text!r}")
    return count
