"""What a consumer does that no server has to do with; what it hears is in tests/contract."""

from __future__ import annotations

import asyncio
import gc
import itertools
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from channels.consumer import AsyncConsumer
from channels.exceptions import StopConsumer
from channels.generic.websocket import AsyncJsonWebsocketConsumer
from django.core.exceptions import ImproperlyConfigured

from cacheapp.channels import InvalidationConsumer, consumers
from cacheapp.channels.consumers import audience_of
from cacheapp.engine.engine import Engine
from cacheapp.invalidation.protocol import keys_message
from tests.cache.aliases import maker
from tests.contract.visitor import SOON_S, Visitor

pytestmark = pytest.mark.django_db(transaction=True)

_numbers = itertools.count()


@pytest.fixture
def cache(settings: Any) -> Iterator[Any]:
    name = f"consumers-{next(_numbers)}"
    yield maker(settings)(f"memory://{name}", options={"ANNOUNCE": True})
    Engine.discard(name)


class Teller(InvalidationConsumer, AsyncJsonWebsocketConsumer):
    """Tells the keys."""

    watched_keys = ("a",)
    coalesce_seconds = 0.0

    async def invalidated(self, event: dict[str, Any]) -> None:
        await self.send_json(event["keys"])


async def test_nothing_is_told_before_the_connection_is_accepted(cache: Any) -> None:
    connecting = asyncio.Event()

    class Late(Teller):
        async def connect(self) -> None:
            """Accept after a message of the client's, which no real one could send."""
            connecting.set()

        async def receive_json(self, content: Any, **kwargs: Any) -> None:
            await self.accept()

    visitor = Visitor(Late)
    await visitor.send_input({"type": "websocket.connect"})
    await connecting.wait()
    await cache.aset("a", 1)
    await visitor.say("now")
    assert (await visitor.receive_output(SOON_S))["type"] == "websocket.accept"
    assert await visitor.reads() == ["a"]
    await visitor.__aexit__()


async def test_nothing_is_told_after_it_was_closed(cache: Any) -> None:
    class Closing(Teller):
        async def receive_json(self, content: Any, **kwargs: Any) -> None:
            await self.close()
            await cache.aset("a", 1)

    visitor = Visitor(Closing)
    await visitor.__aenter__()
    await visitor.say("close")
    assert (await visitor.receive_output(SOON_S))["type"] == "websocket.close"
    await visitor.__aexit__()
    assert visitor.output_queue.empty()
    assert audience_of("default").is_empty


async def test_a_consumer_that_fails_leaves_nothing(cache: Any) -> None:
    class Failing(Teller):
        async def invalidated(self, event: dict[str, Any]) -> None:
            raise ZeroDivisionError

    visitor = Visitor(Failing)
    await visitor.__aenter__()
    await cache.aset("a", 1)
    with pytest.raises(ZeroDivisionError):
        await visitor.wait(SOON_S)
    assert audience_of("default").is_empty


async def test_a_consumer_without_invalidated_says_so(cache: Any) -> None:
    class Mute(InvalidationConsumer, AsyncJsonWebsocketConsumer):
        watched_keys = ("a",)

    visitor = Visitor(Mute)
    await visitor.__aenter__()
    await cache.aset("a", 1)
    with pytest.raises(NotImplementedError, match="Mute has no invalidated"):
        await visitor.wait(SOON_S)


async def test_it_need_not_be_a_websocket(cache: Any) -> None:
    class Worker(InvalidationConsumer, AsyncConsumer):
        watched_keys = ("a",)

        async def begin(self, message: Any) -> None:
            await self.send({"type": "begun"})

        async def invalidated(self, event: dict[str, Any]) -> None:
            await self.send({"type": "done", "keys": event["keys"]})
            raise StopConsumer

    worker = Visitor(Worker, type="work")
    await worker.send_input({"type": "begin"})
    assert await worker.receive_output(SOON_S) == {"type": "begun"}
    await cache.aset("a", 1)
    assert await worker.receive_output(SOON_S) == {"type": "done", "keys": ["a"]}
    await worker.wait(SOON_S)


