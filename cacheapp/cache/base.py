"""What every operation of a backend needs: its keys, its timeouts, and a way to the server.

``CacheBackend`` derives from ``RedisBackend`` and adds the operations. The line between them is
the sight of the server: here is how one gets there and what happens if it does not answer.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeVar

from django.core.cache.backends.base import (
    DEFAULT_TIMEOUT,
    MEMCACHE_MAX_KEY_LENGTH,
    BaseCache,
    default_key_func,
    get_key_func,
)
from django.core.exceptions import ImproperlyConfigured
from django_redis.cache import RedisCache
from django_redis.util import CacheKey

from cacheapp import conf
from cacheapp.cache.client import client_class
from cacheapp.cache.connections import Probe, byte_client, state_of
from cacheapp.cache.errors import LocationError
from cacheapp.cache.keys import KeyNames, KeyShape, encode_key, to_milliseconds
from cacheapp.cache.lost import made_up
from cacheapp.cache.near import AnnouncingWriter, NearReader
from cacheapp.cache.outage import SERVER_ERRORS
from cacheapp.cache.prefixed import TaggedReader, TaggingWriter
from cacheapp.cache.serializers import STR_TAG
from cacheapp.cache.steps import Request, Steps, adrive, drive
from cacheapp.invalidation.bus import Write

T = TypeVar("T")


class Unusable:
    """Stands for what wrong settings did not make; every use raises their error."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    def __getattr__(self, name: str) -> Any:
        raise self._error

    def __call__(self, *args: Any) -> Any:
        raise self._error


