"""``InvalidationConsumer``: an application's own consumers hear of what a cache alias invalidates.

    class Page(InvalidationConsumer, AsyncJsonWebsocketConsumer):
        async def connect(self):
            await self.accept()
            await self.watch(keys=["front"], prefixes=["price:"], tags=["catalogue"])

        async def invalidated(self, event):
            await self.send_json({"reload": True})

It stands before the class of channels, and works with sync consumers too (``watch_sync``, and an
``invalidated`` that is no coroutine). ``invalidated`` is called in turn with the consumer's other
handlers, never beside one, while the connection is accepted. The event is a dict:

    {"type": "invalidated", "alias": "default", "keys": […], "prefixes": […], "tags": […],
     "everything": False}

``keys`` changed: those that are watched, and those under a watched prefix. Of ``prefixes`` and
``tags``, which are watched, all may have changed. ``everything`` says that any of it may have,
after a gap (a server that lost its data, a stream that was trimmed) or ``clear()``.

What comes while ``invalidated`` runs, or within ``coalesce_seconds`` after the last event, is told
together; there is no queue. Announcements follow the commit of a transaction, so whoever asks the
database then sees what was written. No layer is needed: each process follows the alias's stream.

Left out on purpose: any way from a client to a watch. What a browser may hear of, and what of an
event it gets to see, only the application can say.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
from collections.abc import Awaitable, Callable, Iterable, Mapping
from functools import partial
from typing import Any, Final, NamedTuple

from asgiref.sync import async_to_sync
from django.core.cache import caches
from django.core.exceptions import ImproperlyConfigured

from cacheapp.cache import prefixes as declared
from cacheapp.cache import tags as tagging
from cacheapp.cache.backend import CacheBackend
from cacheapp.cache.keys import encode_key, escape_glob, literal_head
from cacheapp.invalidation.audience import Audience, Watch

__all__ = ["InvalidationConsumer"]

TYPE: Final = "invalidated"
#: Seconds that a consumer waits for the server when it begins to watch. Longer, and what happens
#: meanwhile is told as "everything" once the server answers.
SETTLE_S: Final = 2.0

Message = Mapping[str, Any]


class InvalidationConsumer:
    """See the module. ``cache_alias`` is the cache that is watched; its writes must be announced.

    ``watched_keys``, ``watched_prefixes`` and ``watched_tags`` are watched from the beginning, and
    at most ``watched_max`` names at any time. ``coalesce_seconds`` are between two events at least.
    """

    cache_alias = "default"
    watched_keys: Iterable[Any] = ()
    watched_prefixes: Iterable[str] = ()
    watched_tags: Iterable[Any] = ()
    watched_max = 1000
    coalesce_seconds = 0.05

    _watched: Watched | None = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> Any:
        """Run the consumer, with the events among what it receives, and end its watch with it."""
        watched = self._watched = Watched(self.cache_alias, self.watched_max)
        inbox = Inbox(scope, receive, send, watched, self.coalesce_seconds)
        consumer: Any = super()
        try:
            await self.watch(
                keys=self.watched_keys, prefixes=self.watched_prefixes, tags=self.watched_tags
            )
            return await consumer.__call__(scope, inbox.receive, inbox.send)
        finally:
            watched.end()
            await inbox.end()

    async def watch(
        self,
        *,
        keys: Iterable[Any] = (),
        prefixes: Iterable[str] = (),
        tags: Iterable[Any] = (),
        version: Any = None,
    ) -> None:
        """Hear of these as well; of each change that begins after this returned.

        ``version`` is that of the keys and prefixes. A prefix of "" is all of a version. Raises
        ValueError, and watches none of them, where it would be more than ``watched_max``;
        ImproperlyConfigured for an alias that does not announce its writes.
        """
        if self._watched is None:
            raise RuntimeError("watch() is for a consumer that runs")
        await self._watched.add(keys, prefixes, tags, version)

    async def unwatch(
        self,
        *,
        keys: Iterable[Any] = (),
        prefixes: Iterable[str] = (),
        tags: Iterable[Any] = (),
        version: Any = None,
    ) -> None:
        """Hear no more of these; what was not told yet is forgotten. Unknown ones are no error."""
        if self._watched is not None:
            self._watched.discard(keys, prefixes, tags, version)

    def watch_sync(self, **names: Any) -> None:
        """See ``watch``; for the handlers of a sync consumer."""
        async_to_sync(self.watch)(**names)

    def unwatch_sync(self, **names: Any) -> None:
        """See ``unwatch``; for the handlers of a sync consumer."""
        async_to_sync(self.unwatch)(**names)

    def invalidated(self, event: dict[str, Any]) -> Any:
        """Do what an invalidation asks for; to be overridden, in async consumers by a coroutine."""
        raise NotImplementedError(f"{type(self).__name__} has no invalidated(event)")


#: What an application watches, in its own words: a field of the event, and the text in it.
Label = tuple[str, str]


class Named(NamedTuple):
    """What the server's names and prefixes stand for: several names may stand for one label."""

    names: dict[bytes, dict[Label, None]]
    prefixes: dict[bytes, tuple[Label, Callable[[bytes], str] | None]]

    @property
    def labels(self) -> set[Label]:
        """All that is watched."""
        named = {label for labels in self.names.values() for label in labels}
        return named | {label for label, _ in self.prefixes.values()}


