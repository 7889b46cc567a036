"""ACL LOG: what was refused lately, equal events counted together, the newest first.

An event counts into one of the ten newest entries if that has the same reason, context, object and
user and is at most a minute old. The log is bounded by acllog-max-len.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice

_GROUPED_MS = 60_000
_GROUPED_ENTRIES = 10


@dataclass(slots=True)
class Entry:
    """Equal events. `client` is the line of CLIENT LIST of the last one's client."""

    reason: str
    context: str
    object: bytes
    username: bytes
    updated_ms: int
    client: bytes
    count: int = 1

    def is_like(self, other: Entry) -> bool:
        """Whether both are the same event again."""
        return (
            self.reason == other.reason
            and self.context == other.context
            and abs(self.updated_ms - other.updated_ms) <= _GROUPED_MS
            and self.object == other.object
            and self.username == other.username
        )


class AclLog:
    """The entries, the newest first."""

    __slots__ = ("entries",)

    def __init__(self) -> None:
        self.entries: list[Entry] = []

    def add(self, entry: Entry, entries_max: int) -> None:
        """Count `entry` into an equal one, which becomes the newest, or keep it as a new one."""
        for known in islice(self.entries, _GROUPED_ENTRIES):
            if known.is_like(entry):
                self.entries.remove(known)
                entry.count = known.count + 1
                self.entries.insert(0, entry)
                return
        self.entries.insert(0, entry)
        del self.entries[entries_max:]

    def clear(self) -> None:
        """Forget everything."""
        self.entries.clear()
