"""Packed hashes and sets: the same as a dict and a set, whatever the bytes, or refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cacheapp.engine.structures import packing
from cacheapp.engine.structures.hash import Hash
from cacheapp.engine.structures.set import Set

# Few fields, so that they meet again, and the marks among them.
WORDS = st.lists(st.sampled_from([b"a", b"b", b"ab", b"\xff", b"\xfe", b""]), max_size=4).map(
    b"".join
)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("put"), WORDS, WORDS),
        st.tuples(st.just("remove"), WORDS, st.just(b"")),
        st.tuples(st.just("get"), WORDS, st.just(b"")),
    ),
    max_size=30,
)


@given(STEPS)
def test_a_hash_does_what_a_dict_does(steps: list[tuple[str, bytes, bytes]]) -> None:
    found, model = Hash(), dict[bytes, bytes]()
    for name, field, value in steps:
        if name == "put":
            assert found.put(field, value, 512, 64) is (field not in model)
            model[field] = value
        elif name == "remove":
            assert found.remove(field) is (model.pop(field, None) is not None)
        else:
            assert found.get(field) == model.get(field)
        assert (len(found), found.items()) == (len(model), list(model.items()))
    twin = found.copy()
    twin.put(b"more", b"", 512, 64)
    assert found.as_dict() == model
    for fields in ([b"a", b"ab"], [b"a", b"b", b"ab", b"\xff", b""]):
        assert found.get_many(fields) == list(map(model.get, fields))


@given(st.lists(st.tuples(WORDS, WORDS), min_size=1, max_size=6))
def test_many_at_once_are_the_same_as_one_by_one(pairs: list[tuple[bytes, bytes]]) -> None:
    together, apart = Hash(), Hash()
    added = together.put_many([part for pair in pairs for part in pair], 512, 64)
    assert added == sum(apart.put(field, value, 512, 64) for field, value in pairs)
    assert together.items() == apart.items()
    assert together.encoding({}) == apart.encoding({}) == b"listpack"


def test_a_field_is_not_found_across_two_others() -> None:
    found = Hash()
    found.put_many([b"a", b"1", b"b", b"2"], 512, 64)
    assert found.get(b"a\xfe1\xffb") is None
    assert found.remove(b"a\xfe1\xffb") is False
    assert found.put(b"a\xfe1\xffb", b"3", 512, 64) is True
    assert found.items() == [(b"a", b"1"), (b"b", b"2"), (b"a\xfe1\xffb", b"3")]


@pytest.mark.parametrize(
    "pairs",
    [
        [b"f", b"1", b"f", b"2"],
        [b"f", b"\xff"],
        [b"\xfe", b"v"],
        [b"f", b"v" * packing.PACKED_BYTES_MAX],
    ],
)
def test_what_it_cannot_hold_is_refused(pairs: list[bytes]) -> None:
    assert packing.pack(pairs) is None


def test_text_is_packed_and_takes_little() -> None:
    found = Hash()
    pairs = [part for at in range(5) for part in (b"field%d" % at, "wörter".encode())]
    found.put_many(pairs, 512, 64)
    assert found.memory_bytes(0) < 200
    found.put(b"binary", b"\xff", 512, 64)
    assert found.memory_bytes(0) > 600
    assert found.encoding({}) == b"listpack"


@given(STEPS)
def test_a_set_does_what_a_set_does(steps: list[tuple[str, bytes, bytes]]) -> None:
    found, model = Set(), set[bytes]()
    for name, member, _ in steps:
        if name == "put":
            assert found.add(member, 512) is (member not in model)
            model.add(member)
        elif name == "remove":
            assert found.remove(member) is (member in model)
            model.discard(member)
        assert (member in found) is (member in model)
        assert (len(found), set(found.members())) == (len(model), model)
    assert set(Set.of(model, 512).copy().members()) == model
    assert found.minus([Set.of([b"a"], 512)]) == model - {b"a"}
    assert set(found.random_members(10, repeat=False)) == model
    assert not model or found.random_member() in model


def test_a_set_grows_out_of_it_and_keeps_its_encoding() -> None:
    found = Set()
    for number in range(400):
        found.add(b"%d" % (number * 1000), 512)
    assert found.encoding({}) == b"intset"
    assert found.members() == [b"%d" % (number * 1000) for number in range(400)]
    assert found.memory_bytes(0) > 10_000
