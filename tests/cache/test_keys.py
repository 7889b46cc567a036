"""Shapes of keys: patterns that match one alias's keys, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.core.cache.backends.base import CacheKeyWarning, default_key_func
from django.core.exceptions import ImproperlyConfigured

from cacheapp.cache import keys
from cacheapp.cache.errors import InvalidKeyError
from cacheapp.cache.keys import (
    NAMES_MAX,
    KeyNames,
    KeyShape,
    encode_key,
    escape_glob,
    to_milliseconds,
)


def dashed(key: str, prefix: str, version: int) -> str:
    return f"own-{prefix}-{version}-{key}-end"


def reckoned(key: str, prefix: str, version: int) -> str:
    return f"{prefix}/{int(version):d}/{key}"


def hashed(key: str, prefix: str, version: int) -> str:
    return f"{prefix}:{hash((key, version))}"


def bare(key: str, prefix: str, version: int) -> str:
    return key


def test_globs_are_escaped() -> None:
    assert escape_glob("a*b?[c]^-\\") == r"a\*b\?\[c\]\^\-\\"
    assert escape_glob("plain:1") == "plain:1"


def test_patterns() -> None:
    shape = KeyShape.of(default_key_func, "a*", 1)
    assert shape.pattern() == r"a\*:*:*"
    assert shape.pattern("x?", 2) == r"a\*:2:x?"
    assert KeyShape.of(dashed, "p", 1).pattern("x*", 3) == r"own\-p\-3\-x*\-end"


@pytest.mark.parametrize(
    ("prefix", "stored", "owned"),
    [
        ("a", "a:1:x", True),
        ("a", "a:-2:x:y", True),
        ("a", "a:mine:x", True),
        ("a", "a:1:line\nbreak", True),
        ("a", "a:b:1:x", False),
        ("a", "aa:1:x", False),
        ("a", "a:1", False),
        ("", ":1:x", True),
        ("", "b:1:x", False),
        ("a.", "ab:1:x", False),
    ],
)
def test_ownership(prefix: str, stored: str, owned: bool) -> None:
    is_owned = KeyShape.of(default_key_func, prefix, "mine").owned()
    assert bool(is_owned(stored.encode())) is owned


@pytest.mark.parametrize("key_func", [default_key_func, dashed, reckoned])
def test_the_way_back(key_func: Callable[..., str]) -> None:
    shape = KeyShape.of(key_func, "a:b", 1)
    assert shape.reverse(key_func("x:1:y", "a:b", 7), 7) == "x:1:y"
    assert shape.can_list


@pytest.mark.parametrize("key_func", [hashed, bare])
def test_keys_that_cannot_be_told_apart_are_refused(key_func: Callable[..., str]) -> None:
    shape = KeyShape.of(key_func, "", 1)
    assert not shape.can_list
    with pytest.raises(ImproperlyConfigured, match="KEY_FUNCTION"):
        shape.pattern()


def test_a_key_over_the_limit_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keys, "KEY_SIZE_MAX", 10)
    assert encode_key("x" * 10) == b"x" * 10
    with pytest.raises(InvalidKeyError, match="11 bytes is over Redis's limit"):
        encode_key("x" * 11)


def test_a_key_that_is_no_text_says_so() -> None:
    with pytest.raises(InvalidKeyError, match="UTF-8"):
        encode_key("lone \ud800")


@pytest.mark.parametrize(
    ("timeout", "expected"),
    [(10, 10_000), (0.05, 50), (0.29, 290), (0.0001, 1), (0, 0), (-1, 0), (-0.5, 0)],
)
def test_milliseconds(timeout: Any, expected: int) -> None:
    assert to_milliseconds(timeout) == expected


@pytest.mark.parametrize("timeout", [float("inf"), float("-inf"), float("nan")])
def test_a_timeout_that_is_no_number_of_seconds(timeout: float) -> None:
    with pytest.raises(ValueError, match="None for ever"):
        to_milliseconds(timeout)


def test_kept_names_are_bounded() -> None:
    names = KeyNames("prefix:1:")
    for number in range(3 * NAMES_MAX + 1):
        names.keep(f"key {number}", b"name")
        assert len(names) <= NAMES_MAX
    assert names == {f"key {3 * NAMES_MAX}": b"name"}


def test_hot_keys_are_kept_and_unusual_ones_are_not(make_cache: Any) -> None:
    cache = make_cache("memory://kept-names")
    for _ in range(16):
        cache.set("hot", "value")
        with pytest.warns(CacheKeyWarning):
            cache.set("with space", "value")
    assert set(cache._names) == {"hot"}
    assert cache.get("hot") == "value"
    cache.key_prefix = "another"
    assert cache.get("hot") is None
