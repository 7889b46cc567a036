"""``Rule``: which requests a limiter counts, as whom, at what cost, and what follows.

Rules come from ``CACHEAPP["RATELIMIT"]["RULES"]``, which the middleware applies, and from the
decorator and the DRF throttles, which make their own. A rule's name is what its counts are kept
under: rules of one name share them (a group).
"""

from __future__ import annotations

import re
import weakref
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Final

from django.core.exceptions import ImproperlyConfigured
from django.core.signals import setting_changed
from django.dispatch import receiver
from django.http import HttpRequest
from django.utils.module_loading import import_string

from cacheapp import conf
from cacheapp.ratelimit.algorithms import DEFAULT_ALGORITHM
from cacheapp.ratelimit.counters import Counter, counter_of
from cacheapp.ratelimit.identity import PROXY_HEADERS, Key, Proxies, key_function
from cacheapp.ratelimit.limiter import MEMO_SECONDS_MAX, Limiter
from cacheapp.ratelimit.rates import Rate, parse_rates

#: ``CACHEAPP["RATELIMIT"]``, each with its reason in docs/ratelimit.md.
DEFAULTS: Final[Mapping[str, Any]] = {
    "CACHE": "default",
    "ALGORITHM": DEFAULT_ALGORITHM,
    "ON_FAILURE": "open",
    "TRUSTED_PROXIES": (),
    "PROXY_HEADER": PROXY_HEADERS[0],
    "IPV6_PREFIX": 64,
    "MEMO_SECONDS": MEMO_SECONDS_MAX,
    "HEADERS": True,
    "X_HEADERS": False,
    "TEMPLATE": "cacheapp/429.html",
    "ENABLED": True,
    "RULES": (),
}
#: What a rule in the settings may say.
RULE_OPTIONS: Final = frozenset(
    {
        "name", "rates", "key", "path", "view", "namespace", "methods", "algorithm", "on_failure",
        "cost", "after", "exempt", "block", "dry_run",
    }
)  # fmt: skip
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}\Z")


def options() -> Mapping[str, Any]:
    """Return ``CACHEAPP["RATELIMIT"]`` over its defaults."""
    stated = conf.config()["RATELIMIT"]
    return {**DEFAULTS, **stated} if isinstance(stated, Mapping) else DEFAULTS


@lru_cache(maxsize=1)
def is_enabled() -> bool:
    """Whether requests are limited at all: not in a site's tests, maybe."""
    return bool(options()["ENABLED"])


@lru_cache(maxsize=1)
def proxies() -> Proxies:
    """Return what the settings say of proxies. Raises ImproperlyConfigured."""
    stated = options()
    return Proxies(stated["TRUSTED_PROXIES"], stated["PROXY_HEADER"], stated["IPV6_PREFIX"])


def _called(option: str, written: Any) -> Callable[..., Any]:
    """A callable, or the one at a dotted path. Raises ImproperlyConfigured."""
    if callable(written):
        found: Callable[..., Any] = written
        return found
    try:
        found = import_string(written)
    except (ImportError, AttributeError, TypeError) as error:
        raise ImproperlyConfigured(f"{option} is {written!r}: {error}") from error
    if not callable(found):
        raise ImproperlyConfigured(f"{option} is {written!r}, which is not callable")
    return found


@dataclass(slots=True)
class Rule:
    """One rule. Make it with ``make_rule``, which verifies what it is given.

    ``rates_of``, ``cost_of``, ``after`` and ``is_exempt`` are functions of the request (``after``
    also of the response), or None; each may be a coroutine function where requests are async.
    """

    name: str
    limiter: Limiter
    key: Key
    methods: frozenset[str] | None = None
    path: str | None = None
    view: str | None = None
    namespace: str | None = None
    cost: int = 1
    rates_of: Callable[[HttpRequest], Any] | None = None
    cost_of: Callable[[HttpRequest], Any] | None = None
    after: Callable[[HttpRequest, Any], Any] | None = None
    is_exempt: Callable[[HttpRequest], Any] | None = None
    block: bool = True
    dry_run: bool = False
    #: Whether anything has to be awaited or called to know cost, rates and exemption.
    is_plain: bool = field(init=False)
    #: Whether it can only be matched once the URL is resolved.
    needs_view: bool = field(init=False)
    #: Whether what it does not admit ends there.
    refuses: bool = field(init=False)
    #: What this process has decided under its name.
    counter: Counter = field(init=False)

    def __post_init__(self) -> None:
        self.is_plain = self.rates_of is None and self.cost_of is None and self.is_exempt is None
        self.needs_view = self.view is not None or self.namespace is not None
        self.refuses = self.block and not self.dry_run
        self.counter = counter_of(self.name)

    def matches(self, request: HttpRequest) -> bool:
        """Whether it is about ``request``, which is resolved if ``needs_view``."""
        path = self.path
        if path is not None and not request.path_info.startswith(path):
            return False
        if self.methods is not None and request.method not in self.methods:
            return False
        if not self.needs_view:
            return True
        match = request.resolver_match
        if match is None:
            return False
        if self.namespace is not None and self.namespace not in match.namespaces:
            return self.namespace == match.namespace
        return self.view is None or self.view in (match.view_name, match._func_path)


