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

#: Policies that are named in one answer.
POLICIES_MAX = 16


def add_headers(
    headers: ResponseHeaders, decisions: Sequence[Decision], *, x_headers: bool
) -> None:
    """Add what ``decisions`` say to ``headers``; one without a server's word adds nothing."""
    if len(decisions) == 1:
        policy, limit = decisions[0].fields()
    else:
        pairs = [decision.fields() for decision in decisions[:POLICIES_MAX]]
        policy, limit = (", ".join(filter(None, texts)) for texts in zip(*pairs, strict=True))
    if not limit:
        return
    # The dict behind it: its methods would look for line breaks in what we have just made, and
    # these two are on every answer. What another rule's decorator said stays in front.
    store = headers._store
    if "ratelimit" in store:
        said = headers.get("RateLimit-Policy"), headers["RateLimit"]
        policy, limit = (
            f"{first}, {own}" if first else own
            for first, own in zip(said, (policy, limit), strict=True)
        )
    store["ratelimit-policy"] = ("RateLimit-Policy", policy)
    store["ratelimit"] = ("RateLimit", limit)
    if x_headers:
        states = [state for decision in decisions for state in decision.states]
        _add_x_headers(headers, min(states, key=lambda state: state.remaining))


def add_retry_after(headers: ResponseHeaders, decision: Decision) -> None:
    """Add ``Retry-After`` in whole seconds, at least one."""
    headers["Retry-After"] = str(max(1, ceil(decision.retry_after_s)))


def _add_x_headers(headers: ResponseHeaders, state: RateState) -> None:
    headers["X-RateLimit-Limit"] = str(state.rate.limit)
    headers["X-RateLimit-Remaining"] = str(state.remaining)
    headers["X-RateLimit-Reset"] = str(ceil(time() + state.reset_s))
