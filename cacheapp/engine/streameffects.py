"""The effects of readers of a stream's group, as the commands that do the same on a copy.

Who is given an entry, and when, cannot be worked out from XREADGROUP or XAUTOCLAIM a second time.
So each entry goes out as an XCLAIM of its own, which says to whom it belongs, since when and the
how manieth time; where nothing is to be acknowledged, the group is told how far it has come.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cacheapp.engine.structures.stream import format_id
from cacheapp.engine.structures.streamgroup import Group, Pending

if TYPE_CHECKING:
    from cacheapp.engine.session import Session

__all__ = ["claimed", "moved"]


def claimed(
    session: Session, key: bytes, name: bytes, group: Group, entry: bytes, pending: Pending
) -> None:
    """Send that the `entry` of an id is pending in the group `name` as `pending` says."""
    propagation = session.engine.propagation
    if propagation is None:
        return
    words = [
        b"XCLAIM", key, name, pending.consumer.name, b"0", entry,
        b"TIME", b"%d" % pending.delivered_ms, b"RETRYCOUNT", b"%d" % pending.deliveries,
        b"FORCE", b"JUSTID", b"LASTID", format_id(group.last_id),
    ]  # fmt: skip
    propagation.also(session.db.index, words)


def moved(session: Session, key: bytes, name: bytes, group: Group) -> None:
    """Send how far the group `name` has come."""
    propagation = session.engine.propagation
    if propagation is None:
        return
    read = -1 if group.entries_read is None else group.entries_read
    words = [
        b"XGROUP", b"SETID", key, name, format_id(group.last_id), b"ENTRIESREAD", b"%d" % read,
    ]  # fmt: skip
    propagation.also(session.db.index, words)
