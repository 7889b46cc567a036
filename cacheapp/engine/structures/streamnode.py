"""A node of a stream: some hundred entries in a buffer of bytes; see `stream`.

An entry that goes alone is only marked; its bytes go with its node. A node that is read a lot may
be *shown*: it has the ids and the values of its entries besides, as they are read, until it is
`hidden`. Nothing of what clients see depends on it. Who decides is the stream.
"""

from __future__ import annotations

import itertools
import sys
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from typing import Any

from cacheapp.engine.structures.listpacksize import number_bytes, text_bytes

SEQUENCE_MASK = 2**64 - 1

# Entry names and their values in turn.
Pairs = list[bytes]
# What a range consists of: the id as text, and the pairs.
Row = list[bytes | Pairs]
# The same as redis-py shows it.
Record = tuple[bytes, dict[bytes, bytes]]

_LISTPACK_FRAME_BYTES = 7
# From so many entries on, a range takes their values out in one piece.
_SLICED_ROWS_MIN = 4
# A node is shown only up to this size.
_SHOWN_ENTRIES_MAX = 256
_SHOWN_BYTES_MAX = 16 * 1024


def format_id(number: int) -> bytes:
    """An id as clients see it: `<milliseconds>-<sequence>`."""
    return b"%d-%d" % (number >> 64, number & SEQUENCE_MASK)


