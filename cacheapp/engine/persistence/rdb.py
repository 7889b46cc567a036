"""RDB files: a snapshot as the bytes of Redis's dump.rdb, and back.

The version written is that of Redis 7.0, so that it and all later ones load the file, except where
a hash has fields with deadlines, which 7.4 was the first to have. As there, idleness and use
counters are kept only where the eviction policy reads them. The checksum is computed piece by
piece, so a large file is never in memory as a whole while it is written.

A file is read as a whole before anything is made of it: one that is damaged changes nothing.
Files of all versions up to 7.4's are read. Left out on purpose: data of modules.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from cacheapp.engine.config import Config
from cacheapp.engine.frequency import lfu_counter, lfu_number
from cacheapp.engine.persistence.crc64 import crc64
from cacheapp.engine.persistence.encoding import (
    CorruptPayload,
    Reader,
    pack_length,
    pack_string,
)
from cacheapp.engine.persistence.objects import load_kind, save_value
from cacheapp.engine.persistence.payloads import (
    FUNCTION,
    FUNCTION_OF_CANDIDATES,
    RDB_VERSION,
    RDB_VERSION_7_4,
    load_library,
    save_library,
)
from cacheapp.engine.persistence.snapshot import UNKNOWN, Part, Snapshot
from cacheapp.engine.structures.expiringhash import ExpiringHash
from cacheapp.engine.version import REDIS_VERSION

MAGIC: Final = b"REDIS"
_MAGIC_BYTES: Final = 9
_CHECKSUM_BYTES: Final = 8
# Since this version a file ends with a checksum.
_CHECKSUM_VERSION: Final = 5
_IDLE, _FREQUENCY, _AUX, _RESIZE = 248, 249, 250, 251
_DEADLINE_MS, _DEADLINE_SECONDS, _SELECT, _END = 252, 253, 254, 255
_MODULE_AUX: Final = 247
_SLOT_INFO: Final = 244
# A piece of a file is about as large.
_PIECE_BYTES: Final = 1 << 16
# What is done between two rests, and what an item takes besides its bytes.
_TURN_BYTES: Final = 8192
_ITEM_BYTES: Final = 32
_CRC_BYTES: Final = 8
# Of a file of one's own: only a single value is bounded, by its own length.
_NO_LIMIT: Final = 1 << 62


@dataclass(frozen=True, slots=True)
class Policy:
    """What of accesses is kept: seconds of idleness, a use counter, or (both False) nothing."""

    idle: bool
    frequency: bool
    decay_minutes: int
    now: float

    @classmethod
    def of(cls, config: Config, now: float) -> Policy:
        """What the eviction policy in `config` reads, at `now` in seconds."""
        name = config["maxmemory-policy"]
        return cls(name.endswith("-lru"), name.endswith("-lfu"), config["lfu-decay-time"], now)


def pieces(
    snapshot: Snapshot,
    config: Config,
    now: float,
    *,
    base: bool = False,
    newest: bool = False,
    rest: Callable[[], None] | None = None,
) -> Iterator[bytes]:
    """The bytes of a file, in pieces; `now` is when the snapshot was taken, in seconds.

    `base` marks a file that a log goes on from. With `newest` it is for a reader as new as this
    module, not for Redis 7.0: streams keep when their consumers were last at work. `rest` is called
    each fraction of a millisecond.
    """
    checksum = 0
    items = _items(snapshot, config, now, base=base, newest=newest)
    for piece in _gathered(items if rest is None else _in_turns(items, rest)):
        checksum = crc64(_seeded(piece, checksum))
        yield piece
    yield struct.pack("<Q", checksum if config["rdbchecksum"] else 0)


def _seeded(piece: bytes, checksum: int) -> bytes:
    """`piece`, changed so that its checksum goes on from that of what came before."""
    head = int.from_bytes(piece[:_CRC_BYTES], "little") ^ checksum
    return head.to_bytes(_CRC_BYTES, "little") + piece[_CRC_BYTES:]


def _in_turns(items: Iterator[bytes], rest: Callable[[], None]) -> Iterator[bytes]:
    """The same, with a `rest` now and then."""
    left = _TURN_BYTES
    for item in items:
        left -= len(item) + _ITEM_BYTES
        if left < 0:
            rest()
            left = _TURN_BYTES
        yield item


def _gathered(items: Iterator[bytes]) -> Iterator[bytes]:
    """The same bytes in pieces, none shorter than a checksum's state."""
    kept: list[bytes] = []
    size = 0
    for item in items:
        kept.append(item)
        size += len(item)
        if size >= _PIECE_BYTES:
            whole = b"".join(kept)
            # What stays behind makes sure that the last piece is no shorter.
            yield whole[:-_CRC_BYTES]
            kept, size = [whole[-_CRC_BYTES:]], _CRC_BYTES
    yield b"".join(kept)


