"""The protocol between writers and near caches, as pure functions and one state machine.

A write and its message go to the server in one MULTI: ``XADD <stream> NOMKSTREAM … 1-* <message>``.
The first half of an id is always 1; the second counts without gaps from a random number that
whoever makes the stream draws. So a reader proves by the ids alone that it heard everything, and a
stream that was deleted and made anew can never be taken for a continuation. Writers need to know
nothing: ``1-*`` cannot be too small for a good stream. Where it fails (a stream that is missing, of
another type, or has foreign ids) the same state is seen by each reader's next heartbeat.

A ``Follower`` is where one reader stands. Once in a while it gets a ``Stamp``, asked for at a known
moment; if all that the stamp covers was heard, the near cache is good until that moment plus the
bound. Whatever else it sees becomes a flush. It does no I/O and reads no clock, so that
``tests/invalidation/model.py`` explores it.

Left out on purpose: who wrote. A process hears its own messages too, and drops a copy too many.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

#: The first half of every id of a good stream.
SERIES: Final = 1
#: A new stream counts from a random number below this; what follows has room for ever.
FIRST_MAX: Final = 2**62
#: Names in one message at most; a write of more keys says that everything changed.
NAMES_MAX: Final = 10_000

# What a message's fields may be. In capitals it is for near caches alone: within a transaction that
# is not committed yet, and where what was computed is stored, so that nothing else has changed.
KEY: Final = b"k"
PREFIX: Final = b"p"
KEY_EARLY: Final = b"K"
PREFIX_EARLY: Final = b"P"
#: Opens a new stream and says nothing.
HELLO: Final = b"h"

#: Field, value, field, value …, as XADD takes them and XREAD gives them.
Message = tuple[bytes, ...]


def keys_message(names: Iterable[bytes], *, early: bool = False) -> Message:
    """Return the message that ``names`` (storage keys) changed; for too many, that all did."""
    field = KEY_EARLY if early else KEY
    parts = [part for name in names for part in (field, name)]
    return tuple(parts) if len(parts) <= 2 * NAMES_MAX else prefix_message(b"", early=early)


def prefix_message(prefix: bytes, *, early: bool = False) -> Message:
    """Return the message that every key which begins with ``prefix`` may have changed."""
    return (PREFIX_EARLY if early else PREFIX, prefix)


def first_id() -> bytes:
    """Return the id that makes a new stream."""
    return b"%d-%d" % (SERIES, secrets.randbelow(FIRST_MAX) + 1)


def sequence_of(entry_id: bytes) -> int | None:
    """Return the second half of an id, or None for an id that no writer of ours made."""
    series, _, sequence = entry_id.partition(b"-")
    return int(sequence) if series == b"1" and sequence.isdigit() else None


class Copies(Protocol):
    """What a follower does to a near cache."""

    def drop(self, names: Iterable[bytes]) -> None:
        """Forget the copies of ``names``, and let no fill of them that is under way be kept."""

    def drop_prefix(self, prefix: bytes) -> None:
        """The same for all names that begin with ``prefix``."""

    def flush(self) -> None:
        """The same for all names."""

    def renew(self, until: float) -> None:
        """Serve copies until that moment."""


#: Takes each message that was heard; None where whatever came before is unknown.
Hear = Callable[[Sequence[bytes] | None], None]


def _unheard(_message: Sequence[bytes] | None) -> None:
    """Nobody else wants to know."""


def apply(message: Sequence[bytes], copies: Copies) -> None:
    """Drop what a message says. An unknown field is somebody newer's, and drops everything."""
    names = []
    for field, value in zip(message[::2], message[1::2], strict=True):
        if field in (KEY, KEY_EARLY):
            names.append(value)
        elif field in (PREFIX, PREFIX_EARLY):
            if value:
                copies.drop_prefix(value)
            else:
                copies.flush()
        elif field != HELLO:
            copies.flush()
    if names:
        copies.drop(names)


@dataclass(frozen=True)
class Stamp:
    """The state of a stream at one moment of its server.

    ``top`` is the last sequence number given, None for a stream that is missing or not good;
    ``epoch`` the value that a writer changes whose message could not be added, and the name of the
    server's history, which changes where another server's data took its place.
    """

    top: int | None
    epoch: bytes | None


class Follower:
    """Where one reader stands in the stream, and what it makes of what it sees.

    After ``beat`` the caller looks at ``needs_stream`` (make a new one) and ``needs_messages``
    (read what came after ``last``, and say when that was all).
    """

    def __init__(self, copies: Copies, bound_s: float, hear: Hear = _unheard) -> None:
        self._copies = copies
        self._hear = hear
        self._bound_s = bound_s
        self._server: Any = None
        self._epoch: bytes | None = None
        #: The last sequence number that was applied; None while nothing is known.
        self.last: int | None = None
        self._owed: tuple[int, float] | None = None
        self.needs_stream = False

    @property
    def needs_messages(self) -> bool:
        """Whether the last stamp covers messages that were not heard yet."""
        return self._owed is not None

    def connected(self, server: Any) -> None:
        """Take note of the server behind a new connection: its run id, or None if it won't say.

        Another server, or the same after a restart, may have lost the end of its stream and
        have given its numbers anew.
        """
        if server is None or server != self._server:
            self.forget()
        self._server = server

    def forget(self) -> None:
        """Know nothing any more: the next stamp begins anew, with a flush."""
        self.last = self._owed = None

    def lost(self) -> None:
        """A gap: flush now, and begin anew at the next stamp."""
        self.forget()
        self._copies.flush()

    def beat(self, asked_at: float, stamp: Stamp) -> None:
        """Take a stamp that was asked for at ``asked_at``, a moment before it was made."""
        self._owed = None
        self.needs_stream = stamp.top is None
        if stamp.top is None:
            self.lost()
            return
        if self.last is None or stamp.epoch != self._epoch or stamp.top < self.last:
            self._copies.flush()
            self._epoch, self.last = stamp.epoch, stamp.top
            self._hear(None)
        if stamp.top == self.last:
            self._copies.renew(asked_at + self._bound_s)
        else:
            self._owed = (stamp.top, asked_at)

    def hear(self, entries: Iterable[tuple[bytes, Sequence[bytes]]]) -> None:
        """Apply entries of the stream, in order. One heard before is skipped, a gap is a flush."""
        for entry_id, message in entries:
            sequence = sequence_of(entry_id)
            if self.last is None or sequence is None or sequence > self.last + 1:
                self.lost()
                return
            if sequence == self.last + 1:
                apply(message, self._copies)
                self._hear(message)
                self.last = sequence
        if self._owed is not None and self.last is not None and self.last >= self._owed[0]:
            self._copies.renew(self._owed[1] + self._bound_s)
            self._owed = None

    def heard_all(self) -> None:
        """Nothing more is there: what the stamp promised and did not come was trimmed."""
        if self._owed is not None:
            self.lost()
