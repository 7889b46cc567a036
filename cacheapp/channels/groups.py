"""A group is a stream, and its numbering proves that nothing is missing.

Entries are numbered ``1-n``, ``1-n+1`` and so on by Redis itself (``XADD key NOMKSTREAM … 1-*``).
Who opens a stream begins it at the server's time in microseconds, which no stream reaches by
counting. So one command sends, without knowing anything of the stream, and every reader sees a
gap as a jump in the numbers: entries that were trimmed away before they were read, and a stream
that was deleted and opened anew. A stream that is missing or went back shows at the next check.
A stream that does not exist has no reader, and sending to it does nothing.

``Group`` is one process's view of one group: how far it has read, which channels are members
here, and who subscribed to the stream itself. Subscriptions are what invalidation is built on:
each message once and in order, and a call of ``on_gap`` wherever that cannot be kept.

Left out on purpose: reading, which is the reader's, and time-outs. This module is arithmetic.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from cacheapp.channels.messages import Body, message_of

__all__ = [
    "Entry",
    "Group",
    "Member",
    "Subscription",
    "entry_fields",
    "group_command",
    "read_entry",
]

logger = logging.getLogger("cacheapp.channels")

#: Microseconds since the epoch, before each message on a server.
STAMP_DIGITS = 16

OnMessage = Callable[[dict[str, Any], int], None]
OnGap = Callable[[str], None]


def stamp(age_s: float = 0.0) -> bytes:
    """Return the time, ``age_s`` ago, as it stands before a message."""
    return b"%016d" % ((time.time() - age_s) * 1e6)


def age(stamped: bytes) -> float:
    """Return how many seconds ago a message was sent, by the clocks of two machines; 0 at least."""
    return max(0.0, time.time() - int(stamped[:STAMP_DIGITS]) / 1e6)


def entry_fields(packed: bytes) -> tuple[bytes, bytes]:
    """Return the field and the value of a message's entry."""
    return b"m", stamp() + packed


def group_command(key: bytes, history: int, packed: bytes) -> tuple[Any, ...]:
    """Return the command that sends to the group whose stream is ``key``; see the module."""
    return (
        *("XADD", key, "NOMKSTREAM", "MAXLEN", "~", history, "1-*"),
        *entry_fields(packed),
    )


@dataclass(slots=True)
class Entry:
    """One entry as it was read: its number, when it was sent (µs), and the packed message.

    ``packed`` is None for an entry that is no message; ``channel`` is the one whose membership
    began or ended here, where that is what the entry says.
    """

    number: int
    sent_us: int
    packed: bytes | None
    channel: str = ""


def read_entry(entry_id: bytes, fields: list[bytes]) -> Entry:
    """Return the entry that a server's reply holds. Raises ValueError for an id not of ours."""
    number = number_of(entry_id)
    if len(fields) == 2 and fields[0] == b"m" and fields[1][:STAMP_DIGITS].isdigit():
        value = fields[1]
        return Entry(number, int(value[:STAMP_DIGITS]), value[STAMP_DIGITS:])
    if len(fields) == 2 and fields[0] in (b"j", b"l"):
        return Entry(number, 0, None, fields[1].decode(errors="replace"))
    return Entry(number, 0, None)


def number_of(entry_id: bytes) -> int:
    """Return n of an id ``1-n``. Raises ValueError for another one."""
    epoch, _, number = entry_id.partition(b"-")
    if epoch != b"1":
        raise ValueError(f"not an id of a group's stream: {entry_id!r}")
    return int(number)


class Subscription:
    """Someone who gets every message of a group's stream, in order, or is told of a gap.

    ``on_message(message, number)`` and ``on_gap(reason)`` are called one at a time, from the thread
    that reads or from one of this process that sends, and must not block. ``on_gap`` comes before
    the messages that follow the gap. ``read_at`` is a moment of ``time.monotonic()``: all that the
    server had then has been given to ``on_message``, or to ``on_gap``. It moves on at least every
    ``reader.BLOCK_MS`` while the server answers.
    """

    def __init__(self, group: str, on_message: OnMessage, on_gap: OnGap) -> None:
        self.group = group
        self.on_message = on_message
        self.on_gap = on_gap
        self.read_at = 0.0
        self.close: Callable[[], None] = _do_nothing

    def give(self, body: Body, number: int) -> None:
        """Call ``on_message``. Raises ValueError for bytes that are no message."""
        self.on_message(message_of(body), number)


