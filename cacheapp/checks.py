"""Numbered system checks of the cache's settings, each with a hint that says what to write.

Errors are settings that cannot work; warnings are settings that work and surprise. A check looks
at the aliases in CACHES whose BACKEND is ours, and imports and parses what they name as the
backend would, without making an engine. One check connects, for a bounded time: a server that
does not answer is a warning, because a site may start before its server.

Left out on purpose: what only a running process can know, such as whether maxmemory is enough.
"""

from __future__ import annotations

import difflib
import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

from django.core.checks import CheckMessage, Error, Warning  # noqa: A004 - Django's own names
from django.core.exceptions import ImproperlyConfigured
from django.utils.module_loading import import_string
from redis.exceptions import RedisError

from cacheapp import conf
from cacheapp.cache.backend import CacheBackend
from cacheapp.cache.client import client_class
from cacheapp.cache.connections import (
    ConnectionFactory,
    async_options,
    breaker_seconds,
    make_factory,
)
from cacheapp.cache.keys import KeyShape
from cacheapp.cache.prefixes import Prefixes
from cacheapp.cache.serializers import make_compressor, make_format
from cacheapp.clients import URLError, check_url, get_client
from cacheapp.clients.url import DATABASES_DEFAULT, EngineURL, is_engine_url, parse_engine_url

#: The keys of OPTIONS: django-redis's, and ours.
OPTIONS: Final = frozenset(
    {
        "ANNOUNCE",
        "BREAKER",
        "CLIENT_CLASS",
        "CLOSE_CONNECTION",
        "COMPRESSOR",
        "COMPRESS_MIN_BYTES",
        "CONNECTION_FACTORY",
        "CONNECTION_POOL_CLASS",
        "CONNECTION_POOL_KWARGS",
        "CULL_FREQUENCY",
        "IGNORE_EXCEPTIONS",
        "MAX_ENTRIES",
        "NEAR_CACHE",
        "PARSER_CLASS",
        "PASSWORD",
        "PICKLE_VERSION",
        "PREFIXES",
        "REDIS_CLIENT_CLASS",
        "REDIS_CLIENT_KWARGS",
        "REPLICA_READ_ONLY",
        "SENTINELS",
        "SENTINEL_KWARGS",
        "SERIALIZER",
        "SOCKET_CONNECT_TIMEOUT",
        "SOCKET_TIMEOUT",
        "USERNAME",
    }
)
CLASS_OPTIONS: Final = (
    "CONNECTION_FACTORY",
    "CONNECTION_POOL_CLASS",
    "PARSER_CLASS",
    "REDIS_CLIENT_CLASS",
)
UNSIGNED_PICKLE: Final = "django_redis.serializers.pickle.PickleSerializer"
#: Flags and variables by which servers are told how many processes to run.
WORKER_FLAGS: Final = re.compile(r"(?<!\S)(?:-w|--workers|--processes)[= ]?(\d+)")
WORKER_VARIABLES: Final = ("WEB_CONCURRENCY", "UWSGI_PROCESSES")
WORKER_COMMANDS: Final = ("GUNICORN_CMD_ARGS",)
WEB_SERVERS: Final = frozenset({"granian", "gunicorn", "hypercorn", "uvicorn"})


def our_aliases() -> Iterator[tuple[str, Mapping[str, Any], Mapping[str, Any]]]:
    """Yield alias, settings and OPTIONS of the caches in CACHES that are served by us."""
    for alias, written in conf.caches().items():
        try:
            backend = import_string(written.get("BACKEND", ""))
        except ImportError:
            continue  # Django reports it when the cache is used
        if isinstance(backend, type) and issubclass(backend, CacheBackend):
            options = written.get("OPTIONS") or {}
            yield alias, written, options if isinstance(options, Mapping) else {}


def servers_of(location: Any) -> list[str]:
    """Return the URLs in LOCATION, which is a list of them or one string with commas."""
    if isinstance(location, str):
        return location.split(",")
    return [str(url) for url in location]


def nearest(name: object, names: Iterable[str]) -> str:
    """Return a hint for an unknown name: the one of ``names`` that was meant, or all of them."""
    found = difflib.get_close_matches(str(name), list(names), n=1)
    return f"Did you mean {found[0]!r}?" if found else f"Known are: {', '.join(sorted(names))}."


