"""Seven methods beside redis-py's, bytes in and bytes out, that all our clients have.

A cache that makes its own keys and values has no use for redis-py's argument types, options and
decoding. These are GET, MGET, SET with a deadline and HGETALL without them; an engine's client
replaces them by functions for its session (see ``hot``), which is what they are for. ``together``
and ``transact`` are several commands in one round trip, without a pipeline's queue of objects.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from redis.client import NEVER_DECODE

__all__ = ["ByteCommands", "Commands"]

#: Commands as tuples of what redis-py takes for arguments.
Commands = Sequence[tuple[Any, ...]]


class ByteCommands:
    """The methods by way of ``execute_command``; asyncio clients return awaitables of the same.

    All raise redis-py's exceptions; another kind of value at a key is a ResponseError.
    """

    #: Whether replies come as bytes without asking for it.
    _replies_are_bytes = True

    def _undecoded(self) -> dict[str, Any]:
        return {} if self._replies_are_bytes else {NEVER_DECODE: []}

    # ``self`` is any of redis-py's clients, which have the methods that are called on it.

    def fetch(self: Any, key: bytes) -> Any:
        """Return the string at ``key``, or None."""
        return self.execute_command("GET", key, **self._undecoded())

    def fetch_many(self: Any, keys: Sequence[bytes]) -> Any:
        """Return the strings at ``keys`` (at least one) as a list, None for a missing one."""
        return self.execute_command("MGET", *keys, **self._undecoded())

    def fetch_fields(self: Any, key: bytes) -> Any:
        """Return the hash at ``key`` as a new dict; an empty one where there is none."""
        return self.execute_command("HGETALL", key, **self._undecoded())

    def store(self: Any, key: bytes, value: bytes, ttl_ms: int) -> Any:
        """Bind ``key`` to a string that is due in ``ttl_ms`` milliseconds; 0 is never.

        What comes back is true, but not the same object in every client.
        """
        if ttl_ms:
            return self.execute_command("SET", key, value, "PX", ttl_ms)
        return self.execute_command("SET", key, value)

    def store_many(self: Any, pairs: Iterable[tuple[bytes, bytes]], ttl_ms: int) -> Any:
        """Bind several keys as one, each due in ``ttl_ms`` milliseconds; 0 is never."""
        return self.mset_px(pairs, ttl_ms or None)

    def together(self: Any, commands: Commands) -> Any:
        """Send ``commands`` in one go and return their replies, error replies as exceptions.

        Other clients' commands may come in between.
        """
        return _queued(self.pipeline(transaction=False), commands).execute(raise_on_error=False)

    def transact(self: Any, commands: Commands) -> Any:
        """The same in one MULTI. Raises what a command was refused with: then none was run."""
        return _queued(self.pipeline(transaction=True), commands).execute(raise_on_error=False)


def _queued(pipeline: Any, commands: Commands) -> Any:
    for command in commands:
        pipeline.execute_command(*command)
    return pipeline
