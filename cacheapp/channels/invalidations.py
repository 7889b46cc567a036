"""The group by which any consumer hears of what a cache alias invalidates, without a class of ours.

    class Page(AsyncJsonWebsocketConsumer):
        groups = [invalidation_group("default")]

        async def invalidated(self, event): ...

Nobody sends to this group. Whoever is a member, by ``group_add`` on a layer of ours, gets a message
for each announcement that this process hears of, with the same fields as the event of an
``InvalidationConsumer``, for all keys of the alias. A channel that is full misses what comes, and
is told "everything" by the next message; so those who want few keys, or all that happens to them,
do better with the class.

Left out on purpose: channels of other processes, and other layers. Each process hears for itself.
"""

from __future__ import annotations

import re
import threading
import weakref
from collections.abc import Sequence
from dataclasses import dataclass
from time import monotonic
from typing import TYPE_CHECKING, Any, Final

from django.core.cache import caches

from cacheapp.cache.prefixes import MARK
from cacheapp.cache.tags import TAG_VERSION
from cacheapp.channels.consumers import SETTLE_S, TYPE, audience_of
from cacheapp.channels.messages import local_body
from cacheapp.channels.names import owner_of
from cacheapp.clients.forks import renews
from cacheapp.invalidation.audience import Watch
from cacheapp.invalidation.protocol import HELLO, KEY, KEY_EARLY, PREFIX, PREFIX_EARLY

if TYPE_CHECKING:
    from cacheapp.channels.layer import ChannelLayer

__all__ = ["GROUP", "Relay", "invalidation_group"]

#: What the names of these groups begin with; the alias follows.
GROUP: Final = "cacheapp.invalidations."
#: Names in one event; of more it says that everything may have changed.
NAMES_MAX: Final = 1000


def invalidation_group(alias: str = "default") -> str:
    """Return the group whose members hear of what the cache ``alias`` invalidates."""
    return GROUP + alias


@dataclass(slots=True)
class _Member:
    """A channel: its capacity, until when it is a member, and whether it missed something."""

    capacity: int
    expires: float
    missed: bool = False


class Relay:
    """What one layer does for such a group. Knows its layer weakly, and ends with it."""

    def __init__(self, layer: ChannelLayer, group: str) -> None:
        self._layer = weakref.ref(layer)
        self.alias = group.removeprefix(GROUP)
        self._audience = audience_of(self.alias)
        cache: Any = caches[self.alias]
        self._names = re.compile(cache.key_shape().expression(), re.DOTALL)
        self.members: dict[str, _Member] = {}
        self._lock = threading.RLock()
        renews(self, "_lock", threading.RLock)

    async def ready(self) -> None:
        """Wait, if not for long, until this process hears of announcements."""
        watch = Watch()
        self._audience.add(watch, (), ())
        await self._audience.settle(watch, SETTLE_S)
        self._audience.end(watch)

    def add(self, channel: str, capacity: int, stay_s: float) -> None:
        """Make a channel of this process a member. Raises ValueError for another one."""
        layer = self._layer()
        if layer is None or owner_of(channel) != layer.client_prefix:
            raise ValueError(
                f"{channel!r} is not a channel of this layer in this process, and only such can "
                f"be in the group {invalidation_group(self.alias)!r}"
            )
        with self._lock:
            self.members[channel] = _Member(capacity, monotonic() + stay_s)
            self._audience.follow(self.hear)

    def discard(self, channel: str) -> None:
        """End a membership, if it is one."""
        with self._lock:
            self.members.pop(channel, None)
            if not self.members:
                self.end()

    def end(self) -> None:
        """Have no members any more."""
        with self._lock:
            self.members.clear()
            self._audience.unfollow(self.hear)

    def hear(self, message: Sequence[bytes] | None) -> None:
        """Send what an announcement says to the members."""
        layer = self._layer()
        event = self.event(message)
        if layer is None or event is None:
            if layer is None:
                self.end()
            return
        now = monotonic()
        whole, everything = local_body(event), local_body({**event, "everything": True})
        with self._lock:
            members = list(self.members.items())
        for channel, member in members:
            if member.expires <= now:
                self.discard(channel)
                continue
            body = everything if member.missed else whole
            member.missed = not layer.put(channel, body, member.capacity)

    def event(self, message: Sequence[bytes] | None) -> dict[str, Any] | None:
        """Return what an announcement says, in the application's words; None for nothing."""
        told: dict[str, list[str]] = {"keys": [], "prefixes": [], "tags": []}
        everything = message is None
        for kind, value in zip((message or ())[::2], (message or ())[1::2], strict=True):
            if kind in (KEY, PREFIX):
                found = self._names.fullmatch(value.decode(errors="replace"))
                if found is None:
                    # A prefix that is shorter, as of clear(); or no key of this alias.
                    everything = everything or kind == PREFIX
                else:
                    field, text = _said(kind, found["version"], found["key"])
                    told[field].append(text)
            elif kind not in (KEY_EARLY, PREFIX_EARLY, HELLO):
                everything = True
        if sum(map(len, told.values())) > NAMES_MAX:
            told, everything = {field: [] for field in told}, True
        if not (everything or any(told.values())):
            return None
        return {"type": TYPE, "alias": self.alias, **told, "everything": everything}


def _said(kind: bytes, version: str, text: str) -> tuple[str, str]:
    """What a name stands for: a field of the event, and the text in it."""
    if version != str(TAG_VERSION):
        return ("keys" if kind == KEY else "prefixes"), text
    if text.startswith(MARK):
        return "prefixes", text.split(MARK, 2)[2]
    return "tags", text
