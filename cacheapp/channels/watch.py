"""A reader of very many streams asks for those that changed, of which the server tells it.

A blocking XREAD names every stream each time: for thousands of groups that is milliseconds a
message, here and at the server. Beyond WATCHED_FROM the reader has the server track what it read
(CLIENT TRACKING), which sends the name of a stream that changed, once, and reads just those. The
order of sending stays: a change is told before any reply that was made after it, so whatever
changed while it was read is read again before anything is dealt with.

Left out on purpose: connections that speak RESP2, to which nothing can be told.
"""

from __future__ import annotations

from collections.abc import Iterable
from time import monotonic
from typing import TYPE_CHECKING, Any

from redis._parsers.hiredis import NOT_ENOUGH_DATA
from redis.exceptions import ConnectionError as RedisConnectionError

from cacheapp.channels.groups import number_of
from cacheapp.clients.lean import pack

if TYPE_CHECKING:
    from cacheapp.channels.hub import Hub
    from cacheapp.channels.reader import Reader

__all__ = ["WATCHED_FROM", "Watch", "speaks_resp3"]

#: Groups from which on a reader watches, and half of which make it stop.
WATCHED_FROM = 200
#: Streams that one command names.
KEYS_MAX = 200
#: How often what goes on changing is read again before it is dealt with.
ROUNDS_MAX = 10
READ_COUNT = 1000


def speaks_resp3(connection: Any) -> bool:
    """Whether the server can tell a redis-py connection of changes."""
    return str(getattr(connection, "protocol", 2)) == "3"


class Watch:
    """What one connection watches. ``answer_s`` bounds a reply, ``wait_s`` a wait for news."""

    def __init__(self, reader: Reader, connection: Any, answer_s: float, wait_s: float) -> None:
        self._reader = reader
        self._connection = connection
        self._answer_s, self._wait_s = answer_s, wait_s
        self._watched: set[bytes] = set()
        # Those that were not read yet, and which set of streams it was.
        self._fresh: set[bytes] = set()
        self._seen = -1
        self._changed: set[bytes] = set()

    def start(self) -> None:
        """Have the server tell. Raises ResponseError where it does not."""
        self.ask("CLIENT", "TRACKING", "ON")

    def ask(self, *command: Any) -> Any:
        """Send a command and return its reply; what the server tells meanwhile is kept."""
        self._connection._sock.sendall(pack(self._connection, command))
        while True:
            found = self._next()
            if not self._note(found):
                if isinstance(found, Exception):
                    raise found
                return found

    def step(self, hub: Hub) -> None:
        """Wait until something changed, or read what did and have it dealt with."""
        wanted = self._look(hub)
        asked = (self._changed & wanted) | self._fresh
        self._changed.clear()
        if not asked:
            self._wait(hub)
            return
        began = monotonic()
        found: dict[bytes, Any] = {}
        for _ in range(ROUNDS_MAX):
            found |= self._read(hub, asked)
            asked = self._changed & wanted
            if not asked:
                break
            self._changed -= asked
        self._fresh = set()
        self._changed |= asked
        streams = {key: entries for key, entries in found.items() if entries}
        self._reader.deal(hub, streams, began)
        # What was left for the next time is not told again.
        after = self._positions(hub, streams)
        for key, entries in streams.items():
            last = number_of(entries[-1][0])
            if after.get(key, last) < last or len(entries) >= READ_COUNT:
                self._changed.add(key)

    def look_again(self) -> None:
        """Have the set of streams looked at, which a check may have changed."""
        self._seen = -1

    def _look(self, hub: Hub) -> set[bytes]:
        """Return the streams to watch; those that are new among them have to be read."""
        with hub.lock:
            if self._seen != hub.changes:
                self._seen = hub.changes
                # One without a position is not a stream now.
                wanted = {key for key, group in hub.by_key.items() if group.position}
                wanted.add(hub.process_key)
                # What was left out in between may have changed, and be told no more.
                self._fresh = (self._fresh & wanted) | (wanted - self._watched)
                self._watched = wanted
        return self._watched

    def _positions(self, hub: Hub, keys: Iterable[bytes]) -> dict[bytes, int]:
        with hub.lock:
            groups = {key: hub.by_key.get(key) for key in keys}
            found = {key: group.position for key, group in groups.items() if group is not None}
            if hub.process_key in groups:
                found[hub.process_key] = hub.position
        return found

    def _read(self, hub: Hub, keys: Iterable[bytes]) -> dict[bytes, Any]:
        """Read streams, each from its position on; nothing of those that got nothing."""
        positions = self._positions(hub, keys)
        left, found = list(positions), dict[bytes, Any].fromkeys(positions)
        while left:
            part, left = left[:KEYS_MAX], left[KEYS_MAX:]
            reply = self.ask(
                *("XREAD", "COUNT", READ_COUNT, "STREAMS"),
                *part,
                *(f"1-{positions[key]}" for key in part),
            )
            if reply:
                streams = reply.items() if isinstance(reply, dict) else reply
                found.update((bytes(key), entries) for key, entries in streams)
        return found

    def _wait(self, hub: Hub) -> None:
        sock = self._connection._sock
        sock.settimeout(self._wait_s)
        try:
            self._note(self._next())
        except TimeoutError:
            # A server that is gone says nothing either: it is asked.
            self._changed.add(hub.process_key)
        finally:
            sock.settimeout(self._answer_s)

    def _note(self, found: Any) -> bool:
        """Whether it is news, and no reply; of everything where the server forgot everything."""
        if type(found) is not self._connection._parser._hiredis_PushNotificationType:
            return False
        if found[0] == b"invalidate":
            if found[1] is None:
                # All streams are gone.
                self._changed |= self._watched
                self._reader.check_soon()
            else:
                self._changed |= set(map(bytes, found[1]))
        return True

    def _next(self) -> Any:
        parser = self._connection._parser
        reader = parser._reader
        found = reader.gets()
        while found is NOT_ENOUGH_DATA:
            size = self._connection._sock.recv_into(parser._buffer)
            if size == 0:
                raise RedisConnectionError("Connection closed by server.")
            reader.feed(parser._buffer, 0, size)
            found = reader.gets()
        return found
