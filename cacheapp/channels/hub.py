"""What a layer keeps in this process: its boxes, the groups it has to do with, and the delivery.

``Hub`` is what both kinds share: a group's entry goes to the boxes of its members here and to who
subscribed. ``ProcessHub`` is the one for an engine in this process: no thread, no waiting;
channels are boxes, and a group's stream is written so that it can be subscribed to and can ride in
a transaction. All layers of one engine and prefix share one. Where somebody queues messages on
pipelines of their own, a reader is started there too, since nobody tells us when they ran.

Left out on purpose: other processes that reach the same engine through a TCP front. They and this
one see each other when all of them use that front's URL.
"""

from __future__ import annotations

import logging
import os
import sys
import threading
import weakref
from asyncio import AbstractEventLoop
from collections.abc import Callable, Sequence
from time import monotonic, time
from typing import TYPE_CHECKING, Any

from cacheapp.channels.boxes import Boxes
from cacheapp.channels.groups import (
    Entry,
    Group,
    OnGap,
    OnMessage,
    Subscription,
    group_command,
    number_of,
    read_entry,
)
from cacheapp.channels.links import STREAM, Link
from cacheapp.channels.messages import Body, Codec, local_body
from cacheapp.channels.names import Keys, new_process, owner_of
from cacheapp.channels.reader import Reader
from cacheapp.clients.forks import renews

if TYPE_CHECKING:
    from cacheapp.channels.layer import ChannelLayer

__all__ = ["STREAM_TTL_S", "Hub", "ProcessHub", "opened_number"]

logger = logging.getLogger("cacheapp.channels")

#: Seconds that a stream outlives its last reader. A process that was cut off for longer finds its
#: streams gone, and says so.
STREAM_TTL_S = 300
#: How many groups an engine's hub may have before expired memberships are looked for.
GROUPS_BEFORE_SWEEP = 1024


def opened_number(found: Sequence[bytes], key: bytes) -> int:
    """Return the last number of the one stream that the script was asked to open."""
    if found[0] == b"!":
        raise ValueError(f"the key {key!r} of a group holds something that is not a stream")
    return int(found[0])


