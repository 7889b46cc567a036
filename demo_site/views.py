"""The demo's pages. Each asks a Reader for its data and shows what the reads were like."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from django.contrib import messages
from django.core.handlers.asgi import ASGIRequest
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_http_methods, require_safe

from demo_site import activity, invalidation, keys, plot, queries
from demo_site.forms import AirportForm
from demo_site.models import Airport
from demo_site.reading import Reader
from demo_site.server import UNUSABLE

KEYS_SHOWN_MAX = 12


@require_safe
def home(request: HttpRequest) -> HttpResponse:
    """Totals, the most viewed and the recently viewed airports."""
    reader = Reader()
    counts = _country_counts(reader)
    popular, recent = activity.popular_and_recent()
    return _page(
        request,
        "home.html",
        reader,
        {
            "airports": sum(count["airports"] for count in counts),
            "with_iata": sum(count["with_iata"] for count in counts),
            "countries": len(counts),
            "largest": counts[:12],
            "popular": popular,
            "recent": recent,
        },
    )


@require_safe
def countries(request: HttpRequest) -> HttpResponse:
    """All countries with their number of airports."""
    reader = Reader()
    counts = _country_counts(reader)
    most = counts[0]["airports"] if counts else 0
    return _page(request, "countries.html", reader, {"counts": counts, "most": most})


@require_safe
def country(request: HttpRequest, code: str) -> HttpResponse:
    """One country's statistics; 404 if no airport is there."""
    if not code.isascii() or len(code) != 2:
        raise Http404(code)
    code = code.upper()
    reader = Reader()
    statistics = reader.read(
        keys.country(code), partial(queries.country_statistics, code), keys.COUNTRY_TTL_S
    )
    if statistics is None:
        raise Http404(code)
    return _page(request, "country.html", reader, {"country": statistics})


@require_safe
def search(request: HttpRequest) -> HttpResponse:
    """Airports that contain all the words of `q`; without words, nothing is asked."""
    text = request.GET.get("q", "")
    words = queries.search_words(text)
    reader = Reader()
    result = None
    if words:
        result = reader.read(
            keys.search(words),
            partial(queries.search_airports, words),
            keys.SEARCH_TTL_S,
            register=lambda _: invalidation.register_search(words),
        )
    return _page(request, "search.html", reader, {"q": text, "result": result})


@require_safe
def airport(request: HttpRequest, icao: str) -> HttpResponse:
    """One airport and the nearest ones; 404 if there is none by that ICAO code."""
    icao = _code(icao)
    reader = Reader()
    row = reader.read(keys.airport(icao), partial(queries.airport_row, icao), keys.AIRPORT_TTL_S)
    if row is None:
        raise Http404(icao)
    nearest = reader.read(
        keys.nearest(icao),
        partial(queries.nearest_airports, icao),
        keys.NEAREST_TTL_S,
        register=partial(invalidation.register_nearest, icao),
    )
    if nearest is None:
        raise Http404(icao)
    if "X-Live" not in request.headers:  # a page that keeps itself fresh is no other visit
        activity.viewed(icao)
    context = {"airport": row, "nearest": nearest, "points": plot.points(nearest)}
    return _page(request, "airport.html", reader, context)


@require_http_methods(["GET", "HEAD", "POST"])
def edit(request: HttpRequest, icao: str) -> HttpResponse:
    """Change an airport and delete from the cache exactly what that makes wrong."""
    icao = _code(icao)
    if request.method != "POST":
        form = AirportForm(instance=get_object_or_404(Airport, pk=icao))
        return render(request, "demo_site/edit.html", {"form": form, "icao": icao})
    with transaction.atomic():
        # One writer at a time (SQLite's BEGIN IMMEDIATE), so `old` is what this edit replaces.
        before = get_object_or_404(Airport, pk=icao)
        old = before.row()
        form = AirportForm(request.POST, instance=before)
        if not form.is_valid():
            context = {"form": form, "icao": icao}
            return render(request, "demo_site/edit.html", context, status=422)
        new = form.save().row()
    try:
        names = invalidation.airport_edited(old, new)
    except UNUSABLE:
        messages.warning(
            request,
            "Saved, but the cache server cannot be reached: pages may show the old data until "
            f"their lifetime ends, at most {keys.NEAREST_TTL_S // 60} minutes.",
        )
    else:
        messages.success(request, _told(names))
    return redirect("airport", icao=icao)


def _country_counts(reader: Reader) -> list[queries.CountryCount]:
    """The one cached value that home and the list of countries share."""
    return reader.read(keys.COUNTRIES, queries.country_counts, keys.COUNTRY_TTL_S) or []


def _code(icao: str) -> str:
    """An ICAO code as the table has it. Anything that cannot be one is a 404 without any work."""
    # The package makes some up, with an underscore, for airports that ICAO gave none.
    if not icao.isascii() or (not icao.isidentifier() and not icao.isalnum()) or len(icao) > 4:
        raise Http404(icao)
    return icao.upper()


def _told(names: list[str]) -> str:
    """What an edit deleted, for people."""
    if not names:
        return "Nothing changed, so nothing was deleted from the cache."
    shown = ", ".join(names[:KEYS_SHOWN_MAX])
    more = len(names) - KEYS_SHOWN_MAX
    rest = f" and {more} more" if more > 0 else ""
    return f"Saved. Deleted from the cache: {shown}{rest}."


def _page(
    request: HttpRequest, template: str, reader: Reader, context: Mapping[str, Any]
) -> HttpResponse:
    """Render a page with its readings; X-Cache says HIT, MISS or OFF for each of them."""
    shown = {
        **context,
        "readings": reader.readings,
        # Where there are WebSockets.
        "is_live": isinstance(request, ASGIRequest),
        "edits": invalidation.edits_text(reader.edits),
    }
    response = render(request, f"demo_site/{template}", shown)
    response.headers["X-Cache"] = ", ".join(reading.outcome for reading in reader.readings)
    return response
