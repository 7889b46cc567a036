"""Great circles: how far and in which direction, on a sphere.

The haversine formula, which stays exact for small distances where the law of cosines does not; the
sphere is within 0.5 % of the ellipsoid, enough to rank airports. Nothing here knows Django.
"""

from __future__ import annotations

from math import asin, atan2, cos, degrees, radians, sin, sqrt

EARTH_RADIUS_KM = 6371.0088


def great_circle_km(lat1: float, lon1: float, lat2: float, lon2: float) -> float:
    """The distance in km between two points given in degrees."""
    phi1 = radians(lat1)
    phi2 = radians(lat2)
    half = sin((phi2 - phi1) / 2) ** 2 + cos(phi1) * cos(phi2) * sin(radians(lon2 - lon1) / 2) ** 2
    # Rounding can carry antipodes just past 1, where asin is not defined.
    return 2 * EARTH_RADIUS_KM * asin(min(1.0, sqrt(half)))


def bearing_deg(lat1: float, lon1: float, lat2: float, lon2: float) -> float:
    """The first course from one point to the other: degrees clockwise from north, below 360."""
    phi1 = radians(lat1)
    phi2 = radians(lat2)
    east = sin(radians(lon2 - lon1)) * cos(phi2)
    north = cos(phi1) * sin(phi2) - sin(phi1) * cos(phi2) * cos(radians(lon2 - lon1))
    return degrees(atan2(east, north)) % 360.0
