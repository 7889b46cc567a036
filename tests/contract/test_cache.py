"""CacheBackend on both servers: Django's operations, and django-redis's on single keys."""

from __future__ import annotations

import datetime
import pickle
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.core.cache import CacheKeyWarning, caches
from django_redis import get_redis_connection
from redis.exceptions import LockError, ResponseError

from cacheapp.cache import SerializationError
from tests.cache.aliases import MakeCache, maker
from tests.contract.conftest import Server


@pytest.fixture
def make_cache(settings: Any) -> MakeCache:
    return maker(settings)


@pytest.fixture
def cache(server: Server, make_cache: MakeCache) -> Any:
    return make_cache(server.url, KEY_PREFIX="p")


def commands_run(server: Server, call: Any) -> int:
    """How many commands ``call`` sends, by the server's own count."""
    client = server.client()
    before = client.info("stats")["total_commands_processed"]
    call()
    return int(client.info("stats")["total_commands_processed"]) - int(before) - 1


VALUES: list[Any] = [0, -1, 2**80, 1.5, True, None, "", "ü", b"\xff", [1, {"a": (2,)}], {3}]


@pytest.mark.parametrize("value", VALUES)
def test_values_come_back(cache: Any, value: Any) -> None:
    assert cache.set("key", value) is True
    found = cache.get("key", "missing")
    assert (type(found), found) == (type(value), value)
    assert cache.has_key("key")
    assert "key" in cache
    assert cache.set_many({"key": value, "other": value}) == []
    assert cache.get_many(["key", "other", "none"]) == {"key": value, "other": value}
    assert cache.add("key", "new") is False
    assert cache.get_or_set("key", "new") == value
    assert cache.delete("key") is True
    assert cache.delete("key") is False
    assert cache.get("key", "missing") == "missing"


def test_timeouts(cache: Any) -> None:
    cache.set("default", 1)
    cache.set("seconds", 1, timeout=10)
    cache.set("for ever".replace(" ", "-"), 1, timeout=None)
    cache.set("short", 1, timeout=0.25)
    assert 290 < cache.ttl("default") <= 300
    assert 9_000 < cache.pttl("seconds") <= 10_000
    assert cache.ttl("for-ever") is None
    assert cache.pttl("for-ever") is None
    assert 0 < cache.pttl("short") <= 250
    assert cache.ttl("none") == cache.pttl("none") == 0
    cache.set_many({"a": 1, "b": "x"}, timeout=0.25)
    assert 0 < cache.pttl("a") <= 250
    cache.set_many({"a": 1, "b": "x"}, timeout=None)
    assert cache.ttl("b") is None


@pytest.mark.parametrize("timeout", [0, -1, -0.5])
def test_a_timeout_that_is_over_removes(cache: Any, timeout: float) -> None:
    cache.set("key", 1)
    assert cache.add("key", 2, timeout=timeout) is False
    assert cache.add("new", 2, timeout=timeout) is True
    assert not cache.has_key("new")
    assert cache.set("key", 2, timeout=timeout) is True
    assert not cache.has_key("key")
    cache.set_many({"a": 1, "b": 2})
    cache.set_many({"a": 1, "b": 2}, timeout=timeout)
    assert cache.get_many(["a", "b"]) == {}
    cache.set("key", 1)
    assert cache.touch("key", timeout) is True
    assert not cache.has_key("key")


def test_a_fraction_as_the_alias_s_timeout(server: Server, make_cache: MakeCache) -> None:
    cache = make_cache(server.url, TIMEOUT=0.5)
    cache.set("key", 1)
    assert 0 < cache.pttl("key") <= 500


def test_touch(cache: Any) -> None:
    cache.set("key", 1, timeout=10)
    assert cache.touch("key", 100) is True
    assert cache.ttl("key") > 90
    assert cache.touch("key", None) is True
    assert cache.ttl("key") is None
    assert cache.touch("key", None) is True  # it is there, though it had no deadline to lose
    assert cache.touch("key") is True
    assert cache.ttl("key") > 290
    assert cache.touch("none") is False
    assert cache.touch("none", None) is False


