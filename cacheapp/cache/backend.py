"""``CacheBackend``: Django's cache on Redis, or on the engine in this process.

It derives from django-redis's RedisCache and keeps its options and its extras; each operation is
its own, in both a synchronous and a natively asynchronous form. The hot ones (get and set)
stand here written out, because a call of a function costs as much as the rest of a hit;
all others are made from ``operations`` and ``structures`` by ``twins``, which also lays the one
policy over outages around them.

Asynchronous methods wait on ``redis.asyncio`` in the running loop. On memory:// URLs nothing ever
waits, so there they run the synchronous form at once, without a suspension.

Left out on purpose: culling (MAX_ENTRIES, CULL_FREQUENCY). Redis evicts by its maxmemory policy.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Iterator
from functools import partial
from typing import Any

from django.core.cache.backends.base import DEFAULT_TIMEOUT, default_key_func

from cacheapp.cache import (
    aside,
    asidemany,
    degraded,
    operations,
    structures,
    tokenlock,
    writethrough,
)
from cacheapp.cache import tags as tagging
from cacheapp.cache.base import RedisBackend
from cacheapp.cache.entries import WRAPPED
from cacheapp.cache.keys import to_milliseconds
from cacheapp.cache.locks import AsyncDegradingLock, DegradingLock
from cacheapp.cache.outage import SERVER_ERRORS
from cacheapp.cache.serializers import MISSING, STR_TAG
from cacheapp.cache.steps import adrive, drive, twins


class CacheBackend(RedisBackend):
    """The cache of one alias, one object a thread or asynchronous task.

    ``server`` is LOCATION: a URL, or a primary's and its replicas' in a list or one string with
    commas; ``params`` are the alias's other settings. Raises ImproperlyConfigured for OPTIONS that
    cannot be, at the first use; opens no connection before.

    Every method takes keys of any type that formats to text, and ``version``. Errors of the
    server are redis-py's exceptions, unless OPTIONS["IGNORE_EXCEPTIONS"] is set.
    """

    # The hot operations

    def get(self, key: Any, default: Any = None, version: Any = None, client: Any = None) -> Any:
        """Return the value at ``key``, or ``default`` if it is missing or cannot be read."""
        # storage_key(), written out
        if (
            version is None
            and key.__class__ is str
            and self.key_func is default_key_func
            and self.key_prefix is self._head_prefix
            and self.version is self._head_version
        ):
            name = self._names.get(key)
            if name is None:
                text = self._head + key
                if len(text) > 250 or not text.isprintable() or " " in text:
                    name = self._unusual_key(text)
                else:
                    name = text.encode()
                    self._made_names += 1
                    if not self._made_names & 7:
                        self._names.keep(key, name)
        else:
            name = self.storage_key(key, version)
        try:
            if client is None:
                raw = (self._reader or self._open_reader()).fetch(name)
            else:
                raw = client.get(name)
        except SERVER_ERRORS as error:
            if not self._failed(error, writes=False):
                raise
            return default if client is not None else self._outlived(name, default)
        if raw is None:
            return default
        try:
            if raw[0] == self._str_tag:
                return raw[1:].decode()
            if raw[0] in WRAPPED:
                return self._unwrap(raw, name, default, client=client)
        except (IndexError, UnicodeDecodeError):
            pass  # the codec counts and logs it
        return self.codec.decode(raw, name, default)

    async def aget(
        self, key: Any, default: Any = None, version: Any = None, client: Any = None
    ) -> Any:
        """See get()."""
        if client is None and self.client.runs_in_process:
            return self.get(key, default, version)
        name = self.storage_key(key, version)
        try:
            if self.near is not None and client is None:
                raw = self.near.copies.peek(name)
                if raw is None:
                    raw = await self._arun(self.near.fill(name), writes=False)
            else:
                if self._outages.is_open:
                    await self._aadmit()
                raw = await (client or self.client.get_async_client(write=False)).get(name)
                self._answered(writes=False)
        except SERVER_ERRORS as error:
            if not self._failed(error, writes=False):
                raise
            return default if client is not None else self._outlived(name, default)
        if raw and raw[0] in WRAPPED:
            return await self._aunwrap(raw, name, default, client=client)
        return default if raw is None else self.codec.decode(raw, name, default)

    def set(
        self,
        key: Any,
        value: Any,
        timeout: Any = DEFAULT_TIMEOUT,
        version: Any = None,
        client: Any = None,
        nx: bool = False,
        xx: bool = False,
        tags: Iterable[Any] = (),
    ) -> bool:
        """Store ``value`` at ``key`` for ``timeout`` seconds: a number, or None for ever.

        Zero or less removes the key. With ``nx`` only a missing key is set, with ``xx`` only an
        existing one. ``tags``: see invalidate_tags(). Says if it was done. SerializationError.
        """
        if tags:
            return self._set_tagged(key, value, timeout, version, tags, nx, xx, client=client)
        if (
            version is None
            and key.__class__ is str
            and self.key_func is default_key_func
            and self.key_prefix is self._head_prefix
            and self.version is self._head_version
        ):
            name = self._names.get(key)
            if name is None:
                text = self._head + key
                if len(text) > 250 or not text.isprintable() or " " in text:
                    name = self._unusual_key(text)
                else:
                    name = text.encode()
                    self._made_names += 1
                    if not self._made_names & 7:
                        self._names.keep(key, name)
        else:
            name = self.storage_key(key, version)
        if value.__class__ is str and self._str_tag == STR_TAG and value.isascii():
            raw = b"s" + value.encode()
        else:
            raw = self.codec.encode(value, name)
        if timeout is DEFAULT_TIMEOUT:
            timeout = self.default_timeout
        ttl_ms: int | None
        if timeout.__class__ is int and timeout > 0:
            ttl_ms = timeout * 1000
        else:
            ttl_ms = None if timeout is None else to_milliseconds(timeout)
        try:
            if ttl_ms == 0 or nx or xx or client is not None:
                return self._run(operations.store(self, name, raw, ttl_ms, nx, xx), client=client)
            (self._writer or self._open_writer()).store(name, raw, ttl_ms or 0)
            return True
        except SERVER_ERRORS as error:
            degrades = self._failed(error, writes=True)
            if client is None and self.client.retries_elsewhere:
                return self._store_elsewhere(error, degrades, name, raw, ttl_ms, nx, xx)
            if not degrades:
                raise
            return self._lose(name, nx)

    async def aset(
        self,
        key: Any,
        value: Any,
        timeout: Any = DEFAULT_TIMEOUT,
        version: Any = None,
        client: Any = None,
        nx: bool = False,
        xx: bool = False,
        tags: Iterable[Any] = (),
    ) -> bool:
        """See set()."""
        if tags:
            return await self._aset_tagged(
                key, value, timeout, version, tags, nx, xx, client=client
            )
        if client is None and self.client.runs_in_process:
            return self.set(key, value, timeout, version, None, nx, xx)
        name = self.storage_key(key, version)
        raw = self.codec.encode(value, name)
        ttl_ms = self.ttl_ms(timeout)
        try:
            done = await self._arun(
                operations.store(self, name, raw, ttl_ms, nx, xx), client=client
            )
        except SERVER_ERRORS as error:
            degrades = self._failed(error, writes=True)
            if client is None and self.client.retries_elsewhere:
                return await self._astore_elsewhere(error, degrades, name, raw, ttl_ms, nx, xx)
            if not degrades:
                raise
            return self._lose(name, nx)
        return done

    def _store_elsewhere(self, error: BaseException, degrades: bool, *entry: Any) -> bool:
        """Try the other servers of LOCATION in turn, since REPLICA_READ_ONLY is False."""
        for index in range(1, self.client.server_count):
            try:
                return drive(operations.store(self, *entry), self.client.client_at(index))
            except SERVER_ERRORS as next_error:
                error = next_error
        if degrades:
            return False
        raise error

    async def _astore_elsewhere(self, error: BaseException, degrades: bool, *entry: Any) -> bool:
        """See _store_elsewhere()."""
        for index in range(1, self.client.server_count):
            try:
                client = self.client.async_client_at(index)
                return await adrive(operations.store(self, *entry), client)
            except SERVER_ERRORS as next_error:
                error = next_error
        if degrades:
            return False
        raise error

    def add(
        self,
        key: Any,
        value: Any,
        timeout: Any = DEFAULT_TIMEOUT,
        version: Any = None,
        client: Any = None,
    ) -> bool:
        """Store ``value`` unless ``key`` exists. Returns whether it was stored. See set()."""
        return self.set(key, value, timeout, version, client, nx=True)

    async def aadd(
        self,
        key: Any,
        value: Any,
        timeout: Any = DEFAULT_TIMEOUT,
        version: Any = None,
        client: Any = None,
    ) -> bool:
        """See add()."""
        return await self.aset(key, value, timeout, version, client, nx=True)

    async def aclose(self, **kwargs: Any) -> None:
        """Disconnect the running loop's clients of this object; they connect anew when used."""
        if self._client is not None:
            await self._client.aclose()

    def get_many(
        self, keys: Iterable[Any], version: Any = None, client: Any = None
    ) -> dict[Any, Any]:
        """Return a dict of the values found; a missing key is missing from it. One round trip."""
        keys = list(keys)
        copied = self._copied_many(keys, version) if client is None else None
        return self._ask_many(keys, version, client=client) if copied is None else copied

    async def aget_many(
        self, keys: Iterable[Any], version: Any = None, client: Any = None
    ) -> dict[Any, Any]:
        """See get_many(). Where there are copies of all it never suspends."""
        keys = list(keys)
        copied = self._copied_many(keys, version) if client is None else None
        return await self._aask_many(keys, version, client=client) if copied is None else copied

    def _copied_many(self, keys: list[Any], version: Any) -> dict[Any, Any] | None:
        """Return the values of ``keys`` if there are copies of all, and plain ones; or None."""
        if self.near is None:
            return None
        names = self.storage_keys(keys, version)
        wrapped: list[tuple[bytes, bytes]] = []
        copied = self.near.copies_of(names)
        found = None if copied is None else self.codec.decode_many(keys, names, copied, wrapped)
        return None if wrapped else found

    def _outlived(self, name: bytes, default: Any) -> Any:
        """Return what NEAR_CACHE["stale_in_outage"] gives while the server does not answer."""
        if self.near is None or not self._outages.is_unreached:
            return default
        raw = self.near.outlived(name, partial(tagging.version_key, self))
        return default if raw is None else self.codec.decode(raw, name, default)

    def _outlived_many(self, keys: list[Any], version: Any = None) -> dict[Any, Any]:
        names = self.storage_keys(keys, version)
        values = [self._outlived(name, MISSING) for name in names]
        pairs = zip(keys, values, strict=True)
        return {key: value for key, value in pairs if value is not MISSING}

    # Everything else, once for both worlds

    delete, adelete = twins(operations.delete, degraded=degraded.no, lost=degraded.lost_key)
    has_key, ahas_key = twins(operations.has_key, degraded=degraded.no, writes=False)
    _ask_many, _aask_many = twins(operations.get_many, degraded=_outlived_many, writes=False)
    set_many, aset_many = twins(
        operations.set_many, degraded=degraded.keys_given, lost=degraded.lost_values
    )
    delete_many, adelete_many = twins(
        operations.delete_many, degraded=degraded.missing, lost=degraded.lost_keys
    )
    touch, atouch = twins(operations.touch, degraded=degraded.no)
    incr, aincr = twins(operations.incr, degraded=degraded.added, lost=degraded.lost_number)
    decr, adecr = twins(operations.decr, degraded=degraded.subtracted, lost=degraded.lost_number)
    incr_version, aincr_version = twins(operations.incr_version, degraded=degraded.version_above)
    decr_version, adecr_version = twins(operations.decr_version, degraded=degraded.version_below)
    clear, aclear = twins(operations.clear, degraded=degraded.no)

    # Patterns (docs/patterns.md tells how to use them)

    get_or_set, aget_or_set = aside.get_or_set, aside.aget_or_set
    get_or_set_many, aget_or_set_many = asidemany.get_or_set_many, asidemany.aget_or_set_many
    write_through, awrite_through = writethrough.write_through, writethrough.awrite_through
    token_lock = tokenlock.token_lock
    invalidate_tags, ainvalidate_tags = twins(
        tagging.invalidate_tags, degraded=degraded.no, lost=tagging.version_keys
    )
    invalidate_prefix, ainvalidate_prefix = twins(
        operations.invalidate_prefix, degraded=degraded.zero, lost=operations.prefix_keys
    )
    invalidate_version, ainvalidate_version = twins(
        operations.invalidate_version, degraded=degraded.zero, lost=degraded.lost_version
    )
    _set_tagged, _aset_tagged = twins(
        tagging.set_tagged, degraded=degraded.no, lost=degraded.lost_tagged
    )
    _unwrap, _aunwrap = twins(
        tagging.unwrap,
        degraded=lambda self, raw, name, default: self._outlived(name, default),
        writes=False,
    )

    ttl, attl = twins(operations.ttl, degraded=degraded.zero, writes=False)
    pttl, apttl = twins(operations.pttl, degraded=degraded.zero, writes=False)
    persist, apersist = twins(operations.persist, degraded=degraded.no)
    expire, aexpire = twins(operations.expire, degraded=degraded.no)
    pexpire, apexpire = twins(operations.pexpire, degraded=degraded.no)
    expire_at, aexpire_at = twins(operations.expire_at, degraded=degraded.no)
    pexpire_at, apexpire_at = twins(operations.pexpire_at, degraded=degraded.no)
    keys, akeys = twins(operations.keys, degraded=degraded.empty_list, writes=False)
    delete_pattern, adelete_pattern = twins(operations.delete_pattern, degraded=degraded.zero)

    scan, ascan = twins(operations.scan, degraded=degraded.end_of_scan, writes=False)

    def iter_keys(
        self,
        search: str = "*",
        itersize: int | None = None,
        client: Any = None,
        version: Any = None,
    ) -> Iterator[str]:
        """Yield the keys of one version that match the glob ``search``, in no order.

        One SCAN of about ``itersize`` keys at a time. A key that is there throughout is yielded,
        and may be yielded twice, as SCAN says.
        """
        pattern, count = self.search_pattern(search, version), itersize or self.scan_count
        # One client for all: a cursor means nothing to another replica.
        client, cursor = client or self.client.get_client(write=False), 0
        while True:
            cursor, names = self.scan(cursor, pattern, count, client=client)
            for name in names:
                yield self.reverse_key(name, version)
            if not cursor:
                return

    async def aiter_keys(
        self,
        search: str = "*",
        itersize: int | None = None,
        client: Any = None,
        version: Any = None,
    ) -> AsyncIterator[str]:
        """See iter_keys()."""
        pattern, count = self.search_pattern(search, version), itersize or self.scan_count
        client, cursor = client or self.client.get_async_client(write=False), 0
        while True:
            cursor, names = await self.ascan(cursor, pattern, count, client=client)
            for name in names:
                yield self.reverse_key(name, version)
            if not cursor:
                return

    def lock(
        self,
        key: Any,
        version: Any = None,
        timeout: float | None = None,
        sleep: float = 0.1,
        blocking: bool = True,
        blocking_timeout: float | None = None,
        client: Any = None,
        thread_local: bool = True,
    ) -> DegradingLock:
        """Return redis-py's Lock at ``key``; all times are seconds. Nothing is sent yet.

        ``timeout`` is the lock's life; None is until release(). While IGNORE_EXCEPTIONS holds off
        an outage, acquire() returns False.
        """
        target = client or self.client.get_client(write=True)
        lock: DegradingLock = target.lock(
            self.storage_key(key, version),
            timeout=timeout,
            sleep=sleep,
            blocking=blocking,
            blocking_timeout=blocking_timeout,
            thread_local=thread_local,
            lock_class=partial(DegradingLock, outages=self._outages),
        )
        return lock

    def alock(
        self,
        key: Any,
        version: Any = None,
        timeout: float | None = None,
        sleep: float = 0.1,
        blocking: bool = True,
        blocking_timeout: float | None = None,
        client: Any = None,
        thread_local: bool = True,
    ) -> AsyncDegradingLock:
        """Return redis.asyncio's Lock at ``key``, for ``async with``; not a coroutine. See lock().

        Raises RuntimeError outside a running loop.
        """
        target = client or self.client.get_async_client(write=True)
        lock: AsyncDegradingLock = target.lock(
            self.storage_key(key, version),
            timeout=timeout,
            sleep=sleep,
            blocking=blocking,
            blocking_timeout=blocking_timeout,
            thread_local=thread_local,
            lock_class=partial(AsyncDegradingLock, outages=self._outages),
        )
        return lock

    # Sets

    sadd, asadd = twins(structures.sadd, degraded=degraded.zero)
    scard, ascard = twins(structures.scard, degraded=degraded.zero, writes=False)
    sdiff, asdiff = twins(structures.sdiff, degraded=degraded.empty_set, writes=False)
    sdiffstore, asdiffstore = twins(structures.sdiffstore, degraded=degraded.zero)
    sinter, asinter = twins(structures.sinter, degraded=degraded.empty_set, writes=False)
    sinterstore, asinterstore = twins(structures.sinterstore, degraded=degraded.zero)
    sismember, asismember = twins(structures.sismember, degraded=degraded.no, writes=False)
    smembers, asmembers = twins(structures.smembers, degraded=degraded.empty_set, writes=False)
    smismember, asmismember = twins(structures.smismember, degraded=degraded.no_each, writes=False)
    smove, asmove = twins(structures.smove, degraded=degraded.no)
    spop, aspop = twins(structures.spop, degraded=degraded.none_or_set)
    srandmember, asrandmember = twins(
        structures.srandmember, degraded=degraded.none_or_list, writes=False
    )
    srem, asrem = twins(structures.srem, degraded=degraded.zero)
    sscan, asscan = twins(structures.sscan, degraded=degraded.empty_set, writes=False)
    sscan_page, asscan_page = twins(
        structures.sscan_page, degraded=degraded.end_of_scan, writes=False
    )
    sunion, asunion = twins(structures.sunion, degraded=degraded.empty_set, writes=False)
    sunionstore, asunionstore = twins(structures.sunionstore, degraded=degraded.zero)

    def sscan_iter(
        self,
        key: Any,
        match: str | None = None,
        count: int | None = 10,
        version: Any = None,
        client: Any = None,
    ) -> Iterator[Any]:
        """Yield the members of the set at ``key``, those whose text matches ``match``.

        One SSCAN of about ``count`` members at a time.
        """
        client, cursor = client or self.client.get_client(write=False), 0
        while True:
            cursor, members = self.sscan_page(key, cursor, match, count, version, client=client)
            yield from members
            if not cursor:
                return

    async def asscan_iter(
        self,
        key: Any,
        match: str | None = None,
        count: int | None = 10,
        version: Any = None,
        client: Any = None,
    ) -> AsyncIterator[Any]:
        """See sscan_iter()."""
        client, cursor = client or self.client.get_async_client(write=False), 0
        while True:
            cursor, members = await self.asscan_page(
                key, cursor, match, count, version, client=client
            )
            for member in members:
                yield member
            if not cursor:
                return

    # Hashes

    hset, ahset = twins(structures.hset, degraded=degraded.zero)
    hget, ahget = twins(structures.hget, degraded=degraded.missing, writes=False)
    hgetall, ahgetall = twins(structures.hgetall, degraded=degraded.empty_dict, writes=False)
    hdel, ahdel = twins(structures.hdel, degraded=degraded.zero)
    hlen, ahlen = twins(structures.hlen, degraded=degraded.zero, writes=False)
    hkeys, ahkeys = twins(structures.hkeys, degraded=degraded.empty_list, writes=False)
    hexists, ahexists = twins(structures.hexists, degraded=degraded.no, writes=False)

    # Sorted sets

    zadd, azadd = twins(structures.zadd, degraded=degraded.zero)
    zcard, azcard = twins(structures.zcard, degraded=degraded.zero, writes=False)
    zcount, azcount = twins(structures.zcount, degraded=degraded.zero, writes=False)
    zincrby, azincrby = twins(structures.zincrby, degraded=degraded.amount)
    zpopmax, azpopmax = twins(structures.zpopmax, degraded=degraded.none_or_list)
    zpopmin, azpopmin = twins(structures.zpopmin, degraded=degraded.none_or_list)
    zrange, azrange = twins(structures.zrange, degraded=degraded.empty_list, writes=False)
    zrangebyscore, azrangebyscore = twins(
        structures.zrangebyscore, degraded=degraded.empty_list, writes=False
    )
    zrank, azrank = twins(structures.zrank, degraded=degraded.missing, writes=False)
    zrem, azrem = twins(structures.zrem, degraded=degraded.zero)
    zremrangebyscore, azremrangebyscore = twins(structures.zremrangebyscore, degraded=degraded.zero)
    zrevrange, azrevrange = twins(structures.zrevrange, degraded=degraded.empty_list, writes=False)
    zrevrangebyscore, azrevrangebyscore = twins(
        structures.zrevrangebyscore, degraded=degraded.empty_list, writes=False
    )
    zscore, azscore = twins(structures.zscore, degraded=degraded.missing, writes=False)
