"""What HyperLogLog commands change: events, the dirty counter, the estimate of a union."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from cacheapp.engine.engine import Engine
from tests.engine.conftest import Run

NUMBERS = st.lists(st.integers(0, 2000), max_size=200)


@given(NUMBERS, NUMBERS)
def test_a_merge_counts_as_the_union(one: list[int], other: list[int]) -> None:
    engine = Engine()
    session = engine.connect(lambda reply: None, protocol=3)

    def run(*args: bytes) -> object:
        return engine.execute(session, list(args))

    run(b"PFADD", b"one", *(b"%d" % number for number in one))
    run(b"PFADD", b"other", *(b"%d" % number for number in other))
    run(b"PFADD", b"both", *(b"%d" % number for number in one + other))
    expected = run(b"PFCOUNT", b"both")
    assert run(b"PFCOUNT", b"one", b"other") == expected
    run(b"PFMERGE", b"merged", b"one", b"other")
    assert run(b"PFCOUNT", b"merged") == expected


def test_an_element_that_is_there_is_no_change(engine: Engine, run: Run) -> None:
    run("PFADD", "key", "a")
    dirty = engine.dirty
    assert run("PFADD", "key", "a") == 0
    assert engine.dirty == dirty
    assert run("PFCOUNT", "key") == 1
    # The cardinality is written into the string, once.
    assert engine.dirty == dirty + 1
    run("PFCOUNT", "key")
    assert engine.dirty == dirty + 1


def test_a_string_that_was_set_becomes_one_that_can_be_changed(run: Run) -> None:
    run("PFADD", "key", "a")
    data = run("GET", "key")
    run("SET", "copy", data)
    run("PFADD", "key", "b")
    assert run("PFCOUNT", "copy") == 1
    assert run("PFCOUNT", "key") == 2
    assert run("OBJECT", "ENCODING", "copy") == b"raw"
