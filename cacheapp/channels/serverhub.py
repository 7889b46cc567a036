"""The hub of a layer whose server is another process: what to ask it, and what its answers mean.

The methods that ask something are operations (see ``steps``). A channel of a process goes through
that process's stream, a general one is a list on the server (see ``fetcher``), and a group is one
stream for all (see ``groups``).

Whether a channel of another process is full only that process knows. It notes full ones down on
the server, where senders look now and then (see ``fullness``); so they are refused a moment late,
as are those who are let in again. A process that sends to itself counts exactly.

Left out on purpose: Cluster (the scripts touch keys of several slots) and sharding.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import weakref
from asyncio import AbstractEventLoop
from collections.abc import Callable, Sequence
from functools import partial
from time import monotonic
from typing import Any

from channels.exceptions import ChannelFull
from redis.exceptions import RedisError

from cacheapp.channels.boxes import Box, Boxes
from cacheapp.channels.fetcher import Fetcher
from cacheapp.channels.fullness import Asked, Told
from cacheapp.channels.groups import (
    STAMP_DIGITS,
    Entry,
    Group,
    OnGap,
    OnMessage,
    age,
    group_command,
    number_of,
    stamp,
)
from cacheapp.channels.hub import STREAM_TTL_S, opened_number
from cacheapp.channels.links import GENERAL, SEND_LOCAL, STREAM
from cacheapp.channels.memberships import MemberHub
from cacheapp.channels.messages import Body, local_body
from cacheapp.channels.names import owner_of
from cacheapp.channels.steps import Steps

__all__ = ["ServerHub"]

logger = logging.getLogger("cacheapp.channels")

#: Entries in the stream of a process beyond which senders are refused: it is behind.
BACKLOG_MAX = 10_000
#: Entries that the process read and that are trimmed away together.
TRIM_EVERY = 256
SCAN_COUNT = 1000
#: Groups of which a loop reads; more are a longer command than a loop should pack.
LENT_GROUPS_MAX = 64
#: Seconds after which a loop is the only one that receives.
ALONE_S = 2.0


class ServerHub(MemberHub):
    """The state of one layer on a server; see the module."""

    def reset(self) -> None:
        """See Hub."""
        super().reset()
        self.fetcher = Fetcher(self)
        self._full = Told(self._is_full)
        self._asked = Asked()
        self._trimmed = 0
        #: The loop that received last, and when it has been the only one for long enough.
        self._loop: Callable[[], AbstractEventLoop | None] = lambda: None
        self._alone_at = 0.0
        #: The last entries that this process sent to its groups, until it has read them.
        self._ahead: dict[str, int] = {}
        #: Until when strays may be found (see ``_lost``), and which channels were looked at.
        self._strays_until = 0.0
        self._looked: set[str] = set()

    def new_boxes(self) -> Boxes:
        """See Hub."""
        return Boxes(self.expiry_s, self._sleeps, self._waits)

    def _sleeps(self, box: Box) -> None:
        """A receive went to sleep at the box."""
        self.saw(asyncio.get_running_loop())
        self._waits(box)

    def _waits(self, box: Box) -> None:
        """A receive waits at the box, or was cancelled there."""
        if "!" in box.name:
            if self._strays_until:
                self._look_for_strays(box.name)
        elif box.waiters or box.items:
            self.fetcher.request(box.name)

    def _lost(self) -> None:
        """This process's stream was gone: strays, sent meanwhile, lie where general ones do."""
        self.boxes.forget_flights()
        self._looked.clear()
        self._strays_until = monotonic() + self.expiry_s
        for box in self.boxes.waiting():
            self._waits(box)

    def _look_for_strays(self, channel: str) -> None:
        """Have a channel's strays fetched, once; of one that comes later the server tells."""
        if monotonic() > self._strays_until:
            self._strays_until = 0.0
            self._looked.clear()
        elif channel not in self._looked:
            self._looked.add(channel)
            self.fetcher.request(channel)

    def strays(self, channel: str, values: Sequence[bytes]) -> None:
        """Put into a channel of this process what did not come by its stream."""
        with self.lock:
            for value in values:
                self._message(channel, value, own=False)

    def room(self, channel: str) -> int:
        """Return how many messages a channel of this process has room for."""
        return self._capacity_of(channel) - self.boxes.count(channel)

    def is_own_and_calm(self, channel: str) -> bool:
        """Whether a message to ``channel`` may stay in this process.

        It is for this process, and nothing that this process sent before is still on its way here,
        so that the order of sending stays the order of receiving.
        """
        return isinstance(channel, str) and owner_of(channel) == self.process and self._is_calm()

    # Steps

    def send(self, channel: str, message: dict[str, Any], capacity: int) -> Steps:
        """Send to a channel. Raises ChannelFull."""
        packed = self.codec.pack(message)
        owner = owner_of(channel)
        if owner is not None:
            reply = yield from self._send_to(owner, channel, packed, capacity)
            if reply == 1:
                return
            if reply == 0:
                raise ChannelFull(channel)
        arguments = self.general_arguments("send", channel, packed, capacity=capacity)
        reply = yield GENERAL, self.keys.general(channel), arguments
        if reply == 0:
            raise ChannelFull(channel)

    def quick_send(self, channel: str, message: dict[str, Any]) -> tuple[Any, ...] | None:
        """Return the one command that sends to a channel of another process.

        Its reply is None where that process is not there. Returns None instead of a command where
        ``send`` has to ask for more, such as whether the channel is full.
        """
        owner = owner_of(channel)
        if owner is None or owner == self.process or self._asked.is_due(owner):
            return None
        value = stamp() + self.codec.pack(message)
        key = self.keys.process(owner)
        return ("XADD", key, "NOMKSTREAM", "1-*", "m", value, "c", channel, "o", 0)

    def _send_to(self, owner: str, channel: str, packed: bytes, capacity: int) -> Steps:
        """Send by a process's stream; the reply is 1, 0 where full, -1 where it is not there."""
        own = owner == self.process
        if own:
            yield from self.open()
            if not self.boxes.depart(channel, capacity):
                return 0
        reply = None
        try:
            reply = yield (
                SEND_LOCAL,
                (self.keys.process(owner), self.keys.full(owner)),
                (channel, stamp() + packed, int(own), BACKLOG_MAX),
            )
        finally:
            if own and reply != 1:
                self.boxes.arrive(channel)
        if reply == 0:
            self._asked.was_full(owner)
        return reply

    def check_owner(self, channel: str) -> None:
        """Raise AssertionError for a channel of another process."""
        owner = owner_of(channel)
        assert owner is None or owner == self.process, "Wrong client prefix"

    def group_send(self, name: str, message: dict[str, Any], history: int) -> Steps:
        """Send to a group."""
        packed = self.codec.pack(message)
        key = self.keys.group(name)
        command = group_command(key, history, packed)
        entry_id = yield None, (), command
        is_known = name in self.groups
        if entry_id is None:
            if not is_known:
                return
            # The stream is gone, though there are members: this process is one that opens it.
            number = opened_number((yield STREAM, (key,), (STREAM_TTL_S, 1)), key)
            with self.lock:
                group = self.groups.get(name)
                if group is not None and group.position < number:
                    self.reopened(group, number, "the stream was gone")
            entry_id = yield None, (), command
            if entry_id is None:
                return
        if not is_known and self.position >= self._told:
            return
        number = number_of(entry_id)
        with self.lock:
            group = self.groups.get(name)
            if group is None:
                # Perhaps this process will be told that it has a member.
                if self.position < self._told:
                    self._ahead[name] = number
                return
            if group.position >= number:
                return
            if group.position == number - 1 and self._is_calm() and not group.is_reopened:
                # It is next, and nothing of ours is on its way: no need to wait for the reader.
                group.follow(number)
                self.deliver(group, number, local_body(message), 0.0)
                self._look_again(group)
            else:
                self._ahead[name] = number

    def _is_calm(self) -> bool:
        """Whether this process has read all that it sent to itself and to its groups."""
        return not (self._ahead or self.boxes.flying or self.position < self._told)

    def _settle(self) -> None:
        """Forget the groups of which this process has read all that it sent."""
        with self.lock:
            if self.position < self._told:
                return
            for name, number in list(self._ahead.items()):
                group = self.groups.get(name)
                if group is None or group.position >= number:
                    self._ahead.pop(name, None)

    def subscribe(self, name: str, on_message: OnMessage, on_gap: OnGap) -> Steps:
        """Subscribe to a group's stream; the Subscription."""
        yield from self.open()
        key = self.keys.group(name)
        number = opened_number((yield STREAM, (key,), (STREAM_TTL_S, 1)), key)
        subscription = self.subscription(name, number, on_message, on_gap)
        yield from self._wake()
        return subscription

    def flush(self) -> Steps:
        """Delete every message and group on the server, and have the other processes forget."""
        cursor: Any = 0
        while True:
            cursor, found = yield (
                None,
                (),
                ("SCAN", cursor, "MATCH", self.keys.everything, "COUNT", SCAN_COUNT),
            )
            for key in found:
                if not key.startswith(self.keys.processes):
                    yield None, (), ("UNLINK", key)
                    continue
                yield None, (), ("XTRIM", key, "MAXLEN", 0)
                if key != self.process_key:
                    yield None, (), ("XADD", key, "NOMKSTREAM", "1-*", "f", "1")
            if not int(cursor):
                break
        self._forget()

    def close(self) -> Steps:
        """Stop reading, and take this process's stream away."""
        reader, self.reader = self.reader, None
        self.fetcher.stop()
        if reader is not None:
            reader.stop()
            reader.join()
            # A server that is not there forgets them by itself, STREAM_TTL_S later.
            with contextlib.suppress(RedisError):
                yield None, (), ("UNLINK", self.process_key, self.keys.full(self.process))

    def end(self) -> None:
        """The layer is gone: end the threads, without asking the server."""
        self.fetcher.stop()
        if self.reader is not None:
            self.reader.stop()
            self.reader = None

    # What came

    def own_messages(self, entries: Sequence[tuple[bytes, list[bytes]]]) -> bool:
        """Deal with entries that are messages all; False where they are not, or one is missing."""
        if number_of(entries[0][0]) != self.position + 1:
            return False
        if any(fields[0] != b"m" for _, fields in entries):
            return False
        for entry_id, fields in entries:
            self.position = number_of(entry_id)
            self._trimmed += 1
            try:
                self._message(fields[3].decode(), fields[1], fields[5] == b"1")
            except Exception:
                logger.exception("Entry %r of this process could not be dealt with", entry_id)
        return True

    def own_entries(
        self, entries: Sequence[tuple[bytes, list[bytes]]]
    ) -> tuple[list[tuple[int, Callable[[], None]]], int | None]:
        """See Hub."""
        first = number_of(entries[0][0])
        if first != self.position + 1:
            # Deleted and opened anew, or trimmed by somebody's flush.
            self._lost()
        actions: list[tuple[int, Callable[[], None]]] = []
        latest = 0
        stop_us: int | None = None
        for entry_id, fields in entries:
            self._trimmed += 1
            last_id = entry_id
            try:
                sent_us, action, stop_us = self._own_action(fields)
            except (LookupError, ValueError) as error:
                logger.error("Entry %r of this process is not ours: %s", entry_id, error)
                continue
            latest = max(latest, sent_us)
            if action is not None:
                actions.append((latest, action))
            if stop_us is not None:
                break
        # Only now: what a failure left undone is read again.
        self.position = number_of(last_id)
        return actions, stop_us

    def _own_action(self, fields: list[bytes]) -> tuple[int, Callable[[], None] | None, int | None]:
        """Deal with a signal at once; of a message, when it was sent and what to do then.

        The third is when a group began of which nothing was read yet.
        """
        kind, value = fields[0], fields[1]
        if kind == b"m":
            channel, own = fields[3].decode(), fields[5] == b"1"
            return int(value[:STAMP_DIGITS]), partial(self._message, channel, value, own), None
        if kind == b"w":
            self._woken(value.decode())
        elif kind == b"j":
            if self._invited(value.decode(), fields[3].decode(), int(fields[5])):
                return 0, None, int(fields[7])
        elif kind == b"l":
            self._leave(value.decode(), fields[3].decode(), int(fields[5]))
        elif kind == b"f":
            self._forget()
        return 0, None, None

    def _message(self, channel: str, value: bytes, own: bool) -> None:
        if own:
            self.boxes.arrive(channel)
        age_s = age(value)
        try:
            body = self.codec.body(value[STAMP_DIGITS:])
        except ValueError as error:
            logger.error("Channel %s: %s", channel, error)
            return
        capacity = self._capacity_of(channel)
        if self.boxes.put_all([(channel, capacity)], body, age_s):
            logger.info("Channel %s is over capacity", channel)
        if self.boxes.count(channel) >= capacity:
            self._full.add(channel)

    def _woken(self, channel: str) -> None:
        if channel:
            self.fetcher.request(channel)

    def feed(self, group: Group, entry: Entry) -> None:
        """See Hub; general channels that are waited for look at the server again."""
        if entry.number > group.position:
            group.is_reopened = False
        super().feed(group, entry)
        self._look_again(group)
        if self._ahead:
            self._settle()

    def _look_again(self, group: Group) -> None:
        watchers, group.watchers = group.watchers, set()
        for channel in watchers:
            self._woken(channel)

    def watch(self, channel: str, groups: Sequence[tuple[str, int]]) -> None:
        """Have a general channel that is waited for look again when its groups get something."""
        is_new = False
        with self.lock:
            for name, number in groups:
                is_new = is_new or name not in self.groups
                group = self.track(name, number)
                group.watchers.add(channel)
                if group.position > number:
                    self.fetcher.request(channel)
        if is_new:
            self.link.run(None, (), self.wake_command())

    def stored(self, items: Sequence[tuple[float, Body]]) -> list[bytes]:
        """Return messages that lay here as they lie on the server."""
        now = monotonic()
        return [
            stamp(self.expiry_s - (expires - now)) + self.codec.sealed(body)
            for expires, body in items
        ]

    def own_opened(self, number: int) -> None:
        """See Hub."""
        super().own_opened(number)
        logger.warning("Channels of %s: this process's messages were lost", self.link.name)
        self._full.clear()
        self._told = self._woken_at = 0
        self._lost()

    def after_reading(self) -> None:
        """Note which channels are full, trim what was read, and fetch what is waited for."""
        if not self.needs_thread():
            return
        drained, fresh = self._full.changes()
        key = self.keys.full(self.process)
        if drained:
            self.link.run(None, (), ("SREM", key, *drained))
        if fresh:
            self.link.run(None, (), ("SADD", key, *fresh))
            self.link.run(None, (), ("EXPIRE", key, STREAM_TTL_S))
        if self._trimmed >= TRIM_EVERY:
            self._trimmed = 0
            self.link.run(None, (), ("XTRIM", self.process_key, "MINID", f"1-{self.position}"))

    def needs_thread(self) -> bool:
        """See Hub."""
        return bool(self._full or self._trimmed >= TRIM_EVERY)

    def reading_loop(self) -> AbstractEventLoop | None:
        """See Hub. It is the one that receives, where no other did lately."""
        loop = self._loop()
        if loop is None or not loop.is_running() or self.needs_thread():
            return None
        with self.lock:
            if len(self.groups) > LENT_GROUPS_MAX or monotonic() < self._alone_at:
                return None
            # Those who subscribed do not depend on a loop.
            return None if any(group.subscriptions for group in self.groups.values()) else loop

    def saw(self, loop: AbstractEventLoop) -> None:
        """The loop receives, or is about to."""
        before = self._loop()
        if before is loop:
            return
        self._loop = weakref.ref(loop)
        if before is not None and before.is_running():
            self._alone_at = monotonic() + ALONE_S
        if self.reader is not None:
            self.reader.ask_back()

    def checked(self) -> None:
        """Look again for whoever waits: an entry that would have woken them may be lost.

        What ends by itself is cleared away.
        """
        self._settle()
        self.boxes.sweep(only_if_due=True)
        for box in self.boxes.waiting():
            self._waits(box)

    def _is_full(self, channel: str) -> bool:
        return self.boxes.count(channel) >= self._capacity_of(channel)

    def _forget(self) -> None:
        with self.lock:
            self.boxes.clear()
            self._full.clear()
            for group in list(self.groups.values()):
                group.members.clear()
                group.watchers.clear()
                self.drop_unwanted(group)
        for box in self.boxes.waiting():
            self._waits(box)
