"""``Decision``: what a check found, for whoever answers the request."""

from __future__ import annotations

from struct import unpack_from
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from cacheapp.ratelimit.limiter import Limiter
    from cacheapp.ratelimit.rates import Rate

#: Where a decision comes from: the server; this process's memory of a refusal; what the rule says
#: for an outage; or nowhere, because the client is exempt.
SERVER, MEMO, LOCAL, OUTAGE, EXEMPT = "server", "memo", "local", "outage", "exempt"


class RateState(NamedTuple):
    """One rate after a check. Times are seconds from then on."""

    rate: Rate
    #: How much of it is left.
    remaining: int
    #: Until all of it is back.
    reset_s: float
    #: Until the same request would be admitted if nothing else came; 0 where this rate admits it.
    wait_s: float


class Decision:
    """Whether a request is admitted, and why. True in a boolean context where it is.

    Made on a hot path, so it keeps what the script returned; what is left of each rate is computed
    when it is asked for. ``state`` is empty where no server was asked.
    """

    __slots__ = ("_known_wait_s", "allowed", "cost", "key", "limiter", "now_us", "rates", "source",
                 "state")  # fmt: skip

    def __init__(
        self,
        limiter: Limiter,
        key: bytes,
        cost: int,
        rates: tuple[Rate, ...],
        reply: tuple[int, int, bytes],
        source: str = SERVER,
        known_wait_s: float = 0.0,
    ) -> None:
        self.limiter = limiter
        self.key = key
        self.cost = cost
        self.rates = rates
        self.allowed, self.now_us, self.state = reply
        self.source = source
        self._known_wait_s = known_wait_s

    def __bool__(self) -> bool:
        return bool(self.allowed)

    def __repr__(self) -> str:
        verdict = "allowed" if self.allowed else f"refused for {self.retry_after_s:.3f} s"
        return f"<Decision {self.rule!r}: {verdict}, by {self.source}>"

    @property
    def rule(self) -> str:
        """The name of the rule."""
        return self.limiter.name

    @property
    def states(self) -> tuple[RateState, ...]:
        """What is left of each rate; empty where it is not known."""
        algorithm, found = self.limiter.algorithm, []
        if not self.state:
            return ()
        for number, rate in enumerate(self.rates):
            offset = 8 * algorithm.width * number
            remaining, back_us, wait_us = algorithm.report(
                unpack_from(f"<{algorithm.width}d", self.state, offset),
                self.now_us,
                rate.limit,
                rate.period_s * 1_000_000,
                self.cost,
            )
            wait_s = 0.0 if self.allowed else wait_us / 1_000_000
            found.append(RateState(rate, remaining, back_us / 1_000_000, wait_s))
        return tuple(found)

    @property
    def violated(self) -> tuple[Rate, ...]:
        """The rates that refused the request."""
        return tuple(state.rate for state in self.states if state.wait_s > 0)

    @property
    def retry_after_s(self) -> float:
        """Seconds after which the same request would be admitted if nothing else came."""
        if self.allowed:
            return 0.0
        return max((state.wait_s for state in self.states), default=self._known_wait_s)

    @property
    def remaining(self) -> int | None:
        """The least that is left of any rate, or None where it is not known."""
        return min((state.remaining for state in self.states), default=None)
