"""Throttle classes for Django REST framework, on the same limiter.

They take the place of DRF's own by name and read the same settings (``DEFAULT_THROTTLE_RATES``, a
view's ``throttle_scope``), and a subclass may have DRF's ``get_cache_key`` and ``THROTTLE_RATES``.
They differ in holding under concurrent requests: DRF's read a list, and write it back. A throttle's
``rate`` may also be a list of rates.

DRF's views are sync, and so are its throttles. Left out on purpose: ``NUM_PROXIES``. The client's
address is what ``TRUSTED_PROXIES`` says, for all parts of a site.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import ceil
from typing import Any, ClassVar

from django.core.exceptions import ImproperlyConfigured
from rest_framework.settings import api_settings
from rest_framework.throttling import BaseThrottle

from cacheapp.ratelimit import enforcement
from cacheapp.ratelimit.decision import Decision
from cacheapp.ratelimit.rules import LazyRule, Rule, is_enabled


class RateThrottle(BaseThrottle):
    """A throttle whose rate is its own ``rate``, or that of its ``scope`` in the settings.

    ``key`` is a rule's key (see docs/ratelimit.md); ``options`` are further arguments of a rule.
    """

    scope: str | None = None
    #: One rate, or several in a list; None for that of the scope.
    rate: Any = None
    key: Any = "user_or_ip"
    options: ClassVar[dict[str, Any]] = {}
    #: Rates by scope, in the place of ``DEFAULT_THROTTLE_RATES``.
    THROTTLE_RATES: ClassVar[Mapping[str, Any] | None] = None

    _rules: ClassVar[dict[tuple[type, str, str], LazyRule]] = {}

    def __init__(self) -> None:
        self.decision: Decision | None = None

    def get_rate(self) -> Any:
        """Return the rate, or None for no limit. Raises ImproperlyConfigured."""
        if self.rate is not None:
            return self.rate
        if self.scope is None:
            raise ImproperlyConfigured(f"{type(self).__name__} needs a scope or a rate")
        rates = self.THROTTLE_RATES
        if rates is None:
            rates = api_settings.DEFAULT_THROTTLE_RATES
        if self.scope not in rates:
            raise ImproperlyConfigured(
                f"DEFAULT_THROTTLE_RATES has no rate for the scope {self.scope!r}"
            )
        return rates[self.scope]

    def get_cache_key(self, request: Any, view: Any) -> str | None:
        """Return who is counted, or None for who is not: DRF's hook, by default ``key``."""
        rule = self.get_rule()
        return None if rule is None else str(rule.key(request._request, False))

    def allow_request(self, request: Any, view: Any) -> bool:
        """Charge the request; whether it is admitted."""
        rule = self.get_rule()
        if rule is None or not is_enabled():
            return True
        identity = self.get_cache_key(request, view)
        if identity is None:
            return True
        self.decision = enforcement.check(rule, request._request, identity)
        return not enforcement.refuses(rule, self.decision)

    def get_rule(self) -> Rule | None:
        """Return the rule of this throttle's class and scope, or None for no limit."""
        rate = self.get_rate()
        if rate is None:
            return None
        name = self.scope or f"{type(self).__module__}.{type(self).__qualname__}"
        place = (type(self), name, repr(rate))
        lazy = self._rules.get(place)
        if lazy is None:
            lazy = self._rules[place] = LazyRule(
                rate, name=f"drf.{name}", key=self.key, **self.options
            )
        return lazy()

    def wait(self) -> float | None:
        """Seconds to wait, for DRF's Retry-After header."""
        if self.decision is None or self.decision.allowed:
            return None
        return float(max(1, ceil(self.decision.retry_after_s)))


class AnonRateThrottle(RateThrottle):
    """Limits requests of nobody who is signed in, by address. Scope "anon"."""

    scope: str | None = "anon"
    key = "ip"

    def get_cache_key(self, request: Any, view: Any) -> str | None:
        """See RateThrottle; whoever is signed in is not counted."""
        if request.user and request.user.is_authenticated:
            return None
        return super().get_cache_key(request, view)


class UserRateThrottle(RateThrottle):
    """Limits each user, and by address who is not signed in. Scope "user"."""

    scope: str | None = "user"

    def get_cache_key(self, request: Any, view: Any) -> str | None:
        """See RateThrottle."""
        # DRF authenticates on its own request; rules look at Django's.
        request._request.user = request.user
        return super().get_cache_key(request, view)


class ScopedRateThrottle(UserRateThrottle):
    """Limits each user of the views with one ``throttle_scope``; others are admitted."""

    scope = None

    def allow_request(self, request: Any, view: Any) -> bool:
        """See RateThrottle."""
        self.scope = getattr(view, "throttle_scope", None)
        return self.scope is None or super().allow_request(request, view)
