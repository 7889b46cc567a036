"""The stream: entries in the order of their ids, packed by the hundred.

An id is one integer, milliseconds in the high 64 bits and the sequence in the low ones, so ids
compare, count up and down, and bisect as numbers. Entries live in nodes, each a buffer of bytes
with the positions in it, and the field names of its first entry, which most entries repeat. A list
of the nodes' first ids leads to any entry by bisection, and trimming drops whole nodes at the head.

Nodes are `streamnode`'s. They end where Redis's would (`stream-node-max-entries`,
`stream-node-max-bytes`), because it shows: `~` trims whole nodes, and XINFO counts them. For that
a node knows how many bytes its listpack would have. As in Redis, a node whose entries are all
marked as deleted may stay until it is trimmed.

A stream that is read a lot may be *warm*: of the nodes that are read, a few are shown until `cool`.

Consumer groups are in `streamgroup`; here they are a dict that is copied along.
"""

from __future__ import annotations

import itertools
import sys
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence

from cacheapp.engine.structures.streamgroup import Group
from cacheapp.engine.structures.streamnode import (
    SEQUENCE_MASK,
    Node,
    Record,
    Row,
    format_id,
)

__all__ = [
    "ID_MAX",
    "SEQUENCE_MASK",
    "Node",
    "Record",
    "Row",
    "Stream",
    "count_radix_nodes",
    "format_id",
]

ID_MAX = 2**128 - 1

# The largest listpack that Redis makes, where no smaller limit is set.
_LISTPACK_BYTES_MAX = 1 << 30
# Nodes that a warm stream shows.
_SHOWN_MAX = 4
# Nodes given up at the head before the lists are cut.
_HEAD_SLACK = 512
# Numbers that no two states of any streams share.
_marks = itertools.count(1)


