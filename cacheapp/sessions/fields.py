"""The dict behind a session: values opened when they are asked for, and what changed.

A session is a hash on the server, a field a key. Most requests look at one or two of its values, so
a value stays sealed until somebody wants it. What has to be written is found by comparing: of each
value that was opened its form when loaded with its form now, so that a list which was changed in
place is noticed, and a value set to what it was is not written.

Left out on purpose: merging inside a value. Two requests that change one key are two writers of one
value, and the last one's stays, whole.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from typing import Any

from django.contrib.sessions.serializers import JSONSerializer

from cacheapp.sessions.crypto import Sealer

logger = logging.getLogger("django.security.SuspiciousSession")

# The first byte of a body: text as it is, or whatever SESSION_SERIALIZER makes of a value.
_TEXT, _SERIALIZED = b"s", b"v"
# The first byte of a field's name: a key as it is, or hidden, its name inside the seal.
PLAIN, HIDDEN = b".", b"~"
_NOT_GIVEN = object()


class Coder:
    """Turns keys and values into fields and back, for one session at one place."""

    __slots__ = ("_sealer", "_serializer", "place")

    def __init__(self, sealer: Sealer, serializer: Any, place: bytes) -> None:
        self._sealer = sealer
        self._serializer = serializer
        self.place = place

    @property
    def encrypts(self) -> bool:
        """Whether what is new is encrypted."""
        return self._sealer.encrypts

    def body(self, value: Any) -> bytes:
        """A value's form, before it is sealed. Raises what the serializer raises."""
        kind = value.__class__
        if kind is str:
            return _TEXT + value.encode("utf-8", "surrogatepass")
        if kind is int and self._serializer.__class__ is JSONSerializer:
            return b"v%d" % value  # what it makes of an int
        dumped: bytes = self._serializer.dumps(value)
        return _SERIALIZED + dumped

    def value(self, body: bytes) -> Any:
        """The value whose form is ``body``."""
        if body[:1] == _TEXT:
            return body[1:].decode("utf-8", "surrogatepass")
        return self._serializer.loads(body[1:])

    def field(self, name: str) -> bytes:
        """The name of a key's field."""
        if not self._sealer.encrypts:
            return PLAIN + name.encode("utf-8", "surrogatepass")
        place = self.place.decode("latin-1")
        return HIDDEN + self._sealer.hidden(f"{place}:{name}").encode()

    def seal(self, name: str, field: bytes, body: bytes) -> bytes:
        """A body as the value of ``field``, which is ``name``'s."""
        if self._sealer.encrypts:
            raw_name = name.encode("utf-8", "surrogatepass")
            body = b"%d:" % len(raw_name) + raw_name + body
        return self._sealer.seal(self.place + field, body)

    def open(self, field: bytes, raw: bytes) -> bytes | None:
        """A field's body; None, and a line in the log, for what this site did not write there."""
        body = self._sealer.open(self.place + field, raw)
        if body is None:
            logger.warning("Session data corrupted")
        return body

    def hidden(self, field: bytes, raw: bytes) -> tuple[str, bytes] | None:
        """Name and body of a hidden field."""
        found = self.open(field, raw)
        if found is None:
            return None
        size, _, rest = found.partition(b":")
        length = int(size)
        return rest[:length].decode("utf-8", "surrogatepass"), rest[length:]


