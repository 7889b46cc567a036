"""Cache-aside done right: ``get_or_set`` computes a value once, in all threads and processes.

Who finds a key missing takes a *fill lease* at the key itself (see ``entries``) and computes.
Everybody else in the process waits for that one (``singleflight``), and one caller of every other
process looks at the key now and then, at growing, jittered intervals, until ``wait`` seconds are
over. The value is stored only where the lease still stands: whoever wrote, deleted or cleared the
key meanwhile has ended it, and the late value, made of older data, is refused.

A value may be kept ``stale_ttl`` seconds beyond its timeout. Then one caller computes anew and all
others get the stale value at once; if computing fails, so does that one. ``early`` lets one caller
recompute before the timeout, the likelier the nearer it is and the longer the value took (XFetch:
Vattani, Chierichetti, Lowenstein, "Optimal Probabilistic Cache Stampede Prevention", 2015).

Each wait is bounded: a lease by its TTL, if its holder dies; a caller by ``wait``, after which it
computes for itself and stores nothing. While the server does not answer and the alias degrades,
values are computed once a process and not kept.

Left out on purpose: recomputing in a thread of our own. Who knows which threads and connections a
site wants open? The one caller that recomputes pays for it.
"""

from __future__ import annotations

import logging
import math
import random
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from hashlib import sha1
from time import monotonic, perf_counter
from typing import TYPE_CHECKING, Any, Final

from django.core.cache.backends.base import DEFAULT_TIMEOUT

from cacheapp.cache import entries
from cacheapp.cache import tags as tagging
from cacheapp.cache.effects import DOWN, Ask, Compute, Course, Join, Pause, arun, run
from cacheapp.cache.leases import FILL_LEASED, GIVE_UP, TAKE
from cacheapp.cache.outage import SERVER_ERRORS
from cacheapp.cache.serializers import MISSING
from cacheapp.cache.singleflight import Flight, Outcome
from cacheapp.cache.steps import Steps, run_script

if TYPE_CHECKING:
    from cacheapp.cache.backend import CacheBackend

logger = logging.getLogger("cacheapp.cache")

#: Seconds that a lease lives, unless the call says otherwise: longer than a page takes, and so
#: long at most all others wait for a process that died while it computed.
LEASE_S: Final = 30.0
#: The first and the longest interval between two looks of a process that waits for another.
LOOK_MIN_S: Final = 0.005
LOOK_MAX_S: Final = 0.1


@dataclass(frozen=True, slots=True)
class Plan:
    """How a value is computed and kept: the arguments of get_or_set(), checked."""

    compute: Callable[[], Any]
    timeout: Any
    tags: Sequence[bytes]
    stale_ms: int
    early: float
    jitter: float
    lease_ms: int
    wait_s: float

    def ttl_ms(self, cache: CacheBackend, value: Any) -> int | None:
        """Return the milliseconds for which ``value`` is fresh: 0 not to be kept, None for ever."""
        timeout = self.timeout(value) if callable(self.timeout) else self.timeout
        ttl_ms = cache.ttl_ms(timeout)
        if not ttl_ms or not self.jitter:
            return ttl_ms
        return max(1, round(ttl_ms * (1 - self.jitter * random.random())))  # noqa: S311

    def is_early(self, found: Found) -> bool:
        """Whether this caller recomputes a value that is still fresh. See the module."""
        if not self.early or found.fresh_ms is None:
            return False
        chance = 1 - random.random()  # noqa: S311 - no secret
        return found.fresh_ms / 1000 <= found.cost_s * self.early * -math.log(chance)


@dataclass(frozen=True, slots=True)
class Found:
    """What a look at a key showed. ``fresh_ms`` is None for a value that does not expire."""

    value: Any = MISSING
    is_fresh: bool = False
    fresh_ms: int | None = None
    cost_s: float = 0.0
    is_leased: bool = False
    is_written: bool = False
    digest: bytes = b""