def test_deadlines_of_django_redis(cache: Any) -> None:
    soon = datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=50)
    cache.set("key", 1)
    assert cache.expire("key", 20) is True
    assert cache.ttl("key") in (19, 20)
    assert cache.expire("key", datetime.timedelta(seconds=30)) is True
    assert cache.ttl("key") in (29, 30)
    assert cache.pexpire("key", 1500) is True
    assert 0 < cache.pttl("key") <= 1500
    assert cache.expire_at("key", soon) is True
    assert 45 <= cache.ttl("key") <= 50
    assert cache.pexpire_at("key", soon) is True
    assert 45_000 < cache.pttl("key") <= 50_000
    assert cache.persist("key") is True
    assert cache.persist("key") is False
    assert cache.ttl("key") is None
    assert cache.expire("none", 1) is cache.pexpire("none", 1) is False
    assert cache.expire_at("none", soon) is cache.pexpire_at("none", soon) is False


@pytest.mark.parametrize(
    ("start", "delta", "total"),
    [
        (1, 1, 2),
        (1, -5, -4),
        (2**53, 1, 2**53 + 1),
        (2**63 - 1, 1, 2**63),
        (2**80, 1, 2**80 + 1),
        (1, 2**80, 2**80 + 1),
        (1.5, 1, 2.5),
        (1, 0.5, 1.5),
        (True, 1, 2),
    ],
)
def test_incr_keeps_the_deadline(cache: Any, start: Any, delta: Any, total: Any) -> None:
    cache.set("key", start, timeout=20)
    assert cache.incr("key", delta) == total
    found = cache.get("key")
    assert (type(found), found) == (type(total), total)
    assert 15 < cache.ttl("key") <= 20
    assert cache.decr("key", delta) == start


def test_scripts_survive_a_flush(server: Server, cache: Any) -> None:
    cache.set("key", 1)
    for total in (2, 3):
        server.client().script_flush()
        assert cache.incr("key") == total
    server.client().script_flush()
    assert cache.incr_version("key") == 2


def test_incr_of_what_is_missing_or_no_number(cache: Any) -> None:
    for delta in (1, 1.5):
        with pytest.raises(ValueError, match="'none' not found"):
            cache.incr("none", delta)
    with pytest.raises(ValueError, match="not found"):
        cache.decr("none")
    assert cache.incr("none", 5, ignore_key_check=True) == 5
    assert cache.incr("fraction", 0.5, ignore_key_check=True) == 0.5
    cache.set("text", "12")
    with pytest.raises(TypeError):
        cache.incr("text")
    assert cache.get("text") == "12"


@pytest.mark.parametrize("start", [0, 0.5])
def test_incr_is_atomic_between_threads(server: Server, cache: Any, start: Any) -> None:
    cache.set("key", start, timeout=20)
    with ThreadPoolExecutor(8) as pool:
        totals = list(pool.map(lambda _: cache.incr("key"), range(200)))
    assert sorted(totals) == [start + number for number in range(1, 201)]
    assert cache.get("key") == start + 200


@pytest.mark.parametrize("value", [*VALUES, pytest.param(None, id="nothing")])
def test_incr_version_moves_any_value(cache: Any, value: Any) -> None:
    cache.set("key", value, timeout=20, version=3)
    cache.set("key", "overwritten", version=5)
    assert cache.incr_version("key", 2, version=3) == 5
    assert cache.get("key", "missing", version=5) == value
    assert not cache.has_key("key", version=3)
    assert 15 < cache.ttl("key", version=5) <= 20
    assert cache.decr_version("key", version=5) == 4
    assert cache.get("key", "missing", version=4) == value


