"""``Limiter``: one rule's rates over identities, on a server, with an answer for its absence.

It knows nothing of requests. An identity is any text that names who is counted (an address, a
user); the key is a digest of it, so it has one length whatever a client sends, and a dump of the
server does not show addresses. The hot path of an allowed check is one script, one round trip; of a
refused one, with the memo, nothing at all.

The memo remembers, in this process, that an identity is over its limit until a moment that the
algorithm knows. It is bounded, and it forgets sooner than `MEMO_SECONDS_MAX`, so that a reset from
elsewhere takes effect.

While the server does not answer, `on_failure` says what happens: ``open`` admits, ``closed``
refuses, ``local`` counts in an engine of this process.
"""

from __future__ import annotations

import logging
from functools import cache
from hashlib import blake2b
from time import monotonic
from typing import Any, Final

from django.core.exceptions import ImproperlyConfigured

from cacheapp.cache.servers import ENGINES, SERVER_ERRORS, server_of
from cacheapp.clients.factory import get_client
from cacheapp.ratelimit.algorithms import ALGORITHMS, DEFAULT_ALGORITHM
from cacheapp.ratelimit.decision import LOCAL, MEMO, OUTAGE, Decision, OwnDecision, Reply
from cacheapp.ratelimit.rates import Rate, parse_rates, policies

logger = logging.getLogger("cacheapp.ratelimit")

ON_FAILURE: Final = ("open", "closed", "local")
#: Seconds for which a refusal is remembered at most.
MEMO_SECONDS_MAX: Final = 5.0
#: Identities that a limiter remembers as refused, and whose keys it keeps made.
MEMO_MAX: Final = 4096
#: The longest identity whose key is kept; a header's may be as long as a client likes.
IDENTITY_KEPT_MAX: Final = 256
#: Seconds that a client is asked to wait where a rule refuses because of an outage.
CLOSED_WAIT_S: Final = 1.0
#: The engine of ``local``: bounded, and forgotten with the process.
LOCAL_URL: Final = "memory://cacheapp-ratelimit?maxmemory=32mb&maxmemory-policy=allkeys-lru"

# Replies where no server was asked.
_ADMITTED, _REFUSED = (1, 0, b""), (0, 0, b"")


