"""What is reported of CHANNEL_LAYERS, and silence for what is right."""

from __future__ import annotations

import re
import sys
from typing import Any

import pytest
from django.apps import apps
from django.core.checks import Error
from django.core.checks.registry import registry

from cacheapp.channels.checks import check_layers
from tests.cache.aliases import BACKEND

OURS = "cacheapp.channels.ChannelLayer"
REDIS = "redis://127.0.0.1:1/0"


@pytest.fixture
def reported(settings: Any) -> Any:
    """A function of a layer's CONFIG, which returns (id, message, hint) of what is reported."""
    settings.CACHES = {
        "default": {"BACKEND": BACKEND, "LOCATION": REDIS},
        "other": {"BACKEND": "django.core.cache.backends.dummy.DummyCache"},
    }

    def report(config: Any, backend: str = OURS) -> list[tuple[str, str, str]]:
        settings.CHANNEL_LAYERS = {"default": {"BACKEND": backend, "CONFIG": config}}
        found = check_layers()
        for message in found:
            assert isinstance(message, Error) is ("E" in str(message.id))
        return [(str(message.id), message.msg, str(message.hint)) for message in found]

    return report


@pytest.mark.parametrize(
    "config",
    [
        {},
        {"cache": "default", "prefix": "", "expiry": 0.5, "group_expiry": 3, "group_history": 1},
        {"url": REDIS, "capacity": 1, "channel_capacity": {"a*": 1, re.compile("b"): 2}},
        {"url": "memory://checks-of-layers", "symmetric_encryption_keys": ["a", b"b"]},
        {"symmetric_encryption_keys": None},
    ],
)
def test_what_is_right_is_not_reported(reported: Any, config: dict[str, Any]) -> None:
    assert reported(config) == []


@pytest.mark.parametrize(
    ("config", "number", "text", "hint"),
    [
        (7, "E060", "must be a dict", "docs/channels.md"),
        ({"hosts": []}, "E060", "unknown key 'hosts'", "Known are: "),
        ({"capacty": 5}, "E060", "unknown key 'capacty'", "Did you mean 'capacity'?"),
        ({"capacity": 0}, "E061", "['capacity'] is 0", "such as 100"),
        ({"capacity": True}, "E061", "is True", "such as 100"),
        ({"channel_capacity": 5}, "E061", "is 5", "globs"),
        ({"channel_capacity": {"a": "5"}}, "E061", "is {'a': '5'}", "globs"),
        ({"channel_capacity": {5: 5}}, "E061", "is {5: 5}", "globs"),
        ({"expiry": 0}, "E061", "is 0", "such as 60"),
        ({"group_expiry": float("inf")}, "E061", "is inf", "such as 86400"),
        ({"group_history": 1.5}, "E061", "is 1.5", "such as 1000"),
        ({"prefix": None}, "E061", "is None", "'asgi'"),
        ({"cache": "default", "url": REDIS}, "E061", "a cache and a url", "one of them"),
        ({"cache": "defualt"}, "E062", "does not have", "Did you mean 'default'?"),
        ({"cache": "other"}, "E062", "not ours", "CacheBackend"),
        ({"url": "redsi://h"}, "E063", "redsi", "docs/url.md"),
        ({"url": "memory://x?no-such=1"}, "E063", "no-such", "docs/url.md"),
        ({"url": 5}, "E063", "text", "docs/url.md"),
        ({"symmetric_encryption_keys": "one"}, "E064", "list", "a list"),
        ({"symmetric_encryption_keys": ["", "a"]}, "E064", "no text", "a list"),
        ({"symmetric_encryption_keys": 5}, "E064", "", "a list"),
    ],
)
def test_what_cannot_be_is_an_error(
    reported: Any, config: Any, number: str, text: str, hint: str
) -> None:
    [(found, message, found_hint)] = reported(config)
    assert found == f"cacheapp.{number}"
    assert "CHANNEL_LAYERS['default']['CONFIG']" in message
    assert text in message
    assert hint in found_hint


def test_encryption_without_its_package(reported: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cryptography.fernet", None)
    [(found, message, hint)] = reported({"symmetric_encryption_keys": ["a"]})
    assert (found, "cryptography" in message) == ("cacheapp.E064", True)
    assert "cacheapp[encryption]" in hint


def test_layers_of_others_are_theirs(reported: Any, settings: Any) -> None:
    assert reported({"nonsense": 1}, "channels.layers.InMemoryChannelLayer") == []
    assert reported({"nonsense": 1}, "no.such.Layer") == []
    settings.CHANNEL_LAYERS = None
    assert check_layers() == []


def test_they_are_registered_where_there_are_layers(settings: Any) -> None:
    settings.CHANNEL_LAYERS = {"default": {"BACKEND": OURS}}
    registry.registered_checks.discard(check_layers)
    apps.get_app_config("cacheapp").ready()
    assert check_layers in registry.registered_checks


def test_an_engine_in_each_of_several_processes(
    reported: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WEB_CONCURRENCY", "4")
    [(found, message, _)] = reported({"url": "memory://checks-of-layers"})
    assert found == "cacheapp.W060"
    assert "4 worker processes" in message
    assert reported({"url": REDIS}) == []