def check_settings(**_: Any) -> list[CheckMessage]:
    """Check the dict CACHEAPP."""
    stated = conf.stated()
    if not isinstance(stated, dict):
        return [Error("CACHEAPP must be a dict.", hint="See docs/settings.md.", id="cacheapp.E001")]
    messages: list[CheckMessage] = [
        Error(
            f"CACHEAPP has an unknown key {name!r}.",
            hint=nearest(name, conf.DEFAULTS),
            id="cacheapp.E001",
        )
        for name in stated
        if name not in conf.DEFAULTS
    ]
    timeout, count = conf.config()["CHECK_TIMEOUT"], conf.config()["SCAN_COUNT"]
    if timeout is not None and (not isinstance(timeout, (int, float)) or timeout < 0):
        messages.append(
            Error(
                f"CACHEAPP['CHECK_TIMEOUT'] is {timeout!r}.",
                hint="Give seconds, or None to make no connection.",
                id="cacheapp.E002",
            )
        )
    if not isinstance(count, int) or isinstance(count, bool) or count < 1:
        messages.append(
            Error(
                f"CACHEAPP['SCAN_COUNT'] is {count!r}.",
                hint="Give the number of keys that one SCAN looks at, such as 1000.",
                id="cacheapp.E002",
            )
        )
    return messages


def check_locations(**_: Any) -> list[CheckMessage]:
    """Check LOCATION: its scheme, its options, and that aliases agree about one engine."""
    messages: list[CheckMessage] = []
    engines: dict[str, tuple[str, dict[str, str]]] = {}
    used: list[tuple[str, EngineURL]] = []
    for alias, written, _options in our_aliases():
        location = written.get("LOCATION") or ""
        for url in servers_of(location) or [""]:
            try:
                _check_replies(url)
                if not is_engine_url(url):
                    continue
                engine = parse_engine_url(url)
            except URLError as error:
                messages.append(
                    Error(
                        f"CACHES[{alias!r}]['LOCATION']: {error}",
                        hint="docs/url.md lists schemes and options.",
                        id="cacheapp.E003",
                    )
                )
                continue
            used.append((alias, engine))
            if not engine.engine_options:
                continue
            first, options = engines.setdefault(engine.name, (alias, engine.engine_options))
            if options != engine.engine_options:
                messages.append(
                    Error(
                        f"CACHES[{first!r}] and CACHES[{alias!r}] give the engine "
                        f"{engine.name!r} different options.",
                        hint="Write the options in one LOCATION, or name two engines.",
                        id="cacheapp.E004",
                    )
                )
    for alias, engine in used:
        stated = engines[engine.name][1] if engine.name in engines else {}
        databases = int(stated.get("databases", DATABASES_DEFAULT))
        if (engine.db or 0) >= databases:
            messages.append(
                Error(
                    f"CACHES[{alias!r}]['LOCATION']: database {engine.db} is not one of the "
                    f"{databases} of engine {engine.name!r}, which begin with 0",
                    hint="Choose a lower number, or give the option databases.",
                    id="cacheapp.E003",
                )
            )
    return messages


def _check_replies(url: str) -> None:
    check_url(url)
    asked = parse_qs(urlsplit(url).query).get("decode_responses", ["no"])[-1]
    if asked.lower() not in ("no", "false", "0", "off"):
        raise URLError("decode_responses must be left out, since stored values are bytes")


def check_options(**_: Any) -> list[CheckMessage]:
    """Check OPTIONS: its keys, and what they name."""
    messages: list[CheckMessage] = []
    for alias, written, options in our_aliases():
        if not isinstance(written.get("OPTIONS") or {}, Mapping):
            messages.append(
                Error(
                    f"CACHES[{alias!r}]['OPTIONS'] must be a dict.",
                    hint="See docs/cache.md.",
                    id="cacheapp.E005",
                )
            )
        messages += [
            Error(
                f"CACHES[{alias!r}]['OPTIONS'] has an unknown key {name!r}.",
                hint=nearest(name, OPTIONS),
                id="cacheapp.E005",
            )
            for name in options
            if name not in OPTIONS
        ]
        messages += [
            Error(f"CACHES[{alias!r}]: {error}", hint=hint, id=number)
            for number, make, hint in _MADE_OF_OPTIONS
            for error in _failure(make, dict(options))
        ]
    return messages