def _do_nothing() -> None:
    """Close nothing: the subscription was not opened."""


@dataclass(slots=True)
class Member:
    """A channel in a group: it gets the entries after ``since``, and up to ``until`` if that is.

    ``away`` are the ranges ``(after, up to)`` between, of which it gets nothing: it left, and came
    back before this process had read so far.
    """

    capacity: int
    since: int
    expires: float
    until: int | None = None
    away: tuple[tuple[int, int], ...] = ()

    def is_away(self, number: int) -> bool:
        """Whether the entry ``number`` was sent while the channel was no member."""
        return any(after < number <= up_to for after, up_to in self.away)


class Group:
    """One group as one process sees it. Guarded by the lock of its hub.

    ``position`` is the number of the last entry that was dealt with.
    """

    __slots__ = ("is_reopened", "key", "members", "name", "position", "subscriptions", "watchers")

    def __init__(self, name: str, key: bytes, position: int) -> None:
        self.name = name
        self.key = key
        self.position = position
        #: Whether nothing was read since the stream was gone, and with it what it told of
        #: memberships: only those who read their own stream as well know who is a member now.
        self.is_reopened = False
        self.members: dict[str, Member] = {}
        self.subscriptions: list[Subscription] = []
        #: General channels that somebody here waits at, and that are members on the server.
        self.watchers: set[str] = set()

    @property
    def is_wanted(self) -> bool:
        """Whether anybody here has to do with the group."""
        return bool(self.members or self.subscriptions or self.watchers)

    def gap(self, reason: str) -> None:
        """Say that messages may be missing."""
        for subscription in list(self.subscriptions):
            _call(subscription.on_gap, reason)
        if self.members:
            logger.warning("Group %s may have missed messages: %s", self.name, reason)

    def follow(self, number: int) -> bool:
        """Move on to the entry ``number``; False where it was dealt with already."""
        if number <= self.position:
            return False
        if number != self.position + 1:
            self.gap(f"entries {self.position + 1} to {number - 1} are gone")
        self.position = number
        return True

    def join(self, channel: str, number: int, capacity: int, now: float, expires: float) -> None:
        """Make a channel a member from the entry after ``number`` on; again, until ``expires``."""
        member = self.members.get(channel)
        if member is None or member.expires <= now:
            self.members[channel] = Member(capacity, number, expires)
            return
        member.expires, member.capacity = expires, capacity
        until, member.until = member.until, None
        if until is None:
            return
        if until <= self.position:
            self.members[channel] = Member(capacity, number, expires)
        elif until < number:
            member.away += ((until, number),)

    def leave(self, channel: str, number: int) -> None:
        """End a membership after the entry ``number``; does nothing where there is none."""
        member = self.members.get(channel)
        if member is None:
            return
        if self.position >= number:
            del self.members[channel]
        elif member.until is None:
            member.until = number

    def is_member(self, channel: str, now: float) -> bool:
        """Whether the channel gets what is sent to the group from now on."""
        member = self.members.get(channel)
        return member is not None and member.until is None and member.expires > now

    def forget_expired(self, now: float) -> None:
        """End the memberships that nobody renewed."""
        for name in [name for name, member in self.members.items() if member.expires <= now]:
            del self.members[name]

    def recipients(self, number: int, now: float) -> Iterable[tuple[str, int]]:
        """Return the channels that get the entry ``number``, each with its capacity."""
        found, ended = [], []
        for name, member in self.members.items():
            if member.expires <= now or (member.until is not None and member.until < number):
                ended.append(name)
            elif member.since < number and not (member.away and member.is_away(number)):
                found.append((name, member.capacity))
        for name in ended:
            del self.members[name]
        return found

    def publish(self, body: Body, number: int) -> None:
        """Give a message to those who subscribed."""
        for subscription in list(self.subscriptions):
            _call(subscription.give, body, number)


def _call(function: Callable[..., None], *arguments: Any) -> None:
    """Call somebody's function; what it raises is logged, and stops nobody else."""
    try:
        function(*arguments)
    except Exception:
        logger.exception("A subscription's %s failed", function)