class Node:
    """Consecutive entries; `blob` holds their values, one after the other."""

    __slots__ = (
        "blob", "ends", "fields", "gone", "listpack_bytes", "live", "master", "ms", "own",
        "sequences", "shown", "starts", "weight",
    )  # fmt: skip

    def __init__(self, number: int, fields: tuple[bytes, ...]) -> None:
        self.master = number
        # The field names of every entry which is not in `own`.
        self.fields = fields
        self.own: dict[int, tuple[bytes, ...]] | None = None
        # Where the values of each entry begin in `ends`; None while all have the same fields.
        self.starts: array[int] | None = None
        # Ids and values of all entries, which are `regular`, where the node is shown.
        self.shown: tuple[list[bytes], list[bytes]] | None = None
        self.ms = array("Q")
        self.sequences = array("Q")
        self.ends = array("I")
        self.blob: bytes | bytearray = bytearray()
        # A bit for the position of each deleted entry.
        self.gone = 0
        self.live = 0
        # What it takes in this process, from when it is sealed on; 0 before.
        self.weight = 0
        names = sum(map(text_bytes, fields))
        self.listpack_bytes = (
            _LISTPACK_FRAME_BYTES + 2 * number_bytes(0) + number_bytes(len(fields)) + names
            + number_bytes(0)
        )  # fmt: skip

    def __len__(self) -> int:
        """How many entries there are, with those marked as deleted."""
        return len(self.ms)

    def append(self, number: int, fields: tuple[bytes, ...], values: Sequence[bytes]) -> None:
        """Add an entry whose id is above all others."""
        blob, ends = self.blob, self.ends
        if type(blob) is bytes:
            self.blob = blob = bytearray(blob)
        assert isinstance(blob, bytearray)
        ms, sequence, master = number >> 64, number & SEQUENCE_MASK, self.master
        distance = sequence - (master & SEQUENCE_MASK)
        # Two for the flags, and two for a number that is short, as most are.
        size = 4 if 0 <= distance < 128 else 2 + number_bytes(distance)
        if (later := ms - (master >> 64)) >= 128:
            size += number_bytes(later)
        else:
            size += 2
        first = len(ends)
        for value in values:
            blob += value
            ends.append(len(blob))
            # Short and no number, as most are.
            size += len(value) + 2 if len(value) < 64 and value[:1] > b"9" else text_bytes(value)
        count = len(fields)
        if fields is self.fields or fields == self.fields:
            size += 2 if count < 125 else number_bytes(count + 3)
        else:
            size += number_bytes(count) + sum(map(text_bytes, fields))
            size += number_bytes(2 * count + 4)
            self._keep_own(fields)
        if self.starts is not None:
            self.starts.append(first)
        if self.shown is not None:
            self._show_next(ms, sequence, values)
        self.ms.append(ms)
        self.sequences.append(sequence)
        self.live += 1
        if self.live >= 128:
            size += number_bytes(self.live) - number_bytes(self.live - 1)
        self.listpack_bytes += size

    def _keep_own(self, fields: tuple[bytes, ...]) -> None:
        self.shown = None
        if self.own is None or self.starts is None:
            self.own = {}
            width = len(self.fields)
            self.starts = array("I", range(0, len(self.ms) * width, width))
        self.own[len(self.ms)] = fields

    def seal(self) -> None:
        """Give spare room back; an append takes it again."""
        self.blob = bytes(self.blob)
        self.weight = self.memory_bytes()

    def id(self, position: int) -> int:
        """The id of the entry at `position`."""
        return self.ms[position] << 64 | self.sequences[position]

    def position(self, number: int) -> int:
        """The first position whose id is at least `number`."""
        ms = number >> 64
        first = bisect_left(self.ms, ms)
        last = bisect_right(self.ms, ms, first)
        return bisect_left(self.sequences, number & SEQUENCE_MASK, first, last)

    def find(self, number: int) -> int:
        """The position of the entry `number`, or -1 where it is not or is deleted."""
        position = self.position(number)
        if position == len(self.ms) or self.id(position) != number:
            return -1
        return -1 if self.gone >> position & 1 else position

    def pairs(self, position: int) -> Pairs:
        """The fields and values of the entry at `position`."""
        fields = self.fields
        if self.own is None or self.starts is None:
            first = position * len(fields)
        else:
            first = self.starts[position]
            fields = self.own.get(position, fields)
        blob, ends = self.blob, self.ends
        begin = ends[first - 1] if first else 0
        flat: Pairs = []
        for field in fields:
            end = ends[first]
            flat.append(field)
            flat.append(bytes(blob[begin:end]))
            begin = end
            first += 1
        return flat

    def row(self, position: int) -> Row:
        """The entry at `position` as a range shows it."""
        name = b"%d-%d" % (self.ms[position], self.sequences[position])
        return [name, self.pairs(position)]

    def rows(self, first: int, last: int, count: int, reverse: bool = False) -> list[Row]:
        """The entries from position `first` to before `last`, `count` at most, as `row`."""
        if not self.regular or (count < _SLICED_ROWS_MIN and self.shown is None):
            found = itertools.islice(self.positions(first, last, reverse=reverse), count)
            return [self.row(position) for position in found]
        first, last = _cut(first, last, count, reverse)
        if first >= last:
            return []
        names, values = self._columns(first, last)
        fields = self.fields
        width = len(fields)
        rows: list[Row]
        if width == 1:
            [field] = fields
            rows = [[name, [field, value]] for name, value in zip(names, values, strict=True)]
        else:
            rows = []
            at = 0
            for name in names:
                pairs: Pairs = [b""] * (2 * width)
                pairs[::2] = fields
                pairs[1::2] = values[at : at + width]
                rows.append([name, pairs])
                at += width
        if reverse:
            rows.reverse()
        return rows

    def records(self, first: int, last: int, count: int, reverse: bool = False) -> list[Record]:
        """As `rows`, the pairs of each entry as a dict."""
        shown = self.shown
        if shown is None and (not self.regular or count < _SLICED_ROWS_MIN):
            rows: list[Any] = self.rows(first, last, count, reverse)
            return [(name, dict(zip(pairs[::2], pairs[1::2], strict=True))) for name, pairs in rows]
        if last - first > count:
            first, last = _cut(first, last, count, reverse)
        if first >= last:
            return []
        fields = self.fields
        width = len(fields)
        if shown is not None and width == 1:
            names, values = shown[0][first:last], shown[1][first:last]
        else:
            names, values = self._columns(first, last)
        found: list[Record]
        if width == 1:
            [field] = fields
            # Both are as long; to have that checked takes a while.
            found = [(name, {field: value}) for name, value in zip(names, values)]  # noqa: B905
        else:
            turns = range(0, len(values), width)
            found = [
                (name, dict(zip(fields, values[at : at + width], strict=True)))
                for name, at in zip(names, turns, strict=True)
            ]
        if reverse:
            found.reverse()
        return found

    def _columns(self, first: int, last: int) -> tuple[list[bytes], list[bytes]]:
        """The ids and the values of the entries `first` to before `last` of a regular node."""
        width = len(self.fields)
        if self.shown is not None:
            names, values = self.shown
            return names[first:last], values[first * width : last * width]
        # Where the values end, and before them where the first one begins.
        edges = self.ends[max(first * width - 1, 0) : last * width].tolist()
        if not first:
            edges.insert(0, 0)
        base = edges[0]
        text = bytes(self.blob[base : edges[-1]])
        if base:
            edges = [edge - base for edge in edges]
        pairs = zip(self.ms[first:last], self.sequences[first:last], strict=True)
        return (
            [b"%d-%d" % pair for pair in pairs],
            [text[begin:end] for begin, end in itertools.pairwise(edges)],
        )

    @property
    def regular(self) -> bool:
        """Whether all entries have the same fields, and none is deleted."""
        return not self.gone and self.starts is None

    def show(self) -> bool:
        """Have ids and values at hand, unless it is too large or not regular; whether it has."""
        size = len(self.ms)
        if not self.regular or size > _SHOWN_ENTRIES_MAX or len(self.blob) > _SHOWN_BYTES_MAX:
            return False
        self.shown = self._columns(0, size)
        return True

    def hide(self) -> None:
        """Undo `show`."""
        self.shown = None

    def _show_next(self, ms: int, sequence: int, values: Sequence[bytes]) -> None:
        """Keep a node shown that is given an entry, if it may be."""
        assert self.shown is not None
        if len(self.ms) >= _SHOWN_ENTRIES_MAX or len(self.blob) > _SHOWN_BYTES_MAX:
            self.shown = None
        else:
            self.shown[0].append(b"%d-%d" % (ms, sequence))
            self.shown[1].extend(values)

    def positions(self, first: int, last: int, *, reverse: bool = False) -> Iterator[int]:
        """The positions from `first` to before `last` that are not deleted."""
        found = range(last - 1, first - 1, -1) if reverse else range(first, last)
        gone = self.gone
        return (at for at in found if not gone >> at & 1) if gone else iter(found)

    def mark(self, position: int) -> None:
        """Delete the entry at `position`, which is there."""
        dead = len(self.ms) - self.live
        self.gone |= 1 << position
        self.shown = None
        self.listpack_bytes += number_bytes(self.live - 1) - number_bytes(self.live)
        self.listpack_bytes += number_bytes(dead + 1) - number_bytes(dead)
        self.live -= 1

    def copy(self) -> Node:
        """An independent copy."""
        made = Node(self.master, ())
        made.fields = self.fields
        made.own = dict(self.own) if self.own is not None else None
        made.starts = self.starts[:] if self.starts is not None else None
        made.ms, made.sequences, made.ends = self.ms[:], self.sequences[:], self.ends[:]
        made.blob = self.blob if type(self.blob) is bytes else bytearray(self.blob)
        made.gone = self.gone
        made.live, made.listpack_bytes = self.live, self.listpack_bytes
        made.weight = self.weight
        return made

    def memory_bytes(self) -> int:
        """What the node takes in this process, the names that entries share included."""
        size = sys.getsizeof(self) + sys.getsizeof(self.fields) + sys.getsizeof(self.master)
        for part in (self.blob, self.ms, self.sequences, self.ends, self.own, self.starts):
            if part is not None:
                size += sys.getsizeof(part)
        return size + sum(map(sys.getsizeof, self.fields))


def _cut(first: int, last: int, count: int, reverse: bool) -> tuple[int, int]:
    """Of the positions `first` to before `last`, the `count` that are wanted."""
    if last - first <= count:
        return first, last
    return (last - count, last) if reverse else (first, first + count)
