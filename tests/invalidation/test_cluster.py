"""What is promised on Redis Cluster: a write is refused with its message, or both are done.

One node that has all slots is enough for that: what a MULTI may touch is the same on many.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import redis
from redis.exceptions import RedisError

from cacheapp.invalidation.bus import stream_keys
from tests.cache.aliases import maker
from tests.contract.nearcaches import copy, kept, two_processes, until
from tests.redis_server import RedisServer

pytestmark = pytest.mark.requires_redis


@pytest.fixture(scope="module")
def cluster() -> Iterator[RedisServer]:
    """A node with all slots."""
    with RedisServer(cluster_enabled="yes") as server:
        client = redis.Redis(port=server.port)
        client.execute_command("CLUSTER", "ADDSLOTSRANGE", 0, 16383)
        until(lambda: "cluster_state:ok" in str(client.execute_command("CLUSTER", "INFO")))
        yield server
        client.close()


WRITES: list[Any] = [
    lambda cache: cache.set("a", "new"),
    lambda cache: cache.delete("a"),
    lambda cache: cache.touch("a", 100),
    lambda cache: cache.incr("a"),
    lambda cache: cache.set_many({"a": 1, "b": 2}),
    lambda cache: cache.delete_pattern("a*"),
]


def test_keys_in_other_slots_than_the_stream_are_refused(
    cluster: RedisServer, settings: Any
) -> None:
    cache = maker(settings)(cluster.url(), options={"NEAR_CACHE": {}, "SERIALIZER": "json"})
    client, name = cache.client.get_client(), cache.storage_key("a")
    client.set(name, "1")
    assert cache.get("a") == 1
    for write in WRITES:
        with pytest.raises(RedisError, match="same slot"):
            write(cache)
        assert client.get(name) == b"1"
    # Its stream is refused as well, so nothing is ever copied.
    until(lambda: cache.get("a") == 1 and cache.near.listener.connections > 2)
    assert not cache.near.copies.is_good
    assert kept(cache) == []
    cache.near.listener.stop()


@pytest.mark.parametrize("write", WRITES)
def test_a_hash_tag_in_the_prefix_puts_all_in_one_slot(
    cluster: RedisServer, settings: Any, write: Any
) -> None:
    with two_processes(cluster, settings, prefixes=("{p}", "{p}")) as (one, two):
        one.set("a", 1)
        copy(one, two, "a")
        write(one)
        until(lambda: "a" not in kept(two))
        assert two.get("a") == one.get("a")
        assert one.client.get_client().exists(*stream_keys("{p}")) == 2
        one.clear()
