"""The dict behind a session: values opened when they are asked for, and what changed.

A session is a hash on the server, a field a key. Most requests look at one or two of its values, so
a value stays sealed until somebody wants it. What has to be written is found by sealing anew what
may be another value than the stored one (what was assigned, and what can be changed in place, as a
list can) and comparing: a value that was set to what it was is not written.

`Fields` is for signed fields, whose names can be read. `HiddenFields` is for what has encrypted
fields, or gets them: names are inside the seals, so all are opened at once.

Left out on purpose: merging inside a value. Two requests that change one key are two writers of one
value, and the last one's stays, whole.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from typing import Any, Final

from cacheapp.sessions.coder import Coder, text_key

logger = logging.getLogger("django.security.SuspiciousSession")

# The first byte of a field's name: a key as it is, or hidden, its name inside the seal. Alone, the
# latter is a field that says that there may be hidden ones.
PLAIN, HIDDEN = b".", b"~"
# Values of these types cannot be changed in place.
_FIXED: Final = frozenset({str, int, float, bool, type(None)})
_NOT_GIVEN: Final = object()


def fields_of(coder: Coder, place: bytes, stored: dict[bytes, bytes]) -> Fields:
    """Return the dict of what is stored at ``place``, without the fields that are not keys.

    ``stored`` belongs to it from then on.
    """
    if coder.encrypts or HIDDEN in stored:
        return HiddenFields(coder, place, stored)
    return Fields(coder, place, stored)


class Fields(dict[str, Any]):
    """A session's keys and values, at ``place``: the key of its hash."""

    __slots__ = ("_gone", "_suspects", "coder", "place", "raw")

    def __init__(self, coder: Coder, place: bytes, raw: dict[bytes, bytes]) -> None:
        self.coder = coder
        self.place = place
        #: What is stored, as far as this request knows.
        self.raw = raw
        # Keys whose values may be others than what is stored, in order.
        self._suspects: dict[str, None] = {}
        # Fields to delete.
        self._gone: set[bytes] = set()

    def new_field(self, name: str) -> bytes:
        """The field that a key is written to."""
        try:
            return PLAIN + name.encode()
        except (AttributeError, UnicodeEncodeError):
            return PLAIN + text_key(name).encode("utf-8", "surrogatepass")

    def _field(self, name: str) -> bytes:
        return self.new_field(name)

    def __missing__(self, name: str) -> Any:
        raw = None
        if name.__class__ is str:
            field = self.new_field(name)
            raw = self.raw.get(field)
        if raw is None:
            raise KeyError(name)
        coder = self.coder
        body = coder.sealer.open(self.place + field, raw)
        if body is None:
            logger.warning("Session data corrupted")
            del self.raw[field]
            self._gone.add(field)
            raise KeyError(name)
        value = coder.value(body)
        dict.__setitem__(self, name, value)
        if value.__class__ not in _FIXED:
            self._suspects[name] = None
        return value

    def open_all(self) -> None:
        """Open every key."""
        for field in list(self.raw):
            name = field[1:].decode("utf-8", "surrogatepass")
            if field[:1] == PLAIN and not dict.__contains__(self, name):
                try:
                    self.__missing__(name)
                except KeyError:
                    continue  # somebody else's, and in the log

    # Reading

    def __contains__(self, name: object) -> bool:
        if dict.__contains__(self, name):
            return True
        try:
            self.__missing__(name)  # type: ignore[arg-type]
        except KeyError:
            return False
        return True

    def get(self, name: str, default: Any = None) -> Any:
        """As dict's."""
        if name in self:
            return self[name]
        return default

    def __len__(self) -> int:
        self.open_all()
        return dict.__len__(self)

    def __bool__(self) -> bool:
        return len(self) > 0

    def __iter__(self) -> Iterator[str]:
        self.open_all()
        return dict.__iter__(self)

    def __reversed__(self) -> Iterator[str]:
        self.open_all()
        return dict.__reversed__(self)

    def __eq__(self, other: object) -> bool:
        self.open_all()
        return dict.__eq__(self, other)

    __hash__ = None

    def __repr__(self) -> str:
        self.open_all()
        return dict.__repr__(self)

    def __or__(self, other: Any) -> Any:
        return self.copy() | other

    def __ror__(self, other: Any) -> Any:
        return other | self.copy()

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
        return dict(self.items())

    # Changing

    def __setitem__(self, name: str, value: Any) -> None:
        dict.__setitem__(self, name, value)
        self._suspects[name] = None

    def __delitem__(self, name: str) -> None:
        if name not in self:
            raise KeyError(name)
        field = self._field(name)
        self.raw.pop(field, None)
        self._gone.add(field)
        self._suspects.pop(name, None)
        dict.__delitem__(self, name)

    def pop(self, name: str, default: Any = _NOT_GIVEN) -> Any:
        """As dict's."""
        if name in self:
            value = self[name]
            del self[name]
            return value
        if default is _NOT_GIVEN:
            raise KeyError(name)
        return default

    def popitem(self) -> tuple[str, Any]:
        """As dict's."""
        self.open_all()
        name = next(dict.__reversed__(self), None)
        if name is None:
            raise KeyError("popitem(): dictionary is empty")
        return name, self.pop(name)

    def setdefault(self, name: str, default: Any = None) -> Any:
        """As dict's."""
        if name not in self:
            self[name] = default
        return self[name]

    def update(self, *others: Any, **more: Any) -> None:
        """As dict's."""
        for name, value in dict(*others, **more).items():
            self[name] = value

    def __ior__(self, other: Any) -> Any:
        self.update(other)
        return self

    def clear(self) -> None:
        """As dict's."""
        for name in list(self):
            del self[name]

    # Saving

    def changes(self) -> tuple[list[bytes], list[bytes]]:
        """The fields to set, each followed by its value, and the fields to delete."""
        coder, place, raw = self.coder, self.place, self.raw
        pairs: list[bytes] = []
        for key in self._suspects:
            field = self.new_field(key)
            sealed = coder.sealer.seal(place + field, coder.body(dict.__getitem__(self, key)))
            if raw.get(field) != sealed:
                pairs.append(field)
                pairs.append(sealed)
        if self._gone:
            return pairs, sorted(self._gone.difference(pairs[::2]))
        return pairs, []

    def saved(self, pairs: list[bytes]) -> None:
        """Take it that what ``changes`` returned has been done."""
        if len(pairs) == 2:
            self.raw[pairs[0]] = pairs[1]
        else:
            self.raw.update(zip(pairs[::2], pairs[1::2], strict=True))
        self._gone.clear()

    def resealed(self, place: bytes) -> dict[bytes, bytes]:
        """Every field with its value as it stood when it was loaded, for another place."""
        self.open_all()
        sealer = self.coder.sealer
        bodies = {field: sealer.open(self.place + field, raw) for field, raw in self.raw.items()}
        return {
            field: sealer.seal(place + field, body)
            for field, body in bodies.items()
            if body is not None
        }

    def moved(self, place: bytes) -> None:
        """Take it that what was loaded stands at ``place`` now."""
        if place != self.place:
            self.raw = self.resealed(place)
            self.place = place