class RedisBackend(RedisCache):
    """A backend without operations. See CacheBackend."""

    server_errors = SERVER_ERRORS

    def __init__(self, server: Any, params: dict[str, Any]) -> None:
        stated = params.get("OPTIONS") or {}
        options = stated if isinstance(stated, Mapping) else {}
        # RedisCache imports CLIENT_CLASS by path, which here may be a class or another's path.
        plain = {name: value for name, value in options.items() if name != "CLIENT_CLASS"}
        super().__init__(server, {**params, "OPTIONS": plain})
        self._params = params
        timeout = params.get("TIMEOUT", params.get("timeout"))
        if isinstance(timeout, float):
            self.default_timeout = timeout  # BaseCache cuts fractions of a second off
        reverse = params.get("REVERSE_KEY_FUNCTION")
        self._reverse_key_func = get_key_func(reverse) if reverse else None
        # A subclass may make and validate keys in its own way; then nothing here is short-cut.
        own = type(self)
        self._has_plain_keys = (
            own.make_key is BaseCache.make_key and own.validate_key is BaseCache.validate_key
        )
        # What begins the default function's keys while prefix and version are these objects.
        self._head_prefix: Any = self.key_prefix if self._has_plain_keys else object()
        self._head_version = self.version
        self._head = head = f"{self.key_prefix}:{self.version}:"
        self._made_names = 0
        # redis-py's clients for the hot operations, from the first answer to the next failure.
        self._reader: Any = None
        self._writer: Any = None
        # -1 where a str is not stored as tag and text: no byte is equal to it.
        self._str_tag = -1
        #: The alias's near cache, if it has one, and its announcements, if it makes any.
        self.near: Any = None
        self.bus: Any = None
        #: The prefixes that the alias declares, if it does.
        self.prefixes: Any = None
        self._client_cls: Any
        self.state: Any
        self.codec: Any
        self._outages: Any
        try:
            if options is not stated:
                raise ImproperlyConfigured(f"OPTIONS must be a dict, not {stated!r}")
            if not server:
                raise LocationError(
                    "LOCATION is empty: give a URL, such as memory://default or "
                    "redis://127.0.0.1:6379/0"
                )
            self._client_cls = client_class(options)
            self.state = state_of(server, params)
        except (ImproperlyConfigured, ImportError, TypeError, ValueError) as error:
            # Django makes every cache for its checks; ours are to report the error by a number.
            self._client_cls = self.state = self.codec = self._outages = Unusable(error)
            self._names = KeyNames(head)
            return
        self._names = self.state.key_names(head)
        self.codec = self.state.codec
        self._outages = self.state.outages
        self.near, self.bus = self.state.near, self.state.bus
        if self.near is not None and not self._has_plain_keys:
            self.near.has_own_keys()
        self.prefixes = self.state.prefixes
        if self.codec.has_inline_str:
            self._str_tag = STR_TAG

    @property
    def scan_count(self) -> int:
        """How many keys one SCAN looks at."""
        return conf.scan_count()

    # Keys

    def storage_key(self, key: Any, version: Any = None) -> bytes:
        """Return the server's key for ``key``; warn where memcached would refuse it.

        A CacheKey of django-redis (``cache.client.make_key``) is used as it is. Raises
        InvalidKeyError for a key over 512 MB.
        """
        if not self._has_plain_keys:
            text = key if isinstance(key, CacheKey) else str(self.make_key(key, version))
            return self._unusual_key(text)
        if key.__class__ is CacheKey:
            text = str(key)
        elif self.key_func is default_key_func:
            text = f"{self.key_prefix}:{self.version if version is None else version}:{key}"
        else:
            text = str(self.make_key(key, version))
        if len(text) > MEMCACHE_MAX_KEY_LENGTH or not text.isprintable() or " " in text:
            return self._unusual_key(text)
        return text.encode()

    def storage_keys(self, keys: Iterable[Any], version: Any = None) -> list[bytes]:
        """Return ``storage_key`` of each of ``keys``."""
        keys = list(keys)
        if (
            not self._has_plain_keys
            or self.key_func is not default_key_func
            or CacheKey in {key.__class__ for key in keys}
        ):
            return [self.storage_key(key, version) for key in keys]
        head = f"{self.key_prefix}:{self.version if version is None else version}:"
        texts = [f"{head}{key}" for key in keys]
        joined = "".join(texts)
        if " " in joined or not joined.isprintable() or len(max(texts, key=len, default="")) > 250:
            return [self.storage_key(key, version) for key in keys]
        return [text.encode() for text in texts]

    def _unusual_key(self, text: str) -> bytes:
        self.validate_key(text)
        return encode_key(text)

    def key_shape(self, prefix: str | None = None) -> KeyShape:
        """Return what this alias's keys look like, or those under another ``prefix``."""
        prefix = self.key_prefix if prefix is None else prefix
        return KeyShape.of(self.key_func, prefix, self.version)

    def search_pattern(self, search: str, version: Any = None, prefix: str | None = None) -> str:
        """Return the SCAN pattern of one version's keys that match the glob ``search``."""
        if isinstance(search, CacheKey):
            return search
        version = self.version if version is None else version
        return self.key_shape(prefix).pattern(search, version)

    def reverse_key(self, name: bytes, version: Any = None) -> str:
        """Return the cache key of a stored key. REVERSE_KEY_FUNCTION does it where it is set."""
        text = name.decode()
        if self._reverse_key_func is not None:
            return str(self._reverse_key_func(text))
        return self.key_shape().reverse(text, self.version if version is None else version)

    # Timeouts

    def get_backend_timeout(self, timeout: Any = DEFAULT_TIMEOUT) -> Any:
        """Return the seconds to keep a value, 0 for none at all, or None for ever."""
        if timeout is DEFAULT_TIMEOUT:
            timeout = self.default_timeout
        return None if timeout is None else max(0, timeout)

    def ttl_ms(self, timeout: Any = DEFAULT_TIMEOUT) -> int | None:
        """Return the milliseconds to keep a value, 0 for none at all, or None for ever."""
        if timeout is DEFAULT_TIMEOUT:
            timeout = self.default_timeout
        return None if timeout is None else to_milliseconds(timeout)

    # Waiting for the server

    def _run(self, steps: Steps[T], *, writes: bool = True, client: Any = None) -> T:
        if writes and self.bus is not None:
            steps = self.bus.announced(steps)
        if self._outages.is_open:
            self._admit()
        # With copies all reads go to the primary, whose stream tells of its writes.
        primary = writes or self.near is not None
        result = drive(steps, client or self.client.get_client(write=primary))
        self._answered(writes)
        return result

    async def _arun(self, steps: Steps[T], *, writes: bool = True, client: Any = None) -> T:
        if client is None and self.client.runs_in_process:
            return self._run(steps, writes=writes)
        if writes and self.bus is not None:
            steps = self.bus.announced(steps)
        if self._outages.is_open:
            await self._aadmit()
        primary = writes or self.near is not None
        result = await adrive(steps, client or self.client.get_async_client(write=primary))
        self._answered(writes)
        return result

    def _admit(self) -> None:
        """Let an operation through in an outage, and make up for those that failed, before it."""
        self._outages.admit()
        if self._outages.lost:
            drive(self._made_up(), self.client.get_client(write=True))

    async def _aadmit(self) -> None:
        """See _admit()."""
        self._outages.admit()
        if self._outages.lost:
            await adrive(self._made_up(), self.client.get_async_client(write=True))

    def _made_up(self) -> Steps[None]:
        return made_up(self) if self.bus is None else self.bus.announced(made_up(self))

    def _failed(self, error: BaseException, *, writes: bool) -> bool:
        """Record a failure. Returns whether the operation degrades, or is to raise."""
        self._reader = self._writer = None
        return self._outages.failed(error, writes=writes)

    def _lose(self, name: bytes, nx: bool) -> bool:
        """Remember a SET that failed, unless it was to replace nothing. Returns False."""
        if not nx:
            self._outages.lost.add((name,))
        return False

    def _answered(self, writes: bool) -> None:
        if self._outages.is_open:
            self._outages.succeeded(writes=writes)

    def _open_reader(self) -> Any:
        """Return a client for reading, and keep it if it is the only one and no outage lasts."""
        if self.near is not None:
            self._reader = NearReader(self.near, self._fill)
            return self._reader
        client = byte_client(self.client.get_client(write=False))
        if self.prefixes is not None:
            client = TaggedReader(self, self.client.get_client(write=False))
        if self._outages.is_open:
            self._admit()
            return Probe(client, self._outages)
        if self.client.server_count == 1:
            self._reader = client
        return client

    def _fill(self, name: bytes) -> Any:
        return self._run(self.near.fill(name), writes=False)

    def write(self, names: Sequence[bytes], request: Request) -> Any:
        """Return what an operation yields to change ``names``: ``request``, or with its message."""
        return request if self.bus is None else Write.to(names, request)

    def write_computed(self, names: Sequence[bytes], request: Request) -> Any:
        """Return what an operation yields to store what was computed for ``names``; see write().

        Near caches hear of it. Who watches does not, since nothing else has changed.
        """
        return request if self.bus is None else Write.to(names, request, early=True)

    def fetch_many(self, names: list[bytes]) -> Steps[list[Any]] | None:
        """Steps that look among the copies for ``names`` first; None where there are no copies."""
        return None if self.near is None else self.near.fetch_many(names)

    def _open_writer(self) -> Any:
        """Return the client for writing, and keep it if no outage lasts."""
        if self.prefixes is not None:
            return TaggingWriter(self)
        client = byte_client(self.client.get_client(write=True))
        if self.bus is not None:
            client = AnnouncingWriter(self.bus, self.client.get_client(write=True))
        if self._outages.is_open:
            self._admit()
            return Probe(client, self._outages)
        self._writer = client
        return client
