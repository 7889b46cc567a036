"""Consumers that hear of invalidations, on both servers, with a near cache and without one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
import pytest_asyncio
from asgiref.sync import sync_to_async
from channels.generic.websocket import (
    AsyncJsonWebsocketConsumer,
    JsonWebsocketConsumer,
)
from channels.layers import get_channel_layer
from django.contrib.auth.models import Group
from django.core.exceptions import ImproperlyConfigured
from django.db import transaction

from cacheapp.channels import ChannelLayer, InvalidationConsumer, invalidation_group
from cacheapp.channels.consumers import audience_of
from cacheapp.invalidation import models as declared
from cacheapp.invalidation.audience import NOTED_MAX
from cacheapp.invalidation.protocol import keys_message
from tests.cache.aliases import maker
from tests.contract.conftest import Server
from tests.contract.visitor import SOON_S, Visitor

# Consumers close old connections to the database before each of their handlers.
pytestmark = pytest.mark.django_db(transaction=True)

KINDS = {
    "announcing": {"ANNOUNCE": True},
    # On memory:// there is no near cache, and ANNOUNCE alone counts.
    "near cache": {"ANNOUNCE": True, "NEAR_CACHE": {"bound": 1.0}},
}


class Page(InvalidationConsumer, AsyncJsonWebsocketConsumer):
    """Watches what the client asks for, and sends on all that it hears."""

    coalesce_seconds = 0.0

    async def receive_json(self, content: Any, **kwargs: Any) -> None:
        verb, names = content
        await (self.watch if verb == "watch" else self.unwatch)(**names)
        await self.send_json(verb)

    async def invalidated(self, event: dict[str, Any]) -> None:
        await self.send_json(event)


@pytest.fixture(params=list(KINDS))
def cache(request: pytest.FixtureRequest, server: Server, settings: Any) -> Any:
    return maker(settings)(server.url, options=KINDS[request.param], KEY_PREFIX="site")


@pytest.mark.usefixtures("cache")
class TestWhatIsTold:
    """By key, by prefix and by tag, whatever wrote."""

    async def test_keys(self, cache: Any) -> None:
        async with Visitor(Page) as visitor:
            await visitor.ask("watch", keys=["a", "b", "end"])
            await cache.aset("other", 1)
            for write, arguments, told in [
                (cache.aset, ("a", 1), ["a"]),
                (cache.adelete, ("a",), ["a"]),
                (cache.aadd, ("b", 1), ["b"]),
                (cache.aincr, ("b",), ["b"]),
                (cache.atouch, ("b", 60), ["b"]),
                (cache.aset_many, ({"a": 1, "b": 2, "c": 3},), ["a", "b"]),
                (cache.adelete_many, (["a", "c"],), ["a"]),
                (cache.aset, ("b", 1, 0), ["b"]),
            ]:
                await write(*arguments)
                await cache.aset("end", 1)
                # Twice where a server has to be sent a script first.
                assert await visitor.hears_up_to("end") == {"keys": told}

    async def test_sync_writes(self, cache: Any) -> None:
        async with Visitor(Page) as visitor:
            await visitor.ask("watch", keys=["a"])
            for write, arguments in [
                (cache.set, ("a", "text")),
                (cache.set, ("a", {"b": 1})),
                (cache.set_many, ({"a": 1},)),
                (cache.delete, ("a",)),
            ]:
                await sync_to_async(write)(*arguments)
                assert await visitor.hears() == {"keys": ["a"]}

    async def test_prefixes(self, cache: Any) -> None:
        async with Visitor(Page) as visitor:
            await visitor.ask("watch", keys=["end"], prefixes=["price:"])
            await cache.aset("pric", 1)
            await cache.aset("price:1", 1)
            assert await visitor.hears() == {"keys": ["price:1"]}
            for prefix in ("price:2", "price:", "pr"):
                await cache.ainvalidate_prefix(prefix)
                await cache.aset("end", 1)
                told = await visitor.hears_up_to("end")
                assert told["prefixes"] == ["price:"]
                assert told.get("keys", ["price:1"]) == ["price:1"]

    async def test_a_prefix_invalidates_the_keys_under_it(self, cache: Any) -> None:
        async with Visitor(Page) as visitor:
            await visitor.ask("watch", keys=["price:1", "else"])
            await cache.ainvalidate_prefix("price:")
            assert await visitor.hears() == {"keys": ["price:1"]}

    async def test_declared_prefixes(self, server: Server, settings: Any) -> None:
        """Those that one command invalidates: above, at and below what is watched."""
        options = {"ANNOUNCE": True, "PREFIXES": ["user:*:", "user:*:posts:"]}
        cache = maker(settings)(server.url, options=options, KEY_PREFIX="site")
        async with Visitor(Page) as visitor:
            await visitor.ask(
                "watch",
                keys=["user:1:posts:7", "user:2:name", "end"],
                prefixes=["user:", "user:1:posts:", "user:2:", "user:3:"],
            )
            assert await cache.ainvalidate_prefix("user:1:") is True
            await cache.aset("end", 1)
            assert await visitor.hears_up_to("end") == {
                "keys": ["user:1:posts:7"],
                "prefixes": ["user:", "user:1:posts:"],
            }
            await visitor.ask("unwatch", keys=["user:1:posts:7"], prefixes=["user:"])
            assert await cache.ainvalidate_prefix("user:1:posts:") is True
            assert await cache.ainvalidate_prefix("user:4:") is True
            await cache.aset("end", 1)
            assert await visitor.hears_up_to("end") == {"prefixes": ["user:1:posts:"]}

    async def test_tags(self, cache: Any) -> None:
        async with Visitor(Page) as visitor:
            await visitor.ask("watch", tags=["red", 7])
            await cache.aset("a", 1, tags=["red"])  # begins the tag's first version
            await cache.ainvalidate_tags(["blue"])
            await cache.ainvalidate_tags(["red", "blue"])
            assert await visitor.hears() == {"tags": ["red"]}
            await sync_to_async(cache.invalidate_tags)([7])
            assert await visitor.hears() == {"tags": ["7"]}

    async def test_clear(self, cache: Any) -> None:
        async with Visitor(Page) as visitor:
            await visitor.ask("watch", keys=["a"], prefixes=["b"], tags=["t"])
            await cache.aclear()
            assert await visitor.hears() == {"keys": ["a"], "prefixes": ["b"], "tags": ["t"]}

    async def test_versions(self, cache: Any) -> None:
        async with Visitor(Page) as visitor:
            await visitor.ask("watch", keys=["a"], prefixes=["p"], version=2)
            await cache.aset("a", 1)
            await cache.aset("p1", 1)
            await cache.aset("a", 1, version=2)
            assert await visitor.hears() == {"keys": ["a"]}
            await cache.aset("p2", 1, version=2)
            assert await visitor.hears() == {"keys": ["p2"]}

    async def test_what_was_computed_is_no_invalidation(self, cache: Any) -> None:
        async with Visitor(Page) as visitor:
            await visitor.ask("watch", keys=["a", "b", "end"], prefixes=["b"])
            assert await cache.aget_or_set("a", lambda: 1) == 1
            assert await sync_to_async(cache.get_or_set)("b", lambda: 1) == 1
            await cache.aset("end", 1)
            assert await visitor.hears() == {"keys": ["end"]}

    async def test_unwatch(self, cache: Any) -> None:
        async with Visitor(Page) as visitor:
            await visitor.ask("watch", keys=["a", "b"], prefixes=["p", "q"], tags=["t"])
            await visitor.ask("unwatch", keys=["a", "z"], prefixes=["p"], tags=["t"])
            await cache.aset_many({"a": 1, "p1": 1})
            await cache.ainvalidate_tags(["t"])
            await cache.aset_many({"b": 1, "q1": 1})
            assert await visitor.hears() == {"keys": ["b", "q1"]}


class Row(InvalidationConsumer, AsyncJsonWebsocketConsumer):
    """Asks the database when it hears of the key."""

    watched_keys = ("row",)
    watched_tags = ("rows",)
    coalesce_seconds = 0.0

    async def invalidated(self, event: dict[str, Any]) -> None:
        names = sorted([group.name async for group in Group.objects.all()])
        await self.send_json([*event["keys"], *event["tags"], *names])


@pytest.fixture
def invalidates() -> Iterator[None]:
    """A change of a group invalidates its key and a tag."""
    declared.invalidates(Group, keys=["row"], tags=["rows"])
    yield
    declared.forget(Group)


@pytest.mark.usefixtures("cache")
class TestAfterTheCommit:
    """Who asks the database sees the new row, and a rollback is not told."""

    async def test_a_write_in_a_transaction(self, cache: Any) -> None:
        def change() -> None:
            with transaction.atomic():
                cache.set("row", 1)
                cache.delete("row")
                Group.objects.create(name="new")

        async with Visitor(Row) as visitor:
            await sync_to_async(change)()
            assert await visitor.reads() == ["row", "new"]

    async def test_a_rollback(self, cache: Any) -> None:
        def fail() -> None:
            with transaction.atomic():
                cache.set("row", 1)
                cache.invalidate_tags(["rows"])
                Group.objects.create(name="never")
                transaction.set_rollback(True)

        async with Visitor(Row) as visitor:
            await sync_to_async(fail)()
            await cache.ainvalidate_tags(["rows"])
            assert await visitor.reads() == ["rows"]

    @pytest.mark.usefixtures("invalidates")
    async def test_declared_for_a_model(self, cache: Any) -> None:
        async with Visitor(Row) as visitor:
            await Group.objects.acreate(name="new")
            told = await visitor.reads()
            assert told in (["rows", "new"], ["row", "rows", "new"])

    async def test_write_through(self, cache: Any) -> None:
        def change() -> None:
            cache.write_through("row", lambda: Group.objects.create(name="new").name)

        async with Visitor(Row) as visitor:
            await sync_to_async(change)()
            assert await visitor.reads() == ["row", "new"]


class Slow(InvalidationConsumer, AsyncJsonWebsocketConsumer):
    """Is as slow as the test wants."""

    watched_prefixes = ("n:",)
    coalesce_seconds = 0.0
    running: asyncio.Event
    go_on: asyncio.Event

    async def invalidated(self, event: dict[str, Any]) -> None:
        self.running.set()
        await self.go_on.wait()
        await self.send_json([event["keys"], event["prefixes"]])


@pytest.mark.parametrize(("count", "whole"), [(300, False), (NOTED_MAX + 1, True)])
async def test_a_slow_consumer_hears_once_of_many(cache: Any, count: int, whole: bool) -> None:
    Slow.running, Slow.go_on = asyncio.Event(), asyncio.Event()
    async with Visitor(Slow) as visitor:
        await cache.aset("n:first", 1)
        await asyncio.wait_for(Slow.running.wait(), SOON_S)
        async with Visitor(Page) as other:
            await other.ask("watch", keys=["last"])
            await cache.aset_many({f"n:{number}": 1 for number in range(count)})
            await cache.aset("last", 1)
            await other.hears()
        Slow.go_on.set()
        assert await visitor.reads() == [["n:first"], []]
        keys = [] if whole else [f"n:{number}" for number in range(count)]
        assert await visitor.reads() == [keys, ["n:"] if whole else []]


async def test_a_lost_stream_is_told_as_everything(cache: Any, server: Server) -> None:
    async with Visitor(Page) as visitor:
        await visitor.ask("watch", keys=["a"])
        await sync_to_async(server.execute)("FLUSHALL")
        assert (await visitor.hears())["everything"] is True
        await cache.aset("a", 1)
        assert await visitor.hears() == {"keys": ["a"]}


class Sync(InvalidationConsumer, JsonWebsocketConsumer):
    """A consumer whose handlers run in threads."""

    coalesce_seconds = 0.0

    def receive_json(self, content: Any, **kwargs: Any) -> None:
        verb, names = content
        (self.watch_sync if verb == "watch" else self.unwatch_sync)(**names)
        self.send_json(verb)

    def invalidated(self, event: dict[str, Any]) -> None:
        self.send_json(event)


async def test_sync_consumers(cache: Any) -> None:
    async with Visitor(Sync) as visitor:
        await visitor.ask("watch", keys=["a", "b"])
        await visitor.ask("unwatch", keys=["b"])
        await cache.aset("b", 1)
        await cache.aset("a", 1)
        assert await visitor.hears() == {"keys": ["a"]}


async def test_nothing_is_left_of_those_who_went(cache: Any) -> None:
    async with Visitor(Page) as visitor:
        await visitor.ask("watch", keys=["a"], prefixes=["p"], tags=["t"])
        assert len(audience_of("default")) == 1
    assert audience_of("default").is_empty


async def test_more_than_a_consumer_may_watch(cache: Any) -> None:
    class Greedy(Page):
        watched_max = 3
        watched_keys = ("a",)

        async def receive_json(self, content: Any, **kwargs: Any) -> None:
            try:
                await self.watch(keys=content[0], prefixes=content[1], tags=content[2])
            except ValueError as error:
                await self.send_json(str(error))
            else:
                await self.send_json("done")

    async with Visitor(Greedy) as visitor:
        for names, answer in [
            ([["b"], ["p"], ["t"]], "would watch 4 names"),
            ([["a"], ["p"], ["t"]], "done"),
            ([["a"], ["p"], ["t"]], "done"),
            ([["c"], [], []], "would watch 4 names"),
        ]:
            await visitor.say(names)
            assert answer in await visitor.reads()
        await cache.aset("c", 1)
        await cache.aset("a", 1)
        assert await visitor.hears() == {"keys": ["a"]}


async def test_an_alias_that_does_not_announce(server: Server, settings: Any) -> None:
    maker(settings)(server.url)
    with pytest.raises(ImproperlyConfigured, match="ANNOUNCE"):
        await Visitor(Row).wait(SOON_S)


class Grouped(AsyncJsonWebsocketConsumer):
    """A consumer of channels alone, in the group of its cache."""

    groups = [invalidation_group()]  # noqa: RUF012 - as channels' documentation has it

    async def receive_json(self, content: Any, **kwargs: Any) -> None:
        await self.send_json(content)

    async def invalidated(self, event: dict[str, Any]) -> None:
        await self.send_json(event)


@pytest_asyncio.fixture
async def layer(cache: Any, settings: Any) -> AsyncIterator[ChannelLayer]:
    """The layer of the alias, as the only one in the settings."""
    settings.CHANNEL_LAYERS = {"default": {"BACKEND": "cacheapp.channels.ChannelLayer"}}
    made: Any = get_channel_layer()
    yield made
    await made.close()


class TestTheGroup:
    """For consumers without a class of ours."""

    async def test_all_of_an_alias_is_told(self, cache: Any, layer: ChannelLayer) -> None:
        async with Visitor(Grouped) as visitor:
            await cache.aset("a", 1)
            assert await visitor.hears() == {"keys": ["a"]}
            await cache.aset_many({"b": 1, "c": 2}, version=3)
            assert await visitor.hears() == {"keys": ["b", "c"]}
            await cache.ainvalidate_tags(["t"])
            assert await visitor.hears() == {"tags": ["t"]}
            assert await cache.aget_or_set("computed", lambda: 1) == 1
            await cache.ainvalidate_prefix("x:")
            assert await visitor.hears() == {"prefixes": ["x:"]}
            await cache.aset_many({f"n{number}": 1 for number in range(1001)})
            assert await visitor.hears() == {"everything": True}
            await cache.aclear()
            assert await visitor.hears() == {"everything": True}
        assert audience_of("default").is_empty

    async def test_who_missed_something_is_told_of_everything(
        self, cache: Any, layer: ChannelLayer
    ) -> None:
        layer.capacity = 2
        channel = await layer.new_channel()
        audience = audience_of("default")
        await layer.group_add(invalidation_group(), channel)
        layer.group_add_sync(invalidation_group(), channel)  # again
        for _ in range(3):
            audience.hear(keys_message([b"site:1:a"]))
        for _ in range(2):
            assert (await layer.receive(channel))["keys"] == ["a"]
        audience.hear(keys_message([b"site:1:b"]))
        last = await layer.receive(channel)
        while not last["everything"]:
            last = await layer.receive(channel)
        audience.hear(keys_message([b"other:1:b"]))
        layer.group_discard_sync(invalidation_group(), channel)
        audience.hear(keys_message([b"site:1:b"]))
        assert channel not in layer.channels
        assert audience.is_empty

    async def test_only_channels_of_the_process(self, cache: Any, layer: ChannelLayer) -> None:
        for channel in ("general", "specific.0123!abc"):
            with pytest.raises(ValueError, match="not a channel of this layer"):
                await layer.group_add(invalidation_group(), channel)
        await layer.group_discard(invalidation_group(), "general")
        assert audience_of("default").is_empty

    async def test_a_flush_and_the_end_of_a_membership(
        self, cache: Any, layer: ChannelLayer
    ) -> None:
        channel = await layer.new_channel()
        await layer.group_add(invalidation_group(), channel)
        await layer.flush()
        assert audience_of("default").is_empty
        layer.group_expiry = -1
        await layer.group_add(invalidation_group(), channel)
        audience_of("default").hear(keys_message([b"site:1:a"]))
        assert audience_of("default").is_empty
        assert channel not in layer.channels
