"""The frame of what DUMP and FUNCTION DUMP answer: a body, the version of RDB, a checksum.

The version written is that of Redis 7.0, so that it and all later ones can load it, except where
only 7.4 has the kind of value; versions are read up to 7.4's.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from typing import Any, Final

from cacheapp.engine.config import Config
from cacheapp.engine.persistence.crc64 import crc64
from cacheapp.engine.persistence.encoding import CorruptPayload, Reader, pack_string
from cacheapp.engine.persistence.objects import TYPES_OF_7_4, load_value, save_value

RDB_VERSION: Final = 10
RDB_VERSION_7_4: Final = 12
_FOOTER_BYTES: Final = 10
_CHECKSUM_BYTES: Final = 8

FUNCTION: Final = 245
FUNCTION_OF_CANDIDATES: Final = 246


def seal(body: bytes, version: int = RDB_VERSION) -> bytes:
    """`body` with its footer."""
    framed = body + struct.pack("<H", version)
    return framed + struct.pack("<Q", crc64(framed))


def is_intact(payload: bytes, *, verify: bool = True) -> bool:
    """Whether the version of `payload` is known and (if `verify`) its checksum is right."""
    if len(payload) < _FOOTER_BYTES:
        return False
    version, checksum = struct.unpack("<HQ", payload[-_FOOTER_BYTES:])
    if version > RDB_VERSION_7_4:
        return False
    return not verify or crc64(payload[:-_CHECKSUM_BYTES]) == checksum


def dump_value(value: Any, config: Config) -> bytes:
    """What DUMP answers for `value`."""
    body = save_value(value, config)
    return seal(body, RDB_VERSION_7_4 if body[0] in TYPES_OF_7_4 else RDB_VERSION)


def restored_value(payload: bytes, config: Config) -> Any:
    """The value in a payload; raises CorruptPayload.

    As in Redis more may follow, and nobody looks where the footer begins.
    """
    return load_value(Reader(payload), config)


def save_library(code: bytes, *, compressed: bool) -> bytes:
    """A library of functions by its text."""
    return b"%c%b" % (FUNCTION, pack_string(code, compressed=compressed))


def dump_libraries(codes: Iterable[bytes], config: Config) -> bytes:
    """What FUNCTION DUMP answers for libraries with these texts."""
    compressed: bool = config["rdbcompression"]
    return seal(b"".join(save_library(code, compressed=compressed) for code in codes))


def restored_libraries(payload: bytes) -> list[bytes]:
    """The texts of the libraries in a payload.

    Raises CorruptPayload, whose text is for clients here.
    """
    reader = Reader(payload)
    codes = []
    while reader.left > _FOOTER_BYTES:
        kind = reader.byte()
        if kind not in (FUNCTION, FUNCTION_OF_CANDIDATES):
            raise CorruptPayload("given type is not a function")
        codes.append(load_library(reader, kind))
    return codes


def load_library(reader: Reader, kind: int) -> bytes:
    """The text of the library that comes next, after the byte of its kind; CorruptPayload."""
    try:
        if kind == FUNCTION:
            return reader.string()
        # As release candidates of Redis 7.0 wrote it: name and engine apart from the text.
        name, engine = reader.string(), reader.string()
        if reader.length():
            reader.string()
        return b"#!%b name=%b\n%b" % (engine, name, reader.string())
    except CorruptPayload:
        raise CorruptPayload("Failed loading library payload") from None
