"""Headers of an answer: ``RateLimit-Policy``, ``RateLimit``, ``Retry-After``, ``X-RateLimit-*``.

The first two are those of the IETF draft draft-ietf-httpapi-ratelimit-headers: structured fields
(RFC 9651), a policy for each rate, with its quota ``q`` and window ``w``, and what is left of it,
``r`` and ``t``. The ``X-`` ones have no standard; these are the commonest: limit, remaining, and
the time at which it is all back in seconds since the epoch, of the rate that is nearest its end.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil
from time import time

from django.http.response import ResponseHeaders

from cacheapp.ratelimit.decision import Decision, RateState
from cacheapp.ratelimit.rates import Rate

#: Policies that are named in one answer.
POLICIES_MAX = 16


def policy_name(decision: Decision, rate: Rate) -> str:
    """Return the name of one rate: the rule's, with the period where it has several."""
    if len(decision.rates) == 1:
        return decision.rule
    return f"{decision.rule}-{str(rate).partition('/')[2]}"


def add_headers(
    headers: ResponseHeaders, decisions: Sequence[Decision], *, x_headers: bool
) -> None:
    """Add what ``decisions`` say to ``headers``; one without a server's word adds nothing."""
    policies, limits, nearest = [], [], None
    for decision in decisions[:POLICIES_MAX]:
        for state in decision.states:
            name, rate = policy_name(decision, state.rate), state.rate
            policies.append(f'"{name}";q={rate.limit};w={rate.period_s}')
            limits.append(f'"{name}";r={state.remaining};t={ceil(state.reset_s)}')
            if nearest is None or state.remaining < nearest.remaining:
                nearest = state
    _append(headers, "RateLimit-Policy", policies)
    _append(headers, "RateLimit", limits)
    if x_headers and nearest is not None:
        _add_x_headers(headers, nearest)


def add_retry_after(headers: ResponseHeaders, decision: Decision) -> None:
    """Add ``Retry-After`` in whole seconds, at least one."""
    headers["Retry-After"] = str(max(1, ceil(decision.retry_after_s)))


def _append(headers: ResponseHeaders, name: str, items: list[str]) -> None:
    if items:
        held = headers.get(name)
        headers[name] = ", ".join([held, *items] if held else items)


def _add_x_headers(headers: ResponseHeaders, state: RateState) -> None:
    headers["X-RateLimit-Limit"] = str(state.rate.limit)
    headers["X-RateLimit-Remaining"] = str(state.remaining)
    headers["X-RateLimit-Reset"] = str(ceil(time() + state.reset_s))