class Watched:
    """The watch of one consumer, and what its names are in the application's words."""

    def __init__(self, alias: str, most: int) -> None:
        self.alias = alias
        self._most = most
        self._audience: Audience | None = None
        self.watch = Watch()
        self._named = Named({}, {})

    async def add(
        self, keys: Iterable[Any], prefixes: Iterable[str], tags: Iterable[Any], version: Any
    ) -> None:
        """See InvalidationConsumer.watch."""
        lists = _lists(keys, prefixes, tags)
        if not any(lists):
            return
        audience = self._audience or audience_of(self.alias)
        found = named(caches[self.alias], *lists, version)
        count = len(self._named.labels | found.labels)
        if count > self._most:
            raise ValueError(
                f"A consumer would watch {count} names, and watched_max is {self._most}. Watch a "
                "prefix or a tag, or raise it."
            )
        self._audience = audience
        for name, labels in found.names.items():
            self._named.names.setdefault(name, {}).update(labels)
        self._named.prefixes.update(found.prefixes)
        audience.add(self.watch, found.names, found.prefixes)
        await audience.settle(self.watch, SETTLE_S)

    def discard(
        self, keys: Iterable[Any], prefixes: Iterable[str], tags: Iterable[Any], version: Any
    ) -> None:
        """See InvalidationConsumer.unwatch."""
        lists = _lists(keys, prefixes, tags)
        if self._audience is None:
            return
        found = named(caches[self.alias], *lists, version)
        gone = []
        for name, labels in found.names.items():
            known = self._named.names.get(name, {})
            for label in labels:
                known.pop(label, None)
            if not known:
                self._named.names.pop(name, None)
                gone.append(name)
        for prefix in found.prefixes:
            self._named.prefixes.pop(prefix, None)
        self._audience.discard(self.watch, gone, found.prefixes)

    def end(self) -> None:
        """Watch nothing any more."""
        if self._audience is not None:
            self._audience.end(self.watch)

    def event(self) -> dict[str, Any] | None:
        """Return what is to be told, or None for nothing."""
        if self._audience is None:
            return None
        heard = self._audience.take(self.watch)
        told: dict[str, dict[str, None]] = {"keys": {}, "prefixes": {}, "tags": {}}
        for name in heard.names:
            for field, text in self._named.names.get(name, ()):
                told[field][text] = None
        for prefix in heard.prefixes:
            (field, text), _ = self._named.prefixes[prefix]
            told[field][text] = None
        for prefix, names in heard.under.items():
            (field, text), reverse = self._named.prefixes[prefix]
            if reverse is None:
                told[field][text] = None
                continue
            found = [reverse(name) for name in names]
            # Where a key function puts the key before the prefix, others begin alike.
            told["keys"].update({key: None for key in found if key.startswith(text)})
        if not (heard.everything or any(told.values())):
            return None
        fields = {field: list(texts) for field, texts in told.items()}
        return {"type": TYPE, "alias": self.alias, **fields, "everything": heard.everything}


def _lists(
    keys: Iterable[Any], prefixes: Iterable[str], tags: Iterable[Any]
) -> tuple[list[Any], list[str], list[Any]]:
    for kind, names in (("keys", keys), ("prefixes", prefixes), ("tags", tags)):
        if isinstance(names, (str, bytes)):
            raise TypeError(f"{kind} must be a list, not the text {names!r}: write [{names!r}]")
    return list(keys), list(prefixes), list(tags)


