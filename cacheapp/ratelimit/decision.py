"""``Decision``: what a check found, for whoever answers the request."""

from __future__ import annotations

from math import ceil
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from cacheapp.ratelimit.rates import Rate, policies

if TYPE_CHECKING:
    from cacheapp.ratelimit.limiter import Limiter

#: Where a decision comes from: the server; this process's memory of a refusal; what the rule says
#: for an outage; or nowhere, because the client is exempt.
SERVER, MEMO, LOCAL, OUTAGE, EXEMPT = "server", "memo", "local", "outage", "exempt"


#: Whether it was admitted, the time (us), the state, and what ``count_window`` adds.
Reply = tuple[Any, ...]


#: How many parts a reply of ``count_window`` has.
COUNTED: Final = 5


class RateState(NamedTuple):
    """One rate after a check. Times are seconds from then on."""

    rate: Rate
    #: How much of it is left.
    remaining: int
    #: Until all of it is back.
    reset_s: float
    #: Until the same request would be admitted if nothing else came; 0 where this rate admits it.
    wait_s: float


def counted_item(limiter: Limiter, reply: Reply) -> str:
    """What ``RateLimit`` says of a reply of ``count_window``."""
    item: str = limiter.item % (reply[3], (limiter.back_us - reply[4]) / 1_000_000)
    return item


class Decision:
    """Whether a request is admitted, and why. True in a boolean context where it is.

    Made on a hot path, so it keeps what the script returned; what is left of each rate is computed
    when it is asked for. ``reply`` is whether it was admitted, the time (us), and the state, which
    is empty where no server was asked; there may be more behind it (see ``count_window``).
    """

    __slots__ = ("cost", "key", "limiter", "rates", "reply")

    #: Where it comes from; see above.
    source = SERVER
    # The wait where there is no state to compute it from.
    known_wait_s = 0.0

    def __init__(
        self,
        limiter: Limiter,
        key: bytes,
        cost: int,
        rates: tuple[Rate, ...],
        reply: Reply,
    ) -> None:
        self.limiter = limiter
        self.key = key
        self.cost = cost
        self.rates = rates
        self.reply = reply

    @property
    def allowed(self) -> bool:
        """Whether it was admitted."""
        return bool(self.reply[0])

    def __bool__(self) -> bool:
        return bool(self.reply[0])

    def __repr__(self) -> str:
        verdict = "allowed" if self.allowed else f"refused for {self.retry_after_s:.3f} s"
        return f"<Decision {self.rule!r}: {verdict}, by {self.source}>"

    @property
    def rule(self) -> str:
        """The name of the rule."""
        return self.limiter.name

    @property
    def policies(self) -> tuple[tuple[str, str], ...]:
        """The name of each rate, and what ``RateLimit-Policy`` says of it."""
        limiter = self.limiter
        return limiter.policies if self.rates is limiter.rates else policies(self.rule, self.rates)

    def reports(self) -> list[tuple[int, float, float]]:
        """What is left of each rate, and the microseconds until all is back, and to wait."""
        now_us, state = self.reply[1:3]
        algorithm, cost = self.limiter.algorithm, self.cost
        report = algorithm.report
        return [
            report(kept, now_us, rate.limit, rate.period_s * 1_000_000, cost)
            for kept, rate in zip(algorithm.doubles.iter_unpack(state), self.rates, strict=False)
        ]

    def fields(self) -> tuple[str, str]:
        """What ``RateLimit-Policy`` and ``RateLimit`` say of it; empty where it is not known."""
        limiter, reply = self.limiter, self.reply
        if len(reply) == COUNTED:
            return limiter.policies[0][1], counted_item(limiter, reply)
        now_us, state = reply[1:3]
        rates = self.rates
        if not state:
            return "", ""
        if len(rates) == 1 and rates is limiter.rates:
            # One rate, the usual case, written out: it is on the way of every answer.
            algorithm, rate = limiter.algorithm, rates[0]
            ((name, policy),) = limiter.policies
            remaining, back_us, _ = algorithm.report(
                algorithm.doubles.unpack(state), now_us, rate.limit, rate.period_s * 1_000_000,
                self.cost,
            )  # fmt: skip
            return policy, f'"{name}";r={remaining};t={ceil(back_us / 1e6)}'
        items = [
            (policy, f'"{name}";r={remaining};t={ceil(back_us / 1e6)}')
            for (name, policy), (remaining, back_us, _) in zip(
                self.policies, self.reports(), strict=False
            )
        ]
        return ", ".join(policy for policy, _ in items), ", ".join(limit for _, limit in items)

    @property
    def states(self) -> tuple[RateState, ...]:
        """What is left of each rate; empty where it is not known."""
        allowed = self.allowed
        return tuple(
            RateState(rate, remaining, back_us / 1e6, 0.0 if allowed else wait_us / 1e6)
            for rate, (remaining, back_us, wait_us) in zip(self.rates, self.reports(), strict=False)
        )

    @property
    def violated(self) -> tuple[Rate, ...]:
        """The rates that refused the request."""
        return tuple(state.rate for state in self.states if state.wait_s > 0)

    @property
    def violated_policies(self) -> list[str]:
        """Their names; the rule's where it is not known."""
        pairs = zip(self.policies, self.states, strict=False)
        return [name for (name, _), state in pairs if state.wait_s > 0] or [self.rule]

    @property
    def retry_after_s(self) -> float:
        """Seconds after which the same request would be admitted if nothing else came."""
        if self.allowed:
            return 0.0
        return max((state.wait_s for state in self.states), default=self.known_wait_s)

    @property
    def remaining(self) -> int | None:
        """The least that is left of any rate, or None where it is not known."""
        return min((state.remaining for state in self.states), default=None)


class OwnDecision(Decision):
    """One that this process made without asking the server, or in its place."""

    __slots__ = ("known_wait_s", "source")

    def __init__(
        self,
        limiter: Limiter,
        key: bytes,
        cost: int,
        rates: tuple[Rate, ...],
        reply: Reply,
        source: str,
        known_wait_s: float = 0.0,
    ) -> None:
        super().__init__(limiter, key, cost, rates, reply)
        self.source = source
        self.known_wait_s = known_wait_s
