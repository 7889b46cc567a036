"""Who in this process wants to hear of invalidations: an index of watches, and what each missed.

The thread that follows an alias's stream gives each message to ``Audience.hear``. That looks up who
watches the names in it, notes them down in each ``Watch``, and wakes each event loop once, however
many watches it has. A watch is a note and no queue: what it holds is bounded by what it watches, so
a burst of writes, or an owner that is slow, costs no more than one owner that asks at the end.

None in place of a message says that whatever came before is unknown: everything may have changed.
What is said early, within a transaction or by a fill, is for near caches alone and is skipped here.

Left out on purpose: who the owners are. ``cacheapp.channels.consumers`` has the ones that we ship.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from cacheapp.invalidation.protocol import (
    HELLO,
    KEY,
    KEY_EARLY,
    PREFIX,
    PREFIX_EARLY,
    Hear,
    Message,
)

logger = logging.getLogger("cacheapp.invalidation")

#: Names under one watched prefix that a watch notes down; one more, and it is the whole prefix.
NOTED_MAX: Final = 1000


@dataclass
class Heard:
    """What a watch missed: names that changed, prefixes under which all may have, or everything."""

    names: dict[bytes, None] = field(default_factory=dict)
    under: dict[bytes, dict[bytes, None]] = field(default_factory=dict)
    prefixes: dict[bytes, None] = field(default_factory=dict)
    everything: bool = False

    def __bool__(self) -> bool:
        return bool(self.everything or self.names or self.under or self.prefixes)

    def add_under(self, prefix: bytes, name: bytes) -> None:
        """Note a name under a watched prefix."""
        if prefix in self.prefixes:
            return
        found = self.under.setdefault(prefix, {})
        found[name] = None
        if len(found) > NOTED_MAX:
            self.add_prefix(prefix)

    def add_prefix(self, prefix: bytes) -> None:
        """Note that all under a watched prefix may have changed."""
        self.under.pop(prefix, None)
        self.prefixes[prefix] = None


class Watch:
    """What one owner watches, as storage names and prefixes, and what it was not told yet.

    To be made in the owner's event loop, whose ``rung`` is set when there is something to take.
    """

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.names: set[bytes] = set()
        self.prefixes: set[bytes] = set()
        self.heard = Heard()
        self.rung = asyncio.Event()
        self.is_ringing = False
        #: Set when somebody follows the stream; until then there is nothing to be told of.
        self.settled = asyncio.Event()
        self.is_settling = False


class Audience:
    """The watches of one alias in this process. ``wake`` sees that somebody follows the stream."""

    def __init__(self, wake: Callable[[], None]) -> None:
        self._wake = wake
        self.reset()

    def reset(self) -> None:
        """Be as new, in the child of a fork: the loops of its parent do not run there."""
        self._lock = threading.Lock()
        self._watches: set[Watch] = set()
        self._by_name: dict[bytes, set[Watch]] = {}
        self._by_prefix: dict[bytes, set[Watch]] = {}
        # How many watched prefixes there are of each length, so that a name is cut a few times.
        self._lengths: dict[int, int] = {}
        #: Functions that are given every message.
        self._followers: tuple[Hear, ...] = ()
        self.is_live = False

    def __len__(self) -> int:
        return len(self._watches) + len(self._followers)

    @property
    def is_empty(self) -> bool:
        """Whether nothing at all is held, of watches that ended as well."""
        return not (len(self) or self._by_name or self._by_prefix or self._lengths)

    # What owners call

    def follow(self, hear: Hear) -> None:
        """Call ``hear`` with every message, and with None as ``hear()`` is; once, however often.

        In the thread that follows the stream, which it must not hold up.
        """
        with self._lock:
            if hear not in self._followers:
                self._followers += (hear,)
        self._wake()

    def unfollow(self, hear: Hear) -> None:
        """Call it no more."""
        with self._lock:
            self._followers = tuple(each for each in self._followers if each != hear)

    # What the owners of watches call, in their loops

    def add(self, watch: Watch, names: Iterable[bytes], prefixes: Iterable[bytes]) -> None:
        """Have a watch hear of more."""
        with self._lock:
            if watch not in self._watches:
                self._watches.add(watch)
                watch.is_settling = not self.is_live
                if self.is_live:
                    watch.settled.set()
            for name in names:
                watch.names.add(name)
                self._by_name.setdefault(name, set()).add(watch)
            for prefix in prefixes:
                watch.prefixes.add(prefix)
                found = self._by_prefix.get(prefix)
                if found is None:
                    found = self._by_prefix[prefix] = set()
                    self._lengths[len(prefix)] = self._lengths.get(len(prefix), 0) + 1
                found.add(watch)
        self._wake()

    def discard(self, watch: Watch, names: Iterable[bytes], prefixes: Iterable[bytes]) -> None:
        """Have a watch hear of less."""
        with self._lock:
            self._discard(watch, list(names), list(prefixes))

    def end(self, watch: Watch) -> None:
        """Forget a watch."""
        with self._lock:
            self._end(watch)

    async def settle(self, watch: Watch, seconds: float) -> None:
        """Wait until changes are heard of; after ``seconds`` everything will be told as changed."""
        if watch.settled.is_set():
            return
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(watch.settled.wait(), seconds)
        with self._lock:
            watch.is_settling = False

    def take(self, watch: Watch) -> Heard:
        """Return what a watch was not told yet, and begin anew."""
        watch.rung.clear()
        with self._lock:
            heard, watch.heard = watch.heard, Heard()
            watch.is_ringing = False
        return heard

    # What the thread that follows the stream calls

    def hear(self, message: Message | Sequence[bytes] | None) -> None:
        """Note a message for all whom it concerns; None: nobody knows what came before."""
        for follower in self._followers:
            try:
                follower(message)
            except Exception:  # the thread has others to tell
                logger.exception("%s failed to hear of an invalidation", follower)
        if message is not None and not self._watches:
            return
        rings: dict[asyncio.AbstractEventLoop, list[Watch]] = {}
        with self._lock:
            if message is None:
                self.is_live = True
                for watch in self._watches:
                    if watch.is_settling:
                        watch.is_settling = False
                        rings.setdefault(watch.loop, []).append(watch)
                    else:
                        watch.heard.everything = True
                        _ring(watch, rings)
            else:
                self._note(message, rings)
        for loop, watches in rings.items():
            try:
                loop.call_soon_threadsafe(_set, watches)
            except RuntimeError:  # the loop was closed, and its owners with it
                with self._lock:
                    for watch in watches:
                        self._end(watch)

    def _note(
        self, message: Sequence[bytes], rings: dict[asyncio.AbstractEventLoop, list[Watch]]
    ) -> None:
        for kind, value in zip(message[::2], message[1::2], strict=True):
            if kind == KEY:
                self._note_name(value, rings)
            elif kind == PREFIX:
                self._note_prefix(value, rings)
            elif kind not in (KEY_EARLY, PREFIX_EARLY, HELLO):
                self._note_prefix(b"", rings)

    def _note_name(self, name: bytes, rings: dict[asyncio.AbstractEventLoop, list[Watch]]) -> None:
        for watch in self._by_name.get(name, ()):
            watch.heard.names[name] = None
            _ring(watch, rings)
        for length in self._lengths:
            prefix = name[:length]
            if len(prefix) == length:
                for watch in self._by_prefix.get(prefix, ()):
                    watch.heard.add_under(prefix, name)
                    _ring(watch, rings)

    def _note_prefix(
        self, prefix: bytes, rings: dict[asyncio.AbstractEventLoop, list[Watch]]
    ) -> None:
        if not prefix:
            for watch in self._watches:
                watch.heard.everything = True
                _ring(watch, rings)
            return
        for name, watches in self._by_name.items():
            if name.startswith(prefix):
                for watch in watches:
                    watch.heard.names[name] = None
                    _ring(watch, rings)
        for watched, watches in self._by_prefix.items():
            if watched.startswith(prefix) or prefix.startswith(watched):
                for watch in watches:
                    watch.heard.add_prefix(watched)
                    _ring(watch, rings)

    # With the lock held

    def _end(self, watch: Watch) -> None:
        self._discard(watch, list(watch.names), list(watch.prefixes))
        self._watches.discard(watch)
        watch.heard = Heard()

    def _discard(self, watch: Watch, names: list[bytes], prefixes: list[bytes]) -> None:
        for name in names:
            watch.names.discard(name)
            watch.heard.names.pop(name, None)
            found = self._by_name.get(name)
            if found is not None:
                found.discard(watch)
                if not found:
                    del self._by_name[name]
        for prefix in prefixes:
            watch.prefixes.discard(prefix)
            watch.heard.under.pop(prefix, None)
            watch.heard.prefixes.pop(prefix, None)
            found = self._by_prefix.get(prefix)
            if found is None:
                continue
            found.discard(watch)
            if not found:
                del self._by_prefix[prefix]
                self._lengths[len(prefix)] -= 1
                if not self._lengths[len(prefix)]:
                    del self._lengths[len(prefix)]


def _ring(watch: Watch, rings: dict[asyncio.AbstractEventLoop, list[Watch]]) -> None:
    if not watch.is_ringing:
        watch.is_ringing = True
        rings.setdefault(watch.loop, []).append(watch)


def _set(watches: Iterable[Watch]) -> None:
    for watch in watches:
        watch.settled.set()
        if watch.heard:
            watch.rung.set()