class Hub:
    """The state of one layer; see the module. ``lock`` guards groups and their delivery."""

    def __init__(self, link: Link, keys: Keys, codec: Codec, expiry_s: float) -> None:
        self.link = link
        self.keys = keys
        self.codec = codec
        self.expiry_s = expiry_s
        self._pid = os.getpid()
        self.reset()

    def reset(self) -> None:
        """Begin anew, as a process that was just forked has to."""
        self.lock = threading.RLock()
        self.boxes = self.new_boxes()
        self.groups: dict[str, Group] = {}
        self.by_key: dict[bytes, Group] = {}
        #: How often the set of groups changed.
        self.changes = 0
        self.reader: Reader | None = None

        #: What this process is called on the server, and how far it read its own stream.
        self.process = new_process()
        self.process_key = self.keys.process(self.process)
        self.position = 0

    def reset_once(self, pid: int) -> None:
        """Reset in the process ``pid``, where that was not done yet."""
        if self._pid != pid:
            self._pid = pid
            self.reset()

    def new_boxes(self) -> Boxes:
        """Return the boxes to begin with."""
        return Boxes(self.expiry_s)

    def start_reader(self, number: int) -> None:
        """Start reading; the process's own stream is open and its last entry is ``number``."""
        with self.lock:
            if self.reader is None:
                self.position = number
                self.reader = Reader(self)
                self.reader.start()

    def wake_command(self) -> tuple[Any, ...]:
        """Return the command that ends the reader's wait, since the set of streams changed."""
        return ("XADD", self.process_key, "NOMKSTREAM", "1-*", "w", "")

    # Groups here

    def track(self, name: str, number: int) -> Group:
        """Return the group, beginning at ``number`` where it was unknown; with the lock held."""
        group = self.groups.get(name)
        if group is None:
            key = self.keys.group(name)
            group = self.groups[name] = self.by_key[key] = Group(name, key, number)
            self.changes += 1
        return group

    def drop_unwanted(self, group: Group) -> None:
        """Forget a group that nobody here has to do with; with the lock held."""
        if not group.is_wanted and self.groups.get(group.name) is group:
            del self.groups[group.name], self.by_key[group.key]
            self.changes += 1

    def forget_expired(self) -> None:
        """End the memberships that nobody renewed; with the lock held."""
        now = monotonic()
        for group in list(self.groups.values()):
            group.forget_expired(now)
            self.drop_unwanted(group)

    def subscription(
        self, name: str, number: int, on_message: OnMessage, on_gap: OnGap
    ) -> Subscription:
        """Add a subscription to a stream whose last entry was ``number``."""
        subscription = Subscription(name, on_message, on_gap)
        subscription.read_at = monotonic()

        def close() -> None:
            with self.lock:
                group = self.groups.get(name)
                if group is not None and subscription in group.subscriptions:
                    group.subscriptions.remove(subscription)
                    self.drop_unwanted(group)

        subscription.close = close
        with self.lock:
            self.track(name, number).subscriptions.append(subscription)
        return subscription

    # Delivery

    def feed(self, group: Group, entry: Entry) -> None:
        """Deal with an entry that was read from a group's stream; with the lock held."""
        if not group.follow(entry.number) or entry.packed is None:
            return
        try:
            body = self.codec.body(entry.packed)
        except ValueError as error:
            logger.error("Group %s: entry %d: %s", group.name, entry.number, error)
            return
        self.deliver(group, entry.number, body, max(0.0, time() - entry.sent_us / 1e6))

    def deliver(self, group: Group, number: int, body: Body, age_s: float) -> None:
        """Give a message to the group's members and subscribers here; with the lock held."""
        if group.members:
            recipients = group.recipients(number, monotonic())
            full = self.boxes.put_all(recipients, body, age_s)
            if full:
                logger.info(
                    "%d of %d channels over capacity in group %s",
                    full,
                    len(group.members),
                    group.name,
                )
            if not group.members:
                self.drop_unwanted(group)
        if group.subscriptions:
            group.publish(body, number)

    def reopened(self, group: Group, number: int, reason: str) -> None:
        """Go on at ``number`` of a stream that was not what we had read; with the lock held."""
        group.gap(reason)
        group.position = number
        group.is_reopened = True

    # What the reader calls

    def own_messages(self, entries: Sequence[tuple[bytes, list[bytes]]]) -> bool:
        """Deal with entries of the own stream that are messages all; False where they are not.

        A short way for ``own_entries``; with the lock held.
        """
        return False

    def own_entries(
        self, entries: Sequence[tuple[bytes, list[bytes]]]
    ) -> tuple[list[tuple[int, Callable[[], None]]], int | None]:
        """Deal with entries of this process's own stream, from the first on; with the lock held.

        Returns what is to be done in the order of time: when it was sent (µs), and what. Where the
        second is a time, the rest, and what groups got later than that, is to be read again, with
        a group that began then.
        """
        self.position = number_of(entries[-1][0])
        return [], None

    def own_opened(self, number: int) -> None:
        """Begin anew at ``number`` of the own stream, which was lost; with the lock held."""
        self.position = number

    def after_reading(self) -> None:
        """Do what has to be done after each read; without the lock."""

    def needs_thread(self) -> bool:
        """Whether ``after_reading`` has something to do, which may take a server."""
        return False

    def reading_loop(self) -> AbstractEventLoop | None:
        """Return the event loop that may read in the thread's place, if one may."""
        return None

    def checked(self) -> None:
        """Do what has to be done after each check of all streams; without the lock."""


#: The hubs of engines in this process, by engine, database and prefix.
_hubs: weakref.WeakValueDictionary[object, ProcessHub] = weakref.WeakValueDictionary()
_hubs_lock = threading.Lock()
renews(sys.modules[__name__], "_hubs_lock")