def _failure(make: Callable[[Any], Any], options: dict[str, Any]) -> list[Exception]:
    try:
        make(options)
    except (ImproperlyConfigured, ImportError, TypeError, ValueError) as error:
        return [error]
    return []


def _make_codec_numbers(options: dict[str, Any]) -> None:
    size = options.get("COMPRESS_MIN_BYTES", 0)
    if not isinstance(size, int) or size < 0:
        raise ImproperlyConfigured(f"OPTIONS['COMPRESS_MIN_BYTES'] is {size!r}")


def _make_connections(options: dict[str, Any]) -> None:
    for name in CLASS_OPTIONS:
        if isinstance(options.get(name), str):
            import_string(options[name])
    factory = make_factory(options)
    if options.get("CONNECTION_POOL_KWARGS", {}).get("decode_responses"):
        raise ImproperlyConfigured(
            "CONNECTION_POOL_KWARGS asks for decode_responses, but stored values are bytes"
        )
    factory.make_connection_params("")


_MADE_OF_OPTIONS: Final[tuple[tuple[str, Callable[[Any], Any], str], ...]] = (
    (
        "cacheapp.E006",
        make_format,
        "SERIALIZER is 'default', 'json', 'msgpack', 'pickle' or a dotted path.",
    ),
    (
        "cacheapp.E007",
        make_compressor,
        "COMPRESSOR is 'zlib', 'gzip', 'lzma', 'lz4', 'zstd' or a dotted path.",
    ),
    ("cacheapp.E007", _make_codec_numbers, "COMPRESS_MIN_BYTES is a number of bytes."),
    ("cacheapp.E008", client_class, "Leave CLIENT_CLASS out for cacheapp.cache.CacheClient."),
    ("cacheapp.E008", breaker_seconds, "0 tries a failing server each time."),
    ("cacheapp.E008", Prefixes.of, "PREFIXES is a list such as ['page:', 'user:*:']."),
    ("cacheapp.E008", _make_connections, "See django-redis's documentation of the option."),
)


def check_surprises(**_: Any) -> list[CheckMessage]:
    """Warn of settings that work, and not as one may think."""
    messages: list[CheckMessage] = []
    for alias, written, options in our_aliases():
        if options.get("SERIALIZER") == UNSIGNED_PICKLE:
            messages.append(
                Warning(
                    f"CACHES[{alias!r}] stores pickles without a signature: whoever can write to "
                    "the server can run code in this site.",
                    hint="Leave OPTIONS['SERIALIZER'] out, or set it to 'pickle': both sign.",
                    id="cacheapp.W002",
                )
            )
        messages += _check_key_function(alias, written)
    return messages


def check_workers(**_: Any) -> list[CheckMessage]:
    """Warn of an engine in each of several worker processes."""
    workers = worker_count()
    if workers <= 1:
        return []
    return [
        Warning(
            f"CACHES[{alias!r}] is an engine inside each process, and {workers} worker "
            "processes are configured: each will have a cache of its own.",
            hint="Use a redis:// URL, or run one process.",
            id="cacheapp.W003",
        )
        for alias, written, _options in our_aliases()
        if any(url.startswith("memory://") for url in servers_of(written.get("LOCATION") or ""))
    ]


def check_preload(**_: Any) -> list[CheckMessage]:
    """Warn of an engine with files that a server may make before it forks its workers."""
    if not preloads():
        return []
    messages: list[CheckMessage] = []
    for alias, written, _options in our_aliases():
        for url in servers_of(written.get("LOCATION") or ""):
            try:
                engine = parse_engine_url(url) if is_engine_url(url) else None
            except URLError:
                continue  # cacheapp.E003
            if engine is None or "dir" not in engine.engine_options:
                continue
            messages.append(
                Warning(
                    f"CACHES[{alias!r}] keeps its data in {engine.engine_options['dir']!r}, and "
                    "the server loads the site before it forks: if that makes the engine, its "
                    "files stay with the parent, and workers keep nothing on disk.",
                    hint="Leave --preload out, or use cacheapp_server and a redis:// URL.",
                    id="cacheapp.W005",
                )
            )
    return messages


