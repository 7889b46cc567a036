"""``cache.client``: django-redis's client object, over the alias's shared connections.

It supplies what django-redis's users know from theirs: ``get_client()`` (and so
``get_redis_connection``), ``make_key``, ``encode`` and ``decode``, and the commands on sets,
hashes and sorted sets. Operations on whole values belong to the backend, where a value is bound
to its key; here they lead there.

Left out on purpose: ShardClient and HerdClient. They replace the very methods that the backend
mends; Redis Cluster and ``get_or_set`` are what to use.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import parse_qs, urlsplit

import redis.asyncio.sentinel
from django.core.exceptions import ImproperlyConfigured
from django.utils.module_loading import import_string
from django_redis.client.default import DefaultClient
from django_redis.client.sentinel import SentinelClient

from cacheapp.cache.connections import AliasState, async_options
from cacheapp.cache.serializers import MEMBER


def _of_backend(name: str) -> Callable[..., Any]:
    def method(self: CacheClient, *args: Any, **kwargs: Any) -> Any:
        return getattr(self._backend, name)(*args, **kwargs)

    method.__name__ = name
    method.__doc__ = f"See CacheBackend.{name}."
    return method


class CacheClient(DefaultClient):
    """django-redis's DefaultClient without its faults. ``OPTIONS["CLIENT_CLASS"]``'s base."""

    def __init__(self, server: Any, params: dict[str, Any], backend: Any) -> None:
        options = params.get("OPTIONS", {})
        state: AliasState = backend.state
        # DefaultClient would import serializer and compressor by path; the codec has both.
        coding = {"SERIALIZER", "COMPRESSOR", "CONNECTION_FACTORY"}
        plain = {name: value for name, value in options.items() if name not in coding}
        plain["CONNECTION_FACTORY"] = "cacheapp.cache.connections.ConnectionFactory"
        super().__init__(server, {**params, "OPTIONS": plain}, backend)
        self._params = params
        self._options = options
        self._state = state
        self.connection_factory = state.factory
        if not state.clients:
            state.clients = [None] * len(self._server)
        self._clients = state.clients
        if state.source is not None:
            state.source.opened(self)
        self.runs_in_process = state.runs_in_process(self._server)
        # The loop that asked last, and its clients: replaced as one, since threads may share this.
        self._held: tuple[asyncio.AbstractEventLoop | None, list[Any]] = (None, [])

    @property
    def server_count(self) -> int:
        """How many servers LOCATION names: the primary, and its replicas after it."""
        return len(self._server)

    @property
    def retries_elsewhere(self) -> bool:
        """Whether a failed write goes on to the other servers (REPLICA_READ_ONLY is False)."""
        return not self._replica_read_only and len(self._server) > 1

    def encode(self, value: Any, *, allow_int: bool = True) -> bytes:
        """Return the bytes to store for ``value`` as a member of a set, hash or sorted set.

        Equal values give equal bytes. Raises SerializationError.
        """
        return self._state.codec.encode(value, MEMBER)

    def decode(self, value: bytes) -> Any:
        """Return the member that ``value`` stands for; None for one that cannot be read."""
        return self._state.codec.decode(value, MEMBER)

    def _has_compression_enabled(self) -> bool:
        return not self._state.codec.has_inline_str

    def client_at(self, index: int) -> Any:
        """Return the client for the server at ``index`` of LOCATION."""
        if self._clients[index] is None:
            self._clients[index] = self.connect(index)
        return self._clients[index]

    def get_async_client(self, write: bool = True) -> Any:
        """Return the running loop's redis.asyncio client; for reading, one of the replicas'.

        Raises RuntimeError outside a running loop.
        """
        return self.async_client_at(self.get_next_client_index(write=write))

    def async_client_at(self, index: int) -> Any:
        """Return the running loop's client for the server at ``index`` of LOCATION."""
        loop, held = asyncio.get_running_loop(), self._held
        if loop is not held[0]:
            held = self._held = (loop, [None] * len(self._server))
        client = held[1][index]
        if client is None:
            client = held[1][index] = self.connect_async(index)
        return client

    def connect_async(self, index: int = 0) -> Any:
        """Return a redis.asyncio client for the server at ``index`` of LOCATION."""
        return self._state.async_client(self._server[index])

    def do_close_clients(self) -> None:
        """Disconnect the alias's pools. They connect anew when they are used again."""
        for index in range(len(self._clients)):
            self.disconnect(index=index)

    async def aclose(self) -> None:
        """Disconnect the running loop's clients. They connect anew when they are used again."""
        loop, clients = self._held
        if asyncio.get_running_loop() is loop:
            self._held = (None, [])
            for client in clients:
                if client is not None:
                    await client.aclose()

    # What stands under one key is bound to it, covered by the policy over outages and announced to
    # near caches, in the backend: one implementation, whichever way it is reached.
    add = _of_backend("add")
    clear = _of_backend("clear")
    decr = _of_backend("decr")
    delete = _of_backend("delete")
    delete_many = _of_backend("delete_many")
    delete_pattern = _of_backend("delete_pattern")
    expire = _of_backend("expire")
    expire_at = _of_backend("expire_at")
    get = _of_backend("get")
    get_many = _of_backend("get_many")
    has_key = _of_backend("has_key")
    incr = _of_backend("incr")
    incr_version = _of_backend("incr_version")
    iter_keys = _of_backend("iter_keys")
    keys = _of_backend("keys")
    persist = _of_backend("persist")
    pexpire = _of_backend("pexpire")
    pexpire_at = _of_backend("pexpire_at")
    pttl = _of_backend("pttl")
    sdiffstore = _of_backend("sdiffstore")
    set = _of_backend("set")
    set_many = _of_backend("set_many")
    sinterstore = _of_backend("sinterstore")
    sunionstore = _of_backend("sunionstore")
    touch = _of_backend("touch")
    ttl = _of_backend("ttl")


