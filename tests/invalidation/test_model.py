"""A few thousand schedules of the model, and proof that it sees a planted fault."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import pytest

from cacheapp.cache.nearcache import NearCache
from cacheapp.invalidation.protocol import Follower, Stamp, apply, sequence_of
from tests.invalidation.model import explore

SCHEDULES = 3000


def test_no_copy_is_stale() -> None:
    assert explore(range(SCHEDULES)) is None


class WithoutMarks(NearCache):
    """The fill race, open."""

    def keep(self, name: bytes, mark: Any, raw: bytes | None, ttl_ms: int) -> None:
        self._filling[name] = mark
        super().keep(name, mark, raw, ttl_ms)


class JudgesLate(NearCache):
    """Looks at the lease after it found the copy."""

    def peek(self, name: bytes) -> bytes | None:
        copy = self.copies.get(name)
        if copy is None:
            return None
        now = self._clock()
        return copy.raw if now < self.until and now < copy.deadline else None


class TrustsGaps(Follower):
    """Takes whatever comes next for the next."""

    def hear(self, entries: Iterable[tuple[bytes, Sequence[bytes]]]) -> None:
        for entry_id, message in entries:
            apply(message, self._copies)
            self.last = sequence_of(entry_id)
        super().hear(())


class TrustsSilence(Follower):
    """Takes it that nothing came for nothing having been said."""

    def heard_all(self) -> None:
        if self._owed is not None:
            self.last = self._owed[0]
            self.hear(())


class TrustsRestarts(Follower):
    """Goes on with a server that came back."""

    def connected(self, server: Any) -> None:
        super().connected("the same")


class TrustsEpochs(Follower):
    """Takes an old stream that came back for one that was there all the time."""

    def beat(self, asked_at: float, stamp: Stamp) -> None:
        super().beat(asked_at, Stamp(stamp.top, b""))


class TrustsHistory(Follower):
    """Takes the data of another server, under the same process, for a continuation."""

    def beat(self, asked_at: float, stamp: Stamp) -> None:
        super().beat(asked_at, Stamp(stamp.top, (stamp.epoch or b"").partition(b" ")[0]))


class TrustsArrival(Follower):
    """Counts the lease from about when the answer came."""

    def beat(self, asked_at: float, stamp: Stamp) -> None:
        super().beat(asked_at + 3, stamp)


class KeepsCopies(Follower):
    """Finds a gap, and forgets to flush."""

    def lost(self) -> None:
        self.forget()

    def beat(self, asked_at: float, stamp: Stamp) -> None:
        if self.last is None and stamp.top is not None:
            self.last, self._epoch = stamp.top, stamp.epoch
        super().beat(asked_at, stamp)


@pytest.mark.parametrize(
    "follower",
    [
        *(TrustsGaps, TrustsSilence, TrustsRestarts, TrustsEpochs, TrustsHistory, TrustsArrival),
        KeepsCopies,
    ],
)
def test_a_planted_fault_is_found(follower: type[Follower]) -> None:
    assert explore(range(20 * SCHEDULES), follower) is not None


@pytest.mark.parametrize("cache", [WithoutMarks, JudgesLate])
def test_a_race_is_found(cache: type[NearCache]) -> None:
    assert explore(range(20 * SCHEDULES), Follower, cache) is not None
