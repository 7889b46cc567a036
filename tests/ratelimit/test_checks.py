"""The system checks of rate limits, by number."""

from __future__ import annotations

from typing import Any

import pytest

from cacheapp.ratelimit.checks import check_ratelimit

RULE = {"name": "a", "rates": "1/m"}


def ids(settings: Any, ratelimit: Any) -> list[str | None]:
    settings.CACHEAPP = {"RATELIMIT": ratelimit}
    return [message.id for message in check_ratelimit()]


@pytest.mark.parametrize(
    ("ratelimit", "found"),
    [
        ({}, []),
        ({"RULES": [RULE], "TRUSTED_PROXIES": ["10.0.0.0/8", "unix"]}, []),
        ([], ["cacheapp.E020"]),
        ({"RULE": []}, ["cacheapp.E020"]),
        ({"TRUSTED_PROXIES": "10.0.0.0/8"}, ["cacheapp.E021"]),
        ({"PROXY_HEADER": "X-Real-IP"}, ["cacheapp.E021"]),
        ({"RULES": {}}, ["cacheapp.E022"]),
        ({"RULES": [5]}, ["cacheapp.E022"]),
        ({"RULES": [{"name": "a"}]}, ["cacheapp.E022"]),
        ({"RULES": [{**RULE, "rates": "often"}]}, ["cacheapp.E022"]),
        ({"RULES": [{**RULE, "key": "nobody"}]}, ["cacheapp.E022"]),
        ({"RULES": [{**RULE, "name": "a b"}]}, ["cacheapp.E022"]),
        ({"RULES": [{**RULE, "algorithm": "magic"}]}, ["cacheapp.E022"]),
        ({"RULES": [{**RULE, "on_failure": "cry"}]}, ["cacheapp.E022"]),
        ({"RULES": [{**RULE, "rates": "20000/m", "algorithm": "sliding-log"}]}, ["cacheapp.E022"]),
        ({"RULES": [{**RULE, "cost": "no.such.function"}]}, ["cacheapp.E022"]),
        ({"RULES": [{**RULE, "colour": "red"}]}, ["cacheapp.E022"]),
        ({"RULES": [RULE], "CACHE": "nowhere"}, ["cacheapp.E023"]),
        ({"TRUSTED_PROXIES": ["0.0.0.0/0"]}, ["cacheapp.W020"]),
        ({"RULES": [RULE, RULE]}, ["cacheapp.W021"]),
    ],
)
def test_what_is_found(settings: Any, ratelimit: Any, found: list[str]) -> None:
    assert ids(settings, ratelimit) == found


def test_each_has_a_hint(settings: Any) -> None:
    settings.CACHEAPP = {"RATELIMIT": {"RULE": [], "TRUSTED_PROXIES": ["x"], "RULES": [5]}}
    assert all(message.hint for message in check_ratelimit())
