"""django-redis's operations on sets, hashes and sorted sets, as steps (see ``steps``).

Names, arguments and results are django-redis's. Members and the values of hashes go through the
alias's serializer; fields of hashes and scores do not. A member that cannot be read (forged, or
written by something else) is left out of the result: counted and logged, never loaded.

A missing key reads as an empty structure. A key of another type raises redis.ResponseError.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from cacheapp.cache.serializers import MEMBER, MISSING
from cacheapp.cache.steps import Steps

if TYPE_CHECKING:
    from cacheapp.cache.backend import CacheBackend


def _encoded(cache: CacheBackend, values: Iterable[Any]) -> list[bytes]:
    return [cache.codec.encode(value, MEMBER) for value in values]


def _decoded(cache: CacheBackend, members: Iterable[bytes] | None) -> list[Any]:
    values = (cache.codec.decode(member, MEMBER, MISSING) for member in members or ())
    return [value for value in values if value is not MISSING]


def _scored(cache: CacheBackend, pairs: Iterable[Any]) -> list[tuple[Any, float]]:
    values = ((cache.codec.decode(member, MEMBER, MISSING), score) for member, score in pairs)
    return [(value, score) for value, score in values if value is not MISSING]


def _names(cache: CacheBackend, keys: Iterable[Any], version: Any) -> list[bytes]:
    return [cache.storage_key(key, version) for key in keys]


def sadd(cache: CacheBackend, key: Any, *values: Any, version: Any = None) -> Steps[int]:
    """Add ``values`` to the set at ``key``. Returns how many were new."""
    name, members = cache.storage_key(key, version), _encoded(cache, values)
    return int((yield lambda client: client.sadd(name, *members)))


def scard(cache: CacheBackend, key: Any, version: Any = None) -> Steps[int]:
    """Return how many members the set at ``key`` has."""
    name = cache.storage_key(key, version)
    return int((yield lambda client: client.scard(name)))


def sdiff(cache: CacheBackend, *keys: Any, version: Any = None) -> Steps[set]:
    """Return the members of the first set that are in none of the others."""
    names = _names(cache, keys, version)
    return set(_decoded(cache, (yield lambda client: client.sdiff(names))))


def sinter(cache: CacheBackend, *keys: Any, version: Any = None) -> Steps[set]:
    """Return the members that are in all of the sets."""
    names = _names(cache, keys, version)
    return set(_decoded(cache, (yield lambda client: client.sinter(names))))


def sunion(cache: CacheBackend, *keys: Any, version: Any = None) -> Steps[set]:
    """Return the members that are in any of the sets."""
    names = _names(cache, keys, version)
    return set(_decoded(cache, (yield lambda client: client.sunion(names))))


def sdiffstore(
    cache: CacheBackend, dest: Any, *keys: Any, version_dest: Any = None, version_keys: Any = None
) -> Steps[int]:
    """Store the difference of the sets at ``dest``. Returns its size."""
    name, names = cache.storage_key(dest, version_dest), _names(cache, keys, version_keys)
    # The destination may have held a string, of which there are copies.
    return int((yield cache.write((name,), lambda client: client.sdiffstore(name, names))))


def sinterstore(cache: CacheBackend, dest: Any, *keys: Any, version: Any = None) -> Steps[int]:
    """Store the intersection of the sets at ``dest``. Returns its size."""
    name, names = cache.storage_key(dest, version), _names(cache, keys, version)
    # The destination may have held a string, of which there are copies.
    return int((yield cache.write((name,), lambda client: client.sinterstore(name, names))))


def sunionstore(
    cache: CacheBackend, destination: Any, *keys: Any, version: Any = None
) -> Steps[int]:
    """Store the union of the sets at ``destination``. Returns its size."""
    name, names = cache.storage_key(destination, version), _names(cache, keys, version)
    # The destination may have held a string, of which there are copies.
    return int((yield cache.write((name,), lambda client: client.sunionstore(name, names))))


def sismember(cache: CacheBackend, key: Any, member: Any, version: Any = None) -> Steps[bool]:
    """Say whether ``member`` is in the set at ``key``."""
    name, encoded = cache.storage_key(key, version), cache.codec.encode(member, MEMBER)
    return bool((yield lambda client: client.sismember(name, encoded)))


def smismember(
    cache: CacheBackend, key: Any, *members: Any, version: Any = None
) -> Steps[list[bool]]:
    """Say for each of ``members`` whether it is in the set at ``key``."""
    name, encoded = cache.storage_key(key, version), _encoded(cache, members)
    return [bool(reply) for reply in (yield lambda client: client.smismember(name, encoded))]


def smembers(cache: CacheBackend, key: Any, version: Any = None) -> Steps[set]:
    """Return all members of the set at ``key``."""
    name = cache.storage_key(key, version)
    return set(_decoded(cache, (yield lambda client: client.smembers(name))))


def smove(
    cache: CacheBackend, source: Any, destination: Any, member: Any, version: Any = None
) -> Steps[bool]:
    """Move ``member`` between two sets. False if it is not in ``source``."""
    names = _names(cache, (source, destination), version)
    encoded = cache.codec.encode(member, MEMBER)
    return bool((yield lambda client: client.smove(*names, encoded)))


def spop(
    cache: CacheBackend, key: Any, count: int | None = None, version: Any = None
) -> Steps[Any]:
    """Remove and return a random member, or None; with ``count`` a set of up to that many."""
    name = cache.storage_key(key, version)
    reply = yield lambda client: client.spop(name, count)
    if count is None:
        return None if reply is None else cache.codec.decode(reply, MEMBER)
    return set(_decoded(cache, reply))


def srandmember(
    cache: CacheBackend, key: Any, count: int | None = None, version: Any = None
) -> Steps[Any]:
    """Return a random member, or None; with ``count`` a list (with repeats if negative)."""
    name = cache.storage_key(key, version)
    reply = yield lambda client: client.srandmember(name, count)
    if count is None:
        return None if reply is None else cache.codec.decode(reply, MEMBER)
    return _decoded(cache, reply)


def srem(cache: CacheBackend, key: Any, *members: Any, version: Any = None) -> Steps[int]:
    """Remove ``members`` from the set at ``key``. Returns how many were in it."""
    name, encoded = cache.storage_key(key, version), _encoded(cache, members)
    return int((yield lambda client: client.srem(name, *encoded)))


def sscan_page(
    cache: CacheBackend, key: Any, cursor: int, match: str | None, count: int | None, version: Any
) -> Steps[tuple[int, list]]:
    """One SSCAN: the next cursor, 0 at the end, and members whose text matches ``match``.

    Raises ValueError for ``match`` with a serializer or compressor under which a str is not
    stored as text.
    """
    if match and not cache.codec.has_inline_str:
        raise ValueError("Using match with compression, or with this serializer, is not supported")
    name = cache.storage_key(key, version)
    pattern = f"s{match}" if match else None
    cursor, members = yield lambda client: client.sscan(name, cursor, match=pattern, count=count)
    return int(cursor), _decoded(cache, members)


def sscan(
    cache: CacheBackend,
    key: Any,
    match: str | None = None,
    count: int | None = 10,
    version: Any = None,
) -> Steps[set]:
    """Return some members of the set at ``key``, about ``count``: those of the first SSCAN."""
    _, members = yield from sscan_page(cache, key, 0, match, count, version)
    return set(members)


def hset(
    cache: CacheBackend,
    key: Any,
    field: Any = None,
    value: Any = None,
    mapping: Mapping[Any, Any] | None = None,
    version: Any = None,
) -> Steps[int]:
    """Set ``field``, and those of ``mapping``, of the hash at ``key``. Returns how many are new."""
    name = cache.storage_key(key, version)
    encoded = {each: cache.codec.encode(item, MEMBER) for each, item in (mapping or {}).items()}
    if field is not None:
        encoded[field] = cache.codec.encode(value, MEMBER)
    return int((yield lambda client: client.hset(name, mapping=encoded)))


def hget(cache: CacheBackend, key: Any, field: Any, version: Any = None) -> Steps[Any]:
    """Return the value of ``field`` of the hash at ``key``, or None."""
    name = cache.storage_key(key, version)
    reply = yield lambda client: client.hget(name, field)
    return None if reply is None else cache.codec.decode(reply, MEMBER)


def hgetall(cache: CacheBackend, key: Any, version: Any = None) -> Steps[dict]:
    """Return all fields, as str, and values of the hash at ``key``."""
    name = cache.storage_key(key, version)
    reply = yield lambda client: client.hgetall(name)
    values = {
        field.decode(): cache.codec.decode(item, MEMBER, MISSING) for field, item in reply.items()
    }
    return {field: value for field, value in values.items() if value is not MISSING}


def hdel(cache: CacheBackend, key: Any, *fields: Any, version: Any = None) -> Steps[int]:
    """Remove ``fields`` of the hash at ``key``. Returns how many there were."""
    name = cache.storage_key(key, version)
    return int((yield lambda client: client.hdel(name, *fields)))


def hlen(cache: CacheBackend, key: Any, version: Any = None) -> Steps[int]:
    """Return how many fields the hash at ``key`` has."""
    name = cache.storage_key(key, version)
    return int((yield lambda client: client.hlen(name)))


def hkeys(cache: CacheBackend, key: Any, version: Any = None) -> Steps[list[str]]:
    """Return the fields of the hash at ``key``, as str."""
    name = cache.storage_key(key, version)
    return [field.decode() for field in (yield lambda client: client.hkeys(name))]


def hexists(cache: CacheBackend, key: Any, field: Any, version: Any = None) -> Steps[bool]:
    """Say whether the hash at ``key`` has ``field``."""
    name = cache.storage_key(key, version)
    return bool((yield lambda client: client.hexists(name, field)))


def zadd(
    cache: CacheBackend, key: Any, mapping: Mapping[Any, float], version: Any = None, **flags: bool
) -> Steps[int | float | None]:
    """Set scores of members. ``flags`` are redis-py's: nx, xx, ch, incr, gt, lt.

    Returns how many members are new (with ``ch``: changed); with ``incr`` the new score, or None.
    """
    name = cache.storage_key(key, version)
    scores = {cache.codec.encode(member, MEMBER): score for member, score in mapping.items()}
    return (yield lambda client: client.zadd(name, scores, **flags))


def zcard(cache: CacheBackend, key: Any, version: Any = None) -> Steps[int]:
    """Return how many members the sorted set at ``key`` has."""
    name = cache.storage_key(key, version)
    return int((yield lambda client: client.zcard(name)))


def zcount(
    cache: CacheBackend, key: Any, min: float | str, max: float | str, version: Any = None
) -> Steps[int]:
    """Return how many members have a score from ``min`` to ``max`` ("(1" excludes the bound)."""
    name = cache.storage_key(key, version)
    return int((yield lambda client: client.zcount(name, min, max)))


def zincrby(
    cache: CacheBackend, key: Any, amount: float, value: Any, version: Any = None
) -> Steps[float]:
    """Add ``amount`` to the score of member ``value``, from 0 if it is new. Returns the score."""
    name, member = cache.storage_key(key, version), cache.codec.encode(value, MEMBER)
    return float((yield lambda client: client.zincrby(name, amount, member)))


def zpopmax(
    cache: CacheBackend, key: Any, count: int | None = None, version: Any = None
) -> Steps[Any]:
    """Remove and return the member with the highest score as (member, score), or None.

    With ``count``, a list of up to that many.
    """
    name = cache.storage_key(key, version)
    # Always with a count: without it RESP3 answers a flat pair, where RESP2 nests it.
    reply = yield lambda client: client.zpopmax(name, 1 if count is None else count)
    return _popped(_scored(cache, reply), count)


def zpopmin(
    cache: CacheBackend, key: Any, count: int | None = None, version: Any = None
) -> Steps[Any]:
    """Remove and return the member with the lowest score. See zpopmax."""
    name = cache.storage_key(key, version)
    reply = yield lambda client: client.zpopmin(name, 1 if count is None else count)
    return _popped(_scored(cache, reply), count)


def _popped(pairs: list[tuple[Any, float]], count: int | None) -> Any:
    if count is not None:
        return pairs
    return pairs[0] if pairs else None


def zrange(
    cache: CacheBackend,
    key: Any,
    start: int,
    end: int,
    desc: bool = False,
    withscores: bool = False,
    score_cast_func: Any = float,
    version: Any = None,
) -> Steps[list]:
    """Return the members from rank ``start`` to ``end``, with ``withscores`` as pairs."""
    name = cache.storage_key(key, version)
    reply = yield lambda client: client.zrange(
        name, start, end, desc=desc, withscores=withscores, score_cast_func=score_cast_func
    )
    return _scored(cache, reply) if withscores else _decoded(cache, reply)


def zrevrange(
    cache: CacheBackend,
    key: Any,
    start: int,
    end: int,
    withscores: bool = False,
    score_cast_func: Any = float,
    version: Any = None,
) -> Steps[list]:
    """Return the members from rank ``start`` to ``end``, highest score first."""
    return (
        yield from zrange(
            cache, key, start, end, True, withscores, score_cast_func, version=version
        )
    )


def zrangebyscore(
    cache: CacheBackend,
    key: Any,
    min: float | str,
    max: float | str,
    start: int | None = None,
    num: int | None = None,
    withscores: bool = False,
    score_cast_func: Any = float,
    version: Any = None,
) -> Steps[list]:
    """Return the members with scores from ``min`` to ``max``, ``num`` of them from ``start``."""
    name = cache.storage_key(key, version)
    options = {"start": start, "num": num, "withscores": withscores}
    reply = yield lambda client: client.zrangebyscore(
        name, min, max, score_cast_func=score_cast_func, **options
    )
    return _scored(cache, reply) if withscores else _decoded(cache, reply)


def zrevrangebyscore(
    cache: CacheBackend,
    key: Any,
    max: float | str,
    min: float | str,
    start: int | None = None,
    num: int | None = None,
    withscores: bool = False,
    score_cast_func: Any = float,
    version: Any = None,
) -> Steps[list]:
    """Return the members with scores from ``max`` down to ``min``. See zrangebyscore."""
    name = cache.storage_key(key, version)
    options = {"start": start, "num": num, "withscores": withscores}
    reply = yield lambda client: client.zrevrangebyscore(
        name, max, min, score_cast_func=score_cast_func, **options
    )
    return _scored(cache, reply) if withscores else _decoded(cache, reply)


def zrank(
    cache: CacheBackend, key: Any, value: Any, withscore: bool = False, version: Any = None
) -> Steps[Any]:
    """Return the rank of member ``value``, lowest score first, or None if it is not there."""
    name, member = cache.storage_key(key, version), cache.codec.encode(value, MEMBER)
    return (yield lambda client: client.zrank(name, member, withscore=withscore))


def zrem(cache: CacheBackend, key: Any, *values: Any, version: Any = None) -> Steps[int]:
    """Remove members from the sorted set at ``key``. Returns how many were in it."""
    name, members = cache.storage_key(key, version), _encoded(cache, values)
    return int((yield lambda client: client.zrem(name, *members)))


def zremrangebyscore(
    cache: CacheBackend, key: Any, min: float | str, max: float | str, version: Any = None
) -> Steps[int]:
    """Remove the members with scores from ``min`` to ``max``. Returns how many."""
    name = cache.storage_key(key, version)
    return int((yield lambda client: client.zremrangebyscore(name, min, max)))


def zscore(cache: CacheBackend, key: Any, value: Any, version: Any = None) -> Steps[float | None]:
    """Return the score of member ``value``, or None if it is not there."""
    name, member = cache.storage_key(key, version), cache.codec.encode(value, MEMBER)
    return (yield lambda client: client.zscore(name, member))
