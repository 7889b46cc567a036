"""What a message is on its way: MessagePack on a server, a copy of the dict inside a process.

A message is a dict of the types that every channel layer takes: str, bytes, int, float, bool,
None, lists and dicts of these. On a server its bytes may be encrypted, with keys that rotate as
channels_redis's do: the first one writes, all of them read.

In a process most messages are flat, and a shallow copy of a flat dict is as good as a deep one;
the others go through MessagePack, so that what one server takes the other takes too. Left out on
purpose: other serializers, and a check that a flat message's numbers fit MessagePack.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Sequence
from typing import Any

import msgpack
from django.core.exceptions import ImproperlyConfigured

__all__ = ["Body", "Codec", "is_flat", "local_body", "message_of", "packed"]

#: A message at rest in this process: packed, or a dict whose values cannot change.
Body = bytes | dict[str, Any]

#: Whether values of these types make a message flat.
is_flat = frozenset({str, bytes, int, float, bool, type(None)}).issuperset
_unpack = msgpack.unpackb
packed: Callable[[Any], bytes] = msgpack.packb


def local_body(message: dict[str, Any]) -> Body:
    """Return what to keep of ``message`` until it is received in this process.

    Raises TypeError or ValueError for what no server could carry.
    """
    return message.copy() if is_flat(map(type, message.values())) else packed(message)


def message_of(body: Body) -> dict[str, Any]:
    """Return a new dict of the message, which the receiver may change."""
    if type(body) is dict:
        return body.copy()
    message: dict[str, Any] = _unpack(body)
    return message


class Codec:
    """Messages as a server keeps them. ``keys`` encrypt: the first writes, all read.

    Raises ImproperlyConfigured where ``keys`` is one string, or cryptography is not installed.
    """

    def __init__(self, keys: Sequence[str | bytes] | None = None) -> None:
        self._crypter = _crypter(keys) if keys else None

    def pack(self, message: dict[str, Any]) -> bytes:
        """Return the bytes of a message. Raises TypeError or ValueError for what has none."""
        return self.sealed(packed(message))

    def sealed(self, body: Body) -> bytes:
        """Return the bytes of a body, which ``body`` gives back."""
        plain = body if type(body) is bytes else packed(body)
        if self._crypter is None:
            return plain
        sealed: bytes = self._crypter.encrypt(plain)
        return sealed

    def body(self, sealed: bytes) -> bytes:
        """Return the body that ``message_of`` reads. Raises ValueError for a foreign key's."""
        if self._crypter is None:
            return sealed
        from cryptography.fernet import InvalidToken

        try:
            decrypted: bytes = self._crypter.decrypt(sealed)
        except InvalidToken:
            raise ValueError("no key of symmetric_encryption_keys reads this message") from None
        return decrypted


def _crypter(keys: Sequence[str | bytes]) -> Any:
    if isinstance(keys, str | bytes):
        raise ImproperlyConfigured("symmetric_encryption_keys must be a list of keys")
    try:
        from cryptography.fernet import Fernet, MultiFernet
    except ImportError as error:
        raise ImproperlyConfigured(
            "symmetric_encryption_keys needs the package cryptography"
        ) from error
    digests = [
        hashlib.sha256(key.encode() if isinstance(key, str) else key).digest() for key in keys
    ]
    return MultiFernet([Fernet(base64.urlsafe_b64encode(digest)) for digest in digests])
