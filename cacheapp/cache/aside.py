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
from dataclasses import dataclass, replace
from functools import partial
from hashlib import sha1
from time import monotonic, perf_counter
from typing import TYPE_CHECKING, Any, Final

from django.core.cache.backends.base import DEFAULT_TIMEOUT
from redis.exceptions import ResponseError

from cacheapp.cache import entries, prefixes
from cacheapp.cache import tags as tagging
from cacheapp.cache.effects import DOWN, Ask, Compute, Course, Join, Pause, arun, run
from cacheapp.cache.leases import FILL_LEASED, GIVE_UP, TAKE
from cacheapp.cache.serializers import MISSING
from cacheapp.cache.singleflight import NOTHING, Flight, Outcome
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

    def wrapped(
        self, inner: bytes, ttl_ms: int | None, cost_s: float, versions: Sequence[entries.Tag]
    ) -> tuple[int, bytes]:
        """Return for how many milliseconds a value is kept, 0 for ever, and as which bytes."""
        stale_ms = self.stale_ms if ttl_ms else 0
        if not (versions or self.early or stale_ms):
            return ttl_ms or 0, inner
        raw = entries.Wrapped(inner, stale_ms, cost_s, versions).pack()
        return (ttl_ms or 0) + stale_ms, raw

    def is_early(self, found: Found, luck: float) -> bool:
        """Whether this caller, who drew ``luck``, recomputes a value that is still fresh."""
        if not self.early or found.fresh_ms is None:
            return False
        return found.fresh_ms / 1000 <= found.cost_s * self.early * luck

    def is_good(self, found: Found, luck: float) -> bool:
        """Whether this caller takes the value as it is, since it is fresh and not to be early."""
        return found.is_fresh and (found.is_leased or not self.is_early(found, luck))


@dataclass(frozen=True, slots=True)
class Found:
    """What a look at a key showed. ``fresh_ms`` is None for a value that does not expire."""

    value: Any = MISSING
    is_fresh: bool = False
    fresh_ms: int | None = None
    cost_s: float = 0.0
    is_leased: bool = False
    is_written: bool = False
    raw: bytes | None = None

    @property
    def digest(self) -> bytes:
        """What a lease is asked for with: the SHA1 of what was seen, empty for nothing."""
        if self.raw is None:
            return b""
        return sha1(self.raw, usedforsecurity=False).hexdigest().encode()


class LeftOut(Exception):
    """A loader of many gave nothing for a key: there is nothing to store, and no value."""


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
    if stale_ttl or early or jitter or lease is not LEASE_S or wait is not None:
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
        tagging.tag_names(tags) if tags else (),
        round(stale_ttl * 1000),
        early,
        jitter,
        round(lease * 1000),
        lease if wait is None else wait,
    )


def look(cache: CacheBackend, name: bytes, plan: Plan) -> Steps[Found]:
    """Look at a key: its value and how fresh it is, and whether somebody is at work on it."""
    (found,) = yield from look_many(cache, (name,), plan)
    return found


def look_many(cache: CacheBackend, names: Sequence[bytes], plan: Plan) -> Steps[list[Found]]:
    """Look at keys. One round trip, and one more where a value has tags that the plan has not."""
    keys = [tagging.version_key(cache, tag) for tag in plan.tags]

    def ask(client: Any) -> Any:
        # No MULTI: a server without memory refuses to queue even what only reads.
        pipeline = client.pipeline(transaction=False)
        for name in names:
            pipeline.get(name).pttl(name)
        if keys:
            pipeline.mget(keys)
        return pipeline.execute()

    *pairs, read = (*(yield ask), None) if not keys else (yield ask)
    current = dict(zip(plan.tags, read, strict=True)) if keys else {}
    sights = [_Sight.of(*pairs[at : at + 2]) for at in range(0, len(pairs), 2)]
    others = {tag for sight in sights for tag, _ in sight.tags} - current.keys()
    if others:
        current |= zip(others, (yield from tagging.read_versions(cache, [*others])), strict=True)
    return [sight.found(cache, name, current) for name, sight in zip(names, sights, strict=True)]