def test_incr_version_keeps_no_deadline_and_finds_nothing(cache: Any) -> None:
    cache.set("key", [1], timeout=None)
    assert cache.incr_version("key", 0) == 1
    assert cache.incr_version("key") == 2
    assert cache.ttl("key", version=2) is None
    for _ in range(2):
        with pytest.raises(ValueError, match="'key' not found"):
            cache.incr_version("key")


def test_many_in_one_round_trip(server: Server, cache: Any) -> None:
    data = {f"key{number}": number for number in range(50)}
    cache.set_many(data)
    assert commands_run(server, lambda: cache.get_many(data)) == 1
    assert commands_run(server, lambda: cache.delete_many(data)) == 1
    assert cache.get_many(data) == {}


def test_many_in_one_round_trip_with_redis_py_s_own_client(
    server: Server, make_cache: MakeCache
) -> None:
    cache = make_cache(server.url, options={"REDIS_CLIENT_CLASS": "redis.Redis"})
    data = {f"key{number}": number for number in range(50)}
    assert cache.set_many(data) == []
    assert cache.get_many(data) == data
    assert commands_run(server, lambda: cache.get_many(data)) == 1


def test_many_of_nothing(cache: Any) -> None:
    assert cache.set_many({}) == []
    assert cache.get_many([]) == {}
    assert cache.delete_many([]) is None
    assert cache.delete_many(iter(())) is None
    assert cache.get_many(iter(["a"])) == {}


def test_nothing_is_half_written(cache: Any) -> None:
    with pytest.raises(SerializationError):
        cache.set_many({"first": 1, "second": (number for number in ())})
    assert cache.get("first", "missing") == "missing"


def test_prefixes_and_versions_are_apart(server: Server, make_cache: MakeCache) -> None:
    names = ["a", "a:b", "a*", "ab", ""]
    aliases = [make_cache(server.url, f"alias{n}", KEY_PREFIX=name) for n, name in enumerate(names)]
    for number, cache in enumerate(aliases):
        cache.set("key", number)
        cache.set("key", number, version=7)
    server.client().set("somebody's", "own")
    for number, cache in enumerate(aliases):
        assert cache.clear() is True
        assert not cache.has_key("key")
        assert not cache.has_key("key", version=7)
        for later in aliases[number + 1 :]:
            assert later.has_key("key")
            assert later.has_key("key", version=7)
    assert server.client().keys() == [b"somebody's"]


def test_clear_takes_more_than_one_batch(server: Server, cache: Any, settings: Any) -> None:
    settings.CACHEAPP = {"SCAN_COUNT": 10}
    cache.set_many({f"key{number}": number for number in range(100)})
    assert sorted(cache.iter_keys("key?")) == [f"key{number}" for number in range(10)]
    assert cache.delete_pattern("key1*") == 11
    assert len(cache.keys()) == len(set(cache.keys())) == 89
    assert commands_run(server, cache.clear) >= 10
    assert server.client().dbsize() == 0


@pytest.mark.parametrize("name", ["clear", "delete_pattern", "keys", "iter_keys"])
def test_a_batch_is_large(server: Server, cache: Any, name: str) -> None:
    cache.set_many({f"key{number}": number for number in range(2500)})
    arguments = [] if name == "clear" else ["*"]
    # SCAN's default of 10 keys would need hundreds. Redis fills a little more than COUNT or less.
    sent = commands_run(server, lambda: list_of(getattr(cache, name)(*arguments)))
    assert 3 <= sent <= 12


def list_of(found: Any) -> list[Any]:
    """What a method gave, an iterator's values drawn."""
    return list(found) if isinstance(found, Iterable) else [found]


def test_patterns(cache: Any) -> None:
    for key in ("a*b", "acb", "a:1:b"):
        cache.set(key, 1)
        cache.set(key, 1, version=2)
    assert sorted(cache.keys("a?b")) == ["a*b", "acb"]
    assert list(cache.iter_keys(r"a\*b", itersize=1)) == ["a*b"]
    assert cache.keys("a:1*", version=2) == ["a:1:b"]
    assert cache.delete_pattern("a?b") == 2
    assert cache.delete_pattern("*", prefix="other") == 0
    assert cache.keys() == ["a:1:b"]
    assert len(cache.keys(version=2)) == 3


