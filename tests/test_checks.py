"""Each numbered check: the setting that it reports, its hint, and silence for what is right."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import redis
from django.apps import apps
from django.core.checks import Error, Warning, run_checks  # noqa: A004 - Django's own names

from cacheapp import checks
from tests.cache.aliases import BACKEND
from tests.redis_server import HOST, RedisServer, free_port

Reported = Callable[..., list[tuple[str, str, str]]]


def by_name(key: str, prefix: str, version: int) -> str:
    return f"{prefix}{version}{key}"


def bare(key: str, prefix: str, version: int) -> str:
    return key


@pytest.fixture
def reported(settings: Any) -> Reported:
    """A function that takes aliases and returns (id, message, hint) of what is reported."""

    def report(**aliases: dict[str, Any]) -> list[tuple[str, str, str]]:
        settings.CACHES = {
            alias: {"BACKEND": BACKEND, "LOCATION": "memory://checks", **written}
            for alias, written in aliases.items()
        }
        found = [message for check in checks.CHECKS for message in check()]
        for message in found:
            assert isinstance(message.id, str)
            kind = Error if ".E" in message.id else Warning
            assert isinstance(message, kind)
            assert message.hint
        return [(str(message.id), message.msg, str(message.hint)) for message in found]

    return report


def test_good_settings_are_silent(reported: Reported, redis_server: RedisServer) -> None:
    options = {"SERIALIZER": "json", "COMPRESSOR": "zlib", "SOCKET_TIMEOUT": 1}
    found = reported(
        default={"LOCATION": "memory://checks?maxmemory=64mb"},
        same={"LOCATION": "memory://checks/1"},
        redis={"LOCATION": redis_server.url(), "OPTIONS": options},
        named={"KEY_FUNCTION": by_name, "KEY_PREFIX": "p"},
        several={"LOCATION": [redis_server.url(), redis_server.url(1)]},
        others={"BACKEND": "django.core.cache.backends.dummy.DummyCache", "LOCATION": "no url"},
        missing={"BACKEND": "no.such.Backend"},
    )
    assert found == []


@pytest.mark.parametrize(
    ("stated", "number", "text"),
    [
        (["SCAN_COUNT"], "cacheapp.E001", "dict"),
        ({"SCAN_COUNTS": 5}, "cacheapp.E001", "Did you mean 'SCAN_COUNT'"),
        ({"SCAN_COUNT": 0}, "cacheapp.E002", "SCAN_COUNT"),
        ({"SCAN_COUNT": "many"}, "cacheapp.E002", "SCAN_COUNT"),
        ({"CHECK_TIMEOUT": -1}, "cacheapp.E002", "CHECK_TIMEOUT"),
        ({"CHECK_TIMEOUT": "soon"}, "cacheapp.E002", "CHECK_TIMEOUT"),
    ],
)
def test_the_dict_cacheapp(
    reported: Reported, settings: Any, stated: Any, number: str, text: str
) -> None:
    settings.CACHEAPP = stated
    ((found, message, hint),) = reported(default={})
    assert found == number
    assert text in f"{message} {hint}"


@pytest.mark.parametrize(
    ("written", "number", "text"),
    [
        ({"LOCATION": ""}, "E003", "one of memory://"),
        ({"LOCATION": "redi://host"}, "E003", "did you mean redis://"),
        ({"LOCATION": "memory://x?maxmemori=1"}, "E003", "did you mean 'maxmemory'"),
        ({"LOCATION": "memory://x?maxmemory=1zb"}, "E003", "'1zb'"),
        ({"LOCATION": "memory://x?decode_responses=yes"}, "E003", "decode_responses"),
        ({"LOCATION": "memory://x/16"}, "E003", "database 16"),
        ({"LOCATION": "memory://x/2?databases=2"}, "E003", "the 2 of"),
        ({"LOCATION": "redis://x?sokcet_timeout=1"}, "E003", "did you mean 'socket_timeout'"),
        ({"LOCATION": "redis://:pass/word@x"}, "E003", "percent-encoded"),
        ({"OPTIONS": ["SERIALIZER"]}, "E005", "dict"),
        ({"OPTIONS": {"SERIALISER": "json"}}, "E005", "Did you mean 'SERIALIZER'"),
        ({"OPTIONS": {"SERIALIZER": "yaml"}}, "E006", "'yaml'"),
        ({"OPTIONS": {"PICKLE_VERSION": 99}}, "E006", "PICKLE_VERSION"),
        ({"OPTIONS": {"COMPRESSOR": "zip"}}, "E007", "'zip'"),
        ({"OPTIONS": {"COMPRESS_MIN_BYTES": "1k"}}, "E007", "'1k'"),
        ({"OPTIONS": {"CLIENT_CLASS": "django_redis.client.HerdClient"}}, "E008", "HerdClient"),
        ({"OPTIONS": {"PARSER_CLASS": "no.such.Parser"}}, "E008", "no"),
        ({"OPTIONS": {"SOCKET_TIMEOUT": "1s"}}, "E008", "timeout"),
        ({"OPTIONS": {"CONNECTION_POOL_KWARGS": {"decode_responses": True}}}, "E008", "bytes"),
        ({"OPTIONS": {"CONNECTION_POOL_KWARGS": 7}}, "E008", "must be a dict"),
        ({"OPTIONS": {"CONNECTION_POOL_KWARGS": {"retri": 1}}}, "E008", "did you mean 'retry'"),
        ({"KEY_FUNCTION": "no.such.function"}, "E009", "KEY_FUNCTION"),
        ({"KEY_FUNCTION": bare}, "W004", "refuse"),
    ],
)
def test_one_wrong_setting_is_one_message(
    reported: Reported, written: dict[str, Any], number: str, text: str
) -> None:
    ((found, message, hint),) = reported(wrong=written)
    assert found == f"cacheapp.{number}"
    assert text in f"{message} {hint}"
    assert "'wrong'" in message


def test_aliases_that_disagree_about_an_engine(reported: Reported) -> None:
    one, two = ({"LOCATION": f"memory://x/{n}?maxmemory={n}mb"} for n in (1, 2))
    ((found, message, _),) = reported(one=one, two=two)
    assert found == "cacheapp.E004"
    assert "'one'" in message
    assert "'two'" in message


def test_an_unsigned_pickle(reported: Reported) -> None:
    ((found, _, hint),) = reported(default={"OPTIONS": {"SERIALIZER": checks.UNSIGNED_PICKLE}})
    assert found == "cacheapp.W002"
    assert "sign" in hint


@pytest.mark.parametrize(
    ("name", "value", "count"),
    [
        ("WEB_CONCURRENCY", "4", 4),
        ("UWSGI_PROCESSES", "3", 3),
        ("GUNICORN_CMD_ARGS", "--bind=x --workers=5", 5),
        ("GUNICORN_CMD_ARGS", "-w 6", 6),
        ("WEB_CONCURRENCY", "1", 1),
        ("WEB_CONCURRENCY", "auto", 1),
    ],
)
def test_an_engine_in_each_of_several_workers(
    reported: Reported, monkeypatch: pytest.MonkeyPatch, name: str, value: str, count: int
) -> None:
    monkeypatch.setenv(name, value)
    assert checks.worker_count() == count
    found = reported(default={})
    assert [number for number, _, _ in found] == ["cacheapp.W003"] * (count > 1)
    assert all(f"{count} worker" in message for _, message, _ in found)


@pytest.mark.parametrize(
    ("program", "args", "count"),
    [
        ("/usr/bin/gunicorn", ["-w", "4", "site.wsgi"], 4),
        ("uvicorn", ["site.asgi:app", "--workers=3"], 3),
        ("/usr/lib/uvicorn/__main__.py", ["site.asgi:app", "--workers=3"], 3),
        ("gunicorn", ["site.wsgi", "--worker-class", "gthread"], 1),
        ("manage.py", ["runserver", "-w", "4"], 1),
    ],
)
def test_a_server_with_workers_logs_it_as_it_starts(
    settings: Any,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    program: str,
    args: list[str],
    count: int,
) -> None:
    settings.CACHES = {"default": {"BACKEND": BACKEND, "LOCATION": "memory://checks"}}
    monkeypatch.setattr("sys.argv", [program, *args])
    assert checks.worker_count() == count
    with caplog.at_level("WARNING", "cacheapp"):
        apps.get_app_config("cacheapp").ready()
    assert ["cacheapp.W003" in record.getMessage() for record in caplog.records] == (
        [True] * (count > 1)
    )


@pytest.mark.parametrize(
    ("program", "args", "environment", "warns"),
    [
        ("/usr/bin/gunicorn", ["--preload", "site.wsgi"], "", True),
        ("/usr/bin/gunicorn", ["-w", "1", "site.wsgi"], "--preload --workers=1", True),
        ("manage.py", ["check"], "--preload", True),
        ("manage.py", ["--preload"], "", False),
        ("/usr/bin/gunicorn", ["site.wsgi"], "", False),
    ],
)
def test_files_of_an_engine_that_is_made_before_the_fork(
    reported: Reported,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    program: str,
    args: list[str],
    environment: str,
    warns: bool,
) -> None:
    monkeypatch.setattr("sys.argv", [program, *args])
    monkeypatch.setenv("GUNICORN_CMD_ARGS", environment)
    durable = {"LOCATION": f"memory://kept?dir={tmp_path}&appendonly=yes"}
    found = reported(default=durable, other={"LOCATION": "memory://lost"})
    assert [number for number, _, _ in found] == ["cacheapp.W005"] * warns
    assert all("'default'" in message for _, message, _ in found)


def test_a_server_that_preloads_logs_it_as_it_starts(
    settings: Any,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    tmp_path: Path,
) -> None:
    location = f"memory://kept?dir={tmp_path}"
    settings.CACHES = {"default": {"BACKEND": BACKEND, "LOCATION": location}}
    monkeypatch.setattr("sys.argv", ["gunicorn", "--preload", "site.wsgi"])
    with caplog.at_level("WARNING", "cacheapp"):
        apps.get_app_config("cacheapp").ready()
    assert ["cacheapp.W005" in record.getMessage() for record in caplog.records] == [True]


def test_a_server_that_does_not_answer(reported: Reported, settings: Any) -> None:
    settings.CACHEAPP = {"CHECK_TIMEOUT": 0.2}
    url = f"redis://:hidden@{HOST}:{free_port()}/0"
    begun = time.monotonic()
    ((found, message, hint),) = reported(one={"LOCATION": url}, two={"LOCATION": url})
    assert time.monotonic() - begun < 5
    assert found == "cacheapp.W001"
    assert "hidden" not in message
    assert "IGNORE_EXCEPTIONS" in hint
    for timeout in (0, None):
        settings.CACHEAPP = {"CHECK_TIMEOUT": timeout}
        assert reported(one={"LOCATION": url}) == []


def test_databases_of_an_engine_that_another_alias_makes(reported: Reported) -> None:
    assert (
        reported(one={"LOCATION": "memory://x/20"}, two={"LOCATION": "memory://x?databases=32"})
        == []
    )


def test_servers_are_asked_with_the_arguments_of_the_alias(
    reported: Reported, settings: Any
) -> None:
    settings.CACHEAPP = {"CHECK_TIMEOUT": 0.2}
    asked: list[dict[str, Any]] = []

    def record(connection: Any) -> None:
        asked.append({"name": connection.client_name, "timeout": connection.socket_timeout})
        raise redis.ConnectionError("mute")

    with socket.create_server((HOST, 0)) as mute:
        written = {
            "LOCATION": f"redis://{HOST}:{mute.getsockname()[1]}?socket_timeout=30",
            "OPTIONS": {
                "CONNECTION_POOL_KWARGS": {"client_name": "mine", "redis_connect_func": record}
            },
        }
        ((found, _, _),) = reported(default=written)
    assert found == "cacheapp.W001"
    assert asked == [{"name": "mine", "timeout": 0.2}]


@pytest.mark.requires_redis
def test_a_server_that_refuses_the_password(reported: Reported) -> None:
    with RedisServer() as server:
        with redis.Redis.from_url(server.url()) as control:
            control.config_set("requirepass", "right")
        options = {"PASSWORD": "wrong"}
        written = {"LOCATION": server.url(), "OPTIONS": options}
        ((found, message, _),) = reported(default=written)
        assert found == "cacheapp.W001"
        assert "'wrong'" not in message
        options = {"PASSWORD": "right"}
        assert reported(default={"LOCATION": server.url(), "OPTIONS": options}) == []


def test_django_runs_them_and_survives_what_they_report(settings: Any) -> None:
    settings.CACHES = {
        "default": {
            "BACKEND": BACKEND,
            "LOCATION": "redi://host",
            "OPTIONS": {"SERIALIZER": "yaml", "CLIENT_CLASS": "no.such.Class"},
        }
    }
    found = {message.id for message in run_checks(tags=["caches"])}
    # The demo's consumers watch this alias, which does not announce.
    assert found - {"cacheapp.E034"} == {"cacheapp.E003", "cacheapp.E006", "cacheapp.E008"}
