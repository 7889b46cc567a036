"""Tags: many entries declared dead by one small write, however many they are.

Each tag has a version, a random token at a key of its own. A tagged entry carries the versions
that its tags had when its value was begun, and a reader compares: an entry with an older version,
or whose tag has none any more, is a miss. So ``invalidate_tags`` is one DEL of the tags' versions,
nothing has to know which entries a tag has, and a tag that the server evicted or lost kills its
entries instead of reviving old ones (a counter that begins anew would).

A tag's version lives as long as its longest entry at least, and is deleted by the same announced
write as any key: near caches, where copies of entries and of versions stand side by side, hear of
it as of any other key.

Tags belong to the alias, not to a cache version: version numbers move keys, not meanings.

Left out on purpose: a list of the keys of a tag. It would have to be exact under eviction.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from math import inf
from typing import TYPE_CHECKING, Any, Final

from django.core.cache.backends.base import DEFAULT_TIMEOUT
from redis.exceptions import ResponseError

from cacheapp.cache import entries, prefixes
from cacheapp.cache.keys import encode_key
from cacheapp.cache.leases import BURY
from cacheapp.cache.serializers import MISSING
from cacheapp.cache.steps import Steps, run_script
from cacheapp.clients.bytelevel import ByteCommands

if TYPE_CHECKING:
    from cacheapp.cache.backend import CacheBackend

#: The cache version under which the versions of tags stand: an integer, since key functions may
#: reckon with it and ``clear()`` finds it, and none that anybody uses.
TAG_VERSION: Final = -7461
# What the names of those begin with that a key has by its prefixes.
_OWN: Final = prefixes.MARK.encode()
#: Characters of a tag at most.
TAG_SIZE_MAX: Final = 250


def tag_names(tags: Iterable[Any], most: float = entries.TAGS_MAX) -> list[bytes]:
    """Return the tags as an entry carries them, each once. Raises TypeError and ValueError."""
    if isinstance(tags, (str, bytes)):
        raise TypeError(f"tags must be a list of tags, not the text {tags!r}: write [{tags!r}]")
    names = list(dict.fromkeys(str(tag) for tag in tags))
    if len(names) > most:
        raise ValueError(
            f"An entry has {len(names)} tags, and at most {most} are allowed, since "
            "every read compares all of them. Tag it by what is changed, not by what it shows."
        )
    for name in names:
        if not name or len(name) > TAG_SIZE_MAX or name[0] == prefixes.MARK:
            raise ValueError(
                f"A tag has 1 to {TAG_SIZE_MAX} characters, {name[:20]!r} cannot be one"
            )
    return [encode_key(name) for name in names]


def version_key(cache: CacheBackend, name: bytes) -> bytes:
    """Return the server's key of a tag's version."""
    return encode_key(str(cache.make_key(name.decode(), TAG_VERSION)))


def version_keys(cache: CacheBackend, tags: Iterable[Any]) -> list[bytes]:
    """Return the server's keys of the versions of ``tags``."""
    return [version_key(cache, name) for name in tag_names(tags, inf)]


def invalidate_tags(cache: CacheBackend, tags: Iterable[Any]) -> Steps[bool]:
    """Make every entry with one of ``tags`` a miss, at once and in all processes. Returns True.

    False says that the server did not answer and the alias degrades: nothing was invalidated. One
    round trip, whatever the number of entries. A value whose computing began before is not
    served afterwards, however late it is stored.
    """
    keys = version_keys(cache, tags)
    if keys:
        yield cache.write(keys, lambda client: client.delete(*keys))
    return True


def versions(cache: CacheBackend, names: Sequence[bytes], life_ms: int | None) -> Steps[list]:
    """Return the tags with their versions, new ones for tags that have none. One round trip.

    They live for ``life_ms`` milliseconds at least; None is for ever.
    """
    if not names:
        return []
    keys = [version_key(cache, name) for name in names]
    token = entries.new_token()

    def ask(client: Any) -> Any:
        pipeline = client.pipeline(transaction=True)
        for key in keys:
            pipeline.set(key, token, px=life_ms, nx=True)
            if life_ms is None:
                pipeline.persist(key)
            else:
                pipeline.pexpire(key, life_ms, gt=True)
            pipeline.get(key)
        return pipeline.execute()

    replies = yield ask
    tokens = replies[2::3]
    if cache.near is not None:
        # The server may have lost a version and given another, which is no write to be told of.
        cache.near.correct(keys, tokens)
    return list(zip(names, tokens, strict=True))


