"""Great circles against known distances and their own symmetries."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from demo_site.distance import EARTH_RADIUS_KM, bearing_deg, great_circle_km

LATITUDES = st.floats(-90, 90)
LONGITUDES = st.floats(-180, 180)


def test_a_degree_of_a_meridian() -> None:
    assert great_circle_km(0, 0, 1, 0) == pytest.approx(EARTH_RADIUS_KM * math.pi / 180)


def test_the_poles_are_half_a_circumference_apart() -> None:
    assert great_circle_km(90, 0, -90, 120) == pytest.approx(EARTH_RADIUS_KM * math.pi)


def test_frankfurt_to_new_york() -> None:
    # 6,184 km on the sphere, 6,206 on the ellipsoid.
    assert great_circle_km(50.0264, 8.54313, 40.6399, -73.7787) == pytest.approx(6190, rel=0.005)


@given(LATITUDES, LONGITUDES, LATITUDES, LONGITUDES)
def test_distance_is_symmetric_and_bounded(
    lat1: float, lon1: float, lat2: float, lon2: float
) -> None:
    there = great_circle_km(lat1, lon1, lat2, lon2)
    assert there == pytest.approx(great_circle_km(lat2, lon2, lat1, lon1), abs=1e-6)
    assert 0 <= there <= EARTH_RADIUS_KM * math.pi * (1 + 1e-12)


@pytest.mark.parametrize(
    ("lat", "lon", "bearing"), [(1, 0, 0), (0, 1, 90), (-1, 0, 180), (0, -1, 270)]
)
def test_bearings_of_the_compass(lat: float, lon: float, bearing: float) -> None:
    assert bearing_deg(0, 0, lat, lon) == pytest.approx(bearing)


@given(LATITUDES, LONGITUDES, LATITUDES, LONGITUDES)
def test_a_bearing_is_a_compass_reading(lat1: float, lon1: float, lat2: float, lon2: float) -> None:
    assert 0 <= bearing_deg(lat1, lon1, lat2, lon2) <= 360