def _check_key_function(alias: str, written: Mapping[str, Any]) -> list[CheckMessage]:
    function = written.get("KEY_FUNCTION")
    if function is None:
        return []
    try:
        key_func = function if callable(function) else import_string(function)
        can_list = KeyShape.of(key_func, written.get("KEY_PREFIX", ""), 1).can_list
    except (ArithmeticError, ImportError, LookupError, TypeError, ValueError) as error:
        return [
            Error(
                f"CACHES[{alias!r}]['KEY_FUNCTION'] cannot be used: {error}",
                hint="It is a function, or the dotted path of one, of key, prefix and version.",
                id="cacheapp.E009",
            )
        ]
    if can_list:
        return []
    return [
        Warning(
            f"CACHES[{alias!r}]['KEY_FUNCTION'] makes keys that show no key or no prefix, so "
            "clear(), keys() and delete_pattern() will refuse.",
            hint="Put the prefix, or any text of its own, and the key itself into what it returns.",
            id="cacheapp.W004",
        )
    ]


def is_web_server() -> bool:
    """Say whether this process was started as a server that forks or spawns workers."""
    program = Path(sys.argv[0])
    # `python -m uvicorn` is started from uvicorn/__main__.py.
    name = program.parent.name if program.stem == "__main__" else program.stem
    return name in WEB_SERVERS


def worker_count() -> int:
    """Return how many worker processes the environment or the command line asks for, or 1."""
    asked = [os.environ.get(name, "") for name in WORKER_VARIABLES]
    lines = [os.environ.get(name, "") for name in WORKER_COMMANDS]
    if is_web_server():
        lines.append(" ".join(sys.argv[1:]))
    for line in lines:
        asked += WORKER_FLAGS.findall(line)
    return max((int(number) for number in asked if number.isdecimal()), default=1)


def preloads() -> bool:
    """Say whether the environment or the command line asks gunicorn to fork after loading.

    A setting in gunicorn's own file cannot be seen. There the engine logs it in each worker.
    """
    lines = [os.environ.get(name, "") for name in WORKER_COMMANDS]
    if is_web_server():
        lines.append(" ".join(sys.argv[1:]))
    return any("--preload" in line.split() for line in lines)


def check_servers(**_: Any) -> list[CheckMessage]:
    """Warn of servers that do not answer within CHECK_TIMEOUT. Each is asked once."""
    timeout = conf.config()["CHECK_TIMEOUT"]
    if not isinstance(timeout, (int, float)) or timeout <= 0:
        return []
    messages: list[CheckMessage] = []
    asked: set[str] = set()
    for alias, written, options in our_aliases():
        if "SENTINELS" in options:
            continue  # LOCATION names a service, not a server
        for url in servers_of(written.get("LOCATION") or ""):
            if url in asked or not _is_remote(url):
                continue
            asked.add(url)
            reason = _unreachable(url, options, timeout)
            if reason is not None:
                messages.append(
                    Warning(
                        f"The server of CACHES[{alias!r}] does not answer: {reason}",
                        hint="Start it, or mend LOCATION. The site works without it if OPTIONS has "
                        "IGNORE_EXCEPTIONS. CACHEAPP['CHECK_TIMEOUT'] = None skips this check.",
                        id="cacheapp.W001",
                    )
                )
    return messages


def _is_remote(url: str) -> bool:
    try:
        check_url(url)
        return not is_engine_url(url)
    except URLError:
        return False  # cacheapp.E003


def _unreachable(url: str, options: Mapping[str, Any], timeout: float) -> str | None:
    """Why the server does not answer, without the URL's password; None if it does."""
    try:
        factory = make_factory(dict(options))
        if not isinstance(factory, ConnectionFactory):
            return None  # only such a class knows how to get there
        client = get_client(url, **{**async_options(factory.client_options(url)), "retry": None})
    except (ImproperlyConfigured, ImportError, TypeError):
        return None  # cacheapp.E008
    # Not as arguments, since over those the URL's own timeouts would win.
    client.connection_pool.connection_kwargs |= dict.fromkeys(
        ("socket_timeout", "socket_connect_timeout"), timeout
    )
    try:
        client.ping()
    except RedisError as error:
        return str(error)
    finally:
        client.close()
    return None


CHECKS: Final = (
    check_settings,
    check_locations,
    check_options,
    check_surprises,
    check_workers,
    check_preload,
    check_servers,
)