class Fields(dict[str, Any]):
    """A session's keys and values.

    ``stored`` are the fields as they came from the server, without those that are not keys.
    """

    __slots__ = ("_bodies", "_gone", "_sealed", "_stale", "coder")

    def __init__(self, coder: Coder, stored: dict[bytes, bytes]) -> None:
        self.coder = coder
        # Keys that nobody has asked for yet, and the bodies of those that somebody has.
        self._sealed: dict[str, bytes] = {}
        self._bodies: dict[str, bytes] = {}
        self._gone: set[str] = set()
        # Fields in another form than new ones get: they go when their key is written.
        self._stale: dict[str, bytes] = {}
        for field, raw in stored.items():
            if field[:1] == PLAIN:
                self._sealed[field[1:].decode("utf-8", "surrogatepass")] = raw
            elif field[:1] == HIDDEN and (found := coder.hidden(field, raw)) is not None:
                name, body = found
                self._bodies[name] = body
                dict.__setitem__(self, name, coder.value(body))
                if coder.field(name) != field:
                    self._stale[name] = field
        if self._sealed and coder.encrypts:
            self._stale.update({name: PLAIN + name.encode() for name in self._sealed})

    def _open(self, name: str) -> bool:
        """Open one key. Whether it is there."""
        raw = self._sealed.pop(name, None)
        if raw is None:
            return dict.__contains__(self, name)
        body = self.coder.open(PLAIN + name.encode("utf-8", "surrogatepass"), raw)
        if body is None:
            self._gone.add(name)
            return False
        self._bodies[name] = body
        dict.__setitem__(self, name, self.coder.value(body))
        return True

    def open_all(self) -> None:
        """Open every key."""
        for name in list(self._sealed):
            self._open(name)

    # Reading

    def __missing__(self, name: str) -> Any:
        if name in self._sealed and self._open(name):
            return dict.__getitem__(self, name)
        raise KeyError(name)

    def __contains__(self, name: object) -> bool:
        if dict.__contains__(self, name):
            return True
        return name in self._sealed and self._open(str(name))

    def get(self, name: str, default: Any = None) -> Any:
        """As dict's."""
        if name in self._sealed:
            self._open(name)
        return dict.get(self, name, default)

    def __len__(self) -> int:
        self.open_all()
        return dict.__len__(self)

    def __bool__(self) -> bool:
        return len(self) > 0

    def __iter__(self) -> Iterator[str]:
        self.open_all()
        return dict.__iter__(self)

    def __eq__(self, other: object) -> bool:
        self.open_all()
        return dict.__eq__(self, other)

    __hash__ = None

    def keys(self) -> Any:
        """As dict's."""
        self.open_all()
        return dict.keys(self)

    def values(self) -> Any:
        """As dict's."""
        self.open_all()
        return dict.values(self)

    def items(self) -> Any:
        """As dict's."""
        self.open_all()
        return dict.items(self)

    def copy(self) -> dict[str, Any]:
        """A plain dict of everything."""
        self.open_all()
        return dict(dict.items(self))

    # Changing

    def __setitem__(self, name: str, value: Any) -> None:
        if name in self._sealed:
            self._open(name)  # to see at the end whether it is another value
        dict.__setitem__(self, name, value)

    def __delitem__(self, name: str) -> None:
        if self._sealed.pop(name, None) is None:
            dict.__delitem__(self, name)
        self._gone.add(name)

    def pop(self, name: str, default: Any = _NOT_GIVEN) -> Any:
        """As dict's."""
        if name not in self:
            if default is _NOT_GIVEN:
                raise KeyError(name)
            return default
        self._gone.add(name)
        return dict.pop(self, name)

    def popitem(self) -> tuple[str, Any]:
        """As dict's."""
        self.open_all()
        name, value = dict.popitem(self)
        self._gone.add(name)
        return name, value

    def setdefault(self, name: str, default: Any = None) -> Any:
        """As dict's."""
        if name not in self:
            self[name] = default
        return self[name]

    def update(self, *others: Any, **more: Any) -> None:
        """As dict's."""
        for name, value in dict(*others, **more).items():
            self[name] = value

    def clear(self) -> None:
        """As dict's."""
        for name in [*self._sealed, *dict.keys(self)]:
            self._gone.add(name)
        self._sealed.clear()
        dict.clear(self)

    # Saving

    def changes(self) -> tuple[dict[str, bytes], list[bytes]]:
        """The keys to write with their bodies, and the fields to delete; see ``saved``."""
        coder, written = self.coder, {}
        for key, value in dict.items(self):
            name = key if key.__class__ is str else text_key(key)
            body = coder.body(value)
            if self._bodies.get(name) != body or name in self._stale:
                written[name] = body
        deleted = [
            coder.field(name)
            for name in self._gone
            if not dict.__contains__(self, name) and name not in written
        ]
        deleted += [field for name, field in self._stale.items() if name not in self._sealed]
        return written, deleted

    def saved(self, written: dict[str, bytes]) -> None:
        """Take it that ``changes`` have been written."""
        self._bodies.update(written)
        for name in self._gone:
            self._bodies.pop(name, None)
        self._gone.clear()
        self._stale = {name: field for name, field in self._stale.items() if name in self._sealed}

    def sealed_by(self, coder: Coder) -> dict[bytes, bytes]:
        """Every field with its value as it stood when it was loaded, sealed anew by ``coder``."""
        self.open_all()
        named = [(name, coder.field(name), body) for name, body in self._bodies.items()]
        return {field: coder.seal(name, field, body) for name, field, body in named}

    def moved(self, coder: Coder) -> None:
        """Take it that what was loaded stands at the place of ``coder`` now."""
        if coder.place == self.coder.place:
            return
        self.open_all()
        self.coder = coder
        self._stale.clear()

    def all_bodies(self) -> dict[str, bytes]:
        """Every key with its present body."""
        self.open_all()
        return {text_key(key): self.coder.body(value) for key, value in dict.items(self)}


def text_key(key: Any) -> str:
    """A key as text: what JSON makes of it, since a session read back has such keys anyway."""
    if isinstance(key, str):
        return key
    found: str = next(iter(json.loads(json.dumps({key: 0}))))
    return found
