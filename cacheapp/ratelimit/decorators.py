"""``@ratelimit``: a rule on one view, whatever kind of view it is.

It takes functions and coroutine functions, methods of either kind, and classes of views, and knows
which it has. Sync views stay sync and async ones async. Views that name one ``group`` share their
counts.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable
from typing import Any, TypeVar, cast

from asgiref.sync import iscoroutinefunction
from django.http import HttpRequest
from django.http.response import HttpResponseBase

from cacheapp.ratelimit import enforcement
from cacheapp.ratelimit.decision import Decision
from cacheapp.ratelimit.headers import add_headers
from cacheapp.ratelimit.responses import arefusal, refusal
from cacheapp.ratelimit.rules import LazyRule, Rule, is_enabled, method_names, options

V = TypeVar("V")


def ratelimit(
    rates: Any,
    *,
    key: Any = "user_or_ip",
    group: str | None = None,
    method: Iterable[str] | str | None = None,
    block: bool = True,
    cost: Any = 1,
    after: Any = None,
    exempt: Any = None,
    algorithm: str | None = None,
    on_failure: str | None = None,
    dry_run: bool = False,
) -> Callable[[V], V]:
    """Limit a view to ``rates``: "10/m", a list of such, or a function of the request.

    Over the limit the answer is 429; with ``block=False`` the view runs and finds
    ``request.limited`` True. ``group`` is the name under which views share counts, by default the
    view's own path and the methods. ``method`` limits it to some HTTP methods. The rest is as in
    the settings' rules, see docs/ratelimit.md. Raises ImproperlyConfigured at the first request.
    """

    methods = method_names(method)

    def decorate(view: V) -> V:
        found: Any = view
        rule = LazyRule(
            rates,
            name=group or _name(found, methods),
            key=key,
            methods=methods,
            algorithm=algorithm,
            on_failure=on_failure,
            cost=cost,
            after=after,
            exempt=exempt,
            block=block,
            dry_run=dry_run,
        )
        if isinstance(found, type):
            return cast("V", _limited_class(found, rule))
        return cast("V", _limited(found, rule))

    return decorate


def _name(view: Any, methods: frozenset[str] | None) -> str:
    """What a view's counts are kept under; a decorator for each method keeps its own."""
    while isinstance(view, functools.partial):
        view = view.func
    named = view if isinstance(view, type) or inspect.isroutine(view) else type(view)
    return ".".join([named.__module__, named.__qualname__, *sorted(methods or ())])


def _limited_class(view: Any, rule: LazyRule) -> Any:
    """A class of views whose ``dispatch`` is limited, in the class's own mode."""
    dispatch = view.dispatch
    limited = _async_limited(dispatch, rule) if view.view_is_async else _limited(dispatch, rule)
    view.dispatch = limited
    return view


def _limited(view: Callable[..., Any], rule: LazyRule) -> Callable[..., Any]:
    if iscoroutinefunction(view):
        return _async_limited(view, rule)

    @functools.wraps(view)
    def limited(*args: Any, **kwargs: Any) -> Any:
        request = _request_of(args)
        request.__dict__.setdefault("limited", False)
        found = rule()
        if not is_enabled() or not found.matches(request):
            return view(*args, **kwargs)
        before = len(enforcement.applied_to(request))
        decision = enforcement.check(found, request)
        if decision is not None and enforcement.refuses(found, decision):
            return refusal(request, decision, _decisions(request))
        applied = enforcement.applied_to(request)[before : before + 1]
        try:
            response = view(*args, **kwargs)
        except Exception as error:
            enforcement.charge_after(request, enforcement.response_of(error), applied)
            raise
        enforcement.charge_after(request, response, applied)
        return _told(response, found, applied)

    return limited


def _async_limited(view: Callable[..., Any], rule: LazyRule) -> Callable[..., Any]:
    @functools.wraps(view)
    async def limited(*args: Any, **kwargs: Any) -> Any:
        request = _request_of(args)
        request.__dict__.setdefault("limited", False)
        found = rule()
        if not is_enabled() or not found.matches(request):
            return await view(*args, **kwargs)
        before = len(enforcement.applied_to(request))
        decision = await enforcement.acheck(found, request)
        if decision is not None and enforcement.refuses(found, decision):
            return await arefusal(request, decision, _decisions(request))
        applied = enforcement.applied_to(request)[before : before + 1]
        try:
            response = await view(*args, **kwargs)
        except Exception as error:
            await enforcement.acharge_after(request, enforcement.response_of(error), applied)
            raise
        await enforcement.acharge_after(request, response, applied)
        return _told(response, found, applied)

    return limited


def _request_of(args: tuple[Any, ...]) -> HttpRequest:
    """The request among a view's arguments: the first, or the one behind ``self``."""
    for argument in args[:2]:
        # DRF's Request wraps Django's.
        found = getattr(argument, "_request", argument)
        if isinstance(found, HttpRequest):
            return found
    raise TypeError("@ratelimit decorates views: no request is among the first two arguments")


def _decisions(request: HttpRequest) -> list[Decision]:
    return [made for rule, made, _ in enforcement.applied_to(request) if not rule.dry_run]


def _told(response: Any, rule: Rule, applied: list[enforcement.Applied]) -> Any:
    """Add what is left to the headers; the middleware adds its own rules'."""
    stated = options()
    if (
        applied
        and stated["HEADERS"]
        and not rule.dry_run
        and isinstance(response, HttpResponseBase)
    ):
        add_headers(response.headers, [applied[0][1]], x_headers=stated["X_HEADERS"])
    return response
