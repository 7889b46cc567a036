"""The little map of a nearest list: each airport at its distance and bearing from the middle.

Plain numbers for an SVG of 320 by 320 units, north up, so that the template only writes them down.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import cos, radians, sin

from demo_site.queries import Neighbour

MIDDLE = 160.0
RADIUS = 132.0


@dataclass(frozen=True)
class Point:
    """A neighbour's place on the map, its number on the list, and its label's place."""

    number: int
    icao: str
    title: str
    x: str
    y: str
    label_y: str


def points(neighbours: list[Neighbour]) -> list[Point]:
    """Where to draw each neighbour; the furthest one touches the outer ring."""
    reach_km = max((neighbour["distance_km"] for neighbour in neighbours), default=0.0) or 1.0
    placed = []
    for number, neighbour in enumerate(neighbours, start=1):
        length = RADIUS * neighbour["distance_km"] / reach_km
        angle = radians(neighbour["bearing_deg"])
        x = MIDDLE + length * sin(angle)
        y = MIDDLE - length * cos(angle)
        title = f"{neighbour['name']}, {neighbour['distance_km']:.1f} km"
        placed.append(
            Point(number, neighbour["icao"], title, f"{x:.1f}", f"{y:.1f}", f"{y + 3.5:.1f}")
        )
    return placed