async def test_events_and_messages_take_turns(cache: Any) -> None:
    """Of neither is one lost, however they come together."""

    class Both(Teller):
        async def receive_json(self, content: Any, **kwargs: Any) -> None:
            await self.send_json(content)

        async def invalidated(self, event: dict[str, Any]) -> None:
            await self.send_json("event")

    async with Visitor(Both) as visitor:
        for number in range(300):
            await visitor.say(number)
            cache.set("a", number)
            await visitor.say(-number)
            answers = [await visitor.reads() for _ in range(3)]
            assert [answer for answer in answers if answer != "event"] == [number, -number]


@pytest.mark.parametrize("names", [{"keys": "a"}, {"prefixes": b"a"}, {"tags": "a"}])
async def test_a_text_is_no_list(cache: Any, names: dict[str, Any]) -> None:
    class Wrong(Teller):
        async def connect(self) -> None:
            with pytest.raises(TypeError, match="not the text"):
                await self.watch(**names)
            with pytest.raises(TypeError, match="not the text"):
                await self.unwatch(**names)
            await self.accept()

    async with Visitor(Wrong):
        pass


async def test_watch_is_for_consumers_that_run() -> None:
    with pytest.raises(RuntimeError, match="that runs"):
        await Teller().watch(keys=["a"])
    await Teller().unwatch(keys=["a"])


async def test_who_watches_nothing_asks_nothing_of_the_alias(settings: Any) -> None:
    class Idle(InvalidationConsumer, AsyncJsonWebsocketConsumer):
        async def receive_json(self, content: Any, **kwargs: Any) -> None:
            await self.unwatch(keys=["a"])
            with pytest.raises(ImproperlyConfigured, match=r"not a cacheapp\.cache\.CacheBackend"):
                await self.watch(keys=["a"])
            await self.send_json("done")

    settings.CACHES = {"default": {"BACKEND": "django.core.cache.backends.dummy.DummyCache"}}
    async with Visitor(Idle) as visitor:
        await visitor.say("go")
        assert await visitor.reads() == "done"


async def test_ten_thousand_connections_leave_nothing(cache: Any) -> None:
    class Quick(InvalidationConsumer, AsyncConsumer):
        watched_keys = ("a",)
        watched_prefixes = ("p",)
        watched_tags = ("t",)

        async def dispatch(self, message: Any) -> None:
            """Without the look at the database's connections, which takes most of the time."""
            raise StopConsumer

    audience = audience_of("default")
    application = Quick.as_asgi()

    async def receive() -> Any:
        return {"type": "websocket.connect"}

    async def visit(times: int) -> int:
        for number in range(times):
            await application({"type": "websocket"}, receive, receive)
            if not number % 100:
                audience.hear(keys_message([b"a"]))
        gc.collect()
        return sys.getallocatedblocks()

    before = await visit(200)
    # Other threads of the process may hold a few; a leak would be ten thousands.
    assert await visit(10_000) - before < 5_000
    assert audience.is_empty


async def test_who_watches_a_server_that_is_away_hears_of_everything_when_it_is_there(
    settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Patient(InvalidationConsumer, AsyncJsonWebsocketConsumer):
        watched_keys = ("a",)

        async def invalidated(self, event: dict[str, Any]) -> None:
            await self.send_json(event["everything"])

    monkeypatch.setattr(consumers, "SETTLE_S", 0.05)
    maker(settings)("redis://127.0.0.1:1/0", options={"ANNOUNCE": True})
    async with Visitor(Patient) as visitor:
        audience_of("default").hear(None)  # as the listener does, once it has an answer
        assert await visitor.reads() is True


async def test_events_are_apart(cache: Any) -> None:
    """The first is told at once, what comes soon after it together."""

    class Calm(Teller):
        coalesce_seconds = 0.3

        async def invalidated(self, event: dict[str, Any]) -> None:
            await self.send_json(asyncio.get_running_loop().time())

    async with Visitor(Calm) as visitor:
        await cache.aset("a", 1)
        first = await visitor.reads()
        for number in range(50):
            await cache.aset("a", number)
        second = await visitor.reads()
        assert second - first >= 0.29
        assert visitor.output_queue.empty()