class Stream:
    """Entries by id, and the counters that XINFO shows. An empty stream is a value like any."""

    __slots__ = (
        "_head", "_masters", "_nodes", "_sealed_bytes", "_shown", "entries_added", "first_id",
        "groups", "last_id", "length", "mark", "max_deleted_id",
    )  # fmt: skip

    def __init__(self) -> None:
        self._nodes: list[Node] = []
        self._masters: list[int] = []
        # Where the lists begin: what is before was trimmed.
        self._head = 0
        # What all nodes but the last take.
        self._sealed_bytes = 0
        # While it is warm, the nodes that are shown.
        self._shown: list[Node] | None = None
        self.length = 0
        self.first_id = 0
        self.last_id = 0
        self.max_deleted_id = 0
        self.entries_added = 0
        self.groups: dict[bytes, Group] = {}
        # Another number after each news, and in each stream: who waits compares it.
        self.mark = next(_marks)

    def __len__(self) -> int:
        return self.length

    def __bool__(self) -> bool:
        """An empty stream stays."""
        return True

    def encoding(self, _config: object) -> bytes:
        """The word that OBJECT ENCODING answers."""
        return b"stream"

    def warm(self) -> bool:
        """Show some of the nodes that are read, until `cool`; whether that is new."""
        if self._shown is not None:
            return False
        self._shown = []
        return True

    def cool(self) -> None:
        """Show no node any more."""
        for node in self._shown or ():
            node.hide()
        self._shown = None

    # Adding

    def append(
        self,
        number: int,
        items: Sequence[bytes],
        entries_max: int,
        bytes_max: int,
        size_bytes: int = -1,
    ) -> None:
        """Add an entry of `items` (fields and values in turn), whose id is above `last_id`.

        `size_bytes` is the length of all items, if the caller knows it.

        A node is full with `entries_max` entries (0: no limit) or when its listpack would come to
        `bytes_max` bytes (0: 1 GiB).
        """
        fields: tuple[bytes, ...] = (items[0],) if len(items) == 2 else tuple(items[::2])
        node = self._nodes[-1] if len(self._nodes) > self._head else None
        if node is not None:
            if not 0 < bytes_max < _LISTPACK_BYTES_MAX:
                bytes_max = _LISTPACK_BYTES_MAX
            if size_bytes < 0:
                size_bytes = sum(map(len, items))
            full = node.listpack_bytes + size_bytes >= bytes_max
            if full or 0 < entries_max <= len(node.ms):
                node.seal()
                self._sealed_bytes += node.weight
                if node.fields == fields:
                    fields = node.fields
                node = None
        if node is None:
            node = Node(number, fields)
            self._nodes.append(node)
            self._masters.append(number)
        elif node.weight:
            self._sealed_bytes -= node.weight
            node.weight = 0
        if node.fields == fields:
            # One tuple for all of them, which is also faster to compare.
            fields = node.fields
        node.append(number, fields, (items[1],) if len(items) == 2 else items[1::2])
        self.length += 1
        self.entries_added += 1
        self.last_id = number
        if self.length == 1:
            self.first_id = number
        self.mark = next(_marks)

    def renew_mark(self) -> None:
        """Tell those who wait that there is news."""
        self.mark = next(_marks)

    # Reading

    def walk(
        self, start: int = 0, end: int = ID_MAX, *, reverse: bool = False
    ) -> Iterator[tuple[Node, int]]:
        """The node and position of each entry from `start` to `end`, both included."""
        for node, begin, stop in self._parts(start, end, reverse):
            for position in node.positions(begin, stop, reverse=reverse):
                yield node, position

    def _parts(self, start: int, end: int, reverse: bool) -> Iterator[tuple[Node, int, int]]:
        """The nodes with entries from `start` to `end`, and from which position to before which."""
        if end < start:
            return
        nodes, masters, head = self._nodes, self._masters, self._head
        first = max(bisect_right(masters, start, head) - 1, head) if start else head
        last = bisect_right(masters, end, head)
        order = range(last - 1, first - 1, -1) if reverse else range(first, last)
        for index in order:
            node = nodes[index]
            begin = node.position(start) if node.master < start else 0
            # An id after the last entry needs no search.
            stop = len(node.ms)
            if index == last - 1 and end < self.last_id:
                stop = node.position(end + 1)
            if node.shown is None and self._shown is not None:
                self._show(node)
            yield node, begin, stop

    def _part(
        self, start: int, end: int, count: int, reverse: bool
    ) -> tuple[Node, int, int] | None:
        """As `_parts`, where one node has all that is wanted; None if more of them may have to."""
        nodes, head = self._nodes, self._head
        if end < self.last_id or len(nodes) == head:
            return None
        begin = 0
        if reverse:
            index = len(nodes) - 1
        else:
            index = max(bisect_right(self._masters, start, head) - 1, head) if start else head
        node = nodes[index]
        if node.master < start:
            begin = node.position(start)
        stop = len(node.ms)
        if not (0 < count <= stop - begin and node.regular) and len(nodes) > (
            head + 1 if reverse else index + 1
        ):
            return None
        if node.shown is None and self._shown is not None:
            self._show(node)
        return node, begin, stop

    def _show(self, node: Node) -> None:
        shown = self._shown
        if shown is not None and len(shown) < _SHOWN_MAX and node.show():
            shown.append(node)

    def range(
        self, start: int = 0, end: int = ID_MAX, count: int = 0, reverse: bool = False
    ) -> list[Row]:
        """The entries from `start` to `end`, both included, `count` at most (0: all)."""
        left = count or sys.maxsize
        part = self._part(start, end, count, reverse)
        if part is not None:
            return part[0].rows(part[1], part[2], left, reverse)
        rows: list[Row] = []
        for node, begin, stop in self._parts(start, end, reverse):
            rows += node.rows(begin, stop, left, reverse)
            left = (count or sys.maxsize) - len(rows)
            if left <= 0:
                break
        return rows

    def records(
        self, start: int = 0, end: int = ID_MAX, count: int = 0, reverse: bool = False
    ) -> list[Record]:
        """As `range`, each entry as the id and a dict."""
        left = count or sys.maxsize
        part = self._part(start, end, count, reverse)
        if part is not None:
            return part[0].records(part[1], part[2], left, reverse)
        found: list[Record] = []
        for node, begin, stop in self._parts(start, end, reverse):
            found += node.records(begin, stop, left, reverse)
            left = (count or sys.maxsize) - len(found)
            if left <= 0:
                break
        return found

    def row(self, number: int) -> Row | None:
        """The entry whose id is `number`, or None."""
        node, position = self._find(number)
        return None if node is None else node.row(position)

    def __contains__(self, number: int) -> bool:
        return self._find(number)[0] is not None

    def _find(self, number: int) -> tuple[Node | None, int]:
        index = bisect_right(self._masters, number, self._head) - 1
        if index < self._head:
            return None, -1
        node = self._nodes[index]
        position = node.find(number)
        return (None, -1) if position < 0 else (node, position)

    def top_id(self) -> int:
        """The highest id of an entry that is there, 0 where there is none."""
        if len(self._nodes) > self._head and not self._nodes[-1].gone:
            return self._nodes[-1].id(len(self._nodes[-1]) - 1)
        return next((node.id(position) for node, position in self.walk(reverse=True)), 0)

    # Removing

    def delete(self, number: int) -> bool:
        """Delete the entry whose id is `number`; whether it was there."""
        node, position = self._find(number)
        if node is None:
            return False
        self.length -= 1
        if node.live == 1:
            self._sealed_bytes -= node.weight
            index = bisect_left(self._masters, node.master, self._head)
            del self._nodes[index], self._masters[index]
        else:
            node.mark(position)
        self.max_deleted_id = max(self.max_deleted_id, number)
        if number == self.first_id or not self.length:
            self._find_first()
        return True

    def _find_first(self) -> None:
        self.first_id = next((node.id(position) for node, position in self.walk()), 0)

    def trim(
        self, *, length_max: int | None = None, min_id: int = 0, whole: bool, limit: int = 0
    ) -> int:
        """Drop the oldest entries beyond `length_max`, or (None) those below `min_id`.

        With `whole`, only nodes of which nothing need stay go, and no more than `limit` entries
        (0: any number). Returns how many entries went.
        """
        before = self.length
        while self._head < len(self._nodes):
            node = self._nodes[self._head]
            if length_max is not None and self.length <= length_max:
                break
            if limit and before - self.length + node.live > limit:
                break
            if length_max is None:
                remove = node.id(len(node) - 1) < min_id
            else:
                remove = self.length - node.live >= length_max
            if not remove:
                if not whole:
                    self._trim_node(node, length_max, min_id)
                break
            self.length -= node.live
            self._behead()
        if self.length != before:
            self._find_first()
        return before - self.length

    def _trim_node(self, node: Node, length_max: int | None, min_id: int) -> None:
        stop = len(node) if length_max is not None else node.position(min_id)
        for position in node.positions(0, stop):
            if length_max is not None and self.length <= length_max:
                break
            node.mark(position)
            self.length -= 1

    def _behead(self) -> None:
        """Give up the first node, at a cost that does not depend on how many there are."""
        head = self._head
        self._sealed_bytes -= self._nodes[head].weight
        self._nodes[head] = _NO_NODE
        self._head = head = head + 1
        if head == len(self._nodes) or (head > _HEAD_SLACK and head * 2 > len(self._nodes)):
            del self._nodes[:head], self._masters[:head]
            self._head = 0

    # How much of it a group has read

    def has_tombstones_from(self, start: int) -> bool:
        """Whether entries at or after `start` may have been deleted one by one."""
        deleted = self.max_deleted_id
        if not self.length or not deleted or self.first_id > deleted:
            return False
        return start <= deleted

    def entries_until(self, number: int) -> int | None:
        """How many entries were ever added up to the id `number`, or None where nobody knows."""
        if not self.entries_added:
            return 0
        if not self.length and number <= self.last_id:
            return self.entries_added
        if number == self.last_id:
            return self.entries_added
        if number > self.last_id:
            return None
        if not self.max_deleted_id or self.max_deleted_id < self.first_id:
            if number < self.first_id:
                return self.entries_added - self.length
            if number == self.first_id:
                return self.entries_added - self.length + 1
        return None

    # The whole

    def nodes(self) -> int:
        """How many nodes there are."""
        return len(self._nodes) - self._head

    def all_nodes(self) -> list[Node]:
        """The nodes in the order of ids, to be looked at only."""
        return self._nodes[self._head :]

    def adopt(self, nodes: list[Node]) -> None:
        """Take `nodes`, none of them empty, as the entries of this stream, which is new.

        Raises ValueError where ids do not ascend from node to node. `length` and `first_id` are
        set; the other counters are the caller's.
        """
        before = -1
        for node, following in itertools.pairwise([*nodes, None]):
            assert node is not None
            if not before < node.master <= node.id(0):
                raise ValueError("ids do not ascend")
            before = node.id(len(node) - 1)
            self.length += node.live
            if following is not None:
                node.seal()
                self._sealed_bytes += node.weight
                if following.fields == node.fields:
                    following.fields = node.fields
        self._nodes = nodes
        self._masters = [node.master for node in nodes]
        self._find_first()

    def radix_nodes(self) -> int:
        """How many nodes a compressed radix tree of the nodes' first ids has."""
        return count_radix_nodes(self._masters[self._head :])

    def copy(self) -> Stream:
        """An independent copy, groups included."""
        made = Stream()
        made._nodes = [node.copy() for node in self._nodes[self._head :]]
        made._masters = self._masters[self._head :]
        for name in (
            "length", "first_id", "last_id", "max_deleted_id", "entries_added", "_sealed_bytes",
        ):  # fmt: skip
            setattr(made, name, getattr(self, name))
        made.groups = {name: group.copy() for name, group in self.groups.items()}
        return made

    def memory_bytes(self, samples: int = 5) -> int:
        """The bytes of the entries, and an estimate for the groups, from `samples` consumers."""
        size = sys.getsizeof(self) + sys.getsizeof(self._nodes) + sys.getsizeof(self._masters)
        size += sys.getsizeof(self.groups)
        size += self._sealed_bytes
        if len(self._nodes) > self._head and not self._nodes[-1].weight:
            size += self._nodes[-1].memory_bytes()
        for name, group in self.groups.items():
            size += sys.getsizeof(name) + group.memory_bytes(samples)
        return size


_NO_NODE = Node(0, ())
_KEY_BYTES = 16


def count_radix_nodes(numbers: Sequence[int]) -> int:
    """The nodes of a radix tree whose keys are the ascending `numbers`, 16 bytes each.

    A node for each key, one for each place where keys part, and one for each run of bytes between
    two of those, or before the first.
    """
    if not numbers:
        return 1
    # How many leading bytes each key shares with the next; -1 around the ends.
    shared = [-1]
    for number, following in itertools.pairwise(numbers):
        shared.append((8 * _KEY_BYTES - (number ^ following).bit_length()) // 8)
    shared.append(-1)
    nodes = len(numbers)
    open_depths: list[int] = []
    for before, after in itertools.pairwise(shared):
        nodes += _KEY_BYTES - max(before, after) > 1
        while open_depths and open_depths[-1] > after:
            depth = open_depths.pop()
            parent = max(open_depths[-1] if open_depths else -1, after)
            nodes += 1 + (depth - parent > 1)
        if after >= 0 and (not open_depths or open_depths[-1] < after):
            open_depths.append(after)
    return nodes
