"""Positions on the earth as scores of a sorted set: Redis's geohash, its distance, its areas.

A position is two offsets of 26 bits in the ranges of latitude and longitude, interleaved to 52
bits, latitude in the even ones: positions with a common prefix share a cell. A search looks at
the cell of its centre and the eight around it, at the step (bits a coordinate) where they should
cover the shape. Which cells those are is visible in the order of replies, so the estimate follows
Redis's in every detail, the edges of the map included, where cells wrap around and may repeat.

The earth is a ball here, as in Redis, and latitudes end at 85.05 degrees. What Python refuses (the
cosine of infinity) is not a number here, as in C.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, NamedTuple

LONGITUDE_MAX: Final = 180.0
LATITUDE_MAX: Final = 85.05112878
STEPS_MAX: Final = 26

_EARTH_RADIUS_M = 6372797.560856
# Half of the length of the equator in the Mercator projection.
_MERCATOR_MAX_M = 20037726.37
_DEGREE = math.pi / 180.0
_UNITS = 1 << STEPS_MAX
_ALPHABET = "0123456789bcdefghjkmnpqrstuvwxyz"

# Nine bits spread to the even ones of eighteen; and twelve bits separated, the even ones to the
# low half of 64 bits and the odd ones to the high half.
_SPREAD = [sum((number >> bit & 1) << 2 * bit for bit in range(9)) for number in range(512)]
_SEPARATED = [
    sum((number >> bit & 1) << (bit >> 1 | (bit & 1) << 5) for bit in range(12))
    for number in range(4096)
]


class Position(NamedTuple):
    """Degrees east and north."""

    longitude: float
    latitude: float


class Cell(NamedTuple):
    """An area of the map: offsets of `steps` bits east and north of its corner in the southwest.

    An offset at the very end of its range has a bit more, as in Redis.
    """

    x: int
    y: int
    steps: int

    def scores(self) -> tuple[float, float]:
        """The scores of the positions inside: from the first, up to and without the second."""
        bits, shift = _interleaved(self.x, self.y), 2 * (STEPS_MAX - self.steps)
        return float(bits << shift), float(bits + 1 << shift)

    def moved(self, east: int, north: int) -> Cell:
        """The cell that is `east` and `north` of it (-1, 0, 1), around the world."""
        mask = (1 << self.steps) - 1
        return Cell(
            self.x + east & mask if east else self.x,
            self.y + north & mask if north else self.y,
            self.steps,
        )

    def edges(self) -> tuple[float, float, float, float]:
        """West, south, east and north in degrees."""
        return (
            _degrees(self.x, self.steps, LONGITUDE_MAX),
            _degrees(self.y, self.steps, LATITUDE_MAX),
            _degrees(self.x + 1, self.steps, LONGITUDE_MAX),
            _degrees(self.y + 1, self.steps, LATITUDE_MAX),
        )


def _interleaved(x: int, y: int) -> int:
    return (_SPREAD[y & 511] | _SPREAD[y >> 9 & 511] << 18 | _SPREAD[y >> 18] << 36) | (
        _SPREAD[x & 511] | _SPREAD[x >> 9 & 511] << 18 | _SPREAD[x >> 18] << 36
    ) << 1


def _degrees(offset: int, steps: int, end: float) -> float:
    """The degrees of `offset` in the range from -`end` to `end`."""
    return -end + (offset * 1.0 / (1 << steps)) * (end + end)


def _offset(degrees: float, end: float, steps: int) -> int:
    return int((degrees + end) / (end + end) * (1 << steps))


def _cell_of(position: Position, steps: int) -> Cell:
    return Cell(
        _offset(position.longitude, LONGITUDE_MAX, steps),
        _offset(position.latitude, LATITUDE_MAX, steps),
        steps,
    )


def is_on_map(longitude: float, latitude: float) -> bool:
    """Whether GEOADD takes the position."""
    return abs(longitude) <= LONGITUDE_MAX and abs(latitude) <= LATITUDE_MAX


def score_of(position: Position) -> float:
    """The score under which a position is stored."""
    return float(number_of(position))


def score_at(longitude: float, latitude: float) -> float:
    """As `score_of`, of degrees that are on the map."""
    x = int((longitude + LONGITUDE_MAX) / (LONGITUDE_MAX + LONGITUDE_MAX) * _UNITS)
    y = int((latitude + LATITUDE_MAX) / (LATITUDE_MAX + LATITUDE_MAX) * _UNITS)
    return float(_interleaved(x, y))


def number_of(position: Position) -> int:
    """The score as the whole number that it is; at the far edges it does not fit a double."""
    x, y, _ = _cell_of(position, STEPS_MAX)
    return _interleaved(x, y)


# Bounded; the members of an area are looked at by each search.
@lru_cache(maxsize=1024)
def position_of(score: float) -> Position:
    """The middle of the smallest cell of a score; any score has one."""
    bits = int(score) if 0.0 <= score < 2.0**63 else _unsigned(score)
    pairs = shift = 0
    while bits:
        pairs |= _SEPARATED[bits & 4095] << shift
        bits >>= 12
        shift += 6
    x, y = pairs >> 32, pairs & 0xFFFFFFFF
    scale = 1 << STEPS_MAX
    west = -180.0 + (x / scale) * 360.0
    east = -180.0 + ((x + 1 & 0xFFFFFFFF) / scale) * 360.0
    south = -LATITUDE_MAX + (y / scale) * (LATITUDE_MAX + LATITUDE_MAX)
    north = -LATITUDE_MAX + ((y + 1 & 0xFFFFFFFF) / scale) * (LATITUDE_MAX + LATITUDE_MAX)
    return Position(
        max(-LONGITUDE_MAX, min((west + east) / 2, LONGITUDE_MAX)),
        max(-LATITUDE_MAX, min((south + north) / 2, LATITUDE_MAX)),
    )


def _unsigned(score: float) -> int:
    """What C on amd64 makes of a double that is converted to 64 unsigned bits."""
    if score >= 2.0**63:
        return int(score) if score < 2.0**64 else 0
    return int(score) % 2**64 if score >= -(2.0**63) else 2**63


def text_of(position: Position) -> bytes:
    """The geohash as everyone else writes it: eleven characters, latitudes up to 90 degrees."""
    bits = _interleaved(
        _offset(position.longitude, LONGITUDE_MAX, STEPS_MAX),
        _offset(position.latitude, 90.0, STEPS_MAX),
    )
    # 52 bits are ten characters and a bit; Redis leaves the eleventh at zero.
    digits = [_ALPHABET[bits >> 52 - 5 * at & 31] for at in range(1, 11)]
    return ("".join(digits) + "0").encode("ascii")


def distance_m(one: Position, other: Position) -> float:
    """The great circle between two positions in metres, by the haversine formula."""
    longitude1, latitude1 = one
    longitude2, latitude2 = other
    latitude1, latitude2 = latitude1 * _DEGREE, latitude2 * _DEGREE
    v = math.sin((longitude2 * _DEGREE - longitude1 * _DEGREE) / 2)
    if v == 0.0:
        # The last digits depend on it that Redis does not go through the sine here.
        return _EARTH_RADIUS_M * abs(latitude2 - latitude1)
    u = math.sin((latitude2 - latitude1) / 2)
    root = math.sqrt(u * u + math.cos(latitude1) * math.cos(latitude2) * v * v)
    return 2.0 * _EARTH_RADIUS_M * math.asin(root) if root <= 1.0 else math.nan


_ORIGIN = Position(0.0, 0.0)


@dataclass(slots=True)
class Shape:
    """What a search covers: a circle, or a box where `radius` is None, around `center`.

    `radius`, `width` and `height` are in units of `unit_m` metres.
    """

    center: Position = _ORIGIN
    radius: float | None = None
    width: float = 0.0
    height: float = 0.0
    unit_m: float = 1.0

    def distance_inside(self, position: Position) -> float | None:
        """Metres from the centre, or None for a position outside."""
        center = self.center
        if self.radius is not None:
            distance = distance_m(center, position)
            return None if distance > self.radius * self.unit_m else distance
        x, y = position
        if distance_m(position, Position(center.longitude, y)) > self.width * self.unit_m / 2:
            return None
        if distance_m(position, Position(x, center.latitude)) > self.height * self.unit_m / 2:
            return None
        return distance_m(center, position)

    def _reach_m(self) -> float:
        """From the centre to the farthest point, in metres."""
        if self.radius is not None:
            return self.radius * self.unit_m
        half_width, half_height = self.width / 2, self.height / 2
        return math.sqrt(half_width * half_width + half_height * half_height) * self.unit_m

    def _edges(self) -> tuple[float, float, float, float]:
        """West, south, east and north of the box around it in degrees."""
        longitude, latitude = self.center
        height = self.unit_m * (self.height / 2 if self.radius is None else self.radius)
        width = self.unit_m * (self.width / 2 if self.radius is None else self.radius)
        north_delta = height / _EARTH_RADIUS_M / _DEGREE
        # The side that is nearer to its pole spans more degrees.
        parallel = latitude - north_delta if latitude < 0 else latitude + north_delta
        east_delta = width / _EARTH_RADIUS_M / _cosine(parallel * _DEGREE) / _DEGREE
        return (
            longitude - east_delta,
            latitude - north_delta,
            longitude + east_delta,
            latitude + north_delta,
        )

    def cells(self) -> Iterator[Cell]:
        """The cells to search, in Redis's order; some may come twice near the ends of the map."""
        steps = _estimated_steps(self._reach_m(), self.center.latitude)
        west, south, east, north = self._edges()
        middle = _cell_of(self.center, steps)
        if steps > 1 and (
            middle.moved(0, 1).edges()[3] < north
            or middle.moved(0, -1).edges()[1] > south
            or middle.moved(1, 0).edges()[2] < east
            or middle.moved(-1, 0).edges()[0] > west
        ):
            # The neighbours do not reach as far as the shape.
            steps -= 1
            middle = _cell_of(self.center, steps)
        useless = set()
        if steps >= 2:
            edges = middle.edges()
            if edges[1] < south:
                useless.update([(0, -1), (-1, -1), (1, -1)])
            if edges[3] > north:
                useless.update([(0, 1), (1, 1), (-1, 1)])
            if edges[0] < west:
                useless.update([(-1, 0), (-1, -1), (-1, 1)])
            if edges[2] > east:
                useless.update([(1, 0), (1, -1), (1, 1)])
        yield middle
        last = None
        for east_by, north_by in _AROUND:
            if (east_by, north_by) in useless:
                continue
            cell = middle.moved(east_by, north_by)
            # Huge shapes wrap around: only a cell right after itself is left out.
            if cell != last:
                yield cell
                last = cell


_AROUND = ((0, 1), (0, -1), (1, 0), (-1, 0), (1, 1), (-1, 1), (1, -1), (-1, -1))


def _cosine(angle: float) -> float:
    return math.cos(angle) if math.isfinite(angle) else math.nan


def _estimated_steps(reach_m: float, latitude: float) -> int:
    """The step at which nine cells most likely cover `reach_m` metres around a centre."""
    if reach_m == 0:
        return STEPS_MAX
    steps = 1
    while reach_m < _MERCATOR_MAX_M:
        reach_m *= 2
        steps += 1
    steps -= 2
    # Cells are narrower towards the poles.
    if abs(latitude) > 66:
        steps -= 1
        if abs(latitude) > 80:
            steps -= 1
    return max(1, min(steps, STEPS_MAX))
