"""The map: north is up, east is right, and the furthest lies on the outer ring."""

from __future__ import annotations

import pytest

from demo_site.plot import MIDDLE, RADIUS, points
from demo_site.queries import Neighbour


def neighbour(distance_km: float, bearing_deg: float) -> Neighbour:
    return Neighbour(
        icao="XXXX",
        name="Somewhere",
        city="",
        country="XX",
        distance_km=distance_km,
        bearing_deg=bearing_deg,
    )


def test_directions_and_scale() -> None:
    north, east = points([neighbour(50, 0), neighbour(100, 90)])
    assert (float(north.x), float(north.y)) == pytest.approx((MIDDLE, MIDDLE - RADIUS / 2))
    assert (float(east.x), float(east.y)) == pytest.approx((MIDDLE + RADIUS, MIDDLE))
    assert [north.number, east.number] == [1, 2]


def test_airports_on_one_spot() -> None:
    (point,) = points([neighbour(0, 0)])
    assert (point.x, point.y) == ("160.0", "160.0")
    assert points([]) == []