def set_tagged(
    cache: CacheBackend,
    key: Any,
    value: Any,
    timeout: Any = DEFAULT_TIMEOUT,
    version: Any = None,
    tags: Iterable[Any] = (),
    nx: bool = False,
    xx: bool = False,
) -> Steps[bool]:
    """Store ``value`` at ``key`` with ``tags``. Two round trips: their versions, and the value."""
    from cacheapp.cache import operations

    name = cache.storage_key(key, version)
    inner, ttl_ms = cache.codec.encode(value, name), cache.ttl_ms(timeout)
    raw = (yield from heads(cache, tags, ttl_ms, (name,)))[0] + inner
    return (yield from operations.store(cache, name, raw, ttl_ms, nx, xx))


def heads(
    cache: CacheBackend, tags: Iterable[Any], ttl_ms: int | None, names: Sequence[bytes]
) -> Steps[list[bytes]]:
    """Return what to put before values of ``ttl_ms`` at ``names``, nothing for no tags.

    Their tags are ``tags``, and those that each key has by its prefixes. One round trip.
    """
    given = tag_names(tags)
    if ttl_ms == 0:
        return [b""] * len(names)
    if cache.prefixes is None:
        head = b""
        if given:
            head = entries.pack_head(0, 0.0, (yield from versions(cache, given, ttl_ms)))
        return [head] * len(names)
    each = [[*given, *prefixes.tags_of(cache, name)] for name in names]
    every = sorted({tag for found in each for tag in found})
    current = dict((yield from versions(cache, every, ttl_ms)))
    return [
        entries.pack_head(0, 0.0, [(tag, current[tag]) for tag in found]) if found else b""
        for found in each
    ]


def follow(cache: CacheBackend, name: bytes, method: str, *arguments: Any) -> Steps[None]:
    """Let the tags that a key has by its prefixes live as long as its new deadline says.

    ``method`` is redis-py's, as for the key itself; it never shortens a tag's life.
    """
    keys = [version_key(cache, tag) for tag in prefixes.tags_of(cache, name)]
    options = {} if method == "persist" else {"gt": True}

    def ask(client: Any) -> Any:
        pipeline = client.pipeline(transaction=False)
        for key in keys:
            getattr(pipeline, method)(key, *arguments, **options)
        return pipeline.execute()

    if keys:
        yield ask


# Reading


def read_versions(cache: CacheBackend, names: Sequence[bytes]) -> Steps[list[bytes | None]]:
    """Return the versions of tags, None for those that have none: from near copies or by MGET."""
    if not names:
        return []
    keys = [version_key(cache, name) for name in names]
    copied = cache.fetch_many(keys)
    if copied is not None:
        return (yield from copied)
    return list((yield lambda client: get_all(client, keys)))


def get_all(client: Any, keys: list[bytes]) -> Any:
    """MGET."""
    return client.fetch_many(keys) if isinstance(client, ByteCommands) else client.mget(keys)


def unwrap(cache: CacheBackend, raw: bytes, name: bytes, default: Any) -> Steps[Any]:
    """Return the value of ``raw``, found at ``name`` with a first byte in WRAPPED, or ``default``.

    A value in its stale time is a miss here; ``get_or_set`` alone serves such.
    """
    kept = entries.unpack(raw) if raw[:1] == entries.VALUE else None
    if kept is None or kept.stale_ms:
        return (yield from unwrap_many(cache, [(name, raw)])).get(name, default)
    # The usual case, written out: a value that only has tags.
    current = yield from read_versions(cache, [tag for tag, _ in kept.tags])
    for (_, token), version in zip(kept.tags, current, strict=True):
        if token != version:
            return default
    return cache.codec.decode(kept.inner, name, default)


def unwrap_many(
    cache: CacheBackend, found: Iterable[tuple[bytes, bytes]]
) -> Steps[dict[bytes, Any]]:
    """Return the values that live among ``found``, pairs of a key and its wrapped bytes."""
    wrapped: dict[bytes, tuple[entries.Wrapped, int]] = {}
    plain: dict[bytes, tuple[bytes, int]] = {}
    timed: list[bytes] = []
    for name, raw in found:
        opened = _opened(raw)
        if opened is None:
            continue
        kept, extra_ms = opened
        if isinstance(kept, entries.Wrapped):
            wrapped[name] = (kept, extra_ms)
            # A good copy is one of a fresh value.
            is_copied = cache.near is not None and cache.near.fresh_ms(name, raw) > 0
            if (kept.stale_ms or extra_ms) and not is_copied:
                timed.append(name)
        else:
            plain[name] = (kept, extra_ms)
            if extra_ms:
                timed.append(name)
    names = sorted({tag for kept, _ in wrapped.values() for tag, _ in kept.tags})
    current = dict(zip(names, (yield from read_versions(cache, names)), strict=True))
    left: dict[bytes, int] = {}
    if timed:
        left = dict(zip(timed, (yield lambda client: _pttls(client, timed)), strict=True))
    values = {}
    for name, (kept, extra_ms) in wrapped.items():
        if any(current[tag] != token for tag, token in kept.tags):
            continue
        if name in left and 0 <= left[name] - extra_ms <= kept.stale_ms:
            continue
        if left.get(name, 0) != -2:
            values[name] = cache.codec.decode(kept.inner, name, MISSING)
    for name, (inner, extra_ms) in plain.items():
        if name not in left or left[name] > extra_ms:
            values[name] = cache.codec.decode(inner, name, MISSING)
    return {name: value for name, value in values.items() if value is not MISSING}


