"""Twins call the a* methods, in the loop that was asked for, and leave all else alone."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import pytest
from django.core.cache import caches
from django.core.cache.backends.base import BaseCache
from django.db.models import QuerySet
from django.test import override_settings

from tests.upstream.twins import (
    TWINS,
    LoopPerCall,
    LoopPerTest,
    TwinCache,
    TwinHandler,
    in_loop,
    install,
)


class RecordingCache(BaseCache):
    """Answers with the method that was called and the loop that it ran in."""

    def __init__(self) -> None:
        super().__init__({})

    def get(self, key: str, default: Any = None, version: int | None = None) -> Any:
        return ("get", key, in_loop())

    async def aget(self, key: str, default: Any = None, version: int | None = None) -> Any:
        return ("aget", key, asyncio.get_running_loop())

    async def ahas_key(self, key: str, version: int | None = None) -> bool:
        return key == "here"

    async def aset(self, key: str, value: Any, **options: Any) -> Any:
        return value.evaluated_in_loop


class Lazy(QuerySet[Any]):
    """A QuerySet that says where it was evaluated."""

    evaluated_in_loop: bool | None = None

    def __len__(self) -> int:
        self.evaluated_in_loop = in_loop()
        return 0


@pytest.fixture
def loop() -> Iterator[LoopPerTest]:
    per_test = LoopPerTest()
    per_test.open()
    yield per_test
    per_test.close()


def test_every_cache_method_with_a_twin_is_known() -> None:
    assert {"get", "set", "add", "touch", "incr", "get_or_set", "close", "clear"} <= TWINS
    assert "make_key" not in TWINS
    assert not any(name.startswith("_") for name in TWINS)


def test_sync_call_runs_the_async_method_in_one_loop(loop: LoopPerTest) -> None:
    real = RecordingCache()
    twin = TwinCache(lambda: real, loop.run)
    first, second = twin.get("a"), twin.get("b")
    assert (first[0], first[1], second[1]) == ("aget", "a", "b")
    assert first[2] is second[2]


def test_loop_per_call_makes_a_loop_each_time() -> None:
    real = RecordingCache()
    twin = TwinCache(lambda: real, LoopPerCall().run)
    first, second = twin.get("a"), twin.get("a")
    assert first[0] == second[0] == "aget"
    assert first[2] is not second[2]
    assert first[2].is_closed()


def test_within_a_running_loop_the_sync_method_is_meant(loop: LoopPerTest) -> None:
    real = RecordingCache()
    twin = TwinCache(lambda: real, loop.run)

    async def body() -> Any:
        return twin.get("a"), await twin.aget("b")

    sync, native = asyncio.run(body())
    assert sync == ("get", "a", True)
    assert native[:2] == ("aget", "b")


def test_membership_goes_through_has_key(loop: LoopPerTest) -> None:
    real = RecordingCache()
    twin = TwinCache(lambda: real, loop.run)
    assert "here" in twin
    assert "elsewhere" not in twin


def test_attributes_are_those_of_the_cache(loop: LoopPerTest) -> None:
    real = RecordingCache()
    twin = TwinCache(lambda: real, loop.run)
    twin.version = 7
    assert real.version == 7
    assert twin.make_key("a") == ":7:a"
    del twin.version
    assert not hasattr(real, "version")


def test_a_lazy_query_set_is_evaluated_before_the_loop(loop: LoopPerTest) -> None:
    real = RecordingCache()
    twin = TwinCache(lambda: real, loop.run)
    assert twin.set("key", Lazy()) is False
    assert twin.set("key", value=Lazy()) is False


def test_handler_gives_one_twin_for_each_cache(loop: LoopPerTest) -> None:
    path = "django.core.cache.backends.locmem.LocMemCache"
    entries = {"default": {"BACKEND": path}, "other": {"BACKEND": path, "LOCATION": "other"}}
    with override_settings(CACHES=entries):
        handler = TwinHandler(loop.run)
        assert handler["default"] is handler["default"]
        assert handler["default"] is not handler["other"]
        assert handler.all(initialized_only=True) == caches.all(initialized_only=True)


def test_install_replaces_only_the_names_that_a_module_has(loop: LoopPerTest) -> None:
    both, handler_only = ModuleType("both"), ModuleType("handler_only")
    vars(both).update(cache=None, caches=None)
    vars(handler_only).update(caches=None)
    install(loop.run, [both, handler_only])
    assert isinstance(vars(both)["caches"], TwinHandler)
    assert "cache" not in vars(handler_only)
    assert isinstance(vars(both)["cache"], TwinCache)
