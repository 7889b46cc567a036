"""@cached on both servers: keys from arguments, sync and async functions, invalidation."""

from __future__ import annotations

import functools
from types import SimpleNamespace
from typing import Any

import pytest

from cacheapp.cache import cached
from tests.cache.aliases import maker
from tests.contract.conftest import Server


@pytest.fixture
def cache(server: Server, settings: Any) -> Any:
    return maker(settings)(server.url, KEY_PREFIX="p")


@pytest.mark.usefixtures("cache")
def test_a_function_is_called_once_for_the_same_arguments() -> None:
    calls: list[Any] = []

    @cached(60)
    def add(a: Any, b: Any = 2, *rest: Any, **named: Any) -> Any:
        """Add."""
        calls.append((a, b))
        return None if a is None else [a, b]

    assert add(1) == add(1, 2) == add(a=1, b=2) == [1, 2]
    assert add(None) is add(None) is None
    assert len(calls) == 2
    for different in ("1", 1.0, True, b"1", (1,), [1], ["1"], {"a": 1}, {1: "a"}):
        add(different)
    assert len(calls) == 11
    assert add.__doc__ == "Add."
    assert add.__wrapped__(5) == [5, 2]  # type: ignore[attr-defined]
    with pytest.raises(TypeError, match="missing"):
        add()
    with pytest.raises(TypeError, match="give key="):
        add(SimpleNamespace(pk=1))


def test_keys_tags_and_invalidation(cache: Any) -> None:
    calls: list[int] = []

    @cached(60, key="user:{user.pk}", tags=["users", "team:{team}"], version=3)
    def profile(user: Any, team: int = 7) -> int:
        calls.append(user.pk)
        return len(calls)

    one, two = SimpleNamespace(pk=1), SimpleNamespace(pk=2)
    assert [profile(one), profile(one), profile(two, team=8)] == [1, 1, 2]
    assert profile.cache_key(one) == "user:1"  # type: ignore[attr-defined]
    assert cache.get("user:1", version=3) == 1
    assert profile.invalidate(one) is True  # type: ignore[attr-defined]
    assert profile.invalidate(one) is False  # type: ignore[attr-defined]
    assert profile(one) == 3
    cache.invalidate_tags(["team:8"])
    assert [profile(one), profile(two, team=8)] == [3, 4]
    cache.invalidate_tags(["users"])
    assert [profile(one), profile(two, team=8)] == [5, 6]


def test_functions_make_keys_tags_and_timeouts(cache: Any) -> None:
    @cached(
        lambda value: value * 10,
        key=lambda number: f"n{number}",
        tags=lambda number: ["odd" if number % 2 else "even"],
        stale_ttl=5,
    )
    def double(number: int) -> int:
        return number * 2

    assert double(3) == 6
    assert cache.ttl("n3") in (64, 65)
    cache.invalidate_tags(["even"])
    assert cache.get("n3") == 6
    cache.invalidate_tags(["odd"])
    assert cache.get("n3") is None


async def test_coroutine_functions(cache: Any) -> None:
    calls = []

    @cached(60, key="row:{pk}")
    async def row(pk: int) -> int:
        calls.append(pk)
        return len(calls)

    assert [await row(1), await row(1), await row(2)] == [1, 1, 2]
    assert await row.ainvalidate(1) is True  # type: ignore[attr-defined]
    assert await row(1) == 3
    await cache.aclose()


def test_wrong_settings_are_seen_at_import() -> None:
    with pytest.raises(ValueError, match="jitter"):
        cached(60, jitter=5)
    with pytest.raises(TypeError, match="format string"):
        cached(60, key=5)  # type: ignore[arg-type]
    for nameless in (lambda number: number, functools.partial(int, base=2)):
        with pytest.raises(TypeError, match="give key="):
            cached(60)(nameless)
    assert cached(60, key="x")(lambda: 1)
    with pytest.raises(TypeError, match=r"write \['users'\]"):
        cached(60, tags="users")(len)