NOT_FOUND: Final = Found()
#: Nothing was seen, since the server does not answer.
UNSEEN: Final = Found()


def make_plan(
    default: Any,
    timeout: Any = DEFAULT_TIMEOUT,
    *,
    tags: Iterable[Any] = (),
    stale_ttl: float = 0,
    early: float = 0,
    jitter: float = 0,
    lease: float = LEASE_S,
    wait: float | None = None,
) -> Plan:
    """Return the plan with these arguments. Raises ValueError, naming the wrong one."""
    compute = default if callable(default) else lambda: default
    for name, number, least, most in (
        ("stale_ttl", stale_ttl, 0, math.inf),
        ("early", early, 0, math.inf),
        ("jitter", jitter, 0, 1),
        ("lease", lease, 0.001, math.inf),
        ("wait", 0 if wait is None else wait, 0, math.inf),
    ):
        if not (least <= number <= most and math.isfinite(number)):
            upper = "" if most == math.inf else f" and at most {most}"
            raise ValueError(f"{name} must be a finite number of at least {least}{upper}")
    return Plan(
        compute,
        timeout,
        tagging.tag_names(tags),
        round(stale_ttl * 1000),
        early,
        jitter,
        round(lease * 1000),
        lease if wait is None else wait,
    )


def look(cache: CacheBackend, name: bytes, plan: Plan) -> Steps[Found]:
    """Look at a key: its value and how fresh it is, and whether somebody is at work on it."""
    keys = [tagging.version_key(cache, tag) for tag in plan.tags]

    def ask(client: Any) -> Any:
        # No MULTI: a server without memory refuses to queue even what only reads.
        pipeline = client.pipeline(transaction=False).get(name).pttl(name)
        if keys:
            pipeline.mget(keys)
        return pipeline.execute()

    raw, ttl_ms, *read = yield ask
    if raw is None:
        return NOT_FOUND
    known = dict(zip(plan.tags, read[0], strict=True)) if read else {}
    digest = sha1(raw, usedforsecurity=False).hexdigest().encode()
    inner, is_leased = raw, False
    if raw[:1] == entries.WRITE:
        return Found(is_written=True, digest=digest)
    if raw[:1] == entries.FILL:
        lease = entries.unpack_lease(raw)
        if lease is None:
            return Found(digest=digest)
        is_leased, ttl_ms = ttl_ms > lease.floor_ms, ttl_ms - lease.extra_ms
        inner = lease.held if ttl_ms > 0 else b""
        if not inner:
            return Found(is_leased=is_leased, digest=digest)
    stale_ms, cost_s = 0, 0.0
    if inner[:1] == entries.VALUE:
        wrapped = entries.unpack(inner)
        if wrapped is None or not (yield from _holds(cache, wrapped, known)):
            return Found(is_leased=is_leased, digest=digest)
        inner, stale_ms, cost_s = wrapped.inner, wrapped.stale_ms, wrapped.cost_s
    value = cache.codec.decode(inner, name, MISSING)
    fresh_ms = None if ttl_ms < 0 else ttl_ms - stale_ms
    is_fresh = value is not MISSING and (fresh_ms is None or fresh_ms > 0)
    return Found(value, is_fresh, fresh_ms, cost_s, is_leased, digest=digest)


def _holds(
    cache: CacheBackend, wrapped: entries.Wrapped, known: Mapping[bytes, bytes | None]
) -> Steps[bool]:
    """Whether the tags of an entry still have the versions that it was begun with."""
    others = [tag for tag, _ in wrapped.tags if tag not in known]
    read = yield from tagging.read_versions(cache, others)
    current = {**known, **dict(zip(others, read, strict=True))}
    return all(current[tag] == token for tag, token in wrapped.tags)


def intervals() -> Iterator[float]:
    """Yield the seconds until each next look of somebody who waits, without end."""
    interval = LOOK_MIN_S
    while True:
        yield interval * (0.5 + random.random())  # noqa: S311 - so that waiters spread
        interval = min(interval * 1.5, LOOK_MAX_S)


