"""The settings reader: defaults, overrides, and forgetting what changed."""

from __future__ import annotations

from typing import Any

import pytest

from cacheapp import conf


def test_defaults_and_overrides(settings: Any) -> None:
    assert dict(conf.config()) == dict(conf.DEFAULTS)
    settings.CACHEAPP = {"SCAN_COUNT": 7}
    assert dict(conf.config()) == {**conf.DEFAULTS, "SCAN_COUNT": 7}
    assert conf.scan_count() == 7
    settings.CACHEAPP = {}
    assert conf.scan_count() == conf.DEFAULTS["SCAN_COUNT"]


def test_nobody_changes_what_was_read() -> None:
    with pytest.raises(TypeError):
        conf.config()["SCAN_COUNT"] = 1  # type: ignore[index]


def test_what_is_no_dict_is_left_to_the_checks(settings: Any) -> None:
    settings.CACHEAPP = ["SCAN_COUNT"]
    assert dict(conf.config()) == dict(conf.DEFAULTS)
    assert conf.stated() == ["SCAN_COUNT"]


def test_django_redis_s_scan_setting_wins(settings: Any) -> None:
    settings.DJANGO_REDIS_SCAN_ITERSIZE = 55
    assert conf.scan_count() == 55


def test_secret_keys_follow_the_settings(settings: Any) -> None:
    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = "new", ["old", "older"]
    assert conf.secret_keys() == ("new", "old", "older")
    settings.SECRET_KEY_FALLBACKS = []
    assert conf.secret_keys() == ("new",)


def test_an_alias_is_known_by_its_settings(settings: Any) -> None:
    one = {"BACKEND": "b", "LOCATION": "memory://x", "TIMEOUT": 1}
    settings.CACHES = {"one": one, "two": {**one, "TIMEOUT": 2}, "same": dict(one)}
    assert conf.alias_of("memory://x", {"TIMEOUT": 1}) == "one"
    assert conf.alias_of("memory://x", {"TIMEOUT": 2}) == "two"
    assert conf.alias_of("memory://y", {"TIMEOUT": 2}) == ""
    assert conf.alias_of("memory://x", {"TIMEOUT": 2, "VERSION": 2}) == ""
