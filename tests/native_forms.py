"""A script and its native form, side by side: the same replies, and the same data afterwards."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

from redis.exceptions import ResponseError

from cacheapp.clients.factory import get_client
from cacheapp.clients.scripts import Script
from cacheapp.engine.clock import ManualClock
from cacheapp.engine.engine import Engine

_numbers = itertools.count(1)


class Side:
    """One engine with a clock of its own, on which a script runs in one of its two forms."""

    def __init__(self, *, native: bool, now: float) -> None:
        name = f"native-forms-{next(_numbers)}"
        self.native = native
        self.engine = Engine.shared(name, {"enable-debug-command": "yes"})
        self.clock = self.engine.clock = ManualClock(now)
        self.client = get_client(f"memory://{name}")
        self.client.ping()  # opens its session
        Engine.discard(name)

    def run(self, script: Script, keys: Sequence[bytes], arguments: Sequence[Any]) -> Any:
        """The reply, or the error's text."""
        try:
            if self.native:
                reply = script.run(self.client, keys, arguments)
                return list(reply) if isinstance(reply, tuple) else reply
            return script.evaluate(self.client, keys, arguments)
        except ResponseError as error:
            return f"error: {str(error).partition(' script: ')[0]}"

    def data(self) -> dict[bytes, Any]:
        """Every key with its value's digest and its deadline."""
        client = self.client
        return {
            key: (client.execute_command("DEBUG", "DIGEST-VALUE", key), client.pexpiretime(key))
            for key in sorted(client.scan_iter(count=1000))
        }


class BothForms:
    """Two sides that are given the same: `run` compares their replies, `same_data` the rest."""

    def __init__(self, now: float = 1_000_000.0) -> None:
        self._now = now
        self.sides = [Side(native=False, now=now), Side(native=True, now=now)]

    def begin(self) -> BothForms:
        """Both empty again, at the time at which they began; for one more example."""
        for side in self.sides:
            side.client.flushall()
            side.clock.set(self._now)
        return self

    def command(self, *args: Any) -> None:
        """Run a command on both."""
        for side in self.sides:
            side.client.execute_command(*args)

    def advance(self, seconds: float) -> None:
        """Move both clocks forward."""
        for side in self.sides:
            side.clock.advance(seconds)

    def run(self, script: Script, keys: Sequence[bytes], arguments: Sequence[Any] = ()) -> Any:
        """The script's reply, which must be that of its native form, and so must the data."""
        lua, native = (side.run(script, keys, arguments) for side in self.sides)
        assert native == lua
        assert self.sides[1].data() == self.sides[0].data()
        return lua