def _opened(raw: bytes) -> tuple[entries.Wrapped | bytes, int] | None:
    """What is to be read of wrapped bytes, and how much of the key's PTTL is not its own."""
    extra_ms = 0
    if raw[:1] == entries.FILL:
        lease = entries.unpack_lease(raw)
        if lease is None or not lease.held:
            return None
        raw, extra_ms = lease.held, lease.extra_ms
        if raw[:1] != entries.VALUE:
            return raw, extra_ms
    if raw[:1] != entries.VALUE:
        return None
    kept = entries.unpack(raw)
    return None if kept is None else (kept, extra_ms)


def _pttls(client: Any, names: Sequence[bytes]) -> Any:
    pipeline = client.pipeline(transaction=False)
    for name in names:
        pipeline.pttl(name)
    return pipeline.execute()


def read(cache: CacheBackend, raw: bytes, name: bytes) -> Steps[Any]:
    """Return the value of ``raw``, wrapped or not, found at ``name``; MISSING for a miss."""
    if raw[:1] in (entries.VALUE, entries.FILL, entries.WRITE):
        return (yield from unwrap(cache, raw, name, MISSING))
    return cache.codec.decode(raw, name, MISSING)


def rewrap(raw: bytes, inner: bytes) -> bytes:
    """Return ``inner`` with what ``raw`` had around its value. A lease around it ends."""
    opened = _opened(raw)
    kept = opened[0] if opened else raw
    return replace(kept, inner=inner).pack() if isinstance(kept, entries.Wrapped) else inner


def rebind(cache: CacheBackend, raw: bytes, name: bytes, new_name: bytes) -> Steps[bytes | None]:
    """Return ``raw``, found at ``name``, as it is to be stored at ``new_name``; None for a miss."""
    kept: entries.Wrapped | bytes = raw
    if raw[:1] in (entries.VALUE, entries.FILL, entries.WRITE):
        if (yield from unwrap(cache, raw, name, MISSING)) is MISSING:
            return None
        opened = _opened(raw)
        assert opened is not None
        kept = opened[0]
    inner = kept.inner if isinstance(kept, entries.Wrapped) else kept
    moved = cache.codec.rebind(inner, name, new_name)
    if moved is None:
        return None
    tags = prefixes.tags_of(cache, new_name)
    if isinstance(kept, entries.Wrapped):
        own = [(tag, token) for tag, token in kept.tags if not tag.startswith(_OWN)]
    elif tags:
        kept, own = entries.Wrapped(inner), []
    else:
        return moved
    if tags:
        ttl_ms = yield lambda client: client.pttl(name)
        own += yield from versions(cache, tags, ttl_ms if ttl_ms > 0 else None)
    return replace(kept, inner=moved, tags=own).pack()


def dead(cache: CacheBackend, name: bytes) -> Steps[bytes | None]:
    """Return what is at ``name`` if there is no value to read in it; else None.

    What asks whether a key exists has to see a dead entry, or a lease on nothing, as a missing
    one. None for a plain value, which costs one byte to look at, and for a missing key.
    """
    try:
        head = yield lambda client: client.getrange(name, 0, 0)
    except ResponseError:
        return None  # a set, a hash: no value of ours
    if head not in (entries.VALUE, entries.FILL, entries.WRITE):
        return None
    raw = yield lambda client: client.get(name)
    if raw is None or (yield from read(cache, raw, name)) is not MISSING:
        return None
    return raw


def bury(cache: CacheBackend, name: bytes) -> Steps[bool]:
    """Delete what is at ``name`` if it is dead. Says whether it was deleted."""
    raw = yield from dead(cache, name)
    return raw is not None and bool((yield from run_script(BURY, [name], [raw])))
