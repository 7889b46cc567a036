"""Announced writes and the listener on both servers; and whole aliases on redis-server.

On memory:// an alias has no near cache, so there the bus and a listener are put together by hand.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import redis
from django.db import transaction
from redis.exceptions import NoPermissionError, OutOfMemoryError, ResponseError

from cacheapp.cache.near import Near, NearOptions
from cacheapp.cache.steps import adrive, drive
from cacheapp.invalidation.bus import Write
from cacheapp.invalidation.protocol import prefix_message
from tests.cache.aliases import maker
from tests.contract.conftest import Server
from tests.contract.nearcaches import BOUND_S, Process, copy, kept, settle, two_processes, until
from tests.redis_server import RedisServer


@pytest.fixture
def processes(server: Server) -> Iterator[list[Process]]:
    """Two, each with a lease."""
    found = [Process(server.client) for _ in range(2)]
    for process in found:
        process.start()
    yield found
    for process in found:
        process.stop()


def test_a_write_is_heard_by_all(processes: list[Process]) -> None:
    writer, reader = processes
    for process in processes:
        for name in (b"a", b"b", b"c"):
            process.put(name)
    writer.client.set("a", 1)
    assert writer.write(b"a", b"b") == 1
    assert list(writer.copies.copies) == [b"c"]  # its own writes at once
    until(lambda: list(reader.copies.copies) == [b"c"])


def test_a_message_is_one_entry_after_the_last(processes: list[Process]) -> None:
    writer = processes[0]
    writer.write(b"a")
    drive(writer.bus.write(Write(lambda client: None, prefix_message(b"p:"))), writer.client)
    (first, one), (second, two) = writer.client.xrevrange(writer.bus.stream, count=2)[::-1]
    assert (one, two) == ({b"k": b"a"}, {b"p": b"p:"})
    assert int(second[2:]) == int(first[2:]) + 1


async def test_async_writes_are_heard_too(server: Server, processes: list[Process]) -> None:
    writer, reader = processes
    reader.put(b"a")
    client = server.async_client()
    write = Write.to((b"a",), lambda client: client.set("a", "x"))
    assert await adrive(writer.bus.write(write), client)
    until(lambda: not reader.copies.copies)
    assert writer.client.get("a") == b"x"


def test_hot_writes_are_heard(processes: list[Process]) -> None:
    writer, reader = processes
    reader.put(b"a")
    assert writer.bus.store(writer.client, b"a", ("SET", b"a", b"x", "PX", 60_000)) is True
    assert writer.client.get("a") == b"x"
    until(lambda: not reader.copies.copies)


def test_the_error_of_a_write_is_raised_and_the_copy_dropped(processes: list[Process]) -> None:
    writer = processes[0]
    writer.client.rpush("list", "x")
    writer.put(b"list")
    write = Write.to((b"list",), lambda client: client.incr("list"))
    with pytest.raises(ResponseError, match="wrong kind"):
        drive(writer.bus.write(write), writer.client)
    assert not writer.copies.copies


def spoil_delete(client: redis.Redis, stream: bytes) -> None:
    client.delete(stream)


def spoil_rename(client: redis.Redis, stream: bytes) -> None:
    client.rename(stream, "elsewhere")


def spoil_type(client: redis.Redis, stream: bytes) -> None:
    client.set(stream, "a string")


def spoil_ids(client: redis.Redis, stream: bytes) -> None:
    client.xadd(stream, {"k": "a"})


def spoil_all(client: redis.Redis, stream: bytes) -> None:
    client.flushall()


SPOILERS = [spoil_delete, spoil_rename, spoil_type, spoil_ids, spoil_all]


@pytest.mark.parametrize("spoil", SPOILERS)
def test_a_writer_mends_a_spoilt_stream(server: Server, spoil: Any) -> None:
    writer = Process(server.client)  # no listener which would mend it first
    writer.write(b"a")
    spoil(writer.client, writer.bus.stream)
    before = writer.client.get(writer.bus.epoch)
    writer.put(b"b")
    writer.client.set("b", "x")
    assert writer.write(b"b") == 1
    assert writer.client.get(writer.bus.epoch) not in (before, None)
    assert [fields for _, fields in writer.client.xrange(writer.bus.stream)] == [{b"k": b"b"}]
    writer.write(b"c")
    assert writer.client.xlen(writer.bus.stream) == 2


@pytest.mark.parametrize("spoil", SPOILERS)
def test_a_listener_flushes_and_mends_a_spoilt_stream(processes: list[Process], spoil: Any) -> None:
    for process in processes:
        process.put(b"a")
    spoil(processes[0].client, processes[0].bus.stream)
    until(lambda: not any(process.copies.copies for process in processes))
    until(lambda: all(process.copies.is_good for process in processes))
    processes[1].put(b"b")
    processes[0].write(b"b")
    until(lambda: not processes[1].copies.copies)


def test_a_stream_that_comes_back_is_not_believed(processes: list[Process]) -> None:
    writer, reader = processes
    writer.listener.stop()
    reader.put(b"a")
    writer.client.rename(writer.bus.stream, "aside")
    writer.write(b"a")
    writer.client.rename("aside", writer.bus.stream)
    until(lambda: not reader.copies.copies)


@pytest.mark.parametrize("keep", [0, 1])
def test_what_was_trimmed_unheard_is_a_flush(processes: list[Process], keep: int) -> None:
    writer, reader = processes
    reader.put(b"a")
    reader.put(b"other")
    with writer.client.pipeline(transaction=True) as pipeline:
        for _ in range(3):
            pipeline.execute_command(*writer.bus.announcement((b"k", b"a")))
        pipeline.xtrim(writer.bus.stream, maxlen=keep, approximate=False)
        pipeline.execute()
    until(lambda: not reader.copies.copies)
    until(lambda: reader.copies.is_good)


def test_out_of_memory_a_deletion_still_works_and_is_heard(
    server: Server, processes: list[Process]
) -> None:
    writer, reader = processes
    writer.client.set("a", "x" * 100)
    reader.put(b"a")
    server.execute("CONFIG", "SET", "maxmemory", "1")
    with pytest.raises(OutOfMemoryError):
        writer.bus.store(writer.client, b"b", ("SET", b"b", b"x"))
    assert writer.write(b"a") == 1
    assert not writer.client.exists("a", "b", writer.bus.stream)
    until(lambda: not reader.copies.copies)
    server.execute("CONFIG", "SET", "maxmemory", "0")
    until(lambda: reader.copies.is_good)


def test_a_writer_that_may_not_announce_may_not_write(
    server: Server, processes: list[Process]
) -> None:
    writer = processes[0]
    server.execute("ACL", "SETUSER", "mute", "on", ">p", "~*", "+@all", "-xadd")
    client = server.client(username="mute", password="p")
    with pytest.raises(NoPermissionError):
        writer.bus.store(client, b"a", ("SET", b"a", b"x"))
    assert not writer.client.exists("a")


def test_a_listener_without_permissions_waits_and_makes_no_streams(
    server: Server, processes: list[Process]
) -> None:
    reader = processes[1]
    server.execute("ACL", "SETUSER", "blind", "on", ">p", "~*", "+@all", "-xinfo")
    reader.listener.stop()
    connects = reader.listener.connections
    reader.listener._connect = lambda: server.client(username="blind", password="p")
    epoch = reader.client.get(reader.bus.epoch)
    reader.listener.wake()
    until(lambda: reader.listener.connections >= connects + 2)
    assert not reader.copies.is_good
    assert reader.client.get(reader.bus.epoch) == epoch


def test_a_dead_thread_is_replaced_by_the_next_read(processes: list[Process]) -> None:
    reader = processes[0]
    reader.put(b"a")
    reader.listener._stopping.set()
    until(lambda: not reader.listener.is_alive)
    until(lambda: not reader.copies.is_good)
    reader.listener._stopping.clear()
    until(lambda: reader.listener.wake() or reader.copies.is_good)
    assert not reader.copies.copies


# Whole aliases


@pytest.fixture
def pair(redis_server: RedisServer, settings: Any) -> Iterator[list[Any]]:
    """Two aliases of the same keys, each with a near cache of its own, as two processes have."""
    with two_processes(redis_server, settings) as found:
        yield found


def test_a_killed_connection_replays(pair: list[Any]) -> None:
    one, two = pair
    one.set_many({"a": 1, "b": 1})
    copy(one, two, "a", "b")
    flushes, connections = two.near.copies.flushes, two.near.listener.connections
    client = one.client.get_client()
    for each in client.client_list():
        if each["cmd"] == "xread":
            client.client_kill_filter(_id=each["id"])
    one.set("a", 2)
    until(lambda: two.near.listener.connections > connections)
    until(lambda: kept(two) == ["b"])
    assert two.near.copies.flushes == flushes


def test_a_second_get_asks_no_server(pair: list[Any]) -> None:
    one, two = pair
    one.set_many({"a": "x", "b": [1]}, 60)
    copy(one, two, "a", "b")
    two.client.get_client = None  # nothing may ask for a client now
    assert [two.get("a"), two.get("b")] == ["x", [1]]
    assert two.get_many(["a", "b"]) == {"a": "x", "b": [1]}
    assert two.get("b") is not two.get("b")


def test_get_many_asks_for_what_is_missing(pair: list[Any]) -> None:
    one, two = pair
    one.set_many({"a": 1, "b": 2, "c": 3})
    copy(one, two, "b")
    assert two.get_many(["a", "b", "none", "c"]) == {"a": 1, "b": 2, "c": 3}
    assert sorted(kept(two)) == ["a", "b", "c"]


def test_a_copy_ends_with_its_key(pair: list[Any]) -> None:
    one, two = pair
    one.set("a", "x", 0.1)
    assert two.get("a") == "x"
    until(lambda: two.get("a") is None)


def test_a_key_that_the_server_evicted_is_cleared_too(pair: list[Any]) -> None:
    one, two = pair
    one.set("a", 1)
    copy(one, two, "a")
    one.client.get_client().delete(one.storage_key("a"))
    assert two.get("a") == 1
    assert one.delete_pattern("a*") == 0
    until(lambda: kept(two) == [])


def test_an_async_hit_does_not_suspend(pair: list[Any]) -> None:
    one, two = pair
    one.set("a", {"b": 1})
    settle(one, two)
    asyncio.run(two.aget("a"))
    assert kept(two) == ["a"]
    with pytest.raises(StopIteration) as stop:
        two.aget("a").send(None)
    assert stop.value.value == {"b": 1}
    with pytest.raises(StopIteration) as stop:
        two.aget_many(["a"]).send(None)
    assert stop.value.value == {"a": {"b": 1}}


def test_a_caller_s_pipeline_takes_the_announcement_too(pair: list[Any]) -> None:
    one, two = pair
    one.set("a", 1)
    copy(one, two, "a")
    pipeline = one.client.get_client().pipeline(transaction=True)
    one.set("a", 2, client=pipeline)
    assert kept(two) == ["a"]
    assert pipeline.execute()[0]
    until(lambda: kept(two) == [])
    assert two.get("a") == 2


def test_a_caller_s_async_pipeline_takes_the_announcement_too(pair: list[Any]) -> None:
    one, two = pair
    one.set_many({"a": 1, "b": 1})
    copy(one, two, "a", "b")

    async def write() -> list[Any]:
        pipeline = one.client.get_async_client().pipeline(transaction=True)
        await one.aset("a", 2, client=pipeline)
        await one.adelete("b", client=pipeline)
        return list(await pipeline.execute())

    replies = asyncio.run(write())
    assert replies[::2] == [True, 1]
    until(lambda: kept(two) == [])
    assert two.get_many(["a", "b"]) == {"a": 2}


@pytest.mark.parametrize("key", ["django.contrib.sessions.cachexyz", "throttle_anon_1", "rl:x"])
def test_sessions_and_counters_are_never_copied(pair: list[Any], key: str) -> None:
    one, two = pair
    one.set_many({key: 1, "url:x": 2})
    settle(one, two)
    assert two.get(key) == 1
    assert two.get_many([key, "url:x"]) == {key: 1, "url:x": 2}
    assert kept(two) == ["url:x"]


def test_a_tag_ends_copies_everywhere(pair: list[Any]) -> None:
    one, two = pair
    one.set("a", 1, tags=["t"])
    one.set("b", 2)
    copy(one, two, "a", "b")
    assert two.get_many(["a", "b"]) == {"a": 1, "b": 2}
    assert two.get("a") == asyncio.run(two.aget("a")) == 1
    one.invalidate_tags(["t"])
    until(lambda: two.get("a") is None)
    assert two.get_many(["a", "b"]) == {"b": 2}
    one.set("a", 3, tags=["t"])
    until(lambda: two.get("a") == 3)


def test_leases_are_never_copied(pair: list[Any]) -> None:
    one, two = pair
    settle(one, two)

    def compute() -> str:
        assert two.get("a") is None
        assert two.get_many(["a"]) == {}
        assert kept(two) == []
        return "computed"

    assert one.get_or_set("a", compute) == "computed"
    until(lambda: two.get("a") == "computed")
    copy(one, two, "a")


@pytest.mark.django_db(transaction=True)
def test_write_through_ends_copies(pair: list[Any]) -> None:
    one, two = pair
    one.set("a", "old")
    copy(one, two, "a")
    assert one.write_through("a", lambda: "new") == "new"
    until(lambda: two.get("a") == "new")


def messages(cache: Any) -> list[list[bytes]]:
    """The stream's messages as they are; redis-py would make dicts of them."""
    script = "return redis.call('XRANGE', KEYS[1], '-', '+')"
    return [
        fields for _, fields in cache.client.get_client().eval(script, 1, cache.near.bus.stream)
    ]


