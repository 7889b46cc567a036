"""What is reported of NEAR_CACHE, and silence for what is right."""

from __future__ import annotations

import gc
from typing import Any

import pytest

from cacheapp.channels import InvalidationConsumer
from cacheapp.invalidation import checks
from cacheapp.invalidation.checks import check_consumers, check_near_caches
from tests.cache.aliases import BACKEND

REDIS = "redis://127.0.0.1:1/0"


def reported(settings: Any, **aliases: dict[str, Any]) -> list[str]:
    settings.CACHES = {
        alias: {"BACKEND": BACKEND, "LOCATION": REDIS, **written}
        for alias, written in aliases.items()
    }
    found = check_near_caches()
    assert all(message.hint for message in found)
    return [message.id for message in found]


@pytest.mark.parametrize(
    "near",
    [
        {},
        {"max_bytes": 1, "max_entries": 0, "ttl": None, "bound": 0.5, "exclude": ["a"]},
        {"ttl": 0.5, "bound": 3},
    ],
)
def test_what_is_right_is_not_reported(settings: Any, near: Any) -> None:
    assert reported(settings, default={"OPTIONS": {"NEAR_CACHE": near}}) == []


@pytest.mark.parametrize(
    ("near", "number"),
    [
        (True, "cacheapp.E030"),
        ({"size": 1}, "cacheapp.E031"),
        ({"max_bytes": -1}, "cacheapp.E031"),
        ({"max_entries": "many"}, "cacheapp.E031"),
        ({"max_entries": True}, "cacheapp.E031"),
        ({"ttl": 0}, "cacheapp.E031"),
        ({"ttl": float("inf")}, "cacheapp.E031"),
        ({"bound": 0.01}, "cacheapp.E031"),
        ({"bound": None}, "cacheapp.E031"),
        ({"stale_in_outage": -1}, "cacheapp.E031"),
        ({"stale_in_outage": True}, "cacheapp.E031"),
        ({"exclude": "one"}, "cacheapp.E031"),
        ({"exclude": [""]}, "cacheapp.E031"),
    ],
)
def test_what_cannot_be_is_an_error(settings: Any, near: Any, number: str) -> None:
    assert reported(settings, default={"OPTIONS": {"NEAR_CACHE": near}}) == [number]


def test_writes_on_other_servers_cannot_be_announced(settings: Any) -> None:
    options = {"NEAR_CACHE": {}, "REPLICA_READ_ONLY": False}
    assert reported(settings, default={"OPTIONS": options}) == ["cacheapp.E031"]


def test_a_near_cache_before_an_engine_is_a_warning(settings: Any) -> None:
    written = {"LOCATION": "memory://a", "OPTIONS": {"NEAR_CACHE": {}}}
    assert reported(settings, default=written) == ["cacheapp.W030"]


def test_an_alias_that_writes_the_same_keys_silently_is_a_warning(settings: Any) -> None:
    near = {"OPTIONS": {"NEAR_CACHE": {}}}
    assert reported(settings, default=near, other={}) == ["cacheapp.W031"]
    assert reported(settings, default=near, other={"KEY_PREFIX": "o"}) == []
    mute = {"OPTIONS": {"NEAR_CACHE": {"max_entries": 0}}, "TIMEOUT": 1}
    assert reported(settings, default=near, other=mute) == []


def test_stale_values_in_outages_that_raise_are_a_warning(settings: Any) -> None:
    near = {"NEAR_CACHE": {"stale_in_outage": 60}}
    assert reported(settings, default={"OPTIONS": near}) == ["cacheapp.W032"]
    degrading = {**near, "IGNORE_EXCEPTIONS": True}
    assert reported(settings, default={"OPTIONS": degrading}) == []
    settings.DJANGO_REDIS_IGNORE_EXCEPTIONS = True
    assert reported(settings, default={"OPTIONS": near}) == []


def test_the_layer_that_carries_messages_is_one_of_the_settings(settings: Any) -> None:
    settings.CHANNEL_LAYERS = {"default": {"BACKEND": "channels.layers.InMemoryChannelLayer"}}
    near = {"NEAR_CACHE": {"channel_layer": "default"}}
    assert reported(settings, default={"OPTIONS": near}) == []
    near = {"NEAR_CACHE": {"channel_layer": "defualt"}}
    assert reported(settings, default={"OPTIONS": near}) == ["cacheapp.E032"]
    assert "'default'" in str(check_near_caches()[0].hint)
    settings.CHANNEL_LAYERS = {}
    assert reported(settings, default={"OPTIONS": near}) == ["cacheapp.E032"]


def test_announcing_without_a_near_cache(settings: Any) -> None:
    announce = {"OPTIONS": {"ANNOUNCE": True}}
    assert reported(settings, default=announce) == []
    assert reported(settings, default=announce, other={}) == ["cacheapp.W031"]
    near = {"OPTIONS": {"NEAR_CACHE": {}}}
    assert reported(settings, default=announce, other=near) == []
    memory = {"LOCATION": "memory://a"}
    assert reported(settings, default={**announce, **memory}, other=memory) == ["cacheapp.W031"]


@pytest.mark.parametrize(
    "options", [{"ANNOUNCE": 1}, {"ANNOUNCE": True, "REPLICA_READ_ONLY": False}]
)
def test_announcements_that_cannot_be(settings: Any, options: dict[str, Any]) -> None:
    assert reported(settings, default={"OPTIONS": options}) == ["cacheapp.E033"]


def test_consumers_of_an_alias_that_does_not_announce(settings: Any) -> None:
    class Watching(InvalidationConsumer):
        cache_alias = "watched"

    def complaints(**written: Any) -> list[str]:
        watched = {"BACKEND": BACKEND, "LOCATION": REDIS, **written}
        settings.CACHES = {"default": {**settings.CACHES["default"]}, "watched": watched}
        found = [message for message in check_consumers() if "Watching" in message.msg]
        assert all(message.hint for message in found)
        return [str(message.id) for message in found]

    near = {"OPTIONS": {"NEAR_CACHE": {}}}
    assert complaints() == ["cacheapp.E034"]
    assert complaints(LOCATION="memory://a", **near) == ["cacheapp.E034"]
    assert complaints(**near) == []
    assert complaints(OPTIONS={"ANNOUNCE": True}) == []
    assert complaints(LOCATION="memory://a", OPTIONS={"ANNOUNCE": True}) == []
    del Watching
    gc.collect()


def test_messages_of_the_same_keys_that_go_different_ways_are_a_warning(settings: Any) -> None:
    settings.CHANNEL_LAYERS = {"default": {"BACKEND": "channels.layers.InMemoryChannelLayer"}}
    stream, layer = {"NEAR_CACHE": {}}, {"NEAR_CACHE": {"channel_layer": "default"}}
    one = {"OPTIONS": stream}
    assert reported(settings, default=one, other={"OPTIONS": layer}) == ["cacheapp.W033"]
    assert reported(settings, default=one, other={"OPTIONS": stream, "TIMEOUT": 1}) == []
    apart = {"OPTIONS": layer, "KEY_PREFIX": "other"}
    assert reported(settings, default=one, other=apart) == []


def test_consumers_of_apps_are_found_and_those_that_cannot_be_imported_are_left_alone(
    settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    imported = []

    def note(name: str) -> None:
        imported.append(name)
        raise ImportError(name)

    monkeypatch.setattr(checks, "import_module", note)
    check_consumers()
    assert "demo_site.consumers" in imported
