"""A small JSON API with limits, and the page that explains them.

The limits are two lines in the settings; nothing here knows of them but the page, which shows them.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from django.http import HttpRequest, JsonResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.views.decorators.http import require_safe

from cacheapp.ratelimit.rules import rules
from demo_site import keys, queries
from demo_site.reading import Reader


@require_safe
def airport(_request: HttpRequest, icao: str) -> JsonResponse:
    """One airport; 404 if there is none by that ICAO code."""
    icao = icao.upper()
    if not icao.isascii() or len(icao) > 4:
        return _missing()
    read = partial(queries.airport_row, icao)
    return _answer(Reader().read(keys.airport(icao), read, keys.AIRPORT_TTL_S))


@require_safe
def country(_request: HttpRequest, code: str) -> JsonResponse:
    """How many airports a country has, and how high they lie; 404 for an unknown one."""
    counts = Reader().read(keys.COUNTRIES, queries.country_counts, keys.COUNTRY_TTL_S) or []
    return _answer(next((count for count in counts if count["country"] == code.upper()), None))


@require_safe
def limits(request: HttpRequest) -> HttpResponseBase:
    """The rules as the settings have them, and how to run into them."""
    shown = [
        {
            "name": rule.name,
            "path": rule.path,
            "rates": [str(rate) for rate in rule.limiter.rates],
            "algorithm": rule.limiter.algorithm.name,
        }
        for rule in rules()
    ]
    context = {"rules": shown, "address": request.build_absolute_uri("/api/airports/EDDF/")}
    return render(request, "demo_site/limits.html", context)


def _answer(found: Any) -> JsonResponse:
    return _missing() if found is None else JsonResponse(dict(found))


def _missing() -> JsonResponse:
    return JsonResponse({"title": "Not found", "status": 404}, status=404)
