"""Which cached values an edit of an airport makes wrong, and their deletion.

The rule, by key:

    airport:X      X was edited
    countries      country or elevation changed, or an IATA code was given or taken
    country:C      C is or was the airport's country, and a field shown there changed
    nearest:X      X is the airport and it moved; or the airport stands on X's list and a field
                   shown there changed; or it moved onto that list
    search:Q       the airport matched Q before the edit or matches it now, and a field that
                   search shows changed

The first three follow from the edit. For lists and searches the server keeps two registries,
written before the value they speak of:

    nearest-radius  sorted set: airport -> km to the last airport on its cached list
    searches        sorted set: words of a cached search -> when it was computed

An airport stands on X's list exactly when it is no further from X than that radius, so one distance
a cached list decides, with no set of dependants to keep for each airport. A radius only grows (ZADD
GT): one that is too large deletes a list too many, one too small would leave a wrong one.

The fill race: a reader may compute from the old row, be overtaken by the edit and its deletion, and
then store the old value. So each edit first counts up `edits`, a reader looks at it before it
computes and again after it stored, and takes its value away if it changed (see reading.py).
Whatever the order, either the reader sees the count or the edit's deletion comes after the store.

Left out on purpose: pages of other processes' memory (there are none here) and an outbox: when the
server cannot be reached at the moment of an edit, the page says so and the lifetimes bound the
staleness.
"""

from __future__ import annotations

import time
from typing import Any

from demo_site import keys
from demo_site.distance import great_circle_km
from demo_site.models import Airport, AirportRow
from demo_site.queries import NEAREST_COUNT, Neighbour, matches
from demo_site.server import cache, connection, member_text, raw_key

SEARCHES_MAX = 1000
# How long after an edit a process may serve a copy of what it deleted: NEAR_CACHE's bound.
EDITED_MS = 2000
# A distance computed in two orders may differ in the last bits.
ROUNDING = 1 + 1e-9

MOVING_FIELDS = frozenset({"lat", "lon"})
NEAREST_FIELDS = MOVING_FIELDS | {"name", "city", "country"}
COUNTRIES_FIELDS = frozenset({"country", "elevation_ft", "iata"})
COUNTRY_FIELDS = COUNTRIES_FIELDS | {"name", "subd", "tz", "lat"}
SEARCH_FIELDS = frozenset({"iata", "name", "city", "subd", "country"})


def edits_seen() -> bytes | str | None:
    """The number of edits so far, to be compared with a later answer."""
    return connection().get(raw_key("edits"))


def edited_since(edits: str) -> bool:
    """Whether a page that was begun when `edits` was the number of edits may be an old one.

    Also after an edit a moment ago: this process may have had a copy of what that deleted.
    """
    with connection().pipeline(transaction=False) as pipeline:
        pipeline.get(raw_key("edits"))
        pipeline.exists(raw_key("edited"))
        now, just_edited = pipeline.execute()
    return edits != edits_text(now) or (cache().near is not None and bool(just_edited))


def edits_text(edits: bytes | str | None) -> str:
    """A number of edits as a page carries it."""
    return "0" if edits is None else member_text(edits)


def register_nearest(icao: str, neighbours: list[Neighbour]) -> None:
    """Note how far a list about to be cached reaches."""
    reach_km = neighbours[-1]["distance_km"] if len(neighbours) == NEAREST_COUNT else 1e6
    connection().zadd(raw_key("nearest-radius"), {icao: reach_km}, gt=True)


def register_search(words: tuple[str, ...]) -> None:
    """Note a search about to be cached; beyond the bound the oldest is forgotten and deleted."""
    client = connection()
    name = raw_key("searches")
    with client.pipeline() as pipeline:
        pipeline.zadd(name, {" ".join(words): time.time()})
        pipeline.zcard(name)
        _, registered = pipeline.execute()
    if registered > SEARCHES_MAX:
        forgotten: Any = client.zpopmin(name, registered - SEARCHES_MAX)
        cache().delete_many(
            [keys.search(tuple(member_text(text).split())) for text, _ in forgotten]
        )


def airport_edited(old: AirportRow, new: AirportRow) -> list[str]:
    """Delete what the edit from `old` to `new` made wrong; call it after the commit.

    Returns the names of the deleted keys, in order; some may have held nothing. An edit that
    changed nothing deletes nothing. Raises one of server.UNUSABLE when the server cannot be
    reached.
    """
    changed = frozenset(field for field, value in new.items() if value != old.get(field))
    if not changed:
        return []
    with connection().pipeline(transaction=True) as pipeline:
        pipeline.incr(raw_key("edits"))
        pipeline.set(raw_key("edited"), "1", px=EDITED_MS)
        pipeline.execute()
    affected = {keys.airport(new["icao"])}
    # Countries count IATA codes and do not show them.
    counted = changed if bool(old["iata"]) != bool(new["iata"]) else changed - {"iata"}
    if counted & COUNTRIES_FIELDS:
        affected.add(keys.COUNTRIES)
    if counted & COUNTRY_FIELDS:
        affected |= {keys.country(old["country"]), keys.country(new["country"])}
    if changed & NEAREST_FIELDS:
        affected.update(_lists_with(old, new, moved=bool(changed & MOVING_FIELDS)))
    if changed & SEARCH_FIELDS:
        affected.update(_searches_with(old, new))
    names = sorted(affected)
    cache().delete_many(names)
    return names


def everything_changed() -> None:
    """Delete every cached page: the table was loaded anew."""
    connection().incr(raw_key("edits"))
    cache().clear()


def _lists_with(old: AirportRow, new: AirportRow, *, moved: bool) -> list[str]:
    """The cached nearest lists that show the airport, or have to from now on."""
    radii: Any = connection().zrange(raw_key("nearest-radius"), 0, -1, withscores=True)
    reach_km = {member_text(icao): radius * ROUNDING for icao, radius in radii}
    places = (
        Airport.objects.filter(pk__in=reach_km) if len(reach_km) < 500 else Airport.objects.all()
    )
    names = []
    for icao, lat, lon in places.values_list("icao", "lat", "lon"):
        radius = reach_km.get(icao)
        if radius is None:
            continue
        if icao == new["icao"]:
            touched = moved
        else:
            touched = great_circle_km(lat, lon, old["lat"], old["lon"]) <= radius or (
                moved and great_circle_km(lat, lon, new["lat"], new["lon"]) <= radius
            )
        if touched:
            names.append(keys.nearest(icao))
    return names


def _searches_with(old: AirportRow, new: AirportRow) -> list[str]:
    """The cached searches that found the airport, or do now."""
    names = []
    texts: Any = connection().zrange(raw_key("searches"), 0, -1)
    for text in texts:
        words = tuple(member_text(text).split())
        if matches(old, words) or matches(new, words):
            names.append(keys.search(words))
    return names
