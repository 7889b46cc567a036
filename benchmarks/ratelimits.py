"""Rate limits beside `limits` and django-ratelimit, and what they cost a request.

Checks go through many identities in turn, so that nobody reaches a limit and no list of times grows
without end: what is timed is the admitted request. A refused client's flood is timed by itself.
"""

from __future__ import annotations

import itertools
import multiprocessing
import threading
import time
from io import BytesIO
from typing import Any

from django.core.cache import caches
from django.core.handlers.wsgi import WSGIHandler
from django.http import HttpResponse
from django.test import RequestFactory, override_settings
from django.urls import path

from benchmarks.measure import Case, compare, compare_closely
from benchmarks.report import Row, row
from cacheapp.ratelimit.limiter import Limiter

IDENTITIES = [f"ip:198.51.{number >> 8}.{number & 255}" for number in range(1_000)]
RATE, LIMIT = "1000/m", 1_000
RULE = {"name": "bench", "path": "/", "rates": "1000000/m", "key": "ip"}
SEVEN = (
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
)
OURS = "cacheapp.ratelimit.middleware.RateLimitMiddleware"
# The race: so many processes with so many threads, against one limit.
PROCESSES, THREADS, ADMITTED = 4, 16, 100
FLOOD_US_MAX = 2.0
ALGORITHMS = ("sliding-log", "gcra", "sliding-window", "token-bucket", "fixed-window")

urlpatterns = [path("", lambda request: HttpResponse("ok"))]


def checking(alias: str, algorithm: str) -> Case:
    """Our check, of the next identity."""
    limiter = Limiter(f"bench-{algorithm}", RATE, algorithm=algorithm, alias=alias)
    turn = itertools.cycle(IDENTITIES)
    return lambda: limiter.check(next(turn))


def moving_window(storage: Any) -> Case:
    """The same by `limits`."""
    from limits import parse
    from limits.strategies import MovingWindowRateLimiter

    limiter, rate = MovingWindowRateLimiter(storage), parse(f"{LIMIT}/minute")
    turn = itertools.cycle(IDENTITIES)
    return lambda: limiter.hit(rate, "bench", next(turn))


def django_ratelimit() -> Case:
    """The same by django-ratelimit, on the alias that RATELIMIT_USE_CACHE names."""
    from django_ratelimit.core import is_ratelimited

    requests = [
        RequestFactory().get("/", REMOTE_ADDR=identity[3:], secure=True) for identity in IDENTITIES
    ]
    turn = itertools.cycle(requests)
    return lambda: is_ratelimited(next(turn), group="bench", key="ip", rate=RATE, increment=True)


def on_engine(*, quick: bool = False) -> list[Row]:
    """In the process."""
    from limits.storage import MemoryStorage

    # LocMemCache would cull at 300 entries.
    caches["default"]._max_entries = 10 * len(IDENTITIES)
    timings = compare(
        {
            "cacheapp": checking("engine", "sliding-window"),
            "cacheapp, sliding-log": checking("engine", "sliding-log"),
            "limits, moving window": moving_window(MemoryStorage()),
            "django-ratelimit": django_ratelimit(),
        },
        rounds=11 if quick else 31,
        clock=time.thread_time,
    )
    ours, exact, limits, peer = timings.values()
    return [
        row("limiter check, in process", ours, limits, 0.6),
        row("limiter check, in process; the peer on LocMem", ours, peer, 0.05),
        row("limiter check, in process, sliding-log", exact, limits, None),
        *_flood(),
        *_middleware(),
    ]


def on_redis(url: str, *, quick: bool = False) -> list[Row]:
    """On a real server."""
    from limits.storage import storage_from_string

    with override_settings(RATELIMIT_USE_CACHE="django-redis"):
        timings = compare(
            {
                "cacheapp": checking("redis", "sliding-window"),
                "limits, moving window": moving_window(storage_from_string(url)),
                "django-ratelimit": django_ratelimit(),
            },
            rounds=11 if quick else 31,
        )
    ours, limits, peer = timings.values()
    return [
        row("limiter check, real Redis", ours, limits, 0.85),
        row("limiter check, real Redis; the peer on django-redis", ours, peer, 0.5),
        *_races(url),
    ]


