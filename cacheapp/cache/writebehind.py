"""Write-behind: what is to be written later, in batches, by ``manage.py cacheapp_worker``.

``WriteBehind(name, handler)`` is a queue on the alias's server: a stream, to which any process
appends, and from which workers (``writeworker``) hand batches to ``handler``. A consumer group
shares the stream among workers and remembers what each has in hand, so what a crashed one had is
taken over. An entry is removed when the handler has returned: at least once. It may come twice, so
each has an id by which the handler, or the database, tells a repetition.

What cannot be handled after several tries is set aside on a second stream, with the error, to be
looked at, revived or discarded. Nothing is dropped: a full queue refuses to take more, and a
queue with too many set aside stops, since then it is the handler that is broken.

An append that failed is raised, also where the alias degrades: degraded means a cache that keeps
nothing, and this is no cache. Left out on purpose: order between workers. A batch is in order, two
workers are not.
"""

from __future__ import annotations

import json
import math
import secrets
import sys
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from django.core.cache import caches

from cacheapp.cache.errors import CacheError
from cacheapp.cache.keys import encode_key
from cacheapp.cache.serializers import MISSING
from cacheapp.cache.servers import Server, server_of
from cacheapp.clients.forks import renews
from cacheapp.clients.scripts import Script

Call = Callable[..., Any]

_LUA: Final = Path(__file__).parent / "lua"
GROUP: Final = "cacheapp"
#: Fields of an entry: the id, the payload as the alias's codec writes it, and why it was set aside.
ID, BODY, ERROR, TRIES = b"id", b"body", b"error", b"tries"
#: Entries set aside at which a queue stops.
DEAD_MAX: Final = 10_000
ID_SIZE_MAX: Final = 200


class QueueFullError(CacheError):
    """A write-behind queue that holds as much as it may. Nothing was appended."""


def _append(call: Call, _now_us: int, keys: Sequence[bytes], arguments: Sequence[Any]) -> Any:
    (key,), (most, identity, body) = keys, arguments
    if call(b"XLEN", key) >= most:
        return None
    return call(b"XADD", key, b"*", ID, identity, BODY, body)


APPEND: Final = Script.load(_LUA / "append.lua", _append)


@dataclass(frozen=True, slots=True)
class Item:
    """What a handler gets: the payload, the id that stays the same when it comes again.

    ``entry`` is where it stands in the stream, which begins with the milliseconds since the epoch
    at which it was appended.
    """

    id: str
    payload: Any
    entry: str


@dataclass(frozen=True, slots=True)
class DeadItem:
    """What was set aside: why, and after how many tries. The payload is None if unreadable."""

    entry: str
    id: str
    payload: Any
    error: str
    tries: int


#: Every queue of this process, by its name.
queues: dict[str, WriteBehind] = {}
_lock = threading.Lock()
renews(sys.modules[__name__], "_lock")


