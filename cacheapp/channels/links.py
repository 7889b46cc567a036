"""The server of a layer: an alias of CACHES with its pools and its breaker, or a URL of its own.

Commands and scripts go through ``run`` and ``arun``, so that an outage is counted, and refused at
once while the breaker is open, whoever asks. Left out on purpose: retries. A message that was
perhaps sent is not sent again.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cacheapp.cache.outage import SERVER_ERRORS, Outages
from cacheapp.cache.servers import Server, server_of
from cacheapp.clients import get_async_client, get_client
from cacheapp.clients.scripts import NativeScripts, Script

__all__ = ["GENERAL", "INVITE", "SEND_LOCAL", "STREAM", "Link"]

_LUA = Path(__file__).with_name("lua")
STREAM = Script.load(_LUA / "stream.lua")
SEND_LOCAL = Script.load(_LUA / "send_local.lua")
INVITE = Script.load(_LUA / "invite.lua")
GENERAL = Script.load(_LUA / "general.lua")

_numbers = itertools.count(1)


class Link:
    """One layer's way to its server. ``alias`` is one of CACHES, ``url`` a server's; one of both.

    Opens no connection. Raises ImproperlyConfigured for an alias that is not ours, and ValueError
    for a URL that cannot be used.
    """

    def __init__(self, alias: str | None, url: str | None) -> None:
        self._server: Server | None = None
        self._url = url
        if url is None:
            assert alias is not None
            self._server = server_of(alias)
            self.name = f"alias {alias}"
            self.prefix = self._server.prefix
            self.in_process = self._server.in_process
            self._outages = self._server.outages
            self._sync: Any = None
        else:
            self.name = url.partition("?")[0].rpartition("@")[2]
            self.prefix = ""
            self._sync = get_client(url)
            self.in_process = isinstance(self._sync, NativeScripts)
            self._outages = Outages(self.name, degrades=False)

    def identity(self) -> object:
        """Return what is equal for two links to one engine of this process."""
        keywords = self.client().connection_pool.connection_kwargs
        return keywords.get("engine") or keywords.get("host"), keywords.get("db", 0)

    def client(self) -> Any:
        """Return the process's redis-py client."""
        if self._server is not None:
            return self._server.client()
        return self._sync

    def _async_client(self) -> Any:
        if self._url is None:
            assert self._server is not None
            return self._server.async_client()
        return get_async_client(self._url)

    def close(self) -> None:
        """Close the connections that are this link's own; they open again when needed."""
        if self._server is None:
            self._sync.close()

    def run(self, what: Script | None, keys: Sequence[Any], arguments: Sequence[Any]) -> Any:
        """Run a script, or without one the command ``arguments``. Raises redis-py's errors."""
        outages = self._outages
        try:
            if outages.is_open:
                outages.admit()
            client = self.client()
            if what is None:
                reply = client.execute_command(*arguments)
            else:
                reply = what.run(client, keys, arguments)
        except SERVER_ERRORS as error:
            outages.failed(error, writes=True)
            raise
        if outages.is_open:
            outages.succeeded(writes=True)
        return reply

    async def arun(self, what: Script | None, keys: Sequence[Any], arguments: Sequence[Any]) -> Any:
        """See ``run``. In process it never suspends."""
        if self.in_process:
            return self.run(what, keys, arguments)
        outages = self._outages
        try:
            if outages.is_open:
                outages.admit()
            client = self._async_client()
            if what is None:
                reply = await client.execute_command(*arguments)
            else:
                reply = await what.arun(client, keys, arguments)
        except SERVER_ERRORS as error:
            outages.failed(error, writes=True)
            raise
        if outages.is_open:
            outages.succeeded(writes=True)
        return reply
