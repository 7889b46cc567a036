"""NEAR_CACHE's options, which keys are never kept, and errors that end a fill."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.cache import caches
from django.core.exceptions import ImproperlyConfigured
from redis.exceptions import ResponseError

from cacheapp.cache.backend import CacheBackend
from cacheapp.cache.near import DEFAULTS, Near, NearOptions
from cacheapp.cache.steps import drive
from tests.cache.aliases import MakeCache


def near_of(prefix: str = "p", key_function: Any = None, **options: Any) -> Near:
    found = NearOptions.of({"NEAR_CACHE": options})
    assert found is not None
    return Near(found, prefix, key_function)


def test_defaults() -> None:
    assert NearOptions.of({}) is None
    options = NearOptions.of({"NEAR_CACHE": {}})
    assert options == NearOptions(
        DEFAULTS["max_bytes"], DEFAULTS["max_entries"], DEFAULTS["ttl"], DEFAULTS["bound"], ()
    )


def test_a_wrong_option_is_raised_at_the_first_use(make_cache: MakeCache) -> None:
    cache = make_cache("redis://127.0.0.1:1/0", "wrong", {"NEAR_CACHE": {"bound": 0}})
    with pytest.raises(ImproperlyConfigured, match="bound"):
        cache.get("a")


def test_an_alias_in_process_has_none(make_cache: MakeCache) -> None:
    cache = make_cache("memory://near", "near", {"NEAR_CACHE": {}})
    assert cache.near is None
    cache.set("a", 1)
    assert cache.get("a") == 1


@pytest.mark.parametrize("prefix", ["", "p", "a:b"])
def test_excluded_keys(prefix: str) -> None:
    near = near_of(prefix, exclude=["own:"])
    head = f"{prefix}:1:"
    for key in ("own:x", "throttle_user_1", "rl:1", "django.contrib.sessions.cached_db1"):
        assert near.copies.begin(f"{head}{key}".encode()) is None
    for key in ("x", "my own:x", "url:1"):
        assert near.copies.begin(f"{head}{key}".encode()) is not None


def test_with_a_key_function_a_key_is_excluded_wherever_it_stands() -> None:
    near = near_of(key_function="some.path", exclude=["own:"])
    assert near.copies.begin(b"1/own:x") is None
    assert near.copies.begin(b"1/x") is not None


class OwnKeys(CacheBackend):
    """Makes keys as a project may."""

    def make_key(self, key: Any, version: Any = None) -> str:
        return f"{key}|{self.key_prefix}"


def test_with_a_class_that_makes_keys_too(settings: Any) -> None:
    written = {"LOCATION": "redis://127.0.0.1:1/0", "OPTIONS": {"NEAR_CACHE": {}}}
    settings.CACHES = {"default": {"BACKEND": f"{__name__}.OwnKeys", **written}}
    near: Any = caches["default"].near  # type: ignore[attr-defined]
    assert near.copies.begin(b"django.contrib.sessions.cachexyz|") is None
    assert near.copies.begin(b"x|") is not None


def test_a_cache_of_no_entries_starts_no_listener() -> None:
    near = near_of(max_entries=0)
    near.opened(object())
    assert near.begin(b"p:1:a") is None
    assert not near.listener.is_alive


class Refusing:
    """A client to whose every command the server answers an error."""

    def pipeline(self, transaction: bool) -> Refusing:
        return self

    def execute_command(self, *command: Any) -> None:
        pass

    def execute(self, raise_on_error: bool) -> list[Exception]:
        return [ResponseError("no"), ResponseError("no")]


@pytest.mark.parametrize("steps", ["fill", "fill_many"])
def test_an_error_ends_a_fill(steps: str) -> None:
    near = near_of()
    near.copies.renew(float("inf"))
    argument = b"a" if steps == "fill" else [b"a"]
    with pytest.raises(ResponseError):
        drive(getattr(near, steps)(argument), Refusing())
    assert near.copies._filling == {}
