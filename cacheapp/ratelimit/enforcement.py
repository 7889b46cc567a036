"""Rules applied to a request: what the middleware and the decorator have in common.

A request's decisions are kept with it (``applied_to``), and ``request.limited`` says whether any
refused, which is what a view under ``block=False`` looks at. The steps are written once, as a
generator that yields what may have to be awaited.
"""

from __future__ import annotations

import logging
from collections.abc import Generator
from inspect import isawaitable
from typing import Any, Final

from django.core.exceptions import BadRequest, PermissionDenied, SuspiciousOperation
from django.http import Http404, HttpRequest, HttpResponse
from django.http.multipartparser import MultiPartParserError

from cacheapp.ratelimit.decision import MEMO, OUTAGE, Decision
from cacheapp.ratelimit.rules import Rule, effective_rates
from cacheapp.ratelimit.signals import request_limited

logger = logging.getLogger("cacheapp.ratelimit")

# What Django answers to what views raise, see django.core.handlers.exception.
_STATUSES: Final[tuple[tuple[Any, int], ...]] = (
    (Http404, 404),
    (PermissionDenied, 403),
    ((MultiPartParserError, BadRequest, SuspiciousOperation), 400),
)

Applied = tuple[Rule, Decision, str]


def check(rule: Rule, request: HttpRequest, identity: Any = None) -> Decision | None:
    """Charge ``request`` to ``rule``; None where it is exempt. Nothing here awaits.

    ``identity`` may stand in for what the key of a plain rule says.
    """
    if rule.is_plain:
        identity = rule.key(request, False) if identity is None else identity
        cost, rates = rule.cost, None
        if identity.__class__ is not str:
            _not_awaitable(rule, identity)
    else:
        steps = _particulars(rule, request, is_async=False)
        try:
            found = next(steps)
            while True:
                found = steps.send(_not_awaitable(rule, found))
        except StopIteration as stop:
            if stop.value is None:
                return None
            identity, cost, rates = stop.value
    limiter = rule.limiter
    if cost:
        decision = limiter.check(identity, cost, rates=rates)
    else:
        decision = limiter.peek(identity, rates=rates)
    _record(request, rule, decision, identity)
    if not decision.reply[0]:
        request_limited.send(Rule, request=request, rule=rule, decision=decision)
    return decision


async def acheck(rule: Rule, request: HttpRequest) -> Decision | None:
    """See check()."""
    if rule.is_plain:
        identity, cost, rates = rule.key(request, True), rule.cost, None
        if identity.__class__ is not str:
            identity = await identity
    else:
        steps = _particulars(rule, request, is_async=True)
        try:
            found = next(steps)
            while True:
                found = steps.send(await found if isawaitable(found) else found)
        except StopIteration as stop:
            if stop.value is None:
                return None
            identity, cost, rates = stop.value
    limiter = rule.limiter
    if cost:
        decision = await limiter.acheck(identity, cost, rates=rates)
    else:
        decision = await limiter.apeek(identity, rates=rates)
    _record(request, rule, decision, identity)
    if not decision.allowed:
        await request_limited.asend(Rule, request=request, rule=rule, decision=decision)
    return decision


def _particulars(rule: Rule, request: HttpRequest, *, is_async: bool) -> Generator[Any, Any, Any]:
    """Identity, cost and rates of a request, or None where it is exempt."""
    if rule.is_exempt is not None and (yield rule.is_exempt(request)):
        return None
    rates = None
    if rule.rates_of is not None:
        rates = effective_rates((yield rule.rates_of(request)))
        if rates is None:
            return None
    cost = rule.cost if rule.cost_of is None else (yield rule.cost_of(request))
    identity = yield rule.key(request, is_async)
    return identity, cost, rates


def _not_awaitable(rule: Rule, found: Any) -> Any:
    if found.__class__ is not str and isawaitable(found):
        raise TypeError(f"rule {rule.name!r} calls a coroutine function in a sync request")
    return found


def _record(request: Any, rule: Rule, decision: Decision, identity: str) -> None:
    counter, held, allowed = rule.counter, request.__dict__, decision.reply[0]
    if allowed:
        counter.allowed += 1
    else:
        counter.refused += 1
        if decision.source == MEMO:
            counter.memo += 1
    if decision.source == OUTAGE:
        counter.outage += 1
    if "_ratelimits" in held:
        held["_ratelimits"].append((rule, decision, identity))
    else:
        held["_ratelimits"] = [(rule, decision, identity)]
        held["limited"] = False
    if not allowed and not rule.dry_run:
        held["limited"] = True


def refuses(rule: Rule, decision: Decision | None) -> bool:
    """Whether the request ends here."""
    return decision is not None and not decision.reply[0] and rule.refuses


def applied_to(request: HttpRequest) -> list[Applied]:
    """Return the rules applied to ``request`` so far, with what they decided and about whom."""
    held: list[Any] = request.__dict__.get("_ratelimits", [])
    for place, (rule, decision, identity) in enumerate(held):
        if decision.__class__ is tuple:
            # What a brief handler has left as it came.
            limiter = rule.limiter
            made = Decision(limiter, limiter.key(identity), 1, limiter.rates, decision)
            held[place] = rule, made, identity
    return held


def charge_after(request: HttpRequest, response: Any, applied: list[Applied]) -> None:
    """Charge or give back what the rules' ``after`` functions say, now that there is a response."""
    for rule, decision, identity in applied:
        if rule.after is not None:
            cost = _not_awaitable(rule, rule.after(request, response))
            if cost:
                rule.limiter.check(identity, cost, rates=decision.rates, force=True)


async def acharge_after(request: HttpRequest, response: Any, applied: list[Applied]) -> None:
    """See charge_after()."""
    for rule, decision, identity in applied:
        if rule.after is not None:
            cost = rule.after(request, response)
            if isawaitable(cost):
                cost = await cost
            if cost:
                await rule.limiter.acheck(identity, cost, rates=decision.rates, force=True)


def response_of(error: Exception) -> HttpResponse:
    """Return what stands for the response that Django makes of what a view raised.

    A decorator is inside of that, and an ``after`` asks how it went.
    """
    for kinds, status in _STATUSES:
        if isinstance(error, kinds):
            return HttpResponse(status=status)
    return HttpResponse(status=500)
