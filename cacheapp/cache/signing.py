"""Keyed hashes over stored values: which process wrote it, for which alias, under which key.

Whoever can write to the server could store a pickle that runs code when it is loaded. So what is
pickled is signed with a key that only the site knows, and nothing is unpickled before its
signature has been verified in constant time. The hash covers where the value stands, so that a
genuine value copied to another key or alias does not verify there. It cannot tell an older value
of the same key from the newest: replay at one place is left out on purpose.

BLAKE2b is keyed by design (RFC 7693) and needs one pass, where HMAC needs two.
"""

from __future__ import annotations

from hashlib import blake2b
from hmac import compare_digest

from django.utils.crypto import salted_hmac

from cacheapp import conf

#: Bytes of a signature: 128 bits, which nobody forges by trying on a live server.
SIGNATURE_SIZE = 16
SALT = "cacheapp.cache.signing"


class Signer:
    """Signs and verifies values of one alias, with SECRET_KEY and its fallbacks."""

    __slots__ = ("_alias", "_derived", "_secrets")

    def __init__(self, alias: str) -> None:
        self._alias = alias
        self._secrets: tuple[str | bytes, ...] = ()
        self._derived: tuple[bytes, ...] = ()

    def _keys(self) -> tuple[bytes, ...]:
        secrets = conf.secret_keys()
        if secrets is not self._secrets:
            self._derived = tuple(
                salted_hmac(SALT, self._alias, secret=secret, algorithm="sha256").digest()
                for secret in secrets
            )
            self._secrets = secrets
        return self._derived

    def sign(self, place: bytes, body: bytes) -> bytes:
        """Return the signature, SIGNATURE_SIZE bytes, of ``body`` standing at ``place``."""
        return _signature(self._keys()[0], place, body)

    def verify(self, place: bytes, body: bytes, signature: bytes) -> bool:
        """Say whether ``signature`` was made for ``body`` at ``place`` by a key still valid."""
        return any(compare_digest(_signature(key, place, body), signature) for key in self._keys())


def _signature(key: bytes, place: bytes, body: bytes) -> bytes:
    # The length keeps the end of the place from being read as the start of the body.
    mac = blake2b(b"%d:%b" % (len(place), place), digest_size=SIGNATURE_SIZE, key=key)
    mac.update(body)
    return mac.digest()
