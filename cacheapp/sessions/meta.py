"""What the store keeps of a session beside its keys: when it began and was last seen, and where.

It stands in a field of its own, sealed, behind the time at which it was last seen, in the open:
most saves only ask whether that is long ago. Whoever can write there can delete the session too.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Final

from cacheapp.sessions.crypto import Sealer

#: The field that holds it; it also says that the session exists, so that an empty one does.
META_FIELD: Final = b"@"
#: What is kept of a user agent, which a client may make as long as it likes.
USER_AGENT_MAX: Final = 200
ADDRESS_MAX: Final = 64
_SEEN_SIZE: Final = 8


@dataclass(slots=True)
class Meta:
    """Times in milliseconds since the epoch. Address and user agent as KEEP_… allow."""

    created_ms: int
    seen_ms: int
    address: str = ""
    user_agent: str = ""

    def seal(self, sealer: Sealer, key: bytes) -> bytes:
        """The field's value for the session at ``key``."""
        parts = [self.created_ms, self.seen_ms, self.address, self.user_agent]
        body = json.dumps(parts, separators=(",", ":")).encode()
        return self.seen_ms.to_bytes(_SEEN_SIZE, "big") + sealer.seal(key + META_FIELD, body)

    @classmethod
    def open(cls, sealer: Sealer, key: bytes, raw: bytes | None) -> Meta | None:
        """Return what ``seal`` made for ``key``, or None for what this site did not."""
        body = None if raw is None else sealer.open(key + META_FIELD, raw[_SEEN_SIZE:])
        return None if body is None else cls(*json.loads(body))


def seen_ms(raw: bytes) -> int:
    """Return when the session of that field was last seen, without opening it."""
    return int.from_bytes(raw[:_SEEN_SIZE], "big")