@pytest.mark.django_db(transaction=True)
def test_in_atomic_copies_go_at_once_and_the_announcement_waits(pair: list[Any]) -> None:
    one, two = pair
    one.set_many({"a": 1, "b": 1})
    copy(one, two, "a", "b")
    before = len(messages(one))
    with transaction.atomic():
        one.set("a", 2)
        one.delete("b")
        until(lambda: kept(two) == [])
        assert messages(one)[before:] == [[b"K", b"p:1:a"], [b"K", b"p:1:b"]]
        one.client.get_client().set(one.storage_key("b"), "1")  # another process, of the old row
    assert messages(one)[before + 2 :] == [[b"k", b"p:1:a", b"k", b"p:1:b"]]
    assert one.get("b") is None
    assert one.get("a") == 2


@pytest.mark.django_db(transaction=True)
def test_after_a_rollback_nothing_more_is_said(pair: list[Any]) -> None:
    one, _ = pair
    before = len(messages(one))

    def fail() -> None:
        with transaction.atomic():
            one.set("b", 1)
            raise ZeroDivisionError

    with transaction.atomic():
        one.set("a", 1)
        with pytest.raises(ZeroDivisionError):
            fail()
        one.set("c", 1)
    early = [[b"K", b"p:1:" + name] for name in (b"a", b"b", b"c")]
    assert messages(one)[before:] == [*early, [b"k", b"p:1:a", b"k", b"p:1:c"]]
    with pytest.raises(ZeroDivisionError):
        fail()
    assert messages(one)[before + 4 :] == [[b"K", b"p:1:b"]]