def make_rule(
    rates: Any,
    *,
    name: str,
    key: Any = "user_or_ip",
    methods: Iterable[str] | str | None = None,
    path: str | None = None,
    view: str | None = None,
    namespace: str | None = None,
    algorithm: str | None = None,
    on_failure: str | None = None,
    cost: Any = 1,
    after: Any = None,
    exempt: Any = None,
    block: bool = True,
    dry_run: bool = False,
) -> Rule:
    """Return a rule; docs/ratelimit.md says what each argument means.

    ``rates`` is a rate, a list of them, None for no limit, or a function of the request that
    returns one of these. Raises ImproperlyConfigured for what cannot be.
    """
    if not isinstance(name, str) or not _NAME.match(name):
        raise ImproperlyConfigured(
            f"the name {name!r} of a rule must be 1 to 64 letters, digits, '_', '.' or '-'"
        )
    stated = options()
    rates_of = _rates_function(rates)
    whole = cost if type(cost) is int else 1
    if whole < 0:
        raise ImproperlyConfigured(f"cost is {cost!r}: a request cannot give back")
    limiter = Limiter(
        name,
        "1/s" if rates_of else rates,
        algorithm=algorithm or stated["ALGORITHM"],
        alias=stated["CACHE"],
        on_failure=on_failure or stated["ON_FAILURE"],
        memo_seconds=stated["MEMO_SECONDS"],
    )
    for option, text in (("path", path), ("view", view), ("namespace", namespace)):
        if text is not None and not isinstance(text, str):
            raise ImproperlyConfigured(f"{option} is {text!r}; it is text")
    return Rule(
        name,
        limiter,
        key_function(key, proxies()),
        methods=method_names(methods),
        path=path,
        view=view,
        namespace=namespace,
        cost=whole,
        rates_of=rates_of,
        cost_of=None if type(cost) is int else _called("cost", cost),
        after=None if after is None else _called("after", after),
        is_exempt=None if exempt is None else _called("exempt", exempt),
        block=bool(block),
        dry_run=bool(dry_run),
    )


def _rates_function(written: Any) -> Callable[[HttpRequest], Any] | None:
    """What gives a request's rates where they are not the same for all."""
    if written is None:
        return _unlimited
    if callable(written) or (isinstance(written, str) and "/" not in written and "." in written):
        return _called("rates", written)
    return None


def _unlimited(_request: HttpRequest) -> None:
    """Rates of nothing."""


def method_names(written: Iterable[str] | str | None) -> frozenset[str] | None:
    """Return HTTP methods as a set; text may have several, apart by spaces or commas."""
    if written is None:
        return None
    words = written.replace(",", " ").split() if isinstance(written, str) else written
    return frozenset(word.upper() for word in words)


def rule_of_settings(written: Any) -> Rule:
    """Return the rule that one entry of RULES describes. Raises ImproperlyConfigured."""
    if not isinstance(written, Mapping):
        raise ImproperlyConfigured(f"{written!r} is not a rule: it must be a dict")
    unknown = sorted(set(written) - RULE_OPTIONS)
    if unknown:
        raise ImproperlyConfigured(
            f"rule {written.get('name')!r} has an unknown key {unknown[0]!r}; known are "
            f"{', '.join(sorted(RULE_OPTIONS))}"
        )
    if "name" not in written or "rates" not in written:
        raise ImproperlyConfigured(f"{dict(written)!r} is not a rule: it needs name and rates")
    try:
        return make_rule(**written)
    except TypeError as error:
        raise ImproperlyConfigured(f"rule {written['name']!r}: {error}") from error


class LazyRule:
    """A rule of the code (a decorator's), made at its first use and again for other settings.

    A module may be imported before the settings are ready.
    """

    __slots__ = ("__weakref__", "_generation", "_made", "arguments", "name", "rates")

    def __init__(self, rates: Any, name: str, **arguments: Any) -> None:
        self.rates = rates
        self.name = re.sub(r"[^A-Za-z0-9_.-]", "", name)[-64:].lstrip("_.-") or "view"
        self.arguments = arguments
        self._made: Rule | None = None
        self._generation = -1
        _lazy_rules.add(self)

    def __call__(self) -> Rule:
        """Return the rule. Raises ImproperlyConfigured."""
        if self._generation != _generation or self._made is None:
            self._generation = _generation
            self._made = make_rule(self.rates, name=self.name, **self.arguments)
        return self._made


_lazy_rules: weakref.WeakSet[LazyRule] = weakref.WeakSet()
_generation = 0


def rules_of_code() -> list[LazyRule]:
    """Return the rules that decorators have made so far, by name."""
    return sorted(_lazy_rules, key=lambda rule: rule.name)


@lru_cache(maxsize=1)
def rules() -> tuple[Rule, ...]:
    """Return the rules of the settings. Raises ImproperlyConfigured."""
    return tuple(rule_of_settings(written) for written in options()["RULES"])


def effective_rates(found: Any) -> tuple[Rate, ...] | None:
    """Return the rates that a ``rates`` function gave, or None for no limit."""
    return None if found is None else parse_rates(found)


@receiver(setting_changed, dispatch_uid="cacheapp.ratelimit.rules")
def _forget(*, setting: str, **_: Any) -> None:
    global _generation  # noqa: PLW0603 - one number that tells one setting of a test from the next
    if setting in {"CACHEAPP", "CACHES"}:
        _generation += 1
        rules.cache_clear()
        proxies.cache_clear()
        is_enabled.cache_clear()