def named(
    cache: Any, keys: Iterable[Any], prefixes: Iterable[str], tags: Iterable[Any], version: Any
) -> Named:
    """Return the names that tell of these: their own, and those of the tags that say it for them.

    A prefix that OPTIONS["PREFIXES"] declares is invalidated by a tag, which each key and each
    prefix below it is told of as well, and so is a prefix above it.
    """
    found = Named({}, {})

    def add(name: bytes, field: str, text: str) -> None:
        found.names.setdefault(name, {})[field, text] = None

    for key in keys:
        name = cache.storage_key(key, version)
        add(name, "keys", str(key))
        for tag in declared.tags_of(cache, name):
            add(tagging.version_key(cache, tag), "keys", str(key))
    for tag in tagging.tag_names(tags, math.inf):
        add(tagging.version_key(cache, tag), "tags", tag.decode())
    for prefix in prefixes:
        label = ("prefixes", prefix)
        pattern = cache.search_pattern(f"{escape_glob(prefix)}*", version)
        reverse = partial(cache.reverse_key, version=version)
        found.prefixes[encode_key(literal_head(pattern))] = (label, reverse)
        if cache.prefixes is not None:
            shown = cache.version if version is None else version
            below = tagging.version_key(cache, declared.tag_of(prefix, shown))
            found.prefixes[below] = (label, None)
            for above in cache.prefixes.above(prefix):
                add(tagging.version_key(cache, declared.tag_of(above, shown)), *label)
    return found


def audience_of(alias: str) -> Audience:
    """Return who watches the alias in this process. Raises ImproperlyConfigured for a mute one."""
    cache: Any = caches[alias]
    if not isinstance(cache, CacheBackend):
        raise ImproperlyConfigured(f"CACHES[{alias!r}] is not a cacheapp.cache.CacheBackend")
    # Who makes the client tells the listener how to reach the server.
    cache.client  # noqa: B018
    if cache.state.source is None:
        raise ImproperlyConfigured(
            f"CACHES[{alias!r}] does not announce its writes, so nobody can watch it: set "
            "OPTIONS['ANNOUNCE'] to True"
        )
    audience: Audience = cache.state.source.audience
    return audience


class Inbox:
    """A consumer's ``receive`` with events between the messages, and its ``send``."""

    def __init__(
        self, scope: Message, receive: Any, send: Any, watched: Watched, pause_s: float
    ) -> None:
        self._receive: Callable[[], Awaitable[Message]] = receive
        self._send: Callable[[Message], Awaitable[None]] = send
        self._watched = watched
        self._pause_s = pause_s
        self._told_at = -pause_s
        # A socket that is not accepted, or is closed, takes nothing.
        self._open = asyncio.Event()
        if scope.get("type") != "websocket":
            self._open.set()
        # Both go on when the other came first, so that nothing is lost.
        self._message: asyncio.Future[Message] | None = None
        self._event: asyncio.Future[Message] | None = None

    async def send(self, message: Message) -> None:
        """Send, and note whether there is an open connection."""
        if message["type"] == "websocket.accept":
            self._open.set()
        elif message["type"] == "websocket.close":
            self._open.clear()
        await self._send(message)

    async def receive(self) -> Message:
        """Return the next message or event, whichever comes first; messages before events."""
        if self._message is None:
            self._message = asyncio.ensure_future(self._receive())
        if self._event is None:
            self._event = asyncio.ensure_future(self._next_event())
        await asyncio.wait([self._message, self._event], return_when=asyncio.FIRST_COMPLETED)
        if self._message.done():
            found, self._message = self._message, None
        else:
            found, self._event = self._event, None
        return found.result()

    async def end(self) -> None:
        """Wait for nothing any more."""
        for task in (self._message, self._event):
            if task is not None:
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await task

    async def _next_event(self) -> Message:
        watch = self._watched.watch
        while True:
            await self._open.wait()
            await watch.rung.wait()
            pause_s = self._told_at + self._pause_s - watch.loop.time()
            if pause_s > 0:
                await asyncio.sleep(pause_s)
            if not self._open.is_set():
                continue
            event = self._watched.event()
            if event is not None:
                self._told_at = watch.loop.time()
                return event
