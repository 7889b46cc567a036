"""Fills the table from the airportsdata package, which carries the data: no download."""

from __future__ import annotations

from django.db import transaction

from demo_site.models import Airport

BATCH_ROWS = 1000


def load_airports(*, reset: bool = False) -> int:
    """Put every airport of the package into the table; returns how many there are then.

    Can be repeated: rows that are there stay as they are, edits included, unless `reset` puts the
    package's values back. All or nothing. Raises ImportError without the package (the `demo`
    extra).
    """
    import airportsdata

    airports = [
        Airport(
            icao=source["icao"],
            iata=source["iata"],
            name=source["name"],
            city=source["city"],
            subd=source["subd"],
            country=source["country"],
            elevation_ft=source["elevation"],
            lat=source["lat"],
            lon=source["lon"],
            tz=source["tz"],
        )
        for source in airportsdata.load().values()
    ]
    with transaction.atomic():
        if reset:
            Airport.objects.all().delete()
        Airport.objects.bulk_create(airports, batch_size=BATCH_ROWS, ignore_conflicts=True)
        return Airport.objects.count()
