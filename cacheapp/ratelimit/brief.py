"""A sync request under one plain rule, admitted by an engine of this process, written out.

That is what small sites have, and every request of theirs pays for it: between the calls of
`enforcement`, `limiter` and `headers` more time goes by than in counting. Here is what those come
to, in one function; whatever is not that simple it hands to the handler that calls them.
`tests/contract/test_ratelimit_requests.py` runs requests through both.

Left out on purpose: several rules at once, and keys that are awaited.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from django.http import HttpRequest

from cacheapp.cache.servers import ENGINES
from cacheapp.ratelimit.rules import Rule

Handler = Callable[[HttpRequest], Any]


def is_brief(rules: Sequence[Rule]) -> bool:
    """Whether requests under ``rules``, all that are applied early, may be that simple."""
    if len(rules) != 1:
        return False
    (rule,) = rules
    return (
        rule.limiter.counts_windows
        and rule.is_plain
        and rule.cost == 1
        and rule.after is None
        and not rule.dry_run
    )


def brief_handler(
    rule: Rule, get_response: Handler, handle: Handler, told: Callable[[HttpRequest, Any], Any]
) -> Handler:
    """Return a function from a request to its response: ``handle``, in fewer steps.

    ``told`` adds headers to a response where more than this rule was applied.
    """
    limiter, counter, key, methods = rule.limiter, rule.counter, rule.key, rule.methods
    path = None if rule.path == "/" else rule.path  # every path begins with that
    alias, keys, memo = limiter.alias, limiter.keys, limiter.memo
    limit, period_us, policy = limiter.limit, limiter.period_us, limiter.policy_header
    item, back_us = limiter.item, limiter.back_us

    def handle_briefly(request: HttpRequest) -> Any:
        if path is not None and not request.path_info.startswith(path):
            return handle(request)
        if methods is not None and request.method not in methods:
            return handle(request)
        identity = key(request, False)
        place, engine, held = keys.get(identity), ENGINES.get(alias), request.__dict__
        if place is None or engine is None or place in memo or "_ratelimits" in held:
            return handle(request)
        reply = engine.count_window(place, limit, period_us)
        if reply is None:
            return handle(request)
        counter.allowed += 1
        held["limited"] = False
        applied = held["_ratelimits"] = [(rule, reply, identity)]
        response = get_response(request)
        store = response.headers._store
        if len(applied) > 1 or "ratelimit" in store:
            return told(request, response)
        store["ratelimit-policy"] = policy
        # As `counted_item` says it.
        text = item % (reply[3], (back_us - reply[4]) / 1_000_000)
        store["ratelimit"] = ("RateLimit", text)
        return response

    return handle_briefly
