"""The hash with deadlines: against a dict of what it should hold, and its two encodings."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cacheapp.engine.structures.expiringhash import ExpiringHash
from cacheapp.engine.structures.hash import Hash

FIELDS = st.sampled_from([b"a", b"b", b"c", b"d\xff"])
TIMES = st.integers(1, 9)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("put"), FIELDS, TIMES),
        st.tuples(st.just("update"), FIELDS, TIMES),
        st.tuples(st.just("remove"), FIELDS, TIMES),
        st.tuples(st.just("deadline"), FIELDS, st.integers(0, 9)),
        st.tuples(st.just("remove_due"), FIELDS, TIMES),
    ),
    max_size=60,
)


@given(STEPS)
def test_it_does_what_a_dict_does(steps: list[tuple[str, bytes, int]]) -> None:
    found = ExpiringHash.of(Hash())
    model: dict[bytes, tuple[bytes, int]] = {}
    for name, field, number in steps:
        value = b"%d" % number
        if name == "put":
            assert found.put(field, value, 3, 64) is (field not in model)
            model[field] = value, 0
        elif name == "update":
            found.update(field, value, 3, 64)
            model[field] = value, model.get(field, (b"", 0))[1]
        elif name == "remove":
            assert found.remove(field) is (model.pop(field, None) is not None)
        elif name == "deadline":
            if field in model:
                found.set_deadline(field, number)
                model[field] = model[field][0], number
        else:
            due = [name for name, (_, deadline) in model.items() if 0 < deadline < number]
            assert found.alive(number).fields() == [name for name in model if name not in due]
            assert set(found.remove_due(number, 100)) == set(due)
            for name in due:
                del model[name]
        assert list(found.entries()) == [(name, *rest) for name, rest in model.items()]
        deadlines = [deadline for _, deadline in model.values() if deadline]
        assert found.next_due_ms() == min(deadlines, default=0)
        assert list(found.copy().entries()) == list(found.entries())


def test_what_is_alive_is_itself_where_nothing_is_due() -> None:
    found = ExpiringHash()
    found.put(b"a", b"1", 512, 64)
    found.set_deadline(b"a", 100)
    assert found.alive(100) is found
    assert found.alive(101).fields() == []
    assert found.fields() == [b"a"]


def test_the_heap_does_not_grow_with_what_is_old() -> None:
    found = ExpiringHash()
    found.put(b"a", b"1", 512, 64)
    for number in range(1, 1000):
        found.set_deadline(b"a", number)
    assert len(found._order) < 100
    assert found.next_due_ms() == 999


@pytest.mark.parametrize(("value", "encoding"), [(b"v", b"listpackex"), (b"v" * 65, b"hashtable")])
def test_encodings(value: bytes, encoding: bytes) -> None:
    plain = Hash()
    plain.put(b"a", value, 512, 64)
    found = ExpiringHash.of(plain)
    assert found.encoding({}) == found.copy().encoding({}) == encoding


def test_deadlines_weigh() -> None:
    found = ExpiringHash()
    found.put(b"a", b"1", 512, 64)
    before = found.memory_bytes(5)
    found.set_deadline(b"a", 1)
    assert found.memory_bytes(5) > before
