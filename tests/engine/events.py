"""Keyspace events as a test sees them: "event key", in the order in which they were published."""

from __future__ import annotations

from typing import Any

from cacheapp.engine.engine import Engine
from cacheapp.engine.replies import Push


class Events:
    """Switches keyspace notifications on and listens to all of them."""

    def __init__(self, engine: Engine) -> None:
        self._lines: list[str] = []
        engine.config.update({"notify-keyspace-events": frozenset("Eg$lshzxed")})
        session = engine.connect(self._deliver, protocol=3)
        engine.execute(session, [b"PSUBSCRIBE", b"__keyevent@0__:*"])

    def _deliver(self, reply: Any) -> None:
        assert isinstance(reply, Push)
        if reply[0] == b"pmessage":
            event = reply[2].partition(b":")[2]
            self._lines.append(f"{event.decode()} {reply[3].decode()}")

    def seen(self) -> list[str]:
        """What came since the last call."""
        lines, self._lines = self._lines, []
        return lines
