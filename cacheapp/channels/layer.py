"""``ChannelLayer``: what channels asks of a layer, and the twins that need no event loop.

    CHANNEL_LAYERS = {
        "default": {"BACKEND": "cacheapp.channels.ChannelLayer", "CONFIG": {"cache": "default"}},
    }

It checks arguments as channels' own layers do, and hands over to a hub: one for engines in this
process, one for servers. Both are safe from any thread and any event loop. What differs from the
other layers, and why, is in docs/channels.md.

Left out on purpose: several servers (sharding), and a receive without an event loop.
"""

from __future__ import annotations

import asyncio
import os
import weakref
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from channels.exceptions import ChannelFull
from channels.layers import BaseChannelLayer
from django.core.exceptions import ImproperlyConfigured

from cacheapp.channels.groups import OnGap, OnMessage, Subscription, group_command
from cacheapp.channels.hub import ProcessHub
from cacheapp.channels.invalidations import GROUP, Relay
from cacheapp.channels.links import Link
from cacheapp.channels.messages import Codec, is_flat, message_of, packed
from cacheapp.channels.names import Keys, channel_name, new_process
from cacheapp.channels.serverhub import ServerHub
from cacheapp.channels.steps import arun, run

__all__ = ["ChannelLayer"]

#: Messages that a group keeps for readers that were away; about, since whole blocks are trimmed.
GROUP_HISTORY: Final = 1000
RESERVED: Final = "__asgi_channel__"
RESERVED_TEXT: Final = f"{RESERVED} is a reserved key"

_layers: weakref.WeakSet[ChannelLayer] = weakref.WeakSet()


