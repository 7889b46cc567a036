"""Every public method that can change a key announces it: none may be missing from these lists.

A method is in one of them: what changes keys (called here, and its twin, and its namesake of
`cache.client`), what a string at the key refuses (there are copies of strings only), and what
changes nothing that has copies. `test_every_method_is_in_a_list` fails for a new one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from django_redis.exceptions import ConnectionInterrupted
from redis.exceptions import RedisError

from cacheapp.cache import tags as tagging
from cacheapp.cache.backend import CacheBackend
from cacheapp.cache.client import CacheClient
from tests.contract.nearcaches import copy, kept, settle, two_processes, until
from tests.redis_server import RedisServer


@dataclass(frozen=True)
class Call:
    """A call that changes the key "a", which holds 1 and has the tag "t"."""

    method: str
    args: tuple[Any, ...] = ("a",)
    options: dict[str, Any] = field(default_factory=dict)
    #: The arguments of the asynchronous twin, where they differ.
    async_args: tuple[Any, ...] | None = None
    #: The server loses the key, so that there is something to compute.
    evicts: bool = False
    changes_tag: bool = False


def new() -> str:
    return "new"


async def anew() -> str:
    return "new"


def load(keys: list[str]) -> dict[str, str]:
    return dict.fromkeys(keys, "new")


FAR_S = 9_999_999_999
CALLS = [
    Call("set", ("a", "new")),
    Call("set", ("a", "new"), {"nx": True}),
    Call("set", ("a", "new"), {"xx": True}),
    Call("set", ("a", "new"), {"tags": ["t"]}),
    Call("set", ("a", "new", 0)),
    Call("add", ("a", "new")),
    Call("delete"),
    Call("set_many", ({"a": 1, "b": 2},)),
    Call("set_many", ({"a": 1, "b": 2}, 0)),
    Call("delete_many", (["a", "b"],)),
    Call("touch", ("a", 5)),
    Call("touch", ("a", None)),
    Call("touch", ("a", 0)),
    Call("expire", ("a", 5)),
    Call("pexpire", ("a", 5000)),
    Call("expire_at", ("a", FAR_S)),
    Call("pexpire_at", ("a", FAR_S * 1000)),
    Call("persist"),
    Call("incr"),
    Call("incr", ("a", 1.5)),
    Call("decr"),
    Call("incr_version"),
    Call("decr_version"),
    Call("clear", ()),
    Call("delete_pattern", ("a*",)),
    Call("invalidate_prefix"),
    Call("invalidate_version", ()),
    Call("invalidate_tags", (["t"],), changes_tag=True),
    Call("get_or_set", ("a", new), evicts=True),
    Call("get_or_set", ("a", new), {"tags": ["t"]}, evicts=True),
    Call("get_or_set_many", (["a"], load), evicts=True),
    Call("write_through", ("a", new), async_args=("a", anew)),
    Call("sunionstore", ("a", "nothing")),
    Call("sinterstore", ("a", "nothing")),
    Call("sdiffstore", ("a", "nothing")),
]
WRITES = {call.method for call in CALLS}
#: What changes a set, a hash or a sorted set, and is refused by a string.
STRUCTURES: dict[str, tuple[Any, ...]] = {
    "sadd": ("a", 1),
    "smove": ("set", "a", 1),
    "spop": ("a",),
    "srem": ("a", 1),
    "hset": ("a", "field", 1),
    "hdel": ("a", "field"),
    "zadd": ("a", {"member": 1}),
    "zincrby": ("a", 1, "member"),
    "zpopmax": ("a",),
    "zpopmin": ("a",),
    "zrem": ("a", "member"),
    "zremrangebyscore": ("a", 0, 1),
}
READS = {
    "get", "get_many", "has_key", "ttl", "pttl", "keys", "scan", "iter_keys", "fetch_many",
    "scard", "sdiff", "sinter", "sismember", "smembers", "smismember", "srandmember", "sscan",
    "sscan_iter", "sscan_page", "sunion", "hexists", "hget", "hgetall", "hkeys", "hlen",
    "zcard", "zcount", "zrange", "zrangebyscore", "zrank", "zrevrange", "zrevrangebyscore",
    "zscore",
}  # fmt: skip
#: Locks are no values; the rest sends nothing.
OTHERS = {
    "lock", "token_lock", "client", "close", "get_backend_timeout", "key_shape",
    "make_and_validate_key", "make_key", "reverse_key", "scan_count", "search_pattern",
    "server_errors", "storage_key", "storage_keys", "ttl_ms", "validate_key", "write",
    "write_computed",
}  # fmt: skip
OF_CLIENT = {
    "async_client_at", "client_at", "connect", "connect_async", "decode", "disconnect",
    "do_close_clients", "encode", "get_async_client", "get_client", "get_client_with_index",
    "get_next_client_index", "make_pattern", "retries_elsewhere", "server_count",
}  # fmt: skip


def public(of: type) -> set[str]:
    return {name for name in dir(of) if not name.startswith("_")}


def test_every_method_is_in_a_list() -> None:
    known = WRITES | set(STRUCTURES) | READS | OTHERS
    twins = {f"a{name}" for name in known}
    assert public(CacheBackend) - known - twins == set()
    assert public(CacheClient) - known - twins - OF_CLIENT == set()
    # And each that writes has a twin, which is called below.
    assert {f"a{name}" for name in WRITES | set(STRUCTURES)} <= public(CacheBackend)


@pytest.fixture
def pair(redis_server: RedisServer, settings: Any) -> Iterator[list[Any]]:
    """Two aliases of the same keys, each with a near cache of its own, as two processes have."""
    with two_processes(redis_server, settings) as found:
        yield found


def perform(cache: Any, way: str, call: Call) -> None:
    if way == "sync":
        getattr(cache, call.method)(*call.args, **call.options)
    elif way == "client":
        getattr(cache.client, call.method)(*call.args, **call.options)
    else:
        args = call.args if call.async_args is None else call.async_args

        async def await_() -> None:
            await getattr(cache, f"a{call.method}")(*args, **call.options)

        asyncio.run(await_())


def ways() -> Iterator[Any]:
    of_client = public(CacheClient)
    for call in CALLS:
        for way in ("sync", "async", "client"):
            if way != "client" or call.method in of_client:
                uses_database = call.method == "write_through"
                marks = [pytest.mark.django_db(transaction=True)] if uses_database else []
                yield pytest.param(way, call, marks=marks, id=f"{call.method}-{way}")


@pytest.mark.parametrize(("way", "call"), list(ways()))
def test_every_write_is_announced(pair: list[Any], way: str, call: Call) -> None:
    one, two = pair
    name = one.storage_key("a")
    if call.changes_tag:
        one.set("a", 1, 100, tags=["t"])
        name = tagging.version_key(one, b"t")
    else:
        one.set("a", 1, 100)
    copy(one, two, "a")
    copy(one, one, "a")
    until(lambda: two.get("a") == 1 and name in two.near.copies.copies)
    if call.evicts:
        one.client.get_client().delete(name)
        one.near.copies.flush()
    perform(one, way, call)
    assert name not in one.near.copies.copies
    until(lambda: name not in two.near.copies.copies)
    assert two.get("a") == one.get("a")


@pytest.mark.parametrize("way", ["sync", "async", "client"])
@pytest.mark.parametrize("method", STRUCTURES)
def test_what_is_not_announced_is_refused_by_a_string(
    pair: list[Any], way: str, method: str
) -> None:
    one, _ = pair
    one.sadd("set", 1)
    one.set("a", "value")
    if way == "client" and method not in public(CacheClient):
        return
    with pytest.raises((RedisError, ConnectionInterrupted)):
        perform(one, way, Call(method, STRUCTURES[method]))
    assert one.client.get_client().get(one.storage_key("a")) is not None
    assert one.get("a") == "value"


def test_a_pattern_under_another_prefix_is_announced_there(
    redis_server: RedisServer, settings: Any
) -> None:
    with two_processes(redis_server, settings, prefixes=("p", "q")) as (one, two):
        two.set_many({"a": 1, "b": 1, "c": 1})
        settle(two, two)
        until(lambda: two.get_many(["a", "b", "c"]) and len(kept(two)) == 3)
        assert one.delete_pattern("[ab]", prefix="q") == 2
        until(lambda: "a" not in kept(two) and "b" not in kept(two))
        assert two.get_many(["a", "b", "c"]) == {"c": 1}
