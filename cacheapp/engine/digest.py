"""DEBUG DIGEST: one number for what a server holds, equal to real Redis's for the same data.

SHA-1 over each part, combined by exclusive or where order does not matter and chained where it
does, after Redis's debug.c. Not a security feature.
"""

from __future__ import annotations

import hashlib
import struct
from collections import deque
from collections.abc import Iterable

from cacheapp.engine.database import Database
from cacheapp.engine.structures.hash import Hash
from cacheapp.engine.structures.set import Set
from cacheapp.engine.structures.sortedset import SortedSet
from cacheapp.engine.structures.stream import SEQUENCE_MASK, Stream
from cacheapp.engine.values import string_bytes

_SIZE = 20
# The numbers of the types in Redis's object header.
_STRING, _LIST, _SET, _ZSET, _HASH, _MODULE, _STREAM = range(7)


def _sha1(data: bytes) -> int:
    return int.from_bytes(hashlib.sha1(data, usedforsecurity=False).digest(), "big")


# Redis 7.4's, for each field with a deadline (so two of them cancel each other out).
_FIELD_EXPIRES = _sha1(b"!!hexpire!!")


def _mix(digest: int, data: bytes) -> int:
    """Chain `data` into `digest`: the order of calls matters."""
    return _sha1((digest ^ _sha1(data)).to_bytes(_SIZE, "big"))


def _unordered(digest: int, elements: Iterable[tuple[bytes, bytes]]) -> int:
    """Combine pairs into `digest` whatever their order."""
    for first, second in elements:
        digest ^= _sha1(_mix(_mix(0, first), second).to_bytes(_SIZE, "big"))
    return digest


def _stream(digest: int, stream: Stream) -> int:
    for node, position in stream.walk():
        number = node.id(position)
        digest = _mix(digest, b"%d.%d" % (number >> 64, number & SEQUENCE_MASK))
        for item in node.pairs(position):
            digest = _mix(digest, item)
    return digest


def _value_number(database: Database, key: bytes, digest: int) -> int:
    value = database.peek(key)
    if isinstance(value, (bytes, bytearray, int)):
        digest = _mix(_mix(digest, struct.pack(">I", _STRING)), string_bytes(value))
    elif isinstance(value, deque):
        digest = _mix(digest, struct.pack(">I", _LIST))
        for item in value:
            digest = _mix(digest, item)
    elif isinstance(value, Set):
        digest = _mix(digest, struct.pack(">I", _SET))
        for member in value.members():
            digest ^= _sha1(member)
    elif isinstance(value, SortedSet):
        digest = _mix(digest, struct.pack(">I", _ZSET))
        pairs = ((member, b"%.17g" % score) for member, score in value.items())
        digest = _unordered(digest, pairs)
    elif isinstance(value, Hash):
        digest = _mix(digest, struct.pack(">I", _HASH))
        digest = _unordered(digest, value.items())
        for _, _, deadline in value.entries():
            digest ^= _FIELD_EXPIRES if deadline else 0
    elif isinstance(value, Stream):
        digest = _stream(_mix(digest, struct.pack(">I", _STREAM)), value)
    if database.deadline(key) > 0:
        digest ^= _sha1(b"!!expire!!")
    return digest


def value_digest(database: Database, key: bytes) -> bytes:
    """The digest of the value at `key`, of zeros where there is none."""
    number = _value_number(database, key, 0) if key in database else 0
    return number.to_bytes(_SIZE, "big")


def dataset_digest(databases: Iterable[Database]) -> bytes:
    """The digest of everything in `databases`, of zeros where they are empty."""
    total = 0
    for database in databases:
        if not len(database):
            continue
        total = _mix(total, struct.pack(">I", database.index))
        for key in database:
            total ^= _sha1(_value_number(database, key, _mix(0, key)).to_bytes(_SIZE, "big"))
    return total.to_bytes(_SIZE, "big")