def obtain(cache: CacheBackend, name: bytes, plan: Plan, found: Found | None) -> Course:
    """The course of one call: return the value at ``name``, computed if need be.

    ``found`` is what the caller knows already; None has it look first.
    """
    until = monotonic() + plan.wait_s
    if found is None:
        found = yield Ask(look(cache, name, plan), writes=False)
    while True:
        if found is DOWN:
            found = UNSEEN
        if found.is_fresh and (found.is_leased or not plan.is_early(found)):
            return found.value
        if found.is_written:
            # What the open transaction will commit is nobody's to know, and what the database
            # says until then is right until then: for this call, and not to be kept.
            return (yield Compute(plan.compute))
        flight, leads = cache.state.flights.join(name)
        if leads:
            try:
                return (yield from _lead(cache, name, plan, flight, found, until))
            finally:
                flight.finish()
        if found.value is not MISSING:
            return found.value
        left_s = until - monotonic()
        if flight.is_own() or left_s <= 0:
            return (yield Compute(plan.compute))
        outcome = yield Join(flight, left_s)
        if outcome.error is not None:
            raise outcome.error
        if outcome.inner is not None:
            value = cache.codec.decode(outcome.inner, name, MISSING)
            if value is not MISSING:
                return value
        found = yield Ask(look(cache, name, plan), writes=False)


def _lead(
    cache: CacheBackend, name: bytes, plan: Plan, flight: Flight, found: Found, until: float
) -> Course:
    """The course of the one caller of this process that deals with the server."""
    pauses = intervals()
    while True:
        if found.is_fresh and (found.is_leased or not plan.is_early(found)):
            return found.value
        if found.is_written:
            return (yield Compute(plan.compute))
        if found.is_leased:
            if found.value is not MISSING:
                return found.value
            if monotonic() >= until:
                return (yield Compute(plan.compute))
            yield Pause(next(pauses))
        else:
            token, taken = entries.new_token(), DOWN
            if found is not UNSEEN:
                keeps = int(found.value is not MISSING)
                taking = [found.digest, token, plan.lease_ms, keeps]
                taken = yield Ask(run_script(TAKE, [name], taking))
            if taken is DOWN:
                value = yield Compute(plan.compute)
                flight.finish(Outcome(inner=cache.codec.encode(value, name)))
                return value
            if taken:
                return (yield from _fill(cache, name, plan, flight, found, token))
        found = yield Ask(look(cache, name, plan), writes=False)
        if found is DOWN:
            found = UNSEEN


def _fill(
    cache: CacheBackend, name: bytes, plan: Plan, flight: Flight, found: Found, token: bytes
) -> Course:
    """The course of the one caller that has the lease: compute, store, and let the others have it.

    Followers of a tagged value look for themselves: a tag may have been invalidated meanwhile.
    """
    try:
        versions: Any = ()
        if plan.tags:
            # Before computing: what is invalidated from now on is not in what will be computed.
            versions = yield Ask(tagging.versions(cache, plan.tags, life_ms(cache, plan)))
        began = perf_counter()
        value = yield Compute(plan.compute)
        cost_s = perf_counter() - began
        inner = cache.codec.encode(value, name)
        ttl_ms = plan.ttl_ms(cache, value)
    except GeneratorExit:
        raise
    except BaseException as error:
        flight.close()
        yield Ask(run_script(GIVE_UP, [name], [token]), raises=False)
        if not isinstance(error, Exception):
            raise
        if found.value is MISSING:
            flight.finish(Outcome(error=error))
            raise
        _log_stale(cache, error)
        return found.value
    flight.close()
    if ttl_ms == 0 or versions is DOWN:
        yield Ask(run_script(GIVE_UP, [name], [token]))
        return value
    raw, kept_ms = inner, ttl_ms
    if plan.tags or plan.early or (plan.stale_ms and ttl_ms):
        stale_ms = 0 if ttl_ms is None else plan.stale_ms
        raw = entries.Wrapped(inner, stale_ms, cost_s, versions).pack()
        kept_ms = None if ttl_ms is None else ttl_ms + stale_ms
    filling = run_script(
        FILL_LEASED, [name], [token, kept_ms or 0, raw], partial(cache.write, (name,))
    )
    kept = yield from store(filling, [name], token)
    if kept is not DOWN and kept:
        flight.finish(Outcome(inner=None if plan.tags else inner))
        return value
    if kept is not DOWN:
        if cost_s * 1000 > plan.lease_ms:
            _log_late(cache, cost_s, plan)
        # Somebody wrote meanwhile, and knows better.
        newer = yield Ask(look(cache, name, plan), writes=False)
        if newer is not DOWN and newer.is_fresh:
            return newer.value
    return value


