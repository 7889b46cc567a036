"""django-redis's sets, hashes and sorted sets through CacheBackend, on both servers."""

from __future__ import annotations

from typing import Any

import pytest

from tests.cache.aliases import maker
from tests.contract.conftest import Server


@pytest.fixture(params=["default", "json", "pickle"])
def cache(server: Server, settings: Any, request: pytest.FixtureRequest) -> Any:
    return maker(settings)(server.url, options={"SERIALIZER": request.param})


def test_sets(cache: Any) -> None:
    assert cache.sadd("a", 1, "x", 2.5, None) == 4
    assert cache.sadd("a", 1) == 0
    assert cache.sadd("b", 1, "y") == 2
    assert cache.scard("a") == 4
    assert cache.smembers("a") == {1, "x", 2.5, None}
    assert cache.sismember("a", "x") is True
    assert cache.smismember("a", 1, "z") == [True, False]
    assert cache.sdiff("a", "b") == {"x", 2.5, None}
    assert cache.sinter("a", "b") == {1}
    assert cache.sunion("a", "b") == {1, "x", 2.5, None, "y"}
    assert cache.sdiffstore("d", "a", "b") == 3
    assert cache.sinterstore("i", "a", "b") == 1
    assert cache.sunionstore("u", "a", "b") == 5
    assert cache.smembers("i") == {1}
    assert cache.smove("a", "b", "x") is True
    assert cache.smove("a", "b", "x") is False
    assert cache.srem("b", "x", "none") == 1
    assert cache.srandmember("i") == 1
    assert cache.srandmember("i", 5) == [1]
    assert cache.spop("i") == 1
    assert cache.spop("i") is cache.srandmember("i") is None
    assert cache.spop("b", 5) == {1, "y"}
    assert cache.spop("b", 5) == cache.smembers("none") == set()


def test_scans_of_sets(cache: Any) -> None:
    cache.sadd("a", *range(300))
    assert set(cache.sscan_iter("a", count=7)) == set(range(300))
    assert cache.sscan("a", count=1000) == set(range(300))
    cache.sadd("words", "apple", "pear")
    if cache.codec.has_inline_str:
        assert list(cache.sscan_iter("words", match="ap*")) == ["apple"]
    else:
        with pytest.raises(ValueError, match="match"):
            cache.sscan("words", match="ap*")


def test_hashes(cache: Any) -> None:
    assert cache.hset("h", "field", [1]) == 1
    assert cache.hset("h", "nothing", None) == 1
    assert cache.hset("h", mapping={"field": "x", "two": 2}) == 1
    assert cache.hget("h", "field") == "x"
    assert cache.hget("h", "none") is None
    assert cache.hgetall("h") == {"field": "x", "nothing": None, "two": 2}
    assert cache.hlen("h") == 3
    assert sorted(cache.hkeys("h")) == ["field", "nothing", "two"]
    assert cache.hexists("h", "two") is True
    assert cache.hdel("h", "two") == 1
    assert cache.hexists("h", "two") is False


def test_sorted_sets(cache: Any) -> None:
    assert cache.zadd("z", {"a": 1, "b": 2, 3: 3}) == 3
    assert cache.zadd("z", {"a": 5}, nx=True) == 0
    assert cache.zadd("z", {"a": 1}, incr=True) == 2.0
    assert cache.zincrby("z", -1, "a") == 1.0
    assert cache.zcard("z") == 3
    assert cache.zcount("z", 2, "+inf") == 2
    assert cache.zrange("z", 0, -1) == ["a", "b", 3]
    assert cache.zrange("z", 0, 0, withscores=True) == [("a", 1.0)]
    assert cache.zrange("z", 0, 0, desc=True) == [3]
    assert cache.zrevrange("z", 0, 1, withscores=True) == [(3, 3.0), ("b", 2.0)]
    assert cache.zrangebyscore("z", 1, 2) == ["a", "b"]
    assert cache.zrangebyscore("z", "-inf", "+inf", start=1, num=1) == ["b"]
    assert cache.zrevrangebyscore("z", 3, 2, withscores=True) == [(3, 3.0), ("b", 2.0)]
    assert cache.zrank("z", 3) == 2
    assert cache.zrank("z", "none") is None
    assert cache.zscore("z", "b") == 2.0
    assert cache.zscore("z", "none") is None
    assert cache.zpopmin("z") == ("a", 1.0)
    assert cache.zpopmax("z", 1) == [(3, 3.0)]
    assert cache.zrem("z", "b", "none") == 1
    assert cache.zpopmax("z") is None
    assert cache.zpopmin("z", 2) == []
    cache.zadd("z", {"a": 1, "b": 2})
    assert cache.zremrangebyscore("z", 1, 1) == 1


def test_members_that_are_not_ours_are_left_out(server: Server, cache: Any) -> None:
    cache.sadd("s", "fine")
    cache.zadd("z", {"fine": 1})
    server.client().sadd(":1:s", b"p" + bytes(40))
    server.client().zadd(":1:z", {b"?": 2})
    server.client().hset(":1:h", "field", b"?")
    assert cache.smembers("s") == {"fine"}
    assert cache.zrange("z", 0, -1, withscores=True) == [("fine", 1.0)]
    assert cache.hgetall("h") == {}
    assert cache.hget("h", "field") is None
    assert cache.codec.rejected >= 4


def test_django_redis_s_client_object_agrees(cache: Any) -> None:
    cache.client.sadd("s", "x", 1)
    assert cache.smembers("s") == cache.client.smembers("s") == {"x", 1}
    cache.client.zadd("z", {"x": 1})
    assert cache.zscore("z", "x") == 1.0
