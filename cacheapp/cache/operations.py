"""Django's cache operations, and django-redis's on single keys, as steps (see ``steps``).

Each takes the backend first, for its keys and its codec, and sends nothing before all values
have been encoded, so that a value that cannot be written leaves nothing half-written. What has
to be atomic is one command, one transaction or one Lua script on the server.

``get`` and ``set`` are in ``backend``, where every call counts.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Mapping
from functools import partial
from operator import methodcaller
from typing import TYPE_CHECKING, Any, Final

from django.core.cache.backends.base import DEFAULT_TIMEOUT
from django_redis.util import CacheKey
from redis.exceptions import ResponseError

from cacheapp.cache import entries, prefixes
from cacheapp.cache import tags as tagging
from cacheapp.cache.errors import ContentionError
from cacheapp.cache.keys import encode_key, escape_glob, literal_head
from cacheapp.cache.leases import BURY
from cacheapp.cache.near import announce_prefix, announced_to
from cacheapp.cache.scripts import INCR, MOVE, REPLACE
from cacheapp.cache.serializers import MISSING
from cacheapp.cache.steps import Steps, run_script
from cacheapp.clients.bytelevel import ByteCommands
from cacheapp.clients.scripts import Script

if TYPE_CHECKING:
    from cacheapp.cache.backend import CacheBackend

#: Attempts of compare-and-set. Of all that compete one succeeds each time, so this many in a row
#: are lost only to an endless crowd.
ATTEMPTS_MAX: Final = 10_000


def store(
    cache: CacheBackend, name: bytes, raw: bytes, ttl_ms: int | None, nx: bool, xx: bool
) -> Steps[bool]:
    """SET, or what it amounts to with a deadline that is over. Returns whether it was done.

    With ``nx`` and ``xx`` an entry that a tag made a miss is none.
    """
    if xx and (yield from tagging.dead(cache, name)) is not None:
        return False
    if ttl_ms != 0:
        if cache.prefixes is not None and raw[:1] != entries.VALUE:
            raw = (yield from tagging.heads(cache, (), ttl_ms, (name,)))[0] + raw
        set_ = methodcaller("set", name, raw, px=ttl_ms, nx=nx, xx=xx)
        done = yield cache.write((name,), set_)
        if nx and not done and (yield from tagging.bury(cache, name)):
            done = yield cache.write((name,), set_)
        return bool(done)
    if nx:
        return not (yield from is_there(cache, name))
    return bool((yield cache.write((name,), methodcaller("delete", name))))


def delete(cache: CacheBackend, key: Any, version: Any = None) -> Steps[bool]:
    """Delete ``key``. False if it was missing."""
    name = cache.storage_key(key, version)
    return bool((yield cache.write((name,), methodcaller("delete", name))))


def has_key(cache: CacheBackend, key: Any, version: Any = None) -> Steps[bool]:
    """Say whether ``key`` exists. Its value is not looked at."""
    name = cache.storage_key(key, version)
    return (yield from is_there(cache, name))


def is_there(cache: CacheBackend, name: bytes) -> Steps[bool]:
    """Say whether there is anything at ``name`` but a dead entry or a lease."""
    if not (yield lambda client: client.exists(name)):
        return False
    return (yield from tagging.dead(cache, name)) is None


def get_many(cache: CacheBackend, keys: Iterable[Any], version: Any = None) -> Steps[dict]:
    """Return a dict of the values found; a missing key is missing from it. One MGET."""
    keys = list(keys)
    if not keys:
        return {}
    names = cache.storage_keys(keys, version)
    copied = cache.fetch_many(names)
    if copied is not None:
        replies = yield from copied
    else:
        replies = yield lambda client: _get_all(client, names)
    wrapped: list[tuple[bytes, bytes]] = []
    values = cache.codec.decode_many(keys, names, replies, wrapped)
    if wrapped:
        opened = yield from tagging.unwrap_many(cache, wrapped)
        values |= {
            key: opened[name] for key, name in zip(keys, names, strict=True) if name in opened
        }
    return values


def set_many(
    cache: CacheBackend,
    data: Mapping[Any, Any],
    timeout: Any = DEFAULT_TIMEOUT,
    version: Any = None,
    tags: Iterable[Any] = (),
) -> Steps[list]:
    """Set all of ``data``, for ``timeout`` seconds, in one round trip, all or none. Returns [].

    With ``tags`` it is one round trip more, for their versions.
    """
    if not data:
        return []
    names = cache.storage_keys(data, version)
    values = cache.codec.encode_many(data.values(), names)
    ttl_ms = cache.ttl_ms(timeout)
    if tags or cache.prefixes is not None:
        heads = yield from tagging.heads(cache, tags, ttl_ms, names)
        values = [head + value for head, value in zip(heads, values, strict=True)]
    if ttl_ms == 0:
        yield cache.write(names, methodcaller("delete", *names))
    else:
        pairs = list(zip(names, values, strict=True))
        yield cache.write(names, lambda client: _set_all(client, pairs, ttl_ms))
    return []


def _get_all(client: Any, names: list[bytes]) -> Any:
    if isinstance(client, ByteCommands):
        return client.fetch_many(names)
    return client.mget(names)


def _set_all(client: Any, pairs: list[tuple[bytes, bytes]], ttl_ms: int | None) -> Any:
    if isinstance(client, ByteCommands):
        return client.store_many(pairs, ttl_ms or 0)
    pipeline = client.pipeline(transaction=True)
    for name, value in pairs:
        pipeline.set(name, value, px=ttl_ms)
    return pipeline.execute()


def delete_many(cache: CacheBackend, keys: Iterable[Any], version: Any = None) -> Steps[None]:
    """Delete ``keys`` in one round trip; missing ones are no error. Returns None."""
    keys = list(keys)
    if keys:
        names = cache.storage_keys(keys, version)
        yield cache.write(names, methodcaller("delete", *names))


def touch(
    cache: CacheBackend, key: Any, timeout: Any = DEFAULT_TIMEOUT, version: Any = None
) -> Steps[bool]:
    """Give ``key`` a new timeout in seconds, or none for None. False for a missing key."""
    name, ttl_ms = cache.storage_key(key, version), cache.ttl_ms(timeout)
    if ttl_ms is not None:
        yield from tagging.follow(cache, name, "pexpire", ttl_ms)
        return bool((yield cache.write((name,), methodcaller("pexpire", name, ttl_ms))))

    def persist(client: Any) -> Any:
        # PERSIST alone answers 0 for a key that has no deadline to lose.
        return client.pipeline(transaction=True).exists(name).persist(name).execute()

    yield from tagging.follow(cache, name, "persist")
    exists, _ = yield cache.write((name,), persist)
    return bool(exists)


def incr(
    cache: CacheBackend,
    key: Any,
    delta: Any = 1,
    version: Any = None,
    ignore_key_check: bool = False,
) -> Steps[Any]:
    """Add ``delta`` to the number at ``key``, atomically, keeping its timeout. Returns the sum.

    A missing key raises ValueError; with ``ignore_key_check`` it counts from zero, with no
    timeout. What is not a number raises TypeError. int of any size and float alike.
    """
    name = cache.storage_key(key, version)
    if type(delta) is int:
        try:
            # What a key has by its prefixes takes Python as well.
            creates = ignore_key_check and not prefixes.tags_of(cache, name)
            total = yield from _change(cache, INCR, [name], [delta, int(creates)])
        except ResponseError:
            pass  # no integer of 64 bits is there, or will be: it takes Python's arithmetic
        else:
            if total is not None:
                return int(total)
            if not ignore_key_check:
                raise ValueError(f"Key {key!r} not found")
    for _ in range(ATTEMPTS_MAX):
        raw = yield lambda client: client.get(name)
        value = MISSING if raw is None else (yield from tagging.read(cache, raw, name))
        if value is MISSING:
            if not ignore_key_check:
                raise ValueError(f"Key {key!r} not found")
            total = delta
            if raw is not None:
                yield from run_script(BURY, [name], [raw])  # dead, or a lease: no value
            created = cache.codec.encode(delta, name)
            created = (yield from tagging.heads(cache, (), None, (name,)))[0] + created
            done = yield cache.write((name,), methodcaller("set", name, created, nx=True))
        else:
            total = value + delta
            changed = tagging.rewrap(raw, cache.codec.encode(total, name))
            done = yield from _change(cache, REPLACE, [name], [raw, changed])
        if done:
            return total
    raise ContentionError(f"Key {key!r} changed at each of {ATTEMPTS_MAX} attempts to add to it")


def _change(
    cache: CacheBackend, script: Script, names: list[bytes], arguments: list[Any]
) -> Steps[Any]:
    """Run a script that changes ``names``."""
    return (yield from run_script(script, names, arguments, partial(cache.write, names)))


def decr(cache: CacheBackend, key: Any, delta: Any = 1, version: Any = None) -> Steps[Any]:
    """Subtract ``delta`` from the number at ``key``. See incr."""
    return (yield from incr(cache, key, -delta, version))


def incr_version(cache: CacheBackend, key: Any, delta: int = 1, version: Any = None) -> Steps[int]:
    """Move ``key`` to version + ``delta``, atomically, with its timeout. Returns that version.

    A missing key raises ValueError. The value is not loaded: its signature is made anew.
    """
    if version is None:
        version = cache.version
    plain_key = key.original_key() if isinstance(key, CacheKey) else key
    name = cache.storage_key(key, version)
    new_name = cache.storage_key(plain_key, version + delta)
    for _ in range(ATTEMPTS_MAX):
        raw = yield lambda client: client.get(name)
        moved = None if raw is None else (yield from tagging.rebind(cache, raw, name, new_name))
        if moved is None:
            raise ValueError(f"Key {key!r} not found")
        if (yield from _change(cache, MOVE, [name, new_name], [raw, moved])):
            return int(version + delta)
    raise ContentionError(f"Key {key!r} changed at each of {ATTEMPTS_MAX} attempts to move it")


def decr_version(cache: CacheBackend, key: Any, delta: int = 1, version: Any = None) -> Steps[int]:
    """Move ``key`` to version - ``delta``. See incr_version."""
    return (yield from incr_version(cache, key, -delta, version))


def ttl(cache: CacheBackend, key: Any, version: Any = None) -> Steps[int | None]:
    """Return the seconds that ``key`` has left; None if it does not expire, 0 if it is missing."""
    name = cache.storage_key(key, version)
    return _left((yield lambda client: client.ttl(name)))


def pttl(cache: CacheBackend, key: Any, version: Any = None) -> Steps[int | None]:
    """Return the milliseconds that ``key`` has left; None if it does not expire, 0 if missing."""
    name = cache.storage_key(key, version)
    return _left((yield lambda client: client.pttl(name)))


def _left(reply: int) -> int | None:
    return None if reply == -1 else max(reply, 0)


def persist(cache: CacheBackend, key: Any, version: Any = None) -> Steps[bool]:
    """Take the timeout from ``key``. False if it had none, or is missing."""
    name = cache.storage_key(key, version)
    yield from tagging.follow(cache, name, "persist")
    return bool((yield cache.write((name,), methodcaller("persist", name))))


def expire(cache: CacheBackend, key: Any, timeout: Any, version: Any = None) -> Steps[bool]:
    """Let ``key`` expire in ``timeout`` seconds (or a timedelta). False for a missing key."""
    if isinstance(timeout, datetime.timedelta):
        timeout = timeout.total_seconds()
    return (yield from touch(cache, key, timeout, version))


def pexpire(cache: CacheBackend, key: Any, timeout: Any, version: Any = None) -> Steps[bool]:
    """Let ``key`` expire in ``timeout`` milliseconds (or a timedelta). False for a missing key."""
    if timeout is None or timeout is DEFAULT_TIMEOUT:
        return (yield from touch(cache, key, timeout, version))
    name = cache.storage_key(key, version)
    yield from tagging.follow(cache, name, "pexpire", timeout)
    return bool((yield cache.write((name,), methodcaller("pexpire", name, timeout))))


def expire_at(cache: CacheBackend, key: Any, when: Any, version: Any = None) -> Steps[bool]:
    """Let ``key`` expire at ``when``, Unix seconds or a datetime. False for a missing key."""
    name = cache.storage_key(key, version)
    yield from tagging.follow(cache, name, "expireat", when)
    return bool((yield cache.write((name,), methodcaller("expireat", name, when))))


def pexpire_at(cache: CacheBackend, key: Any, when: Any, version: Any = None) -> Steps[bool]:
    """Let ``key`` expire at ``when``, Unix milliseconds or a datetime. False for a missing key."""
    name = cache.storage_key(key, version)
    yield from tagging.follow(cache, name, "pexpireat", when)
    return bool((yield cache.write((name,), methodcaller("pexpireat", name, when))))


def scan(cache: CacheBackend, cursor: int, pattern: str, count: int) -> Steps[tuple[int, list]]:
    """One SCAN: the next cursor, 0 at the end, and the stored keys that match ``pattern``."""
    cursor, found = yield lambda client: client.scan(cursor, match=pattern, count=count)
    return int(cursor), found


def keys(
    cache: CacheBackend, search: str = "*", version: Any = None, itersize: int | None = None
) -> Steps[list[str]]:
    """Return the keys of one version that match the glob ``search``, each once, in no order.

    By SCAN of ``itersize`` keys a round trip, never KEYS; iter_keys() holds fewer at a time.
    """
    pattern, found, cursor = cache.search_pattern(search, version), {}, 0
    while True:
        cursor, names = yield from scan(cache, cursor, pattern, itersize or cache.scan_count)
        found.update(dict.fromkeys(names))
        if not cursor:
            return [cache.reverse_key(name, version) for name in found]


def delete_pattern(
    cache: CacheBackend,
    pattern: str,
    version: Any = None,
    prefix: str | None = None,
    itersize: int | None = None,
) -> Steps[int]:
    """Delete the keys of one version that match the glob ``pattern``. Returns how many.

    In batches of about ``itersize`` keys, each one SCAN and one UNLINK.
    """
    stored = cache.search_pattern(pattern, version, prefix)
    steps = _unlink_matching(cache, stored, itersize or cache.scan_count, None)
    if prefix is None or prefix == cache.key_prefix:
        return (yield from steps)
    return (yield from announced_to(cache, prefix, steps))


def invalidate_prefix(cache: CacheBackend, prefix: str, version: Any = None) -> Steps[int]:
    """Make the keys of one version that begin with ``prefix`` misses; "" is all of it.

    A prefix that OPTIONS["PREFIXES"] declares costs one command, and gives True. Any other is a
    walk that deletes in batches, and gives how many keys those were. A value that is being computed
    for such a key is refused when it comes. 0 where the server did not answer.
    """
    names = prefix_keys(cache, prefix, version)
    if names:
        yield cache.write(names, methodcaller("delete", *names))
        return True
    return (yield from delete_pattern(cache, f"{escape_glob(prefix)}*", version))


def prefix_keys(cache: CacheBackend, prefix: str = "", version: Any = None) -> list[bytes]:
    """Return the server's keys that end all below ``prefix``: one if it is declared, else none."""
    if cache.prefixes is None or not cache.prefixes.is_declared(prefix):
        return []
    tag = prefixes.tag_of(prefix, cache.version if version is None else version)
    return [tagging.version_key(cache, tag)]


def invalidate_version(cache: CacheBackend, version: Any = None) -> Steps[int]:
    """Make all keys of a version misses, the alias's own unless given. See invalidate_prefix()."""
    return (yield from invalidate_prefix(cache, "", version))


def clear(cache: CacheBackend) -> Steps[bool]:
    """Delete all keys of this alias's prefix, whatever their version, and no others.

    In bounded batches; what is set meanwhile may stay. Returns True.
    """
    shape = cache.key_shape()
    yield from _unlink_matching(cache, shape.pattern(), cache.scan_count, shape.owned())
    return True


def _unlink_matching(cache: CacheBackend, pattern: str, count: int, is_owned: Any) -> Steps[int]:
    deleted, cursor = 0, 0
    # Of keys that the server evicted there may be copies, so this does not wait for names.
    yield from announce_prefix(cache, encode_key(literal_head(pattern)))
    while True:
        cursor, names = yield from scan(cache, cursor, pattern, count)
        names = [name for name in names if is_owned is None or is_owned(name)]
        if names:
            deleted += yield cache.write(names, methodcaller("unlink", *names))
        if not cursor:
            return deleted