@dataclass(frozen=True, slots=True)
class _Sight:
    """What stood at a key, taken apart; ``ttl_ms`` is the value's own, negative for no deadline."""

    raw: bytes | None
    kept: entries.Wrapped | None = None
    ttl_ms: int = 0
    is_leased: bool = False

    @classmethod
    def of(cls, raw: bytes | None, ttl_ms: int) -> _Sight:
        """Take apart what GET and PTTL said."""
        if raw is None or ttl_ms == -2:
            return cls(None)  # it went between the two
        inner, is_leased = raw, False
        if raw[:1] == entries.FILL:
            lease = entries.unpack_lease(raw)
            if lease is None:
                return cls(raw)
            is_leased, ttl_ms = ttl_ms > lease.floor_ms, ttl_ms - lease.extra_ms
            inner = lease.held if ttl_ms > 0 else b""
        if not inner or raw[:1] == entries.WRITE:
            return cls(raw, is_leased=is_leased)
        is_wrapped = inner[:1] == entries.VALUE
        kept = entries.unpack(inner) if is_wrapped else entries.Wrapped(inner)
        return cls(raw, kept, ttl_ms, is_leased)

    @property
    def tags(self) -> Sequence[entries.Tag]:
        """The tags of the value, with the versions that it was begun with."""
        return self.kept.tags if self.kept else ()

    def found(self, cache: CacheBackend, name: bytes, current: Mapping[bytes, Any]) -> Found:
        """Return what this is worth while the tags have their ``current`` versions."""
        if self.raw is None:
            return NOT_FOUND
        is_dead = any(current[tag] != token for tag, token in self.tags)
        if self.kept is None or is_dead:
            is_written = self.raw[:1] == entries.WRITE
            return Found(is_leased=self.is_leased, is_written=is_written, raw=self.raw)
        value = cache.codec.decode(self.kept.inner, name, MISSING)
        fresh_ms = None if self.ttl_ms < 0 else self.ttl_ms - self.kept.stale_ms
        is_fresh = value is not MISSING and (fresh_ms is None or fresh_ms > 0)
        return Found(value, is_fresh, fresh_ms, self.kept.cost_s, self.is_leased, raw=self.raw)


def glance(cache: CacheBackend, name: bytes, plan: Plan) -> Steps[Found | None]:
    """Look at a key by way of the near cache. None where only the server knows.

    How long the value is fresh may be told too short, since copies live no longer than ``ttl``.
    """
    near = cache.near
    raw = near.copies.peek(name)
    if raw is None:
        raw = yield from near.fill(name)
    if raw is None:
        return NOT_FOUND
    sight = _Sight.of(raw, math.ceil(near.fresh_ms(name, raw)) + entries.stale_ms_of(raw))
    if sight.kept is None or not near.fresh_ms(name, raw):
        return None
    tags = [tag for tag, _ in sight.tags]
    current = dict(zip(tags, (yield from tagging.read_versions(cache, tags)), strict=True))
    return sight.found(cache, name, current)


def draw() -> float:
    """Return what one caller draws to find out whether it is early. See the module."""
    return -math.log(1 - random.random())  # noqa: S311 - no secret


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
    if cache.prefixes is not None:
        plan = replace(plan, tags=[*plan.tags, *prefixes.tags_of(cache, name)])
    luck = draw() if plan.early else 0.0
    if found is None:
        found = yield from _first_look(cache, name, plan, luck)
    while True:
        if found is DOWN:
            found = UNSEEN
        if plan.is_good(found, luck):
            return found.value
        if found.is_written:
            # What the open transaction will commit is nobody's to know, and what the database
            # says until then is right until then: for this call, and not to be kept.
            return (yield Compute(plan.compute))
        flight, leads = cache.state.flights.join(name)
        if leads:
            try:
                return (yield from _lead(cache, name, plan, flight, found, until, luck))
            finally:
                flight.finish()
        if found.value is not MISSING:
            return found.value
        left_s = until - monotonic()
        outcome = None if left_s <= 0 else (yield Join(flight, left_s))
        if outcome is None:
            return (yield Compute(plan.compute))
        if outcome.error is not None:
            raise outcome.error
        if outcome.inner is not None:
            value = cache.codec.decode(outcome.inner, name, MISSING)
            if value is not MISSING:
                return value
        found = yield Ask(look(cache, name, plan), writes=False)


def _first_look(cache: CacheBackend, name: bytes, plan: Plan, luck: float) -> Course:
    """The course of a look that costs as little as it can: copies, then the server."""
    found: Any = DOWN
    if not cache._outages.refuses():
        found = None
        if cache.near is not None:
            found = yield Ask(glance(cache, name, plan), writes=False)
        if found is None or not (found is DOWN or found is NOT_FOUND or plan.is_good(found, luck)):
            found = yield Ask(look(cache, name, plan), writes=False)
    if found is DOWN:
        value = cache._outlived(name, MISSING)
        return UNSEEN if value is MISSING else Found(value, is_fresh=True)
    return found