def test_an_outage_serves_copies_for_the_bound_and_no_longer(
    redis_server: RedisServer, settings: Any
) -> None:
    with RedisServer() as mortal:
        cache = maker(settings)(
            mortal.url(),
            "mortal",
            {"NEAR_CACHE": {"bound": BOUND_S}, "IGNORE_EXCEPTIONS": True, "BREAKER": 0.05},
        )
        cache.set("a", 1)
        cache.get("a")
        until(lambda: cache.near.copies.is_good)
        assert cache.get("a") == cache.get("a") == 1
        mortal.stop()
        assert cache.get("a") == 1
        until(lambda: cache.get("a") is None)
        assert not cache.near.copies.is_good
    cache.near.listener.stop()


def test_an_alias_in_process_has_no_near_cache(make_memory: Any) -> None:
    cache = make_memory({"NEAR_CACHE": {}})
    assert cache.near is None
    cache.set("a", 1)
    assert cache.get("a") == 1


@pytest.fixture
def make_memory(settings: Any) -> Callable[..., Any]:
    make = maker(settings)
    return lambda options: make("memory://near", "near", options)


def test_options_become_a_near_cache() -> None:
    options = NearOptions.of({"NEAR_CACHE": {"max_entries": 0, "exclude": ["own:"]}})
    assert options is not None
    near = Near(options, "p")
    assert near.copies.begin(b"p:1:a") is None


def test_a_value_in_its_stale_time_is_a_miss_also_where_it_was_copied(pair: list[Any]) -> None:
    """Who recomputes holds a lease at the key, whose PTTL says nothing of an old copy's."""
    one, two = pair
    one.get_or_set("a", lambda: "old", 0.5, stale_ttl=10)
    settle(one, two)
    seen = []

    def compute() -> str:
        seen.append(two.get("a"))
        return "new"

    two.get("a")  # a copy, unless this machine slept for so long
    until(lambda: one.get_or_set("a", compute, 60, stale_ttl=10, wait=0) == "new")
    assert seen == [None]
