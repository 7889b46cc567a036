"""The server of a cache alias, for the parts of this package that are not caches.

Sessions, rate limits and the like keep their data on the server that an alias in CACHES names,
with its OPTIONS, its pools and its breaker, but under keys of their own, which ``cache.clear()``
does not touch. ``server_of(alias)`` gives each process one ``Server`` an alias.

Left out on purpose: what to do while the server does not answer. Each part has its own policy.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, TypeVar

from django.core.cache import caches
from django.core.exceptions import ImproperlyConfigured
from django.core.signals import setting_changed
from django.dispatch import receiver

from cacheapp.cache.backend import CacheBackend
from cacheapp.cache.outage import SERVER_ERRORS
from cacheapp.clients.forks import renews
from cacheapp.clients.scripts import Script

T = TypeVar("T")

__all__ = ["ENGINES", "SERVERS", "SERVER_ERRORS", "Server", "server_of"]


class Server:
    """One alias's server: its clients, one a process and one a loop, and whether it answers."""

    def __init__(self, alias: str, backend: CacheBackend) -> None:
        self.alias = alias
        self._client = backend.client
        self.outages = backend.state.outages
        #: Whether commands never wait, so that async code may call the synchronous client.
        self.in_process: bool = self._client.runs_in_process
        #: Goes before each key, with what the part itself puts there.
        self.prefix: str = backend.key_prefix
        #: The process's client, once somebody has asked for it; see client().
        self.sync: Any = None

    def client(self) -> Any:
        """Return the process's redis-py client."""
        if self.sync is None:
            self.sync = self._client.get_client(write=True)
            if self.in_process and SERVERS.get(self.alias) is self:
                ENGINES[self.alias] = self.sync
        return self.sync

    def async_client(self) -> Any:
        """Return the running loop's redis.asyncio client."""
        return self._client.get_async_client(write=True)

    def run(self, script: Script, keys: Sequence[bytes], arguments: Sequence[Any] = ()) -> Any:
        """Run a script and return its reply. See guard()."""
        return self.guard(script.run, self.client(), keys, arguments)

    async def arun(
        self, script: Script, keys: Sequence[bytes], arguments: Sequence[Any] = ()
    ) -> Any:
        """See run(). In process it never suspends."""
        if self.in_process:
            return self.run(script, keys, arguments)
        return await self.aguard(script.arun(self.async_client(), keys, arguments))

    def guard(self, ask: Callable[..., Any], *arguments: Any) -> Any:
        """Return ``ask(*arguments)``, which waits for the server.

        Raises redis-py's errors, counted as an outage; while the breaker is open that is
        CircuitOpenError, at once.
        """
        outages = self.outages
        try:
            if outages.is_open:
                outages.admit()
            reply = ask(*arguments)
        except SERVER_ERRORS as error:
            outages.failed(error, writes=True)
            raise
        if outages.is_open:
            outages.succeeded(writes=True)
        return reply

    async def aguard(self, asking: Coroutine[Any, Any, T]) -> T:
        """See guard(); ``asking`` is closed where the breaker refuses it."""
        outages = self.outages
        try:
            if outages.is_open:
                try:
                    outages.admit()
                except SERVER_ERRORS:
                    asking.close()
                    raise
            reply = await asking
        except SERVER_ERRORS as error:
            outages.failed(error, writes=True)
            raise
        if outages.is_open:
            outages.succeeded(writes=True)
        return reply


#: Those that were asked for so far: what hot paths look at before they call `server_of`.
SERVERS: dict[str, Server] = {}
#: The clients of those that are engines of this process. They have no outages, and need no guard.
ENGINES: dict[str, Any] = {}
_lock = threading.Lock()
renews(sys.modules[__name__], "_lock")


def server_of(alias: str) -> Server:
    """Return the process's ``Server`` of ``alias``.

    Raises ImproperlyConfigured for an alias that is not in CACHES or has another BACKEND.
    """
    server = SERVERS.get(alias)
    if server is None:
        with _lock:
            server = SERVERS.get(alias)
            if server is None:
                server = SERVERS[alias] = _new_server(alias)
    return server


def _new_server(alias: str) -> Server:
    if alias not in caches.settings:
        raise ImproperlyConfigured(f"CACHES has no alias {alias!r}")
    # One of its own: the backends that `caches` keeps belong to a thread.
    backend = caches.create_connection(alias)
    if not isinstance(backend, CacheBackend):
        raise ImproperlyConfigured(
            f"CACHES[{alias!r}] must have the BACKEND 'cacheapp.cache.CacheBackend', "
            f"not {type(backend).__module__}.{type(backend).__name__}"
        )
    return Server(alias, backend)


@receiver(setting_changed, dispatch_uid="cacheapp.cache.servers")
def _forget(*, setting: str, **_: Any) -> None:
    if setting == "CACHES":
        SERVERS.clear()
        ENGINES.clear()
