"""The near cache in front of an alias: ``OPTIONS["NEAR_CACHE"]``, and what it changes in a backend.

A backend reads through a ``fetch(name)`` and writes through a ``store(name, raw, ttl_ms)``. With a
near cache, the first looks among the copies before it asks the server (a fill asks for value and
deadline in one round trip, of the primary, whose stream tells of its writes), and the second sends
the write with its announcement. All other operations go through ``bus.announced``.

Left out on purpose: an alias whose every server is an engine in this process. There the engine
answers as fast as a copy would, and the option is ignored.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import inf
from typing import TYPE_CHECKING, Any, Final

from django.core.exceptions import ImproperlyConfigured

from cacheapp.cache.entries import FILL, VALUE, WRITE, stale_ms_of, unpack
from cacheapp.cache.nearcache import Mark, NearCache
from cacheapp.cache.steps import Steps
from cacheapp.invalidation.audience import Audience
from cacheapp.invalidation.bus import Bus, Write, together
from cacheapp.invalidation.listener import Listener
from cacheapp.invalidation.protocol import prefix_message

if TYPE_CHECKING:
    from cacheapp.cache.backend import CacheBackend

#: The keys of NEAR_CACHE. 32 MB and a minute are little for a process and enough for hot keys.
DEFAULTS: Final[Mapping[str, Any]] = {
    "max_bytes": 32 * 1024 * 1024,
    "max_entries": 100_000,
    "ttl": 60.0,
    "bound": 2.0,
    "stale_in_outage": 0.0,
    "exclude": (),
    "channel_layer": None,
}
#: The shortest bound: several heartbeats have to fit in.
BOUND_MIN_S: Final = 0.1
#: Beginnings of keys that are never kept: Django's sessions, and the counters of DRF's throttles
#: and of django-ratelimit, which read and then write.
NEVER: Final = ("django.contrib.sessions.", "throttle_", "rl:")


@dataclass(frozen=True)
class NearOptions:
    """NEAR_CACHE as written, checked. Times are seconds; ``ttl_s`` None is the key's own."""

    max_bytes: int
    max_entries: int
    ttl_s: float | None
    bound_s: float
    exclude: tuple[str, ...]
    stale_s: float = 0.0
    channel_layer: str | None = None

    @classmethod
    def of(cls, options: Mapping[str, Any]) -> NearOptions | None:
        """Return those in an alias's OPTIONS, or None. Raises ImproperlyConfigured."""
        stated = options.get("NEAR_CACHE")
        if stated is None:
            return None
        if not options.get("REPLICA_READ_ONLY", True):
            raise ImproperlyConfigured(
                "OPTIONS['NEAR_CACHE'] needs all writes on the first server of LOCATION, and "
                "REPLICA_READ_ONLY is False"
            )
        if not isinstance(stated, Mapping):
            raise ImproperlyConfigured(f"OPTIONS['NEAR_CACHE'] must be a dict, not {stated!r}")
        unknown = sorted(set(map(str, stated)) - set(DEFAULTS))
        if unknown:
            raise ImproperlyConfigured(f"OPTIONS['NEAR_CACHE'] has an unknown key {unknown[0]!r}")
        found = {**DEFAULTS, **stated}
        for name in ("max_bytes", "max_entries"):
            if type(found[name]) is not int or found[name] < 0:
                raise _wrong(name, found[name], "a whole number, 0 to announce writes only")
        if found["ttl"] is not None and not _is_seconds(found["ttl"], 0.0):
            raise _wrong("ttl", found["ttl"], "seconds above zero, or None")
        if not _is_seconds(found["bound"], BOUND_MIN_S):
            raise _wrong("bound", found["bound"], f"seconds, at least {BOUND_MIN_S}")
        stale = found["stale_in_outage"]
        if stale != 0 and not _is_seconds(stale, 0.0):
            raise _wrong("stale_in_outage", stale, "seconds, 0 for no stale value ever")
        exclude = found["exclude"]
        if isinstance(exclude, str) or not all(isinstance(head, str) and head for head in exclude):
            raise _wrong("exclude", exclude, "a list of beginnings of keys")
        layer = found["channel_layer"]
        if layer is not None and not isinstance(layer, str):
            raise _wrong("channel_layer", layer, "an alias of CHANNEL_LAYERS, or None")
        return cls(
            max_bytes=found["max_bytes"],
            max_entries=found["max_entries"],
            ttl_s=found["ttl"],
            bound_s=float(found["bound"]),
            exclude=tuple(exclude),
            stale_s=float(stale),
            channel_layer=layer,
        )


#: What an alias that only announces has of a near cache.
KEEPS_NOTHING: Final = NearOptions(
    max_bytes=0, max_entries=0, ttl_s=None, bound_s=DEFAULTS["bound"], exclude=()
)


