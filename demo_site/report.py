"""Runs one mix of requests with and without the cache, and puts the figures into a table.

The requests go through the whole stack (Django's test client: middleware, views, templates,
database), with no network and no other visitor, so a time is what the server spends on a page.
Every run starts from the same table and an empty cache. What the pages show is compared with the
run without a cache, request by request: a page that differs is a stale one, and the report says how
many there were.

The database is a scratch copy: the edits of the report are not those of the demo. On a Redis that
others use as well, only keys under a prefix of this run's own are written, and removed at the end.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import blake2b
from math import ceil
from pathlib import Path
from time import perf_counter
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.db import connection as database
from django.test import Client, override_settings

from demo_site.load import load_airports
from demo_site.models import Airport
from demo_site.reading import counted_queries
from demo_site.server import cache, connection, raw_key
from demo_site.traffic import Place, Request

BATCH_KEYS = 500
MAIN = re.compile(rb"<main.*</main>", re.DOTALL)
EDIT_FIELDS = ("name", "city", "subd", "country", "iata", "elevation_ft", "lat", "lon", "tz")
HEADINGS = ("", "requests", "hit ratio", "p50", "p99", "mean", "DB queries", "saved", "stale")


@dataclass
class Run:
    """The figures of one run. Times are in ms; `pages` are digests of what each page showed."""

    label: str
    times_ms: list[float] = field(default_factory=list)
    pages: list[bytes] = field(default_factory=list)
    hits: int = 0
    misses: int = 0
    queries: int = 0

    def stale(self, truth: Run) -> int:
        """How many pages showed something else than in the run without a cache."""
        return sum(mine != true for mine, true in zip(self.pages, truth.pages, strict=True))


@contextmanager
def scratch_database(folder: Path) -> Iterator[None]:
    """Use a new, migrated and empty database in `folder` on this thread's connection."""
    name = database.settings_dict["NAME"]
    database.close()
    database.settings_dict["NAME"] = folder / "report.sqlite3"
    try:
        call_command("migrate", verbosity=0, interactive=False)
        yield
    finally:
        database.close()
        database.settings_dict["NAME"] = name


def places() -> list[Place]:
    """The airports that the traffic goes to, in a fixed order."""
    rows = Airport.objects.exclude(iata="").order_by("pk").values_list("icao", "city", "country")
    return [Place(*row) for row in rows]


def measure(label: str, url: str, requests: Sequence[Request], *, cached: bool) -> Run:
    """Send the requests to the site on the server at `url`; raises if a page fails.

    Errors of the server come through: a report on a server that is away would be one on nothing.
    """
    prefix = f"demo-report-{secrets.token_hex(6)}"
    options = {**settings.CACHES["default"]["OPTIONS"], "IGNORE_EXCEPTIONS": False}
    served = {"LOCATION": url, "KEY_PREFIX": prefix, "OPTIONS": options}
    caches = {"default": {**settings.CACHES["default"], **served}}
    load_airports(reset=True)
    with override_settings(CACHES=caches, DEMO_CACHE_PAGES=cached):
        client = Client(SERVER_NAME="127.0.0.1")
        # The first page of a process compiles the templates, which is nobody's cache.
        client.get("/airports/EDDF/")
        _forget()
        try:
            run = Run(label)
            for request in requests:
                _send(client, request, run)
            return run
        finally:
            _forget()


def table(runs: Sequence[Run]) -> str:
    """The runs as lines of text; the first is the one without a cache."""
    truth = runs[0]
    rows = [HEADINGS, *(_cells(run, truth) for run in runs)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEADINGS))]
    lines = []
    for row in rows:
        first, *rest = (cell.rjust(width) for cell, width in zip(row, widths, strict=True))
        lines.append("  ".join([first.strip().ljust(widths[0]), *rest]).rstrip())
    lines.insert(1, "-" * max(map(len, lines)))
    return "\n".join(lines)


def percentile(values: Sequence[float], share: float) -> float:
    """The nearest-rank percentile; 0 < share <= 1, at least one value."""
    return sorted(values)[ceil(share * len(values)) - 1]


def _send(client: Client, request: Request, run: Run) -> None:
    """One request, timed and counted."""
    data = _edited(request) if request.kind == "edit" else None
    with counted_queries() as queries:
        started = perf_counter()
        response = _answer(client, request, data)
        run.times_ms.append((perf_counter() - started) * 1000)
    expected = 302 if request.kind == "edit" else 200
    if response.status_code != expected:
        raise RuntimeError(f"{request} was answered with status {response.status_code}")
    outcomes = response.headers.get("X-Cache", "")
    run.hits += outcomes.count("HIT")
    run.misses += outcomes.count("MISS")
    run.queries += queries[0]
    shown = MAIN.search(response.content)
    run.pages.append(blake2b(shown[0] if shown else b"", digest_size=16).digest())


def _answer(client: Client, request: Request, data: dict[str, object] | None) -> Any:
    """What the site says to this request."""
    if data is not None:
        return client.post(f"/airports/{request.subject}/edit/", data)
    if request.kind == "search":
        return client.get("/search/", {"q": request.subject})
    paths = {
        "airport": f"/airports/{request.subject}/",
        "country": f"/countries/{request.subject}/",
        "countries": "/countries/",
        "home": "/",
    }
    return client.get(paths[request.kind])


def _edited(request: Request) -> dict[str, object]:
    """The form that the visitor sends: the airport as it is, with one field changed."""
    airport = Airport.objects.get(pk=request.subject)
    data: dict[str, object] = {name: getattr(airport, name) for name in EDIT_FIELDS}
    if request.field == "name":
        data["name"] = f"{airport.name.removesuffix(' (new)')} (new)"
    elif request.field == "lat":
        data["lat"] = round(airport.lat - 0.25 if airport.lat > 0 else airport.lat + 0.25, 6)
    else:
        data["elevation_ft"] = airport.elevation_ft + 10
    return data


def _forget() -> None:
    """Remove all that this run keeps on the server."""
    cache().clear()
    client = connection()
    # The site's own keys are five, so what is found fits into one command.
    if names := list(client.scan_iter(match=raw_key("*"), count=BATCH_KEYS)):
        client.unlink(*names)


def _cells(run: Run, truth: Run) -> tuple[str, ...]:
    """One line of the table."""
    reads = run.hits + run.misses
    saved = truth.queries - run.queries
    baseline = run is truth
    return (
        run.label,
        f"{len(run.times_ms):,}",
        f"{run.hits / reads:.1%}" if reads else "-",
        f"{percentile(run.times_ms, 0.50):.1f} ms",
        f"{percentile(run.times_ms, 0.99):.1f} ms",
        f"{sum(run.times_ms) / len(run.times_ms):.1f} ms",
        f"{run.queries:,}",
        "-" if baseline else f"{saved:,} ({saved / max(truth.queries, 1):.0%})",
        "-" if baseline else f"{run.stale(truth)}",
    )
