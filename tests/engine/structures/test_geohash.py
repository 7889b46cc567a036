"""Scores, distances and the cells of a search, against brute force."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cacheapp.engine.structures.geohash import (
    LATITUDE_MAX,
    Position,
    Shape,
    distance_m,
    is_on_map,
    position_of,
    score_of,
    text_of,
)

POSITIONS = st.builds(Position, st.floats(-179.9, 179.9), st.floats(-85, 85))
PALERMO, CATANIA = Position(13.361389, 38.115556), Position(15.087269, 37.502669)


@given(POSITIONS)
def test_a_score_leads_back_to_the_position(position: Position) -> None:
    score = score_of(position)
    assert 0 <= score < 2**52
    assert score.is_integer()
    back = position_of(score)
    assert abs(back.longitude - position.longitude) <= 360 / 2**26
    assert abs(back.latitude - position.latitude) <= 171 / 2**26
    assert score_of(back) == score


@given(st.floats(allow_nan=False))
def test_any_score_is_a_position(score: float) -> None:
    assert is_on_map(*position_of(score))


def test_the_known_geohashes() -> None:
    assert score_of(PALERMO) == 3479099956230698
    assert text_of(position_of(score_of(PALERMO))) == b"sqc8b49rny0"
    assert text_of(position_of(score_of(CATANIA))) == b"sqdtr74hyu0"


@given(POSITIONS, POSITIONS)
def test_distances(one: Position, other: Position) -> None:
    distance = distance_m(one, other)
    assert 0 <= distance <= math.pi * 6372797.56086
    assert distance == pytest.approx(distance_m(other, one), abs=1e-6)


def test_the_known_distance() -> None:
    one, other = (position_of(score_of(place)) for place in (PALERMO, CATANIA))
    assert f"{distance_m(one, other):.4f}" == "166274.1516"
    assert distance_m(one, one) == 0


def is_found(shape: Shape, position: Position) -> bool:
    """Whether one of the cells of `shape` holds the score of `position`."""
    score = score_of(position)
    return any(low <= score < high for low, high in (cell.scores() for cell in shape.cells()))


@given(
    st.builds(Position, st.floats(-120, 120), st.floats(-60, 60)),
    st.floats(0.1, 1000),
    st.floats(0, 2 * math.pi),
    st.floats(0, 0.99),
)
def test_cells_cover_a_circle_away_from_the_ends_of_the_map(
    center: Position, radius_km: float, angle: float, part: float
) -> None:
    shape = Shape(center, radius=radius_km, unit_m=1000.0)
    degrees = radius_km * part / 111.3
    position = Position(
        center.longitude + degrees * math.cos(angle) / 2,
        center.latitude + degrees * math.sin(angle) / 2,
    )
    if shape.distance_inside(position) is not None:
        assert is_found(shape, position)


def test_a_box_is_as_wide_as_asked() -> None:
    shape = Shape(Position(0.0, 0.0), width=400.0, height=200.0, unit_m=1000.0)
    degree_km = 2 * math.pi * 6372.797560856 / 360
    for longitude_km, latitude_km, inside in (
        (199, 0, True), (201, 0, False), (0, 99, True), (0, 101, False), (199, 99, True),
    ):  # fmt: skip
        position = Position(longitude_km / degree_km, latitude_km / degree_km)
        assert (shape.distance_inside(position) is not None) == inside


def test_cells_at_the_ends_of_the_map_are_bounded() -> None:
    for center in (Position(180.0, LATITUDE_MAX), Position(-180.0, -LATITUDE_MAX)):
        for radius in (0.0, 1.0, 1e6, math.inf):
            assert 1 <= len(list(Shape(center, radius=radius).cells())) <= 9
