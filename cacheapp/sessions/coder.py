"""Values of a session into bytes and back: text as it is, the rest by SESSION_SERIALIZER.

Django's JSON is what nearly all sites use, and most values are text and numbers, so those are
written out here, to the same bytes.
"""

from __future__ import annotations

import json
from typing import Any, Final

from django.contrib.sessions.serializers import JSONSerializer

from cacheapp.sessions.crypto import Sealer

# The first byte of a body: text, or whatever SESSION_SERIALIZER makes of a value.
_TEXT, _SERIALIZED = b"s", b"v"
_encode_json: Final = json.JSONEncoder(separators=(",", ":")).encode
_CONSTANTS: Final[dict[bytes, Any]] = {b"vtrue": True, b"vfalse": False, b"vnull": None}
# Longer digits are left to the serializer, which knows the interpreter's limit.
_DIGITS_MAX: Final = 18


class Coder:
    """The site's serializer and sealer. Bodies are values before they are sealed."""

    __slots__ = ("_is_json", "_serializer", "encrypts", "sealer")

    def __init__(self, sealer: Sealer, serializer: Any) -> None:
        self.sealer = sealer
        #: Whether what is new is encrypted.
        self.encrypts = sealer.encrypts
        self._serializer = serializer
        self._is_json = serializer.__class__ is JSONSerializer

    def body(self, value: Any) -> bytes:
        """A value's form, before it is sealed. Raises what the serializer raises."""
        kind = value.__class__
        if kind is str:
            try:
                return _TEXT + value.encode()
            except UnicodeEncodeError:
                return _TEXT + value.encode("utf-8", "surrogatepass")
        if self._is_json:
            if kind is int:
                return b"v%d" % value
            return _SERIALIZED + _encode_json(value).encode("latin-1")
        dumped: bytes = self._serializer.dumps(value)
        return _SERIALIZED + dumped

    def value(self, body: bytes) -> Any:
        """The value whose form is ``body``."""
        if body[:1] == _TEXT:
            return str(body[1:], "utf-8", "surrogatepass")
        if self._is_json:
            rest = body[1:]
            if rest.isdigit() and len(rest) <= _DIGITS_MAX:
                return int(rest)
            if body in _CONSTANTS:
                return _CONSTANTS[body]
        return self._serializer.loads(body[1:])

    # Names inside the seal

    def hidden_name(self, place: bytes, name: str) -> bytes:
        """What stands for ``name`` in the session at ``place``: a keyed hash of both."""
        return self.sealer.hidden(f"{place.decode('latin-1')}:{name}").encode()

    def seal_named(self, place: bytes, name: str, body: bytes) -> bytes:
        """Seal a body for the field at ``place``, where names are hidden with its name inside."""
        if self.encrypts:
            raw_name = name.encode("utf-8", "surrogatepass")
            body = b"%d:%b%b" % (len(raw_name), raw_name, body)
        return self.sealer.seal(place, body)

    def open_hidden(self, place: bytes, raw: bytes) -> tuple[str, bytes] | None:
        """Name and body of a field whose name is hidden; None for what this site did not seal."""
        found = self.sealer.open(place, raw)
        if found is None:
            return None
        size, _, rest = found.partition(b":")
        length = int(size)
        return rest[:length].decode("utf-8", "surrogatepass"), rest[length:]


def text_key(key: Any) -> str:
    """A key as text: what JSON makes of it, since a session read back has such keys anyway."""
    if isinstance(key, str):
        return key
    found: str = next(iter(json.loads(json.dumps({key: 0}))))
    return found
