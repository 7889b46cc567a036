"""Hashes and sets that are used a lot are unpacked for a while, and nobody can tell."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cacheapp.engine import warmth
from cacheapp.engine.clock import ManualClock
from cacheapp.engine.engine import Engine
from cacheapp.engine.structures.hash import Hash
from cacheapp.engine.structures.set import Set, common_members, intersection

ENTRIES_MAX, VALUE_BYTES_MAX = 4, 8
FIELD = st.sampled_from([b"a", b"b", b"c", b"d", b"e", b"a field too long"])
STEP = st.one_of(
    st.tuples(st.just("put"), FIELD, st.sampled_from([b"", b"1", b"two", b"\xff", b"x" * 1100])),
    st.tuples(st.just("put_many"), st.lists(FIELD, min_size=1, max_size=6)),
    st.tuples(st.just("remove"), FIELD),
    st.tuples(st.sampled_from(["warm", "cool", "copy"])),
)


def facts(found: Hash) -> tuple[object, ...]:
    return found.items(), len(found), found.packed, found.encoding(None), found.copy().items()


@given(st.lists(STEP, max_size=30))
def test_a_warm_hash_is_like_a_packed_one(steps: list[tuple[object, ...]]) -> None:
    warm, packed = Hash(), Hash()
    for name, *arguments in steps:
        if name == "put":
            field, value = arguments
            results = {each.put(field, value, ENTRIES_MAX, 1200) for each in (warm, packed)}
        elif name == "put_many":
            [fields] = arguments
            pairs = [part for field in fields for part in (field, b"v")]
            results = {
                each.put_many(pairs, ENTRIES_MAX, VALUE_BYTES_MAX) for each in (warm, packed)
            }
        elif name == "remove":
            results = {each.remove(*arguments) for each in (warm, packed)}
        elif name == "copy":
            warm, results = warm.copy(), {None}
        else:
            getattr(warm, name)()
            results = {None}
        assert len(results) == 1
        assert facts(warm) == facts(packed)
        assert warm.get_many([b"a", b"e"]) == packed.get_many([b"a", b"e"])


@pytest.mark.parametrize("value", [b"2", b"\xff", b"x" * 1100])
def test_its_bytes_are_those_of_the_packed_hash(value: bytes) -> None:
    warm, packed = Hash(), Hash()
    for found in (warm, packed):
        found.put_many([b"a", b"1", b"b", b"2"], ENTRIES_MAX, 2000)
    assert warm.warm()
    assert not warm.warm()
    assert warm.memory_bytes(0) == packed.memory_bytes(0)
    for found in (warm, packed):
        found.put(b"c", value, ENTRIES_MAX, 2000)
    assert warm.memory_bytes(0) == packed.memory_bytes(0)


MEMBER = st.sampled_from([b"1", b"-7", b"22", b"a", b"", b"\xff", b"x" * 1100])
SET_STEP = st.one_of(
    st.tuples(st.sampled_from(["add", "remove"]), MEMBER),
    st.tuples(st.sampled_from(["warm", "cool", "copy"])),
)


@given(st.lists(SET_STEP, max_size=30))
def test_a_warm_set_is_like_a_packed_one(steps: list[tuple[str, ...]]) -> None:
    warm, packed = Set(), Set()
    other = Set.of({b"1", b"a", b"b"}, ENTRIES_MAX)
    for name, *arguments in steps:
        if name in ("warm", "cool"):
            getattr(warm, name)()
        elif name == "copy":
            warm, packed = warm.copy(), packed.copy()
        elif name == "add":
            assert warm.add(*arguments, ENTRIES_MAX) == packed.add(*arguments, ENTRIES_MAX)
        else:
            assert warm.remove(*arguments) == packed.remove(*arguments)
        # The order too: a scan relies on it.
        assert warm.members() == packed.members()
        assert (len(warm), warm.intset) == (len(packed), packed.intset)
        assert warm.memory_bytes(0) == packed.memory_bytes(0)
        assert set(warm.collected()) == warm.as_set() == packed.as_set()
        assert [each in warm for each in (b"1", b"a")] == [each in packed for each in (b"1", b"a")]
        other.warm()
        assert common_members([warm, other]) == common_members([packed, other])
        assert sorted(intersection([other, warm])) == sorted(intersection([other, packed]))


def test_sets_are_warmed_by_the_commands_that_use_them() -> None:
    engine = Engine(clock=(clock := ManualClock()))
    session = engine.connect(lambda _reply: None)
    engine.execute(session, [b"SADD", b"one", b"a", b"b"])
    engine.execute(session, [b"SADD", b"two", b"b"])
    for words in (b"SISMEMBER one a", b"SINTER one two", b"SREM two missing", b"SADD one c"):
        clock.advance(0.2)
        for key in (b"one", b"two"):
            engine.databases[0].peek(key).cool()
        engine.execute(session, words.split())
        key = words.split()[1]
        assert not engine.databases[0].peek(key).warm()
    assert set(engine.execute(session, [b"SINTER", b"one", b"two"])) == {b"b"}


def _warm_hashes(engine: Engine) -> int:
    database = engine.databases[0]
    return sum(isinstance(database.peek(key)._fields, dict) for key in database)


def test_hashes_are_warmed_after_a_tick_up_to_a_number_and_cool_with_time() -> None:
    engine = Engine({"hz": "10"}, clock=(clock := ManualClock()))
    session = engine.connect(lambda _reply: None)
    counts = []
    for number in range(200):
        clock.advance(0.2)
        for each in range(3):
            engine.execute(session, [b"HSET", b"h%d:%d" % (number, each), b"f", b"v"])
            assert engine.execute(session, [b"HGET", b"h%d:%d" % (number, each), b"f"]) == b"v"
        counts.append(_warm_hashes(engine))
    assert max(counts) == counts[-1] == warmth._WARM_MAX
    for _ in range(warmth._WARM_MAX):
        clock.advance(0.2)
        engine.tick()
    assert _warm_hashes(engine) == 0


def test_under_a_limit_hashes_stay_packed() -> None:
    engine = Engine({"maxmemory": "100mb"}, clock=(clock := ManualClock()))
    session = engine.connect(lambda _reply: None)
    for _ in range(3):
        clock.advance(1)
        engine.execute(session, [b"HSET", b"h", b"f", b"v"])
        engine.execute(session, [b"HGETALL", b"h"])
    assert _warm_hashes(engine) == 0


def test_registers_of_a_few_counters_are_kept_until_memory_is_limited() -> None:
    engine = Engine(clock=(clock := ManualClock()))
    session = engine.connect(lambda _reply: None)
    for number in range(12):
        clock.advance(0.2)
        for expected in (1, 0, 0):
            assert engine.execute(session, [b"PFADD", b"%d" % number, b"a"]) == expected
    assert len(engine.warmth.counters) == warmth._COUNTERS_MAX
    # What is at the key now counts, not what was.
    engine.execute(session, [b"DEL", b"11"])
    assert engine.execute(session, [b"PFADD", b"11", b"a"]) == 1
    engine.execute(session, [b"CONFIG", b"SET", b"maxmemory", b"100mb"])
    clock.advance(0.2)
    engine.execute(session, [b"PING"])
    assert not engine.warmth.counters
