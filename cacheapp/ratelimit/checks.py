"""System checks of ``CACHEAPP["RATELIMIT"]``: what cannot work, and what trusts too much."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Any

from django.core.checks import CheckMessage, Error, Warning  # noqa: A004 - Django's own names
from django.core.exceptions import ImproperlyConfigured

from cacheapp import conf
from cacheapp.cache.servers import server_of
from cacheapp.ratelimit.rules import DEFAULTS, options, proxies, rule_of_settings

_HINT = "See docs/ratelimit.md."


def check_ratelimit(**_: Any) -> list[CheckMessage]:
    """Check the settings of rate limits."""
    stated = conf.config()["RATELIMIT"]
    if not isinstance(stated, Mapping):
        return [Error("CACHEAPP['RATELIMIT'] must be a dict.", hint=_HINT, id="cacheapp.E020")]
    messages: list[CheckMessage] = []
    for name in stated:
        if name not in DEFAULTS:
            near = difflib.get_close_matches(str(name), DEFAULTS, n=1)
            hint = f"Did you mean {near[0]!r}?" if near else f"Known are {', '.join(DEFAULTS)}."
            messages.append(
                Error(
                    f"CACHEAPP['RATELIMIT'] has an unknown key {name!r}.",
                    hint=hint,
                    id="cacheapp.E020",
                )
            )
    return messages + _check_proxies() + _check_rules()


def _check_proxies() -> list[CheckMessage]:
    try:
        found = proxies()
    except ImproperlyConfigured as error:
        return [
            Error(
                f"CACHEAPP['RATELIMIT']: {error}",
                hint="TRUSTED_PROXIES is a list of networks such as '10.0.0.0/8', of addresses, "
                "and of 'unix'.",
                id="cacheapp.E021",
            )
        ]
    wide = [str(network) for network in found.networks if network.prefixlen == 0]
    if not wide:
        return []
    return [
        Warning(
            f"CACHEAPP['RATELIMIT']['TRUSTED_PROXIES'] has {wide[0]}: every client may write its "
            "own address.",
            hint="Name the networks of your proxies.",
            id="cacheapp.W020",
        )
    ]


def _check_rules() -> list[CheckMessage]:
    messages: list[CheckMessage] = []
    names: set[str] = set()
    stated = options()
    rules = stated["RULES"]
    if not isinstance(rules, (list, tuple)):
        return [Error("RULES must be a list of dicts.", hint=_HINT, id="cacheapp.E022")]
    for written in rules:
        try:
            rule = rule_of_settings(written)
        except ImproperlyConfigured as error:
            messages.append(
                Error(f"CACHEAPP['RATELIMIT']['RULES']: {error}", hint=_HINT, id="cacheapp.E022")
            )
            continue
        if rule.name in names:
            messages.append(
                Warning(
                    f"CACHEAPP['RATELIMIT']['RULES'] has two rules named {rule.name!r}: they share "
                    "their counts.",
                    hint="Give them two names, unless that is meant.",
                    id="cacheapp.W021",
                )
            )
        names.add(rule.name)
    if rules:
        try:
            server_of(stated["CACHE"])
        except (ImproperlyConfigured, ImportError) as error:
            messages.append(
                Error(
                    f"CACHEAPP['RATELIMIT']['CACHE']: {error}",
                    hint="Name an alias of CACHES whose BACKEND is cacheapp.cache.CacheBackend.",
                    id="cacheapp.E023",
                )
            )
    return messages
