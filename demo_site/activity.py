"""What visitors look at: a sorted set of the most viewed airports and a list of the last ones seen.

These are not cached values but data that lives in the server, written with redis-py's own commands
on the connection that the cache uses: one transaction a view. The list holds each airport once and
is trimmed; the sorted set is bounded by the number of airports.
"""

from __future__ import annotations

import logging

from demo_site import keys
from demo_site.models import Airport, AirportRow
from demo_site.server import UNUSABLE, cache, connection, member_text, raw_key

SHOWN_MAX = 10
logger = logging.getLogger("demo_site")


def viewed(icao: str) -> None:
    """Count one view. A server that cannot be reached loses the count, not the page."""
    try:
        with connection().pipeline(transaction=True) as pipeline:
            pipeline.zincrby(raw_key("viewed"), 1, icao)
            pipeline.lrem(raw_key("recent"), 0, icao)
            pipeline.lpush(raw_key("recent"), icao)
            pipeline.ltrim(raw_key("recent"), 0, SHOWN_MAX - 1)
            pipeline.execute()
    except UNUSABLE as error:
        logger.warning("a view was not counted: %s", type(error).__name__)


def popular_and_recent() -> tuple[list[tuple[AirportRow, int]], list[AirportRow]]:
    """The most viewed airports with their views, and the last seen ones; both at most ten.

    Airports that no longer exist are left out; without a server both are empty.
    """
    try:
        with connection().pipeline(transaction=False) as pipeline:
            pipeline.zrevrange(raw_key("viewed"), 0, SHOWN_MAX - 1, withscores=True)
            pipeline.lrange(raw_key("recent"), 0, SHOWN_MAX - 1)
            ranking, last = pipeline.execute()
    except UNUSABLE as error:
        logger.warning("the rankings cannot be read: %s", type(error).__name__)
        return [], []
    views = {member_text(icao): int(score) for icao, score in ranking}
    recent = [member_text(icao) for icao in last]
    rows = _rows({*views, *recent})
    return (
        [(rows[icao], count) for icao, count in views.items() if icao in rows],
        [rows[icao] for icao in recent if icao in rows],
    )


def _rows(icaos: set[str]) -> dict[str, AirportRow]:
    """The airports' rows: those at hand in the cache by one get_many, the rest by one query."""
    cached = cache().get_many([keys.airport(icao) for icao in icaos])
    rows: dict[str, AirportRow] = {row["icao"]: row for row in cached.values()}
    if missing := icaos - rows.keys():
        rows |= {icao: found.row() for icao, found in Airport.objects.in_bulk(missing).items()}
    return rows