class ChannelLayer(BaseChannelLayer):
    """A channel layer on Redis, or on an engine in this process.

    ``cache`` is an alias of CACHES ("default" where neither is given), ``url`` a server instead.
    ``prefix`` goes before every key. ``expiry`` and ``group_expiry`` are in seconds, ``capacity``
    and ``channel_capacity`` (by glob or compiled expression) in messages, as in channels.
    ``group_history`` is how many messages a group keeps for readers that were away.
    ``symmetric_encryption_keys`` encrypt messages on the server: the first writes, all read.

    Raises ImproperlyConfigured for an alias that is not ours, and ValueError for a wrong URL. The
    methods raise redis-py's errors while the server does not answer, except ``receive``, which
    waits, and TypeError or AssertionError for names and messages that channels does not allow.
    """

    extensions: Final = ["groups", "flush"]

    def __init__(
        self,
        cache: str | None = None,
        url: str | None = None,
        prefix: str = "asgi",
        expiry: float = 60,
        group_expiry: float = 86400,
        capacity: int = 100,
        channel_capacity: Mapping[Any, int] | None = None,
        group_history: int = GROUP_HISTORY,
        symmetric_encryption_keys: Sequence[str | bytes] | None = None,
    ) -> None:
        if cache is not None and url is not None:
            raise ImproperlyConfigured("a channel layer has a cache or a url, not both")
        super().__init__(expiry=expiry, capacity=capacity)
        self.channel_capacity = self.compile_capacities(channel_capacity or {})
        self.group_expiry = group_expiry
        self.group_history = group_history
        self.prefix = prefix
        self._link = Link(cache if cache or url else "default", url)
        self._keys = Keys(self._link.prefix + prefix)
        codec = Codec(symmetric_encryption_keys)
        self._local: ProcessHub | None = None
        self._remote: ServerHub | None = None
        if self._link.in_process:
            self._local = ProcessHub.shared(self._link, self._keys, codec, expiry)
        else:
            self._remote = ServerHub(self._link, self._keys, codec, expiry)
        self._hub: ProcessHub | ServerHub = self._local or self._remote  # type: ignore[assignment]
        self._register()
        _layers.add(self)
        # The hub does not know its layer, so that one which nobody holds is gone at once.
        weakref.finalize(self, _end, self._hub).atexit = False

    def _register(self) -> None:
        """Take a name for this layer; again in a process that was just forked."""
        if self._remote is not None:
            capacity_of = _capacity_function(self.capacity, self.channel_capacity)
            self._remote.use(capacity_of, self.group_expiry, self.group_history)
            self.client_prefix = self._remote.process
        else:
            assert self._local is not None
            self.client_prefix = new_process()
            self._local.processes[self.client_prefix] = self
        # Looked up once: they are on the way of every message.
        self._put, self._take = self._hub.boxes.put, self._hub.boxes.take
        #: The groups of this layer that hear of invalidations.
        self._relays: dict[str, Relay] = {}

    def reset_after_fork(self) -> None:
        """In a child: become a layer of its own, whose channels are new ones."""
        self._hub.reset_once(os.getpid())
        self._register()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._link.name} {self.prefix}>"

    def _do(self, method: str, *arguments: Any) -> Any:
        """Have the hub do it, and wait."""
        found = getattr(self._hub, method)(*arguments)
        return found if self._remote is None else run(self._link, found)

    async def _ado(self, method: str, *arguments: Any) -> Any:
        found = getattr(self._hub, method)(*arguments)
        return found if self._remote is None else await arun(self._link, found)

    # Channels

    async def new_channel(self, prefix: str = "specific") -> str:
        """Return a new name of a channel that is this process's own."""
        if self._remote is not None:
            self._remote.saw(asyncio.get_running_loop())
            if self._remote.reader is None:
                await arun(self._link, self._remote.open())
        return channel_name(prefix, self.client_prefix)

    async def send(self, channel: str, message: dict[str, Any]) -> None:
        """Send a message to a channel. Raises ChannelFull where it has its capacity waiting."""
        if not self._sent_here(channel, message):
            assert self._remote is not None
            command = self._remote.quick_send(channel, message)
            if command is None or await self._link.arun(None, (), command) is None:
                steps = self._remote.send(channel, message, self.get_capacity(channel))
                await arun(self._link, steps)

    def send_sync(self, channel: str, message: dict[str, Any]) -> None:
        """See ``send``; needs no event loop."""
        if not self._sent_here(channel, message):
            assert self._remote is not None
            command = self._remote.quick_send(channel, message)
            if command is None or self._link.run(None, (), command) is None:
                run(self._link, self._remote.send(channel, message, self.get_capacity(channel)))

    def _sent_here(self, channel: str, message: dict[str, Any]) -> bool:
        """Send without asking a server; False where it has to be asked."""
        assert isinstance(message, dict), "message is not a dict"
        assert RESERVED not in message, RESERVED_TEXT
        capacity = self.get_capacity(channel) if self.channel_capacity else self.capacity
        if self._remote is not None and not self._remote.is_own_and_calm(channel):
            self.require_valid_channel_name(channel)
            return False
        body = message.copy() if is_flat(map(type, message.values())) else packed(message)
        if not self._put(channel, body, capacity, self.require_valid_channel_name):
            raise ChannelFull(channel)
        return True

    async def receive(self, channel: str) -> dict[str, Any]:
        """Return the channel's oldest message, and wait for one. Cancelling it loses nothing.

        Of several that wait for one channel, the first gets the first message. Raises
        AssertionError for a channel of another process.
        """
        body = self._take(channel)
        if body is None:
            self.require_valid_channel_name(channel)
            self._hub.check_owner(channel)
            if self._remote is not None and self._remote.reader is None:
                await arun(self._link, self._remote.open())
            body = await self._hub.boxes.receive(channel)
        return body.copy() if type(body) is dict else message_of(body)

    # Groups

    async def group_add(self, group: str, channel: str) -> None:
        """Make a channel a member of a group; again, it stays for ``group_expiry`` from now."""
        self._check_names(group, channel)
        capacity = self.get_capacity(channel)
        if group.startswith(GROUP):
            await self._relay(group).ready()
            self._relay(group).add(channel, capacity, self.group_expiry)
        else:
            await self._ado("group_add", group, channel, capacity, self.group_expiry)

    def group_add_sync(self, group: str, channel: str) -> None:
        """See ``group_add``; needs no event loop."""
        self._check_names(group, channel)
        capacity = self.get_capacity(channel)
        if group.startswith(GROUP):
            self._relay(group).add(channel, capacity, self.group_expiry)
        else:
            self._do("group_add", group, channel, capacity, self.group_expiry)

    async def group_discard(self, group: str, channel: str) -> None:
        """End a membership; does nothing where there is none."""
        self._check_names(group, channel)
        if group in self._relays:
            self._relays[group].discard(channel)
        else:
            await self._ado("group_discard", group, channel)

    def group_discard_sync(self, group: str, channel: str) -> None:
        """See ``group_discard``; needs no event loop."""
        self._check_names(group, channel)
        if group in self._relays:
            self._relays[group].discard(channel)
        else:
            self._do("group_discard", group, channel)

    def _relay(self, group: str) -> Relay:
        """Return what tells a group of invalidations; see ``invalidations``."""
        found = self._relays.get(group)
        if found is None:
            found = self._relays[group] = Relay(self, group)
        return found

    def put(self, channel: str, body: Any, capacity: int) -> bool:
        """Put a message, as ``messages.local_body`` makes it, into a channel of this process.

        Returns False where ``capacity`` messages wait there already.
        """
        return self._put(channel, body, capacity, self.require_valid_channel_name)

    async def group_send(self, group: str, message: dict[str, Any]) -> None:
        """Send a message to all members; those that are over capacity go without it."""
        self._check_group_message(group, message)
        await self._ado("group_send", group, message, self.group_history)

    def group_send_sync(self, group: str, message: dict[str, Any]) -> None:
        """See ``group_send``; needs no event loop, and opens no connection of its own."""
        self._check_group_message(group, message)
        self._do("group_send", group, message, self.group_history)

    def group_send_in(self, pipeline: Any, group: str, message: dict[str, Any]) -> None:
        """Queue a ``group_send`` on a redis-py pipeline, which must be of this layer's server.

        It is one command, sync or asyncio. In a transaction the group hears of it if and only if
        EXEC ran, except where the group's key holds another type or the server has no memory left:
        there this command's reply is an error, and the others' work stands.
        """
        self._check_group_message(group, message)
        packed_message = self._hub.codec.pack(message)
        command = group_command(self._keys.group(group), self.group_history, packed_message)
        if self._local is not None:
            self._local.queued()
        pipeline.execute_command(*command)

    def subscribe(self, group: str, on_message: OnMessage, on_gap: OnGap) -> Subscription:
        """Have every message of a group from now on, in order, or be told where some are missing.

        See ``groups.Subscription``; its ``close()`` ends it. Waits for the server, for a
        round trip or two. Raises ValueError where the group's key holds another type.
        """
        self.require_valid_group_name(group)
        found: Subscription = self._do("subscribe", group, on_message, on_gap)
        return found

    # The rest

    def serialize(self, message: dict[str, Any]) -> bytes:
        """Return a message as the server keeps it, encrypted where the settings say so."""
        return self._hub.codec.pack(message)

    def deserialize(self, message: bytes) -> dict[str, Any]:
        """Return the message that ``serialize`` wrote. Raises ValueError for a foreign key's."""
        return message_of(self._hub.codec.body(message))

    @property
    def channels(self) -> list[str]:
        """The channels that have messages in this process; a receive drops the expired ones."""
        return self._hub.boxes.names()

    async def flush(self) -> None:
        """Delete all messages and groups, here, on the server, and in its other processes."""
        for relay in self._relays.values():
            relay.end()
        await self._ado("flush")

    async def close(self) -> None:
        """End the thread and the connections of this layer; it may be used again."""
        await self._ado("close")
        if self._remote is not None:
            self._link.close()

    async def close_pools(self) -> None:
        """See ``close``; the name that channels_redis gives it."""
        await self.close()

    def _check_group_message(self, group: str, message: Any) -> None:
        assert isinstance(message, dict), "message is not a dict"
        assert RESERVED not in message, RESERVED_TEXT
        self.require_valid_group_name(group)

    def _check_names(self, group: str, channel: str) -> None:
        self.require_valid_group_name(group)
        self.require_valid_channel_name(channel)


def _capacity_function(capacity: int, patterns: list[tuple[Any, int]]) -> Callable[[str], int]:
    """Return what ``get_capacity`` is, without the layer."""

    def capacity_of(channel: str) -> int:
        for pattern, found in patterns:
            if pattern.match(channel):
                return found
        return capacity

    return capacity_of


def _end(hub: ProcessHub | ServerHub) -> None:
    hub.end()


def _after_fork_in_child() -> None:
    for layer in list(_layers):
        layer.reset_after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