def announces(options: Mapping[str, Any]) -> bool:
    """Return OPTIONS["ANNOUNCE"]: whether writes announce themselves without a near cache, too.

    Raises ImproperlyConfigured.
    """
    stated = options.get("ANNOUNCE", False)
    if not isinstance(stated, bool):
        raise ImproperlyConfigured(f"OPTIONS['ANNOUNCE'] is {stated!r}: give True or False")
    if stated and not options.get("REPLICA_READ_ONLY", True):
        raise ImproperlyConfigured(
            "OPTIONS['ANNOUNCE'] needs all writes on the first server of LOCATION, and "
            "REPLICA_READ_ONLY is False"
        )
    return stated


def _is_seconds(value: Any, least: float) -> bool:
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return is_number and 0 < value < inf and value >= least


def _wrong(name: str, value: Any, hint: str) -> ImproperlyConfigured:
    return ImproperlyConfigured(f"OPTIONS['NEAR_CACHE'][{name!r}] is {value!r}: give {hint}")


def _excluder(exclude: Sequence[str], prefix: str, *, plain: bool) -> Callable[[bytes], bool]:
    """Return the test of storage keys for those that are never kept.

    ``plain`` says that Django's own function makes them. Elsewhere nobody knows where in a name
    the key stands.
    """
    heads = tuple(head.encode() for head in (*NEVER, *exclude))
    if not plain:
        return lambda name: any(head in name for head in heads)
    start = len(prefix.encode()) + 1

    def is_excluded(name: bytes) -> bool:
        return name[start:].partition(b":")[2].startswith(heads)

    return is_excluded


class Near:
    """What all backends of one alias share: the copies, the bus and the listener."""

    def __init__(self, options: NearOptions, prefix: str, key_function: Any = None) -> None:
        self.options = options
        self.copies = NearCache(
            max_bytes=options.max_bytes,
            max_entries=options.max_entries,
            ttl_s=options.ttl_s,
            stale_s=options.stale_s,
            is_excluded=_excluder(options.exclude, prefix, plain=key_function is None),
        )
        self.bus = Bus(prefix, self.copies)
        self._connect: Callable[[], Any] | None = None
        #: Who in this process wants to hear of what is announced.
        self.audience = Audience(self.wake)
        self.listener: Any
        if options.channel_layer is None:
            # One, made here: threads may use the alias for the first time together.
            self.listener = Listener(
                *(self.bus, self.copies, options.bound_s), self._connected, self.audience
            )
        else:
            # channels is imported only where a layer of it is to be used.
            from cacheapp.invalidation.carrier import LayerCarrier

            self.listener = self.bus.carrier = LayerCarrier(
                options.channel_layer, prefix, self.copies, options.bound_s, self.audience
            )

    def opened(self, client: Any) -> None:
        """Learn how to reach the server: from the CacheClient of a backend."""
        self.bus.primary = lambda: client.get_client(write=True)
        self._connect = lambda: client.connect(0)

    def has_own_keys(self) -> None:
        """Learn that the backend's class makes keys in its own way."""
        self.copies.is_excluded = _excluder(self.options.exclude, "", plain=False)

    def wake(self) -> None:
        """See that somebody listens."""
        self.listener.wake()

    def _connected(self) -> Any:
        assert self._connect is not None  # who reads or watches has opened a backend
        return self._connect()

    def correct(self, names: Sequence[bytes], values: Sequence[bytes | None]) -> None:
        """Drop those of this process's copies that are not what the server just said.

        Without it a read in an outage could go back behind a value that was read before it.
        """
        copies = self.copies.copies
        for name, value in zip(names, values, strict=True):
            copy = copies.get(name)
            if copy is not None and copy.raw != value:
                self.copies.drop((name,))

    def outlived(self, name: bytes, tag_key: Callable[[bytes], bytes]) -> bytes | None:
        """Return what an outage leaves of ``name``, without its tags; None for nothing.

        ``tag_key`` gives the key of a tag's version. A version of which there is no copy is taken
        for another one.
        """
        find = self.copies.outlived
        raw = find(name)
        if raw is None or raw[:1] != VALUE:
            return raw
        kept = unpack(raw)
        if kept is None or any(find(tag_key(tag)) != token for tag, token in kept.tags):
            return None
        return kept.inner

    def begin(self, name: bytes) -> Any:
        """Begin a fill: its mark, or None where the answer is not to be kept."""
        if not self.copies.is_good:
            if self.options.max_entries:
                self.wake()
            return None
        return self.copies.begin(name)

    def copies_of(self, names: Sequence[bytes]) -> list[bytes] | None:
        """Return the stored bytes of ``names`` if there are good copies of all, or None."""
        found = []
        for name in names:
            raw = self.copies.peek(name)
            if raw is None:
                return None
            found.append(raw)
        return found

    def fetch_many(self, names: Sequence[bytes]) -> Steps[list[Any]]:
        """Steps: return the stored bytes of ``names`` as MGET does, from copies where they are."""
        found = [self.copies.peek(name) for name in names]
        missing = [name for name, raw in zip(names, found, strict=True) if raw is None]
        if not missing:
            return found
        filled = iter((yield from self.fill_many(missing)))
        return [next(filled) if raw is None else raw for raw in found]

    def fill_many(self, names: Sequence[bytes]) -> Steps[list[Any]]:
        """Steps: return the stored bytes of ``names`` as MGET does, and keep copies of them."""
        marks = [self.begin(name) for name in names]
        asked = [
            command
            for name, mark in zip(names, marks, strict=True)
            if mark is not None
            for command in (("GET", name), ("PTTL", name))
        ]
        plain = [name for name, mark in zip(names, marks, strict=True) if mark is None]
        commands = [*asked, ("MGET", *plain)] if plain else asked
        try:
            replies = yield lambda client: together(client, commands)
            for reply in replies:
                if isinstance(reply, Exception):
                    raise reply
            uncopied = replies[-1] if plain else ()
            self.correct(plain, uncopied)
            rest = iter(uncopied)
            answers = iter(replies)
            values = []
            for name, mark in zip(names, marks, strict=True):
                if mark is None:
                    values.append(next(rest))
                else:
                    raw, ttl_ms = next(answers), next(answers)
                    self._keep(name, mark, raw, ttl_ms)
                    values.append(raw)
            return values
        finally:
            for name, mark in zip(names, marks, strict=True):
                if mark is not None:
                    self.copies.abandon(name, mark)

    def _keep(self, name: bytes, mark: Mark, raw: bytes | None, ttl_ms: int) -> None:
        # A lease is about to be overwritten, and what is inside it counts by the server's time.
        if raw is not None and raw[:1] in (FILL, WRITE):
            return
        if raw is not None and ttl_ms >= 0:
            # A copy is one of a fresh value: whoever has a good one needs not ask for the PTTL.
            ttl_ms -= stale_ms_of(raw)
            if ttl_ms <= 0:
                return
        self.copies.keep(name, mark, raw, ttl_ms)

    def fresh_ms(self, name: bytes, raw: bytes) -> float:
        """Return the milliseconds for which ``raw`` is good and fresh at least; 0: nobody knows."""
        return self.copies.left_s(name, raw) * 1000

    def fill(self, name: bytes) -> Steps[Any]:
        """Steps: return the stored bytes of ``name``, or None, and keep a copy of them."""
        mark = self.begin(name)
        if mark is None:
            raw = yield lambda client: client.get(name)
            self.correct((name,), (raw,))
            return raw
        commands = [("GET", name), ("PTTL", name)]
        try:
            raw, ttl_ms = yield lambda client: together(client, commands)
            for reply in (raw, ttl_ms):
                if isinstance(reply, Exception):
                    raise reply
            self._keep(name, mark, raw, ttl_ms)
            return raw
        finally:
            self.copies.abandon(name, mark)


