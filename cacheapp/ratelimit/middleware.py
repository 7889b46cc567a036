"""``RateLimitMiddleware``: the rules of the settings, applied to every request.

Rules by path and method are applied before anything else is done for a request, rules by view or
namespace once the URL is resolved. Its place is behind AuthenticationMiddleware where a rule counts
users, as early as possible elsewhere. It works in sync and async stacks alike, without a thread hop
in either.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from asgiref.sync import iscoroutinefunction, markcoroutinefunction
from django.core.exceptions import MiddlewareNotUsed
from django.http import HttpRequest, HttpResponse

from cacheapp.ratelimit import enforcement
from cacheapp.ratelimit.brief import brief_handler, is_brief
from cacheapp.ratelimit.decision import Decision
from cacheapp.ratelimit.headers import add_headers
from cacheapp.ratelimit.responses import arefusal, refusal
from cacheapp.ratelimit.rules import Rule, options, rules


class RateLimitMiddleware:
    """Answers 429 for requests over a limit, and tells the others what is left.

    Raises ImproperlyConfigured where the settings cannot be, when the handler is made.
    """

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: Callable[[HttpRequest], Any]) -> None:
        stated = options()
        if not stated["ENABLED"] or not rules():
            raise MiddlewareNotUsed("CACHEAPP['RATELIMIT'] has no rules, or is not enabled")
        self.get_response = get_response
        self._early = [rule for rule in rules() if not rule.needs_view]
        self._late = [rule for rule in rules() if rule.needs_view]
        self._mine = {id(rule) for rule in rules()}
        self._headers: bool = stated["HEADERS"]
        self._x_headers: bool = stated["X_HEADERS"]
        self._charges_after = any(rule.after for rule in rules())
        self.is_async = iscoroutinefunction(get_response)
        if self.is_async:
            markcoroutinefunction(self)
        self._handle: Callable[[HttpRequest], Any] = self._acall if self.is_async else self._call
        early, tells_plainly = self._early, self._headers and not self._x_headers
        if not self.is_async and tells_plainly and not self._charges_after and is_brief(early):
            self._handle = brief_handler(early[0], get_response, self._call, self._told)
        if self._late:
            # Django adapts it by a thread hop unless it is of the stack's own kind.
            self.process_view = self._aprocess_view if self.is_async else self._process_view

    def __call__(self, request: HttpRequest) -> Any:
        """Return the response; in an async stack an awaitable of it."""
        return self._handle(request)

    def _call(self, request: HttpRequest) -> HttpResponse:
        request.__dict__.setdefault("limited", False)
        refused = self._apply(self._early, request)
        if refused is not None:
            return refused
        response: HttpResponse = self.get_response(request)
        if self._charges_after:
            enforcement.charge_after(request, response, self._own(request))
        return self._told(request, response)

    async def _acall(self, request: HttpRequest) -> HttpResponse:
        request.__dict__.setdefault("limited", False)
        refused = await self._aapply(self._early, request)
        if refused is not None:
            return refused
        response: HttpResponse = await self.get_response(request)
        if self._charges_after:
            await enforcement.acharge_after(request, response, self._own(request))
        return self._told(request, response)

    def _process_view(self, request: HttpRequest, *_: Any) -> HttpResponse | None:
        return self._apply(self._late, request)

    async def _aprocess_view(self, request: HttpRequest, *_: Any) -> HttpResponse | None:
        return await self._aapply(self._late, request)

    def _apply(self, rules_: list[Rule], request: HttpRequest) -> HttpResponse | None:
        for rule in rules_:
            if rule.matches(request):
                decision = enforcement.check(rule, request)
                if enforcement.refuses(rule, decision):
                    decisions = _decisions(request)
                    return refusal(request, decisions[-1], decisions)
        return None

    async def _aapply(self, rules_: list[Rule], request: HttpRequest) -> HttpResponse | None:
        for rule in rules_:
            if rule.matches(request):
                decision = await enforcement.acheck(rule, request)
                if enforcement.refuses(rule, decision):
                    decisions = _decisions(request)
                    return await arefusal(request, decisions[-1], decisions)
        return None

    def _own(self, request: HttpRequest) -> list[enforcement.Applied]:
        """What was applied here, and not by a decorator, which sees to its own."""
        return [entry for entry in enforcement.applied_to(request) if id(entry[0]) in self._mine]

    def _told(self, request: HttpRequest, response: HttpResponse) -> HttpResponse:
        # A refusal of ours has them all already.
        if self._headers and not (response.status_code == 429 and "RateLimit" in response.headers):
            decisions = [decision for rule, decision, _ in self._own(request) if not rule.dry_run]
            if decisions:
                add_headers(response.headers, decisions, x_headers=self._x_headers)
        return response


def _decisions(request: HttpRequest) -> list[Decision]:
    applied = enforcement.applied_to(request)
    return [decision for rule, decision, _ in applied if not rule.dry_run]