class HiddenFields(Fields):
    """Fields whose names may be hidden; those in another form than new ones get are rewritten."""

    __slots__ = ("_found", "_pending")

    def __init__(self, coder: Coder, place: bytes, raw: dict[bytes, bytes]) -> None:
        super().__init__(coder, place, {})
        # Field and body of each key, as stored.
        self._found: dict[str, tuple[bytes, bytes]] = {}
        self._pending: Mapping[str, tuple[bytes, bytes]] = {}
        for field, sealed in raw.items():
            opened = None
            if field[:1] == PLAIN:
                body = coder.sealer.open(place + field, sealed)
                name = field[1:].decode("utf-8", "surrogatepass")
                opened = None if body is None else (name, body)
            elif field == HIDDEN:
                continue
            elif field[:1] == HIDDEN:
                opened = coder.open_hidden(place + field, sealed)
            if opened is None:
                logger.warning("Session data corrupted")
                self._gone.add(field)
                continue
            name, body = opened
            self._found[name] = field, body
            dict.__setitem__(self, name, coder.value(body))

    def _field(self, name: str) -> bytes:
        found = self._found.get(name)
        return self.new_field(name) if found is None else found[0]

    def new_field(self, name: str) -> bytes:
        """See Fields."""
        return self._field_at(self.place, name)

    def _field_at(self, place: bytes, name: str) -> bytes:
        if self.coder.encrypts:
            return HIDDEN + self.coder.hidden_name(place, text_key(name))
        return super().new_field(name)

    def _seal(self, place: bytes, name: str, body: bytes) -> tuple[bytes, bytes]:
        field = self._field_at(place, name)
        return field, self.coder.seal_named(place + field, text_key(name), body)

    def changes(self) -> tuple[list[bytes], list[bytes]]:
        """See Fields."""
        pairs: list[bytes] = []
        gone, pending = set(self._gone), {}
        for key, value in dict.items(self):
            name, body = text_key(key), self.coder.body(value)
            found, field = self._found.get(name), self.new_field(name)
            if found == (field, body):
                continue
            pending[name] = field, body
            pairs += self._seal(self.place, name, body)
            if found is not None:
                gone.add(found[0])
        self._pending = pending
        if pairs and self.coder.encrypts:
            # Each time: another request may have emptied the session meanwhile.
            pairs += (HIDDEN, b"")
        return pairs, sorted(gone.difference(pairs[::2]))

    def __delitem__(self, name: str) -> None:
        super().__delitem__(name)
        self._found.pop(text_key(name), None)

    def saved(self, pairs: list[bytes]) -> None:
        """See Fields."""
        self._found.update(self._pending)
        self._pending = {}
        self._gone.clear()
        self._suspects.clear()

    def resealed(self, place: bytes) -> dict[bytes, bytes]:
        """See Fields."""
        mark = {HIDDEN: b""} if self.coder.encrypts else {}
        sealed = (self._seal(place, name, body) for name, (_, body) in self._found.items())
        return {**mark, **dict(sealed)}

    def moved(self, place: bytes) -> None:
        """See Fields."""
        if place != self.place:
            self._found = {
                name: (self._field_at(place, name), body) for name, (_, body) in self._found.items()
            }
            self.place = place