class NearReader:
    """A backend's reader: ``fetch`` looks among the copies first."""

    def __init__(self, near: Near, fill: Callable[[bytes], Any]) -> None:
        self.fetch = near.copies.reader(fill)


class AnnouncingWriter:
    """A backend's writer: ``store`` sends the value and its announcement."""

    def __init__(self, bus: Bus, client: Any) -> None:
        self._bus = bus
        self._client = client

    def store(self, key: bytes, value: bytes, ttl_ms: int) -> Any:
        """SET, due in ``ttl_ms`` milliseconds; 0 is never."""
        command = ("SET", key, value, "PX", ttl_ms) if ttl_ms else ("SET", key, value)
        return self._bus.store(self._client, key, command)


def announce_prefix(cache: CacheBackend, prefix: bytes) -> Steps[None]:
    """Steps: say, where writes are announced, that all keys with ``prefix`` may be gone."""
    if cache.bus is not None:
        yield Write(lambda client: None, prefix_message(prefix))


def announced_to(cache: CacheBackend, prefix: str, steps: Steps[Any]) -> Steps[Any]:
    """Steps: run ``steps``, and say what they write to aliases of another KEY_PREFIX as well.

    A stream of theirs that is missing has no reader, or one that notices. Nothing of it where a
    Channels layer carries the messages.
    """
    if cache.bus is None or cache.bus.carrier is not None:
        return (yield from steps)
    other = Bus(prefix, cache.bus.near)

    def both(write: Write) -> Write:
        def request(client: Any) -> None:
            write.request(client)
            client.execute_command(*other.announcement(write.message))

        return Write(request, write.message)

    reply: Any = None
    try:
        while True:
            request = steps.send(reply)
            if request.__class__ is Write:
                replies = yield both(request)
                reply = replies[0] if isinstance(replies, list) else None
            else:
                reply = yield request
    except StopIteration as stop:
        return stop.value
