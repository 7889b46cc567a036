"""Tags on both servers: what an invalidated entry is to every operation, and what survives."""

from __future__ import annotations

from typing import Any

import pytest

from cacheapp.cache import entries
from tests.cache.aliases import MakeCache, maker
from tests.contract.conftest import Server


@pytest.fixture
def make_cache(settings: Any) -> MakeCache:
    return maker(settings)


@pytest.fixture
def cache(server: Server, make_cache: MakeCache) -> Any:
    return make_cache(server.url, KEY_PREFIX="p")


VALUES: list[Any] = [7, "text", "ü", "", None, [1, {"a": (2,)}]]


@pytest.mark.parametrize("value", VALUES)
def test_a_tagged_value_is_a_value_until_one_of_its_tags_is_invalidated(
    cache: Any, value: Any
) -> None:
    assert cache.set("key", value, tags=["a", "b c", "ü"]) is True
    cache.set("other", value, tags=["a"])
    cache.set("plain", value)
    assert cache.get("key", "missing") == value
    assert cache.get_many(["key", "plain"]) == {"key": value, "plain": value}
    assert cache.has_key("key")
    assert cache.add("key", 1) is False
    assert 290 < cache.ttl("key") <= 300
    assert cache.invalidate_tags(["b c", "unknown"]) is True
    assert cache.get("key", "missing") == "missing"
    assert not cache.has_key("key")
    assert cache.get_many(["key", "other", "plain"]) == {"other": value, "plain": value}
    assert cache.set("key", 1, xx=True) is False
    with pytest.raises(ValueError, match="not found"):
        cache.incr("key")
    with pytest.raises(ValueError, match="not found"):
        cache.incr_version("key")
    assert cache.add("key", "new", 0) is True
    assert cache.add("key", "new")
    assert cache.get("key") == "new"


async def test_the_same_natively(cache: Any) -> None:
    assert await cache.aset("key", [1], tags=["a"]) is True
    assert await cache.aset_many({"x": 1, "y": "t"}, tags=["a", "b"]) == []
    assert await cache.aget("key") == [1]
    assert await cache.aget_many(["x", "y", "key"]) == {"x": 1, "y": "t", "key": [1]}
    assert await cache.ainvalidate_tags(["b"]) is True
    assert await cache.aget_many(["x", "y", "key"]) == {"key": [1]}
    assert await cache.ainvalidate_tags(["a"]) is True
    assert await cache.aget("key") is None
    assert await cache.ahas_key("key") is False
    assert await cache.aadd("key", 2) is True
    await cache.aclose()


def test_invalidating_costs_one_command_and_touches_no_entry(server: Server, cache: Any) -> None:
    cache.set_many({f"key{number}": number for number in range(100)}, tags=["all"])
    client = server.client()
    before, keys = client.info("stats")["total_commands_processed"], client.dbsize()
    cache.invalidate_tags(["all"])
    assert client.info("stats")["total_commands_processed"] - before <= 3
    assert client.dbsize() == keys - 1
    assert cache.get_many([f"key{number}" for number in range(100)]) == {}


def test_numbers_keep_their_tags_when_they_change(cache: Any) -> None:
    cache.set("n", 5, tags=["a"])
    assert cache.incr("n", 3) == 8
    assert cache.decr("n") == 7
    assert cache.incr_version("n") == 2
    assert cache.get("n", version=2) == 7
    cache.set("list", [1], tags=["a"])
    assert cache.incr_version("list") == 2
    assert cache.get("list", version=2) == [1]
    cache.invalidate_tags(["a"])
    assert cache.get("n", version=2) is None
    assert cache.get("list", version=2) is None
    with pytest.raises(ValueError, match="not found"):
        cache.incr("n", version=2)


def test_a_plain_value_takes_the_tags_away(cache: Any) -> None:
    cache.set("key", 1, tags=["a"])
    cache.set("key", 2)
    cache.invalidate_tags(["a"])
    assert cache.get("key") == 2


def test_a_lost_version_is_a_miss_and_never_an_old_value(server: Server, cache: Any) -> None:
    cache.set("key", 1, tags=["a"])
    client = server.client()
    (version_key,) = [name for name in client.scan_iter() if b"a" in name.split(b":")]
    client.delete(version_key)
    assert cache.get("key") is None
    cache.set("other", 1, tags=["a"])
    assert cache.get("key") is None
    assert cache.get("other") == 1


def test_a_tag_lives_as_long_as_its_longest_entry(server: Server, cache: Any) -> None:
    cache.set("long", 1, 100, tags=["a"])
    cache.set("short", 1, 10, tags=["a"])
    client = server.client()
    (version_key,) = [name for name in client.scan_iter() if b"a" in name.split(b":")]
    assert 90_000 < client.pttl(version_key) <= 100_000
    cache.set("ever", 1, None, tags=["a"])
    assert client.pttl(version_key) == -1
    assert sorted(cache.keys()) == ["ever", "long", "short"]
    cache.clear()
    assert client.dbsize() == 0


def test_aliases_do_not_share_tags(server: Server, make_cache: MakeCache, cache: Any) -> None:
    other = make_cache(server.url, "other", KEY_PREFIX="q")
    cache.set("key", 1, tags=["a"])
    other.set("key", 1, tags=["a"])
    other.invalidate_tags(["a"])
    assert cache.get("key") == 1
    assert other.get("key") is None


def test_wrong_tags_say_what_to_do(cache: Any) -> None:
    with pytest.raises(TypeError, match=r"write \['news'\]"):
        cache.set("key", 1, tags="news")
    with pytest.raises(ValueError, match="at most 64"):
        cache.set("key", 1, tags=range(65))
    with pytest.raises(ValueError, match="1 to 250"):
        cache.invalidate_tags([""])
    assert not cache.has_key("key")


@pytest.mark.parametrize("raw", [b"v", b"v" + bytes(16), b"l", b"l" + b"a" * 30, b"w0", b""])
def test_what_only_looks_like_an_entry_is_a_miss(server: Server, cache: Any, raw: bytes) -> None:
    server.client().set("p:1:key", raw)
    assert cache.get("key", "missing") == "missing"
    assert cache.get_many(["key"]) == {}
    assert raw[:1] in entries.WRAPPED


async def test_prefixes_and_versions(cache: Any) -> None:
    for version in (1, 2):
        cache.set_many({"user:5:a": 1, "user:5:b": 1, "user:50": 1, "user*": 1}, version=version)
    assert cache.invalidate_prefix("user*") == 1
    assert await cache.ainvalidate_prefix("user:5:") == 2
    assert sorted(cache.keys()) == ["user:50"]
    assert len(cache.keys(version=2)) == 4
    assert cache.invalidate_prefix("", version=2) == 4
    assert sorted(cache.keys()) == ["user:50"]
    assert cache.keys(version=2) == []