def _log_stale(cache: CacheBackend, error: Exception) -> None:
    logger.warning(
        "A stale value of cache %r is served: computing it anew failed: %s: %s",
        cache.state.alias,
        type(error).__name__,
        error,
    )


def _log_late(cache: CacheBackend, cost_s: float, plan: Plan) -> None:
    logger.warning(
        "A value of cache %r took %.1f s to compute, longer than its lease of %.1f s, and was not "
        "kept: give get_or_set() or cached() a longer lease",
        cache.state.alias,
        cost_s,
        plan.lease_ms / 1000,
    )


def store(filling: Steps[Any], names: Sequence[bytes], token: bytes) -> Course:
    """Store what was computed. A server that refuses (it is out of memory) keeps no lease."""
    giving_up = Ask(run_script(GIVE_UP, names, [token]), raises=False)
    try:
        kept = yield Ask(filling)
    except SERVER_ERRORS:
        yield giving_up
        raise
    if kept is DOWN:
        yield giving_up
    return kept


def life_ms(cache: CacheBackend, plan: Plan) -> int | None:
    """Return how long the versions of a plan's tags are to live: as long as the entry may."""
    if callable(plan.timeout):
        return None  # nobody knows before the value is there
    ttl_ms = cache.ttl_ms(plan.timeout)
    return None if ttl_ms is None else ttl_ms + plan.stale_ms + plan.lease_ms


# The backend's methods


def get_or_set(
    self: CacheBackend,
    key: Any,
    default: Any,
    timeout: Any = DEFAULT_TIMEOUT,
    version: Any = None,
    **options: Any,
) -> Any:
    """Return the value at ``key``; where it is missing, what ``default`` is or gives, stored.

    ``default`` is called once, in all threads and processes that miss the key together; the others
    wait for it. ``timeout`` is in seconds, or a function of the value. Keyword arguments:
    ``tags``; ``stale_ttl``, seconds beyond the timeout for which the value is served while one
    caller computes it anew, or cannot; ``early``, 1.0 for XFetch's optimum, 0 for none;
    ``jitter``, the largest part of the timeout that is cut off at random; ``lease``, seconds that
    one computation may take; ``wait``, seconds that others wait for it before they compute for
    themselves, ``lease`` unless given. Raises what ``default`` raises, in all that wait for it.
    """
    found = None
    if not options:
        value = self.get(key, MISSING, version)
        if value is not MISSING:
            return value
        found = NOT_FOUND
    plan = make_plan(default, timeout, **options)
    return run(self, obtain(self, self.storage_key(key, version), plan, found))


async def aget_or_set(
    self: CacheBackend,
    key: Any,
    default: Any,
    timeout: Any = DEFAULT_TIMEOUT,
    version: Any = None,
    **options: Any,
) -> Any:
    """See get_or_set(). ``default`` may also be a coroutine function."""
    found = None
    if not options:
        value = await self.aget(key, MISSING, version)
        if value is not MISSING:
            return value
        found = NOT_FOUND
    plan = make_plan(default, timeout, **options)
    return await arun(self, obtain(self, self.storage_key(key, version), plan, found))
