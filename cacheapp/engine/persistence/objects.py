"""Values of every type to RDB's bytes and back, but for streams (`streams`).

`save_value` writes what Redis 7.0 writes: the packed kinds for what it would keep packed, the plain
ones for the rest, so that its RESTORE and ours read each other. `load_value` reads every kind up to
those of Redis 7.4, verifies all of it, and decides the encoding anew by the limits in force, as
Redis does. Empty collections, duplicates and scores that are no numbers are corrupt.

Where Redis splits a list into nodes depends on the order in which it grew; here it is split as if
it had grown at its tail. A hash whose fields have deadlines is written as Redis 7.4 writes it,
which older ones refuse. Left out on purpose: values of modules.
"""

from __future__ import annotations

import math
import struct
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Final

from cacheapp.engine.arguments import parse_float
from cacheapp.engine.config import Config
from cacheapp.engine.errors import CommandError
from cacheapp.engine.fieldexpiry import DEADLINE_MS_MAX, build_hash
from cacheapp.engine.persistence import intset, legacy, listpack
from cacheapp.engine.persistence.encoding import (
    CorruptPayload,
    Reader,
    pack_length,
    pack_string,
)
from cacheapp.engine.persistence.streams import load_stream, save_stream
from cacheapp.engine.structures.expiringhash import ExpiringHash
from cacheapp.engine.structures.hash import Hash
from cacheapp.engine.structures.set import Set
from cacheapp.engine.structures.sortedset import SortedSet
from cacheapp.engine.structures.stream import Stream
from cacheapp.engine.values import LIST, STRING, string_bytes

TYPE_STRING: Final = 0
TYPE_LIST: Final = 1
TYPE_SET: Final = 2
TYPE_ZSET: Final = 3
TYPE_HASH: Final = 4
TYPE_ZSET_2: Final = 5
TYPE_HASH_ZIPMAP: Final = 9
TYPE_LIST_ZIPLIST: Final = 10
TYPE_SET_INTSET: Final = 11
TYPE_ZSET_ZIPLIST: Final = 12
TYPE_HASH_ZIPLIST: Final = 13
TYPE_LIST_QUICKLIST: Final = 14
TYPE_STREAM_LISTPACKS: Final = 15
TYPE_HASH_LISTPACK: Final = 16
TYPE_ZSET_LISTPACK: Final = 17
TYPE_LIST_QUICKLIST_2: Final = 18
TYPE_STREAM_LISTPACKS_2: Final = 19
TYPE_SET_LISTPACK: Final = 20
TYPE_STREAM_LISTPACKS_3: Final = 21
TYPE_HASH_METADATA: Final = 24
TYPE_HASH_LISTPACK_EX: Final = 25
# What Redis reads since 7.4.
TYPES_OF_7_4: Final = frozenset({TYPE_HASH_METADATA, TYPE_HASH_LISTPACK_EX})

