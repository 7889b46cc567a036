"""What a session looks like at rest: keyed hashes for its names, seals around its values.

The store never holds a session key, which is a bearer token: it holds a hash of it that only the
site can make, so whoever reads the store cannot become anybody. Each value is sealed, with the
session and the field that it stands in: signed (BLAKE2b with a key, RFC 7693, over that place,
the value and the place's length), or with ENCRYPT also encrypted (AES-256-GCM, with the place as
associated data). A value moved to another field, session or site does not open.

All keys come from SECRET_KEY. What SECRET_KEY_FALLBACKS sealed still opens, and is sealed with the
new key when it is next saved.

Left out on purpose: proof that nothing is missing or older than it was. Fields are saved one by one
by requests that do not know of each other, so a store that lies can leave out a field or give an
older value of it.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from hashlib import blake2b
from hmac import compare_digest
from typing import Any, Final

from django.core.exceptions import ImproperlyConfigured
from django.utils.crypto import salted_hmac

_SALT: Final = "cacheapp.sessions"
_SIGNED, _ENCRYPTED = 1, 2
_SIGNATURE_SIZE: Final = 16
_NONCE_SIZE: Final = 12
# Where a signed value begins, behind its kind and its signature.
_BODY_AT: Final = 1 + _SIGNATURE_SIZE
#: Bytes of a session's hash: as hexadecimal it fits the key column of Django's session table.
HASH_SIZE: Final = 20
_LENGTHS_KEPT: Final = 256
_LENGTHS: Final = [size.to_bytes(4, "big") for size in range(_LENGTHS_KEPT)]
#: Verified values that are kept to be compared with, and how long one may be.
_VERIFIED_MAX: Final = 1024
_VERIFIED_BYTES_MAX: Final = 4096


class _Keys:
    """The keys that one secret gives."""

    __slots__ = ("_cipher", "cipher_key", "hash_key", "mac")

    def __init__(self, secret: str | bytes) -> None:
        def derived(purpose: str) -> bytes:
            return salted_hmac(_SALT, purpose, secret=secret, algorithm="sha256").digest()

        self.hash_key = derived("hash")
        # To be copied: its key is worked in already.
        self.mac = blake2b(digest_size=_SIGNATURE_SIZE, key=derived("sign"))
        self.cipher_key = derived("encrypt")
        self._cipher: Any = None

    @property
    def cipher(self) -> Any:
        """AES-GCM under this secret. Raises ImproperlyConfigured without ``cryptography``."""
        if self._cipher is None:
            self._cipher = _aes_gcm()(self.cipher_key)
        return self._cipher

    def signature(self, place: bytes, body: bytes) -> bytes:
        mac = self.mac.copy()
        size = len(place)
        tail = _LENGTHS[size] if size < _LENGTHS_KEPT else size.to_bytes(4, "big")
        mac.update(b"".join((place, body, tail)))
        return mac.digest()


def _aes_gcm() -> Callable[[bytes], Any]:
    try:
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM
    except ImportError as error:
        raise ImproperlyConfigured(
            "CACHEAPP['SESSIONS']['ENCRYPT'] needs the package cryptography: install "
            "cacheapp[encryption]"
        ) from error
    return AESGCM


class Sealer:
    """Hashes and seals under the site's secrets, the first of which is for what is new."""

    def __init__(self, secrets: tuple[str | bytes, ...], *, encrypts: bool) -> None:
        self._keys = [_Keys(secret) for secret in secrets]
        self._mac = self._keys[0].mac
        self.encrypts = encrypts
        if encrypts:
            _aes_gcm()
        # The last value that verified at a place: most requests of a session find it as it was.
        self._verified: dict[bytes, bytes] = {}

    def hashes(self, session_key: str) -> list[str]:
        """The names that a session may have: under the present secret, then under older ones."""
        raw = session_key.encode("utf-8", "surrogatepass")
        return [
            blake2b(raw, digest_size=HASH_SIZE, key=keys.hash_key).hexdigest()
            for keys in self._keys
        ]

    @property
    def has_fallbacks(self) -> bool:
        """Whether anything may be there under an older secret."""
        return len(self._keys) > 1

    def hidden(self, text: str) -> str:
        """A keyed hash of ``text``, for names that the store need not show (users)."""
        raw = text.encode("utf-8", "surrogatepass")
        return blake2b(raw, digest_size=HASH_SIZE, key=self._keys[0].hash_key).hexdigest()

    def seal(self, place: bytes, body: bytes) -> bytes:
        """Seal ``body``, which is to stand at ``place`` (session and field)."""
        if not self.encrypts:
            # Written out, with what the keys' signature() does: half of what a save takes.
            mac, size = self._mac.copy(), len(place)
            tail = _LENGTHS[size] if size < _LENGTHS_KEPT else size.to_bytes(4, "big")
            mac.update(b"".join((place, body, tail)))
            sealed = b"".join((b"\x01", mac.digest(), body))
            if len(self._verified) >= _VERIFIED_MAX:
                self._verified.clear()
            if len(sealed) <= _VERIFIED_BYTES_MAX:
                self._verified[place] = sealed
            return sealed
        nonce = os.urandom(_NONCE_SIZE)
        encrypted: bytes = self._keys[0].cipher.encrypt(nonce, body, place)
        return b"\x02" + nonce + encrypted

    def open(self, place: bytes, raw: bytes) -> bytes | None:
        """What was sealed for ``place``, or None for what this site did not seal there."""
        if self._verified.get(place) == raw:
            return raw[_BODY_AT:]
        kind = raw[:1]
        if kind == b"\x01":
            body = raw[_BODY_AT:]
            return body if self._verifies(place, raw, body) else None
        return self._decrypted(place, raw) if kind == b"\x02" else None

    def _verifies(self, place: bytes, raw: bytes, body: bytes) -> bool:
        signature = raw[1:_BODY_AT]
        for keys in self._keys:
            if compare_digest(keys.signature(place, body), signature):
                self._remember(place, raw)
                return True
        return False

    def _remember(self, place: bytes, raw: bytes) -> None:
        if len(raw) <= _VERIFIED_BYTES_MAX:
            if len(self._verified) >= _VERIFIED_MAX:
                self._verified.clear()
            self._verified[place] = raw

    def _decrypted(self, place: bytes, raw: bytes) -> bytes | None:
        from cryptography.exceptions import InvalidTag

        nonce, sealed = raw[1 : 1 + _NONCE_SIZE], raw[1 + _NONCE_SIZE :]
        for keys in self._keys:
            try:
                body: bytes = keys.cipher.decrypt(nonce, sealed, place)
            except (InvalidTag, ValueError):
                continue
            return body
        return None
