"""Channels consumers under a limit: connections refused, messages dropped and told of."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from asgiref.testing import ApplicationCommunicator
from channels.generic.websocket import AsyncWebsocketConsumer, WebsocketConsumer
from django.core.exceptions import ImproperlyConfigured

from cacheapp.ratelimit.consumers import limit_consumer
from tests.cache.aliases import maker

# Consumers close old connections to the database around what runs in a thread.
pytestmark = pytest.mark.django_db(transaction=True)


@limit_consumer(connect="2/h", receive=["2/h", "9/d"], key="user_or_ip", name="echo")
class Echo(AsyncWebsocketConsumer):
    """Sends back what it gets."""

    async def receive(self, text_data: Any = None, bytes_data: Any = None) -> None:
        await self.send(text_data=text_data)

    async def rate_limited(self, decision: Any) -> None:
        await self.send(text_data=f"slower: {decision.rule}")


@limit_consumer(connect="2/h", receive="1/h", key="header:x-token", name="sync-echo")
class SyncEcho(WebsocketConsumer):
    """The same, in a thread, and silent about messages that it drops."""

    def receive(self, text_data: Any = None, bytes_data: Any = None) -> None:
        self.send(text_data=text_data)


@pytest.fixture(autouse=True)
def site(settings: Any) -> None:
    maker(settings)("memory://consumers").client.get_client().flushall()
    settings.CACHEAPP = {"RATELIMIT": {"MEMO_SECONDS": 0}}
    settings.CHANNEL_LAYERS = {}


class Connection(ApplicationCommunicator):
    """A WebSocket of one client."""

    def __init__(self, consumer: Any, user: Any = None, token: bytes = b"") -> None:
        scope = {
            "type": "websocket",
            "path": "/",
            "headers": [(b"x-token", token)],
            "client": ("198.51.100.7", 1),
        }
        super().__init__(consumer.as_asgi(), {**scope, **({} if user is None else {"user": user})})

    async def connects(self) -> bool:
        """Whether it is accepted."""
        await self.send_input({"type": "websocket.connect"})
        return bool((await self.receive_output())["type"] == "websocket.accept")

    async def say(self, text: str) -> None:
        """Send a message."""
        await self.send_input({"type": "websocket.receive", "text": text})

    async def hear(self) -> Any:
        """The text of the next message."""
        return (await self.receive_output())["text"]

    async def end(self) -> None:
        """Go away."""
        await self.send_input({"type": "websocket.disconnect", "code": 1000})
        await self.wait()


async def connects(consumer: Any, **options: Any) -> bool:
    one = Connection(consumer, **options)
    accepted = await one.connects()
    await one.end()
    return accepted


async def test_connections_and_messages() -> None:
    one = Connection(Echo)
    assert await one.connects()
    for text in ("a", "b"):
        await one.say(text)
        assert await one.hear() == text
    await one.say("c")
    assert await one.hear() == "slower: echo.receive"
    assert await connects(Echo)
    assert not await connects(Echo)
    user = SimpleNamespace(pk=1, is_authenticated=True)
    assert await connects(Echo, user=user)
    await one.end()


async def test_sync_consumers() -> None:
    one = Connection(SyncEcho, token=b"t")
    assert await one.connects()
    await one.say("a")
    assert await one.hear() == "a"
    await one.say("b")
    assert await one.receive_nothing(0.05)
    assert await connects(SyncEcho, token=b"t")
    assert not await connects(SyncEcho, token=b"t")
    assert await connects(SyncEcho, token=b"u")
    await one.end()


def test_wrong_keys() -> None:
    with pytest.raises(ImproperlyConfigured, match="for a consumer it is"):
        limit_consumer(connect="1/m", key="session")(Echo)