def _flood() -> list[Row]:
    limiter = Limiter("flood", "1/h", alias="engine")
    limiter.check("ip:a")
    limiter.check("ip:a")
    client = caches["engine"].client.get_client()
    before = client.info("stats")["total_commands_processed"]
    # Fewer rounds than the memo's five seconds: after those it asks once.
    cases = {"cacheapp": lambda: limiter.check("ip:a")}
    (timing,) = compare(cases, rounds=7, clock=time.thread_time).values()
    # The INFO of before is the one that is counted.
    asked = client.info("stats")["total_commands_processed"] - before - 1
    return [
        Row(
            "a refused client's request, with the memo",
            f"{timing.median_us:.2f} µs",
            f"limit {FLOOD_US_MAX} µs",
            timing.median_us / FLOOD_US_MAX,
            1.0,
        ),
        Row("the server's commands meanwhile", f"{asked}", "none", float(asked), 0.0),
    ]


def _middleware() -> list[Row]:
    """A WSGI request through Django's seven, and the same with ours behind them."""
    settings: dict[str, Any] = {
        "ROOT_URLCONF": __name__,
        "SESSION_ENGINE": "django.contrib.sessions.backends.signed_cookies",
        "CACHEAPP": {"RATELIMIT": {"RULES": [RULE], "CACHE": "engine"}},
    }
    environ = RequestFactory()._base_environ(PATH_INFO="/")  # type: ignore[attr-defined]

    def asking(handler: Any) -> Case:
        def ask() -> None:
            handler(dict(environ, **{"wsgi.input": BytesIO()}), lambda *_: None).close()

        return ask

    cases = {}
    for name, middleware in (("seven", list(SEVEN)), ("eight", [*SEVEN, OURS])):
        with override_settings(**settings, MIDDLEWARE=middleware):
            cases[name] = asking(WSGIHandler())
    with override_settings(**settings):
        timings = compare_closely(cases, rounds=600, calls=20, clock=time.thread_time)
    seven, eight = timings["seven"], timings["eight"]
    share = eight.ratio_to(seven) - 1
    return [
        Row(
            "middleware on memory://, of a request through Django's seven",
            f"{share * seven.median_us:.2f} µs",
            f"the seven {seven.median_us:.2f} µs",
            share,
            0.08,
        )
    ]


# The race


def _race(url: str, algorithm: str, seconds: float, admitted: Any, start: Any) -> None:
    """One process: its threads ask as fast as they can, and report when they were admitted."""
    with override_settings(
        CACHES={"race": {"BACKEND": "cacheapp.cache.CacheBackend", "LOCATION": url}}
    ):
        limiter = Limiter(f"race-{algorithm}", f"{ADMITTED}/m", algorithm=algorithm, alias="race",
                          memo_seconds=0)  # fmt: skip
        times: list[int] = []

        def user() -> None:
            until = time.monotonic() + seconds
            while time.monotonic() < until:
                decision = limiter.check("ip:one")
                if decision.allowed:
                    times.append(decision.reply[1])

        start.wait()
        threads = [threading.Thread(target=user) for _ in range(THREADS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        admitted.put(times)


def race(url: str, algorithm: str, seconds: float = 1.0) -> list[int]:
    """When all processes together were admitted, in microseconds by the server's clock."""
    context = multiprocessing.get_context("fork")
    admitted, start = context.Queue(), context.Barrier(PROCESSES)
    processes = [
        context.Process(target=_race, args=(url, algorithm, seconds, admitted, start))
        for _ in range(PROCESSES)
    ]
    for process in processes:
        process.start()
    times = [moment for _ in processes for moment in admitted.get(timeout=60)]
    for process in processes:
        process.join()
    return sorted(times)


def _races(url: str) -> list[Row]:
    rows = []
    for algorithm in ALGORITHMS:
        times = race(url, algorithm)
        # gcra and token-bucket give back one place each 0.6 s: the burst is what counts here.
        burst = sum(moment < times[0] + 60_000_000 // ADMITTED for moment in times)
        exact = algorithm in {"sliding-log", "gcra"}
        rows.append(
            Row(
                f"admitted at {ADMITTED}/m, {PROCESSES * THREADS} threads, {algorithm}",
                f"{burst}",
                f"exactly {ADMITTED}" if exact else f"at most {2 * ADMITTED}",
                abs(burst / ADMITTED - 1) if exact else burst / (2 * ADMITTED),
                0.0 if exact else 1.0,
            )
        )
    return rows