def _items(
    snapshot: Snapshot, config: Config, now: float, *, base: bool, newest: bool
) -> Iterator[bytes]:
    compressed: bool = config["rdbcompression"]
    version = RDB_VERSION_7_4 if newest or _has_field_deadlines(snapshot) else RDB_VERSION
    yield b"%b%04d" % (MAGIC, version)
    for name, text in (
        (b"redis-ver", REDIS_VERSION.encode()),
        (b"redis-bits", b"64"),
        (b"ctime", b"%d" % now),
        (b"aof-base", b"%d" % base),
    ):
        yield b"%c%b%b" % (_AUX, pack_string(name), pack_string(text))
    for code in snapshot.libraries:
        yield save_library(code, compressed=compressed)
    policy = Policy.of(config, now)
    for part in snapshot.parts:
        count = sum(key is not None for key in part.keys)
        volatile = sum(deadline > 0 for deadline in part.deadlines)
        yield b"%c%b" % (_SELECT, pack_length(part.index))
        yield b"%c%b%b" % (_RESIZE, pack_length(count), pack_length(volatile))
        for key, value, deadline_ms, access in zip(
            part.keys, part.values, part.deadlines, part.accesses, strict=True
        ):
            if key is None:
                continue
            if deadline_ms:
                yield struct.pack("<Bq", _DEADLINE_MS, deadline_ms)
            if policy.idle or policy.frequency:
                yield _packed_access(access, policy)
            body = save_value(value, config, newest=newest, hurried=True)
            yield body[:1] + pack_string(key, compressed=False)
            yield body[1:]
    yield b"%c" % _END


def _has_field_deadlines(snapshot: Snapshot) -> bool:
    return any(
        isinstance(value, ExpiringHash) and value.next_due_ms()
        for part in snapshot.parts
        for value in part.values
    )


def _packed_access(access: float, policy: Policy) -> bytes:
    if policy.idle:
        return b"%c%b" % (_IDLE, pack_length(max(0, int(policy.now - access))))
    return b"%c%c" % (_FREQUENCY, lfu_counter(access, policy.now, policy.decay_minutes))


def parsed(data: bytes, config: Config, now: float, *, verify: bool = True) -> Snapshot:
    """The snapshot in the bytes of a file; CorruptPayload says what is wrong with them.

    `now`, in seconds, is what idleness counts from.
    """
    version = _checked_version(data, verify=verify)
    reader = Reader(data, _NO_LIMIT)
    reader.take(_MAGIC_BYTES)
    snapshot = _Loading(reader, config, Policy.of(config, now)).run()
    if reader.left != (_CHECKSUM_BYTES if version >= _CHECKSUM_VERSION else 0):
        raise CorruptPayload("it does not end where it says")
    return snapshot


def _checked_version(data: bytes, *, verify: bool) -> int:
    if len(data) < _MAGIC_BYTES or not data.startswith(MAGIC):
        raise CorruptPayload("it is no RDB file")
    digits = data[len(MAGIC) : _MAGIC_BYTES]
    version = int(digits) if digits.isdigit() else 0
    if not 1 <= version <= RDB_VERSION_7_4:
        raise CorruptPayload(f"it is of RDB version {digits!r}, which is not known")
    if verify and version >= _CHECKSUM_VERSION:
        checksum = int.from_bytes(data[-_CHECKSUM_BYTES:], "little")
        if checksum and crc64(data[:-_CHECKSUM_BYTES]) != checksum:
            raise CorruptPayload(
                "its checksum is wrong: it is damaged, or was not written to its end"
            )
    return version


class _Loading:
    """One pass over a file."""

    def __init__(self, reader: Reader, config: Config, policy: Policy) -> None:
        self._reader, self._config, self._policy = reader, config, policy
        # By database: keys, values, deadlines, accesses.
        self._columns: dict[int, tuple[list[Any], ...]] = {}
        self._libraries: list[bytes] = []
        self._select(0)
        self._deadline_ms, self._access = 0, UNKNOWN

    def _select(self, index: int) -> None:
        self._current = self._columns.setdefault(index, ([], [], [], []))

    def run(self) -> Snapshot:
        """Read up to the mark of the end."""
        reader = self._reader
        while (kind := reader.byte()) != _END:
            if kind < _SLOT_INFO:
                self._entry(kind)
            else:
                self._mark(kind)
        parts = [
            Part(index, *columns) for index, columns in self._columns.items() if columns[0]
        ]  # fmt: skip
        return Snapshot(parts, self._libraries)

    def _entry(self, kind: int) -> None:
        keys, values, deadlines, accesses = self._current
        keys.append(self._reader.string())
        values.append(load_kind(kind, self._reader, self._config))
        deadlines.append(self._deadline_ms)
        accesses.append(self._access)
        self._deadline_ms, self._access = 0, UNKNOWN

    def _mark(self, kind: int) -> None:
        reader, policy = self._reader, self._policy
        if kind == _SELECT:
            self._select(reader.length())
        elif kind == _DEADLINE_MS:
            self._deadline_ms = reader.signed64()
        elif kind == _DEADLINE_SECONDS:
            self._deadline_ms = int.from_bytes(reader.take(4), "little", signed=True) * 1000
        elif kind == _IDLE:
            seconds = reader.length()
            if policy.idle:
                self._access = policy.now - seconds
        elif kind == _FREQUENCY:
            counter = reader.byte()
            if policy.frequency:
                self._access = lfu_number(policy.now, counter)
        elif kind == _AUX:
            reader.string()
            reader.string()
        elif kind == _RESIZE:
            reader.length()
            reader.length()
        elif kind in (FUNCTION, FUNCTION_OF_CANDIDATES):
            self._libraries.append(load_library(reader, kind))
        elif kind == _MODULE_AUX:
            raise CorruptPayload("it holds data of a module")
        else:
            raise CorruptPayload("it was written by a cluster's node")
