"""What a key can hold: the Python class of a value is its Redis type.

    string      bytes, bytearray (changed in place: the `raw` encoding), int (a counter)
    list        collections.deque
    hash set zset stream   the classes of `structures`, which answer encoding(), copy() and
                           memory_bytes()

Functions here are what the commands that do not care about types need: COPY, OBJECT, MEMORY, TYPE.
"""

from __future__ import annotations

from collections import deque
from itertools import islice
from typing import Any, Final

from cacheapp.engine.arguments import is_canonical_int
from cacheapp.engine.config import Config
from cacheapp.engine.structures.allocated import allocated_bytes
from cacheapp.engine.structures.expiringhash import ExpiringHash
from cacheapp.engine.structures.hash import Hash
from cacheapp.engine.structures.set import Set
from cacheapp.engine.structures.sortedset import SortedSet
from cacheapp.engine.structures.stream import Stream

STRING: Final = (bytes, bytearray, int)
LIST: Final = deque

_TYPE_NAMES: dict[type, bytes] = {
    bytes: b"string",
    bytearray: b"string",
    int: b"string",
    deque: b"list",
    Hash: b"hash",
    ExpiringHash: b"hash",
    Set: b"set",
    SortedSet: b"zset",
    Stream: b"stream",
}

# Longest string that Redis allocates together with its object header.
_EMBSTR_MAX_BYTES = 44


class FloatString(bytes):
    """What INCRBYFLOAT leaves: Redis does not try to store it as an integer."""

    __slots__ = ()


_TYPE_NAMES[FloatString] = b"string"


def type_name(value: Any) -> bytes:
    """The word that TYPE answers for `value`."""
    return _TYPE_NAMES[type(value)]


def string_bytes(value: bytes | bytearray | int) -> bytes:
    """The bytes that GET answers for a string value."""
    if isinstance(value, int):
        return b"%d" % value
    return bytes(value)


def encoding(value: Any, config: Config) -> bytes:
    """The word that OBJECT ENCODING answers for `value`."""
    if isinstance(value, int):
        return b"int"
    if isinstance(value, bytearray):
        return b"raw"
    if isinstance(value, bytes):
        if type(value) is bytes and is_canonical_int(value):
            return b"int"
        return b"embstr" if len(value) <= _EMBSTR_MAX_BYTES else b"raw"
    if isinstance(value, deque):
        return b"quicklist"
    word: bytes = value.encoding(config)
    return word


def copy(value: Any) -> Any:
    """An independent copy of `value`, as COPY makes it."""
    if isinstance(value, (bytes, int)):
        return value
    return value.copy()


def memory_bytes(value: Any, samples: int = 5) -> int:
    """An estimate of the bytes that `value` occupies in this process.

    A collection is measured by its first `samples` elements (0: all of them) and scaled, as
    Redis's MEMORY USAGE does, so that the cost does not grow with the value.
    """
    if isinstance(value, (bytes, bytearray, int)):
        return allocated_bytes(value)
    if isinstance(value, deque):
        size = allocated_bytes(value)
        count = len(value) if samples == 0 else min(samples, len(value))
        if count:
            measured = sum(allocated_bytes(item) for item in islice(value, count))
            size += measured * len(value) // count
        return size
    measured_bytes: int = value.memory_bytes(samples)
    return measured_bytes


# A key's share of its database: the entry in the dict with the slot number, and four columns.
_SLOT_BYTES = 52 + 32 + 4 * 8


def entry_bytes(key: bytes, value: Any, samples: int = 5) -> int:
    """An estimate of the bytes that `key` with `value` takes in a database, in all."""
    return _SLOT_BYTES + allocated_bytes(key) + memory_bytes(value, samples)
