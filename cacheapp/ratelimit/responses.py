"""The answer to a request over its limit: 429, in the form that the client prefers.

``application/problem+json`` (RFC 9457) with the IETF draft's type for quotas, an HTML page from the
template that the settings name, or plain text. It says which policies were exceeded, never whom it
took the client for.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from math import ceil
from typing import Final

from asgiref.sync import sync_to_async
from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string

from cacheapp.ratelimit.decision import Decision
from cacheapp.ratelimit.headers import add_headers, add_retry_after
from cacheapp.ratelimit.rules import options

PROBLEM_TYPE: Final = "https://iana.org/assignments/http-problem-types#quota-exceeded"
PROBLEM_JSON: Final = "application/problem+json"
HTML: Final = "text/html"
#: In the order in which they are taken from a client that has no preference.
FORMS: Final = (PROBLEM_JSON, "application/json", HTML, "text/plain")


async def arefusal(
    request: HttpRequest, decision: Decision, decisions: Sequence[Decision]
) -> HttpResponse:
    """See refusal(). A page is made in a thread: what its template asks for may wait."""
    if request.get_preferred_type(list(FORMS)) == HTML:
        return await sync_to_async(refusal)(request, decision, decisions)
    return refusal(request, decision, decisions)


def refusal(
    request: HttpRequest, decision: Decision, decisions: Sequence[Decision]
) -> HttpResponse:
    """Return the 429 for ``decision``; ``decisions`` are all that were made, for the headers."""
    violated = decision.violated_policies
    wait_s = max(1, ceil(decision.retry_after_s))
    form = request.get_preferred_type(list(FORMS))
    if form in {PROBLEM_JSON, "application/json"}:
        body = json.dumps(
            {
                "type": PROBLEM_TYPE,
                "title": "Too many requests: a quota is exceeded",
                "status": 429,
                "violated-policies": violated,
            }
        )
        response = HttpResponse(body, status=429, content_type=PROBLEM_JSON)
    elif form == HTML:
        context = {"decision": decision, "violated": violated, "wait_s": wait_s}
        body = render_to_string(options()["TEMPLATE"], context, request)
        response = HttpResponse(body, status=429)
    else:
        body = f"Too many requests. Try again in {wait_s} s.\n"
        response = HttpResponse(body, status=429, content_type="text/plain; charset=utf-8")
    stated = options()
    if stated["HEADERS"]:
        add_headers(response.headers, decisions, x_headers=stated["X_HEADERS"])
    add_retry_after(response.headers, decision)
    # Another client's answer is another one.
    response.headers["Cache-Control"] = "no-store"
    return response
