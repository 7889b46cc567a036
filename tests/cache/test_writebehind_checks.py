"""The checks of write-behind queues: each number, and silence for what is right."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from cacheapp.cache.checks import check_writebehind
from cacheapp.cache.writebehind import WriteBehind, queues
from tests.cache.aliases import MakeCache


@pytest.fixture(autouse=True)
def _queue() -> Iterator[None]:
    WriteBehind("checked", print, alias="default")
    yield
    del queues["checked"]


def reported() -> list[Any]:
    messages = check_writebehind()
    assert all(message.hint for message in messages)
    return [message.id for message in messages]


def test_a_server_of_its_own_is_silent(make_cache: MakeCache) -> None:
    make_cache("redis://127.0.0.1:1/0")
    assert reported() == []


def test_an_engine_in_the_process_is_a_warning(make_cache: MakeCache) -> None:
    make_cache("memory://checked")
    assert reported() == ["cacheapp.W050"]


def test_another_backend_is_an_error(settings: Any) -> None:
    settings.CACHES = {"default": {"BACKEND": "django.core.cache.backends.dummy.DummyCache"}}
    assert reported() == ["cacheapp.E050"]
