"""The client of a WebSocket consumer, without a network, a server or channels' own test client.

channels' own wants daphne. This one fails only after a time that no busy machine needs.
"""

from __future__ import annotations

import json
from typing import Any

from asgiref.testing import ApplicationCommunicator

SOON_S = 30.0

Event = dict[str, Any]


class Visitor(ApplicationCommunicator):
    """Connects at the begin of its block, and disconnects at its end."""

    def __init__(self, consumer: Any, **scope: Any) -> None:
        found = {"type": "websocket", "path": "/", "headers": [], "subprotocols": [], **scope}
        super().__init__(consumer.as_asgi(), found)

    async def __aenter__(self) -> Visitor:
        await self.send_input({"type": "websocket.connect"})
        assert (await self.receive_output(SOON_S))["type"] == "websocket.accept"
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.send_input({"type": "websocket.disconnect", "code": 1000})
        await self.wait(SOON_S)

    async def say(self, said: Any) -> None:
        """Send JSON."""
        await self.send_input({"type": "websocket.receive", "text": json.dumps(said)})

    async def reads(self) -> Any:
        """The next JSON that the consumer sends."""
        return json.loads((await self.receive_output(SOON_S))["text"])

    async def ask(self, verb: str, **names: Any) -> None:
        """Have a consumer that answers with the verb watch, or unwatch, something."""
        await self.say([verb, names])
        assert await self.reads() == verb

    async def hears(self) -> Event:
        """The next event, without what is empty."""
        event = await self.reads()
        assert (event.pop("type"), event.pop("alias")) == ("invalidated", "default")
        return {name: told for name, told in event.items() if told}

    async def hears_up_to(self, key: str) -> Event:
        """All that is told until ``key`` is, which is left out; in how many events is not said."""
        told: Event = {}
        while True:
            for name, found in (await self.hears()).items():
                told.setdefault(name, set()).update(found)
            if key in told.get("keys", ()):
                told["keys"].discard(key)
                return {name: sorted(found) for name, found in told.items() if found}
