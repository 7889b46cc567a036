"""What keeps pages fresh in browsers: a WebSocket that says "changed" when a value on the page did.

The browser says which page it shows, and the server which keys that is; names of keys and values
never leave here. A page says the number of edits that it was made at, so that an edit between its
making and the watch is not missed, nor one while the connection was away.

Left out on purpose: the new content. The browser asks for the page, as any visitor does.
"""

from __future__ import annotations

import json
import os
from typing import Any
from urllib.parse import parse_qs, urlsplit

from asgiref.sync import sync_to_async
from channels.generic.websocket import AsyncWebsocketConsumer
from django.urls import Resolver404, resolve

from cacheapp.channels import InvalidationConsumer
from demo_site import invalidation, keys, queries
from demo_site.server import UNUSABLE

MESSAGE_SIZE_MAX = 2000
#: The close code for what is not a page of ours: "policy violation" (RFC 6455).
REFUSED = 1008


class Live(InvalidationConsumer, AsyncWebsocketConsumer):
    """One browser with one page."""

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        """Take the page's first and only message, and watch what is on it."""
        try:
            page, edits = _read(text_data or "")
        except ValueError:
            await self.close(code=REFUSED)
            return
        await self.watch(keys=keys_on(page))
        await self._say("watching", process=os.getpid())
        try:
            is_old = await sync_to_async(invalidation.edited_since)(edits)
        except UNUSABLE:
            is_old = False  # when the server is back, everything is told to have changed
        if is_old:
            await self._say("changed")

    async def invalidated(self, event: dict[str, Any]) -> None:
        """Have the browser ask for its page."""
        await self._say("changed")

    async def _say(self, said: str, **more: Any) -> None:
        await self.send(text_data=json.dumps({"said": said, **more}))


def _read(text: str) -> tuple[str, str]:
    """The page and the number of edits in a browser's message. Raises ValueError."""
    said = json.loads(text) if len(text) <= MESSAGE_SIZE_MAX else None
    if not isinstance(said, dict):
        raise ValueError("not a message of live.js")
    page, edits = said.get("page"), said.get("edits")
    if not isinstance(page, str) or not isinstance(edits, str):
        raise ValueError("not a message of live.js")
    return page, edits


def keys_on(page: str) -> list[str]:
    """The keys of the cached values that a page shows, by its address; none for another page."""
    address = urlsplit(page)
    try:
        found = resolve(address.path)
    except Resolver404:
        return []
    if found.url_name in {"home", "countries"}:
        return [keys.COUNTRIES]
    if found.url_name == "country":
        return [keys.country(found.kwargs["code"].upper())]
    if found.url_name == "airport":
        icao = found.kwargs["icao"].upper()
        return [keys.airport(icao), keys.nearest(icao)]
    if found.url_name == "search":
        words = queries.search_words(parse_qs(address.query).get("q", [""])[-1])
        return [keys.search(words)] if words else []
    return []
