"""Searches against brute force over all members."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from cacheapp.engine.engine import Engine
from cacheapp.engine.structures.geohash import Position, distance_m, position_of, score_of
from tests.engine.conftest import Run

# Away from the poles and the date line, where Redis itself misses some.
POSITIONS = st.builds(Position, st.floats(-100, 100), st.floats(-50, 50))
TOWNS = st.lists(POSITIONS, max_size=40)


@given(TOWNS, POSITIONS, st.floats(1, 500))
def test_a_circle_holds_what_is_near(
    towns: list[Position], center: Position, radius_km: float
) -> None:
    engine = Engine()
    session = engine.connect(lambda reply: None, protocol=3)
    for number, town in enumerate([center, *towns]):
        place = [repr(degrees).encode() for degrees in town]
        engine.execute(session, [b"GEOADD", b"key", *place, b"%d" % number])
    search = [b"GEOSEARCH", b"key", b"FROMMEMBER", b"0", b"BYRADIUS", b"%.17g" % radius_km, b"km"]
    found = engine.execute(session, [*search, b"ASC", b"WITHDIST"])
    middle = position_of(score_of(center))
    distances = {
        b"%d" % number: distance_m(middle, position_of(score_of(town)))
        for number, town in enumerate([center, *towns])
    }
    near = {name: far for name, far in distances.items() if far <= float(search[5]) * 1000}
    assert {name for name, _ in found} == set(near)
    assert [text for _, text in found] == [b"%.4f" % (far / 1000) for far in sorted(near.values())]


def test_a_position_that_stays_is_no_change(engine: Engine, run: Run) -> None:
    run("GEOADD", "key", 1, 1, "a")
    dirty = engine.dirty
    assert run("GEOADD", "key", "CH", 1, 1, "a") == 0
    assert engine.dirty == dirty


def test_a_deadline_goes_when_a_result_is_stored(run: Run) -> None:
    run("GEOADD", "key", 1, 1, "a")
    run("SET", "target", "x", "EX", 100)
    search = ("FROMLONLAT", 1, 1, "BYRADIUS", 10, "km")
    assert run("GEOSEARCHSTORE", "target", "key", *search) == 1
    assert run("TTL", "target") == -1