class SentinelCacheClient(CacheClient, SentinelClient):
    """django-redis's SentinelClient likewise: LOCATION is redis://<service>/<db>.

    OPTIONS needs SENTINELS, a list of (host, port), and CONNECTION_FACTORY
    "django_redis.pool.SentinelConnectionFactory". Its asyncio clients live until ``aclose()``.
    """

    def connect_async(self, index: int = 0) -> Any:
        """Return a redis.asyncio client that follows the service's primary (0) or a replica."""
        url = urlsplit(self._server[index])
        options = self.connection_factory.make_connection_params("")
        del options["url"], options["parser_class"]
        options.update(async_options(self._options.get("CONNECTION_POOL_KWARGS", {})))
        sentinel = redis.asyncio.sentinel.Sentinel(
            self._options["SENTINELS"],
            sentinel_kwargs=self._options.get("SENTINEL_KWARGS"),
            **options,
            db=int(url.path.strip("/") or 0),
        )
        is_primary = parse_qs(url.query).get("is_master", ["1"])[0] not in ("0", "False")
        follow = sentinel.master_for if is_primary else sentinel.slave_for
        return follow(url.hostname)


#: django-redis's classes, by the paths that its users write, and what serves for each here.
CLIENT_CLASSES: Mapping[str, type[CacheClient]] = {
    "django_redis.client.DefaultClient": CacheClient,
    "django_redis.client.default.DefaultClient": CacheClient,
    "django_redis.client.SentinelClient": SentinelCacheClient,
    "django_redis.client.sentinel.SentinelClient": SentinelCacheClient,
}


def client_class(options: Mapping[str, Any]) -> type[CacheClient]:
    """Return the class that OPTIONS["CLIENT_CLASS"] names, CacheClient if it names none.

    Raises ImproperlyConfigured for a class that is not a CacheClient.
    """
    path = options.get("CLIENT_CLASS")
    if path is None:
        return CacheClient
    if path in CLIENT_CLASSES:
        return CLIENT_CLASSES[path]
    try:
        named = path if isinstance(path, type) else import_string(path)
    except (AttributeError, ImportError) as error:
        raise ImproperlyConfigured(
            f"OPTIONS['CLIENT_CLASS'] is {path!r}, which cannot be imported: {error}"
        ) from error
    if not (isinstance(named, type) and issubclass(named, CacheClient)):
        raise ImproperlyConfigured(
            f"OPTIONS['CLIENT_CLASS'] is {path!r}, which is not a cacheapp.cache.CacheClient. "
            "Leave it out, derive from CacheClient, or name django-redis's DefaultClient or "
            "SentinelClient; ShardClient and HerdClient are not supported."
        )
    return named