def test_a_key_function_and_its_reverse(server: Server, make_cache: MakeCache) -> None:
    def dashed(key: str, prefix: str, version: int) -> str:
        return f"own-{prefix}-{version}-{key}"

    cache = make_cache(server.url, KEY_PREFIX="p", KEY_FUNCTION=dashed)
    cache.set("x:y", [1])
    assert server.client().keys() == [b"own-p-1-x:y"]
    assert cache.keys() == ["x:y"]
    assert cache.incr_version("x:y") == 2
    assert cache.get("x:y", version=2) == [1]
    cache.clear()
    assert server.client().keys() == []


def test_keys_that_memcached_refuses_warn(cache: Any) -> None:
    calls = [
        lambda key: cache.set(key, 1),
        cache.get,
        lambda key: cache.get_many([key, "fine"]),
        lambda key: cache.set_many({key: 1, "fine": 2}),
        cache.incr,
        cache.touch,
        cache.incr_version,
        lambda key: cache.delete(key, version=2),
    ]
    for key in ("with space", "line\nbreak", "x" * 251, "bell\x07"):
        for call in calls:
            with pytest.warns(CacheKeyWarning):
                call(key)
    cache.set("ünïcode\u00ad-is-fine", 1)
    assert cache.get("ünïcode\u00ad-is-fine") == 1


def test_stored_values_that_are_not_ours(server: Server, cache: Any) -> None:
    client = server.client()
    cache.set("mine", [1])
    client.copy("p:1:mine", "p:1:copied")
    client.set("p:1:foreign", pickle.dumps([1]))
    client.setrange("p:1:mine", 20, b"\x00")
    keys = ["mine", "copied", "foreign"]
    assert [cache.get(key, "missing") for key in keys] == ["missing"] * 3
    assert cache.get_many(keys) == {}
    assert cache.codec.rejected == 6
    with pytest.raises(ValueError, match="not found"):
        cache.incr_version("copied")
    assert cache.add("mine", 1) is False  # the key is taken, whoever wrote the value


def test_get_redis_connection(server: Server, cache: Any) -> None:
    connection = get_redis_connection("default")
    assert connection.ping() is True
    cache.set("number", 12)
    assert connection.get("p:1:number") == b"12"
    assert connection is get_redis_connection("default", write=False)
    key = cache.client.make_key("number")
    assert cache.get(key) == 12
    assert cache.client.get("number") == 12
    assert cache.get("number", client=server.client()) == 12


def test_locks(cache: Any) -> None:
    lock = cache.lock("job", timeout=10, blocking=False)
    with lock:
        assert cache.ttl("job") in (9, 10)
        assert cache.lock("job", blocking=False).acquire() is False
        with pytest.raises(LockError), cache.lock("job", blocking=False):
            pytest.fail("acquired twice")
        assert lock.extend(20) is True
    assert not lock.locked()


def test_another_type_is_an_error(server: Server, cache: Any) -> None:
    server.client().rpush("p:1:list", 1)
    with pytest.raises(ResponseError, match="wrong kind of value"):
        cache.get("list")


def test_threads_and_new_objects_share_the_alias_s_pool(cache: Any) -> None:
    client = cache.client.get_client()
    with ThreadPoolExecutor(1) as pool:
        other = pool.submit(lambda: (caches["default"], caches["default"].client.get_client()))
        backend, other_client = other.result()
    assert backend is not cache
    assert other_client is client


def test_close_leaves_it_usable(server: Server, make_cache: MakeCache) -> None:
    for options in ({}, {"CLOSE_CONNECTION": True}):
        cache = make_cache(server.url, options=options)
        cache.set("key", "value")
        cache.close()
        assert cache.get("key") == "value"
