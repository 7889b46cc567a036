"""OPTIONS["PREFIXES"] on both servers: one command ends all below, whichever way it came there."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured

from cacheapp.cache.prefixes import PREFIXES_MAX, Prefixes
from tests.cache.aliases import maker
from tests.contract.conftest import Server
from tests.contract.test_nearcache import until
from tests.redis_server import RedisServer

DECLARED = ["", "page:", "user:*:"]
KEYS = ["user:1:a", "user:1:b", "user:2:a", "page:1", "other"]


@pytest.fixture
def cache(server: Server, settings: Any) -> Any:
    return maker(settings)(server.url, KEY_PREFIX="p", options={"PREFIXES": DECLARED})


def load_many(keys: list[str]) -> dict[str, int]:
    return dict.fromkeys(keys, 1)


WAYS: dict[str, Callable[[Any, str], Any]] = {
    "set": lambda cache, key: cache.set(key, 1),
    "set for ever": lambda cache, key: cache.set(key, 1, None),
    "set with tags": lambda cache, key: cache.set(key, 1, tags=["t"]),
    "set xx": lambda cache, key: (cache.set(key, 2), cache.set(key, 1, xx=True)),
    "add": lambda cache, key: cache.add(key, 1),
    "set_many": lambda cache, key: cache.set_many({key: 1, "more": 2}, tags=["t"]),
    "get_or_set": lambda cache, key: cache.get_or_set(key, 1, 60),
    "get_or_set stale": lambda cache, key: cache.get_or_set(key, 1, 60, stale_ttl=5, tags=["t"]),
    "get_or_set_many": lambda cache, key: cache.get_or_set_many([key], load_many, 60),
    "many, early": lambda cache, key: cache.get_or_set_many([key], load_many, 60, early=1e-9),
    "write_through": lambda cache, key: cache.write_through(key, lambda: 1),
    "incr": lambda cache, key: (cache.set(key, 0), cache.incr(key)),
    "incr from nothing": lambda cache, key: cache.incr(key, ignore_key_check=True),
    "incr_version": lambda cache, key: (
        cache.set(key, 1, version=0),
        cache.incr_version(key, 1, 0),
    ),
    "touch": lambda cache, key: (cache.set(key, 1, 30), cache.touch(key, 60)),
    "persist": lambda cache, key: (cache.set(key, 1), cache.persist(key)),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.django_db(transaction=True)
def test_one_command_ends_all_below(server: Server, cache: Any, way: str) -> None:
    for key in KEYS:
        WAYS[way](cache, key)
    cache.set("user:1:a", 1, version=2)
    assert cache.get_many(KEYS) == dict.fromkeys(KEYS, 1)
    client = server.client()
    before = client.info("stats")["total_commands_processed"]
    assert cache.invalidate_prefix("user:1:") is True
    assert client.info("stats")["total_commands_processed"] - before <= 3
    assert [cache.get(key) for key in KEYS] == [None, None, 1, 1, 1]
    assert cache.get_many(KEYS) == {"user:2:a": 1, "page:1": 1, "other": 1}
    assert not cache.has_key("user:1:a")
    assert cache.invalidate_prefix("page:") is True
    assert cache.get("page:1") is None
    assert cache.invalidate_version() is True
    assert cache.get_many(KEYS) == {}
    assert cache.get("user:1:a", version=2) == 1
    assert cache.invalidate_version(2) is True
    assert cache.get("user:1:a", version=2) is None
    for key in KEYS:
        WAYS[way](cache, key)
    assert cache.get_many(KEYS) == dict.fromkeys(KEYS, 1)


async def test_the_same_natively(cache: Any) -> None:
    async def load() -> int:
        return 1

    await cache.aset("user:1:a", 1)
    assert await cache.aget_or_set("user:1:b", load) == 1
    await cache.aset_many({"user:2:a": 1})
    assert await cache.aget("user:1:a") == await cache.aget("user:1:b") == 1
    assert await cache.ainvalidate_prefix("user:1:") is True
    assert await cache.aget_many(["user:1:a", "user:1:b", "user:2:a"]) == {"user:2:a": 1}
    assert await cache.ainvalidate_version() is True
    assert await cache.aget("user:2:a") is None
    await cache.aclose()


def test_a_prefix_that_is_not_declared_is_walked(server: Server, settings: Any) -> None:
    options = {"PREFIXES": ["user:*:"]}
    cache = maker(settings)(server.url, KEY_PREFIX="p", options=options)
    cache.set_many(dict.fromkeys(KEYS, 1))
    assert cache.invalidate_prefix("user:") == 3
    assert cache.invalidate_prefix("page:") == 1
    assert cache.invalidate_version() == 1
    assert cache.get_many(KEYS) == {}


def test_what_is_being_computed_is_refused(cache: Any) -> None:
    begun, go = threading.Event(), threading.Event()

    def load(*_: Any) -> Any:
        begun.set()
        assert go.wait(20)
        return {"user:1:a": "older"}

    for call in (
        lambda: cache.get_or_set("user:1:a", load),
        lambda: cache.get_or_set_many(["user:1:a"], load),
        lambda: cache.get_or_set("user:1:a", load, stale_ttl=30),
    ):
        with ThreadPoolExecutor(1) as pool:
            running = pool.submit(call)
            assert begun.wait(10)
            cache.invalidate_prefix("user:1:")
            go.set()
            running.result(20)
        assert cache.get("user:1:a") is None
        assert cache.get_or_set("user:1:a", lambda: "newer") == "newer"
        begun.clear()
        go.clear()
        cache.clear()


def test_a_prefix_lives_as_long_as_its_longest_key(server: Server, cache: Any) -> None:
    client = server.client()
    cache.set("user:1:a", 1, 10)
    (name,) = [name for name in client.scan_iter() if name.endswith(b"user:1:")]
    cache.set("user:1:b", 1, 5)
    assert 5_000 < client.pttl(name) <= 10_000
    for extend, least_ms in (
        (lambda: cache.touch("user:1:a", 100), 90_000),
        (lambda: cache.expire("user:1:a", 200), 190_000),
        (lambda: cache.pexpire("user:1:a", 300_000), 290_000),
        (lambda: cache.expire_at("user:1:a", int(client.time()[0]) + 400), 390_000),
        (lambda: cache.pexpire_at("user:1:a", int(client.time()[0]) * 1000 + 500_000), 490_000),
        (lambda: cache.touch("user:1:a", 1), 490_000),
    ):
        assert extend()
        assert client.pttl(name) > least_ms
    assert cache.touch("user:1:a", None)
    assert client.pttl(name) == -1
    client.delete(name)
    assert cache.get("user:1:a", "lost") == "lost"


def test_with_a_key_function_of_one_s_own(server: Server, settings: Any) -> None:
    def make(key: str, prefix: str, version: int) -> str:
        return f"v{version}/{prefix}/{key}"

    cache = maker(settings)(
        server.url, KEY_PREFIX="p", KEY_FUNCTION=make, options={"PREFIXES": DECLARED}
    )
    cache.set_many({"user:1:a": 1, "user:2:a": 1})
    cache.set("user:1:a", 1, version=2)
    assert cache.invalidate_prefix("user:1:") is True
    assert cache.get_many(["user:1:a", "user:2:a"]) == {"user:2:a": 1}
    assert cache.get("user:1:a", version=2) == 1


def test_near_caches_of_others_hear_of_it(redis_server: RedisServer, settings: Any) -> None:
    options = {"NEAR_CACHE": {}, "PREFIXES": DECLARED}
    make = maker(settings)
    cache = make(redis_server.url(), "one", options=options, KEY_PREFIX="near")
    other = make(redis_server.url(), "two", options=options, KEY_PREFIX="near")
    cache.set_many({"user:1:a": 1, "user:2:a": 2})

    def is_copied(target: Any) -> bool:
        target.get_many(["user:1:a", "user:2:a"])
        return target.near.copies.peek(target.storage_key("user:1:a")) is not None

    until(lambda: is_copied(cache) and is_copied(other))
    assert cache.invalidate_prefix("user:1:") is True
    assert cache.get("user:1:a") is None
    until(lambda: other.get("user:1:a") is None)
    assert other.get("user:2:a") == 2
    # One message of one key, the version of the prefix: nobody walks through copies.
    ((_, message),) = cache.client.get_client().xrevrange(cache.near.bus.stream, count=1)
    assert message == {b"k": b"near:-7461:\x1f1\x1fuser:1:"}


def test_declarations() -> None:
    prefixes = Prefixes.of({"PREFIXES": ["", "a.", "user:*:", "x*/*/", "a."]})
    assert prefixes is not None
    assert prefixes.above("a.b") == ["", "a."]
    assert prefixes.above("axb") == [""]
    assert prefixes.above("user:12:name:x") == ["", "user:12:"]
    assert prefixes.above("user:\n:name") == ["", "user:\n:"]
    assert prefixes.above("user:12") == [""]
    assert prefixes.above("x1/2/3/") == ["", "x1/2/"]
    assert prefixes.is_declared("user:1:")
    assert not prefixes.is_declared("user:1:2:")
    assert not prefixes.is_declared("user:")
    assert Prefixes.of({}) is None
    assert Prefixes.of({"PREFIXES": []}) is None


@pytest.mark.parametrize(
    "wrong", ["page:", [5], ["user:*"], ["user:**:"], [f"{n}:" for n in range(PREFIXES_MAX + 1)]]
)
def test_wrong_declarations(wrong: Any) -> None:
    with pytest.raises(ImproperlyConfigured, match="PREFIXES"):
        Prefixes.of({"PREFIXES": wrong})


def test_a_tag_cannot_be_taken_for_a_prefix(cache: Any) -> None:
    with pytest.raises(ValueError, match="cannot be one"):
        cache.set("key", 1, tags=["\x1f1\x1fpage:"])
