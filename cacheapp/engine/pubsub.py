"""Who listens to which channel, and delivery to them.

Subscribers of a channel are kept in order of subscription, as Redis keeps them. Delivery goes
through `Session.deliver` and happens inside the publishing command, so a subscriber sees messages
in the order in which commands ran.
"""

from __future__ import annotations

from cacheapp.engine.arguments import glob_matcher
from cacheapp.engine.replies import Push
from cacheapp.engine.session import Session

Subscribers = dict[bytes, dict[Session, None]]


class PubSub:
    """Channels, patterns and shard channels with their subscribers."""

    __slots__ = ("channels", "patterns", "shard_channels")

    def __init__(self) -> None:
        self.channels: Subscribers = {}
        self.patterns: Subscribers = {}
        self.shard_channels: Subscribers = {}

    def subscribe(self, session: Session, channel: bytes) -> None:
        """Add `session` to `channel`; again is no change."""
        session.channels[channel] = None
        self.channels.setdefault(channel, {})[session] = None

    def psubscribe(self, session: Session, pattern: bytes) -> None:
        """Add `session` to `pattern`; again is no change."""
        session.patterns[pattern] = None
        self.patterns.setdefault(pattern, {})[session] = None

    def unsubscribe(self, session: Session, channel: bytes) -> None:
        """Take `session` off `channel`; no change where it was not on it."""
        session.channels.pop(channel, None)
        _drop(self.channels, channel, session)

    def punsubscribe(self, session: Session, pattern: bytes) -> None:
        """Take `session` off `pattern`; no change where it was not on it."""
        session.patterns.pop(pattern, None)
        _drop(self.patterns, pattern, session)

    def ssubscribe(self, session: Session, channel: bytes) -> None:
        """Add `session` to the shard channel `channel`; again is no change."""
        session.shard_channels[channel] = None
        self.shard_channels.setdefault(channel, {})[session] = None

    def sunsubscribe(self, session: Session, channel: bytes) -> None:
        """Take `session` off the shard channel `channel`; no change where it was not on it."""
        session.shard_channels.pop(channel, None)
        _drop(self.shard_channels, channel, session)

    def forget(self, session: Session) -> None:
        """Take `session` off everything, without confirmations (it is gone, or RESET)."""
        for channel in list(session.channels):
            self.unsubscribe(session, channel)
        for pattern in list(session.patterns):
            self.punsubscribe(session, pattern)
        for channel in list(session.shard_channels):
            self.sunsubscribe(session, channel)

    def publish(self, channel: bytes, message: bytes) -> int:
        """Deliver `message`; return how many subscriptions received it."""
        receivers = 0
        subscribers = self.channels.get(channel)
        if subscribers:
            # A copy: a front may drop a session that is too slow while it is being served.
            for session in list(subscribers):
                session.deliver(Push([b"message", channel, message]))
                receivers += 1
        for pattern, sessions in list(self.patterns.items()):
            if glob_matcher(pattern)(channel):
                for session in list(sessions):
                    session.deliver(Push([b"pmessage", pattern, channel, message]))
                    receivers += 1
        return receivers

    def spublish(self, channel: bytes, message: bytes) -> int:
        """Deliver `message` on a shard channel; return how many sessions received it."""
        subscribers = list(self.shard_channels.get(channel, ()))
        for session in subscribers:
            session.deliver(Push([b"smessage", channel, message]))
        return len(subscribers)


def _drop(table: Subscribers, name: bytes, session: Session) -> None:
    subscribers = table.get(name)
    if subscribers is not None:
        subscribers.pop(session, None)
        if not subscribers:
            del table[name]