def _lead(
    cache: CacheBackend,
    name: bytes,
    plan: Plan,
    flight: Flight,
    found: Found,
    until: float,
    luck: float,
) -> Course:
    """The course of the one caller of this process that deals with the server."""
    pauses = intervals()
    while True:
        if plan.is_good(found, luck):
            return found.value
        if found.is_written:
            return (yield Compute(plan.compute, (flight,)))
        if found.is_leased:
            if found.value is not MISSING:
                return found.value
            if monotonic() >= until:
                return (yield Compute(plan.compute, (flight,)))
            yield Pause(next(pauses))
        elif found is UNSEEN:
            return (yield from _do_without(cache, name, plan, flight))
        else:
            token = entries.new_token()
            taken = yield from take(token, plan, [name], [found])
            if taken is DOWN:
                return (yield from _do_without(cache, name, plan, flight))
            if taken[0]:
                return (yield from _fill(cache, name, plan, flight, found, token))
        found = yield Ask(look(cache, name, plan), writes=False)
        if found is DOWN:
            found = UNSEEN


def take(token: bytes, plan: Plan, names: Sequence[bytes], found: Sequence[Found]) -> Course:
    """Take leases at keys where what was found still is, to keep what may be served inside.

    Says of each whether it was given, or DOWN. One that may have been given, although the reply
    was lost or the caller was cancelled, is ended: else all would wait for nobody.
    """
    arguments: list[Any] = [token, plan.lease_ms]
    for each in found:
        arguments += [each.digest, int(each.value is not MISSING)]
    asking = Ask(run_script(TAKE, names, arguments))
    try:
        taken = yield asking
    except (GeneratorExit, ResponseError):
        raise
    except BaseException:
        yield give_up(names, token)
        raise
    if asking.is_unsure:
        yield give_up(names, token)
    return taken


def give_up(names: Sequence[bytes], token: bytes) -> Ask:
    """End leases behind an error, whether or not they were given."""
    return Ask(run_script(GIVE_UP, names, [token]), raises=False)


def _do_without(cache: CacheBackend, name: bytes, plan: Plan, flight: Flight) -> Course:
    """The course of the one caller that computes while the server does not answer."""
    try:
        value = yield Compute(plan.compute, (flight,))
        inner = cache.codec.encode(value, name)
    except Exception as error:
        share(flight, error)
        raise
    flight.finish(Outcome(inner=inner))
    return value


def share(flight: Flight, error: Exception) -> None:
    """End a flight with an error, for all who wait; with nothing if it is no answer to them."""
    flight.finish(NOTHING if isinstance(error, LeftOut) else Outcome(error=error))


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
        value = yield Compute(plan.compute, (flight,))
        cost_s = perf_counter() - began
        inner = cache.codec.encode(value, name)
        ttl_ms = plan.ttl_ms(cache, value)
    except GeneratorExit:
        raise
    except BaseException as error:
        flight.close()
        yield give_up([name], token)
        if not isinstance(error, Exception):
            raise
        if found.value is MISSING:
            share(flight, error)
            raise
        log_stale(cache, error)
        return found.value
    flight.close()
    if ttl_ms == 0 or versions is DOWN:
        ended = yield Ask(run_script(GIVE_UP, [name], [token]))
        if ended is not DOWN and ended:
            # Nobody wrote since this was begun, so it is as good for those who wait.
            flight.finish(Outcome(inner=None if plan.tags else inner))
        return value
    filling = [token, *plan.wrapped(inner, ttl_ms, cost_s, versions)]
    kept = yield from store(cache, [name], filling)
    if kept is not DOWN and kept[0]:
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


def log_stale(cache: CacheBackend, error: Exception) -> None:
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


def store(cache: CacheBackend, names: Sequence[bytes], filling: Sequence[Any]) -> Course:
    """Store what was computed; ``filling`` are FILL_LEASED's arguments. Says of each if it was.

    A server that refuses (it is out of memory) keeps no lease, nor does a caller that is cancelled.
    """
    asking = Ask(run_script(FILL_LEASED, names, filling, partial(cache.write_computed, names)))
    try:
        kept = yield asking
    except GeneratorExit:
        raise
    except BaseException:
        yield give_up(names, filling[0])
        raise
    if kept is DOWN:
        yield give_up(names, filling[0])
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
        found = UNSEEN if self._outages.refuses() else NOT_FOUND
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
        found = UNSEEN if self._outages.refuses() else NOT_FOUND
    plan = make_plan(default, timeout, **options)
    return await arun(self, obtain(self, self.storage_key(key, version), plan, found))