class ProcessHub(Hub):
    """The layers of one engine of this process. Every method is done when it returns."""

    def reset(self) -> None:
        """See Hub."""
        super().reset()
        #: The layers, by what their channels' names say.
        self.processes: weakref.WeakValueDictionary[str, ChannelLayer] = (
            weakref.WeakValueDictionary()
        )
        self._groups_kept = GROUPS_BEFORE_SWEEP

    @classmethod
    def shared(cls, link: Link, keys: Keys, codec: Codec, expiry_s: float) -> ProcessHub:
        """Return the hub of the link's engine and the keys' prefix; the last ``expiry_s`` holds."""
        identity = (link.identity(), keys.start)
        with _hubs_lock:
            hub = _hubs.get(identity)
            if hub is None:
                hub = _hubs[identity] = cls(link, keys, codec, expiry_s)
            hub.boxes.expiry_s = expiry_s
            return hub

    def group_add(self, name: str, channel: str, capacity: int, group_expiry_s: float) -> None:
        """Make a channel a member for ``group_expiry_s`` seconds, from now on."""
        with self.lock:
            now = monotonic()
            if len(self.groups) > self._groups_kept:
                self.forget_expired()
                self._groups_kept = max(GROUPS_BEFORE_SWEEP, 2 * len(self.groups))
            group = self.groups.get(name) or self._open(name)
            group.join(channel, group.position, capacity, now, now + group_expiry_s)

    def group_discard(self, name: str, channel: str) -> None:
        """End a membership, if it is one."""
        with self.lock:
            group = self.groups.get(name)
            if group is not None and group.members.pop(channel, None) is not None:
                self.drop_unwanted(group)

    def group_send(self, name: str, message: dict[str, Any], history: int) -> None:
        """Send to a group, whose members have the message when this returns."""
        body = local_body(message)
        with self.lock:
            group = self.groups.get(name)
            if group is None:
                return
            command = group_command(group.key, history, self.codec.pack(message))
            entry_id = self.link.run(None, (), command)
            if entry_id is None:
                self._open(name)
                entry_id = self.link.run(None, (), command)
            number = number_of(entry_id)
            if number != group.position + 1:
                self._catch_up(group, number)
            if group.follow(number):
                self.deliver(group, number, body, 0.0)

    def subscribe(self, name: str, on_message: OnMessage, on_gap: OnGap) -> Subscription:
        """Subscribe to a group's stream."""
        with self.lock:
            group = self.groups.get(name) or self._open(name)
            return self.subscription(name, group.position, on_message, on_gap)

    def queued(self) -> None:
        """A message rides in somebody's pipeline: from now on, a reader looks what came."""
        if self.reader is None:
            found = self.link.run(STREAM, (self.process_key,), (STREAM_TTL_S, 1))
            self.start_reader(opened_number(found, self.process_key))

    def flush(self) -> None:
        """Forget every message and every membership."""
        with self.lock:
            self.boxes.clear()
            for group in list(self.groups.values()):
                group.members.clear()
                self.link.run(None, (), ("UNLINK", group.key))
                self.drop_unwanted(group)

    def close(self) -> None:
        """End the reader."""
        reader, self.reader = self.reader, None
        if reader is not None:
            reader.stop()
            self.link.run(None, (), ("UNLINK", self.process_key))

    def _open(self, name: str) -> Group:
        """Open the group's stream where it is missing; with the lock held."""
        key = self.keys.group(name)
        found = self.link.run(STREAM, (key,), (STREAM_TTL_S, 1))
        number = opened_number(found, key)
        group = self.groups.get(name)
        if group is None:
            group = self.track(name, number)
            if self.reader is not None:
                self.link.run(None, (), self.wake_command())
            return group
        self.reopened(group, number, "the stream was gone")
        return group

    def _catch_up(self, group: Group, number: int) -> None:
        """Deal with entries that somebody's pipeline added before ``number``."""
        command = ("XRANGE", group.key, f"(1-{group.position}", f"(1-{number}")
        for entry_id, fields in self.link.client().execute_command(*command, NEVER_DECODE=[]):
            flat = [part for pair in fields.items() for part in pair]
            self.feed(group, read_entry(entry_id, flat))

    def end(self) -> None:
        """A layer is gone; the last one ends the reader."""
        if not self.processes and self.reader is not None:
            self.reader.stop()
            self.reader = None

    def check_owner(self, channel: str) -> None:
        """Raise AssertionError for a channel of a process that is not here."""
        owner = owner_of(channel)
        assert owner is None or owner in self.processes, "Wrong client prefix"
