"""Consumer groups of a stream: who was given which entries, and has not acknowledged them yet.

A pending entry is one object in two lists, its group's and its consumer's. Both lists are in the
order of ids, since XPENDING, XAUTOCLAIM and the history of a consumer are ranges of them. Ids
arrive nearly always in ascending order and leave in any, so a list is a dict with a sorted list
of ids beside it, in which ids that left stay until they are as many as the others.

The entries themselves stay in the stream; a group neither keeps nor protects them.
"""

from __future__ import annotations

import sys
from bisect import bisect_left
from collections.abc import Iterator
from itertools import islice

# Ids that left, up to which nobody tidies up.
_DEAD_MIN = 64


class Pending:
    """An entry on its way: to whom, since when (milliseconds since the epoch), how often."""

    __slots__ = ("consumer", "delivered_ms", "deliveries")

    def __init__(self, consumer: Consumer, delivered_ms: int) -> None:
        self.consumer = consumer
        self.delivered_ms = delivered_ms
        self.deliveries = 1


class PendingList:
    """Pending entries by id, in the order of ids."""

    __slots__ = ("_dead", "_entries", "_order")

    def __init__(self) -> None:
        self._entries: dict[int, Pending] = {}
        self._order: list[int] = []
        self._dead = 0

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, number: int) -> Pending | None:
        """The pending entry of the id `number`, or None."""
        return self._entries.get(number)

    def put(self, number: int, pending: Pending) -> None:
        """Hold `pending` under the id `number`."""
        if number not in self._entries:
            order = self._order
            if not order or number > order[-1]:
                order.append(number)
            else:
                place = bisect_left(order, number)
                if order[place] == number:
                    self._dead -= 1
                else:
                    order.insert(place, number)
        self._entries[number] = pending

    def remove(self, number: int) -> Pending | None:
        """Take the id `number` out; what was there, or None."""
        pending = self._entries.pop(number, None)
        if pending is not None:
            self._dead += 1
            if self._dead > _DEAD_MIN and self._dead > len(self._entries):
                self._order = [left for left in self._order if left in self._entries]
                self._dead = 0
        return pending

    def first(self) -> int:
        """The lowest id; there must be one."""
        order, entries = self._order, self._entries
        place = 0
        while order[place] not in entries:
            place += 1
        # Cut, so that the next call does not pass them again.
        del order[:place]
        self._dead -= place
        return order[0]

    def last(self) -> int:
        """The highest id; there must be one."""
        order, entries = self._order, self._entries
        while order[-1] not in entries:
            order.pop()
            self._dead -= 1
        return order[-1]

    def walk(self, start: int = 0) -> Iterator[tuple[int, Pending]]:
        """Ids from `start` on, each with its entry; entries may be removed on the way."""
        order, entries = self._order, self._entries
        for place in range(bisect_left(order, start), len(order)):
            pending = entries.get(order[place])
            if pending is not None:
                yield order[place], pending

    def copy(self, consumers: dict[bytes, Consumer]) -> PendingList:
        """A copy whose entries belong to the same names among `consumers`."""
        made = PendingList()
        for number, pending in self.walk():
            twin = Pending(consumers[pending.consumer.name], pending.delivered_ms)
            twin.deliveries = pending.deliveries
            made.put(number, twin)
        return made

    def memory_bytes(self) -> int:
        """What the list takes, without the pending entries that it shares."""
        ids = len(self._order) * sys.getsizeof(2**100)
        return sys.getsizeof(self._entries) + sys.getsizeof(self._order) + ids


class Consumer:
    """One reader of a group, by name."""

    __slots__ = ("active_ms", "name", "pending", "seen_ms")

    def __init__(self, name: bytes, now_ms: int) -> None:
        self.name = name
        # When it last asked for something.
        self.seen_ms = now_ms
        # When it last was given something to acknowledge; -1 for never.
        self.active_ms = -1
        self.pending = PendingList()


class Group:
    """Where a group stands in its stream, and what is under way to its consumers.

    `entries_read` counts the entries from the stream's first ever to `last_id`; None: unknown.
    """

    __slots__ = ("consumers", "entries_read", "last_id", "pending")

    def __init__(self, last_id: int, entries_read: int | None) -> None:
        self.last_id = last_id
        self.entries_read = entries_read
        self.pending = PendingList()
        self.consumers: dict[bytes, Consumer] = {}

    def in_order(self) -> list[Consumer]:
        """The consumers by name."""
        return [self.consumers[name] for name in sorted(self.consumers)]

    def give(self, number: int, consumer: Consumer, now_ms: int) -> Pending:
        """Note that the entry `number` was delivered to `consumer`, for the first time.

        Returns what is pending now. An entry may be pending already, where the group was set
        back; then it changes hands.
        """
        pending = self.pending.get(number)
        if pending is None:
            pending = Pending(consumer, now_ms)
            self.pending.put(number, pending)
        else:
            pending.consumer.pending.remove(number)
            pending.consumer = consumer
            pending.delivered_ms = now_ms
            pending.deliveries = 1
        consumer.pending.put(number, pending)
        return pending

    def hand_over(self, number: int, pending: Pending, consumer: Consumer) -> None:
        """Make the pending entry `number` that of `consumer`."""
        if pending.consumer is not consumer:
            pending.consumer.pending.remove(number)
            pending.consumer = consumer
            consumer.pending.put(number, pending)

    def forget(self, number: int) -> bool:
        """Take the entry `number` off both lists; whether it was pending."""
        pending = self.pending.remove(number)
        if pending is None:
            return False
        pending.consumer.pending.remove(number)
        return True

    def dismiss(self, name: bytes) -> int:
        """Delete the consumer `name` with all that is pending for it; how many those were."""
        consumer = self.consumers.pop(name, None)
        if consumer is None:
            return 0
        for number, _ in consumer.pending.walk():
            self.pending.remove(number)
        return len(consumer.pending)

    def copy(self) -> Group:
        """An independent copy."""
        made = Group(self.last_id, self.entries_read)
        for name, consumer in self.consumers.items():
            twin = made.consumers[name] = Consumer(name, consumer.seen_ms)
            twin.active_ms = consumer.active_ms
        made.pending = self.pending.copy(made.consumers)
        for number, pending in made.pending.walk():
            pending.consumer.pending.put(number, pending)
        return made

    def memory_bytes(self, samples: int = 5) -> int:
        """An estimate of the bytes it takes; `samples` consumers are measured (0: all)."""
        size = sys.getsizeof(self) + sys.getsizeof(self.consumers) + self.pending.memory_bytes()
        size += len(self.pending) * (sys.getsizeof(_EXAMPLE) + sys.getsizeof(2**41))
        names = list(islice(self.consumers, samples or None))
        if names:
            measured = sum(
                sys.getsizeof(name) + sys.getsizeof(self.consumers[name])
                + self.consumers[name].pending.memory_bytes()
                for name in names
            )  # fmt: skip
            size += measured * len(self.consumers) // len(names)
        return size


_EXAMPLE = Pending(Consumer(b"", 0), 0)
