"""NEAR_CACHE["stale_in_outage"]: copies past their lease while a real server does not answer.

The near cache's clock is moved, so that no test waits for a lease to end.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Iterator
from dataclasses import dataclass, field
from time import monotonic
from typing import Any

import pytest
import redis
from redis.exceptions import RedisError

from tests.cache.aliases import maker
from tests.contract.nearcaches import kept, until
from tests.redis_server import RedisServer

BOUND_S, STALE_S = 300.0, 1000.0
#: Between the end of the lease and the end of its stale time, whatever a machine's mood.
PAST_LEASE_S = 400.0
PAST_ALL_S = BOUND_S + STALE_S + 1


@dataclass
class Scene:
    """A server that can die, an alias on it, and the seconds that its clock is ahead."""

    server: RedisServer
    settings: Any
    caches: list[Any] = field(default_factory=list)
    ahead_s: float = 0.0

    def make(self, alias: str = "default", options: Any = None, **near: Any) -> Any:
        written = {
            "NEAR_CACHE": {"bound": BOUND_S, "ttl": None, "stale_in_outage": STALE_S, **near},
            "IGNORE_EXCEPTIONS": True,
            "SERIALIZER": "json",
            **(options or {}),
        }
        make = maker(self.settings)
        cache = make(self.server.url(), alias, written, KEY_PREFIX="p", TIMEOUT=None)
        cache.near.copies._clock = lambda: monotonic() + self.ahead_s
        self.caches.append(cache)
        return cache

    def filled(self, options: Any = None, **near: Any) -> Any:
        """An alias with copies of a and of b, which has a tag."""
        cache = self.make("default", options, **near)
        until(lambda: cache.set("a", "old"))
        until(lambda: cache.set("b", "old", tags=["t"]))
        until(lambda: cache.set("brief", "old", PAST_LEASE_S - 100))
        # All of them each time: a listener that begins late drops what was kept before.
        until(
            lambda: (
                cache.get_many(["a", "b", "brief"])
                and cache.get("b") == "old"
                and len(kept(cache)) == 4
            )
        )
        return cache


@pytest.fixture
def scene(settings: Any) -> Iterator[Scene]:
    with RedisServer() as server:
        made = Scene(server, settings)
        yield made
        for cache in made.caches:
            cache.near.listener.stop()


def reads(cache: Any) -> list[Any]:
    """Each way of reading."""
    return [
        cache.get("a"),
        asyncio.run(cache.aget("a")),
        cache.get("b"),
        asyncio.run(cache.aget("b")),
        cache.get_many(["a", "b", "none"]),
        asyncio.run(cache.aget_many(["b", "a"])),
    ]


BOTH = {"a": "old", "b": "old"}
FOUND = ["old", "old", "old", "old", BOTH, BOTH]
NOTHING = [None, None, None, None, {}, {}]


def test_within_the_time_copies_are_served_and_then_no_more(scene: Scene) -> None:
    cache = scene.filled()
    scene.server.stop()
    scene.ahead_s = PAST_LEASE_S
    assert reads(cache) == FOUND
    assert cache.get("brief", "default") == "default"  # its own deadline is over
    assert cache.get_or_set("a", lambda: "computed") == "old"
    assert cache.get("none", "default") == "default"
    assert cache.near.copies.outlived_hits
    scene.ahead_s = PAST_ALL_S
    assert reads(cache) == NOTHING


def test_without_the_option_an_outage_is_a_miss(scene: Scene) -> None:
    cache = scene.filled(stale_in_outage=0)
    scene.server.stop()
    scene.ahead_s = PAST_LEASE_S
    assert reads(cache) == NOTHING


def test_an_alias_that_raises_goes_on_raising(scene: Scene) -> None:
    cache = scene.filled({"IGNORE_EXCEPTIONS": False})
    scene.server.stop()
    scene.ahead_s = PAST_LEASE_S
    for read in (lambda: cache.get("a"), lambda: cache.get_many(["a"])):
        with pytest.raises(RedisError):
            read()


def test_an_error_reply_is_no_outage(scene: Scene) -> None:
    cache = scene.filled()
    client = redis.Redis(port=scene.server.port)
    client.delete("p:1:a")
    client.rpush("p:1:a", "a list")
    scene.ahead_s = PAST_LEASE_S
    assert cache.get("a", "default") == "default"
    client.close()


def test_what_was_read_meanwhile_is_not_forgotten(scene: Scene) -> None:
    """Past its lease a process asks the server; what that says ends a copy that differs."""
    cache = scene.filled()
    client = redis.Redis(port=scene.server.port)
    client.set("p:1:a", b"snew")
    client.delete("p:1:b")
    client.close()
    scene.ahead_s = PAST_LEASE_S
    assert cache.get("a") != "old"
    assert cache.get_many(["b"]) == {}
    scene.server.stop()
    assert reads(cache) == NOTHING


def test_what_this_process_tried_to_write_is_not_served(scene: Scene) -> None:
    cache = scene.filled()
    scene.server.stop()
    scene.ahead_s = PAST_LEASE_S
    assert cache.set("a", "new") is False
    cache.invalidate_tags(["t"])
    assert reads(cache) == NOTHING


def test_recovery_drops_what_may_be_stale(scene: Scene) -> None:
    writer = scene.make("writer", max_entries=0)
    cache = scene.filled({"SOCKET_TIMEOUT": 0.5})
    copies, name = cache.near.copies.copies, cache.storage_key("a")
    os.kill(scene.server.pid, signal.SIGSTOP)
    try:
        scene.ahead_s = PAST_LEASE_S
        until(lambda: cache.get("a") == "old")
        assert cache.near.copies.outlived_hits
    finally:
        os.kill(scene.server.pid, signal.SIGCONT)
    until(lambda: writer.set("a", "new"))
    until(lambda: name not in copies)
    until(lambda: cache.get("a") == "new")
