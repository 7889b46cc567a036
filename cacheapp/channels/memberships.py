"""Who is in which group, on a server: asked for by any process, known by the owner of the channel.

``MemberHub`` is the part of the hub on a server that begins and ends memberships and hears of those
that others ask for. A general channel's are a hash on the server, of the script ``general``. Those
of a process's channels are in its memory. Another process that begins or ends one adds an entry to
the group's stream, whose number says from where on, and one to the owner's, who is told by it; see
decision 172 for how the calls of several processes keep their order.

Left out on purpose: messages, which are ``serverhub``'s.
"""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic
from typing import Any

from cacheapp.channels.groups import Group, number_of, stamp
from cacheapp.channels.hub import STREAM_TTL_S, Hub, opened_number
from cacheapp.channels.links import GENERAL, INVITE, STREAM
from cacheapp.channels.names import owner_of
from cacheapp.channels.steps import Steps

__all__ = ["MemberHub"]


class MemberHub(Hub):
    """See the module. Methods that ask something are operations (see ``steps``)."""

    def reset(self) -> None:
        """See Hub."""
        super().reset()
        self._capacity_of: Callable[[str], int] = lambda _: 0
        self._group_expiry_s = 0.0
        self._history = 0
        #: The entry of its own stream by which this process told itself of a membership.
        self._told = 0
        #: The last of the entries that follow what was read, and only end the reader's wait.
        self._woken_at = 0

    def use(self, capacity_of: Callable[[str], int], group_expiry_s: float, history: int) -> None:
        """Take from the layer what holds for channels that others fill or add to groups."""
        self._capacity_of = capacity_of
        self._group_expiry_s = group_expiry_s
        self._history = history

    def open(self) -> Steps:
        """Open this process's stream, and start reading."""
        if self.reader is None:
            found = yield STREAM, (self.process_key,), (STREAM_TTL_S, 1)
            self.start_reader(opened_number(found, self.process_key))

    def general_arguments(
        self, verb: str, channel: str, *more: Any, capacity: int | None = None
    ) -> tuple[Any, ...]:
        """Return the arguments of the script ``general``."""
        if capacity is None:
            capacity = self._capacity_of(channel)
        expiry_ms = int(self.expiry_s * 1000)
        return (
            *(verb, expiry_ms, capacity, self.keys.groups, self.keys.processes, channel),
            *more,
        )

    # Asked for here

    def group_add(self, name: str, channel: str, capacity: int, group_expiry_s: float) -> Steps:
        """Make a channel a member for ``group_expiry_s`` seconds, from now on."""
        key = self.keys.group(name)
        owner = owner_of(channel)
        if owner == self.process:
            yield from self.open()
            found = yield STREAM, (key, self.process_key), (STREAM_TTL_S, 1)
            number = opened_number(found, key)
            with self.lock:
                is_new = name not in self.groups
                is_done = self._has_read(found[1])
                if is_done:
                    self._join(name, channel, number, capacity, group_expiry_s)
            if not is_done:
                yield from self._invite(owner, "j", name, channel)
            elif is_new:
                yield from self._wake()
            return
        number = opened_number((yield STREAM, (key,), (STREAM_TTL_S, 1)), key)
        if owner is None:
            stay_ms = int(group_expiry_s * 1000)
            arguments = self.general_arguments("join", channel, name, number, stay_ms)
            yield GENERAL, self.keys.general(channel), arguments
        else:
            yield from self._invite(owner, "j", name, channel)

    def _wake(self) -> Steps:
        """Have the reader begin anew, since the set of streams changed."""
        number = number_of((yield None, (), self.wake_command()) or b"1-0")
        with self.lock:
            if number == max(self.position, self._woken_at) + 1:
                self._woken_at = number

    def _has_read(self, last: bytes) -> bool:
        """Whether this process has read its own stream, which ends with ``last``; under the lock.

        If not, it may not have heard of a membership that began or ended before.
        """
        return int(last or 0) in (self.position, self._woken_at)

    def _invite(self, owner: str, verb: str, name: str, channel: str) -> Steps:
        """Tell the owner of a channel, which may be this process, of a membership; whether it is.

        What it is told takes its turn among what others tell it.
        """
        keys = (self.keys.group(name), self.keys.process(owner))
        told = yield INVITE, keys, (verb, name, channel, self._history, stamp())
        if owner == self.process:
            with self.lock:
                self._told = max(self._told, told)
        return bool(told)

    def _join(
        self, name: str, channel: str, number: int, capacity: int, group_expiry_s: float
    ) -> None:
        """Add a member; with the lock held."""
        now = monotonic()
        group = self.track(name, number)
        group.join(channel, number, capacity, now, now + group_expiry_s)

    def group_discard(self, name: str, channel: str) -> Steps:
        """End a membership after what was sent to the group so far."""
        owner = owner_of(channel)
        if owner is None:
            arguments = self.general_arguments("leave", channel, name)
            yield GENERAL, self.keys.general(channel), arguments
            return
        if owner == self.process:
            if self.reader is None:
                return
            key = self.keys.group(name)
            found = yield STREAM, (key, self.process_key), (STREAM_TTL_S, 0)
            number = 0 if found[0] in (b"", b"!") else int(found[0])
            with self.lock:
                is_done = self._has_read(found[1])
                if is_done:
                    self._leave(name, channel, number)
            if is_done:
                return
        is_told = yield from self._invite(owner, "l", name, channel)
        if owner == self.process and not is_told:
            # Its stream was lost, and whatever others told it.
            with self.lock:
                self._leave(name, channel, 0)

    def _leave(self, name: str, channel: str, number: int) -> None:
        """End a membership after the entry ``number``; with the lock held."""
        group = self.groups.get(name)
        if group is not None:
            group.leave(channel, number)
            self.drop_unwanted(group)

    # Heard of

    def _invited(self, name: str, channel: str, number: int) -> bool:
        """A channel of ours became a member when the group's last was ``number``.

        Returns whether the group is new here, so that nothing of it was read.
        """
        group = self.groups.get(name)
        missed: list[bytes] = []
        if (
            group is not None
            and group.position > number
            and not group.is_member(channel, monotonic())
        ):
            # Somebody here began to read the group later than that.
            missed = self._sent_between(group, number, channel)
        self._join(name, channel, number, self._capacity_of(channel), self._group_expiry_s)
        for value in missed:
            self._message(channel, value, own=False)
        return group is None

    def _sent_between(self, group: Group, number: int, channel: str) -> list[bytes]:
        """Return what a channel got from a group after ``number`` and before it was read here."""
        found = []
        command = ("XRANGE", group.key, f"(1-{number}", f"1-{group.position}")
        for _, fields in self.link.client().execute_command(*command, NEVER_DECODE=[]):
            if fields.get(b"l") == channel.encode():
                break
            if b"m" in fields:
                found.append(fields[b"m"])
        return found

    def _message(self, channel: str, value: bytes, own: bool) -> None:
        """Deal with a message of a channel of this process, as it lay on the server."""
        raise NotImplementedError