# How a node of a list holds its elements: one as it is, or some in a listpack.
_PLAIN, _PACKED = 1, 2
_PLAIN_MIN_BYTES: Final = 1 << 30
# The sizes of nodes that a negative `list-max-listpack-size` stands for, and the most of others.
_NODE_BYTES: Final = (4096, 8192, 16384, 32768, 65536)
_NODE_SAFE_BYTES: Final = 8192
_NODE_MARGIN_BYTES: Final = 8
_LISTPACK_FRAME_BYTES: Final = 7
# Scores in a listpack are integers where a double holds them exactly by far.
_INTEGER_SCORE_MAX: Final = float(2**63 // 2)
# Compression takes a multiple of what the rest does, and saves little on what is small.
_LARGE_BYTES: Final = 1024
# A limit that nothing reaches: what came packed is only measured by its number of entries.
_NO_LIMIT: Final = 2**63


def save_value(value: Any, config: Config, *, newest: bool = False, hurried: bool = False) -> bytes:
    """`value` as RDB keeps it, its type's byte first.

    With `newest`, streams are written as Redis 7.2 writes them, which 7.0 cannot read. Where it is
    `hurried`, only what is large is compressed.
    """
    compressed: bool = config["rdbcompression"]
    if hurried and compressed:
        compressed = isinstance(value, LIST | Stream) or (
            isinstance(value, bytes | bytearray) and len(value) >= _LARGE_BYTES
        )
    if isinstance(value, STRING):
        raw = pack_string(string_bytes(value), compressed=compressed)
        return b"%c%b" % (TYPE_STRING, raw)
    if isinstance(value, LIST):
        return _save_list(value, config["list-max-listpack-size"], compressed)
    if isinstance(value, Hash):
        return _save_hash(value, compressed)
    if isinstance(value, Set):
        return _save_set(value, compressed)
    if isinstance(value, SortedSet):
        return _save_sorted_set(value, compressed)
    assert isinstance(value, Stream)
    if newest:
        stream = save_stream(value, compressed=compressed, version=3)
        return b"%c%b" % (TYPE_STREAM_LISTPACKS_3, stream)
    return b"%c%b" % (TYPE_STREAM_LISTPACKS_2, save_stream(value, compressed=compressed))


def load_value(reader: Reader, config: Config) -> Any:
    """The value that comes next in `reader`, its type's byte first; raises CorruptPayload."""
    return load_kind(reader.byte(), reader, config)


def load_kind(kind: int, reader: Reader, config: Config) -> Any:
    """As `load_value`, where the type's byte has been read and a key came after it."""
    load = _LOADERS.get(kind)
    if load is None:
        raise CorruptPayload(f"no type {kind}")
    return load(reader, config)


# Strings and lists


def _load_string(reader: Reader, _config: Config) -> bytes:
    return reader.string()


def _save_list(value: Iterable[bytes], fill: int, compressed: bool) -> bytes:
    nodes = list(_list_nodes(value, fill))
    parts = [b"%c%b" % (TYPE_LIST_QUICKLIST_2, pack_length(len(nodes)))]
    for container, content in nodes:
        parts.append(pack_length(container))
        parts.append(pack_string(content, compressed=compressed))
    return b"".join(parts)


def _list_nodes(value: Iterable[bytes], fill: int) -> Iterator[tuple[int, bytes]]:
    """The kinds and contents of a list's nodes, filled as by one RPUSH an element."""
    entries: list[bytes] = []
    size = _LISTPACK_FRAME_BYTES
    limit = _NODE_BYTES[min(-fill, len(_NODE_BYTES)) - 1] if fill < 0 else 0
    for item in value:
        wanted = size + len(item) + _NODE_MARGIN_BYTES
        plain = len(item) >= _PLAIN_MIN_BYTES
        fits = wanted <= limit or (wanted <= _NODE_SAFE_BYTES and len(entries) < fill)
        if entries and (plain or not fits):
            yield _PACKED, listpack.frame(entries)
            entries, size = [], _LISTPACK_FRAME_BYTES
        if plain:
            yield _PLAIN, item
        else:
            entry = listpack.pack_text(item)
            entries.append(entry)
            size += len(entry)
    if entries:
        yield _PACKED, listpack.frame(entries)


def _load_list(reader: Reader, _config: Config) -> Any:
    return _filled(LIST(reader.string() for _ in range(_count(reader))))


def _load_list_ziplist(reader: Reader, _config: Config) -> Any:
    return _filled(LIST(legacy.unpack_ziplist(reader.string())))


def _load_quicklist(reader: Reader, _config: Config) -> Any:
    items: deque[bytes] = LIST()
    for _ in range(_count(reader)):
        items.extend(legacy.unpack_ziplist(reader.string()))
    return _filled(items)


def _load_quicklist_2(reader: Reader, _config: Config) -> Any:
    items: deque[bytes] = LIST()
    for _ in range(_count(reader)):
        container, content = reader.length(), reader.string()
        if container == _PLAIN and content:
            items.append(content)
        elif container == _PACKED:
            items.extend(listpack.unpack_texts(content))
        else:
            raise CorruptPayload("list: node")
    return _filled(items)


# Hashes


def _save_hash(value: Hash, compressed: bool) -> bytes:
    if isinstance(value, ExpiringHash) and value.next_due_ms():
        return _save_expiring_hash(value, compressed)
    flat = [item for pair in value.items() for item in pair]
    if value.packed:
        packed = pack_string(listpack.pack(flat), compressed=compressed)
        return b"%c%b" % (TYPE_HASH_LISTPACK, packed)
    return _save_plain(TYPE_HASH, len(value), flat, compressed)


def _save_expiring_hash(value: ExpiringHash, compressed: bool) -> bytes:
    """Fields with what their deadlines are after the first one, or in a listpack, as they are."""
    first = value.next_due_ms()
    if value.packed:
        # In the order of deadlines, those without one at the end.
        entries = sorted(value.entries(), key=lambda entry: entry[2] or math.inf)
        packed = listpack.pack([item for entry in entries for item in entry])
        kind, rest = TYPE_HASH_LISTPACK_EX, pack_string(packed, compressed=compressed)
        return struct.pack("<Bq", kind, first) + rest
    parts = [struct.pack("<Bq", TYPE_HASH_METADATA, first), pack_length(len(value))]
    for field, content, due_ms in value.entries():
        parts.append(pack_length(due_ms - first + 1 if due_ms else 0))
        parts.append(pack_string(field, compressed=compressed))
        parts.append(pack_string(content, compressed=compressed))
    return b"".join(parts)


def _load_hash_metadata(reader: Reader, config: Config) -> Hash:
    first = reader.signed64()
    entries = []
    for _ in range(_count(reader)):
        after = reader.length()
        entries.append((reader.string(), reader.string(), first + after - 1 if after else 0))
    return _expiring_hash_of(entries, config, config["hash-max-listpack-value"])


def _load_hash_listpack_ex(reader: Reader, config: Config) -> Hash:
    reader.signed64()
    items = listpack.unpack(reader.string())
    dues = items[2::3]
    if len(items) % 3 or not all(isinstance(due_ms, int) for due_ms in dues):
        raise CorruptPayload("hash: deadlines")
    texts = listpack.texts(items)
    entries = zip(texts[::3], texts[1::3], map(int, dues), strict=True)
    return _expiring_hash_of(list(entries), config, _NO_LIMIT)


def _expiring_hash_of(
    entries: Sequence[tuple[bytes, bytes, int]], config: Config, value_bytes_max: int
) -> Hash:
    if not all(0 <= due_ms <= DEADLINE_MS_MAX for _, _, due_ms in entries):
        raise CorruptPayload("hash: a deadline out of range")
    made = build_hash(entries, config["hash-max-listpack-entries"], value_bytes_max)
    if len(made) != len(entries):
        raise CorruptPayload("hash: a field twice")
    _filled(made)
    return made


def _load_hash(reader: Reader, config: Config) -> Hash:
    count = _count(reader)
    flat = [reader.string() for _ in range(2 * count)]
    return _hash_of(flat, config, config["hash-max-listpack-value"])


def _load_hash_listpack(reader: Reader, config: Config) -> Hash:
    return _hash_of(_paired(listpack.unpack_texts(reader.string())), config, _NO_LIMIT)


def _load_hash_ziplist(reader: Reader, config: Config) -> Hash:
    return _hash_of(_paired(legacy.unpack_ziplist(reader.string())), config, _NO_LIMIT)


def _load_hash_zipmap(reader: Reader, config: Config) -> Hash:
    flat = legacy.unpack_zipmap(reader.string())
    return _hash_of(flat, config, config["hash-max-listpack-value"])


def _hash_of(flat: Sequence[bytes], config: Config, value_bytes_max: int) -> Hash:
    made = Hash()
    if (
        _filled(flat)
        and made.put_many(flat, config["hash-max-listpack-entries"], value_bytes_max)
        < len(flat) // 2
    ):
        raise CorruptPayload("hash: a field twice")
    return made


# Sets


def _save_set(value: Set, compressed: bool) -> bytes:
    members = value.members()
    if value.intset and members:
        packed = pack_string(intset.pack(list(map(int, members))), compressed=compressed)
        return b"%c%b" % (TYPE_SET_INTSET, packed)
    return _save_plain(TYPE_SET, len(members), members, compressed)


def _load_set(reader: Reader, config: Config) -> Set:
    count = _count(reader)
    return _set_of([reader.string() for _ in range(count)], config)


def _load_intset(reader: Reader, config: Config) -> Set:
    return _set_of([b"%d" % number for number in intset.unpack(reader.string())], config)


def _load_set_listpack(reader: Reader, config: Config) -> Set:
    return _set_of(listpack.unpack_texts(reader.string()), config)


def _set_of(members: Sequence[bytes], config: Config) -> Set:
    made = Set.of(members, config["set-max-intset-entries"])
    if len(made) != len(members):
        raise CorruptPayload("set: a member twice")
    _filled(made)
    return made


# Sorted sets


def _save_sorted_set(value: SortedSet, compressed: bool) -> bytes:
    if value.packed:
        flat = [item for member, score in value.items() for item in (member, _packed_score(score))]
        packed = pack_string(listpack.pack(flat), compressed=compressed)
        return b"%c%b" % (TYPE_ZSET_LISTPACK, packed)
    parts = [b"%c%b" % (TYPE_ZSET_2, pack_length(len(value)))]
    # From the highest to the lowest, which is what Redis inserts most easily.
    for member, score in reversed(list(value.items())):
        parts.append(pack_string(member, compressed=compressed))
        parts.append(struct.pack("<d", score))
    return b"".join(parts)


def _packed_score(score: float) -> listpack.Item:
    if abs(score) <= _INTEGER_SCORE_MAX and score == int(score):
        return int(score)
    return b"%.17g" % score


def _load_sorted_set_2(reader: Reader, config: Config) -> SortedSet:
    count = _count(reader)
    pairs = [(reader.string(), reader.double()) for _ in range(count)]
    return _sorted_set_of(pairs, config, config["zset-max-listpack-value"])


def _load_sorted_set(reader: Reader, config: Config) -> SortedSet:
    count = _count(reader)
    pairs = [(reader.string(), _text_double(reader)) for _ in range(count)]
    return _sorted_set_of(pairs, config, config["zset-max-listpack-value"])


def _text_double(reader: Reader) -> float:
    """A double as decimal text after its length; three lengths stand for what has no digits."""
    size = reader.byte()
    if size >= 253:
        return (float("nan"), float("inf"), float("-inf"))[size - 253]
    return _score(reader.take(size))


def _load_sorted_set_listpack(reader: Reader, config: Config) -> SortedSet:
    return _scored(_paired(listpack.unpack_texts(reader.string())), config)


def _load_sorted_set_ziplist(reader: Reader, config: Config) -> SortedSet:
    return _scored(_paired(legacy.unpack_ziplist(reader.string())), config)


def _scored(flat: Sequence[bytes], config: Config) -> SortedSet:
    pairs = [(member, _score(raw)) for member, raw in zip(flat[::2], flat[1::2], strict=True)]
    return _sorted_set_of(pairs, config, _NO_LIMIT)


def _score(raw: bytes) -> float:
    try:
        return parse_float(raw)
    except CommandError:
        raise CorruptPayload("sorted set: score") from None


def _sorted_set_of(
    pairs: Sequence[tuple[bytes, float]], config: Config, value_bytes_max: int
) -> SortedSet:
    scores = dict(pairs)
    if len(scores) != len(pairs):
        raise CorruptPayload("sorted set: a member twice")
    if any(map(math.isnan, scores.values())):
        raise CorruptPayload("sorted set: a score that is no number")
    made = SortedSet.of(scores, config["zset-max-listpack-entries"], value_bytes_max)
    _filled(made)
    return made


# Common


def _save_plain(kind: int, count: int, strings: Iterable[bytes], compressed: bool) -> bytes:
    parts = [b"%c%b" % (kind, pack_length(count))]
    parts.extend(pack_string(item, compressed=compressed) for item in strings)
    return b"".join(parts)


def _count(reader: Reader) -> int:
    """A number of elements; each takes a byte at least, so more than are left is a lie."""
    count = reader.length()
    if count > reader.left:
        raise CorruptPayload("more elements than bytes")
    return count


def _paired(flat: list[bytes]) -> list[bytes]:
    if len(flat) % 2:
        raise CorruptPayload("half a pair")
    return flat


def _filled(collection: Any) -> Any:
    if not collection:
        raise CorruptPayload("an empty collection")
    return collection


_LOADERS: Final[dict[int, Callable[[Reader, Config], Any]]] = {
    TYPE_STRING: _load_string,
    TYPE_LIST: _load_list,
    TYPE_SET: _load_set,
    TYPE_ZSET: _load_sorted_set,
    TYPE_HASH: _load_hash,
    TYPE_ZSET_2: _load_sorted_set_2,
    TYPE_HASH_ZIPMAP: _load_hash_zipmap,
    TYPE_LIST_ZIPLIST: _load_list_ziplist,
    TYPE_SET_INTSET: _load_intset,
    TYPE_ZSET_ZIPLIST: _load_sorted_set_ziplist,
    TYPE_HASH_ZIPLIST: _load_hash_ziplist,
    TYPE_LIST_QUICKLIST: _load_quicklist,
    TYPE_STREAM_LISTPACKS: lambda reader, _config: load_stream(reader, 1),
    TYPE_HASH_LISTPACK: _load_hash_listpack,
    TYPE_ZSET_LISTPACK: _load_sorted_set_listpack,
    TYPE_LIST_QUICKLIST_2: _load_quicklist_2,
    TYPE_STREAM_LISTPACKS_2: lambda reader, _config: load_stream(reader, 2),
    TYPE_SET_LISTPACK: _load_set_listpack,
    TYPE_HASH_METADATA: _load_hash_metadata,
    TYPE_HASH_LISTPACK_EX: _load_hash_listpack_ex,
    TYPE_STREAM_LISTPACKS_3: lambda reader, _config: load_stream(reader, 3),
}