class WriteBehind:
    """A queue of writes. To be made once, at import, in an app's ``writebehind.py`` or models.

    ``handler`` gets a list of ``Item``, 1 to ``batch_size``; it may be a coroutine function. It is
    called when so many are there, or ``max_delay`` seconds after the first. Where it raises, the
    batch is tried again, ``tries`` times in all, then each item alone; what fails alone is set
    aside. What a worker has had in hand for ``claim_after`` seconds is taken over by another: it
    has to be longer than a batch takes. ``max_pending`` entries may wait at most. Raises
    ValueError for a name that is taken and for numbers that cannot be.
    """

    def __init__(
        self,
        name: str,
        handler: Callable[[list[Item]], Any],
        batch_size: int = 100,
        max_delay: float = 1.0,
        *,
        alias: str = "default",
        tries: int = 5,
        claim_after: float = 60.0,
        max_pending: int = 1_000_000,
    ) -> None:
        for label, number in (
            ("batch_size", batch_size), ("tries", tries), ("max_pending", max_pending),
        ):  # fmt: skip
            if type(number) is not int or number < 1:
                raise ValueError(f"{label} must be a whole number above zero, not {number!r}")
        for label, seconds in (("max_delay", max_delay), ("claim_after", claim_after)):
            if not 0 < seconds < math.inf:
                raise ValueError(f"{label} must be a number of seconds above 0, not {seconds!r}")
        if claim_after <= max_delay:
            raise ValueError(
                f"claim_after ({claim_after} s) must be longer than max_delay ({max_delay} s), or "
                "workers take from each other what they still gather"
            )
        self.name = name
        self.handler = handler
        self.batch_size = batch_size
        self.max_delay_s = max_delay
        self.alias = alias
        self.tries = tries
        self.claim_after_s = claim_after
        self.max_pending = max_pending
        with _lock:
            if name in queues:
                raise ValueError(f"There is a WriteBehind named {name!r} already: rename one")
            queues[name] = self

    @property
    def server(self) -> Server:
        """The server of the alias. Raises ImproperlyConfigured for one that is not ours."""
        return server_of(self.alias)

    @property
    def stream(self) -> bytes:
        """The server's key of the stream."""
        return encode_key(f"{self.server.prefix}:writebehind:{{{self.name}}}")

    @property
    def dead_stream(self) -> bytes:
        """The server's key of the stream of what was set aside."""
        return self.stream + b":dead"

    # Appending

    def append(self, payload: Any, id: str | None = None) -> str:
        """Append ``payload``, whatever the alias's serializer writes. Returns the entry's id.

        ``id`` tells a repetition; a random one is made unless given. Raises QueueFullError,
        SerializationError, and redis-py's errors: then it was not appended, or (a lost reply) it
        may have been. To append what a transaction commits, use ``transaction.on_commit``.
        """
        identity, arguments = self._arguments(payload, id)
        self._taken(self.server.run(APPEND, [self.stream], arguments))
        return identity

    async def aappend(self, payload: Any, id: str | None = None) -> str:
        """See append()."""
        identity, arguments = self._arguments(payload, id)
        self._taken(await self.server.arun(APPEND, [self.stream], arguments))
        return identity

    def _arguments(self, payload: Any, identity: str | None) -> tuple[str, list[Any]]:
        identity = secrets.token_hex(16) if identity is None else str(identity)
        if not 0 < len(identity) <= ID_SIZE_MAX:
            raise ValueError(f"An id has 1 to {ID_SIZE_MAX} characters, not {len(identity)}")
        body = self._codec().encode(payload, self.stream)
        return identity, [self.max_pending, identity.encode(), body]

    def _codec(self) -> Any:
        return caches[self.alias].codec  # type: ignore[attr-defined]

    def _taken(self, entry: Any) -> None:
        if entry is None:
            raise QueueFullError(
                f"The queue {self.name!r} holds max_pending={self.max_pending} entries: see "
                "whether `manage.py cacheapp_worker` runs, start more of them, or allow more"
            )

    # Reading entries, for workers and for people

    def item(self, entry: bytes, fields: Mapping[bytes, bytes]) -> Item | None:
        """Return what an entry of the stream says, None for one that cannot be read."""
        body = fields.get(BODY)
        payload = MISSING if body is None else self._codec().decode(body, self.stream, MISSING)
        if payload is MISSING:
            return None
        return Item(_text(fields.get(ID)), payload, _text(entry))

    def counts(self) -> dict[str, int]:
        """Return how many entries are ``waiting`` (in workers' hands among them) and ``dead``."""
        client = self.server.client()
        waiting, dead = self.server.guard(
            client.pipeline(transaction=False).xlen(self.stream).xlen(self.dead_stream).execute
        )
        return {"waiting": waiting, "dead": dead}

    def dead(self, count: int = 100, after: str = "-") -> list[DeadItem]:
        """Return up to ``count`` of what was set aside, the oldest first."""
        start = after if after == "-" else f"({after}"
        client = self.server.client()
        found = self.server.guard(client.xrange, self.dead_stream, start, "+", count)
        items = []
        for entry, fields in found:
            item = self.item(entry, fields)
            payload = None if item is None else item.payload
            error, tries = _text(fields.get(ERROR)), int(fields.get(TRIES, 0))
            items.append(DeadItem(_text(entry), _text(fields.get(ID)), payload, error, tries))
        return items

    def revive(self, entries: Iterable[str] | None = None) -> int:
        """Put back what was set aside: those ``entries``, or all. Returns how many."""
        return self._take_dead(entries, puts_back=True)

    def discard(self, entries: Iterable[str] | None = None) -> int:
        """Delete what was set aside: those ``entries``, or all. Returns how many."""
        return self._take_dead(entries, puts_back=False)

    def _take_dead(self, entries: Iterable[str] | None, *, puts_back: bool) -> int:
        client, taken = self.server.client(), 0
        asked = None if entries is None else list(entries)
        for entry in self._dead_entries() if asked is None else asked:
            found = self.server.guard(client.xrange, self.dead_stream, entry, entry)
            for _, fields in found:
                pipeline = client.pipeline(transaction=True)
                pipeline.xdel(self.dead_stream, entry)
                if puts_back:
                    kept = {name: fields[name] for name in (ID, BODY) if name in fields}
                    pipeline.xadd(self.stream, kept)
                # Two that take the same entry put it back twice at worst, with the same id.
                taken += self.server.guard(pipeline.execute)[0]
        return taken

    def _dead_entries(self) -> list[str]:
        client, after, entries = self.server.client(), "-", []
        while True:
            found = self.server.guard(client.xrange, self.dead_stream, after, "+", 1000)
            entries += [_text(entry) for entry, _ in found]
            if len(found) < 1000:
                return entries
            after = f"({entries[-1]}"


def _text(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value or "")


def shown(payload: Any, size: int = 80) -> str:
    """Return a payload as one short line of text."""
    try:
        text = json.dumps(payload, default=repr, ensure_ascii=False)
    except (TypeError, ValueError):
        text = repr(payload)
    return text if len(text) <= size else f"{text[: size - 1]}…"