class Limiter:
    """The rates of one rule.

    ``name`` tells rules apart and names the group that shares them. ``rates`` is what
    ``parse_rates`` takes. Raises ImproperlyConfigured for arguments that cannot be, and for an
    alias that is not ours at the first check.
    """

    def __init__(
        self,
        name: str,
        rates: Any,
        *,
        algorithm: str = DEFAULT_ALGORITHM,
        alias: str = "default",
        on_failure: str = "open",
        memo_seconds: float = MEMO_SECONDS_MAX,
    ) -> None:
        if algorithm not in ALGORITHMS:
            known = ", ".join(sorted(ALGORITHMS))
            raise ImproperlyConfigured(f"{algorithm!r} is no algorithm; known are {known}")
        if on_failure not in ON_FAILURE:
            known = ", ".join(ON_FAILURE)
            raise ImproperlyConfigured(f"on_failure is {on_failure!r}; it is one of {known}")
        self.name = name
        self.alias = alias
        self.algorithm = ALGORITHMS[algorithm]
        self.on_failure = on_failure
        self.memo_seconds = memo_seconds
        self.rates = self._checked(parse_rates(rates))
        #: Their names, and what RateLimit-Policy says of them.
        self.policies = policies(name, self.rates)
        self.limit, self.period_us = self.rates[0].limit, self.rates[0].period_s * 1_000_000
        #: Whether a usual charge is what clients of engines have `count_window` for.
        self.counts_windows = algorithm == "sliding-window" and len(self.rates) == 1
        #: The header for one rate, as responses keep headers.
        self.policy_header = "RateLimit-Policy", self.policies[0][1]
        #: What RateLimit says of its reply: what is left, and the seconds until all is back.
        self.item = f'"{name}";r=%d;t=%d'
        # All is back when the next window is over; rounded up to a second.
        self.back_us = 2 * self.period_us + 999_999
        self._arguments = _arguments(self.rates)
        self._script = self.algorithm.script
        self._is_closed = _admits_nothing(self.rates)
        # Whether the server did not answer when it was last asked.
        self._is_alone = False
        #: Until when, for which cost and rates, what the server had said, and when that was.
        self.memo: dict[bytes, tuple[float, int, tuple[Rate, ...], Reply, float]] = {}
        #: Keys by identity, made by `key`.
        self.keys: dict[str, bytes] = {}

    def _checked(self, rates: tuple[Rate, ...]) -> tuple[Rate, ...]:
        for rate in rates:
            if rate.limit > self.algorithm.limit_max:
                raise ImproperlyConfigured(
                    f"{self.algorithm.name} takes at most {self.algorithm.limit_max} a period, and "
                    f"{str(rate)!r} asks for more: choose another algorithm"
                )
        return rates

    def key(self, identity: str, rates: tuple[Rate, ...] | None = None) -> bytes:
        """Return the server's key for ``identity``: the rule's name and a digest."""
        if rates is not None and rates is not self.rates:
            return self._new_key(identity, rates)
        key = self.keys.get(identity)
        if key is None:
            key = self._new_key(identity, self.rates)
            if len(identity) <= IDENTITY_KEPT_MAX:
                if len(self.keys) >= MEMO_MAX:
                    self.keys.clear()
                self.keys[identity] = key
        return key

    def _new_key(self, identity: str, rates: tuple[Rate, ...]) -> bytes:
        # The state is about periods, not limits: a client whose plan changes goes on counting.
        periods = ".".join(str(rate.period_s) for rate in rates)
        digest = blake2b(identity.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()
        head = f"{self.prefix}:limit:{self.name}"
        return f"{head}:{self.algorithm.letter}{periods}:{digest}".encode()

    @property
    def prefix(self) -> str:
        """What every key of the alias begins with."""
        return server_of(self.alias).prefix

    # Checking

    def check(
        self,
        identity: str,
        cost: int = 1,
        *,
        rates: tuple[Rate, ...] | None = None,
        force: bool = False,
    ) -> Decision:
        """Charge ``cost`` to ``identity`` if all rates admit it, and say whether they did.

        ``cost`` 0 looks without charging; a negative one gives back. With ``force`` it is charged
        in any case. ``rates`` stand in for the rule's own (a plan's). Raises ValueError for a cost
        that is no whole number; errors of the server follow ``on_failure``.
        """
        if cost == 1 and rates is None and not force:
            # What most calls come to, written out.
            key, arguments, rates = self.keys.get(identity), self._arguments, self.rates
            if key is None:
                key = self.key(identity)
            elif self.counts_windows and key not in self.memo:
                engine = ENGINES.get(self.alias)
                if engine is not None:
                    reply = engine.count_window(key, self.limit, self.period_us)
                    if reply is not None:
                        return Decision(self, key, 1, rates, reply)
        else:
            key, rates = self.key(identity, rates), rates or self.rates
            arguments = _arguments(rates, _whole(cost), force)
            if cost < 0:
                self.memo.pop(key, None)  # what is given back is there at once
        known = None if force else self._known(key, cost, rates)
        if known is not None:
            return known
        engine = ENGINES.get(self.alias)
        try:
            if engine is None:
                reply = server_of(self.alias).run(self._script, (key,), arguments)
            else:
                reply = self._script.run(engine, (key,), arguments)
        except SERVER_ERRORS as error:
            return self._without_server(error, key, arguments, rates)
        decision = Decision(self, key, cost, rates, reply)
        if not reply[0] or self._is_alone:
            self._noted(decision)
        return decision

    async def acheck(
        self,
        identity: str,
        cost: int = 1,
        *,
        rates: tuple[Rate, ...] | None = None,
        force: bool = False,
    ) -> Decision:
        """See check()."""
        server = server_of(self.alias)
        if server.in_process:
            return self.check(identity, cost, rates=rates, force=force)
        key = self.key(identity, rates)
        rates = rates or self.rates
        arguments = _arguments(rates, _whole(cost), force)
        if cost < 0:
            self.memo.pop(key, None)
        known = None if force else self._known(key, cost, rates)
        if known is not None:
            return known
        try:
            reply = await server.arun(self.algorithm.script, (key,), arguments)
        except SERVER_ERRORS as error:
            return self._without_server(error, key, arguments, rates)
        decision = Decision(self, key, cost, rates, reply)
        if not reply[0] or self._is_alone:
            self._noted(decision)
        return decision

    def _noted(self, decision: Decision) -> None:
        """See to what is seldom: the server has refused a request, or answers again."""
        if self._is_alone:
            self._is_alone = False
            logger.warning(
                "Rate limits %r: the server of cache %r answers again", self.name, self.alias
            )
        if not decision.allowed and self.memo_seconds:
            self._remember(decision)

    # The memo

    def _remember(self, decision: Decision) -> None:
        wait_s = min(decision.retry_after_s, self.memo_seconds, MEMO_SECONDS_MAX)
        if wait_s > 0:
            if len(self.memo) >= MEMO_MAX:
                self.memo.clear()
            now = monotonic()
            until = now + wait_s
            self.memo[decision.key] = until, decision.cost, decision.rates, decision.reply, now

    def _known(self, key: bytes, cost: int, rates: tuple[Rate, ...]) -> Decision | None:
        """What can be said without the server, or None.

        That is the refusal of a request at least as large as one refused a moment ago, and what
        rates of zero say.
        """
        entry = self.memo.get(key)
        if entry is not None and cost >= entry[1] and rates == entry[2]:
            until, _, _, (_, then_us, state), then = entry
            now = monotonic()
            if now < until:
                # What was left then is what is left now, but for the time that has passed.
                reply = (0, then_us + int((now - then) * 1_000_000), state)
                return OwnDecision(self, key, cost, rates, reply, MEMO, until - now)
            self.memo.pop(key, None)
        if cost > 0 and (self._is_closed if rates is self.rates else _admits_nothing(rates)):
            wait_s = float(max(rate.period_s for rate in rates))
            return OwnDecision(self, key, cost, rates, _REFUSED, MEMO, wait_s)
        return None

    # Without the server

    def _without_server(
        self,
        error: BaseException,
        key: bytes,
        arguments: tuple[int, ...],
        rates: tuple[Rate, ...],
    ) -> Decision:
        if not self._is_alone:
            self._is_alone = True
            logger.error(
                "Rate limits %r are %s until the server of cache %r answers: %s: %s",
                self.name, self.on_failure, self.alias, type(error).__name__, error,
            )  # fmt: skip
        cost = arguments[0]
        if self.on_failure == "local":
            reply = self.algorithm.script.run(_local_client(), (key,), arguments)
            return OwnDecision(self, key, cost, rates, reply, LOCAL)
        reply, wait_s = (_ADMITTED, 0.0) if self.on_failure == "open" else (_REFUSED, CLOSED_WAIT_S)
        return OwnDecision(self, key, cost, rates, reply, OUTAGE, wait_s)

    # Looking, giving back, forgetting

    def peek(self, identity: str, *, rates: tuple[Rate, ...] | None = None) -> Decision:
        """Return what is left for ``identity`` without charging; refused if nothing is."""
        return _for_one(self.check(identity, 0, rates=rates))

    async def apeek(self, identity: str, *, rates: tuple[Rate, ...] | None = None) -> Decision:
        """See peek()."""
        return _for_one(await self.acheck(identity, 0, rates=rates))

    def refund(self, identity: str, cost: int = 1) -> Decision:
        """Give ``cost`` back to ``identity``, at most what it has used."""
        return self.check(identity, -_whole(cost), force=True)

    async def arefund(self, identity: str, cost: int = 1) -> Decision:
        """See refund()."""
        return await self.acheck(identity, -_whole(cost), force=True)

    def reset(self, identity: str, *, rates: tuple[Rate, ...] | None = None) -> bool:
        """Forget what ``identity`` has used. Returns whether there was anything."""
        key = self.key(identity, rates)
        self.memo.pop(key, None)
        return bool(server_of(self.alias).client().delete(key))

    async def areset(self, identity: str, *, rates: tuple[Rate, ...] | None = None) -> bool:
        """See reset()."""
        server = server_of(self.alias)
        if server.in_process:
            return self.reset(identity, rates=rates)
        key = self.key(identity, rates)
        self.memo.pop(key, None)
        return bool(await server.async_client().delete(key))

    def forget_refusals(self) -> None:
        """Empty this process's memo."""
        self.memo.clear()


def _for_one(looked: Decision) -> Decision:
    """What a look says of a request of cost 1."""
    looked.cost = 1
    admitted, now_us, state = looked.reply
    if state:
        admitted = int(looked.remaining != 0)
        looked.reply = admitted, now_us, state
    return looked


@cache
def _local_client() -> Any:
    return get_client(LOCAL_URL)


def _admits_nothing(rates: tuple[Rate, ...]) -> bool:
    return any(rate.limit == 0 for rate in rates)


def _whole(cost: int) -> int:
    if type(cost) is not int:
        raise ValueError(f"a cost is a whole number, not {cost!r}")
    return cost


def _arguments(rates: tuple[Rate, ...], cost: int = 1, force: bool = False) -> tuple[int, ...]:
    numbers = [cost, int(force)]
    for rate in rates:
        # No algorithm divides by zero; a limit of nothing never gets here but by force.
        numbers += (rate.limit or 1, rate.period_s * 1_000_000)
    return tuple(numbers)
