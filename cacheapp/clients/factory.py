"""``get_client`` and ``get_async_client``: the right redis-py client for a URL.

An asyncio client belongs to one event loop, and under ``async_to_sync`` loops come and go with
each call. So asyncio clients are kept one a loop and URL, and are closed with their loop: an
asynchronous generator that waits inside the loop is finalized by ``shutdown_asyncgens``, which
``asyncio.run``, ``asyncio.Runner`` and every server call before they close a loop.

Left out on purpose: Sentinel and Cluster, whose clients are built by their own classes.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
import threading
import weakref
from collections.abc import AsyncGenerator
from typing import Any

import redis
import redis.asyncio

from cacheapp.clients.aclient import AsyncEngineRedis
from cacheapp.clients.alean import LeanAsyncRedis
from cacheapp.clients.client import EngineRedis
from cacheapp.clients.forks import renews
from cacheapp.clients.lean import LeanRedis
from cacheapp.clients.url import ENGINE_SCHEME, check_url, scheme_of

__all__ = ["get_async_client", "get_client"]

Clients = dict[Any, redis.asyncio.Redis]

_by_loop: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, Clients] = (
    weakref.WeakKeyDictionary()
)
_guards: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, AsyncGenerator[None, None]] = (
    weakref.WeakKeyDictionary()
)
_lock = threading.Lock()
renews(sys.modules[__name__], "_lock")


def get_client(url: str, **options: Any) -> redis.Redis:
    """Return a new client, with a pool of its own, for the server that ``url`` names.

    ``options`` are redis-py's (``decode_responses``, ``protocol``, ``socket_timeout`` in seconds,
    ``max_connections`` …); what the URL says wins. Opens no connection. Raises UnknownSchemeError
    or URLOptionError, both ValueErrors, for a URL that cannot be used.
    """
    if scheme_of(url) == ENGINE_SCHEME:
        return EngineRedis.from_url(url, **options)
    check_url(url)
    return LeanRedis.from_url(url, **options)


def get_async_client(url: str, **options: Any) -> redis.asyncio.Redis:
    """Return the running loop's asyncio client for ``url`` and ``options``.

    The same loop gets the same client for the same arguments; it is closed with the loop, so
    callers need not. Options and errors are those of ``get_client``. Raises RuntimeError outside
    a running loop.
    """
    loop = asyncio.get_running_loop()
    key = (url, *sorted((name, _hashable(value)) for name, value in options.items()))
    with _lock:
        clients = _by_loop.get(loop)
        if clients is None:
            _forget_closed_loops()
            clients = _by_loop[loop] = {}
            _guards[loop] = _start_guard(clients)
    client = clients.get(key)
    if client is None:
        client = clients[key] = _new_async_client(url, options)
    return client


def _forget_closed_loops() -> None:
    # Only a loop that was closed without shutdown_asyncgens has clients still, and they hold it.
    for loop in [loop for loop in _by_loop if loop.is_closed()]:
        del _by_loop[loop], _guards[loop]


def _hashable(value: Any) -> Any:
    # The value's identity serves where its contents cannot: a mutable option may change.
    try:
        return hash(value), repr(value)
    except TypeError:
        return id(value), repr(value)


def _new_async_client(url: str, options: dict[str, Any]) -> redis.asyncio.Redis:
    if scheme_of(url) == ENGINE_SCHEME:
        return AsyncEngineRedis.from_url(url, **options)
    check_url(url)
    return LeanAsyncRedis.from_url(url, **options)


def _start_guard(clients: Clients) -> AsyncGenerator[None, None]:
    """Make the running loop close ``clients`` when it shuts its asynchronous generators down."""
    guard = _close_at_shutdown(clients)
    # Its first step runs to the yield without suspending; the loop now knows the generator.
    with contextlib.suppress(StopIteration):
        guard.__anext__().send(None)
    return guard


async def _close_at_shutdown(clients: Clients) -> AsyncGenerator[None, None]:
    try:
        yield
    finally:
        while clients:
            _, client = clients.popitem()
            await client.aclose()
